"""A product in DCAT (W3C, version 3) and its European profile DCAT-AP 3, as JSON-LD.

A product is a `dcat:DatasetSeries`, each of its tables a `dcat:Dataset` in it, with a distribution for each format.
Addresses are relative to the mesh: the document that they stand in says where that is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from thinmesh.kernel.contract import Table
from thinmesh.kernel.product import Product, TableState
from thinmesh.planes.product.model import CatalogRecord

# Of what is written here; a change makes every product be written again.
FORM = 1

_EU = "http://publications.europa.eu/resource/authority"
_IANA = "https://www.iana.org/assignments/media-types"
DEPRECATED = f"{_EU}/dataset-status/DEPRECATED"
# Nothing is open to the world: a signed-in user reads open products, a grant opens closed ones.
RIGHTS = {"open": f"{_EU}/access-right/RESTRICTED", "request": f"{_EU}/access-right/NON_PUBLIC"}
_FORMATS = (("csv", "CSV", "text/csv"), ("parquet", "PARQUET", "application/vnd.apache.parquet"))

CONTEXT: Mapping[str, Any] = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dct:issued": {"@type": "xsd:dateTime"},
    "dct:modified": {"@type": "xsd:dateTime"},
}


def nodes_of(record: CatalogRecord) -> str:
    """Write a product as the members of `dcat:dataset`: JSON objects, with commas between them. Always the same."""
    product = record.product
    found = [_series(record), *(_dataset(product, state) for state in product.tables.values())]
    return ",\n".join(json.dumps(node, ensure_ascii=False, separators=(",", ":")) for node in found)


def header(url: str) -> str:
    """Write the catalog up to its first product; the rest is the products, and `FOOTER`."""
    catalog = {
        "@context": {"@base": f"{url}/", **CONTEXT},
        "@id": "#catalog",
        "@type": "dcat:Catalog",
        "dct:title": f"Data products of {url}",
        "dct:description": "The data products of this mesh: their tables, contracts and owners.",
        "dct:publisher": {"@id": "#mesh", "@type": "foaf:Agent", "foaf:name": url},
        "foaf:homepage": _link("", "foaf:Document"),
        "dcat:themeTaxonomy": {"@id": "#domains", "@type": "skos:ConceptScheme", "dct:title": "Domains"},
    }
    return json.dumps(catalog, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "dcat:dataset": [\n'


FOOTER = "\n]}\n"


def _series(record: CatalogRecord) -> dict[str, Any]:
    product = record.product
    found = {
        "@id": _id(product.name),
        "@type": ["dcat:DatasetSeries", "dcat:Dataset"],
        "dct:identifier": product.name,
        "dct:title": product.name,
        "dct:description": product.descriptor.description or product.name,
        **_shared(product),
        "dct:publisher": {"@id": _team(product.owner), "@type": "foaf:Organization", "foaf:name": product.owner},
        "dcat:contactPoint": {
            "@id": f"{_team(product.owner)}-contact",
            "@type": "vcard:Group",
            "vcard:fn": product.owner,
            "vcard:hasURL": _link(f"teams/{product.owner}"),
        },
        "dcat:theme": {
            "@id": f"#domain-{product.domain}",
            "@type": "skos:Concept",
            "skos:prefLabel": product.domain,
            "skos:inScheme": _link("#domains"),
        },
        "dcat:landingPage": _link(f"products/{product.name}", "foaf:Document"),
    }
    if product.successor:
        found["dct:isReplacedBy"] = _link(_id(product.successor))
    sources = [
        _link(f"{_id(name)[: -len('product')]}table-{table}")
        for name, tables in record.inputs.items()
        for table in tables
    ]
    return {**found, "dct:source": sources} if sources else found


def _dataset(product: Product, state: TableState) -> dict[str, Any]:
    table = state.table
    found = {
        "@id": _table_id(product, table),
        "@type": "dcat:Dataset",
        "dct:identifier": f"{product.name}.{table.name}",
        "dct:title": f"{product.name}.{table.name}",
        "dct:description": table.description or f"The table {table.name}: {product.descriptor.description}",
        **_shared(product),
        "dct:publisher": _link(_team(product.owner)),
        "dcat:contactPoint": _link(f"{_team(product.owner)}-contact"),
        "dcat:theme": _link(f"#domain-{product.domain}"),
        "dcat:landingPage": _link(f"products/{product.name}", "foaf:Document"),
        "dcat:inSeries": _link(_id(product.name)),
    }
    if table.deprecated:
        found["adms:status"] = _link(DEPRECATED)
    if state.publication and product.status != "retired":
        found["dcat:distribution"] = list(_distributions(product, table))
    return found


def _shared(product: Product) -> dict[str, Any]:
    """Give what is said of a product and of each of its tables."""
    found: dict[str, Any] = {
        "dct:issued": product.registered,
        "dct:modified": max(product.changed, product.published or ""),
        "dct:accessRights": _link(RIGHTS[product.access], "dct:RightsStatement"),
        "dct:conformsTo": _link(f"product/v1/products/{product.name}/contract", "dct:Standard"),
        "dcat:version": product.version,
    }
    if product.descriptor.tags:
        found["dcat:keyword"] = list(dict.fromkeys(product.descriptor.tags))
    if product.status in ("deprecated", "retired") or product.descriptor.deprecated:
        found["adms:status"] = _link(DEPRECATED)
    return found


def _distributions(product: Product, table: Table) -> Iterator[dict[str, Any]]:
    for format, name, media_type in _FORMATS:
        yield {
            "@id": f"{_table_id(product, table)}-{format}",
            "@type": "dcat:Distribution",
            "dct:title": f"{product.name}.{table.name} as {name}",
            "dcat:accessURL": _link(f"products/{product.name}"),
            "dcat:downloadURL": _link(f"product/v1/products/{product.name}/tables/{table.name}/data?format={format}"),
            "dcat:mediaType": _link(f"{_IANA}/{media_type}", "dct:MediaType"),
            "dct:format": _link(f"{_EU}/file-type/{name}", "dct:MediaTypeOrExtent"),
            "dct:accessRights": _link(RIGHTS[product.access], "dct:RightsStatement"),
        }


def _id(product: str) -> str:
    return f"products/{product}#product"


def _table_id(product: Product, table: Table) -> str:
    return f"products/{product.name}#table-{table.name}"


def _team(name: str) -> str:
    return f"#team-{name}"


def _link(address: str, kind: str | None = None) -> dict[str, str]:
    return {"@id": address, "@type": kind} if kind else {"@id": address}
