"""Tables and columns as the mesh holds them: one shape for descriptors, ODCS, checks, SQL and Iceberg.

Parsing lives in `documents.py`, the rules of change in `compatibility.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

LOGICAL_TYPES = ("string", "integer", "number", "boolean", "date", "time", "timestamp", "object", "array")
# Data with one of these never enters the shared repository (INTERFACE, *Git*).
CLASSIFIED = frozenset({"personal", "confidential", "restricted"})

_WORD = re.compile(r"[a-z]+")
_DECIMAL = re.compile(r"(?:DECIMAL|DEC|NUMERIC|NUMBER)\s*\(\s*(\d{1,2})\s*(?:,\s*(\d{1,2})\s*)?\)", re.IGNORECASE)
_SQL_TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
}
_RESULT_TYPES = {"number": "double", "object": "json", "array": "json"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: an ODCS schema property, with the field id its data files carry (0: not given yet).

    `options` is `logicalTypeOptions`, `quality` the ODCS quality rules, `extra` every other ODCS field, word for word.
    """

    name: str
    logical_type: str = "string"
    physical_type: str | None = None
    physical_name: str | None = None
    description: str | None = None
    required: bool = False
    unique: bool = False
    classification: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    quality: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0

    @property
    def header(self) -> str:
        """Give the name that the column has in a CSV header."""
        return self.physical_name or self.name

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Give (precision, scale) of a decimal column, or nothing."""
        return _decimal(self.logical_type, self.physical_type)

    @property
    def zoned(self) -> bool:
        """Tell whether a timestamp carries a time zone."""
        return self.logical_type == "timestamp" and bool(self.options.get("timezone"))

    @property
    def values(self) -> tuple[str, ...] | None:
        """Give the values a column may have, as texts: ODCS 3.2 `enum`, or `logicalTypeOptions.enum`."""
        found = self.extra.get("enum") or self.options.get("enum")
        if not isinstance(found, list | tuple):
            return None
        values = (item.get("value") if isinstance(item, Mapping) else item for item in found)
        return tuple(
            str(value).lower() if isinstance(value, bool) else str(value) for value in values if value is not None
        )

    @property
    def classified(self) -> bool:
        """Tell whether the column, or a property inside it, holds personal, confidential or restricted data."""
        return _is_classified(self.classification) or any(map(_is_classified, _classifications_below(self.extra)))

    @property
    def sql_type(self) -> str:
        """Give the SQL type (INTERFACE, *SQL*), in DuckDB's spelling."""
        return column_types(self.logical_type, self.physical_type, self.zoned)[0]

    @property
    def result_type(self) -> str:
        """Give the type from the fixed list of JSON results (INTERFACE, *HTTP*)."""
        return column_types(self.logical_type, self.physical_type, self.zoned)[1]


@lru_cache(1024)
def column_types(logical_type: str, physical_type: str | None, zoned: bool) -> tuple[str, str]:
    """Give a column's SQL type (INTERFACE, *SQL*) in DuckDB's spelling, and that of JSON results (*HTTP*)."""
    decimal = _decimal(logical_type, physical_type)
    if decimal:
        return "DECIMAL({},{})".format(*decimal), "decimal({},{})".format(*decimal)
    if zoned:
        return "TIMESTAMP WITH TIME ZONE", "timestamptz"
    return _SQL_TYPES.get(logical_type, "VARCHAR"), _RESULT_TYPES.get(logical_type, logical_type)


def _decimal(logical_type: str, physical_type: str | None) -> tuple[int, int] | None:
    if logical_type != "number" or not physical_type:
        return None
    found = _DECIMAL.fullmatch(physical_type.strip())
    return (int(found[1]), int(found[2] or 0)) if found else None


def _is_classified(classification: object) -> bool:
    """Tell whether one of the words keeps data out of the shared repository ("highly confidential" does)."""
    return bool(classification) and not CLASSIFIED.isdisjoint(_WORD.findall(str(classification).lower()))


def _classifications_below(property: Mapping[str, Any]) -> Iterator[object]:
    """Give the classification of every property nested in an ODCS property (`properties`, `items`), at any depth.

    A YAML alias may put one property in many places; each is looked at once, so that the work stays bounded.
    """
    waiting: list[object] = [property.get("properties"), property.get("items")]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, list | tuple):
            waiting.extend(found)
        elif isinstance(found, Mapping):
            yield found.get("classification")
            waiting += [found.get("properties"), found.get("items")]


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: `columns` here name `to` in `product.table`; `product` is empty inside the same product."""

    columns: tuple[str, ...]
    product: str
    table: str
    to: tuple[str, ...]


# Without slots, so that its columns by name are made once.
@dataclass(frozen=True)
class Table:
    """One table of a product. `inferred` marks a provisional one, which later publications may widen."""

    name: str
    columns: tuple[Column, ...]
    description: str | None = None
    null: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    references: tuple[Reference, ...] = ()
    quality: tuple[Mapping[str, Any], ...] = ()
    deprecated: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    inferred: bool = False
    last_id: int = 0

    def column(self, name: str) -> Column | None:
        """Find a column by its name."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in reversed(self.columns)}

    @property
    def classified(self) -> bool:
        """Tell whether a column holds personal, confidential or restricted data."""
        return any(column.classified for column in self.columns)


def with_ids(table: Table, previous: Table | None = None) -> Table:
    """Give every column its field id: the one it had in `previous` under the same name, else a fresh one.

    Ids are never used twice, so that data files written under an earlier contract stay readable by id.
    """
    known = {column.name: column.id for column in previous.columns} if previous else {}
    last = previous.last_id if previous else 0
    columns = []
    for column in table.columns:
        found = known.get(column.name)
        if not found:
            last += 1
            found = last
        columns.append(replace(column, id=found))
    return replace(table, columns=tuple(columns), last_id=last)
