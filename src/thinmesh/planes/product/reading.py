"""The tables of all products, as one caller may read them: what the query plane stands on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.policy import Action, Principal, ProductFacts
from thinmesh.kernel.product import Product
from thinmesh.kernel.table_records import TableRecord

from .backend import Backends
from .finding import facts, live_facts, live_product, state_of, unknown
from .model import Snapshot

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

    def readable(
        self, caller: Principal, limit: int | None = None, after: Sequence[str] = ("", "")
    ) -> list[TableRecord]:
        """Give the tables whose data the caller may read: `limit` of them after (product, table).

        They come by product and table. No document is read, and of a large mesh no more than the answer takes.
        """
        found: list[TableRecord] = []
        step, seen = limit, 0
        with self._backends.database.read() as tx:
            while True:
                some = self._backends.index.facts(tx, after[0], step, seen)
                wanted = None if limit is None else limit - len(found)
                names = self._backends.policy.readable(caller, some)
                found += self._backends.index.tables(tx, names, wanted, after)
                seen += len(some)
                if limit is None or step is None or len(found) >= limit or len(some) < step:
                    return found
                step *= 2  # most of what was looked at is closed to the caller

    def names(self, caller: Principal) -> dict[str, list[str]]:
        """Give the names of the tables of `readable` by product, in the order of its descriptor; no record is read."""
        with self._backends.database.read() as tx:
            readable = self._backends.policy.readable(caller, self._backends.index.facts(tx))
            found: dict[str, list[str]] = {name: [] for name in readable}
            for product, table in self._backends.index.table_names(tx):
                if product in found:
                    found[product].append(table)
        return {product: tables for product, tables in found.items() if tables}

    def described(self, caller: Principal, product: str | None = None) -> list[tuple[str, str, str | None]]:
        """Give (product, table, description) of `readable`, or of one product's part of it."""
        with self._backends.database.read() as tx:
            names = self._backends.policy.readable(caller, self._facts_of(tx, product))
            return list(self._backends.index.table_descriptions(tx, names))

    def _facts_of(self, tx: Transaction, product: str | None) -> Sequence[ProductFacts]:
        """Give the facts of one active product, or of all."""
        if product is None:
            return self._backends.index.facts(tx)
        return [each for each in self._backends.index.facts(tx, product, 1) if each.name == product]

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
