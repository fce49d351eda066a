"""The connection: limits on what precedes, follows and takes an answer, and who is at the home's own socket."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from thinmesh.interface.documents import encode
from thinmesh.interface.sockets import peer_user
from thinmesh.kernel.errors import Malformed, MeshError, Temporary

from .doorstep import HEADERS, OWNER_STATE, App, Receive, Scope, Send
from .outlet import DIRECT
from .problems import MEDIA_TYPE

# Servers at large take 8 to 64 kB of request line and headers, and about 100 of them; a token is about 1 kB.
_MAX_HEAD = 64 * 1024
_MAX_HEADERS = 100
_DRAIN_SECONDS = 0.001
# Two of these would let a proxy before us and ourselves see two different requests.
_ONCE = (b"host", b"authorization", b"content-type", b"content-encoding")


class Connection(HttpToolsProtocol):
    """One connection, over TCP or over the home's socket."""

    # A request line and its headers must have come by then (a slow writer would hold the connection for ever), and
    # after an answer what is still to come of its request.
    head_seconds = 30.0
    # Nobody holds a connection by taking nothing of an answer: what waits in memory (64 kB) must be on its way by then.
    # A slow reader first reads what lies in the buffers of both systems (up to 16 MB), and seems to stand still.
    stall_seconds = 360.0
    # Half of what the process may open, for it has files and workers, too. The home's own socket is not counted.
    most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2, 10_000)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._heading = False
        self._whole = True
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection; on the home's socket only from the user who owns the home."""
        super().connection_made(transport)
        self._expect_head()
        listener = transport.get_extra_info("socket")
        if listener is None or listener.family != socket.AF_UNIX:
            self._leave_room()
            return
        # The loop's own view of the socket gives no options: ask through a copy of the descriptor.
        with socket.socket(fileno=os.dup(listener.fileno())) as copy:
            if peer_user(copy) != os.getuid():
                transport.abort()
                return
        self.app = _as_owner(self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._expect_nothing()
        self._reading_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the headers grow without end."""
        if self._heading:
            if self._head > _MAX_HEAD:
                self.send_400_response("The request line and headers are larger than 64 kB.")
                return
            self._head += len(data)
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while rest:
                rest = self._parsed(rest)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _parsed(self, data: memoryview) -> memoryview:
        """Parse what came; give what is left of it behind a head that asks for another protocol.

        We go on in HTTP/1.1 then, as a server may (RFC 9110, 7.8), and some clients ask so in each first request. The
        parser would take the request to have no body, and its body for the next request: it gets the head without the
        wish.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as told:
            head = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
            head += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            # As uvicorn has it: what follows a last request is dropped, and its answer is given.
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"\r\n".join(head) + b"\r\n\r\n")
            return data[told.args[0] :]
        return data[len(data) :]

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the shape of every refusal, and hang up."""
        self._refuse(Malformed(msg, help="Send HTTP/1.1."))

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._whole = False
        if not self._heading:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those that trail a chunked body mean nothing here, and are dropped."""
        if self._heading:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start answering. Raises ValueError, which the parser takes for no HTTP."""
        _require_plain(self.parser.get_http_version(), [name for name, _ in self.headers])
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("no tunnels")
        if self.parser.should_upgrade():
            return  # this head comes again
        self._expect_nothing()
        self._heading = False
        self.scope["extensions"] = {DIRECT: self._direct}  # type: ignore[dict-item]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request has come whole."""
        if self._heading:
            return
        self._whole = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Note that the answer is given; what is still to come of its request is dropped, and not for ever."""
        super().on_response_complete()
        if self.cycle.response_complete and not self._whole and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._expect()

    def pause_writing(self) -> None:
        """Wait for the client to take what it was sent, and not for ever."""
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(self.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        self._reading_on()
        super().resume_writing()

    async def _direct(self) -> socket.socket | None:
        """Copy the socket, once all that was written is on its way; nothing where the client is gone."""
        while self.transport.get_write_buffer_size():
            await asyncio.sleep(_DRAIN_SECONDS)
        if self.transport.is_closing():
            return None
        return socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))

    def _reading_on(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _leave_room(self) -> None:
        """Turn the connection away where there are as many as this process can well serve."""
        if len(self.connections) > self.most:
            self._refuse(Temporary("This server has too many connections open."))

    def _refuse(self, error: MeshError) -> None:
        body = encode(error.problem())
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body)), *HEADERS]
        headers += [(b"cache-control", b"no-store"), (b"connection", b"close")]
        headers += [(b"retry-after", b"2")] if error.retry else []
        reason = b"Bad Request" if error.status == Malformed.status else b"Service Unavailable"
        lines = [b"HTTP/1.1 %d %s" % (error.status, reason), *(name + b": " + value for name, value in headers)]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.transport.close()

    def _expect_head(self) -> None:
        self._head, self._heading = 0, True
        self._expect()

    def _expect(self) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(self.head_seconds, self._too_slow)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def _require_plain(version: str, names: list[bytes]) -> None:
    """Raise ValueError for a head that others may read in another way than we do."""
    lowered = [name.lower() for name in names]
    if len(names) > _MAX_HEADERS:
        raise ValueError("too many headers")
    if version not in ("1.0", "1.1") or (version == "1.1" and b"host" not in lowered):
        raise ValueError("no HTTP/1.1")
    if version == "1.0" and b"transfer-encoding" in lowered:
        raise ValueError("chunks, which HTTP/1.0 does not know")
    if any(lowered.count(name) > 1 for name in _ONCE):
        raise ValueError("a header that may come once came twice")


def _as_owner(app: Any) -> App:
    async def owned(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {**scope.get("state", {}), OWNER_STATE: True}}, receive, send)

    return owned
