"""DataHub as an `OutsideCatalog`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from thinmesh.kernel.errors import Refused
from thinmesh.planes.product.model import CatalogRecord

from . import products, shared
from .comparing import EDITED, EDITED_OF_DATA_SETS, lost_assets, stale, unmet
from .contracts import assertions_of
from .datasets import data_sets, is_marked
from .edits import Edits
from .names import Names
from .proposals import TIMED, Proposal, joined
from .server import Server, State

_MOST_NAMED = 5
_PRODUCT_ASPECTS = ("dataProductProperties", "status")


class DataHubCatalog:
    """Shows products in a DataHub. Safe to use from several threads."""

    name = "datahub"

    def __init__(self, server: Server, instance: str = "") -> None:
        self._server = server
        self._names = Names(instance)
        self._shared: set[tuple[str, str]] = set()

    def put(self, record: CatalogRecord) -> None:
        """Make DataHub show a product as it stands; what people wrote there stays."""
        self.put_several([record])

    def put_several(self, records: Sequence[CatalogRecord]) -> None:
        """Put products, each in a request of its own, with one that reads before and one that reads after them all."""
        drafts = [list(products.proposals(each, self._names, {})) for each in records]
        common = {(each.urn, each.aspect): each for record in records for each in self._common(record)}
        looked: dict[str, list[str]] = _aspects(common.values())
        for record, draft in zip(records, drafts, strict=True):
            looked |= self._looked_at(record, draft)
        state = self._server.read(looked)
        self._send([[each for each in common.values() if each.aspect not in state.get(each.urn, {})]])
        self._shared.update(common)
        changes = []
        for record, draft in zip(records, drafts, strict=True):
            plan = self._plan(record, draft, state)
            timed = (each for each in plan.wanted if each.aspect in TIMED)
            # What is over goes first: what names it is written after, and a batch that breaks off leads here again.
            changes.append(joined([*plan.over, *plan.unmet, *timed]))
        self._send(changes)

    def remove(self, product: str) -> None:
        """Remove (as DataHub's own delete button does: it can be brought back) what this mesh put there."""
        urn = self._names.data_product(product)
        properties = self._server.read({urn: _PRODUCT_ASPECTS}).get(urn, {}).get("dataProductProperties")
        if not is_marked(properties, self._names, product):
            return
        found = [*self._own_parts(product, properties or {}), urn]
        self._send([[Proposal(each, "status", {"removed": True}) for each in found]])

    def products(self) -> Iterator[str]:
        """Give the names of all products that this mesh put there, as far as DataHub's search has come."""
        for urn, aspects in self._server.scroll("dataProduct", _PRODUCT_ASPECTS):
            name = self._names.product_of(urn)
            removed = (aspects.get("status") or {}).get("removed")
            if name and not removed and is_marked(aspects.get("dataProductProperties"), self._names, name):
                yield name

    def differences(self, record: CatalogRecord) -> Sequence[str]:
        """Say where DataHub does not show what `put` would make it show."""
        wanted = list(shared.proposals(record, self._names))
        self._shared.difference_update((each.urn, each.aspect) for each in wanted)
        present = self._server.read(_aspects(wanted))
        missing = [each for each in wanted if each.aspect not in present.get(each.urn, {})]
        draft = list(products.proposals(record, self._names, {}))
        plan = self._plan(record, draft, self._server.read(self._looked_at(record, draft)))
        return [
            *(f"{each.urn} has no {each.aspect}" for each in missing),
            *(text for _, text in unmet(plan.wanted, plan.state)),
            *(f"{each.urn} has something in {each.aspect} that is no more" for each in plan.over),
        ]

    def _plan(self, record: CatalogRecord, draft: Sequence[Proposal], state: State) -> _Plan:
        """Find what is to be changed, in view of what is there; the draft is for where nothing is."""
        names = self._names
        properties = state.get(names.data_product(record.product.name), {}).get("dataProductProperties") or {}
        if not properties:
            return _Plan(draft, state, [*stale(record, names, state)])
        wanted = list(products.proposals(record, names, properties))
        return _Plan(wanted, state, [*stale(record, names, state), *self._gone(record, wanted, properties, state)])

    def _gone(
        self, record: CatalogRecord, wanted: Sequence[Proposal], properties: Mapping[str, Any], state: State
    ) -> Iterator[Proposal]:
        """Give the changes that take away data sets, contracts and assertions that a product had, if they are ours."""
        names, product = self._names, record.product
        lost = lost_assets(record, names, properties)
        tables = {str(names.table_of(urn, product)) for urn in lost} - product.tables.keys()
        of_tables = self._server.read(dict.fromkeys(lost, ("datasetProperties",)))
        contracts = self._contracts(product.name, tables)
        kept = {urn for urn, each in of_tables.items() if is_marked(each.get("datasetProperties"), names, product.name)}
        edits = Edits(names.data_product(product.name), names.mesh)
        for urn in sorted(kept):
            edits.without_asset(urn)
        yield from edits.proposals()
        here = {each.urn for each in wanted}
        had = {urn for each in (*state.values(), *contracts.values()) for urn in assertions_of(each)} - here
        for urn in (*sorted(kept), *sorted(contracts), *self._own_assertions(product.name, had)):
            if not state.get(urn, {}).get("status", {}).get("removed"):
                yield Proposal(urn, "status", {"removed": True})

    def _looked_at(self, record: CatalogRecord, proposals: Sequence[Proposal]) -> dict[str, list[str]]:
        """Give what to read of a product: what is to be there, and where something that is no more may be."""
        found = _aspects(proposals)
        product = self._names.data_product(record.product.name)
        found[product] = sorted({*found[product], *EDITED})
        for each in data_sets(record, self._names):
            found[each.urn] = sorted({*found[each.urn], *EDITED, *EDITED_OF_DATA_SETS})
        return found

    def _common(self, record: CatalogRecord) -> Iterator[Proposal]:
        """Give what a product shares with others, to be written where it is absent; each is looked for once."""
        wanted = shared.proposals(record, self._names)
        return (each for each in wanted if (each.urn, each.aspect) not in self._shared)

    def _send(self, batches: Sequence[Sequence[Proposal]]) -> None:
        """Send changes, a request for each batch, and those that are not to be seen then once more.

        Raises Refused where they still are not. A server that answered twice that it took a change, and has not, will
        not take it a third time: what it drops are changes that it finds invalid. So this is for people to look at, and
        no cause to try for ever.
        """
        for each in batches:
            self._server.emit(each)
        state = self._server.read(_aspects(chain.from_iterable(batches)))
        for changes in batches:
            wrong = [each for each, _ in unmet(changes, state)]
            if wrong:
                self._send_again([*wrong, *(each for each in changes if each.aspect in TIMED)])

    def _send_again(self, changes: Sequence[Proposal]) -> None:
        self._server.emit(changes)
        left = list(unmet(changes, self._server.read(_aspects(changes))))
        if left:
            named = "; ".join(text for _, text in left[:_MOST_NAMED])
            others = f"; and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
            raise Refused(
                f"DataHub answered that it took these changes, and did not: {named}{others}.",
                help="Its own log (GMS) says why; `thinmesh catalog retry` sends them again.",
            )

    def _own_parts(self, product: str, properties: Mapping[str, Any]) -> Iterator[str]:
        """Give the data sets, contracts and assertions of a product that carry the mark of this mesh."""
        names = self._names
        assets = [each["destinationUrn"] for each in properties.get("assets") or ()]
        assets = [urn for urn in assets if urn.startswith("urn:li:dataset:")]  # people may have added others
        state = self._server.read(dict.fromkeys(assets, ("datasetProperties",)))
        sets = {urn: each.get("datasetProperties") or {} for urn, each in state.items()}
        own = {urn: each for urn, each in sets.items() if is_marked(each, names, product)}
        yield from sorted(own)
        contracts = self._contracts(product, {each["customProperties"]["thinmesh.table"] for each in own.values()})
        yield from self._own_assertions(product, {urn for each in contracts.values() for urn in assertions_of(each)})
        yield from sorted(contracts)

    def _contracts(self, product: str, tables: Iterable[str]) -> State:
        """Read the contracts of tables, where they carry the mark of this mesh."""
        aspects = ("dataContractProperties", "dataContractStatus")
        found = self._server.read({self._names.contract(product, table): aspects for table in sorted(tables)})
        return {
            urn: each for urn, each in found.items() if is_marked(each.get("dataContractStatus"), self._names, product)
        }

    def _own_assertions(self, product: str, urns: Iterable[str]) -> list[str]:
        """Give those of some assertions that carry the mark of this mesh."""
        found = self._server.read(dict.fromkeys(sorted(urns), ("assertionInfo",)))
        return sorted(urn for urn, each in found.items() if is_marked(each.get("assertionInfo"), self._names, product))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a product asks for, what is there (`state`), and the changes that take away what is `over`."""

    wanted: Sequence[Proposal]
    state: State
    over: Sequence[Proposal]

    @property
    def unmet(self) -> list[Proposal]:
        """Give the changes that are not to be seen."""
        return [each for each, _ in unmet(self.wanted, self.state)]


def _aspects(proposals: Iterable[Proposal]) -> dict[str, list[str]]:
    """Give what to read to see whether changes were made."""
    found: dict[str, list[str]] = {}
    for each in proposals:
        if each.aspect not in TIMED:
            found.setdefault(each.urn, []).append(each.aspect)
    return found
