"""The pointers of the Iceberg tables, in the tables of pyiceberg's SqlCatalog, and how far they have come.

Any Iceberg client reads the warehouse by a SqlCatalog named "mesh" on the platform database; this is its only writer.
Namespace = product, table = table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thinmesh.kernel.database import Transaction
from thinmesh.planes.product.model import WarehouseFault

# The two catalog tables are pyiceberg's (catalog/sql.py, schema V1), to the letter: other engines know them.
POINTERS_SCHEMA = (
    """CREATE TABLE iceberg_tables (
        catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
        metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5),
        PRIMARY KEY (catalog_name, table_namespace, table_name))""",
    """CREATE TABLE iceberg_namespace_properties (
        catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL,
        property_value VARCHAR(1000) NOT NULL, PRIMARY KEY (catalog_name, namespace, property_key))""",
    """CREATE TABLE warehouse_faults (
        product TEXT PRIMARY KEY, since TEXT NOT NULL, attempts INTEGER NOT NULL, retry TEXT NOT NULL,
        detail TEXT NOT NULL)""",
    "CREATE INDEX products_by_sequence ON products (sequence, name)",
)

CATALOG = "mesh"
_PROJECTION = "warehouse"
_FAULT = "SELECT product, since, attempts, retry, detail FROM warehouse_faults"
_AFTER = "(sequence > :sequence OR (sequence = :sequence AND name > :name))"


class SqlPointers:
    """A `WarehousePointers` (planes/product/backend.py)."""

    def touched(self, tx: Transaction, limit: int) -> Sequence[tuple[str, int]]:
        """Give (name, sequence) of up to `limit` products that changed since the position, oldest change first."""
        rows = tx.all(
            f"SELECT name, sequence FROM products WHERE {_AFTER} ORDER BY sequence, name LIMIT :limit",
            {**self._position(tx), "limit": limit},
        )
        return [(row["name"], row["sequence"]) for row in rows]

    def untaken(self, tx: Transaction) -> int:
        """Count the products that changed since the position, and those with a fault."""
        row = tx.one(
            f"""SELECT count(*) AS found FROM products
                WHERE {_AFTER} OR name IN (SELECT product FROM warehouse_faults)""",
            self._position(tx),
        )
        return int(row["found"]) if row else 0

    def move_position(self, tx: Transaction, name: str, sequence: int) -> None:
        """Record that every product up to this one, in the order of `touched`, was taken."""
        tx.execute(
            """INSERT INTO cursors (projection, entry, sequence) VALUES (:p, :name, :sequence)
               ON CONFLICT (projection) DO UPDATE SET entry = excluded.entry, sequence = excluded.sequence""",
            {"p": _PROJECTION, "name": name, "sequence": sequence},
        )

    def sequence(self, tx: Transaction, product: str) -> int:
        """Give the log sequence of a product's last change; 0 where there is none."""
        row = tx.one("SELECT sequence FROM products WHERE name = :p", {"p": product})
        return int(row["sequence"]) if row else 0

    def provenance(self, tx: Transaction, product: str) -> Mapping[str, Mapping[str, str]]:
        """Give, for each table with data, its publication, who made it, when, and the commit on `main`."""
        rows = tx.all(
            """SELECT t.name, t.publication, p.actor AS publisher, p.at AS published, h.commit_id AS "commit"
               FROM product_tables t
               JOIN publications p ON p.product = t.product AND p.number = CAST(substr(t.publication, 2) AS INTEGER)
               JOIN product_history h ON h.product = p.product AND h.sequence = p.sequence
               WHERE t.product = :p""",
            {"p": product},
        )
        return {
            row["name"]: {name: row[name] for name in ("publication", "publisher", "published", "commit")}
            for row in rows
        }

    def locations(self, tx: Transaction, product: str) -> Mapping[str, str]:
        """Give the metadata location of each of a product's tables."""
        rows = tx.all(
            """SELECT table_name, metadata_location FROM iceberg_tables
               WHERE catalog_name = :c AND table_namespace = :p AND metadata_location IS NOT NULL""",
            {"c": CATALOG, "p": product},
        )
        return {row["table_name"]: row["metadata_location"] for row in rows}

    def all_locations(self, tx: Transaction) -> Mapping[str, Mapping[str, str]]:
        """Give the metadata location of every table, by product."""
        rows = tx.all(
            """SELECT table_namespace, table_name, metadata_location FROM iceberg_tables
               WHERE catalog_name = :c AND metadata_location IS NOT NULL""",
            {"c": CATALOG},
        )
        found: dict[str, dict[str, str]] = {}
        for row in rows:
            found.setdefault(row["table_namespace"], {})[row["table_name"]] = row["metadata_location"]
        return found

    def move(self, tx: Transaction, product: str, locations: Mapping[str, str]) -> None:
        """Make these a product's tables: pointers move, others go; without a table the namespace goes too."""
        where: dict[str, Any] = {"c": CATALOG, "p": product}
        for table in self.locations(tx, product).keys() - locations.keys():
            tx.execute(
                "DELETE FROM iceberg_tables WHERE catalog_name = :c AND table_namespace = :p AND table_name = :t",
                {**where, "t": table},
            )
        tx.execute_many(
            """INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
               VALUES (:c, :p, :t, :location, 'TABLE')
               ON CONFLICT (catalog_name, table_namespace, table_name) DO UPDATE SET
                 previous_metadata_location = iceberg_tables.metadata_location,
                 metadata_location = excluded.metadata_location, iceberg_type = excluded.iceberg_type
               WHERE iceberg_tables.metadata_location IS NULL
                 OR iceberg_tables.metadata_location <> excluded.metadata_location""",
            [{**where, "t": table, "location": location} for table, location in locations.items()],
        )
        if not locations:
            tx.execute("DELETE FROM iceberg_namespace_properties WHERE catalog_name = :c AND namespace = :p", where)
            return
        tx.execute(
            """INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value)
               VALUES (:c, :p, 'exists', 'true') ON CONFLICT DO NOTHING""",
            where,
        )

    def drop_outside(self, tx: Transaction, base: str) -> None:
        """Remove the pointers to locations that do not begin with `base`."""
        tx.execute(
            """DELETE FROM iceberg_tables
               WHERE catalog_name = :c AND substr(metadata_location, 1, length(:base)) <> :base""",
            {"c": CATALOG, "base": base},
        )

    def restart(self, tx: Transaction) -> None:
        """Go back to before the first product; pointers stay."""
        tx.execute("DELETE FROM cursors WHERE projection = :p", {"p": _PROJECTION})

    def clear(self, tx: Transaction) -> None:
        """Forget everything."""
        tx.execute("DELETE FROM iceberg_tables WHERE catalog_name = :c", {"c": CATALOG})
        tx.execute("DELETE FROM iceberg_namespace_properties WHERE catalog_name = :c", {"c": CATALOG})
        tx.execute("DELETE FROM warehouse_faults")
        self.restart(tx)

    def fault(self, tx: Transaction, product: str) -> WarehouseFault | None:
        """Give what keeps a product back, if anything does."""
        row = tx.one(f"{_FAULT} WHERE product = :p", {"p": product})
        return WarehouseFault(**dict(row)) if row else None

    def faults(self, tx: Transaction) -> Sequence[WarehouseFault]:
        """Give every product that is kept back, by name."""
        return [WarehouseFault(**dict(row)) for row in tx.all(f"{_FAULT} ORDER BY product")]

    def due(self, tx: Transaction, now: str, limit: int) -> Sequence[str]:
        """Give up to `limit` products with a fault that are to be tried again."""
        rows = tx.all(
            "SELECT product FROM warehouse_faults WHERE retry <= :now ORDER BY retry, product LIMIT :limit",
            {"now": now, "limit": limit},
        )
        return [row["product"] for row in rows]

    def record_fault(self, tx: Transaction, fault: WarehouseFault) -> None:
        """Record what keeps a product back, over what did before."""
        tx.execute(
            """INSERT INTO warehouse_faults (product, since, attempts, retry, detail)
               VALUES (:product, :since, :attempts, :retry, :detail)
               ON CONFLICT (product) DO UPDATE SET since = excluded.since, attempts = excluded.attempts,
                 retry = excluded.retry, detail = excluded.detail""",
            {
                "product": fault.product,
                "since": fault.since,
                "attempts": fault.attempts,
                "retry": fault.retry,
                "detail": fault.detail,
            },
        )

    def forget_fault(self, tx: Transaction, product: str) -> None:
        """Record that nothing keeps a product back."""
        tx.execute("DELETE FROM warehouse_faults WHERE product = :p", {"p": product})

    def _position(self, tx: Transaction) -> dict[str, Any]:
        row = tx.one("SELECT entry, sequence FROM cursors WHERE projection = :p", {"p": _PROJECTION})
        return {"name": row["entry"] if row else "", "sequence": row["sequence"] if row else 0}
