"""The catalog that others fetch: what is told of each product lies in the platform database, ready to be sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from thinmesh.kernel.database import Database
from thinmesh.planes.product.backend import CatalogNodes
from thinmesh.planes.product.model import CatalogRecord

from .nodes import FOOTER, FORM, header, nodes_of

_PAGE = 200  # products read at once: some 400 kB


class DcatCatalog:
    """An `OutsideCatalog` and a `CatalogDocument` (planes/product/backend.py)."""

    name = "dcat"
    media_type = "application/ld+json"

    def __init__(self, database: Database, nodes: CatalogNodes) -> None:
        self._database = database
        self._nodes = nodes

    def put(self, record: CatalogRecord) -> None:
        """Write a product."""
        node = nodes_of(record)
        with self._database.write(logged=True) as tx:
            self._nodes.put(tx, record.product.name, FORM, node)

    def remove(self, product: str) -> None:
        """Write nothing of a product any more."""
        with self._database.write(logged=True) as tx:
            self._nodes.remove(tx, product)

    def products(self) -> Iterator[str]:
        """Give the names of the products in it."""
        return (name for name, _ in self._all())

    def differences(self, record: CatalogRecord) -> Sequence[str]:
        """Say whether it is not written as it would be."""
        with self._database.read() as tx:
            found = self._nodes.get(tx, record.product.name)
        if found is None:
            return [f"{record.product.name} is missing"]
        return [] if found == nodes_of(record) else [f"{record.product.name} is not as it was written"]

    def outdated(self) -> bool:
        """Tell whether another release wrote what is there."""
        with self._database.read() as tx:
            return self._nodes.outdated(tx, FORM)

    def chunks(self, url: str) -> Iterator[bytes]:
        """Write the document of a mesh at `url`, some products at a time."""
        yield header(url).encode()
        between = ""
        for _, node in self._all():
            yield f"{between}{node}".encode()
            between = ",\n"
        yield FOOTER.encode()

    def _all(self) -> Iterator[tuple[str, str]]:
        after = ""
        while True:
            with self._database.read() as tx:
                page = self._nodes.page(tx, _PAGE, after)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]
