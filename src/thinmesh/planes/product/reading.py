"""The tables of all products, as one caller may read them: what the query plane stands on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.policy import Action, Principal, ProductFacts
from thinmesh.kernel.product import Product

from .backend import Backends
from .finding import facts, live_facts, live_product, unknown
from .model import Snapshot
from .operations import state_of

# Tables and files of a statement's products that it does not name, counted together.
_MOST_OTHERS = 64


class Reading:
    """Finds snapshots, and asks the policy for each."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def snapshots(self, caller: Principal, names: Sequence[tuple[str, str]]) -> list[Snapshot]:
        """Give the tables named as (product, table), then the others of their products where those are few.

        All are of one state. Raises NotFound with the nearest name, Retired, or NotAllowed where a grant is missing.
        """
        with self._backends.database.read() as tx:
            products = {product: live_product(self._backends, tx, product) for product, _ in dict.fromkeys(names)}
            for product in products.values():
                self._backends.policy.require(caller, Action.READ_DATA, product=facts(product))
        found = [self._snapshot(products[product], table) for product, table in names]
        return found + self._others(products.values(), set(names))

    def _others(self, products: Iterable[Product], named: Collection[tuple[str, str]]) -> list[Snapshot]:
        """Give the tables that are not named, or none where they have many files: who takes them opens each."""
        pairs = [(product, name) for product in products for name in product.tables]
        others = [(product, name) for product, name in pairs if (product.name, name) not in named]
        if sum(1 + len(product.tables[name].files) for product, name in others) > _MOST_OTHERS:
            return []
        return [self._snapshot(product, name) for product, name in others]

    def readable(self, caller: Principal) -> list[Snapshot]:
        """Give every table whose data the caller may read, without its files."""
        found = []
        with self._backends.database.read() as tx:
            for name in self._backends.index.names(tx):
                product = live_product(self._backends, tx, name)
                if self._backends.policy.allows(caller, Action.READ_DATA, facts(product)):
                    found += [Snapshot(name, state.table, state.publication, ()) for state in product.tables.values()]
        return found

    def names(self, caller: Principal) -> list[tuple[str, str]]:
        """Give the (product, table) names of `readable`, by product; no document is read."""
        with self._backends.database.read() as tx:
            return [
                (row["name"], table)
                for row in self._backends.index.catalog(tx)
                if self._backends.policy.allows(
                    caller, Action.READ_DATA, ProductFacts(row["name"], row["domain"], row["owner"], row["access"])
                )
                for table in row["tables"]
            ]

    def describe(self, caller: Principal, product: str, table: str) -> Snapshot:
        """Give a table's columns to any signed-in user."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        with self._backends.database.read() as tx:
            found = live_product(self._backends, tx, product)
        state = state_of(found, table)
        return Snapshot(product, state.table, state.publication, ())

    def names_readers(self, caller: Principal, product: str) -> bool:
        """Tell whether the caller may know by name who reads a product. Raises NotFound, Retired, NotAllowed."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        with self._backends.database.read() as tx:
            found = live_facts(self._backends, tx, product)
        return self._backends.policy.allows(caller, Action.SEE_READERS, found)

    def _snapshot(self, product: Product, table: str) -> Snapshot:
        state = state_of(product, table)
        files = tuple(self._backends.location.path(file) for file in state.files)
        return Snapshot(product.name, state.table, state.publication, files)

    # What the exchange plane asks -----------------------------------------------------------------------------

    def facts(self, tx: Transaction, product: str) -> ProductFacts:
        """Give what the policy must know of a product; also of a retired one. Raises NotFound with the nearest name."""
        found = self._backends.index.product(tx, product)
        if found is None:
            raise unknown(self._backends, tx, product)
        return facts(found)

    def owned_by(self, tx: Transaction, teams: Collection[str]) -> Collection[str]:
        """Give the names of the products that any of the teams owns."""
        return self._backends.index.owned_by(tx, teams)
