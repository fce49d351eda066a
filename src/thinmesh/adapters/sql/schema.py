"""The tables of the platform database, and the steps that bring an older database to them.

Each store names the statements of its first version in its `*_SCHEMA`; a later change is a new tuple and a new
version in `STORES`, and a step once released is never edited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from thinmesh.kernel.database import Database
from thinmesh.kernel.errors import Conflict, Temporary

from .audit import AUDIT_HEAD_SCHEMA, AUDIT_SCHEMA
from .deliveries import DELIVERIES_SCHEMA
from .exchange import EXCHANGE_SCHEMA
from .idempotency import IDEMPOTENCY_SCHEMA
from .identity import IDENTITY_SCHEMA, VOUCHED_SCHEMA
from .index_schema import (
    INDEX_NAMES_SCHEMA,
    INDEX_ODPS_SCHEMA,
    INDEX_SCHEMA,
    INDEX_SEARCH_SCHEMA,
    INDEX_TAGS_SCHEMA,
    INPUTS_SCHEMA,
)
from .operations import OPERATIONS_SCHEMA
from .pointers import POINTERS_SCHEMA
from .statements import READS_SCHEMA, STATEMENTS_SCHEMA
from .versions import versions

Steps: TypeAlias = tuple[tuple[int, tuple[str, ...]], ...]

STORES: Mapping[str, Steps] = {
    "index": (
        (1, INDEX_SCHEMA),
        (2, INDEX_TAGS_SCHEMA),
        (3, INPUTS_SCHEMA),
        (4, INDEX_ODPS_SCHEMA),
        (5, INDEX_SEARCH_SCHEMA),
        (6, INDEX_NAMES_SCHEMA),
    ),
    "warehouse": ((1, POINTERS_SCHEMA),),
    "deliveries": ((1, DELIVERIES_SCHEMA),),
    "statements": ((1, STATEMENTS_SCHEMA), (2, READS_SCHEMA)),
    "identity": ((1, IDENTITY_SCHEMA), (2, VOUCHED_SCHEMA)),
    "exchange": ((1, EXCHANGE_SCHEMA),),
    "audit": ((1, AUDIT_SCHEMA), (2, AUDIT_HEAD_SCHEMA)),
    "idempotency": ((1, IDEMPOTENCY_SCHEMA),),
    "operations": ((1, OPERATIONS_SCHEMA),),
}

_VERSIONS = "CREATE TABLE IF NOT EXISTS schema_versions (store TEXT PRIMARY KEY, version INTEGER NOT NULL)"


def migrate(database: Database, stores: Mapping[str, Steps] = STORES) -> list[str]:
    """Apply the missing steps, each in one transaction, and name them ("identity 1").

    Raises Conflict where the database was written by a newer release.
    """
    with database.write() as tx:
        tx.execute(_VERSIONS)
        _refuse_newer(versions(tx), stores)
    return [
        f"{store} {version}"
        for store, steps in stores.items()
        for version, statements in steps
        if _apply(database, store, version, statements)
    ]


def check_current(database: Database, stores: Mapping[str, Steps] = STORES) -> None:
    """Make sure that the database fits this release.

    Raises Conflict where a newer release wrote it, Temporary where steps are missing.
    """
    with database.read() as tx:
        found = versions(tx)
    _refuse_newer(found, stores)
    missing = [store for store, steps in stores.items() if found.get(store, 0) < _newest(steps)]
    if missing:
        raise Temporary(
            f"The database is older than this release ({', '.join(missing)}).",
            help="Run `thinmesh up` or any writing command on the home: it brings the database up to date.",
        )


def _apply(database: Database, store: str, version: int, statements: tuple[str, ...]) -> bool:
    """Apply one step unless it was; another process may have done so since."""
    with database.write() as tx:
        if versions(tx).get(store, 0) >= version:
            return False
        for statement in statements:
            tx.execute(statement)
        tx.execute(
            "INSERT INTO schema_versions (store, version) VALUES (:store, :version)"
            " ON CONFLICT (store) DO UPDATE SET version = excluded.version",
            {"store": store, "version": version},
        )
    return True


def _newest(steps: Steps) -> int:
    return max((version for version, _ in steps), default=0)


def _refuse_newer(found: Mapping[str, int], stores: Mapping[str, Steps]) -> None:
    newer = [store for store, version in found.items() if store in stores and version > _newest(stores[store])]
    if newer:
        raise Conflict(
            f"The database was written by a newer release of thinmesh ({', '.join(newer)}).",
            help="Use that release again, or restore a backup made with this one.",
        )
