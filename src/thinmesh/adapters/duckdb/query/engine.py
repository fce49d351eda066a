"""The query engine: DuckDB in worker processes (`worker.py`), each statement judged, bound, timed and killable."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from thinmesh.kernel.errors import Temporary
from thinmesh.planes.query.backend import Job
from thinmesh.planes.query.model import ReadableTable

from . import statements
from .pool import Options, Pool, Worker
from .queue import Queue
from .run import DuckdbRun

_TICK_SECONDS, _REST_SECONDS = 0.1, 5.0
# So many ticks without a statement, and the watch rests: it is not woken for every one of a series.
_TICKS_BEFORE_REST = 20
_PARSED_KEPT = 1000
_PARSED_BYTES = 8192


class DuckdbEngine:
    """Run statements in `workers` processes at once, each within `memory` bytes.

    `lake` is the one folder the workers may read. In `scratch` the engine makes a folder of its own, in which
    each worker may spill up to `scratch_bytes`; without it nothing spills. `spare` workers are kept ready. `clock`
    gives seconds that only grow.
    """

    def __init__(
        self,
        *,
        workers: int,
        memory: int,
        lake: Path,
        threads: int | None = None,
        scratch: Path | None = None,
        scratch_bytes: int = 10 << 30,
        spare: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        slots = max(2, workers)
        self.threads = threads or os.cpu_count() or 1
        self.memory = memory
        self.clock = clock
        self.queue = Queue(slots, clock=clock)
        self.pool = Pool(Options(memory, self.threads, (lake.resolve(),), scratch, scratch_bytes), spare, slots)
        self._parsed: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        self._runs: set[DuckdbRun] = set()
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._closed = False
        self._resting = False
        self._watch: threading.Thread | None = None
        self._walls: Mapping[str, str] = {}
        self._version = ""

    def submit(self, job: Job) -> DuckdbRun:
        """Take a statement; nothing runs before `open`."""
        return DuckdbRun(self, job)

    def sample(self, table: ReadableTable, rows: int) -> str:
        """Write the statement that gives some rows of a table."""
        return statements.sample(table, rows)

    def profile(self, table: ReadableTable) -> str:
        """Write the statement that profiles a table's columns."""
        return statements.profile(table)

    def data(self, table: ReadableTable) -> str:
        """Write the statement that gives a whole table."""
        return statements.data(table)

    def warm(self) -> None:
        """Start workers ahead of the first statement."""
        self.pool.warm()

    def report(self) -> dict[str, Any]:
        """Tell version, workers, queue and the walls in force; starts a worker where none ever ran."""
        if not self._walls:
            worker = self.pool.blank()
            self.met(worker)
            self.pool.discard(worker)
        return {
            "engine": "duckdb",
            "version": self._version,
            "memory": self.memory,
            "threads": self.threads,
            "workers": self.pool.counts(),
            "queue": self.queue.counts(),
            "sandbox": dict(self._walls),
        }

    def close(self) -> None:
        """End every statement and worker."""
        with self._lock:
            self._closed = True
            runs = list(self._runs)
            self._wake.notify_all()
        for run in runs:
            run.stop("stopping")
        self.pool.close()

    def met(self, worker: Worker) -> None:
        """Remember what a worker told of itself."""
        self._walls, self._version = worker.walls, worker.version

    def known(self, user: str, sql: str) -> dict[str, Any] | None:
        """Give the verdict on a statement that this user sent before."""
        with self._lock:
            found = self._parsed.get((user, sql))
            if found is not None:
                self._parsed.move_to_end((user, sql))
            return found

    def learn(self, user: str, sql: str, verdict: dict[str, Any]) -> None:
        """Keep the verdict on a statement; never for another user, because this user's worker gave it."""
        if len(sql) <= _PARSED_BYTES:
            with self._lock:
                self._parsed[user, sql] = verdict
                while len(self._parsed) > _PARSED_KEPT:
                    self._parsed.popitem(last=False)

    def enrol(self, run: DuckdbRun) -> None:
        """Have a statement watched."""
        with self._lock:
            if self._closed:
                raise Temporary("The query engine is closed.")
            self._runs.add(run)
            if self._watch is None:
                self._watch = threading.Thread(target=self._watching, name="query-watch", daemon=True)
                self._watch.start()
            if self._resting:
                self._wake.notify_all()

    def dismiss(self, run: DuckdbRun) -> None:
        """Have a statement watched no more."""
        with self._lock:
            self._runs.discard(run)

    def _watching(self) -> None:
        """Stop statements whose time is over, end idle workers."""
        idle = 0
        while True:
            with self._lock:
                idle = 0 if self._runs else idle + 1
                self._resting = idle > _TICKS_BEFORE_REST
                self._wake.wait(_REST_SECONDS if self._resting else _TICK_SECONDS)
                self._resting = False
                if self._closed:
                    return
                runs = list(self._runs)
            now = self.clock()
            for run in runs:
                run.judge(now)
            self.pool.sweep()
