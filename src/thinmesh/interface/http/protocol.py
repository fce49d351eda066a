"""The connection: limits on what precedes a request, and who is at the other end of the home's own socket."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from thinmesh.interface.documents import encode
from thinmesh.interface.sockets import peer_user
from thinmesh.kernel.errors import Malformed

from .doorstep import OWNER_STATE, App, Receive, Scope, Send
from .problems import MEDIA_TYPE

# Servers at large take 8 to 64 kB of request line and headers; a token is about 1 kB.
_MAX_HEAD = 64 * 1024
# A request line and its headers must have come by then (a slow writer would hold the connection for ever).
_HEAD_SECONDS = 30.0


class Connection(HttpToolsProtocol):
    """One connection, over TCP or over the home's socket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection; on the home's socket only from the user who owns the home."""
        super().connection_made(transport)
        self._expect_head()
        listener = transport.get_extra_info("socket")
        if listener is None or listener.family != socket.AF_UNIX:
            return
        # The loop's own view of the socket gives no options: ask through a copy of the descriptor.
        with socket.socket(fileno=os.dup(listener.fileno())) as copy:
            if peer_user(copy) != os.getuid():
                transport.abort()
                return
        self.app = _as_owner(self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the headers grow without end."""
        if self._deadline is not None:
            if self._head > _MAX_HEAD:
                self.send_400_response("The request line and headers are larger than 64 kB.")
                return
            self._head += len(data)
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the shape of every refusal, and hang up."""
        body = encode(Malformed(msg, help="Send HTTP/1.1.").problem())
        head = "HTTP/1.1 400 Bad Request\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.format(MEDIA_TYPE, len(body)).encode() + body)
        self.transport.close()

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        if self._deadline is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Start answering."""
        self._head_came()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body; what follows an answer is dropped, and a sender who stops is not waited for."""
        super().on_body(body)
        if self.cycle.response_complete and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _expect_head(self) -> None:
        self._head = 0
        self._deadline = self.loop.call_later(_HEAD_SECONDS, self._too_slow)

    def _head_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def _as_owner(app: Any) -> App:
    async def owned(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {**scope.get("state", {}), OWNER_STATE: True}}, receive, send)

    return owned
