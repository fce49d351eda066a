"""A streaming scan of CSV bytes at C speed: what DuckDB's reader does not refuse, or would misread.

One pass decompresses to the end mark, caps the size, and learns of every block of whole lines: encoding, NUL,
quoting by RFC 4180, line ends, blank lines, over-long records, and the number of records and separators. A file
without a fault is then DuckDB's alone; in any other, `records.py` finds the faults one by one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy
import zstandard

BLOCK = 1 << 20
# What one look takes: arrays of this size stay in the cache, and the allocator keeps their pages (three times as fast).
_STEP = 1 << 18
# A longer record is a missing quote rather than data; DuckDB holds several records in memory at once.
LONGEST = 16 << 20
# gzip packs at most 1032:1, zstd without limit; real tables stay far below this.
RATIO, RATIO_FROM = 200, 256 << 20
# A zstd block of 4 bytes may unpack to 128 kB: slices this small keep one step below 64 MB.
_SLICE = 2048

_LF, _CR, _QUOTE, _COMMA = 10, 13, 34, 44
_BOM = b"\xef\xbb\xbf"

Tell = Callable[[int, int], None]


class Unreadable(Exception):
    """A file that cannot be read to its end; `rule` and the message go into one violation of the whole file."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule, self.message = rule, message


@dataclass(slots=True)
class Scan:
    """What the scan learned. `records` counts the header too; `separators` are commas outside quotes.

    `faulty`: a fault is certain, and records.py must find it. `quoted_lines`: a quoted field holds a line end, so
    that lines and records differ.
    """

    path: Path
    size: int = 0
    records: int = 0
    separators: int = 0
    longest: int = 0
    lf: int = 0
    crlf: int = 0
    blank: bool = False
    faulty: bool = False
    quotes: bool = False
    quoted_lines: bool = False
    head: bytes = field(default=b"", repr=False)

    @property
    def mixed(self) -> bool:
        """Tell whether records end in LF here and in CRLF there, which DuckDB's reader aborts on."""
        return bool(self.lf and self.crlf)


def scan(path: Path, compression: str, plain: Path, limit: int, tell: Tell) -> Scan:
    """Scan a file of `compression` "", "gz" or "zst"; a compressed one is unpacked to `plain` on the way.

    `limit` is the most bytes it may unpack to (0: no limit besides the ratio). Raises Unreadable.
    """
    total = path.stat().st_size
    scanner = _Scanner(Scan(plain if compression else path))
    with path.open("rb", buffering=0) as source:
        if not compression:
            if limit and total > limit:
                raise Unreadable("too_large", f"has {total} bytes, more than the {limit} that are taken")
            for block in iter(lambda: source.read(_STEP), b""):
                scanner.feed(block)
                tell(scanner.found.size, total)
        else:
            with plain.open("wb") as target:
                for block in _guarded(source, compression, limit, total):
                    target.write(block)
                    scanner.feed(block)
                    tell(source.tell(), total)
    return scanner.end()


def _guarded(source: IO[bytes], compression: str, limit: int, packed: int) -> Iterator[bytes]:
    size = 0
    for block in unpack(source, compression):
        size += len(block)
        if limit and size > limit:
            raise Unreadable("too_large", f"unpacks to more than the {limit} bytes that are taken")
        if size > RATIO_FROM and size > RATIO * packed:
            raise Unreadable("too_large", f"unpacks to more than {RATIO} times its size; send it uncompressed")
        yield block


_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# Frames without data, which may come first (RFC 8878, 3.1.2).
_SKIPPABLE = [bytes([0x50 + n, 0x2A, 0x4D, 0x18]) for n in range(16)]


def unpack(source: IO[bytes], compression: str) -> Iterator[bytes]:
    """Unpack to the end mark of the last member. Raises Unreadable for a cut or damaged file, or bytes after it."""
    members = _gzip(source) if compression == "gz" else _zstd(source)
    try:
        yield from members
    except (zlib.error, zstandard.ZstdError) as error:
        raise Unreadable("truncated", f"is damaged: {error}") from error


def _gzip(source: IO[bytes]) -> Iterator[bytes]:
    member: Any = None
    data = source.read(BLOCK)
    _begins(data, (_GZIP,), "gzip")
    while data:
        if member is None:
            member = zlib.decompressobj(wbits=31)
        yield member.decompress(data, _STEP)
        if member.eof:
            data, member = member.unused_data or source.read(BLOCK), None
            _more(data, _GZIP)
        else:
            data = member.unconsumed_tail or source.read(BLOCK)
    _ended(member)


def _zstd(source: IO[bytes]) -> Iterator[bytes]:
    frame: Any = None
    data = source.read(_SLICE)
    _begins(data, (_ZSTD, *_SKIPPABLE), "zstd")
    while data:
        if frame is None:
            frame = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        yield frame.decompress(data)
        if frame.eof:
            data, frame = frame.unused_data or source.read(_SLICE), None
            _more(data, _ZSTD)
        else:
            data = source.read(_SLICE)
    _ended(frame)


def _begins(data: bytes, marks: Sequence[bytes], word: str) -> None:
    if data and not any(mark.startswith(data[:4]) or data.startswith(mark) for mark in marks):
        says = f"is not packed with {word}, as its name says it is; a CSV that is not packed is named <table>.csv"
        raise Unreadable("file_format", says)


def _more(data: bytes, magic: bytes) -> None:
    if data and not magic.startswith(data[:4]) and not data.startswith(magic):
        raise Unreadable("truncated", "has bytes after its end mark that belong to no compressed data")


def _ended(member: Any) -> None:
    if member is not None:
        raise Unreadable("truncated", "is cut off: the compressed data end before their end mark")


class _Scanner:
    """Takes bytes in any portions, and looks at them in blocks of whole lines."""

    def __init__(self, found: Scan) -> None:
        self.found = found
        self._rest: list[bytes] = []
        self._waiting = 0
        self._inside = 0
        self._line = 0

    def feed(self, data: bytes) -> None:
        """Take the next portion."""
        if not data:
            return
        if len(self.found.head) < BLOCK:
            self.found.head += data[:BLOCK]
        self.found.size += len(data)
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return
        block = b"".join((*self._rest, data[:end]))
        self._rest, self._waiting = [], 0
        self._keep(data[end:])
        self._look(block)

    def _keep(self, data: bytes) -> None:
        self._rest.append(data)
        self._waiting += len(data)
        if self._waiting > LONGEST:
            raise Unreadable("too_large", f"has a line of more than {LONGEST >> 20} MB; is a line end missing?")

    def end(self) -> Scan:
        """Look at what is left, and give what was found."""
        last = b"".join(self._rest)
        if last:
            self._look(last)
            self.found.records += 0 if self._inside else 1
        if self._inside:
            self.found.faulty = True
        return self.found

    def _look(self, block: bytes) -> None:
        found = self.found
        if b"\0" in block or not _utf8(block):
            found.faulty = True
        array = numpy.frombuffer(block, numpy.uint8)
        ends = numpy.flatnonzero(array == _LF)
        if self._inside or b'"' in block:
            ends = self._quoted(block, array, ends)
        else:
            found.separators += int(numpy.count_nonzero(array == _COMMA))
            if b"\r" in block:
                self._returns(array, ends, int(numpy.count_nonzero(array == _CR)))
            else:
                found.lf += len(ends)
        self._lines(array, ends, len(block))

    def _quoted(self, block: bytes, array: Any, ends: Any) -> Any:
        """Judge a block with quotes: the parity of quotes before a byte says whether it is inside a field."""
        found = self.found
        found.quotes = True
        marks = array == _QUOTE
        inside = (numpy.cumsum(marks, dtype=numpy.uint8) & 1) ^ numpy.uint8(self._inside)
        quotes = numpy.flatnonzero(marks)
        opening, closing = quotes[self._inside :: 2], quotes[1 - self._inside :: 2]
        if found.size <= len(block) + self._waiting and block.startswith(_BOM):
            opening = opening[opening != len(_BOM)]
        before = array[opening[opening > 0] - 1]
        after = array[closing[closing < len(block) - 1] + 1]
        if (
            not numpy.isin(before, (_COMMA, _LF, _QUOTE)).all()
            or not numpy.isin(after, (_COMMA, _LF, _CR, _QUOTE)).all()
        ):
            found.faulty = True
        outside = inside == 0
        found.separators += int(numpy.count_nonzero((array == _COMMA) & outside))
        real = ends[outside[ends]]
        found.quoted_lines |= len(real) < len(ends)
        if b"\r" in block:
            self._returns(array, real, int(numpy.count_nonzero((array == _CR) & outside)))
        else:
            found.lf += len(real)
        self._inside = int(inside[-1])
        return real

    def _returns(self, array: Any, ends: Any, returns: int) -> None:
        crlf = int(numpy.count_nonzero(array[ends[ends > 0] - 1] == _CR))
        self.found.crlf += crlf
        self.found.lf += len(ends) - crlf
        if returns != crlf:
            self.found.faulty = True

    def _lines(self, array: Any, ends: Any, size: int) -> None:
        found = self.found
        found.records += len(ends)
        if not len(ends):
            self._grow(size)
            return
        self._grow(int(ends[0]) + 1)
        lengths = numpy.diff(ends)
        if len(lengths):
            found.longest = max(found.longest, int(lengths.max()))
        short = numpy.flatnonzero(lengths <= 2)
        blank = (lengths[short] == 1) | (array[ends[short] + 1] == _CR) if len(short) else short
        first = self._line == int(ends[0]) + 1 and (ends[0] == 0 or (ends[0] == 1 and array[0] == _CR))
        if first or (len(short) and bool(blank.any())):
            found.blank = True
        self._line = size - 1 - int(ends[-1])

    def _grow(self, by: int) -> None:
        self._line += by
        self.found.longest = max(self.found.longest, self._line)
        if self._line > LONGEST:
            self.found.faulty = True


def _utf8(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
