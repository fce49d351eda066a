"""What catalogs outside the mesh are told of a product, read in one transaction."""

from __future__ import annotations

from collections.abc import Callable

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.errors import NotFound
from thinmesh.kernel.product import Product

from .backend import ProductIndex, Teams
from .model import CatalogRecord


class Records:
    """Makes records. `teams` is asked for when a record is made: it stands on the signing key."""

    def __init__(self, index: ProductIndex, teams: Callable[[], Teams], url: str = "") -> None:
        self._index = index
        self._teams = teams
        self._url = url.rstrip("/") or None

    def of(self, tx: Transaction, name: str) -> CatalogRecord:
        """Tell of a product, retired ones included. Raises NotFound where there is none."""
        product = self._index.product(tx, name)
        if product is None:
            raise NotFound(f"There is no product {name[:80]}.")
        latest = self._index.publications(tx, name, 1, None) if told_in_figures(product) else ()
        return CatalogRecord(
            product=product,
            contract=contract_of(product),
            quality=dict(latest[0]["quality"]) if latest else {},
            rows={table: state.rows for table, state in product.tables.items() if state.publication} if latest else {},
            inputs=self._inputs(tx, product),
            members=tuple(self._teams().members(tx, product.owner)),
            url=self._url,
        )

    def _inputs(self, tx: Transaction, product: Product) -> dict[str, tuple[str, ...]]:
        """Resolve `product` and `product.table`; what is not there is left out."""
        found: dict[str, tuple[str, ...]] = {}
        for each in product.descriptor.inputs:
            name, _, table = each.partition(".")
            source = self._index.product(tx, name)
            if source:
                wanted = (table,) if table else tuple(source.tables)
                found[name] = tuple(dict.fromkeys((*found.get(name, ()), *wanted)))
        return found


def told_in_figures(product: Product) -> bool:
    """Tell whether figures of the data may leave the mesh: those of closed or classified data are data."""
    return not product.closed and not any(state.table.classified for state in product.tables.values())


def contract_of(product: Product) -> bytes:
    """Give a product's contract as an ODCS document: the author's own bytes where there are any."""
    if product.descriptor.odcs is not None:
        return product.descriptor.odcs
    from thinmesh.kernel.documents import to_odcs

    tables = {name: state.table for name, state in product.tables.items()}
    return to_odcs(product.descriptor, tables, owner=product.owner, version=product.version, status=product.status)
