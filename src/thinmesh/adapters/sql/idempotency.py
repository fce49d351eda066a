"""Replies kept for repeated requests (`Idempotency-Key`), in SQL."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

from thinmesh.kernel.clock import Clock, text_of_time, utc_now
from thinmesh.kernel.database import Database, Transaction
from thinmesh.kernel.errors import Conflict, Locked, Malformed
from thinmesh.kernel.idempotency import StoredReply

IDEMPOTENCY_SCHEMA = (
    """CREATE TABLE idempotency_keys (
        user_name TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, reserved TEXT NOT NULL,
        status INTEGER, body TEXT, PRIMARY KEY (user_name, key))""",
    "CREATE INDEX idempotency_keys_by_time ON idempotency_keys (reserved)",
)

KEPT = timedelta(days=7)
# A key whose request never ended: its process died, and no restart forgot it (`forget_unfinished`).
_ABANDONED = timedelta(hours=1)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class SqlReplyStore:
    """A `ReplyStore` (kernel/idempotency.py)."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def reserve(self, user: str, key: str, request: bytes) -> StoredReply | None:
        """Give the reply kept for this key; or None, and hold the key until `keep` or `release`."""
        if not _KEY.fullmatch(key):
            raise Malformed(
                "The Idempotency-Key must be 1 to 255 printable ASCII characters without blanks.",
                help="Send a random one, such as a UUID, for each new request.",
            )
        digest = hashlib.sha256(request).hexdigest()
        with self._database.write() as tx:
            self._forget(tx, user, key)
            row = tx.one(
                "SELECT request, status, body FROM idempotency_keys WHERE user_name = :user AND key = :key",
                {"user": user, "key": key},
            )
            if row is None:
                tx.execute(
                    """INSERT INTO idempotency_keys (user_name, key, request, reserved)
                       VALUES (:user, :key, :request, :now)""",
                    {"user": user, "key": key, "request": digest, "now": text_of_time(self._clock())},
                )
                return None
        if row["request"] != digest:
            raise Conflict(
                "This Idempotency-Key came with another request before.", help="Send a new key with a new request."
            )
        if row["status"] is None:
            raise Locked(
                "The first request with this Idempotency-Key is still running.",
                help="Send it again in a moment, with the same key: you get the reply of the first.",
            )
        return StoredReply(row["status"], row["body"])

    def keep(self, user: str, key: str, reply: StoredReply) -> None:
        """Keep an accepted reply."""
        with self._database.write() as tx:
            tx.execute(
                "UPDATE idempotency_keys SET status = :status, body = :body WHERE user_name = :user AND key = :key",
                {"user": user, "key": key, "status": reply.status, "body": reply.body},
            )

    def release(self, user: str, key: str) -> None:
        """Give the key back; a reply that was kept stays."""
        with self._database.write() as tx:
            tx.execute(
                "DELETE FROM idempotency_keys WHERE user_name = :user AND key = :key AND status IS NULL",
                {"user": user, "key": key},
            )

    def forget_unfinished(self) -> None:
        """Give back every key whose request a crash cut off; when the only server of a home starts."""
        with self._database.write() as tx:
            tx.execute("DELETE FROM idempotency_keys WHERE status IS NULL")

    def forget_old(self) -> int:
        """Remove what is older than 7 days, and give how many; to be called now and then."""
        with self._database.write() as tx:
            return tx.execute(
                "DELETE FROM idempotency_keys WHERE reserved <= :old", {"old": text_of_time(self._clock() - KEPT)}
            )

    def _forget(self, tx: Transaction, user: str, key: str) -> None:
        """Remove this key where its time is over, so that it is never answered late."""
        now = self._clock()
        tx.execute(
            """DELETE FROM idempotency_keys WHERE user_name = :user AND key = :key
               AND (reserved <= :old OR (status IS NULL AND reserved <= :abandoned))""",
            {
                "user": user,
                "key": key,
                "old": text_of_time(now - KEPT),
                "abandoned": text_of_time(now - _ABANDONED),
            },
        )
