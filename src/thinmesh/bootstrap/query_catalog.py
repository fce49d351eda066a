"""The product plane's tables, in the query plane's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thinmesh.kernel.policy import Principal
    from thinmesh.kernel.table_records import TableRecord
    from thinmesh.planes.product.model import Snapshot
    from thinmesh.planes.product.reading import Reading
    from thinmesh.planes.query.model import ReadableTable, TableName


@dataclass(frozen=True, slots=True)
class QueryCatalog:
    """Shows the product plane's tables to the query plane, in its words."""

    reading: Reading

    def resolve(self, caller: Principal, names: Sequence[TableName]) -> Sequence[ReadableTable]:
        """Give the tables named, of one consistent state."""
        found = self.reading.snapshots(caller, [(name.product, name.table) for name in names])
        return [readable_table(snapshot) for snapshot in found]

    def readable(
        self, caller: Principal, limit: int | None = None, after: Sequence[str] = ("", "")
    ) -> Sequence[TableRecord]:
        """Give the tables whose data the caller may read."""
        return self.reading.readable(caller, limit, after)

    def described(self, caller: Principal, product: str | None = None) -> Sequence[tuple[str, str, str | None]]:
        """Give their names and descriptions."""
        return self.reading.described(caller, product)

    def names(self, caller: Principal) -> Mapping[str, Sequence[str]]:
        """Give the names of those tables, by product."""
        return self.reading.names(caller)

    def describe(self, caller: Principal, name: TableName) -> ReadableTable:
        """Give a table's columns."""
        return readable_table(self.reading.describe(caller, name.product, name.table))

    def names_readers(self, caller: Principal, product: str) -> bool:
        """Tell whether the caller may know by name who reads a product."""
        return self.reading.names_readers(caller, product)


def readable_table(found: Snapshot) -> ReadableTable:
    """Give a table in the query plane's words."""
    from thinmesh.planes.query.model import ReadableTable

    return ReadableTable(
        found.product,
        found.table.name,
        found.table.columns,
        found.publication,
        found.files,
        found.table.primary_key,
        found.table.description,
    )
