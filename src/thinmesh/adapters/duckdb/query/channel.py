"""Frames between the server and a query worker: one byte of kind, eight of length, then the payload.

Imported on both sides; only the standard library.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

PARSE, BIND, RUN = 1, 2, 3  # server to worker
READY, PARSED, COLUMNS, DATA, DONE, FAILED = 11, 12, 13, 14, 15, 16  # worker to server

HEADER = struct.Struct(">BQ")
# A message of control stays below this; only DATA may be longer, and is read in pieces.
MAX_CONTROL = 256 << 20
PIECE = 1 << 20
# The kernel takes no more in one call (IOV_MAX).
_MOST_PARTS = 1024


class Closed(Exception):
    """The other side is gone."""


def send(sock: socket.socket, kind: int, message: Any) -> None:
    """Send one JSON message."""
    send_parts(sock, control(kind, message))


def control(kind: int, message: Any) -> list[memoryview]:
    """Write the frame of one JSON message."""
    payload = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return frame(kind, memoryview(payload))


def frame(kind: int, *parts: memoryview) -> list[memoryview]:
    """Write one frame whose payload comes in parts, without copying it."""
    return [memoryview(HEADER.pack(kind, sum(map(len, parts)))), *parts]


def send_parts(sock: socket.socket, rest: list[memoryview]) -> None:
    """Send frames, which are used up."""
    while rest:
        sent = sock.sendmsg(rest[:_MOST_PARTS])
        done = 0
        while done < len(rest) and sent >= len(rest[done]):
            sent -= len(rest[done])
            done += 1
        del rest[:done]
        if sent:
            rest[0] = rest[0][sent:]


def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """Read exactly `size` bytes. Raises Closed where the stream ends before."""
    if size <= 65536:
        piece = sock.recv(size, socket.MSG_WAITALL)
        if len(piece) == size:
            return piece
        if not piece and size:
            raise Closed
    else:
        piece = b""
    whole = bytearray(size)
    whole[: len(piece)] = piece
    view, done = memoryview(whole), len(piece)
    while done < size:
        count = sock.recv_into(view[done:])
        if not count:
            raise Closed
        done += count
    return bytes(whole)


def receive_header(sock: socket.socket) -> tuple[int, int]:
    """Read a frame's kind and length."""
    kind, length = HEADER.unpack(receive_exactly(sock, HEADER.size))
    if kind != DATA and length > MAX_CONTROL:
        raise Closed
    return kind, length


def receive(sock: socket.socket) -> tuple[int, Any]:
    """Read one JSON message."""
    kind, length = receive_header(sock)
    return kind, json.loads(receive_exactly(sock, length)) if length else None
