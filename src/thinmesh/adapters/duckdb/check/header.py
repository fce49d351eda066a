"""The header of a file against the columns of a table: matched by name, in any order."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import Example, Violation
from thinmesh.kernel.names import nearest

_DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a pipe"}


# Wider tables are nearly always a transposed or a wrongly separated file.
WIDEST = 2000
# So many unknown names are compared with the known ones.
_COMPARED = 20


@dataclass(frozen=True, slots=True)
class Header:
    """The names of a file's fields in their order, and the physical lines that they take."""

    names: tuple[str, ...]
    lines: int = 1


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
    if len(names) > WIDEST:
        raise ValueError(f"names {len(names)} columns, more than the {WIDEST} that are taken")
    return Header(tuple(names), consumed)


def delimiter_fault(header: Header, table: Table | None) -> str | None:
    """Say that a file looks separated by something else than commas, or nothing."""
    if len(header.names) != 1:
        return None
    name = header.names[0]
    known = table is not None and table.columns and any(column.header == name for column in table.columns)
    for mark, word in _DELIMITERS.items():
        if mark in name and not known:
            return f"looks like a file separated by {word}, not by commas; save it as CSV (comma separated, UTF-8)"
    return None


def match(header: Header, table: Table, file: str) -> tuple[dict[int, Column], list[Violation]]:
    """Match fields with columns by name: the column of each field, and every fault of the header together.

    A column that the file lacks is a fault even where it may be empty: a silent NULL hides a misspelt header.
    """
    wanted = {column.header: column for column in table.columns}
    matched: dict[int, Column] = {}
    faults = []
    taken: set[str] = set()
    lacking = [name for name in wanted if name not in header.names]
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
        if column.name not in taken:
            near = "" if column.header == column.name else f" (column {column.name})"
            optional = "" if column.required else "; a column without values is still named in the header"
            message = f"the header lacks {column.header!r}{near}{optional}"
            faults.append(Violation(message, "missing_column", file, table.name, column.name, 1, (Example(1),)))
    return matched, faults


def _unknown(name: str, n: int, near: str | None, table: Table, file: str) -> Violation:
    hint = f"did you mean {near!r}? Else add" if near else "add"
    line = f'{{"name": "{name}", "logicalType": "string"}}'
    message = f"the header names {name!r}, which is no column of {table.name}; {hint} {line} to its columns"
    return _fault("unknown_column", message, name, name, n, table, file)


def _fault(rule: str, message: str, column: str, name: str, n: int, table: Table, file: str) -> Violation:
    return Violation(message, rule, file, table.name, column, 1, (Example(1, name, n + 1),))
