"""What is told of a push that landed: one line for each thing that was done, then notes on what was made of the data.

Pure: what was planned and written in, lines out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from thinmesh.kernel.contract import Table
from thinmesh.kernel.ledger import ProductChange, TableLoad
from thinmesh.kernel.product import Product

from .inferred_notes import inferred_notes
from .push_messages import cut, printable
from .push_names import is_unread_data

# What fits on a screen; how many more there are is told.
_MOST_LINES = 40


@dataclass(frozen=True, slots=True)
class Landed:
    """What a push did to one product: the state before, the change as it was written down, and the files it brought.

    `claims` where the product is the first of its domain, which nobody worked in before.
    """

    before: Product | None
    change: ProductChange
    tables: Mapping[str, Table]
    notes: tuple[str, ...]
    files: tuple[str, ...]
    claims: bool = False


def reply(landed: Iterable[Landed]) -> list[str]:
    """Tell of every product what was done, then the notes on all of them; cut where nobody would read on."""
    found = list(landed)
    lines = [line for one in found for line in _done(one)] + [f"note: {line}" for one in found for line in _notes(one)]
    more = len(lines) - _MOST_LINES
    shown = [*lines[: _MOST_LINES - 1], f"and {more + 1} more lines like these"] if more > 0 else lines
    return [cut(printable(line)) for line in shown]


def _done(landed: Landed) -> Iterator[str]:
    change = landed.change
    if landed.claims:
        yield f"{change.domain} is a new domain; it now belongs to the team {change.owner}"
    if change.event != "published":
        yield f"{change.event} {change.domain}/{change.product}"
    if change.publication:
        counts = ", ".join(f"{name} {_rows(load)}" for name, load in sorted(change.loads.items()))
        yield f"published {change.product} {change.publication}: {counts}"


def _rows(load: TableLoad) -> str:
    rows = sum(file.rows for file in load.files)
    return f"{rows:,} row" + ("" if rows == 1 else "s")


def _notes(landed: Landed) -> Iterator[str]:
    product = landed.change.product
    for path in landed.files:
        if is_unread_data(path):
            stem = path.rpartition("/")[2].partition(".")[0]
            way = f"save it as {stem}.csv and push that, or: thinmesh publish {product} {stem}.csv"
            yield f"{path} is stored and not read; {way}"
    yield from landed.notes
    yield from inferred_notes(product, landed.before, landed.tables)
