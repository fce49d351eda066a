"""The verbs of the product plane. Every door calls these, and nothing beneath them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from thinmesh.kernel.page import Page, checked_limit, cursor_of, numbers_of, position_of
from thinmesh.kernel.policy import Action, Principal
from thinmesh.kernel.product import Product
from thinmesh.kernel.progress import Progress, no_progress

from .backend import Backends
from .finding import facts, live_facts, live_product, state_of, unknown

if TYPE_CHECKING:
    from .model import (
        Checked,
        ContractDocument,
        FoundPage,
        Inspected,
        Lineage,
        ProductView,
        Published,
        Registered,
        Sought,
        Upload,
    )
    from .publication import Publishing
    from .registration import Registration
    from .views import Views


class Products:
    """Register, check, publish, accept, list, search, show, history, retire."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    # A command that only lists loads nothing of what changes products or shows one.

    @cached_property
    def _registration(self) -> Registration:
        from .registration import Registration

        return Registration(self._backends)

    @cached_property
    def _publishing(self) -> Publishing:
        from .publication import Publishing

        return Publishing(self._backends)

    @cached_property
    def _views(self) -> Views:
        from .views import Views

        return Views(self._backends)

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
        return self._views.registered(
            self._registration.register(caller, document, contract, name=name, if_match=if_match)
        )

    def check(
        self, caller: Principal, product: str, uploads: Sequence[Upload], progress: Progress = no_progress
    ) -> Checked:
        """Check files against a product's contract, and change nothing."""
        from .views import checked

        return checked(self._publishing.check(caller, product, uploads, progress))

    def inspect(self, caller: Principal, uploads: Sequence[Upload], progress: Progress = no_progress) -> Inspected:
        """Infer the tables of files, as the first publication of a product would, and keep nothing."""
        from .views import inspected

        self.require_newcomer(caller)
        return inspected(self._publishing.inspect(uploads, progress))

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
        return self._views.published(product, self._publishing.publish(caller, product, uploads, mode, again, progress))

    def accept(self, caller: Principal, product: str, if_match: str | None = None) -> Registered:
        """Make the inferred tables of a product its contract."""
        return self._views.registered(self._registration.accept(caller, product, if_match))

    def retire(
        self, caller: Principal, product: str, successor: str | None = None, if_match: str | None = None
    ) -> Registered:
        """Retire a product; its name stays taken."""
        return self._views.registered(self._registration.retire(caller, product, successor, if_match))

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
        from .model import FoundPage, Sought

        wanted = Sought(sought) if isinstance(sought, str) else sought
        size, (offset, newest) = checked_limit(limit), numbers_of(cursor, 2) or (0, None)
        with self._backends.database.read() as tx:
            found = self._backends.index.search(tx, wanted, size + 1, offset, newest)
        page = _page(found.items, size, lambda _: [offset + size, found.newest])
        return FoundPage(page.items, page.next, found.corrected, found.facets)

    def show(self, caller: Principal, product: str) -> ProductView:
        """Show everything that is known of a product, and nothing of its data."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        return self._views.product(caller, product)

    def lineage(self, caller: Principal, product: str) -> Lineage:
        """Give what a product is made from, and what is made from it, two steps each way; few of each."""
        from .lineage import lineage_of

        self._backends.policy.require(caller, Action.READ_METADATA)
        with self._backends.database.read() as tx:
            found = live_facts(self._backends, tx, product)
            return lineage_of(self._backends.index, tx, found)

    def contract(self, caller: Principal, product: str) -> ContractDocument:
        """Give the contract as an ODCS document: the author's own bytes where there are any."""
        from .views import contract_document

        self._backends.policy.require(caller, Action.READ_METADATA)
        return contract_document(self._product(product))

    def odps(self, caller: Principal, product: str) -> ContractDocument:
        """Give the product as an ODPS document: the author's own bytes where there are any."""
        from .views import odps_document

        self._backends.policy.require(caller, Action.READ_METADATA)
        return odps_document(self._product(product))

    def table(self, caller: Principal, product: str, table: str) -> Mapping[str, Any]:
        """Show one table."""
        from .views import table_view

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

    def may_read(self, caller: Principal, product: Product) -> bool:
        """Tell whether the caller may read a product's data."""
        return self._backends.policy.allows(caller, Action.READ_DATA, facts(product))


def _without_counts(publication: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what counts rows: statistics of closed data are data."""
    tables = {name: {"rows": None, "bytes": None} for name in publication["tables"]}
    return {**publication, "tables": tables, "quality": {}}


def _page(items: Sequence[Mapping[str, Any]], size: int, position: Any) -> Page:
    """Cut one more row than the page down to the page and the cursor of the next one."""
    if len(items) <= size:
        return Page(tuple(items))
    return Page(tuple(items[:size]), cursor_of(position(items[size - 1])))
