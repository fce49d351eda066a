"""What the operations plane keeps and counts, in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.events import Event
from thinmesh.kernel.ledger import Entry
from thinmesh.planes.operations.model import BackupRecord, StatementCounts

from .index import SqlProductIndex

OPERATIONS_SCHEMA = (
    """CREATE TABLE backups (
        at TEXT PRIMARY KEY, sequence BIGINT NOT NULL, bytes BIGINT NOT NULL, with_keys INTEGER NOT NULL)""",
    """CREATE TABLE derived_files (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, bytes BIGINT NOT NULL)""",
)

# Rows and bytes are of open products: in a mesh with one closed product the sum would tell its size.
_COUNTS = {
    "products": "SELECT count(*) AS found FROM products WHERE status <> 'retired'",
    "retired": "SELECT count(*) AS found FROM products WHERE status = 'retired'",
    "tables": """SELECT count(*) AS found FROM product_tables t JOIN products p ON p.name = t.product
        WHERE p.status <> 'retired'""",
    "publications": "SELECT count(*) AS found FROM publications",
    "rows": """SELECT COALESCE(SUM(f.row_count), 0) AS found FROM data_files f JOIN products p ON p.name = f.product
        WHERE p.status <> 'retired' AND p.access = 'open'""",
    "bytes": """SELECT COALESCE(SUM(f.bytes), 0) AS found FROM data_files f JOIN products p ON p.name = f.product
        WHERE p.status <> 'retired' AND p.access = 'open'""",
    "users": "SELECT count(*) AS found FROM users",
    "teams": "SELECT count(*) AS found FROM teams",
}


class _Keys:
    """An `EventFeed` that only keeps the keys of what it is told."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def record(self, tx: Transaction, event: Event) -> None:  # noqa: ARG002
        """Keep the event's key."""
        if event.key:
            self.found.append(event.key)


class SqlOperationsStore:
    """An `OperationsStore` (planes/operations/backend.py)."""

    def counts(self, tx: Transaction) -> dict[str, int]:
        """Count what there is."""
        return {name: _number(tx, sql) for name, sql in _COUNTS.items()}

    def administrators(self, tx: Transaction) -> int:
        """Count the users who administer."""
        return _number(tx, "SELECT count(*) AS found FROM users WHERE admin = 1")

    def ownerless(self, tx: Transaction) -> list[tuple[str, str]]:
        """List (product, owner) of active products whose owner team is not there."""
        rows = tx.all(
            """SELECT p.name, p.owner FROM products p LEFT JOIN teams t ON t.name = p.owner
               WHERE t.name IS NULL AND p.status <> 'retired' ORDER BY p.name"""
        )
        return [(row["name"], row["owner"]) for row in rows]

    def statements(self, tx: Transaction, bounds: Sequence[float]) -> StatementCounts:
        """Add up the query log."""
        sums = ", ".join(
            f"COALESCE(SUM(CASE WHEN seconds <= :b{number} THEN 1 ELSE 0 END), 0) AS b{number}"
            for number in range(len(bounds))
        )
        rows = tx.all(
            f"""SELECT state, count(*) AS found, COALESCE(SUM(seconds), 0) AS seconds, {sums} FROM statements
                WHERE state <> 'running' GROUP BY state ORDER BY state""",
            {f"b{number}": bound for number, bound in enumerate(bounds)},
        )
        return StatementCounts(
            states={row["state"]: row["found"] for row in rows},
            seconds=sum(row["seconds"] for row in rows),
            buckets={bound: sum(row[f"b{number}"] for row in rows) for number, bound in enumerate(bounds)},
        )

    def forget_statements(self, tx: Transaction, before: str, most: int) -> int:
        """Remove up to `most` entries of the query log that began before a time; give how many."""
        return tx.execute(
            """DELETE FROM statements WHERE ("user", id) IN (
                 SELECT "user", id FROM statements WHERE started < :before AND state <> 'running' LIMIT :most)""",
            {"before": before, "most": most},
        )

    def untold(self, tx: Transaction, entries: Iterable[Entry]) -> list[str]:
        """Give the keys of the events that the feed lacks of these log entries."""
        told = {row["key"] for row in tx.all("SELECT key FROM events WHERE key IS NOT NULL")}
        wanted = _Keys()
        index = SqlProductIndex(_unread, wanted)
        for entry in entries:
            index.tell(tx, entry)
        return [key for key in wanted.found if key not in told]

    def last_backup(self, tx: Transaction) -> BackupRecord | None:
        """Give the newest backup."""
        row = tx.one("SELECT at, sequence, bytes, with_keys FROM backups ORDER BY at DESC LIMIT 1")
        return BackupRecord(row["at"], row["sequence"], row["bytes"], bool(row["with_keys"])) if row else None

    def add_backup(self, tx: Transaction, record: BackupRecord) -> None:
        """Record a backup."""
        tx.execute(
            """INSERT INTO backups (at, sequence, bytes, with_keys) VALUES (:at, :sequence, :bytes, :keys)
               ON CONFLICT (at) DO NOTHING""",
            {"at": record.at, "sequence": record.sequence, "bytes": record.bytes, "keys": int(record.keys)},
        )

    def derived(self, tx: Transaction) -> Mapping[str, tuple[str, int]]:
        """Give (sha256, bytes) by path of the data files that were derived again since the log named them."""
        rows = tx.all("SELECT path, sha256, bytes FROM derived_files")
        return {row["path"]: (row["sha256"], row["bytes"]) for row in rows}

    def set_derived(self, tx: Transaction, path: str, sha256: str, size: int) -> None:
        """Record that a data file was derived again."""
        tx.execute(
            """INSERT INTO derived_files (path, sha256, bytes) VALUES (:path, :sha256, :bytes)
               ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256, bytes = excluded.bytes""",
            {"path": path, "sha256": sha256, "bytes": size},
        )


def _unread(id: str) -> bytes:
    raise KeyError(id)


def _number(tx: Transaction, sql: str) -> int:
    row = tx.one(sql)
    return int(row["found"]) if row else 0
