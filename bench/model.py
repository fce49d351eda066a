"""What a job is: sides that do the same work, and the goals that compare their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

Work = Callable[[], Mapping[str, float] | None]
"""One round of a side; it returns figures of its own (`p50`, `rate`), or nothing: the frame adds `seconds`."""

Side = Callable[[Path], AbstractContextManager[Work]]
"""Prepares a side in a folder of its own and yields its work. Top-level, for it runs in a process of its own."""

OURS = "thinmesh"


@dataclass(frozen=True)
class Goal:
    """What a figure of ours must be: at most (or, for rates, at least) `limit` times that of a side, or in itself.

    Seconds, MB (10^6 bytes) or per second, as the figure is.
    """

    figure: str
    limit: float
    against: str | None = "floor"
    at_least: bool = False

    def value(self, figures: Mapping[str, Mapping[str, float]]) -> float | None:
        """Give the ratio, or the bare figure; None where a side could not run."""
        ours = figures.get(OURS, {}).get(self.figure)
        if self.against is None or ours is None:
            return ours
        other = figures.get(self.against, {}).get(self.figure)
        return ours / other if other else None

    def met(self, value: float) -> bool:
        """Tell whether a value is within the goal."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Job:
    """A job of the bench: what is measured on which sides, in how many counted rounds."""

    key: str
    title: str
    sides: Mapping[str, Side]
    goals: tuple[Goal, ...] = ()
    rounds: int = 5
    warm: int = 1
    once: tuple[str, ...] = field(default=())
    """Sides that are so slow that one round, not warmed, must do."""


class Unavailable(Exception):
    """A side that cannot run here; the text says why."""
