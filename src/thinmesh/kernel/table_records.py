"""Tables as the log keeps them: every value of a `Table`, field ids and `inferred` included, and back.

A record is JSON whose members are the fields of `Table`, `Column` and `Reference`; what has its default is left out.
Records are never rewritten, so a field keeps its name for good; members of later releases are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from .contract import Column, Reference, Table, column_types


def _defaults(kind: type[Column | Reference | Table]) -> dict[str, Any]:
    """Give what each field is where nothing is said; `MISSING` where something must be."""
    return {
        each.name: each.default if each.default_factory is MISSING else each.default_factory() for each in fields(kind)
    }


_COLUMN, _REFERENCE, _TABLE = _defaults(Column), _defaults(Reference), _defaults(Table)


class TableRecord(NamedTuple):
    """A product's table at one publication (None: no data yet); `text` is its record as JSON.

    Where thousands are listed, each is read by who needs more than its name.
    """

    product: str
    name: str
    publication: str | None
    text: str

    def read(self) -> dict[str, Any]:
        """Give the record."""
        found: dict[str, Any] = json.loads(self.text)
        return found


class ColumnOutline(NamedTuple):
    """What lists of tables tell of a column."""

    name: str
    sql_type: str
    result_type: str
    required: bool


def outlines(record: Mapping[str, Any]) -> list[ColumnOutline]:
    """Give what lists tell of the columns of a table's record; to make a `Table` of it takes five times as long."""
    return [ColumnOutline(each["name"], *_types(each), each.get("required", False)) for each in record["columns"]]


def _types(column: Mapping[str, Any]) -> tuple[str, str]:
    logical_type, options = column.get("logical_type", "string"), column.get("options")
    zoned = logical_type == "timestamp" and bool(options and options.get("timezone"))
    return column_types(logical_type, column.get("physical_type"), zoned)


def table_record(table: Table) -> dict[str, Any]:
    """Write a table down for the log."""
    found = _record(table, _TABLE)
    found["columns"] = [_record(column, _COLUMN) for column in table.columns]
    if table.references:
        found["references"] = [_record(reference, _REFERENCE) for reference in table.references]
    return found


def table_of_record(record: Mapping[str, Any]) -> Table:
    """Read back what `table_record` wrote."""
    found = _values(record, _TABLE)
    found["columns"] = tuple(Column(**_values(column, _COLUMN)) for column in record["columns"])
    found["references"] = tuple(
        Reference(**_values(reference, _REFERENCE)) for reference in record.get("references", ())
    )
    found["unique"] = tuple(tuple(columns) for columns in found.get("unique", ()))
    return Table(**found)


def _record(value: object, defaults: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, default in defaults.items():
        member = getattr(value, name)
        if member != default:
            found[name] = _plain(member)
    return found


def _values(record: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    # A record has few of the fields, for most have their defaults.
    return {
        name: tuple(member) if isinstance(member, list) else member for name, member in record.items() if name in known
    }


def _plain(value: Any) -> Any:
    """Make lists of tuples and dicts of mappings."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(member) for member in value]
    return value
