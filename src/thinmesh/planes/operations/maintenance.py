"""What is to be done now and then, each step in its own time: one that fails keeps none from its turn."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from thinmesh.kernel.clock import Clock, text_of_time, utc_now
from thinmesh.kernel.errors import MeshError

from .backend import Backends, Tools
from .model import StepOutcome
from .orphans import remove_orphans

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_STATEMENTS_KEPT = timedelta(days=90)
_AT_ONCE = 5000  # entries of the query log removed in one transaction
_UNFINISHED_SECONDS = 2 * 86_400.0


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be done every so often; `run` gives how much it did."""

    name: str
    every: timedelta
    run: Callable[[], int]


class Maintenance:
    """Runs the steps that are due. The first turn of a step comes when a whole period has passed since the start."""

    def __init__(self, steps: Sequence[Step], clock: Clock = utc_now) -> None:
        self._steps = steps
        self._clock = clock
        self._done: dict[str, datetime] = {step.name: clock() for step in steps}
        self._running = threading.Lock()

    def maintain(self, everything: bool = False) -> tuple[StepOutcome, ...]:
        """Run the steps that are due, or all; nothing where another thread is at it."""
        if not self._running.acquire(blocking=False):
            return ()
        try:
            return tuple(self._run(step) for step in self._steps if everything or self._due(step))
        finally:
            self._running.release()

    def _due(self, step: Step) -> bool:
        return self._clock() - self._done[step.name] >= step.every

    def _run(self, step: Step) -> StepOutcome:
        self._done[step.name] = self._clock()
        try:
            return StepOutcome(step.name, step.run())
        except (MeshError, OSError) as error:
            return StepOutcome(step.name, error=error.detail if isinstance(error, MeshError) else str(error))


def steps_of(backends: Backends, tools: Tools, others: Sequence[Step] = ()) -> tuple[Step, ...]:
    """Give this plane's own steps, and those of others (expired grants, replies kept for repetitions)."""
    return (
        *others,
        Step("pack_data_repository", _HOUR, tools.data_care.tidy),
        Step("pack_log", _HOUR, tools.log_care.tidy),
        Step("remove_orphan_files", _DAY, lambda: remove_orphans(backends)),
        Step("remove_unfinished_work", _DAY, lambda: remove_unfinished(backends)),
        Step("shorten_query_log", _DAY, lambda: shorten_query_log(backends, tools)),
    )


def remove_unfinished(backends: Backends, seconds: float = _UNFINISHED_SECONDS) -> int:
    """Remove folders of work that a killed process left, and did not touch for so long; give how many."""
    scratch = backends.scratch
    old = [path for path in scratch.glob("*") if _age(path) >= seconds] if scratch.is_dir() else []
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


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
