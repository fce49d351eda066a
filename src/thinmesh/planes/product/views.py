"""What callers are shown of a product: replies made of what the index has, and of what an operation did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from thinmesh.kernel.clock import duration, text_of_time, time_of_text
from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.database import Transaction
from thinmesh.kernel.policy import Action, Principal
from thinmesh.kernel.product import Product, TableState

from .backend import Backends
from .finding import facts, live_product, unknown
from .model import (
    Checked,
    CheckedTable,
    CheckResult,
    Condition,
    ContractDocument,
    Inspected,
    ProductView,
    Published,
    Registered,
)
from .records import contract_of

if TYPE_CHECKING:
    from .publication import PublicationOutcome
    from .registration import Outcome

_OUTPUTS = 200  # named in one view


class Views:
    """The replies that need more than the product itself."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def product(self, caller: Principal, name: str) -> ProductView:
        """Show everything that is known of a product, and to whom may read it how good its data is."""
        with self._backends.database.read() as tx:
            product = live_product(self._backends, tx, name)
            latest = self._backends.index.publications(tx, name, 1, None)
            outputs = self._backends.index.outputs(tx, name, _OUTPUTS)
            conditions = self._conditions(tx, product)
        known, policy = facts(product), self._backends.policy
        readable = policy.allows(caller, Action.READ_DATA, known)
        return ProductView(
            product=document_of(product),
            tables=tuple(table_view(product, state, readable) for state in product.tables.values()),
            owner=product.owner,
            storage={
                name: "git" if state.in_git else "local" for name, state in product.tables.items() if state.publication
            },
            freshness=self._freshness(product),
            quality=dict(latest[0]["quality"]) if latest and readable else {},
            lineage={"inputs": list(product.descriptor.inputs), "outputs": [each["name"] for each in outputs]},
            conditions=conditions,
            links=_links(product),
            etag=product.etag,
            publication=product.publication,
            readme=product.readme,
            registered=product.registered,
            changed=product.changed,
            may={
                "read": readable,
                "change": policy.allows(caller, Action.CHANGE, known),
                "publish": policy.allows(caller, Action.PUBLISH, known),
            },
        )

    def registered(self, outcome: Outcome) -> Registered:
        """Tell what came of a registration, and what follows from it."""
        with self._backends.database.read() as tx:
            found = self._backends.index.product(tx, outcome.product)
            if found is None:
                raise unknown(self._backends, tx, outcome.product)
            conditions = self._conditions(tx, found)
        notes = (*outcome.notes, *found.descriptor.reported)
        return Registered(
            document_of(found), outcome.created, outcome.changed, conditions, _links(found), found.etag, notes
        )

    def published(self, product: str, outcome: PublicationOutcome) -> Published:
        """Tell what came of a publication, and what follows from it."""
        with self._backends.database.read() as tx:
            conditions = self._conditions(tx, live_product(self._backends, tx, product))
        return Published(outcome.publication, outcome.changed, outcome.tables, conditions, outcome.notes)

    def _conditions(self, tx: Transaction, product: Product) -> tuple[Condition, ...]:
        """Say what has followed: the mesh itself, and catalogs outside it where there are any."""
        catalogued = self._backends.delivered.condition(tx, product)
        return (*_conditions(product), catalogued) if catalogued else _conditions(product)

    def _freshness(self, product: Product) -> dict[str, Any]:
        """Hold the last publication against the freshness that the owner promised."""
        promised = product.descriptor.slo.get("freshness")
        found: dict[str, Any] = {"published": product.published, "promised": promised}
        if promised and product.published:
            due = time_of_text(product.published) + duration(promised)
            found |= {"due": text_of_time(due), "met": self._backends.clock() <= due}
        return found


def checked(result: CheckResult) -> Checked:
    """Render the verdict of a check."""
    return Checked(
        ok=result.ok,
        rows=result.rows,
        violations=tuple(violation.document() for violation in result.violations),
        not_checked=result.not_checked,
        measured=tuple(violation.document() for violation in result.measured),
        tables={
            found.table.name: {
                "rows": found.rows,
                "inferred": found.table.inferred,
                "columns": [_column_view(column) for column in found.table.columns],
                "suggested_keys": list(found.suggested_keys),
                "notes": [*found.doubts, *found.widened],
            }
            for found in result.tables
        },
    )


def inspected(result: CheckResult) -> Inspected:
    """Render the tables that were inferred from files."""
    return Inspected({each.table.name: _inferred_view(each) for each in result.tables}, result.violations)


def _inferred_view(found: CheckedTable) -> Mapping[str, Any]:
    from thinmesh.kernel.table_documents import table_document

    document = table_document(found.table)
    for column in document["columns"]:
        column.pop("id", None)  # of this inference alone
    return {
        "document": document,
        "types": [column.result_type for column in found.table.columns],
        "rows": found.rows,
        "keys": list(found.suggested_keys),
        "notes": [*found.doubts, *found.widened],
    }


def contract_document(product: Product) -> ContractDocument:
    """Give the contract as an ODCS document: the author's own bytes where there are any."""
    return ContractDocument(contract_of(product), product.etag)


def odps_document(product: Product) -> ContractDocument:
    """Give the product as an ODPS document: the author's own bytes where there are any."""
    if product.descriptor.odps is not None:
        return ContractDocument(product.descriptor.odps, product.etag)
    from thinmesh.kernel.documents import to_odps

    document = to_odps(
        product.descriptor,
        owner=product.owner,
        access=product.access,
        version=product.version,
        status=product.status,
        registered=product.registered,
    )
    return ContractDocument(document, product.etag)


def document_of(product: Product) -> Mapping[str, Any]:
    """Give the whole descriptor in force, with defaults filled in and inferred tables shown."""
    from thinmesh.kernel.documents import descriptor_document

    tables = {name: state.table for name, state in product.tables.items()}
    return descriptor_document(
        product.descriptor,
        owner=product.owner,
        access=product.access,
        version=product.version,
        status=product.status,
        tables=tables,
    )


def table_view(product: Product, state: TableState, readable: bool) -> Mapping[str, Any]:
    """Show a table: its columns, keys, where its data lies, and its size to whoever may read it."""
    table = state.table
    return {
        "name": table.name,
        "sql": f"{product.name}.{table.name}",
        "description": table.description,
        "inferred": table.inferred,
        "columns": [_column_view(column) for column in table.columns],
        "primaryKey": list(table.primary_key),
        "unique": [list(columns) for columns in table.unique],
        "references": [_reference_view(table, number) for number in range(len(table.references))],
        "publication": state.publication,
        "rows": state.rows if readable else None,
        "bytes": sum(file.bytes for file in state.files) if readable else None,
        "storage": ("git" if state.in_git else "local") if state.publication else None,
        "deprecated": dict(table.deprecated) if table.deprecated else None,
    }


def _column_view(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.result_type,
        "required": column.required,
        "description": column.description,
        "classification": column.classification,
    }


def _reference_view(table: Table, number: int) -> dict[str, Any]:
    found = table.references[number]
    target = f"{found.product}.{found.table}" if found.product else found.table
    return {"columns": list(found.columns), "table": target, "to": list(found.to)}


def _conditions(product: Product) -> tuple[Condition, ...]:
    if product.status == "retired":
        return (Condition("queryable", "failed", "the product is retired", product.changed),)
    if product.publication is None:
        return (Condition("queryable", "pending", "no data has been published yet", product.changed),)
    since = product.published or product.changed
    return (Condition("queryable", "done", "", since), Condition("stored", "done", "", since))


def _links(product: Product) -> dict[str, str]:
    return {
        "self": f"/product/v1/products/{product.name}",
        "contract": f"/product/v1/products/{product.name}/contract",
        "odps": f"/product/v1/products/{product.name}/odps",
        "folder": product.folder,
    }
