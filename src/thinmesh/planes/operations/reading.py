"""One pass over the log: whether it is whole, and what it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from thinmesh.kernel.clock import time_of_text
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.ledger import Entry, ProductChange, TableLoad
from thinmesh.kernel.product import DataFile

_MOST = 20  # faults that are kept


@dataclass(slots=True)
class LogFacts:
    """What the log says when read from its beginning.

    `files` are all data files it names, by path, superseded ones included; `superseded` those that are in no table any
    more, with the time since when; `present` the others, by product and table; `latest` the last change of each
    product; `faults` what is wrong in the chain, `newest_time` the latest time that an entry gives.
    """

    last: Entry | None = None
    files: dict[str, DataFile] = field(default_factory=dict)
    latest: dict[str, ProductChange] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    newest_time: datetime | None = None
    superseded: dict[str, datetime] = field(default_factory=dict)
    present: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @property
    def sequence(self) -> int:
        """Give the sequence of the newest entry; 0 before the first."""
        return self.last.sequence if self.last else 0

    @property
    def id(self) -> str:
        """Give the id of the newest entry; empty before the first."""
        return self.last.id if self.last else ""


def read_log(entries: Iterable[Entry]) -> LogFacts:
    """Read a whole log; what is wrong with it is in the faults, never raised."""
    facts = LogFacts()
    read_on(facts, entries)
    return facts


def read_on(facts: LogFacts, entries: Iterable[Entry]) -> None:
    """Take in further entries of the same log."""
    try:
        for entry in entries:
            facts.faults += _chain_faults(facts.last, entry)[: _MOST - len(facts.faults)]
            facts.last = entry
            _take_in(facts, entry)
    except (MeshError, ValueError, KeyError, TypeError) as error:
        after = f"after entry {facts.last.sequence}" if facts.last else "at its beginning"
        facts.faults.append(f"it cannot be read {after}: {_said(error)}")


def named_files(entries: Iterable[Entry]) -> Iterator[DataFile]:
    """Give every data file that a log names; one that several entries name is given as often."""
    for entry in entries:
        for change in entry.changes:
            for load in change.loads.values():
                yield from load.files


def _take_in(facts: LogFacts, entry: Entry) -> None:
    at = time_of_text(entry.at)
    if facts.newest_time is None or at > facts.newest_time:
        facts.newest_time = at
    for change in entry.changes:
        facts.latest[change.product] = change
        for table, load in change.loads.items():
            _load(facts, (change.product, table), load, at)


def _load(facts: LogFacts, table: tuple[str, str], load: TableLoad, at: datetime) -> None:
    coming = {file.path: file for file in load.files}
    facts.files.update(coming)
    present = facts.present.setdefault(table, [])
    if load.mode == "replace":
        facts.superseded.update(dict.fromkeys(present, at))
        present.clear()
    present += coming
    for path in coming:
        facts.superseded.pop(path, None)


def _chain_faults(before: Entry | None, entry: Entry) -> list[str]:
    expected = before.sequence + 1 if before else 1
    found = []
    if entry.sequence != expected:
        found.append(f"entry {entry.id[:12]} has the sequence {entry.sequence}, not {expected}")
    if before and entry.old != before.new:
        found.append(
            f"entry {entry.sequence} begins at {entry.old[:12]}, and the one before it ends at {before.new[:12]}"
        )
    return found


def _said(error: Exception) -> str:
    return error.detail.rstrip(".") if isinstance(error, MeshError) else f"{type(error).__name__}: {error}"
