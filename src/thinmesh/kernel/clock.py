"""Time as the mesh writes it: RFC 3339 in UTC, and ISO 8601 durations."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .errors import Malformed

Clock = Callable[[], datetime]

_DURATION = re.compile(
    r"P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?",
    re.ASCII,
)
_SHORT = re.compile(r"p?([0-9]{1,9}) ?([dwyhs])[a-z]*", re.ASCII)


def utc_now() -> datetime:
    """Give the time now, in UTC."""
    return datetime.now(UTC)


def text_of_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 with microseconds and `Z`; such texts sort as the moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_of_text(text: str) -> datetime:
    """Read an RFC 3339 time."""
    return datetime.fromisoformat(text).astimezone(UTC)


def duration(text: str) -> timedelta:
    """Read an ISO 8601 duration of at most 100 years; a year counts 365 days, a month 30."""
    found = _DURATION.fullmatch(text) if len(text) <= 40 else None
    if not found:
        raise Malformed(
            f"{text[:40]!r} is not a duration{_meant(text)}.", help="Write it in ISO 8601: P30D, P1Y, PT12H."
        )
    years, months, weeks, days, hours, minutes, seconds = (min(int(part or 0), 10**10) for part in found.groups())
    total = (((years * 365 + months * 30 + weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds
    if total > 100 * 365 * 86400:
        raise Malformed(f"{text!r} is longer than 100 years.", help="Write a shorter duration.")
    return timedelta(seconds=total)


def _meant(text: str) -> str:
    """Say how the duration is written that other tools write like `3d`; m may be minutes or months."""
    found = _SHORT.fullmatch(text.strip().lower())
    return f": write {'PT' if found[2] in 'hs' else 'P'}{found[1]}{found[2].upper()}" if found else ""
