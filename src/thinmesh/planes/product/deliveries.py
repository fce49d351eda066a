"""Delivery to a catalog outside the mesh: a projection that follows the index, in a thread of its own.

A product is sent as it stands, and its outcome recorded after: a crash in between sends it again. What can be helped by
waiting is tried again, at longer and longer pauses; what cannot waits for the product to change, or for somebody to say
`catalog retry`. A catalog that does not answer at all is asked with one product at a time (ADR 21).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import TypeVar

from thinmesh.kernel.clock import Clock, text_of_time, utc_now
from thinmesh.kernel.database import Database, Transaction
from thinmesh.kernel.errors import Internal, MeshError, Temporary
from thinmesh.kernel.secrets import cleaned

from .backend import DeliveryStore, OutsideCatalog, TakesSeveral
from .model import CatalogRecord, Delivery, Outage, Reconciled
from .records import Records

_Found = TypeVar("_Found")
_Several = Callable[[Sequence[CatalogRecord]], None]

# A product's pause doubles from the first to the second, a catalog's own from the third to the fourth.
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=1)
_FIRST_PROBE, _LONGEST_PROBE = timedelta(seconds=5), timedelta(minutes=1)
# Products that fail one after the other, until it is taken to be the catalog that fails.
_OPENS_AFTER = 5
# Products taken at once: a fifth of a second, so that whoever makes changes has a turn.
_BATCH = 40
# Of these, what goes together to a catalog that takes several.
_TOGETHER = 5
# The longest that one waits for the other: following, and a reconciliation that somebody asked for.
_WAIT_SECONDS = 30.0
_MOST_FAULTS = 100  # that are named


@dataclass(frozen=True, slots=True)
class Pace:
    """When what is tried: the time, a number from 0 to 1 that spreads pauses, and how many products go at once."""

    clock: Clock = utc_now
    chance: Callable[[], float] = random.random
    at_once: int = 4


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is to be sent: the products touched since the position, in order, and the names to be sent now."""

    touched: Sequence[tuple[str, int]]
    names: Sequence[str]
    outage: Outage | None


class Deliveries:
    """Keeps one catalog up to date. `secrets` never stand in an error that is kept."""

    def __init__(
        self,
        catalog: OutsideCatalog,
        database: Database,
        store: DeliveryStore,
        records: Records,
        pace: Pace | None = None,
        secrets: Collection[str] = (),
    ) -> None:
        self.name = catalog.name
        self._catalog = catalog
        self._database = database
        self._store = store
        self._records = records
        self._pace = pace or Pace()
        self._secrets = secrets
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._counting = threading.Lock()
        # The products that failed since the catalog last took one, and when each first did.
        self._streak: dict[str, datetime] = {}

    def stop(self) -> None:
        """Begin no further product; what is being sent is not waited for."""
        self._stopping.set()

    def follow(self, limit: int = _BATCH) -> int:
        """Send up to `limit` products that changed, or are to be tried again; give the number sent, 0 for none."""
        with self._alone():
            turn = self._due(limit)
            if turn is None:
                return 0
            outcomes = self._run(turn.names, turn.outage, self._put, _TOGETHER)
            self._record(outcomes, turn.outage, turn.touched)
            return len(outcomes)

    def reconcile(self) -> Reconciled:
        """Compare every product with what the catalog shows, repair what differs, remove what the mesh does not have.

        Changes go on being sent meanwhile. Raises Temporary where the catalog does not answer.
        """
        with self._alone():
            self._require_answering()
            theirs = self._asked(lambda: set(self._catalog.products()))
            # Read after the catalog was: what it has by then was registered by then.
            with self._database.read() as tx:
                known = self._store.known(tx)
            removed = sum(self._remove(name) for name in sorted(theirs - known.keys()))
        names = sorted(name for name, retired in known.items() if name in theirs or not retired)
        repaired: list[str] = []
        failed: list[str] = []
        for start in range(0, len(names), _BATCH):
            failed += self._mend_all(names[start : start + _BATCH], repaired)
            while self.follow():
                pass
        return Reconciled(len(names), len(repaired), removed, tuple(failed[:_MOST_FAULTS]))

    # Following ------------------------------------------------------------------------------------------------

    def _due(self, limit: int) -> _Turn | None:
        """Find what is to be sent now; nothing where there is nothing, or the catalog is to be left alone."""
        now = text_of_time(self._pace.clock())
        with self._database.read() as tx:
            outage = self._store.outage(tx, self.name)
            if outage and outage.retry > now:
                return None
            touched = self._store.touched(tx, self.name, limit)
            due = self._store.due(tx, self.name, now, max(1, limit - len(touched)))
            last = self._store.last(tx, self.name)
        if outage:  # one product, a new one first: those that failed before may be at fault themselves
            return _Turn(touched, [name for name, _ in touched][:1] or list(due[:1]), outage)
        names = list(dict.fromkeys([*due, *(name for name, _ in touched)]))
        if names:
            return _Turn(touched, names, None)
        if last:
            with self._database.write(logged=True) as tx:
                self._store.move_position(tx, self.name, *last)
        return None

    def _record(
        self,
        outcomes: Mapping[str, Delivery],
        outage: Outage | None,
        touched: Sequence[tuple[str, int]] = (),
    ) -> None:
        with self._database.write(logged=True) as tx:
            for delivery in outcomes.values():
                self._store.record(tx, delivery)
            for name, sequence in takewhile(lambda each: each[0] in outcomes, touched):
                self._store.move_position(tx, self.name, name, sequence)
            self._judge(tx, outcomes, outage)

    def _judge(self, tx: Transaction, outcomes: Mapping[str, Delivery], outage: Outage | None) -> None:
        """Say whether the catalog answers."""
        errors = [each.error for each in outcomes.values() if each.state == "pending"]
        if self._is_silent(outage) and errors:
            self._store.set_outage(tx, self.name, self._silent(outage, errors[-1]))
        elif outage and outcomes and not self._streak:
            self._store.set_outage(tx, self.name, None)
            self._store.hasten(tx, self.name, outage.since, text_of_time(self._pace.clock()))

    def _is_silent(self, outage: Outage | None) -> bool:
        """Tell whether the catalog is taken to fail: after one more failure where it did not answer before."""
        return len(self._streak) >= (1 if outage else _OPENS_AFTER)

    def _silent(self, outage: Outage | None, error: str) -> Outage:
        now = self._pace.clock()
        probes = outage.probes + 1 if outage else 1
        pause = self._spread(min(_FIRST_PROBE * 2 ** min(probes - 1, 20), _LONGEST_PROBE))
        began = min(self._streak.values(), default=now)
        return Outage(outage.since if outage else text_of_time(began), probes, text_of_time(now + pause), error)

    def _run(
        self,
        names: Sequence[str],
        outage: Outage | None,
        act: Callable[[CatalogRecord, Delivery | None], object],
        together: int = 1,
    ) -> dict[str, Delivery]:
        """Act on products, some at once and none twice, until the catalog is taken to fail; give what came of each."""
        several = self._catalog.put_several if isinstance(self._catalog, TakesSeveral) else None
        size = 1 if several is None else together
        waiting, taking, outcomes = iter(names), threading.Lock(), {}
        if outage or self._is_silent(None):
            self._streak.clear()

        def work() -> None:
            while not self._is_silent(outage) and not self._stopping.is_set():
                with taking:
                    some = list(islice(waiting, size))
                if not some:
                    return
                found = self._attempt_several(some, several) if several and len(some) > 1 else {}
                for name in some if not found else ():
                    if not self._is_silent(outage) and not self._stopping.is_set():
                        found[name] = self._attempt(name, act)
                with taking:
                    outcomes.update(found)

        others = [
            threading.Thread(target=work, name=f"{self.name}-{number}", daemon=True)
            for number in range(1, min(self._pace.at_once, -(-len(names) // size)))
        ]
        for thread in others:
            thread.start()
        work()
        for thread in others:
            thread.join()
        return outcomes

    def _attempt_several(self, names: Sequence[str], put: _Several) -> dict[str, Delivery]:
        """Put products together; nothing where that does not work out for all, so that each is tried alone."""
        told: dict[str, tuple[int, Delivery | None, CatalogRecord]] = {}
        try:
            with self._database.read() as tx:
                for name in names:
                    told[name] = self._told_of(tx, name)
            put([record for _, before, record in told.values() if _concerns(record, before)])
        except Exception:  # who is at fault is seen when each is tried alone
            return {}
        self._count(names[-1], answered=True)
        return {name: self._outcome(name, sequence, before, None) for name, (sequence, before, _) in told.items()}

    def _told_of(self, tx: Transaction, name: str) -> tuple[int, Delivery | None, CatalogRecord]:
        before = self._store.find(tx, self.name, name)
        return self._store.sequence(tx, name), before, self._records.of(tx, name)

    def _attempt(self, name: str, act: Callable[[CatalogRecord, Delivery | None], object]) -> Delivery:
        before: Delivery | None = None
        sequence = 0
        try:
            with self._database.read() as tx:
                before = self._store.find(tx, self.name, name)
                sequence = self._store.sequence(tx, name)
                record = self._records.of(tx, name)
        except Exception as error:  # one product's damage must not keep back the others
            return self._outcome(name, sequence, before, error)
        try:
            act(record, before)
        except Exception as error:  # whatever an adapter raises is its product's fate, and no other's
            self._count(name, answered=not _can_be_helped(error))
            return self._outcome(name, sequence, before, error)
        self._count(name, answered=True)
        return self._outcome(name, sequence, before, None)

    def _put(self, record: CatalogRecord, before: Delivery | None) -> None:
        if _concerns(record, before):
            self._catalog.put(record)

    def _count(self, name: str, answered: bool) -> None:
        with self._counting:
            if answered:
                self._streak.clear()
            else:
                self._streak.setdefault(name, self._pace.clock())

    def _outcome(self, name: str, sequence: int, before: Delivery | None, error: Exception | None) -> Delivery:
        if error is None and before and (before.state, before.sequence) == ("done", sequence):
            return before
        now = self._pace.clock()
        state = "done" if error is None else "pending" if _can_be_helped(error) else "failed"
        attempts = before.attempts + 1 if before and before.state != "done" else 1
        kept = before is not None and before.state == state and state != "done"
        since = before.since if before and kept else text_of_time(now)
        pause = self._spread(min(_FIRST_PAUSE * 2 ** min(attempts - 1, 20), _LONGEST_PAUSE))
        retry = text_of_time(now + pause) if state == "pending" else ""
        return Delivery(self.name, name, state, sequence, attempts, self._in_words(error), since, retry)

    def _in_words(self, error: Exception | None) -> str:
        if error is None:
            return ""
        if not isinstance(error, MeshError):
            return cleaned(f"{type(error).__name__}: {error}", self._secrets)
        # What waits for somebody tells them what to do, where the catalog's adapter says so.
        told = error.help if not error.retry and error.help != error.default_help else ""
        return cleaned(f"{error.detail} {told}".rstrip(), self._secrets)

    def _spread(self, pause: timedelta) -> timedelta:
        """Give from half of a pause to all of it: who failed together does not come back together."""
        return pause * (1 + self._pace.chance()) / 2

    # Reconciling ----------------------------------------------------------------------------------------------

    def _mend_all(self, names: Sequence[str], repaired: list[str]) -> Iterator[str]:
        """Compare and repair some products; give what failed. Raises Temporary where the catalog does not answer."""

        def mend(record: CatalogRecord, before: Delivery | None) -> None:  # noqa: ARG001
            if self._catalog.differences(record):
                self._catalog.put(record)
                repaired.append(record.product.name)

        with self._alone():
            with self._database.read() as tx:
                outage = self._store.outage(tx, self.name)
            outcomes = self._run(names, outage, mend)
            self._record(outcomes, outage)
            if len(outcomes) < len(names) or self._is_silent(outage):
                self._require_answering()
                raise Temporary(f"{self.name}: the comparison was broken off.")
        return iter([f"{each.product}: {each.error}" for each in outcomes.values() if each.state != "done"])

    def _remove(self, name: str) -> int:
        self._asked(lambda: self._catalog.remove(name))
        with self._database.write(logged=True) as tx:
            self._store.forget(tx, self.name, name)
        return 1

    def _require_answering(self) -> None:
        with self._database.read() as tx:
            outage = self._store.outage(tx, self.name)
        if outage and outage.retry > text_of_time(self._pace.clock()):
            raise Temporary(f"{self.name} does not answer: {outage.error}", help="It is asked again by itself.")

    def _asked(self, ask: Callable[[], _Found]) -> _Found:
        """Ask the catalog, with nothing secret in what it fails with."""
        try:
            return ask()
        except Exception as error:  # an adapter's own fault may have the catalog's answer in it, or a token
            kind = type(error) if isinstance(error, MeshError) else Internal
            raise kind(f"{self.name}: {self._in_words(error)}") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=_WAIT_SECONDS):
            raise Temporary(f"{self.name} is being told of other products; it takes long to answer.")
        try:
            yield
        finally:
            self._turn.release()


def _concerns(record: CatalogRecord, before: Delivery | None) -> bool:
    """Tell whether a catalog is told: not of what was retired before it heard of it."""
    return before is not None or record.product.status != "retired"


def _can_be_helped(error: Exception) -> bool:
    """Tell whether a later try can help; a fault of the program is no such thing."""
    return isinstance(error, MeshError) and error.retry
