"""What a column holds, as a small drawing and a line of text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from thinmesh.planes.query.model import ColumnProfile

WIDTH, HEIGHT = 120, 28  # of a drawing, in its own units
_BINS = 20
_EXACT = 100  # so many are told to the last one
_GAP = 1.0
_LONGEST = 200  # characters of a value that are told; of most fewer are seen
_NAMED = 3
_WORTH = 0.02  # the share of the most frequent value, below which none is worth a drawing
_WHOLE = 2**53  # beyond, a float does not count in ones


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a drawing, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Told:
    """A value in words, with what is said of it before and after: a value may be written from right to left."""

    value: str
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.before, self.value, self.after)))


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a column's values spread: bars (none where there is nothing to draw), and what they say in words.

    `lacking` says how many are NULL, nothing where none is.
    """

    bars: tuple[Bar, ...]
    told: tuple[Told, ...]
    lacking: str


def distribution(profile: ColumnProfile) -> Distribution:
    """Draw a column's profile."""
    lacking = f"{_share(profile.nulls / profile.rows)} empty" if profile.nulls else ""
    filled = profile.rows - profile.nulls
    if not filled:
        return Distribution((), (), "always empty" if profile.rows else "")
    if len(profile.top_counts) > 1 and profile.top_counts[0] / filled >= _WORTH:
        return Distribution(_bars(profile.top_counts), _frequent(profile, filled), lacking)
    if profile.min is not None and profile.min == profile.max:
        return Distribution((), (Told(_written(profile.min, profile.type), "always"),), lacking)
    if profile.quantiles:
        return Distribution(_bars(histogram(profile.quantiles, _bins(profile))), _range(profile), lacking)
    return Distribution((), (Told(f"about {_roughly(min(profile.distinct, filled)):,} different values"),), lacking)


def histogram(quantiles: Sequence[float], bins: int) -> list[float]:
    """Give the share of values in each of so many equal steps between the first and the last quantile.

    `quantiles` are in even steps of shares, ascending; between two of them values are taken to spread evenly.
    """
    low, high = quantiles[0], quantiles[-1]
    if not high > low or bins < 2:
        return [1.0]
    edges = [low + (high - low) * number / bins for number in range(1, bins)]
    below = [0.0, *(_below(quantiles, edge) for edge in edges), 1.0]
    return [max(0.0, upper - lower) for lower, upper in pairwise(below)]


def _roughly(count: int) -> int:
    """Keep two digits: different values are counted to within a few percent."""
    return round(count, 2 - len(str(count))) if count >= _EXACT else count


def _below(quantiles: Sequence[float], value: float) -> float:
    """Give the share of values that are not above one."""
    steps = len(quantiles) - 1
    after = bisect_right(quantiles, value)
    if after > steps:
        return 1.0
    before = after - 1
    low, high = quantiles[before], quantiles[after]
    inside = (value - low) / (high - low) if high > low else 0.0
    return (before + inside) / steps


def _bins(profile: ColumnProfile) -> int:
    """Give as many bins as there are whole numbers where those are few."""
    span = profile.quantiles[-1] - profile.quantiles[0]
    return int(span) + 1 if profile.type == "integer" and span < _BINS else _BINS


def _bars(values: Sequence[float]) -> tuple[Bar, ...]:
    """Draw values beside each other, the greatest as high as the drawing; none that counts vanishes."""
    most = max(values)
    wide = WIDTH / max(len(values), 5)
    bars = []
    for number, value in enumerate(values):
        if value > 0:
            high = max(1.5, value / most * HEIGHT)
            bars.append(Bar(round(number * wide, 2), round(HEIGHT - high, 2), round(wide - _GAP, 2), round(high, 2)))
    return tuple(bars)


def _frequent(profile: ColumnProfile, filled: int) -> tuple[Told, ...]:
    """Name the most frequent values with their shares, and say how many others there are."""
    pairs = list(zip(profile.top, profile.top_counts, strict=False))[:_NAMED]
    told = [Told(_short(value), after=_share(count / filled)) for value, count in pairs]
    rest = profile.distinct - len(pairs)
    return (*told, Told(f"{rest:,} more")) if rest > 0 else tuple(told)


def _range(profile: ColumnProfile) -> tuple[Told, ...]:
    low, high = profile.min, profile.max
    if profile.type in ("date", "timestamp", "timestamptz"):
        return (Told(f"{(low or '')[:10]} to {(high or '')[:10]}"),)
    middle = round(profile.q50) if profile.q50 is not None and profile.type == "integer" else profile.q50
    median = "" if middle is None else f"median {_number(float(middle))}"
    between = f"{_written(low, profile.type)} to {_written(high, profile.type)}"
    return tuple(Told(text) for text in (between, median) if text)


def _written(text: str | None, kind: str) -> str:
    """Write a value as people do; a text is none of a number, whatever it looks like."""
    is_number = kind in ("integer", "double") or kind.startswith("decimal")
    return _number(float(text)) if is_number and text else _short(text or "")


def _number(value: float) -> str:
    if abs(value) < _WHOLE and value.is_integer():
        # Years are written without a comma.
        return f"{int(value):,}" if abs(value) >= 10_000 else f"{int(value)}"
    return f"{value:,.1f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _short(value: str) -> str:
    if value == "":
        return "(empty text)"
    return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"


def _share(share: float) -> str:
    percent = share * 100
    return f"{percent:.0f} %" if percent >= 1 else "< 1 %"
