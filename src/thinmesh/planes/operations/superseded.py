"""Data files of earlier publications: kept for a while, then removed once nothing leads to them any more.

The log goes on naming them. A rebuild, a restoration and every reader need the present files alone; the time in which
an earlier state of a table can be looked at is that of its Iceberg snapshots, and a week at least.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.errors import Internal, MeshError

from .backend import Backends, Warehouse
from .lingering import Lingering
from .projections import require_on_log
from .reading import read_log

# No reader is at a state that was replaced so long ago, and no hand that published by mistake comes so late.
KEPT = timedelta(days=7)


def remove_superseded(backends: Backends, warehouse: Warehouse, lingering: Lingering, kept: timedelta = KEPT) -> int:
    """Remove data files that were superseded longer than `kept` ago and that no snapshot needs; give how many.

    Raises Internal where the log is damaged, or lacks what was accepted.
    """
    require_on_log(backends)
    log = read_log(backends.ledger.entries())
    if log.faults:
        raise Internal(f"The log is damaged: {log.faults[0]}.", help="Run `thinmesh doctor`.")
    before = backends.clock() - kept
    there = backends.location.paths()
    old = lingering.of({path for path, since in log.superseded.items() if since < before and path in there})
    count = 0
    for path in sorted(_unneeded(backends, warehouse, old)):
        backends.location.remove(path)
        count += 1
    return count


def _unneeded(backends: Backends, warehouse: Warehouse, old: Iterable[str]) -> Iterator[str]:
    """Give those of the files that neither the present state of a table names, nor a snapshot of it."""
    tables: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in old:
        product, table, _ = path.split("/")
        tables[product, table].add(path)
    for (product, table), paths in sorted(tables.items()):
        try:
            needed = warehouse.files(product, table)
        except MeshError:
            continue  # what cannot be read may need them all
        with backends.database.read() as tx:
            yield from paths - needed - _present(backends, tx, product)


def _present(backends: Backends, tx: Transaction, name: str) -> set[str]:
    product = backends.index.product(tx, name)
    return {file.path for state in product.tables.values() for file in state.files} if product else set()
