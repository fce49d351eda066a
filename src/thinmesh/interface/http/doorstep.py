"""What holds for every request and reply, whatever answers it: an id, headers, HEAD, and the last catch."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog

from thinmesh.kernel.errors import NotAllowed, Temporary, TooManyRequests

from .problems import internal, problem_response
from .rates import SHOWN, Rates

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_STATE = "thinmesh_request"
HEAD_STATE = "thinmesh_head"
# Set by the server on connections that came over the home's own socket from the user who owns the home.
OWNER_STATE = "thinmesh_owner"
# Who was found to send a request: by a token, and by the cookie of a page. The API must never find the second.
CALLER_STATE, VISITOR_STATE = "thinmesh_caller", "thinmesh_visitor"
# Not that nothing was changed: what it did may have been done just then.
_STOPPED = Temporary(
    "The server was stopped before this request had come to its end.",
    help="When the server is back, see whether it was done, and send it again if not.",
)
_log = structlog.get_logger("thinmesh.http")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
# What a reply carries unless it says otherwise itself.
_ALWAYS = [*HEADERS, (b"cache-control", b"no-store")]
# Who shows one of these is counted where it is read.
_CREDENTIALS = (b"authorization", b"cookie")


class StreamBroken(Exception):
    """A reply failed after its first byte; the cause is logged, and the connection must not end cleanly."""


class Doorstep:
    """The outermost ASGI layer."""

    def __init__(self, app: App, rates: Rates) -> None:
        self._app = app
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = secrets.token_hex(8)
        head = scope["method"] == "HEAD"
        state = {**scope.get("state", {}), REQUEST_STATE: request, HEAD_STATE: head}
        # Whatever answers GET answers HEAD: the server drops the body of a reply to HEAD.
        scope = {**scope, "state": state, "method": "GET" if head else scope["method"]}
        reply = _Reply(send, request, scope)
        try:
            self._count(scope)
        except TooManyRequests as error:
            await problem_response(error, request)(scope, receive, reply)
            return
        try:
            await self._app(scope, receive, reply)
        except StreamBroken:
            # Without its last chunk the server cuts the connection: nobody can take the part for the whole.
            return
        except asyncio.CancelledError:
            # The server stops, and waits no longer for what this request does; what was begun is cut off, as above.
            if not reply.started:
                await problem_response(_STOPPED, request)(scope, receive, reply)
            return
        except Exception:
            _log.exception("request failed", request=request, method=scope["method"], path=scope["path"][:SHOWN])
            if not reply.started:
                await problem_response(internal(request), request)(scope, receive, reply)

    def _count(self, scope: Scope) -> None:
        """Count who shows no credentials."""
        if not scope["state"].get(OWNER_STATE) and not any(name in _CREDENTIALS for name, _ in scope["headers"]):
            self._rates.anonymous(scope)


class _Reply:
    """Adds to each reply's headers what every reply carries, and logs refusals before they are told."""

    def __init__(self, send: Send, request: str, scope: Scope) -> None:
        self._send = send
        self._request = request
        self._scope = scope
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if message["status"] == NotAllowed.status:
                _log_refusal(self._scope, self._request)
            headers = list(message.get("headers", ()))
            names = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in _ALWAYS if name not in names]
            headers.append((b"x-request-id", self._request.encode()))
            message = {**message, "headers": headers}
        await self._send(message)


def _log_refusal(scope: Scope, request: str) -> None:
    """Log that somebody asked for what they may not: the audit has what would have changed something, and no more."""
    known = scope["state"].get(CALLER_STATE) or scope["state"].get(VISITOR_STATE)
    user, path = known.user if known else None, scope["path"][:SHOWN]
    _log.info("not allowed", request=request, user=user, method=scope["method"], path=path)


def request_id(scope: Scope) -> str:
    """Give the id of the request that this scope belongs to."""
    found: str = scope.get("state", {}).get(REQUEST_STATE, "")
    return found


def wants_head(scope: Scope) -> bool:
    """Tell whether only the headers of the reply are wanted."""
    return bool(scope.get("state", {}).get(HEAD_STATE))
