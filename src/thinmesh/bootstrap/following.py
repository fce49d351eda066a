"""The one background thread of a served home: projections that follow the ledger, and upkeep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

_EVERY_SECONDS = 30.0
# Changes that come together are followed together.
_PAUSE_SECONDS = 0.2


class Follower:
    """Calls functions in a thread of its own, soon after it was woken and every half minute; many wakes are one."""

    def __init__(self, work: Sequence[Callable[[], object]]) -> None:
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
        while True:
            self._wake.wait(_EVERY_SECONDS)
            if self._stopped.wait(_PAUSE_SECONDS):
                return
            self._wake.clear()
            for function in self._work:
                attempt(function)


def attempt(function: Callable[[], object]) -> None:
    """Call a function; a projection that cannot follow delays itself alone, and is tried again with the next change."""
    try:
        function()
    except Exception:
        import structlog

        structlog.get_logger("thinmesh.follower").exception("a projection could not follow")
