"""Tables as the log keeps them: every value of a `Table`, field ids and `inferred` included, and back.

A record is JSON whose members are the fields of `Table`, `Column` and `Reference`; what has its default is left out.
Records are never rewritten, so a field keeps its name for good; members of later releases are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from .contract import Column, Reference, Table

_COLUMN_FIELDS = fields(Column)
_REFERENCE_FIELDS = fields(Reference)
_TABLE_FIELDS = fields(Table)
_COLUMN_NAMES = frozenset(each.name for each in _COLUMN_FIELDS)
_REFERENCE_NAMES = frozenset(each.name for each in _REFERENCE_FIELDS)
_TABLE_NAMES = frozenset(each.name for each in _TABLE_FIELDS)


def table_record(table: Table) -> dict[str, Any]:
    """Write a table down for the log."""
    found = _record(table, _TABLE_FIELDS)
    found["columns"] = [_record(column, _COLUMN_FIELDS) for column in table.columns]
    if table.references:
        found["references"] = [_record(reference, _REFERENCE_FIELDS) for reference in table.references]
    return found


def table_of_record(record: Mapping[str, Any]) -> Table:
    """Read back what `table_record` wrote."""
    found = _values(record, _TABLE_NAMES)
    found["columns"] = tuple(Column(**_values(column, _COLUMN_NAMES)) for column in record["columns"])
    found["references"] = tuple(
        Reference(**_values(reference, _REFERENCE_NAMES)) for reference in record.get("references", ())
    )
    found["unique"] = tuple(tuple(columns) for columns in found.get("unique", ()))
    return Table(**found)


def _record(value: object, described: tuple[Field[Any], ...]) -> dict[str, Any]:
    found = {}
    for each in described:
        member = getattr(value, each.name)
        if member != _default(each):
            found[each.name] = _plain(member)
    return found


def _values(record: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    # A record has few of the fields, for most have their defaults.
    return {
        name: tuple(member) if isinstance(member, list) else member for name, member in record.items() if name in known
    }


def _default(each: Field[Any]) -> Any:
    if each.default_factory is not MISSING:
        factory: Callable[[], Any] = each.default_factory
        return factory()
    return each.default


def _plain(value: Any) -> Any:
    """Make lists of tuples and dicts of mappings."""
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(member) for member in value]
    return value
