"""What people see in a terminal. Text that others wrote is shown with its control characters escaped."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

_GAP = "  "
_NARROWEST = 8


def printable(text: object) -> str:
    """Show a text on one line, with what a terminal would obey (control and formatting characters) escaped."""
    found = str(text)
    if found.isprintable():
        return found
    return "".join(_shown(character) for character in found)


def lines(text: object, indent: str = "") -> str:
    """Show a text on its own lines, those after the first indented, with everything else escaped as ever."""
    return f"\n{indent}".join(printable(line) for line in str(text).rstrip("\n").split("\n"))


def _shown(character: str) -> str:
    if character == "\n":
        return "⏎"
    if character == "\t":
        return " "
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return character.encode("unicode_escape").decode()
    return character


def width(text: str) -> int:
    """Give the number of terminal cells of a printable text."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, cells: int) -> str:
    """Shorten a text to a number of cells, with an ellipsis where something is left out."""
    if width(text) <= cells:
        return text
    kept, used = [], 0
    for character in text:
        used += _cells(character)
        if used > cells - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[int] = ()) -> str:
    """Draw a table: aligned columns under a header; on a terminal wide columns are cut to fit, elsewhere never.

    `right` names the columns, by their ordinal, that are aligned to the right.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max([width(header), *(width(row[number]) for row in cells)])
        for number, header in enumerate(map(printable, headers))
    ]
    if sys.stdout.isatty():
        widths = _fitted(widths, shutil.get_terminal_size().columns)
    lines = [_line([printable(header) for header in headers], widths, right)]
    lines.append(_GAP.join("─" * each for each in widths))
    lines.extend(_line(row, widths, right) for row in cells)
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(printable(item) for item in value)
    return printable(value)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> str:
    shown = []
    for number, (text, cells_wide) in enumerate(zip(cells, widths, strict=True)):
        text = cut(text, cells_wide)
        padding = " " * (cells_wide - width(text))
        shown.append(padding + text if number in right else text + padding)
    return _GAP.join(shown).rstrip()


def _fitted(widths: Sequence[int], columns: int) -> list[int]:
    """Take from the widest columns until the table fits, or every column is narrow."""
    found = list(widths)
    while sum(found) + len(_GAP) * (len(found) - 1) > columns and max(found) > _NARROWEST:
        found[found.index(max(found))] -= 1
    return found


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """Draw names and values, aligned; what has no value is left out."""
    known = [(name, _cell(value)) for name, value in pairs if value not in (None, "", [], {}, ())]
    wide = max((len(name) for name, _ in known), default=0)
    return "\n".join(f"{name:<{wide}}  {value}" for name, value in known)


def size(count: int) -> str:
    """Write a number of bytes for people."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def span(seconds: int) -> str:
    """Write a time span for people, by its two largest units."""
    units = (("d", seconds // 86400), ("h", seconds // 3600 % 24), ("min", seconds // 60 % 60), ("s", seconds % 60))
    first = next((number for number, (_, count) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for unit, count in units[first : first + 2])


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


class ProgressLine:
    """One line on a terminal that says what is being done; elsewhere nothing is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = ""
        self._active = stream.isatty()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show a step; `total` 0: of unknown size."""
        if not self._active:
            return
        text = (
            f"{printable(what)} {size(done)}"
            if not total
            else f"{printable(what)} {100 * done // total}% of {size(total)}"
        )
        if text != self._shown:
            self._shown = text
            self._stream.write(f"\r\x1b[K{cut(text, shutil.get_terminal_size().columns - 1)}")
            self._stream.flush()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *error: object) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def listed(headers: Sequence[str], rows: Sequence[Sequence[Any]], cursor: str | None, otherwise: str) -> str:
    """Draw a page of a list, and how to get the next one; `otherwise` where there is nothing."""
    if not rows:
        return otherwise
    more = f"\nThere is more: --cursor {cursor}" if cursor else ""
    return table(headers, rows) + more
