"""The verbs of the product plane. Every door calls these, and nothing beneath them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from thinmesh.kernel.clock import duration, text_of_time, time_of_text
from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import NotFound
from thinmesh.kernel.names import nearest
from thinmesh.kernel.page import Page, checked_limit, cursor_of, numbers_of, position_of
from thinmesh.kernel.policy import Action, Principal
from thinmesh.kernel.product import Product, TableState

from .backend import Backends
from .finding import facts, live_facts, live_product, unknown
from .model import (
    Checked,
    CheckedTable,
    CheckResult,
    Condition,
    ContractDocument,
    FoundPage,
    Inspected,
    Lineage,
    ProductView,
    Progress,
    Published,
    Registered,
    Sought,
    Upload,
    no_progress,
)
from .records import contract_of

_OUTPUTS = 200  # named in one view

if TYPE_CHECKING:
    from thinmesh.kernel.database import Transaction

    from .publication import Publishing
    from .registration import Outcome, Registration


class Products:
    """Register, check, publish, accept, list, search, show, history, retire."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    # A command that only looks loads nothing of what changes products.

    @cached_property
    def _registration(self) -> Registration:
        from .registration import Registration

        return Registration(self._backends)

    @cached_property
    def _publishing(self) -> Publishing:
        from .publication import Publishing

        return Publishing(self._backends)

    # Producers ------------------------------------------------------------------------------------------------

    def register(
        self,
        caller: Principal,
        document: bytes,
        contract: bytes | None = None,
        *,
        name: str | None = None,
        if_match: str | None = None,
    ) -> Registered:
        """Register a product, or change it; `document` is a descriptor, an ODCS contract or an ODPS product.

        `contract` is the ODCS contract of such a descriptor or ODPS product.
        """
        outcome = self._registration.register(caller, document, contract, name=name, if_match=if_match)
        return self._registered(outcome)

    def check(
        self, caller: Principal, product: str, uploads: Sequence[Upload], progress: Progress = no_progress
    ) -> Checked:
        """Check files against a product's contract, and change nothing."""
        return checked(self._publishing.check(caller, product, uploads, progress))

    def inspect(self, caller: Principal, uploads: Sequence[Upload], progress: Progress = no_progress) -> Inspected:
        """Infer the tables of files, as the first publication of a product would, and keep nothing."""
        self.require_newcomer(caller)
        found = self._publishing.inspect(uploads, progress)
        return Inspected({each.table.name: _inferred_view(each) for each in found.tables}, found.violations)

    def require_newcomer(self, caller: Principal) -> None:
        """Ask what a first product asks before its domain and team are known. Raises NotAllowed."""
        self._backends.policy.require(caller, Action.CREATE_TEAM)

    def require_publisher(self, caller: Principal, product: str) -> None:
        """Ask what a publication asks first, before its files are handed in. Raises NotFound, Retired, NotAllowed."""
        self._publishing.product(caller, product)

    def publish(
        self,
        caller: Principal,
        product: str,
        uploads: Sequence[Upload],
        mode: str = "replace",
        again: bool = False,
        progress: Progress = no_progress,
    ) -> Published:
        """Publish data files; all tables of the publication appear at once."""
        outcome = self._publishing.publish(caller, product, uploads, mode, again, progress)
        with self._backends.database.read() as tx:
            conditions = self._conditions(tx, live_product(self._backends, tx, product))
        return Published(outcome.publication, outcome.changed, outcome.tables, conditions, outcome.notes)

    def accept(self, caller: Principal, product: str, if_match: str | None = None) -> Registered:
        """Make the inferred tables of a product its contract."""
        return self._registered(self._registration.accept(caller, product, if_match))

    def retire(
        self, caller: Principal, product: str, successor: str | None = None, if_match: str | None = None
    ) -> Registered:
        """Retire a product; its name stays taken."""
        return self._registered(self._registration.retire(caller, product, successor, if_match))

    # Consumers ------------------------------------------------------------------------------------------------

    def list(
        self,
        caller: Principal,
        domain: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page:
        """List active products by name."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        size, after = checked_limit(limit), position_of(cursor, str) or ""
        with self._backends.database.read() as tx:
            items = self._backends.index.list(tx, domain, owner, tag, size + 1, after)
        return _page(items, size, lambda last: last["name"])

    def search(
        self, caller: Principal, sought: str | Sought, limit: int | None = None, cursor: str | None = None
    ) -> FoundPage:
        """Find active products by words in names, descriptions, columns, tags, owners and READMEs, best first."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        wanted = Sought(sought) if isinstance(sought, str) else sought
        size, (offset, newest) = checked_limit(limit), numbers_of(cursor, 2) or (0, None)
        with self._backends.database.read() as tx:
            found = self._backends.index.search(tx, wanted, size + 1, offset, newest)
        page = _page(found.items, size, lambda _: [offset + size, found.newest])
        return FoundPage(page.items, page.next, found.corrected, found.facets)

    def show(self, caller: Principal, product: str) -> ProductView:
        """Show everything that is known of a product, and nothing of its data."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        with self._backends.database.read() as tx:
            found = live_product(self._backends, tx, product)
            latest = self._backends.index.publications(tx, product, 1, None)
            conditions = self._conditions(tx, found)
            outputs = self._backends.index.outputs(tx, product, _OUTPUTS)
        readable = self.may_read(caller, found)
        return ProductView(
            product=document_of(found),
            tables=tuple(table_view(found, state, readable) for state in found.tables.values()),
            owner=found.owner,
            storage={
                name: "git" if state.in_git else "local" for name, state in found.tables.items() if state.publication
            },
            freshness=self._freshness(found),
            quality=dict(latest[0]["quality"]) if latest and readable else {},
            lineage={"inputs": list(found.descriptor.inputs), "outputs": [each["name"] for each in outputs]},
            conditions=conditions,
            links=_links(found),
            etag=found.etag,
            publication=found.publication,
            readme=found.readme,
            registered=found.registered,
            changed=found.changed,
            may={
                "read": readable,
                "change": self._backends.policy.allows(caller, Action.CHANGE, facts(found)),
                "publish": self._backends.policy.allows(caller, Action.PUBLISH, facts(found)),
            },
        )

    def lineage(self, caller: Principal, product: str) -> Lineage:
        """Give what a product is made from, and what is made from it, two steps each way; few of each."""
        from .lineage import lineage_of

        self._backends.policy.require(caller, Action.READ_METADATA)
        with self._backends.database.read() as tx:
            found = live_facts(self._backends, tx, product)
            return lineage_of(self._backends.index, tx, found)

    def contract(self, caller: Principal, product: str) -> ContractDocument:
        """Give the contract as an ODCS document: the author's own bytes where there are any."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        found = self._product(product)
        return ContractDocument(contract_of(found), found.etag)

    def odps(self, caller: Principal, product: str) -> ContractDocument:
        """Give the product as an ODPS document: the author's own bytes where there are any."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        found = self._product(product)
        if found.descriptor.odps is not None:
            return ContractDocument(found.descriptor.odps, found.etag)
        from thinmesh.kernel.documents import to_odps

        document = to_odps(
            found.descriptor,
            owner=found.owner,
            access=found.access,
            version=found.version,
            status=found.status,
            registered=found.registered,
        )
        return ContractDocument(document, found.etag)

    def table(self, caller: Principal, product: str, table: str) -> Mapping[str, Any]:
        """Show one table."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        found = self._product(product)
        return table_view(found, state_of(found, table), self.may_read(caller, found))

    def history(self, caller: Principal, product: str, limit: int | None = None, cursor: str | None = None) -> Page:
        """List what happened to a product, newest first; of retired ones too."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        size, before = checked_limit(limit), position_of(cursor, int)
        with self._backends.database.read() as tx:
            if self._backends.index.summary(tx, product) is None:
                raise unknown(self._backends, tx, product)
            items = self._backends.index.history(tx, product, size + 1, before)
        return _page(items, size, lambda last: last["sequence"])

    def publications(
        self, caller: Principal, product: str, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """List the publications of a product, newest first."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        size, before = checked_limit(limit), position_of(cursor, int)
        with self._backends.database.read() as tx:
            found = live_facts(self._backends, tx, product)
            items = self._backends.index.publications(tx, product, size + 1, before)
        if not self._backends.policy.allows(caller, Action.READ_DATA, found):
            items = [_without_counts(item) for item in items]
        return _page(items, size, lambda last: int(last["publication"].removeprefix("p")))

    # Inside ---------------------------------------------------------------------------------------------------

    def _product(self, name: str) -> Product:
        with self._backends.database.read() as tx:
            return live_product(self._backends, tx, name)

    def _registered(self, outcome: Outcome) -> Registered:
        with self._backends.database.read() as tx:
            found = self._backends.index.product(tx, outcome.product)
            if found is None:
                raise unknown(self._backends, tx, outcome.product)
            conditions = self._conditions(tx, found)
        notes = (*outcome.notes, *found.descriptor.reported)
        return Registered(
            document_of(found), outcome.created, outcome.changed, conditions, _links(found), found.etag, notes
        )

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

    def may_read(self, caller: Principal, product: Product) -> bool:
        """Tell whether the caller may read a product's data."""
        return self._backends.policy.allows(caller, Action.READ_DATA, facts(product))


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
                "notes": list(found.widened),
            }
            for found in result.tables
        },
    )


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
        "notes": list(found.widened),
    }


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


def state_of(product: Product, table: str) -> TableState:
    """Find a table of a product. Raises NotFound with the nearest name."""
    state = product.tables.get(table)
    if state is None:
        near = nearest(table, product.tables)
        help = f"Did you mean {near}?" if near else f"Its tables: {', '.join(product.tables) or 'none yet'}."
        raise NotFound(f"{product.name} has no table {table[:80]}.", help=help)
    return state


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


def _without_counts(publication: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what counts rows: statistics of closed data are data."""
    tables = {name: {"rows": None, "bytes": None} for name in publication["tables"]}
    return {**publication, "tables": tables, "quality": {}}


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


def _page(items: Sequence[Mapping[str, Any]], size: int, position: Any) -> Page:
    """Cut one more row than the page down to the page and the cursor of the next one."""
    if len(items) <= size:
        return Page(tuple(items))
    return Page(tuple(items[:size]), cursor_of(position(items[size - 1])))
