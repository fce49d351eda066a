"""The audit: who did what, when, by which door, and with which outcome. Entries are only ever added.

Each entry carries the hash of the one before it, so that a removed or edited one shows; the head of this chain is kept
apart, so that a cut end shows too. Who writes to the database and makes the hashes anew is not found.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Protocol

from .clock import Clock, text_of_time, utc_now
from .database import Database, Transaction
from .errors import Internal, MeshError, Temporary
from .page import Page, checked_limit, cursor_of, position_of
from .policy import Action, Policy, Principal

DONE = "done"
_OBJECT_LENGTH = 200  # characters; names are shorter, and refused input may be anything
_WAITING = 10_000  # refusals kept in memory while the database cannot take them


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing somebody did or tried. `outcome` is "done", or the code of the error that refused it."""

    sequence: int
    at: str
    user: str
    door: str
    token: str | None
    action: str
    object: str
    outcome: str
    previous: str = ""
    hash: str = ""

    def sealed(self, previous: str) -> str:
        """Give the hash over this entry and the one before it (SHA-256, hexadecimal)."""
        fields = [self.sequence, self.at, self.user, self.door, self.token, self.action, self.object, self.outcome]
        return hashlib.sha256(json.dumps([previous, *fields], separators=(",", ":")).encode()).hexdigest()


class AuditStore(Protocol):
    """Keeps the entries in the platform database."""

    def newest(self, tx: Transaction) -> tuple[int, str]:
        """Give (sequence, hash) of the entry that was added last, there or not; (0, "") before the first."""

    def append(self, tx: Transaction, entry: AuditEntry) -> None:
        """Add an entry, and keep apart that it is the newest."""

    def before(self, tx: Transaction, limit: int, sequence: int | None) -> Sequence[AuditEntry]:
        """List entries older than a sequence, or the newest ones, the newest first."""

    def after(self, tx: Transaction, limit: int, sequence: int) -> Sequence[AuditEntry]:
        """List entries newer than a sequence, the oldest first."""


class Audit:
    """Writes and shows the audit."""

    def __init__(self, database: Database, store: AuditStore, policy: Policy, clock: Clock = utc_now) -> None:
        self._database = database
        self._store = store
        self._policy = policy
        self._clock = clock
        self._waiting: deque[AuditEntry] = deque(maxlen=_WAITING)
        self._flushing = threading.Lock()

    def record(self, tx: Transaction, caller: Principal, action: str, object: str, outcome: str = DONE) -> None:
        """Add an entry in the transaction of what it tells: both happen, or neither."""
        self._append(tx, self._entry(caller, action, object, outcome))

    @contextmanager
    def write(self, caller: Principal, action: str, object: str) -> Iterator[Transaction]:
        """Open a write transaction, and record what came of it: done with it, or refused after it is undone."""
        with self.attempt(caller, action, object), self._database.write() as tx:
            yield tx
            self.record(tx, caller, action, object)

    @contextmanager
    def attempt(self, caller: Principal | None, action: str, object: str) -> Iterator[None]:
        """Record a refusal of the block, in a transaction of its own."""
        try:
            yield
        except MeshError as error:
            if caller is not None and error.status < Internal.status:
                self.refused(caller, action, object, error)
            raise

    def refused(self, caller: Principal, action: str, object: str, error: MeshError) -> None:
        """Add a refused attempt. Never inside a write transaction: `record` is for that.

        Refusals that come at the same time share one sync. Where the database cannot take them now they
        wait for the next one: the caller is owed the refusal itself.
        """
        self._waiting.append(self._entry(caller, action, object, error.code))
        with self._flushing:
            if not self._waiting:
                return  # another thread wrote it along with its own
            try:
                with self._database.write() as tx:
                    batch = tuple(self._waiting)
                    for entry in batch:
                        self._append(tx, entry)
            except Temporary:
                return
            for _ in batch:
                self._waiting.popleft()

    def list(self, caller: Principal, limit: int | None = None, cursor: str | None = None) -> Page:
        """Show entries, the newest first; for administrators."""
        self._policy.require(caller, Action.ADMINISTER)
        size = checked_limit(limit)
        with self._database.read() as tx:
            found = self._store.before(tx, size + 1, position_of(cursor, int))
        shown = found[:size]
        return Page(
            items=tuple(asdict(entry) for entry in shown),
            next=cursor_of(shown[-1].sequence) if len(found) > size else None,
        )

    def broken_at(self) -> int | None:
        """Give the sequence of the first entry that does not follow from the one before it, or is cut off.

        For `doctor`.
        """
        sequence, seal = 0, ""
        while True:
            with self._database.read() as tx:
                entries = self._store.after(tx, 1000, sequence)
                newest = self._store.newest(tx)
            for entry in entries:
                if entry.sequence != sequence + 1 or entry.previous != seal or entry.sealed(seal) != entry.hash:
                    return entry.sequence
                sequence, seal = entry.sequence, entry.hash
            if not entries:
                return None if newest == (sequence, seal) else sequence + 1

    def _entry(self, caller: Principal, action: str, object: str, outcome: str) -> AuditEntry:
        shown = object[:_OBJECT_LENGTH].encode("utf-8", "replace").decode()
        at = text_of_time(self._clock())
        return AuditEntry(0, at, caller.user, caller.door, caller.token, action, shown, outcome)

    def _append(self, tx: Transaction, entry: AuditEntry) -> None:
        sequence, previous = self._store.newest(tx)
        facts = {**asdict(entry), "sequence": sequence + 1, "previous": previous}
        self._store.append(tx, AuditEntry(**{**facts, "hash": AuditEntry(**facts).sealed(previous)}))
