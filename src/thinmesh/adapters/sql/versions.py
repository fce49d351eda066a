"""The versions of the tables, without what makes them: every command on a home looks, and loads nothing for it."""

from __future__ import annotations

from collections.abc import Mapping

from thinmesh.kernel.database import Database, Transaction

# Those of `STORES` (schema.py); a test compares them.
NEWEST: Mapping[str, int] = {
    "index": 6,
    "warehouse": 1,
    "deliveries": 1,
    "statements": 2,
    "identity": 2,
    "exchange": 1,
    "audit": 2,
    "idempotency": 1,
    "operations": 1,
}


def is_current(database: Database) -> bool:
    """Tell whether a database has exactly the tables of this release."""
    with database.read() as tx:
        return versions(tx) == NEWEST


def versions(tx: Transaction) -> dict[str, int]:
    """Give the version of each store; nothing where the database is new."""
    if not tx.one("SELECT 1 FROM sqlite_master WHERE name = 'schema_versions'"):
        return {}
    return {row["store"]: row["version"] for row in tx.all("SELECT store, version FROM schema_versions")}
