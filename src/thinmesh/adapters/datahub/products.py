"""A product as a whole: a data product with its data sets, and all that goes with each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from thinmesh.planes.product.model import CatalogRecord

from . import contracts, datasets
from .datasets import DataSet, data_sets, facts, page_of
from .edits import Edits
from .names import Names, domain_urn, group_urn, tag_urn
from .proposals import Proposal, upserts

# Where it is told which description we wrote last: another one is somebody's, and stays.
_DESCRIBED = "thinmesh.description"
_LINKED = ("http://", "https://")


def proposals(record: CatalogRecord, names: Names, stored: Mapping[str, Any]) -> Iterator[Proposal]:
    """Give all that is said of a product; `stored` are the properties that its data product has, empty where none.

    The same record and properties give the same bytes.
    """
    sets = list(data_sets(record, names))
    for each in sets:
        yield from datasets.proposals(each, record, names)
        if each.platform == "iceberg":
            yield from contracts.proposals(each, record, names)
    yield from _data_product(record, names, sets, stored)


def links(record: CatalogRecord) -> dict[str, str]:
    """Give the links of a product, to its page and to what its producers name: text by address."""
    named = {str(url): str(name) for name, url in record.product.descriptor.links.items()}
    page = page_of(record)
    found = {url: name for url, name in sorted(named.items()) if url.lower().startswith(_LINKED)}
    return {**found, page: f"{record.product.name} in the data mesh"} if page else found


def _data_product(
    record: CatalogRecord, names: Names, sets: list[DataSet], stored: Mapping[str, Any]
) -> Iterator[Proposal]:
    product = record.product
    urn = names.data_product(product.name)
    yield from upserts(urn, {"status": {"removed": False}, "domains": {"domains": [domain_urn(product.domain)]}})
    edits = Edits(urn, names.mesh)
    if not stored.get("name"):
        edits.name(product.name)
    custom = {"thinmesh.mesh": names.mesh, "thinmesh.product": product.name}
    if not is_theirs(stored):
        edits.description(product.descriptor.description)
        custom[_DESCRIBED] = _digest(product.descriptor.description)
    edits.custom(custom)
    if page := page_of(record):
        edits.page(page)
    for each in sets:
        edits.asset(each.urn)
    edits.owner(group_urn(product.owner))
    for tag in sorted(set(map(tag_urn, product.descriptor.tags))):
        edits.tag(tag)
    for name, value in facts(record).items():
        edits.property(name, value)
    for url, text in links(record).items():
        edits.link(url, text)
    yield from edits.proposals()


def is_theirs(stored: Mapping[str, Any]) -> bool:
    """Tell whether somebody wrote another description of a data product than we did."""
    description = stored.get("description")
    ours = (stored.get("customProperties") or {}).get(_DESCRIBED)
    return bool(description) and ours != _digest(str(description))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
