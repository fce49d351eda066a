"""What DataHub has, against what it should have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from thinmesh.planes.product.model import CatalogRecord

from .datasets import DataSet, data_sets, deprecation, facts, page_of, upstreams
from .edits import Edits
from .names import ACTOR, Names, group_urn, property_urn, tag_urn
from .products import links
from .proposals import TIMED, UPSERT, Part, Proposal
from .server import State

# Where things of ours stand among those of others.
EDITED = ("globalTags", "ownership", "structuredProperties", "institutionalMemory")
EDITED_OF_DATA_SETS = ("upstreamLineage", "deprecation")
_OURS = property_urn("")


def unmet(proposals: Iterable[Proposal], state: State) -> Iterator[tuple[Proposal, str]]:
    """Give each change that is not to be seen, and what is wrong; points in time are not looked for."""
    for each in proposals:
        if each.aspect in TIMED:
            continue
        stored = state.get(each.urn, {}).get(each.aspect)
        if stored is None:
            if not all(part.absent for part in each.parts) or not each.parts:
                yield each, f"{each.urn} has no {each.aspect}"
        elif each.change == UPSERT:
            if not contains(stored, each.value):
                yield each, f"{each.urn} has another {each.aspect}"
        else:
            wrong = [_place(part) for part in each.parts if not _is_so(part, stored)]
            if wrong:
                yield each, f"{each.urn} has another {each.aspect}: {', '.join(wrong[:5])}"


def contains(stored: Any, wanted: Any) -> bool:
    """Tell whether a stored value says all that is wanted; the server adds defaults and facts of its own."""
    if stored == wanted:
        return True
    if isinstance(wanted, dict):
        if not isinstance(stored, dict):
            return not wanted and stored is None
        return all(contains(stored.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list | tuple):
        found = stored or []
        return len(found) == len(wanted) and all(map(contains, found, wanted))
    return stored is None and wanted in (False, "")


def stale(record: CatalogRecord, names: Names, state: State) -> Iterator[Proposal]:
    """Give the changes that take away what this mesh said earlier, and does not say any more."""
    for each in data_sets(record, names):
        stored = state.get(each.urn, {})
        edits = _unsaid(each.urn, record, names, stored)
        wanted = {upstream for upstream, _ in upstreams(each, record, names)}
        for found in _listed(stored, "upstreamLineage", "upstreams"):
            ours = (found.get("properties") or {}).get("thinmesh.mesh") == names.mesh
            if ours and found["dataset"] not in wanted:
                edits.without_upstream(found["dataset"])
        yield from edits.proposals()
        yield from _undeprecated(each, record, stored)
    urn = names.data_product(record.product.name)
    yield from _unsaid(urn, record, names, state.get(urn, {})).proposals()


def lost_assets(record: CatalogRecord, names: Names, properties: Mapping[str, Any]) -> list[str]:
    """Give the data sets of a stored data product that were tables of the product, and are not any more.

    Those that people added stay out, whatever they are.
    """
    wanted = {each.urn for each in data_sets(record, names)}
    assets = {each["destinationUrn"] for each in properties.get("assets") or ()}
    return sorted(urn for urn in assets - wanted if names.table_of(urn, record.product))


def _unsaid(urn: str, record: CatalogRecord, names: Names, stored: Mapping[str, Any]) -> Edits:
    edits = Edits(urn, names.mesh)
    tags = set(map(tag_urn, record.product.descriptor.tags))
    for found in _listed(stored, "globalTags", "tags"):
        if found.get("context") == names.mesh and found["tag"] not in tags:
            edits.without_tag(found["tag"])
    for found in _listed(stored, "ownership", "owners"):
        ours = (found.get("source") or {}).get("url") == names.mesh
        if ours and found["owner"] != group_urn(record.product.owner):
            edits.without_owner(found["owner"])
    known = facts(record)
    for found in _listed(stored, "structuredProperties", "properties"):
        name = found["propertyUrn"].removeprefix(_OURS)
        if found["propertyUrn"].startswith(_OURS) and name not in known:
            edits.without_property(name)
    wanted = {page_of(record), *(links(record) if ":dataProduct:" in urn else ())}
    for found in _listed(stored, "institutionalMemory", "elements"):
        if (found.get("createStamp") or {}).get("actor") == ACTOR and found["url"] not in wanted:
            edits.without_link(found["url"])
    return edits


def _undeprecated(each: DataSet, record: CatalogRecord, stored: Mapping[str, Any]) -> Iterator[Proposal]:
    found = stored.get("deprecation") or {}
    if found.get("deprecated") and found.get("actor") == ACTOR and deprecation(record, each.state) is None:
        yield Proposal(each.urn, "deprecation", {"deprecated": False, "note": "", "actor": ACTOR})


def _listed(stored: Mapping[str, Any], aspect: str, member: str) -> list[Mapping[str, Any]]:
    return list((stored.get(aspect) or {}).get(member) or ())


def _is_so(part: Part, stored: Any) -> bool:
    found = stored
    for name in part.path:
        found = found.get(name) if isinstance(found, Mapping) else None
    if part.listed or part.absent:
        return any(contains(each, part.value) for each in found or ()) == part.listed
    return contains(found, part.value)


def _place(part: Part) -> str:
    value = part.value if isinstance(part.value, Mapping) else {}
    named = next((str(value[name]) for name in ("tag", "owner", "dataset", "url", "propertyUrn") if name in value), "")
    return " ".join(filter(None, ("/".join(part.path), named, "is still there" if part.absent else "")))
