"""Writes the query log behind the statements: none waits for a disk, and no entry is lost while the process lives."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from thinmesh.kernel.errors import MeshError

from .backend import StatementLog
from .model import Statement

_RETRY_SECONDS = 1.0
# Entries gather for so long, unless somebody waits for them: each batch is one durable transaction, and a statement
# that begins and ends meanwhile is one entry of it.
_GATHER_SECONDS = 0.05
# While the disk is full, so many entries are kept in memory; the oldest go first beyond that, and are counted.
_KEPT = 100_000


class Recorder:
    """Collect entries from any thread and write them in batches from one of its own."""

    def __init__(self, log: StatementLog) -> None:
        self._log = log
        self._entries: deque[Statement] = deque()
        self._condition = threading.Condition()
        self._written = 0
        self._added = 0
        self._awaited = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self.lost = 0

    def add(self, entry: Statement) -> None:
        """Take an entry; returns at once."""
        with self._condition:
            self._entries.append(entry)
            self._added += 1
            if len(self._entries) > _KEPT:
                self._entries.popleft()
                self._written += 1
                self.lost += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._writing, name="query-log", daemon=True)
                self._thread.start()
            if len(self._entries) == 1:
                self._condition.notify_all()

    def flush(self, seconds: float = 5.0) -> None:
        """Wait until what was added before is written, or the time is over, which is told."""
        with self._condition:
            wanted = self._awaited = self._added
            self._condition.notify_all()
            if not self._condition.wait_for(_reached(self, wanted), seconds):
                _tell(f"the query log is behind: {wanted - self._written} entries not written after {seconds:g} s")

    def close(self, patience: float = 5.0) -> None:
        """Write what is left, for at most `patience` seconds, and end."""
        self.flush(patience)
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join()

    @property
    def written(self) -> int:
        """Count the entries that are written, or lost."""
        return self._written

    def _writing(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._entries or self._closed)
                if not self._entries:
                    return
                self._condition.wait_for(lambda: self._closed or self._awaited > self._written, _GATHER_SECONDS)
                batch = list(self._entries)
                self._entries.clear()
            left = self._record(batch)
            with self._condition:
                self._written += len(batch) - len(left)
                self._condition.notify_all()
            if left:
                self._return(left)

    def _record(self, batch: list[Statement]) -> list[Statement]:
        """Write entries; give those to be tried again. One that can never be written is lost, and no other with it."""
        try:
            self._log.record(list({(one.user, one.id): one for one in batch}.values()))
        except MeshError:
            return batch
        except Exception as error:
            if len(batch) > 1:
                return [left for one in batch for left in self._record([one])]
            self.lost += 1
            _tell(f"the query log lacks the entry {batch[0].id} of {batch[0].user}", error)
        return []

    def _return(self, batch: list[Statement]) -> None:
        """Keep what could not be written, and wait a little."""
        with self._condition:
            self._entries.extendleft(reversed(batch))
            if self._closed:
                self.lost += len(self._entries)
                self._entries.clear()
                return
            self._condition.wait_for(lambda: self._closed, _RETRY_SECONDS)


def _tell(what: str, error: Exception | None = None) -> None:
    import logging

    logging.getLogger("thinmesh.query").error(what, exc_info=error)


def _reached(recorder: Recorder, wanted: int) -> Callable[[], bool]:
    return lambda: recorder.written >= wanted
