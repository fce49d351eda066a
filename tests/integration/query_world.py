"""A small mesh for the query tests: real Parquet with field ids, a real catalog in memory, grants, a real log."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import NotAllowed, NotFound
from thinmesh.kernel.names import nearest
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.table_records import TableRecord, table_record
from thinmesh.planes.query.model import ReadableTable, Statement, TableName

OWNER = "olga"  # of every product

_ARROW = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
}


def arrow_type(column: Column) -> pa.DataType:
    if column.decimal:
        return pa.decimal128(*column.decimal)
    if column.zoned:
        return pa.timestamp("us", "UTC")
    return _ARROW.get(column.logical_type, pa.string())


def value_of(column: Column, value):
    if not isinstance(value, str):
        return value
    if column.decimal:
        return Decimal(value)
    readers = {"date": date.fromisoformat, "time": time.fromisoformat, "timestamp": datetime.fromisoformat}
    return readers.get(column.logical_type, str)(value)


def write(lake: Path, product: str, table: str, columns: Sequence[Column], rows: Sequence[Sequence]) -> Path:
    """Write one data file as the check engine does: field ids, no trust in names."""
    schema = pa.schema([
        pa.field(column.name, arrow_type(column), metadata={"PARQUET:field_id": str(column.id)}) for column in columns
    ])  # fmt: skip
    arrays = [
        pa.array([value_of(column, row[place]) for row in rows], arrow_type(column))
        for place, column in enumerate(columns)
    ]
    path = lake / product / table / f"{secrets.token_hex(8)}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays, schema=schema), path)
    return path


def recorded(table: ReadableTable) -> TableRecord:
    """Give a table as the index keeps it."""
    record = table_record(Table(table.table, table.columns, table.description))
    return TableRecord(table.product, table.table, table.publication, json.dumps(record))


class Catalog:
    """Tables of open and closed products; `granted` are (user, product)."""

    def __init__(self, tables: Sequence[ReadableTable], closed: Sequence[str] = ()) -> None:
        self.tables = {table.name: table for table in tables}
        self.closed = set(closed)
        self.granted: set[tuple[str, str]] = set()

    def may(self, caller: Principal, product: str) -> bool:
        return product not in self.closed or (caller.user, product) in self.granted

    def resolve(self, caller: Principal, names: Sequence[TableName]) -> list[ReadableTable]:
        found = []
        for name in names:
            table = self.describe(caller, name)
            if not self.may(caller, name.product):
                raise NotAllowed(f"The data of {name.product} needs a grant.", help=f"thinmesh request {name.product}")
            found.append(table)
        return found

    def readable(
        self, caller: Principal, limit: int | None = None, after: Sequence[str] = ("", "")
    ) -> list[TableRecord]:
        return [recorded(table) for table in self.allowed(caller) if (table.product, table.table) > tuple(after)][
            :limit
        ]

    def allowed(self, caller: Principal) -> list[ReadableTable]:
        tables = sorted(self.tables.items(), key=lambda item: (item[0].product, item[0].table))
        return [table for name, table in tables if self.may(caller, name.product)]

    def described(self, caller: Principal, product: str | None = None) -> list[tuple[str, str, str | None]]:
        return [
            (table.product, table.table, table.description)
            for table in self.allowed(caller)
            if product in (None, table.product)
        ]

    def names(self, caller: Principal) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for table in self.allowed(caller):
            found.setdefault(table.product, []).append(table.table)
        return found

    def describe(self, caller: Principal, name: TableName) -> ReadableTable:
        if name not in self.tables:
            near = nearest(str(name), map(str, self.tables))
            raise NotFound(f"There is no table {name}.", help=f"Did you mean {near}?" if near else "")
        return self.tables[name]

    def names_readers(self, caller: Principal, product: str) -> bool:
        if product not in {name.product for name in self.tables}:
            raise NotFound(f"There is no product {product}.")
        return caller.user == OWNER


class MemoryLog:
    """A query log in memory."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Statement] = {}

    def record(self, statements: Sequence[Statement]) -> None:
        self.entries |= {(one.user, one.id): one for one in statements}

    def find(self, user: str | None, id: str) -> Statement | None:
        found = [one for one in self.entries.values() if one.id == id and user in (None, one.user)]
        return max(found, key=lambda one: one.started, default=None)

    def list(self, user: str | None, limit: int, before: Sequence[str] | None) -> list[Statement]:
        def position(one: Statement) -> tuple[str, str, str]:
            return (one.started, one.user, one.id)

        found = [one for one in self.entries.values() if user in (None, one.user)]
        if before is not None:
            found = [one for one in found if position(one) < tuple(before)]
        return sorted(found, key=position, reverse=True)[:limit]

    def usage(self, product: str, since: str) -> tuple[list[tuple[str, int]], list[tuple[str, int, str]]]:
        return [], []

    def interrupted(self) -> None:
        pass


def moment() -> datetime:
    return datetime.now(UTC)
