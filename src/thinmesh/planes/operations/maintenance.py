"""What is to be done now and then, each step in its own time: one that fails keeps none from its turn."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from thinmesh.kernel.clock import Clock, text_of_time, utc_now
from thinmesh.kernel.errors import Internal, MeshError

from .backend import Backends, Tools, Warehouse
from .lingering import Lingering
from .model import StepOutcome
from .orphans import remove_orphans
from .projections import require_on_log
from .reading import read_log
from .superseded import remove_superseded

_SECOND, _HOUR, _DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
# What needs two looks (`Lingering`): often enough for a server that is up for one working day.
_LOOKS = timedelta(hours=3)
_STATEMENTS_KEPT = timedelta(days=90)
_AT_ONCE = 5000  # entries of the query log removed in one transaction
# The longest that an upload or a backup may be on its way.
_UNFINISHED_SECONDS = 2 * 86_400.0


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be done every so often; `run` gives how much it did. `first` is the time from start to then."""

    name: str
    every: timedelta
    run: Callable[[], int]
    first: timedelta | None = None


class Maintenance:
    """Runs the steps that are due. The first turn of a step comes a whole period after the start, or as it says."""

    def __init__(self, steps: Sequence[Step], clock: Clock = utc_now) -> None:
        self._steps = steps
        self._clock = clock
        now = clock()
        self._due: dict[str, datetime] = {step.name: now + (step.first or step.every) for step in steps}
        self._errors: dict[str, str] = {}
        self._running = threading.Lock()

    def maintain(self, everything: bool = False) -> tuple[StepOutcome, ...]:
        """Run the steps that are due, or all; nothing where another thread is at it."""
        if not self._running.acquire(blocking=False):
            return ()
        try:
            return tuple(self._run(step) for step in self._steps if everything or self._clock() >= self._due[step.name])
        finally:
            self._running.release()

    def _run(self, step: Step) -> StepOutcome:
        self._due[step.name] = self._clock() + step.every
        before = self._errors.pop(step.name, None)
        try:
            return StepOutcome(step.name, step.run())
        except (MeshError, OSError) as error:
            told = self._errors[step.name] = error.detail if isinstance(error, MeshError) else str(error)
            return StepOutcome(step.name, error=told, known=told == before)


def steps_of(backends: Backends, tools: Tools, others: Sequence[Step] = ()) -> tuple[Step, ...]:
    """Give this plane's own steps, and those of others (expired grants, replies kept for repetitions)."""
    linger = partial(Lingering, backends.monotonic)
    return (
        *others,
        Step("relieve_data_repository", _SECOND, tools.data_care.relieve),
        Step("relieve_log", _SECOND, tools.log_care.relieve),
        Step("pack_data_repository", _HOUR, tools.data_care.tidy),
        Step("pack_log", _HOUR, tools.log_care.tidy),
        Step("sweep_data_repository", 7 * _DAY, lambda: sweep(backends, tools), _DAY),
        Step("remove_orphan_files", _LOOKS, lambda: remove_orphans(backends), _HOUR),
        Step(
            "remove_unfinished_work", _LOOKS, partial(remove_unfinished, backends, linger(_UNFINISHED_SECONDS)), _HOUR
        ),
        Step("shorten_query_log", _DAY, lambda: shorten_query_log(backends, tools), _HOUR),
        *_warehouse_steps(backends, tools.warehouse, linger()),
    )


def _warehouse_steps(backends: Backends, warehouse: Warehouse | None, lingering: Lingering) -> Iterator[Step]:
    if warehouse:
        yield Step("remove_orphan_metadata", _DAY, warehouse.vacuum, _HOUR)
        yield Step("remove_superseded_files", _LOOKS, partial(remove_superseded, backends, warehouse, lingering), _HOUR)


def sweep(backends: Backends, tools: Tools) -> int:
    """Drop objects that nothing in the data repository leads to; give how many bytes that freed.

    Raises Internal where the log and `main` are not as they were accepted: what heals that may be unreachable now.
    """
    require_on_log(backends)
    newest = read_log(backends.ledger.entries()).last
    if newest and not backends.data.is_ancestor(newest.new, backends.data.tip()):
        raise Internal("main is behind the log.", help="Run `thinmesh doctor`.")
    return tools.data_care.sweep()


def unfinished(backends: Backends) -> list[Path]:
    """List the folders of work on its way, and of work that a killed process left."""
    run = backends.layout.run
    return [
        path
        for folder, names in ((backends.scratch, "*"), (run, "upload-*"), (run, "backup-*"))
        for path in sorted(folder.glob(names))
    ]


def remove_unfinished(backends: Backends, lingering: Lingering | None = None) -> int:
    """Remove folders of work that did not come to its end: those lingering, or all; give how many."""
    found = {str(path) for path in unfinished(backends)}
    old = [Path(path) for path in sorted(lingering.of(found) if lingering else found)]
    for path in old:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(old)


def shorten_query_log(backends: Backends, tools: Tools, kept: timedelta = _STATEMENTS_KEPT) -> int:
    """Remove entries of the query log that are older than `kept`, some at a time so that writers get their turn."""
    before = text_of_time(backends.clock() - kept)
    count = 0
    while True:
        with backends.database.write() as tx:
            removed = tools.store.forget_statements(tx, before, _AT_ONCE)
        count += removed
        if removed < _AT_ONCE:
            return count
