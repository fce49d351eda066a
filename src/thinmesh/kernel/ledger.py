"""The ledger: the one way by which anything about products changes.

The log is the write-ahead log. A batch of accepted changes is made durable in this order:

    1. objects and commits are written to `data.git`, as one pack (nobody sees them yet); those of the log beside them
    2. the branch of `log.git` moves to the new entries   <- the commit point
    3. `main` moves to the last entry's commit
    4. the index transaction commits                      <- readers see it

A crash before 2 leaves nothing; after 2, `recover` finishes 3 and 4 from the log. These two do not wait for the disk:
a power failure may undo them, and the log does them again. The index's write
transaction is open throughout: it is the lease (one writer at a time, also over processes, given up by
the operating system when a process dies), and it lets every change of a batch see those before it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .clock import Clock, text_of_time, utc_now
from .database import Database, Transaction
from .errors import Internal, MeshError, Temporary
from .product import DataFile
from .repository import DataRepository, LogRepository, Signature

# A batch holds the database's write lock: small enough to let others in, large enough to share the syncs.
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, by which door, with which token."""

    user: str
    door: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class TableLoad:
    """New data of one table: the files that replace the present ones, or come after them (append).

    `in_git` tells that the truth is CSVs on `main`, and the files were derived from them.
    """

    mode: str
    files: tuple[DataFile, ...]
    in_git: bool = False


@dataclass(frozen=True, slots=True)
class ProductChange:
    """What an entry says of one product: its effective values after the change, whole, and what is new.

    `document`, `odcs`, `odps` and `readme` are object ids on `main`; `described` is the whole descriptor where nobody
    wrote one (a folder with only CSVs). `tables` are the records of the tables whose effective contract changed;
    `loads` the tables with new data, all of publication `publication`; `quality` what was measured on them.
    """

    product: str
    event: str
    domain: str
    owner: str
    access: str
    status: str
    version: str
    document: str | None = None
    described: Mapping[str, Any] | None = None
    odcs: str | None = None
    odps: str | None = None
    readme: str | None = None
    tables: Mapping[str, Any] = field(default_factory=dict)
    publication: str | None = None
    loads: Mapping[str, TableLoad] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    successor: str | None = None

    def record(self) -> dict[str, Any]:
        """Render for the log."""
        found = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) not in (None, {})}
        found["loads"] = {
            name: {"mode": load.mode, "in_git": load.in_git, "files": [file.document() for file in load.files]}
            for name, load in self.loads.items()
        }
        return found

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> ProductChange:
        """Read back what `record` made; fields of later releases are passed over."""
        known = {name: found[name] for name in cls.__slots__ if name in found}
        known["loads"] = {
            name: TableLoad(load["mode"], tuple(DataFile.parse(file) for file in load["files"]), load["in_git"])
            for name, load in found.get("loads", {}).items()
        }
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted change, as the log holds it. `old` and `new` are the tips of `main` around it."""

    sequence: int
    at: str
    actor: Actor
    old: str
    new: str
    changes: tuple[ProductChange, ...]
    key: str | None = None
    id: str = ""

    def encode(self) -> bytes:
        """Write as the log's text: compact JSON, one entry."""
        found = {
            "sequence": self.sequence,
            "at": self.at,
            "actor": {"user": self.actor.user, "door": self.actor.door, "token": self.actor.token},
            "old": self.old,
            "new": self.new,
            "changes": [change.record() for change in self.changes],
        }
        if self.key:
            found["key"] = self.key
        return json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, id: str, text: bytes) -> Entry:
        """Read back what `encode` wrote. Raises Internal where somebody else wrote it."""
        try:
            found = json.loads(text)
            actor = found["actor"]
            return cls(
                sequence=found["sequence"],
                at=found["at"],
                actor=Actor(actor["user"], actor["door"], actor.get("token")),
                old=found["old"],
                new=found["new"],
                changes=tuple(ProductChange.parse(change) for change in found["changes"]),
                key=found.get("key"),
                id=id,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Internal(
                f"{id} is no entry of the log, though it lies there.", help="Run `thinmesh doctor` on the home."
            ) from error


@dataclass(frozen=True, slots=True)
class Draft:
    """A change that was judged and may happen.

    Either `edits` (path to object id, or None to remove) become a commit on the tip, with `merged` as second
    parent, or `commit` is a commit that exists already and descends from the tip; neither: `main` stays.
    """

    actor: Actor
    changes: tuple[ProductChange, ...]
    message: str
    author: Signature
    edits: Mapping[str, str | None] = field(default_factory=dict)
    merged: str | None = None
    commit: str | None = None
    key: str | None = None


# Judges a change against the state it is handed, under the lease, and gives the draft; None: nothing to do.
# It may be called once only, and raises a MeshError to refuse.
Work = Callable[[Transaction, str], Draft | None]


class Index(Protocol):
    """The projection that readers see; it moves in the same transaction as the lease."""

    def cursor(self, tx: Transaction) -> tuple[str, int]:
        """Give (id, sequence) of the last entry applied; ("", 0) before the first."""

    def apply(self, tx: Transaction, entry: Entry) -> None:
        """Apply one entry. It was judged before and is never refused here."""

    def move_cursor(self, tx: Transaction, id: str, sequence: int) -> None:
        """Record that every entry up to this one is applied."""


class Unfinished(Temporary):
    """The log has the change, and the rest could not be written now: it is finished with the next change or start.

    What the change names must stay.
    """


class _Ticket:
    """One submitted work, and what became of it. Its thread is called when that is known, or when it is to lead."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.entry: Entry | None = None
        self.error: BaseException | None = None
        self.done = False
        self.called = threading.Event()

    def outcome(self) -> Entry | None:
        if self.error is not None:
            raise self.error
        return self.entry


class Ledger:
    """Takes changes from all doors, one batch at a time."""

    def __init__(
        self, data: DataRepository, log: LogRepository, database: Database, index: Index, clock: Clock = utc_now
    ) -> None:
        self._data = data
        self._log = log
        self._database = database
        self._index = index
        self._clock = clock
        # The first of those pending leads the batch that is being written; the thread of each is called, and none has
        # to win a lock to learn that its change was made.
        self._pending: list[_Ticket] = []
        self._led = False
        self._pending_lock = threading.Lock()
        self._writing = threading.Lock()
        # The log's tip before the batch being written is appended; None until there is something to append.
        self._before: str | None = None
        # Whether this process has seen that `main` is where the log says.
        self._settled = False
        self._listeners: list[Callable[[], None]] = []

    def submit(self, work: Work) -> Entry | None:
        """Run a work under the lease and make its draft durable; give the entry, or None if nothing changed.

        Works that arrive while another batch is being written share one lease, one sync and one ref update.
        Raises what the work raised, or Temporary where the change could not be made durable.
        """
        ticket = _Ticket(work)
        with self._pending_lock:
            self._pending.append(ticket)
            leads, self._led = not self._led, True
        if not leads:
            ticket.called.wait()
        if not ticket.done:
            self._lead()
        return ticket.outcome()

    def recover(self) -> int:
        """Finish what a crash cut off; give the number of entries the index had to catch up.

        A broken branch of the log is put back to the last entry that the index has, for only those were acknowledged;
        a broken `main` to where the log ends.
        """
        with self._writing, self._database.write() as tx:
            self._settle_log(tx)
            count = self._catch_up(tx)
            self._settle_main()
            return count

    def roll_forward(self, entry: Entry) -> None:
        """Move `main` to where the newest entry says. Raises Internal where the log does not lead there.

        The caller holds the lease.
        """
        try:
            tip = self._data.tip()
        except Internal:
            if not self._data.reinstate(entry.new):
                raise
            return
        if tip == entry.new:
            return
        if not self._data.is_ancestor(tip, entry.new):
            raise Internal(
                f"main is at {tip}, which the log does not lead to (its newest entry ends at {entry.new}).",
                help="Run `thinmesh doctor`; main was moved by something other than this platform.",
            )
        self._data.move(tip, entry.new)

    def entries(self, after: str = "") -> Iterator[Entry]:
        """Read the log after an entry, oldest first. Raises Internal where the log does not have that entry."""
        for id, text in self._read(after):
            yield Entry.decode(id, text)

    def has(self, id: str) -> bool:
        """Tell whether the log has an entry; the empty id comes before the first."""
        try:
            next(iter(self._log.read(id)), None)
        except KeyError:
            return False
        return True

    def tip(self) -> str:
        """Give the id of the newest entry; empty where there is none."""
        return self._log.tip()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every batch, from the thread that wrote it; it must return at once."""
        self._listeners.append(listener)

    def _read(self, after: str) -> Iterator[tuple[str, bytes]]:
        try:
            yield from self._log.read(after)
        except KeyError as error:
            # Going on from the log's end would drop acknowledged changes without a word.
            raise Internal(
                f"The log does not have the entry {after[:12]} that was accepted: it was rewritten or shortened.",
                help="Run `thinmesh doctor` on the home; it names the command that heals it.",
            ) from error

    def _lead(self) -> None:
        """Write the next batch, then let the first of those that came meanwhile lead."""
        try:
            with self._writing:
                self._run_batch(self._take())
        finally:
            with self._pending_lock:
                self._led = bool(self._pending)
                following = self._pending[0] if self._pending else None
            if following:
                following.called.set()

    def _take(self) -> list[_Ticket]:
        with self._pending_lock:
            batch, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
        return batch

    def _run_batch(self, batch: Sequence[_Ticket]) -> None:
        self._before = None
        try:
            with self._database.write(logged=True) as tx:
                self._catch_up(tx)
                if not self._settled:
                    self._settle_main()
                self._write(tx, batch)
        except BaseException as error:
            _fail(batch, error, self._past_commit_point())
            if not isinstance(error, Exception):
                raise
        finally:
            for ticket in batch:
                ticket.done = True
                ticket.called.set()
        for listener in self._listeners:
            listener()

    def _write(self, tx: Transaction, batch: Sequence[_Ticket]) -> None:
        last, sequence = self._index.cursor(tx)
        start = tip = self._data.tip()
        entries: list[Entry] = []
        with self._data.together():
            for ticket in batch:
                entry = self._judge(ticket, tx, tip, sequence + 1)
                if entry is None:
                    continue
                self._index.apply(tx, entry)
                entries.append(entry)
                tip, sequence = entry.new, entry.sequence
            if not entries:
                return
            self._before = last
            ids = self._log.append(last, [entry.encode() for entry in entries], self._data.release())
        if tip != start:
            self._data.move(start, tip)
        self._index.move_cursor(tx, ids[-1], sequence)

    def _past_commit_point(self) -> bool:
        """Tell whether the log may have the batch; in doubt, yes: what it names is kept then."""
        try:
            return self._before is not None and self._log.tip() != self._before
        except Exception:
            return True

    def _judge(self, ticket: _Ticket, tx: Transaction, tip: str, sequence: int) -> Entry | None:
        """Run one work; a refusal is its own and does not touch the rest of the batch."""
        try:
            draft = ticket.work(tx, tip)
            if draft is not None:
                ticket.entry = self._entry(draft, tip, sequence)
        except Exception as error:
            ticket.error = error
        return ticket.entry

    def _entry(self, draft: Draft, tip: str, sequence: int) -> Entry:
        new = draft.commit or tip
        if draft.edits or draft.merged:
            new = self._data.commit(tip, draft.edits, draft.author, draft.message, draft.merged)
        return Entry(sequence, text_of_time(self._clock()), draft.actor, tip, new, draft.changes, draft.key)

    def _catch_up(self, tx: Transaction) -> int:
        """Apply what the log has and the index has not, and move `main` to where the log says."""
        last, _ = self._index.cursor(tx)
        if last == self._log.tip():
            return 0
        count = 0
        entry = None
        try:
            for entry in self.entries(last):
                self._index.apply(tx, entry)
                count += 1
            if entry is not None:
                self.roll_forward(entry)
                self._index.move_cursor(tx, entry.id, entry.sequence)
        except KeyError as error:
            raise Internal(
                f"The data repository does not have {error.args[0]}, which the log names.",
                help="Run `thinmesh doctor` on the home; it names the command that heals it.",
            ) from error
        return count

    def _settle_log(self, tx: Transaction) -> None:
        last, _ = self._index.cursor(tx)
        try:
            self._log.tip()
        except Internal:
            if not last or not self._log.reinstate(last):
                raise

    def _settle_main(self) -> None:
        """Put a `main` that is broken, or behind, to where the log ends; a power failure may undo its last moves.

        One that was moved elsewhere stays; `doctor` speaks of it.
        """
        found = self._log.newest()
        newest = Entry.decode(*found) if found else None
        try:
            tip = self._data.tip()
        except Internal:
            if newest is None:
                raise
            self.roll_forward(newest)
        else:
            if newest and tip != newest.new and self._data.is_ancestor(tip, newest.new):
                self._data.move(tip, newest.new)
        self._settled = True


def _fail(batch: Sequence[_Ticket], error: BaseException, logged: bool) -> None:
    """Tell everybody in a batch whose end could not be made durable; nobody was acknowledged."""
    for ticket in batch:
        if ticket.error is None and ticket.entry is not None and logged:
            ticket.error = Unfinished(
                f"The change is in the log, and could not be finished: {_said(error)}",
                help="Make room or mend what is named; the next change, or the next start, finishes it.",
            )
        elif ticket.error is None:
            ticket.error = error if isinstance(error, MeshError) else Temporary(f"The change was not taken: {error}")
        ticket.entry = None


def _said(error: BaseException) -> str:
    return error.detail if isinstance(error, MeshError) else str(error)
