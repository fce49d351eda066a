"""The one background thread of a served home: projections that follow the ledger, and upkeep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

_EVERY_SECONDS = 30.0
# Changes that come together are followed together: when none has come for the first, or after the second.
_PAUSE_SECONDS = 0.2
_PATIENCE_SECONDS = 2.0


class Follower:
    """Calls functions in a thread of its own, soon after it was woken and every half minute; many wakes are one.

    A function that did something is called again; between two rounds whoever makes changes has the machine.
    """

    def __init__(self, work: Sequence[Callable[[], bool]]) -> None:
        self._work = work
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Ask for a call; returns at once."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the call that runs, if any, and end."""
        self._stopped.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        more = False
        while True:
            if not more:
                self._wake.wait(_EVERY_SECONDS)
            self._calm()
            if self._stopped.is_set():
                return
            more = sum(attempt(function) for function in self._work) > 0

    def _calm(self) -> None:
        """Let changes come in, until none comes for a moment or it took long enough."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._wake.is_set() and time.monotonic() < until:
            self._wake.clear()
            if self._stopped.wait(_PAUSE_SECONDS):
                return
        self._wake.clear()


def attempt(function: Callable[[], bool]) -> bool:
    """Call a function that tells whether there may be more to do, and pass that on.

    A projection that cannot follow delays itself alone, and is tried again with the next change.
    """
    try:
        return function()
    except Exception:
        import structlog

        structlog.get_logger("thinmesh.follower").exception("a projection could not follow")
        return False
