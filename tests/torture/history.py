"""A recorded history of writes and reads, and the check that they could have happened one after the other.

A place (a product's data, a product's description) is a register whose writes the log puts in order: write number `n`
of a place makes its version `n`, and version 0 is before the first. A history is linearizable in that order if and only
if every operation can be given a moment between its invocation and its response, such that the versions follow each
other: no operation may come at an older version than one that had ended before it began, and a write must come at a
newer one (Herlihy and Wing, *Linearizability*, 1990, with the order of writes known).
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

# What a reader of a place can see: the markers of the writes that it is made of, each with the number of its rows.
State = Mapping[Hashable, int]


@dataclass(slots=True)
class Operation:
    """One call of one client; `responded` stays infinite where nobody knows how it ended."""

    place: Hashable
    invoked: float
    responded: float = math.inf
    # A write: what it marks its rows with, and how many rows.
    marker: Hashable = None
    rows: int = 0
    appends: bool = False
    # A read: what it saw, table by table.
    seen: Sequence[State] | None = None

    @property
    def writes(self) -> bool:
        """Tell a write from a read."""
        return self.marker is not None


@dataclass
class History:
    """What clients in many threads did."""

    operations: list[Operation] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def write(self, place: Hashable, marker: Hashable, rows: int = 1, *, appends: bool = False) -> Iterator[Operation]:
        """Record a write. An exception leaves its outcome unknown; one that was refused is taken back by `forget`."""
        operation = Operation(place, time.monotonic(), marker=marker, rows=rows, appends=appends)
        with self._lock:
            self.operations.append(operation)
        yield operation
        operation.responded = time.monotonic()

    @contextmanager
    def read(self, place: Hashable) -> Iterator[Operation]:
        """Record a read that sets `seen`; one that did not see anything is not recorded."""
        operation = Operation(place, time.monotonic())
        yield operation
        operation.responded = time.monotonic()
        if operation.seen is not None:
            with self._lock:
                self.operations.append(operation)

    def forget(self, operation: Operation) -> None:
        """Take back a write that was refused: it must not be found in the log either."""
        with self._lock:
            self.operations.remove(operation)

    def faults(self, log: Mapping[Hashable, Sequence[Hashable]]) -> list[str]:
        """Check every place against the markers that the log names for it, in its order."""
        places: dict[Hashable, list[Operation]] = defaultdict(list)
        for operation in self.operations:
            places[operation.place].append(operation)
        return [f"{place}: {fault}" for place in {*places, *log} for fault in faults(places[place], log.get(place, ()))]


def faults(operations: Iterable[Operation], log: Sequence[Hashable]) -> list[str]:
    """Say everything that keeps the operations of one place from having happened one after the other in log order."""
    operations = list(operations)
    writes = {operation.marker: operation for operation in operations if operation.writes}
    found = _wrong_writes(writes, log)
    if found:
        return found
    versions = {marker: number for number, marker in enumerate(log, 1)}
    states = _states([writes[marker] for marker in log])
    placed: list[tuple[Operation, int]] = []
    for operation in operations:
        if operation.writes:
            if operation.marker in versions:  # what never happened has no place
                placed.append((operation, versions[operation.marker]))
            continue
        version = _version(operation, states)
        if version is None:
            found.append(f"a read saw {_told(operation)}, which is no publication whole")
        else:
            placed.append((operation, version))
    return found + _out_of_order(placed)


def _wrong_writes(writes: Mapping[Hashable, Operation], log: Sequence[Hashable]) -> list[str]:
    times = Counter(log)
    found = [f"{marker} is in the log {count} times" for marker, count in times.items() if count > 1]
    found += [f"nobody wrote {marker}, which the log has" for marker in times if marker not in writes]
    return found + [
        f"{marker} was acknowledged and is lost"
        for marker, operation in writes.items()
        if marker not in times and operation.responded < math.inf
    ]


def _states(writes: Sequence[Operation]) -> list[State]:
    """Give what is there at each version, from 0."""
    states: list[State] = [{}]
    for write in writes:
        states.append({**(states[-1] if write.appends else {}), write.marker: write.rows})
    return states


def _version(read: Operation, states: Sequence[State]) -> int | None:
    """Find the version at which all tables were as they were seen; states of a place differ in their markers."""
    first, *others = read.seen or ({},)
    if any(dict(other) != dict(first) for other in others):
        return None
    return next((number for number, state in enumerate(states) if dict(state) == dict(first)), None)


def _out_of_order(placed: Iterable[tuple[Operation, int]]) -> list[str]:
    """Compare each operation with the newest version that was known before it began."""
    placed = list(placed)
    ended = sorted(placed, key=lambda each: each[0].responded)
    found = []
    newest, at = 0, 0
    for operation, version in sorted(placed, key=lambda each: each[0].invoked):
        while at < len(ended) and ended[at][0].responded < operation.invoked:
            newest = max(newest, ended[at][1])
            at += 1
        if operation.writes and version <= newest:
            found.append(f"write {version} began after version {newest} was seen")
        elif version < newest:
            found.append(f"a read saw version {version} after version {newest} was known")
    return found


def _told(read: Operation) -> str:
    return " and ".join(str(dict(state)) for state in read.seen or ())
