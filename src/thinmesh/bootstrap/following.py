"""The background threads of a served home: projections that follow the ledger, and upkeep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

_EVERY_SECONDS = 30.0
_PATIENCE_SECONDS = 2.0
# While changes keep coming, the part of one core that following takes.
_SHARE = 0.05


class Pace(NamedTuple):
    """How a follower gives way, in seconds."""

    pause: float = 0.2
    """Changes that come together are followed together: when none has come for so long."""
    quiet: float = 2.0
    """When nothing was asked for so long, what the first changes would wait for is prepared."""
    round: float = 8.0
    """While changes keep coming, the longest that a round waits for them."""


_PACE = Pace()


class Follower:
    """Calls functions in a thread of its own, soon after it was woken and every half minute; many wakes are one.

    A function that did something is called again; between two rounds whoever makes changes has the machine, and within
    a round wherever a function lets them (`give_way`). `prepare` is called once, when nothing was asked for a while.
    """

    def __init__(
        self,
        work: Sequence[Callable[[], bool]],
        name: str = "follower",
        every: float = _EVERY_SECONDS,
        *,
        prepare: Callable[[], bool] | None = None,
        pace: Pace = _PACE,
    ) -> None:
        self._work = work
        self._pace = pace
        self._every = every
        self._prepare = prepare
        self._wake = threading.Event()
        self._woken = 0.0
        self._stopped = threading.Event()
        # For `give_way`: what this thread had computed when it last rested, and when the round must have ended.
        self._computed = 0.0
        self._until = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Ask for a call; returns at once."""
        self._woken = time.monotonic()
        self._wake.set()

    @property
    def pressed(self) -> bool:
        """Tell whether changes keep coming."""
        return time.monotonic() < self._woken + self._pace.pause

    def expect(self) -> None:
        """Say that a change is likely to come in a moment: what is to be followed waits for that as for others."""
        self._woken = time.monotonic()

    def give_way(self) -> None:
        """Rest in proportion to what was computed since the last rest, unless no changes come; for this thread alone.

        The rests of a round have an end, so that what follows is behind by a bounded time.
        """
        wanted = (time.thread_time() - self._computed) / _SHARE
        self._rest(min(wanted, self._until - time.monotonic()))

    def stop(self, wait: float | None = None) -> bool:
        """Finish the call that runs, if any, and end; tell whether that is done, after at most `wait` seconds."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(wait)
        return not self._thread.is_alive()

    def _run(self) -> None:
        more = False
        while True:
            if not more:
                self._await()
            self._rest(_PATIENCE_SECONDS)
            self._wake.clear()
            if self._stopped.is_set():
                return
            self._until = time.monotonic() + self._pace.round
            more = sum(attempt(function) for function in self._work) > 0

    def _await(self) -> None:
        if self._prepare and not self._wake.wait(self._pace.quiet):
            prepare, self._prepare = self._prepare, None
            attempt(prepare)
        self._wake.wait(self._every)

    def _rest(self, seconds: float) -> None:
        """Let changes come in, until none has come for a moment or it took long enough."""
        until = time.monotonic() + seconds
        while (left := min(until, self._woken + self._pace.pause) - time.monotonic()) > 0:
            if self._stopped.wait(left):
                break
        self._computed = time.thread_time()


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
