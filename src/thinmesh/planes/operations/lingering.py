"""What was left over at two looks some time apart, by a clock that does not leap."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

# Longer than anything in flight may take: a publication is checked for ten minutes at most.
_SECONDS = 3600.0


class Lingering:
    """Remembers what was seen to be left over.

    The age of a file alone does not tell: when a machine wakes after days of sleep, or its clock is put right, the
    files of a publication in flight look old at once. `monotonic` counts the seconds that this process has been awake.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, seconds: float = _SECONDS) -> None:
        self._monotonic = monotonic
        self._seconds = seconds
        self._seen: dict[str, float] = {}

    def of(self, found: Collection[str]) -> set[str]:
        """Give those that were among the found at a look so many seconds ago, and at each look since."""
        now = self._monotonic()
        self._seen = {each: self._seen.get(each, now) for each in found}
        return {each for each, since in self._seen.items() if now - since >= self._seconds}
