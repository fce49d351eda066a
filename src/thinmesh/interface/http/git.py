"""`/git/data.git`: signs people in by basic auth, asks the policy, and hands the request to the bridge."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse

from thinmesh.interface.platform import GitBridge, Platform
from thinmesh.kernel.errors import MeshError, NotAllowed
from thinmesh.kernel.policy import Action

from .auth import sign_in
from .doorstep import CALLER_STATE, App, Receive, Scope, Send, request_id
from .problems import problem_response
from .rates import Rates

PREFIX = "/git/data.git"


class GitDoor:
    """Routes between the git bridge and the API."""

    def __init__(self, platform: Platform, bridge: GitBridge, rates: Rates, api: App) -> None:
        self._platform = platform
        self._rates = rates
        self._bridge = bridge
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not _is_git(scope["path"]):
            await self._api(scope, receive, send)
            return
        try:
            caller = await run_in_threadpool(
                sign_in, self._platform, self._rates, Request(scope), basic=True, door="git"
            )
            scope["state"][CALLER_STATE] = caller
            path = scope["path"].removeprefix(PREFIX)
            self._platform.policy.require(caller, _action(path, scope.get("query_string", b"")))
            await self._bridge(scope, receive, send, caller, path)
        except NotAllowed as error:
            # Git shows its user a refusal in plain text, and no other.
            await PlainTextResponse(f"{error.detail} {error.help}\n", error.status)(scope, receive, send)
        except MeshError as error:
            await problem_response(error, request_id(scope))(scope, receive, send)


def _action(path: str, query: bytes) -> Action:
    """Tell what a request to git is for: all that is no push reads."""
    if path == "/info/refs":
        service = parse_qs(query.decode("latin-1")).get("service")
        return Action.PUSH if service == ["git-receive-pack"] else Action.FETCH
    return Action.PUSH if path == "/git-receive-pack" else Action.FETCH


def _is_git(path: str) -> bool:
    return path == PREFIX or path.startswith(PREFIX + "/")
