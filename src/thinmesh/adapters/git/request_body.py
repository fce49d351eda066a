"""The body of a request to git, on its way to git: decompressed in small pieces, and the head of a push counted.

Git itself bounds neither: it takes any number of commands, and starts a process for each that asks for a commit which
is not there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

# Lines before the pack, each a command or a commit at which the client's history ends (gitprotocol-pack(5)).
MOST_LINES = 1_000
_PIECE = 64 * 1024
# `wbits` of zlib for the format of RFC 1952.
_GZIP = 31


class Unfit(Exception):
    """The body is none that git is given; the text says why, to the client."""


class Body:
    """Passes one body on. `encoding` is the request's Content-Encoding; `pushes` where commands come first."""

    def __init__(self, encoding: str, *, pushes: bool) -> None:
        self._inflater = zlib.decompressobj(_GZIP) if encoding in ("gzip", "x-gzip") else None
        self._head = _Head() if pushes else None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Give what a piece of the request holds for git. Raises Unfit."""
        for piece in _inflated(self._inflater, data) if self._inflater else (data,):
            if self._head:
                self._head.watch(piece)
            yield piece


def _inflated(inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while data and not inflater.eof:
        try:
            piece = inflater.decompress(data, _PIECE)
        except zlib.error as error:
            raise Unfit("The compressed request cannot be read.") from error
        data = inflater.unconsumed_tail
        yield piece


class _Head:
    """Counts the pkt-lines up to the first flush. What is no pkt-line is left for git to refuse."""

    def __init__(self) -> None:
        self._lines = 0
        self._skip = 0
        self._length = b""
        self._over = False

    def watch(self, data: bytes) -> None:
        at = 0
        while at < len(data) and not self._over:
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(4 - len(self._length), len(data) - at)
                self._length += data[at : at + step]
                if len(self._length) == 4:
                    self._begin(self._length)
                    self._length = b""
            at += step

    def _begin(self, length: bytes) -> None:
        try:
            size = int(length, 16)
        except ValueError:
            size = 0
        self._over = size < 4
        self._skip = max(size - 4, 0)
        self._lines += 1
        if self._lines > MOST_LINES:
            raise Unfit("One push goes to one ref; push what you have with: git push origin HEAD:refs/for/main")
