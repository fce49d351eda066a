"""For whom a change breaks: those whose statements read what it takes away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from thinmesh.kernel.clock import text_of_time
from thinmesh.kernel.errors import Violation

from .backend import Backends

_RULE = "breaking"
_DAYS = 90
# Nobody writes to more people than these before changing a column.
_NAMED = 5


def for_whom(backends: Backends, product: str, faults: Iterable[Violation]) -> tuple[Violation, ...]:
    """Add to each breaking change who has read the table, or its column, lately."""
    since = text_of_time(backends.clock() - timedelta(days=_DAYS))
    return tuple(
        replace(fault, message=f"{fault.message} ({_readers(backends, product, fault, since)})")
        if fault.rule == _RULE and fault.table
        else fault
        for fault in faults
    )


def _readers(backends: Backends, product: str, fault: Violation, since: str) -> str:
    found = backends.readers.of(f"{product}.{fault.table}", fault.column, since)
    what = fault.column or f"{product}.{fault.table}"
    if not found:
        return f"no statement has read {what} in {_DAYS} days"
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{what} is read by {', '.join(found[:_NAMED])}{more}"
