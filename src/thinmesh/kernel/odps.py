"""Open Data Product Standard (ODPS, bitol.io) documents, read into the values of a descriptor.

A product says who it is for, who answers for it, what it reads (input ports) and what it gives (output ports); the
tables are in the ODCS contract that an output port names. What has no place in a descriptor stays in the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .bitol import custom_values, described, items, named, owner_of, status_of
from .descriptor_values import link_fault
from .document_faults import Fields
from .names import PRODUCT, fault_of_name, legal_name
from .odps_schema import check_product

_VERSION = re.compile(r"v?(?:1\.(\d{1,4})\.\d{1,4}|0\.9\.0)", re.ASCII)
_PORTS = ("inputPorts", "outputPorts", "managementPorts")


def is_odps(value: Mapping[str, Any]) -> bool:
    """Tell whether a document is an ODPS product: by its kind, or by its ports where the kind is no contract's."""
    kind = value.get("kind")
    if isinstance(kind, str) and kind.lower() in ("dataproduct", "datacontract"):
        return kind.lower() == "dataproduct"
    return any(name in value for name in _PORTS)


def product_values(fields: Fields, product: str | None = None) -> dict[str, Any]:
    """Read a whole product: a value for each field of a `product.json` that it says something about.

    `product` is the product's name where something else gives it. Faults are noted in `fields`.
    """
    found = fields.found
    fields.faults.lenient = True
    fields.choice("kind", ("DataProduct",))
    minor = _minor(fields)
    links, status, custom = _links(fields), status_of(fields), custom_values(fields)
    values = {
        "name": product or _product_name(fields),
        "domain": named(fields, "domain"),
        "description": described(found),
        "version": found.get("version") if isinstance(found.get("version"), str) else None,
        "status": "deprecated" if found.get("deprecated") is True else status,
        "tags": [tag for tag in items(found.get("tags")) if isinstance(tag, str)],
        "owner": owner_of(fields),
        "inputs": _inputs(fields),
        **custom,
        "links": {**links, **custom["links"]}
        if isinstance(custom.get("links"), dict)
        else custom.get("links") or links,
    }
    if minor is not None:
        check_product(_with_team(fields, minor), minor, fields.faults)
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def check_ports(fields: Fields, contract: Mapping[str, Any] | None) -> None:
    """Refuse a contract that no output port names, and report the ports whose contract is not here."""
    ports = [
        ((*fields.path, "outputPorts", at, "contractId"), each["contractId"])
        for at, each in enumerate(items(fields.found.get("outputPorts")))
        if isinstance(each, Mapping) and isinstance(each.get("contractId"), str)
    ]
    own = contract.get("id") if contract is not None else None
    if ports and own is not None and all(id != own for _, id in ports):
        message = f"no output port has the contractId {str(own)[:80]!r} of the contract beside it"
        fields.faults.add((*fields.path, "outputPorts"), "contract", message)
        return
    for path, id in ports:
        if id != own:
            fields.faults.report(path, f"the contract {id[:80]!r} is not here; the port is kept, and serves nothing")


def _minor(fields: Fields) -> int | None:
    """Give the minor version of the standard: 0 for v1.0.0, and for v0.9.0 which has the same schema."""
    version = fields.get("apiVersion", str)
    if version is None:
        fields.require(("apiVersion",))
        return None
    found = _VERSION.fullmatch(version)
    if not found:
        fields.refuse("apiVersion", "value", f"{version[:40]!r} is not taken; ODPS v1.0 and v1.1 are")
        return None
    return int(found[1] or 0)


def _with_team(fields: Fields, minor: int) -> Mapping[str, Any]:
    """Give the document as its schema has it; before v1.1 many wrote the team as the list of its members."""
    team = fields.found.get("team")
    if minor or not isinstance(team, list):
        return fields.found
    fields.faults.report((*fields.path, "team"), "a list of members names no team; it is kept, and nobody is the owner")
    return {name: value for name, value in fields.found.items() if name != "team"}


def _product_name(fields: Fields) -> str | None:
    """Give the first legal name of a product there is. It is for good, so none is made up."""
    given = [name for name in ("name", "id") if isinstance(fields.found.get(name), str)]
    for member in given:
        if fault_of_name(fields.found[member], "product") is None:
            return str(fields.found[member])
    proposed = legal_name(fields.found[given[0]], 63).lstrip("_") if given else ""
    example = proposed if fault_of_name(proposed, "product") is None else "flights"
    message = (
        f"neither name nor id is a name of a product here ([a-z][a-z0-9_]*), like {example}; "
        "or say it in the contract that comes with it: dataProduct"
    )
    fields.faults.add((given[0],) if given else (), "name", message, of_key=not given)
    return None


def _inputs(fields: Fields) -> list[str]:
    """Give the products, or tables of products, that the input ports name; other ports are reported."""
    found: dict[str, None] = {}
    for at, each in enumerate(items(fields.found.get("inputPorts"))):
        if not isinstance(each, Mapping):
            continue
        given = [each.get(member) for member in ("name", "contractId")]
        name = next((text for text in given if isinstance(text, str) and _is_input(text)), None)
        if name is None:
            path = (*fields.path, "inputPorts", at, "name")
            fields.faults.report(path, f"{str(given[0])[:80]!r} is no product here; the port is kept")
        else:
            found[name] = None
    return list(found)


def _is_input(name: str) -> bool:
    return all(PRODUCT.fullmatch(part) for part in name.split(".", 1))


def _links(fields: Fields) -> dict[str, str]:
    """Give where people find more, or somebody to ask: authoritative definitions and channels of support."""
    found: dict[str, str] = {}
    for member, at, name, url in _addresses(fields.found):
        fault = link_fault(url)
        if fault:
            fields.faults.report((*fields.path, member, at, "url"), f"{fault}; it is kept, and shown nowhere")
            continue
        free, number = name, 2
        while free in found:
            free, number = f"{name} {number}", number + 1
        found[free] = url
    return found


def _addresses(found: Mapping[str, Any]) -> Iterator[tuple[str, int, str, str]]:
    for member, name in (("authoritativeDefinitions", "type"), ("support", "channel")):
        for at, each in enumerate(items(found.get(member))):
            if isinstance(each, Mapping) and isinstance(each.get(name), str) and isinstance(each.get("url"), str):
                yield member, at, each[name], each["url"]
