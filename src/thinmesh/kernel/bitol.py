"""What ODCS contracts and ODPS products (bitol.io) say in the same words: name, domain, description, team, status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .descriptor_values import STATUSES
from .document_faults import Fields, Path
from .names import PRODUCT, fault_of_name, name_in_document
from .odcs_writing import VENDOR

# Descriptor fields that one of the two, or both, have no place for.
_CUSTOM = ("access", "retention", "inputs", "links", "deprecated", "custom", "slo")


def named(fields: Fields, member: str) -> str | None:
    """Give a member that is a name, made legal."""
    written = fields.get(member, str)
    return legal(fields, (*fields.path, member), written) if written else None


def legal(fields: Fields, path: Path, written: str) -> str:
    """Make a name legal and report it; one that cannot be is given as it was written."""
    if PRODUCT.fullmatch(written):
        return written
    name = name_in_document(written, 63).lstrip("_")
    if not PRODUCT.fullmatch(name):
        return written
    fields.faults.report(path, f"{written[:80]!r} is called {name!r} here")
    return name


def described(found: Mapping[str, Any]) -> str | None:
    """Give the purpose, or what else the document says of itself."""
    said = found.get("description")
    members = [said.get(name) for name in ("purpose", "usage", "limitations")] if isinstance(said, Mapping) else [said]
    texts = (each for each in (*members, found.get("name"), found.get("dataProduct")) if each)
    return next((each for each in texts if isinstance(each, str) and each.strip()), None)


def status_of(fields: Fields) -> str | None:
    """Give the status; one that is not ours is kept."""
    status = fields.get("status", str)
    if status is None or status in STATUSES:
        return status
    if status == "retired":
        fields.refuse("status", "value", "a product is retired with `thinmesh retire`, not by its document")
        return None
    fields.faults.report((*fields.path, "status"), f"{status[:40]!r} is none of {', '.join(STATUSES)}; it is kept")
    return None


def owner_of(fields: Fields) -> str | None:
    """Give the team's name where it is one here."""
    team = fields.found.get("team")
    name = team.get("name") if isinstance(team, Mapping) else None
    if not isinstance(name, str):
        return None
    if fault_of_name(name, "team") is None:
        return name
    fields.faults.report((*fields.path, "team", "name"), f"{name[:80]!r} is no team name here; it is not the owner")
    return None


def custom_values(fields: Fields) -> dict[str, Any]:
    """Read the custom properties that stand for fields of a `product.json`."""
    found: dict[str, Any] = {}
    for at, each in enumerate(items(fields.found.get("customProperties"))):
        name = each.get("property") if isinstance(each, Mapping) else None
        if name in _CUSTOM and _is_ours(each, name):
            path = (*fields.path, "customProperties", at)
            if name in found and found[name] != each.get("value"):
                fields.faults.add((*path, "property"), "duplicate", f"{name!r} is there twice, with other values")
            found.setdefault(name, each.get("value"))
            fields.faults.alias((name,), (*path, "value"))
    return found


def _is_ours(each: Mapping[str, Any], name: str) -> bool:
    """Tell whether a custom property is ours; before ODCS 3.2 none had a vendor, and access must not be missed."""
    vendor = each.get("vendor")
    return vendor == VENDOR or (vendor is None and name == "access")


def items(value: Any) -> list[Any]:
    """Give a value that is a list; an empty one for every other."""
    return value if isinstance(value, list) else []
