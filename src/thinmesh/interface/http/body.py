"""Request bodies: small ones are read before anything answers; too large ones and those of other types are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from thinmesh.kernel.errors import TooLarge, Unsupported

from .auth import caller_of
from .doorstep import App, Message, Receive, Scope, Send, request_id
from .problems import problem_response

JSON_HELP = "Send JSON with its type: -H 'Content-Type: application/json'"


class ClientGone(Exception):
    """The client went away before its request was whole."""


class BodyLimit:
    """Reads small bodies whole; those of `exempt` paths pass by as they arrive."""

    def __init__(self, app: App, limit: int, exempt: re.Pattern[str]) -> None:
        self._app = app
        self._limit = limit
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] == "GET" or self._exempt.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except ClientGone:
            return
        if body is None:
            error = TooLarge(f"The body is larger than {self._limit} bytes.", help="Send data files by `publications`.")
            await problem_response(error, request_id(scope))(scope, receive, send)
            return
        await self._app(scope, _Replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self._limit:
            return None
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._limit:
                return None
            if message["type"] == "http.disconnect":
                # Half a document may look like a whole one: nobody must answer it.
                raise ClientGone
            if not message.get("more_body"):
                return bytes(body)


class JsonRoute(APIRoute):
    """A route whose body, where it takes one, is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the handler, with the body's type judged before it."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def typed(request: Request) -> Response:
            kind = media_type_of(request)
            if kind and kind != "application/json" and not kind.endswith("+json"):
                await run_in_threadpool(caller_of, request)
                raise Unsupported(f"The body cannot be {kind[:80]}.", help=JSON_HELP)
            return await handle(request)

        return typed


def media_type_of(request: Request) -> str:
    """Give the type that a request says its body has; empty where it says none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


class _Replay:
    """Gives a body that was read already, then what follows it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._message: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._receive = receive

    async def __call__(self) -> Message:
        message, self._message = self._message, None
        return message if message is not None else await self._receive()
