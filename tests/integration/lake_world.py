"""A small mesh for the warehouse tests: real Parquet with field ids, the real index, and pyiceberg as the reader."""

from __future__ import annotations

import secrets
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

from thinmesh.adapters.iceberg.tables import IcebergTables
from thinmesh.adapters.sql.index import SqlProductIndex
from thinmesh.adapters.sql.pointers import SqlPointers
from thinmesh.adapters.sql.schema import migrate
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.kernel.contract import Column, Table, with_ids
from thinmesh.kernel.ledger import Actor, Entry, ProductChange, TableLoad
from thinmesh.kernel.product import DataFile
from thinmesh.kernel.table_records import table_record
from thinmesh.planes.product.warehouse import Warehouse

from .query_world import arrow_type

ADA = Actor("ada", "cli")


def contract(name, previous=None, /, **types):
    """Make a table: `n="integer"`, `s="string!"` (required), `d="number DECIMAL(9,2)"`."""
    columns = []
    for column, text in types.items():
        logical, _, physical = text.rstrip("!").partition(" ")
        columns.append(Column(column, logical, physical or None, required=text.endswith("!")))
    return with_ids(Table(name, tuple(columns)), previous)


def write_parquet(path: Path, table: Table, rows, **options) -> None:
    """Write rows (one sequence per row, in the table's order) as Parquet with the table's field ids."""
    fields = [
        pa.field(column.name, arrow_type(column), metadata={"PARQUET:field_id": str(column.id)})
        for column in table.columns
    ]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(fields)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, fields, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), path, **options)


class World:
    """A home with an index that entries are applied to, and its warehouse."""

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.lake = home / "lake"
        self.lake.mkdir(exist_ok=True)
        self.database = SqliteDatabase(home / "thinmesh.db")
        migrate(self.database)
        self.index = SqlProductIndex(lambda blob: b"")
        self.pointers = SqlPointers()
        self.now = datetime.now(UTC)
        self.sequence = 0
        self.publications: dict[str, int] = {}
        self.warehouse = self.open_warehouse()

    def open_warehouse(self, tables=None) -> Warehouse:
        tables = tables or IcebergTables(self.lake)
        return Warehouse(self.database, self.index, self.pointers, tables, lambda: self.now)

    def close(self) -> None:
        self.database.close()

    def data(self, product: str, table: Table, rows) -> DataFile:
        """Store a data file."""
        path = f"{product}/{table.name}/{secrets.token_hex(12)}.parquet"
        write_parquet(self.lake / path, table, rows)
        content = secrets.token_hex(32)
        return DataFile(path, "", len(rows), (self.lake / path).stat().st_size, content)

    def change(self, *changes: ProductChange) -> int:
        """Apply one entry to the index and give its sequence."""
        self.sequence += 1
        entry = Entry(self.sequence, f"2026-01-01T00:00:{self.sequence:02}Z", ADA, "", f"c{self.sequence}", changes)
        with self.database.write() as tx:
            self.index.apply(tx, entry)
            self.index.move_cursor(tx, f"e{self.sequence}", self.sequence)
        return self.sequence

    def registered(self, product: str, *tables: Table, **more) -> ProductChange:
        described = {"name": product, "domain": "d", "description": product}
        change = ProductChange(product, "registered", "d", "t", "open", "active", "1.0.0", described=described)
        return replace(change, tables={table.name: table_record(table) for table in tables}, **more)

    def register(self, product: str, *tables: Table, **more) -> int:
        return self.change(self.registered(product, *tables, **more))

    def publish(self, product: str, loads, mode: str = "replace", tables=()) -> list[DataFile]:
        """Publish (table, rows or data files) pairs as one publication."""
        number = self.publications[product] = self.publications.get(product, 0) + 1
        made = {
            table.name: [self.data(product, table, rows)] if rows and isinstance(rows[0], tuple) else list(rows)
            for table, rows in loads
        }
        change = self.registered(
            product,
            *tables,
            event="published",
            publication=f"p{number}",
            loads={name: TableLoad(mode, tuple(files)) for name, files in made.items()},
        )
        self.change(change)
        return [file for files in made.values() for file in files]

    def follow(self) -> int:
        """Follow until nothing is left to do."""
        count = 0
        while found := self.warehouse.follow():
            count += found
        return count

    @property
    def lag(self) -> int:
        with self.database.read() as tx:
            return self.warehouse.lag(tx)

    def faults(self):
        with self.database.read() as tx:
            return self.warehouse.state(tx)

    def locations(self, product: str):
        with self.database.read() as tx:
            return dict(self.pointers.locations(tx, product))

    def read(self, name: str, snapshot: int | None = None) -> list[tuple]:
        """Read a table as any Iceberg client does: rows in the order of the first column."""
        with self.catalog() as catalog:
            found = catalog.load_table(name).scan(snapshot_id=snapshot).to_arrow()
        return sorted(zip(*(column.to_pylist() for column in found.columns), strict=True), key=repr)

    def table(self, name: str):
        with self.catalog() as catalog:
            return catalog.load_table(name)

    @contextmanager
    def catalog(self):
        uri = f"sqlite:///{self.home / 'thinmesh.db'}"
        with closing(SqlCatalog("mesh", uri=uri, warehouse=str(self.lake), init_catalog_tables="false")) as catalog:
            yield catalog

    def later(self, **pause) -> None:
        self.now += timedelta(**pause)
