"""Progress of long work, as whoever waits for it is told."""

from __future__ import annotations

from collections.abc import Callable

# Told what is being done, how much of it is done, and of how much (0: not known).
Progress = Callable[[str, int, int], None]


def no_progress(what: str, done: int, total: int) -> None:
    """Tell nobody."""
