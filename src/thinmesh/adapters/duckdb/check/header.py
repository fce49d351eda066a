"""The header of a file against the columns of a table: matched by name, in any order."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import Example, Violation
from thinmesh.kernel.names import name_of_header, nearest
from thinmesh.planes.product.push_messages import quoted

from .lexical import NUMBER, TIMESTAMP, ZONED

_DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a pipe"}


# Wider tables are nearly always a transposed or a wrongly separated file.
WIDEST = 2000
# What nobody calls a column, with the kinds of values beside which it is one of them. Tables of one column a year are
# usual, and so are those of one a day whose values are no days.
_VALUES = (
    (re.compile(r"(?![12][0-9]{3}$)" + NUMBER), {"integer", "number"}),
    (re.compile(TIMESTAMP.partition("[T ]")[0]), {"date"}),
    (re.compile(TIMESTAMP), {"timestamp"}),
    (re.compile(ZONED), {"zoned"}),
)
# So many unknown names are compared with the known ones.
_COMPARED = 20


# How lines begin that tools and people write above a table; and so many records and
# characters tell how wide it is.
_COMMENT = ("#", "//", "--", "%", "sep=")
_RECORDS, _LOOKED_AT = 50, 100_000


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a file's fields in their order, and the physical lines that they take.

    `above` are the first lines of the file where they seem to be a comment or a title above the real header: how many.
    """

    names: tuple[str, ...]
    lines: int = 1
    above: int = 0


def read_header(head: bytes) -> Header:
    """Read the header from the first bytes of a CSV file. Raises ValueError saying what is wrong with it."""
    text = head.decode("utf-8-sig", "replace")
    if not text.strip():
        raise ValueError("is empty: the first line must name the columns")
    if "\n" not in text and "\r" in text.rstrip("\r\n"):
        raise ValueError("ends its lines in CR alone (old Mac); save it with LF or CRLF")
    consumed = 0

    def lines() -> object:
        nonlocal consumed
        for line in text.splitlines(keepends=True) if "\n" not in text else text.split("\n"):
            consumed += 1
            yield line + "\n" if "\n" in text else line

    try:
        names = next(csv.reader(lines(), strict=True))  # type: ignore[arg-type]
    except (csv.Error, StopIteration) as error:
        raise ValueError(f"has a header that cannot be read: {error}") from error
    if not names:
        raise ValueError("begins with an empty line: the first line must name the columns")
    if len(names) > WIDEST:
        raise ValueError(f"names {len(names)} columns, more than the {WIDEST} that are taken")
    return Header(tuple(names), consumed, _above(text, names))


def _above(text: str, names: Sequence[str]) -> int:
    """Count the first lines that seem to stand above the header: none where what follows is as wide as they are."""
    try:
        records = list(islice(csv.reader(text[:_LOOKED_AT].split("\n")), _RECORDS))
    except csv.Error:
        return 0
    commented = _is_comment(names)
    titled = len(names) == 1 and " " in names[0].strip()
    begun = next((n for n, one in enumerate(records) if n and one and not (commented and _is_comment(one))), 0)
    # One wide record below words may be a fault of its own; below a comment it is the header.
    below = [one for one in records[begun : begun + 5] if one][: 1 if commented else None]
    widths = {len(one) for one in below}
    apart = len(widths) == 1 and widths.isdisjoint({1, len(names)})
    return begun if apart and (commented or (titled and len(below) > 1)) else 0


def _is_comment(record: Sequence[str]) -> bool:
    return record[0].lstrip().startswith(_COMMENT)


def fault_of_form(header: Header, table: Table | None) -> str | None:
    """Say that a file looks like something else than a header and its rows with commas between, or nothing."""
    return _title_fault(header, table) or _delimiter_fault(header, table)


def _title_fault(header: Header, table: Table | None) -> str | None:
    """Say that a file begins with a comment or a title, or nothing."""
    known = table is not None and any(column.header == header.names[0] for column in table.columns)
    if not header.above or known:
        return None
    lines = "line 1, which looks" if header.above == 1 else f"lines 1 to {header.above}, which look"
    return f"does not begin with the names of the columns: remove {lines} like a comment or a title"


def _delimiter_fault(header: Header, table: Table | None) -> str | None:
    """Say that a file looks separated by something else than commas, or nothing."""
    if len(header.names) != 1:
        return None
    name = header.names[0]
    known = table is not None and table.columns and any(column.header == name for column in table.columns)
    for mark, word in _DELIMITERS.items():
        if mark in name and not known:
            return f"looks as if it were separated by {word}, not by commas; save it as CSV (comma separated, UTF-8)"
    return None


def doubt_of_header(header: Header, kinds: Mapping[str, str | None]) -> str | None:
    """Say that the first line may be data, or nothing; `kinds` tells by its name what each column below holds."""
    for name in header.names:
        kind = kinds.get(name)
        if any(form.fullmatch(name) and (kind is None or kind in alike) for form, alike in _VALUES):
            return (
                f"the first line is taken for the names of the columns, and {quoted(name)} in it looks like a value:"
                " if it is data, put a line of names above it"
            )
    return None


def match(
    header: Header, table: Table, file: str, before: Table | None = None, *, present: bool = False
) -> tuple[dict[int, Column], list[Violation]]:
    """Match fields with columns by name: the column of each field, and every fault of the header together.

    A column that the file lacks is a fault even where it may be empty: a silent NULL hides a misspelt header.
    `before` is the table without the columns that this check inferred. A `present` file was matched when it came: what
    it lacks and may be empty was added since.
    """
    # Exported data are named as the columns are: they come back unless that is another column's header.
    wanted = {column.name: column for column in table.columns} | {column.header: column for column in table.columns}
    matched: dict[int, Column] = {}
    faults = []
    taken: set[str] = set()
    lacking = [column.header for column in table.columns if not {column.name, column.header} & {*header.names}]
    known = {name for column in (before or table).columns for name in (column.name, column.header)}
    way_out = _way_out(table, lacking, [name for name in header.names if name.strip() and name not in known])
    for n, name in enumerate(header.names):
        column = wanted.get(name)
        if not name.strip():
            message = f"field {n + 1} of the header has no name"
            faults.append(Violation(message, "header", file, table.name, None, 1, (Example(1, name, n + 1),)))
        elif column is None:
            near = nearest(name, lacking) if len(faults) < _COMPARED else None
            faults.append(_unknown(name, n, near, table, file))
        elif column.name in taken:
            message = f"the header names {name!r} more than once"
            faults.append(_fault("duplicate_column", message, column.name, name, n, table, file))
        else:
            matched[n] = column
            taken.add(column.name)
    for column in table.columns:
        if column.name not in taken and (column.required or not present):
            near = "" if column.header == column.name else f" (column {column.name})"
            optional = "" if column.required else "; a column without values is still named in the header"
            message = f"the header lacks {column.header!r}{near}{way_out or optional}"
            way_out = ""
            faults.append(Violation(message, "missing_column", file, table.name, column.name, 1, (Example(1),)))
    return matched, faults


def _way_out(table: Table, lacking: Sequence[str], unknown: Sequence[str]) -> str:
    """Say what to do where a column may have been renamed; empty where none can have been."""
    if not lacking or not unknown:
        return ""
    name = next(column.name for column in table.columns if column.header == lacking[0])
    accept = " (thinmesh accept writes the inferred columns there)" if table.inferred else ""
    return (
        f"; if it is {unknown[0]!r} now: renaming a column breaks consumers; keep {name} and give it"
        f' "physicalName": {_json(unknown[0])} in product.json{accept}, or publish a new table beside {table.name}'
        f' and mark {table.name} "deprecated"'
    )


def _unknown(name: str, n: int, near: str | None, table: Table, file: str) -> Violation:
    hint = f"did you mean {near!r}? Else add" if near else "add"
    message = (
        f"the header names {name!r}, which is no column of {table.name}; {hint} {_line(name, table)} to its columns"
    )
    return _fault("unknown_column", message, name, name, n, table, file)


def _line(name: str, table: Table) -> str:
    """Give the column to add to a contract for a header."""
    legal = name_of_header(name, {column.name for column in table.columns})
    mapped = {} if legal == name else {"physicalName": name}
    return _json({"name": legal, **mapped, "logicalType": "string"})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _fault(rule: str, message: str, column: str, name: str, n: int, table: Table, file: str) -> Violation:
    return Violation(message, rule, file, table.name, column, 1, (Example(1, name, n + 1),))
