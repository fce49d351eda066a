"""The way past this process for long answers: the kernel moves their bytes from a worker's socket to the client's.

Only the frames of HTTP's chunks (RFC 9112, 7.1) are written here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
from collections.abc import Callable
from types import TracebackType

# In a request's scope, under `extensions`: a function that gives a copy of the client's socket, once all that was
# written before is on its way.
DIRECT = "thinmesh.direct"
# What the pipe between the two sockets may hold, where the user has as much left (pipe-user-pages-soft).
_PIPE_BYTES = 1 << 20
_LOOK_MILLISECONDS = 200


class ChunkOutlet:
    """Writes a chunked body to a client's socket, which is its own from now on; `first` is the first chunk."""

    def __init__(self, client: socket.socket, first: bytes) -> None:
        self._client = client
        self._waiting = select.poll()
        self._waiting.register(client, select.POLLOUT)
        self._out, self._in = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._frame = b"%x\r\n%b\r\n" % (len(first), first)
        self._left = 0

    def __enter__(self) -> ChunkOutlet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._out)
        os.close(self._in)
        self._client.close()

    def begin(self, size: int) -> None:
        """Announce a chunk."""
        self._frame += b"%x\r\n" % size
        self._left = size

    def fill(self, source: int, most: int) -> int:
        """Take some bytes of the chunk."""
        return os.splice(source, self._in, min(most, _PIPE_BYTES))

    def flush(self, size: int, stopped: Callable[[], bool]) -> bool:
        """Pass on the frame and what was taken; the chunk's end with its last bytes."""
        frame, self._frame = self._frame, b""
        self._left -= size
        try:
            return (
                self._write(frame, stopped, more=size > 0)
                and self._move(size, stopped)
                and (size == 0 or self._left > 0 or self._write(b"\r\n", stopped, more=False))
            )
        except OSError:
            return False

    def _write(self, data: bytes, stopped: Callable[[], bool], *, more: bool) -> bool:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._client.send(rest, socket.MSG_MORE if more else 0) :]
            except BlockingIOError:
                if not self._ready(stopped):
                    return False
        return True

    def _move(self, size: int, stopped: Callable[[], bool]) -> bool:
        while size:
            try:
                size -= os.splice(self._out, self._client.fileno(), size)
            except BlockingIOError:
                if not self._ready(stopped):
                    return False
        return True

    def _ready(self, stopped: Callable[[], bool]) -> bool:
        """Wait until the client takes more."""
        while not stopped():
            if self._waiting.poll(_LOOK_MILLISECONDS):
                return True
        return False
