"""Find a product in the index, or say which one was meant."""

from __future__ import annotations

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.errors import NotFound, Retired
from thinmesh.kernel.names import nearest
from thinmesh.kernel.policy import ProductFacts
from thinmesh.kernel.product import Product, TableState

from .backend import Backends


def live_product(backends: Backends, tx: Transaction, name: str) -> Product:
    """Find a product that is not retired. Raises NotFound with the nearest name, or Retired with the successor."""
    product = backends.index.product(tx, name)
    if product is None:
        raise unknown(backends, tx, name)
    if product.status == "retired":
        raise retired(product)
    return product


def live_facts(backends: Backends, tx: Transaction, name: str) -> ProductFacts:
    """Find what the policy must know of a product that is not retired: it reads no table. Raises as `live_product`."""
    found = backends.index.summary(tx, name)
    if found is None:
        raise unknown(backends, tx, name)
    if found["status"] == "retired":
        raise _retired(found["name"], found["changed"], found["successor"])
    return ProductFacts(found["name"], found["domain"], found["owner"], found["access"], found["status"])


def state_of(product: Product, table: str) -> TableState:
    """Find a table of a product. Raises NotFound with the nearest name."""
    state = product.tables.get(table)
    if state is None:
        near = nearest(table, product.tables)
        help = f"Did you mean {near}?" if near else f"Its tables: {', '.join(product.tables) or 'none yet'}."
        raise NotFound(f"{product.name} has no table {table[:80]}.", help=help)
    return state


def unknown(backends: Backends, tx: Transaction, name: str) -> NotFound:
    """Make the error for a name that no product has."""
    near = nearest(name, backends.index.names(tx))
    return NotFound(
        f"There is no product {name[:80]}.",
        help=f"Did you mean {near}?" if near else "`thinmesh list` shows all products.",
    )


def retired(product: Product) -> Retired:
    """Make the error for a retired product."""
    return _retired(product.name, product.changed, product.successor)


def _retired(name: str, changed: str, successor: str | None) -> Retired:
    return Retired(
        f"{name} was retired on {changed[:10]}.",
        help=f"Use {successor}." if successor else "No successor is named; its history stays.",
        successor=successor,
    )


def facts(product: Product) -> ProductFacts:
    """Give what the policy must know of a product."""
    return ProductFacts(product.name, product.domain, product.owner, product.access, product.status)
