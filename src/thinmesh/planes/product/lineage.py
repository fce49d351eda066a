"""What a product is made from, and what is made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.policy import ProductFacts

from .backend import ProductIndex
from .model import Lineage, Relative

STEPS = 2
# Products shown so many steps away, on each side: what a person takes in at a glance.
_SHOWN = {1: 12, 2: 12}

_Look = Callable[[str, int], Sequence[Mapping[str, Any]]]


def lineage_of(index: ProductIndex, tx: Transaction, product: ProductFacts) -> Lineage:
    """Follow inputs and outputs from a product. A product found twice is shown where it was found first."""
    own = Relative(product.name, 0, product.domain, product.access, product.status)
    found: dict[str, Relative] = {product.name: own}
    edges: dict[tuple[str, str], None] = {}
    more: set[int] = set()
    for side, look in ((-1, lambda name, most: index.inputs(tx, name, most)), (1, _outputs(index, tx))):
        _follow(product.name, side, look, found, edges, more)
    return Lineage(product.name, tuple(found.values()), tuple(edges), frozenset(more))


def _outputs(index: ProductIndex, tx: Transaction) -> _Look:
    return lambda name, most: index.outputs(tx, name, most)


def _follow(
    start: str,
    side: int,
    look: _Look,
    found: dict[str, Relative],
    edges: dict[tuple[str, str], None],
    more: set[int],
) -> None:
    """Go one way, step by step, and add what is there; `more` gets the steps at which some were left out."""
    present = [start]
    for away in range(1, STEPS + 1):
        reached: list[str] = []
        for name in present:
            rows = look(name, _SHOWN[away] + 1)
            for row in rows:
                if row["name"] not in found:
                    if len(reached) == _SHOWN[away]:
                        more.add(side * away)
                        continue
                    found[row["name"]] = Relative(**row, steps=side * away)
                    reached.append(row["name"])
                edges[(row["name"], name) if side < 0 else (name, row["name"])] = None
        present = reached
