"""One violation per file, table, column and rule (INTERFACE, *Errors*)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from thinmesh.kernel.errors import Violation

from .records import EXAMPLES

_Key = tuple[str | None, str | None, str | None, str]


def merged(found: Iterable[Violation], count: Callable[[tuple[int, int]], int] = sum) -> list[Violation]:
    """Join violations of one file, table, column and rule: their messages, first examples and counts.

    `count` joins two counts: `max` where they are of the same rows.
    """
    together: dict[_Key, Violation] = {}
    for one in found:
        key = (one.file, one.table, one.column, one.rule)
        together[key] = _both(together[key], one, count) if key in together else one
    return list(together.values())


def _both(one: Violation, other: Violation, count: Callable[[tuple[int, int]], int]) -> Violation:
    message = one.message if other.message in one.message else f"{one.message}; {other.message}"
    examples = (*one.examples, *other.examples)[:EXAMPLES]
    return replace(one, message=message, count=count((one.count, other.count)), examples=examples)
