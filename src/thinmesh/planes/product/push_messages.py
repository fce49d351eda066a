"""How a refusal reads at the pushing client: one line per place, nothing in it that a terminal would obey."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from thinmesh.kernel.errors import Example, MeshError, Violation

_LONGEST = 500
# More than anybody reads; the count is told.
_MOST_LINES = 200
# So much of a value stands in a message; the example beside it has more.
_QUOTED = 60


def printable(text: str) -> str:
    r"""Escape what is not plain text: control and bidirectional characters, bytes that were no UTF-8 (`\x1b`)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    # Cc, Cf (bidirectional and zero-width), Cs, Co, Cn; Zl and Zp break lines.
    if unicodedata.category(character)[0] == "C" or unicodedata.category(character) in ("Zl", "Zp"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def quoted(value: str) -> str:
    """Quote a value on one line, shortened: a message about values begins with the first of them, so quoted."""
    value = value.replace("\r", "\\r").replace("\n", "\\n")
    return f'"{value if len(value) <= _QUOTED else value[:_QUOTED] + "…"}"'


def lines_of(violations: Iterable[Violation]) -> list[str]:
    """Render violations as `refused: file:line:field column: message`, one line per place, in a fixed order."""
    found = list(dict.fromkeys(line for violation in sorted(violations, key=_order) for line in _lines(violation)))
    more = len(found) - _MOST_LINES
    return [*found[:_MOST_LINES], f"refused: and {more} more lines like these"] if more > 0 else found


def lines_of_error(error: MeshError) -> list[str]:
    """Render an error: its violations, or its detail where it has none; then what to do."""
    found = lines_of(error.violations) or [cut(f"refused: {printable(error.detail)}")]
    return [*found, cut(f"help: {printable(error.help)}")] if error.help else found


def _order(violation: Violation) -> tuple[str, int, int, str, str]:
    first = violation.examples[0] if violation.examples else Example(0)
    return (
        violation.file or "",
        first.line or 0,
        first.position or 0,
        violation.column or "",
        violation.message,
    )


def _lines(violation: Violation) -> Iterator[str]:
    for example in violation.examples:
        yield _line(violation, example)
    if not violation.examples:
        yield _line(violation, None)
    more = violation.count - len(violation.examples)
    if violation.examples and more > 0:
        yield cut(f"refused: {_place(violation, None)}… and {more} more: {printable(_text(violation))}")


def _line(violation: Violation, example: Example | None) -> str:
    """Write one line; its own value stands in it, not the first one of the violation."""
    text = _text(violation)
    if example and example.value is not None and (text != violation.message or example.value not in text):
        text = f"{quoted(example.value)} {text}"
    return cut(f"refused: {_place(violation, example)}{printable(text)}")


def _text(violation: Violation) -> str:
    """Give the message without the value that it begins with."""
    first = violation.examples[0].value if violation.examples else None
    return violation.message if first is None else violation.message.removeprefix(f"{quoted(first)} ")


def _place(violation: Violation, example: Example | None) -> str:
    where = printable(violation.file or "")
    if example and example.line is not None:
        where += f":{example.line}" + (f":{example.position}" if example.position is not None else "")
    if violation.column:
        where += f" {printable(violation.column)}"
    return f"{where}: " if where else ""


def cut(line: str) -> str:
    """Shorten a line to what a terminal shows in a few rows."""
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
