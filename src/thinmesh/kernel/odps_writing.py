"""Open Data Product Standard (ODPS, bitol.io) documents, written from descriptors.

What ODPS has no place for is written as custom properties of the vendor `thinmesh`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .odcs_writing import custom_properties
from .product import Descriptor

WRITTEN_VERSION = "v1.1.0"
# RFC 3986, without what is rare in it: the schema asks for a URI, and others go where any text may stand.
_CHARACTER = r"(?:[a-zA-Z0-9\-._~!$&'()*+,;=:@/]|%[0-9a-fA-F]{2})"
_URI = re.compile(
    rf"[a-zA-Z][a-zA-Z0-9+.-]*:(?://[a-zA-Z0-9\-._~]+(?::[0-9]{{1,5}})?(?=[/?#]|\Z)|(?!//)){_CHARACTER}*"
    rf"(?:\?(?:{_CHARACTER}|\?)*)?(?:#(?:{_CHARACTER}|\?)*)?"
)


def odps_document(
    descriptor: Descriptor, *, owner: str, access: str, version: str, status: str, contract: str, registered: str
) -> dict[str, Any]:
    """Write a product as an ODPS product with one output port; `contract` is the id of its ODCS contract."""
    once = len(set(descriptor.inputs)) == len(descriptor.inputs)
    links = {name: url for name, url in descriptor.links.items() if _URI.fullmatch(url)}
    custom = {
        "access": access,
        "retention": descriptor.retention,
        "inputs": None if once else list(descriptor.inputs),
        "links": {name: url for name, url in descriptor.links.items() if name not in links},
        "deprecated": dict(descriptor.deprecated) if descriptor.deprecated is not None else None,
        "custom": dict(descriptor.custom),
        "slo": dict(descriptor.slo),
    }
    found = {
        "apiVersion": WRITTEN_VERSION,
        "kind": "DataProduct",
        "id": descriptor.name,
        "name": descriptor.name,
        "version": version,
        "status": status,
        "deprecated": True if status == "deprecated" else None,
        "domain": descriptor.domain,
        "description": {"purpose": descriptor.description},
        "authoritativeDefinitions": [{"type": name, "url": url} for name, url in links.items()],
        "tags": list(descriptor.tags),
        "inputPorts": [_input_port(name) for name in dict.fromkeys(descriptor.inputs)],
        "outputPorts": [
            {"name": descriptor.name, "type": "tables", "version": version, "contractId": contract},
        ],
        "team": {"name": owner} if owner else None,
        "customProperties": list(custom_properties(custom)),
        "productCreatedTs": registered or None,
    }
    return {name: value for name, value in found.items() if value not in (None, [], {})}


def _input_port(name: str) -> Mapping[str, str]:
    """Name a product that is read, or one of its tables; the contract of a product here has its name for an id."""
    return {"name": name, "contractId": name.split(".", 1)[0]}
