"""The audit in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from thinmesh.kernel.audit import AuditEntry
from thinmesh.kernel.database import Transaction

AUDIT_SCHEMA = (
    """CREATE TABLE audit (
        sequence BIGINT PRIMARY KEY, at TEXT NOT NULL, user_name TEXT NOT NULL, door TEXT NOT NULL, token TEXT,
        action TEXT NOT NULL, object TEXT NOT NULL, outcome TEXT NOT NULL, previous TEXT NOT NULL,
        hash TEXT NOT NULL)""",
)
# The head of the chain, in one row: what is cut off at the end breaks no hash.
AUDIT_HEAD_SCHEMA = (
    "CREATE TABLE audit_head (id INTEGER PRIMARY KEY CHECK (id = 1), sequence BIGINT NOT NULL, hash TEXT NOT NULL)",
    "INSERT INTO audit_head (id, sequence, hash) SELECT 1, sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1",
)

_LAST = 2**63 - 1
_ENTRY = """SELECT sequence, at, user_name AS "user", door, token, action, object, outcome, previous, hash FROM audit"""


class SqlAuditStore:
    """An `AuditStore` (kernel/audit.py)."""

    def newest(self, tx: Transaction) -> tuple[int, str]:
        """Give (sequence, hash) of the entry that was added last, there or not; (0, "") before the first."""
        kept = tx.one("SELECT sequence, hash FROM audit_head")
        present = tx.one("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
        known = [(row["sequence"], row["hash"]) for row in (kept, present) if row]
        return max(known, key=lambda entry: entry[0], default=(0, ""))

    def append(self, tx: Transaction, entry: AuditEntry) -> None:
        """Add an entry, and keep apart that it is the newest."""
        tx.execute(
            """INSERT INTO audit (sequence, at, user_name, door, token, action, object, outcome, previous, hash)
               VALUES (:sequence, :at, :user, :door, :token, :action, :object, :outcome, :previous, :hash)""",
            asdict(entry),
        )
        tx.execute(
            """INSERT INTO audit_head (id, sequence, hash) VALUES (1, :sequence, :hash)
               ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash""",
            {"sequence": entry.sequence, "hash": entry.hash},
        )

    def before(self, tx: Transaction, limit: int, sequence: int | None) -> Sequence[AuditEntry]:
        """List entries older than a sequence, or the newest ones, the newest first."""
        rows = tx.all(
            f"{_ENTRY} WHERE sequence < :sequence ORDER BY sequence DESC LIMIT :limit",
            {"sequence": _LAST if sequence is None else sequence, "limit": limit},
        )
        return [AuditEntry(**dict(row)) for row in rows]

    def after(self, tx: Transaction, limit: int, sequence: int) -> Sequence[AuditEntry]:
        """List entries newer than a sequence, the oldest first."""
        rows = tx.all(
            f"{_ENTRY} WHERE sequence > :sequence ORDER BY sequence LIMIT :limit",
            {"sequence": sequence, "limit": limit},
        )
        return [AuditEntry(**dict(row)) for row in rows]
