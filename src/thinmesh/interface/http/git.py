"""`/git/data.git`: signs people in by basic auth, and hands the request to the bridge that bootstrap gave."""

from __future__ import annotations

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from thinmesh.interface.platform import GitBridge, Platform
from thinmesh.kernel.errors import MeshError

from .auth import sign_in
from .doorstep import App, Receive, Scope, Send, request_id
from .problems import problem_response

PREFIX = "/git/data.git"


class GitDoor:
    """Routes between the git bridge and the API."""

    def __init__(self, platform: Platform, bridge: GitBridge, api: App) -> None:
        self._platform = platform
        self._bridge = bridge
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not _is_git(scope["path"]):
            await self._api(scope, receive, send)
            return
        try:
            caller = await run_in_threadpool(sign_in, self._platform, Request(scope), basic=True, door="git")
            await self._bridge(scope, receive, send, caller, scope["path"].removeprefix(PREFIX))
        except MeshError as error:
            await problem_response(error, request_id(scope))(scope, receive, send)


def _is_git(path: str) -> bool:
    return path == PREFIX or path.startswith(PREFIX + "/")
