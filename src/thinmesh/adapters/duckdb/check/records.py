"""The exact, slower reading of a CSV file that the scan found faulty: every structural fault with its place.

Faulty records are left out or mended in a normalised copy, so that the rest of the file is judged by the same
statement as any other. After a quoting fault reading goes on at the next physical line: one lost quote hides one
line, not the rest of the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from thinmesh.kernel.errors import Example

from .scan import BLOCK, LONGEST

EXAMPLES = 10
# About a tenth of a second's records.
_TOLD = 50_000
_SHOWN = 200

_INSIDE = re.compile(rb'[^"]*+(?:""[^"]*+)*+')
_PLAIN = re.compile(rb'[^",\r]*+')


@dataclass(slots=True)
class Fault:
    """All occurrences of one structural rule, in one column where it is known: count, first places, message."""

    count: int = 0
    says: str = ""
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Normalised:
    """A copy that DuckDB reads without complaint; the faults left out of it, and where its records came from.

    Faults are by (rule, field number or None). `starts` and `lines` are parallel: from record `starts[i]`
    (0-based, without the header) on, the physical line is `lines[i]` plus the distance.
    """

    path: Path
    faults: dict[tuple[str, int | None], Fault] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    records: int = 0
    longest: int = 0

    def line(self, record: int) -> int:
        """Give the physical line where a record (0-based) begins."""
        at = bisect_right(self.starts, record) - 1
        return self.lines[at] + record - self.starts[at]

    def note(self, rule: str, says: str, line: int, value: str | None, position: int | None, at: int | None) -> None:
        """Count one fault, and keep it as an example while there are few."""
        fault = self.faults.setdefault((rule, at), Fault(says=says))
        fault.count += 1
        if len(fault.examples) < EXAMPLES:
            fault.examples.append(Example(line, value, position))


def shown(value: str | None) -> str | None:
    """Shorten a value for an example or a message."""
    if value is None or len(value) <= _SHOWN:
        return value
    return value[:_SHOWN] + f"… ({len(value)} characters)"


def normalise(source: Path, target: Path, width: int, tell: Callable[[], None]) -> Normalised:
    """Read a file exactly, and write what is well-formed to `target`; `width` is the header's number of fields.

    `tell` is called now and then, and may raise to end it.
    """
    found = Normalised(target)
    with source.open("rb") as lines, target.open("wb") as out:
        reader = _Reader(lines)
        reader.skip_header()
        out.write(b",".join(b"c%d" % n for n in range(width)) + b"\n")
        last = -1
        for number, (line, record, fault) in enumerate(reader.records(width)):
            if number % _TOLD == 0:
                tell()
            good = record if fault is None else _mend(found, line, record, fault, width)
            if good is None:
                continue
            if line - found.records != last:
                last = line - found.records
                found.starts.append(found.records)
                found.lines.append(line)
            out.write(good)
            found.records += 1
            found.longest = max(found.longest, len(good))
    return found


def _mend(found: Normalised, line: int, record: bytes, fault: str, width: int) -> bytes | None:
    """Count the fault of a record; give the record where it can stay in the copy."""
    text = record.decode("utf-8", "replace").rstrip("\r\n")
    if fault in _WHOLE:
        found.note("quoting" if fault == "unclosed" else fault, _WHOLE[fault], line, shown(text), None, None)
        return None
    fields = split(record)
    if len(fields) != width:
        # A quoted empty text is a record of one field.
        rule = "ragged" if _body(record) else "empty_line"
        # One text for all records of the rule, whether they have too many fields or too few.
        says = _WHOLE["empty_line"] if rule == "empty_line" else f"does not have as many fields as the header ({width})"
        found.note(rule, says, line, shown(text) or None, None, None)
        return None
    for n, one in enumerate(fields):
        if b"\0" in one:
            value = shown(one.decode("utf-8", "replace").replace("\0", "\\0"))
            found.note("nul", "holds a NUL byte", line, value, n + 1, n)
        if not _valid(one):
            says = "is not UTF-8 (it looks like Latin-1 or Windows-1252); save the file as UTF-8"
            found.note("encoding", says, line, shown(one.decode("utf-8", "replace")), n + 1, n)
    return record.decode("utf-8", "replace").replace("\0", "\ufffd").encode()


_WHOLE = {
    "quoting": "breaks the quoting rules: a quote is written twice, inside a field that is quoted as a whole",
    "unclosed": "opens a quote that is never closed",
    "line_end": "holds a carriage return outside quotes; lines end in LF or CRLF",
    "too_large": f"begins a record of more than {LONGEST >> 20} MB",
    "empty_line": "is empty",
}


def _valid(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def split(record: bytes) -> list[bytes]:
    """Split a well-formed record into its fields, unquoted."""
    body = _body(record)
    fields, at = [], 0
    while True:
        if body[at : at + 1] == b'"':
            end = _end_of_quoted(body, at + 1)
            fields.append(body[at + 1 : end].replace(b'""', b'"'))
            at = end + 1
        else:
            end = body.find(b",", at)
            end = len(body) if end < 0 else end
            fields.append(body[at:end])
            at = end
        if at >= len(body):
            return fields
        at += 1


def _end_of_quoted(data: bytes, at: int) -> int:
    found = _INSIDE.match(data, at)
    return found.end() if found else at


def _body(line: bytes) -> bytes:
    if line.endswith(b"\r\n"):
        return line[:-2]
    return line[:-1] if line.endswith(b"\n") else line


class _Reader:
    """Gives records with the line they begin on, and the fault of each that is not plainly good."""

    def __init__(self, lines: IO[bytes]) -> None:
        self._lines = lines
        self._back: list[bytes] = []
        self._at = 0

    def skip_header(self) -> None:
        """Pass over the header, which was judged before."""
        for _ in self.records(-1):
            return

    def records(self, width: int) -> Iterator[tuple[int, bytes, str | None]]:
        """Give (line, bytes with one LF at the end, fault); a fault of "" asks for a closer look at the fields."""
        while (line := self._next()) is not None:
            start = self._at
            if b'"' not in line and b"\r" not in line and line.isascii() and b"\0" not in line:
                plain = line if line.endswith(b"\n") else line + b"\n"
                good = line.count(b",") == width - 1 and (len(plain) > 1 or width == 1)
                yield start, plain, None if good else ""
                continue
            record, fault = self._record(line)
            yield start, _body(record) + b"\n", fault

    def _record(self, line: bytes) -> tuple[bytes, str | None]:
        """Read on to the end of the record that `line` begins, or put back what a faulty one swallowed."""
        taken, size = [line], len(line)
        state = _state(_body(line), inside=False)
        while state == "open":
            more = self._next()
            if more is None or size > LONGEST:
                state = "unclosed" if more is None else "too_large"
                if more is not None:
                    self._put_back([more])
                break
            taken.append(more)
            size += len(more)
            # Only a quote ends the field: what an unclosed one swallows, most of a file, is passed over quickly.
            if b'"' in more:
                state = _state(_body(more), inside=True)
        if state:
            self._put_back(taken[1:])
            return taken[0], state
        return b"".join(taken), ""

    def _next(self) -> bytes | None:
        if not self._back:
            self._back = self._lines.readlines(BLOCK)[::-1]
            if not self._back:
                return None
        self._at += 1
        return self._back.pop()

    def _put_back(self, lines: list[bytes]) -> None:
        self._at -= len(lines)
        self._back.extend(reversed(lines))


def _state(body: bytes, *, inside: bool) -> str:
    """Follow one line by RFC 4180: "" at the end of a record, "open" inside a quoted field, else the fault."""
    at = 0
    while True:
        if inside or body[at : at + 1] == b'"':
            at = _end_of_quoted(body, at if inside else at + 1)
            if at >= len(body):
                return "open"
            inside, at = False, at + 1
        else:
            found = _PLAIN.match(body, at)
            at = found.end() if found else at
        if at >= len(body):
            return ""
        if body[at] == 0x2C:
            at += 1
            continue
        return "line_end" if body[at] == 0x0D else "quoting"
