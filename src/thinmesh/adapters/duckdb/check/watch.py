"""The end of a check before its end: out of time, or no longer wanted by whoever asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from thinmesh.kernel.errors import Temporary
from thinmesh.kernel.progress import Progress

from .connection import Connection

_LOOK_SECONDS = 0.2


@contextmanager
def watched(connection: Connection, progress: Progress, seconds: float | None) -> Iterator[Progress]:
    """Give the progress to tell during a check; it raises once the check is to end, and running SQL is interrupted.

    A check ends after `seconds`, or when `progress` raises; it is told again and again while a statement runs, from
    another thread.
    """
    watch = _Watch(connection, progress, seconds)
    thread = threading.Thread(target=watch.run, name="check-watch", daemon=True)
    thread.start()
    try:
        yield watch.tell
    except duckdb.InterruptException as error:
        raise watch.why or error from error
    finally:
        watch.ended.set()
        thread.join()


class _Watch:
    def __init__(self, connection: Connection, progress: Progress, seconds: float | None) -> None:
        self._connection, self._progress, self._seconds = connection, progress, seconds
        self._deadline = time.monotonic() + seconds if seconds else None
        self._last = ("check", 0, 0)
        self.ended = threading.Event()
        self.why: Exception | None = None

    def tell(self, what: str, done: int, total: int) -> None:
        """Pass on a step; raise why the check is to end."""
        self._last = (what, done, total)
        self._look()
        if self.why is not None:
            raise self.why

    def run(self) -> None:
        """Look now and then. A statement that begins forgets an interruption before it, hence the repetition."""
        while not self.ended.wait(_LOOK_SECONDS):
            self._look()
            if self.why is not None:
                self._connection.interrupt()

    def _look(self) -> None:
        if self.why is not None:
            return
        try:
            self._progress(*self._last)
            if self._deadline is not None and time.monotonic() > self._deadline:
                raise Temporary(
                    f"The check took longer than the {self._seconds:g} seconds that it may take.",
                    help="Send fewer or smaller files at once, or publish on the machine of the home.",
                )
        except Exception as error:  # whatever the caller says ends the check, in the thread that runs it
            self.why = error
