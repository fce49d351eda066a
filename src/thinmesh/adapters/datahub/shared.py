"""What products share in DataHub: domains, teams, tags, structured properties. Written where absent, then theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from thinmesh.planes.product.model import CatalogRecord

from .names import Names, domain_urn, group_urn, property_urn, tag_urn, user_urn
from .proposals import STAMP, Proposal, given
from .schema import classification_tag, classifications

_PROPERTIES = {
    "product": ("Data product", "The product of the mesh that this belongs to."),
    "access": ("Access", "open: every signed-in user reads the data; request: a grant is needed."),
    "version": ("Version", "The version of the product's contract."),
    "status": ("Status", "Where the product is in its life: draft, active, deprecated, retired."),
    "freshness": ("Freshness", "How old the data may become, as an ISO 8601 duration."),
    "publication": ("Publication", "The latest load of new data."),
}
_HOLDERS = ["urn:li:entityType:datahub.dataset", "urn:li:entityType:datahub.dataProduct"]


def proposals(record: CatalogRecord, names: Names) -> Iterator[Proposal]:
    """Give the shared entities that a product names."""
    product = record.product
    domain = {"name": product.domain, "created": dict(STAMP)}
    yield Proposal(domain_urn(product.domain), "domainProperties", domain)
    yield Proposal(group_urn(product.owner), "corpGroupInfo", _group(record))
    classified = map(classification_tag, classifications([state.table for state in product.tables.values()]))
    tags = {tag_urn(tag): " ".join(tag.split()) for tag in sorted({*product.descriptor.tags, *classified})}
    for urn, name in tags.items():
        yield Proposal(urn, "tagProperties", {"name": name})
    for name, (shown, about) in _PROPERTIES.items():
        yield Proposal(property_urn(name), "propertyDefinition", _property(name, shown, about))
    if names.instance:
        for platform in ("file", "iceberg"):
            yield Proposal(
                names.platform_instance(platform),
                "dataPlatformInstanceProperties",
                given({"name": names.instance, "externalUrl": record.url}),
            )


def _group(record: CatalogRecord) -> dict[str, Any]:
    members = [user_urn(member) for member in sorted(record.members)]
    return {"displayName": record.product.owner, "admins": [], "members": members, "groups": []}


def _property(name: str, shown: str, about: str) -> dict[str, Any]:
    return {
        "qualifiedName": f"thinmesh.{name}",
        "displayName": shown,
        "description": about,
        "valueType": "urn:li:dataType:datahub.string",
        "entityTypes": _HOLDERS,
        "cardinality": "SINGLE",
        "immutable": False,
    }
