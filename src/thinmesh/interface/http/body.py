"""The bodies of requests: read only of callers who are known, as long as they come, and small ones whole.

Those that are too large or of another type are refused.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from thinmesh.kernel.errors import Malformed, MeshError, NotSignedIn, TooLarge, Unsupported

from .auth import find_caller
from .doorstep import App, Message, Receive, Scope, Send, request_id
from .problems import problem_response

JSON_HELP = "Send JSON with its type: -H 'Content-Type: application/json'"
# So long nothing may come of a body that was begun; longer waits of a sender hold memory and a connection for nothing.
_PATIENCE_SECONDS = 30.0


class ClientGone(Exception):
    """The client went away before its request was whole."""


class BodyLimit:
    """Reads small bodies whole; those of `exempt` paths pass by as they arrive, and their handlers ask who calls."""

    def __init__(self, app: App, limit: int, exempt: re.Pattern[str], patience: float = _PATIENCE_SECONDS) -> None:
        self._app = app
        self._limit = limit
        self._exempt = exempt
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        steady = Steady(receive, send, self._patience)
        if self._exempt.fullmatch(scope["path"]):
            await self._app(scope, steady.receive, steady.send)
            return
        try:
            body = await self._read(scope, steady.receive) if await self._knows_caller(scope) else b""
        except ClientGone:
            return
        except MeshError as error:
            await problem_response(error, request_id(scope))(scope, receive, steady.send)
            return
        await self._app(scope, Replay(body, receive), send)

    async def _knows_caller(self, scope: Scope) -> bool:
        """Tell whether a caller has signed in; to any other the app answers without the body."""
        try:
            await find_caller(Request({**scope, "app": self._app}))
        except NotSignedIn:
            return False
        return True

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        require_plain(Request(scope))
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > self._limit:
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._limit:
                raise self._too_large()
            if message["type"] == "http.disconnect":
                # Half a document may look like a whole one: nobody must answer it.
                raise ClientGone
            if not message.get("more_body"):
                return bytes(body)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than {self._limit} bytes.", help="Send data files by `publications`.")


class Steady:
    """A request whose body must keep coming; one that stalls is refused, and its connection closed."""

    def __init__(self, receive: Receive, send: Send, patience: float = _PATIENCE_SECONDS) -> None:
        self._receive = receive
        self._send = send
        self._patience: float | None = patience
        self._stalled = False

    async def receive(self) -> Message:
        """Give the next piece. Raises Malformed where none comes."""
        try:
            async with asyncio.timeout(self._patience):
                message = await self._receive()
        except TimeoutError as error:
            self._stalled = True
            raise Malformed(
                f"Nothing of the body came for {self._patience:g} seconds.", help="Send it again; nothing was changed."
            ) from error
        if not message.get("more_body"):
            # What follows is the client hanging up, which has no time limit.
            self._patience = None
        return message

    async def send(self, message: Message) -> None:
        """Answer, and hang up on a sender who stalled."""
        if self._stalled and message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await self._send(message)


class JsonRoute(APIRoute):
    """A route whose body, where it takes one, is JSON, also where its type is not said.

    No browser is signed in here, so that a foreign page gains nothing by it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "strict_content_type": False})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the handler, with the body's type judged before it."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def typed(request: Request) -> Response:
            kind = media_type_of(request)
            if kind and kind != "application/json" and not kind.endswith("+json"):
                await find_caller(request)
                raise Unsupported(f"The body cannot be {kind[:80]}.", help=JSON_HELP)
            return await handle(request)

        return typed


def media_type_of(request: Request) -> str:
    """Give the type that a request says its body has; empty where it says none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_plain(request: Request) -> None:
    """Raise Unsupported for a body that is packed: a small one could unpack into anything."""
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed != "identity":
        raise Unsupported(
            f"A body cannot come in the encoding {packed[:80]}.",
            help="Send it as it is; data files may be packed themselves: weather.csv.gz, weather.csv.zst.",
        )


class Replay:
    """Gives a body that was read already, then what follows it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._message: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._receive = receive

    async def __call__(self) -> Message:
        """Give the next message."""
        message, self._message = self._message, None
        return message if message is not None else await self._receive()
