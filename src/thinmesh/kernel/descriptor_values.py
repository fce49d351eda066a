"""The members of a `product.json` beside its tables, each held against its rule."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from .clock import duration
from .document_faults import Fields
from .errors import Malformed
from .names import PRODUCT, fault_of_name
from .table_documents import parse_deprecated

MEMBERS = (
    "$schema name domain description version owner access status tags custom slo retention inputs links deprecated "
    "tables"
).split()
REQUIRED = ("name", "domain", "description")
# Every signed-in user may read the data, or only those with a grant.
ACCESS = ("open", "request")
_ACCESS_ELSEWHERE = {
    "closed": "request", "private": "request", "restricted": "request", "protected": "request", "public": "open"
}  # fmt: skip
# `retired` is what `thinmesh retire` makes of a product.
STATUSES = ("draft", "proposed", "active", "deprecated")
# semver.org, "Is there a suggested regular expression".
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
# Longer than any, and far below what makes the expression above slow.
_LONGEST_VERSION = 128
_LONGEST_TAG = 128
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):\S+")
# Schemes that run in the page that shows the link.
_RUNNING = frozenset({"javascript", "data", "vbscript"})


def descriptor_values(fields: Fields, required: Collection[str] = REQUIRED) -> dict[str, Any]:
    """Read every member but the tables, under the name it has in `Descriptor`; what is left out is left out here.

    In an ODCS contract (`faults.lenient`) version and status may be any text. Faults are noted in `fields`.
    """
    fields.refuse_unknown(MEMBERS, "a descriptor")
    fields.get("$schema", str)
    fields.require(required)
    found = {
        "name": _name(fields, "name", "product"),
        "domain": _name(fields, "domain", "domain"),
        "description": _description(fields),
        "owner": _name(fields, "owner", "team"),
        "access": fields.choice("access", ACCESS, _ACCESS_ELSEWHERE),
        "version": _version(fields),
        "status": _status(fields),
        "tags": _tags(fields),
        "custom": fields.get("custom", dict),
        "slo": _slo(fields),
        "retention": _span(fields, "retention"),
        "inputs": _inputs(fields),
        "links": _links(fields),
        "deprecated": parse_deprecated(fields),
    }
    return {name: value for name, value in found.items() if value is not None}


def _name(fields: Fields, member: str, what: str) -> str | None:
    name = fields.get(member, str)
    fault = fault_of_name(name, what) if name is not None else None
    if fault:
        fields.refuse(member, "name", fault)
    return name


def _description(fields: Fields) -> str | None:
    text = fields.get("description", str)
    if text is not None and not text.strip():
        fields.refuse("description", "missing", "the description is empty; say what the product is")
    return text


def _version(fields: Fields) -> str | None:
    version = fields.get("version", str)
    if version is None or fields.faults.lenient:
        return version
    if len(version) > _LONGEST_VERSION or not _SEMVER.fullmatch(version):
        fields.refuse("version", "value", f"{version[:40]!r} is no version like 1.0.0 (semver.org)")
    return version


def _status(fields: Fields) -> str | None:
    status = fields.get("status", str)
    if status == "retired":
        fields.refuse("status", "value", "a product is retired with `thinmesh retire`, not by its descriptor")
        return None
    return status if fields.faults.lenient else fields.choice("status", STATUSES)


def _tags(fields: Fields) -> tuple[str, ...] | None:
    tags = fields.texts("tags")
    for at, tag in enumerate(tags):
        if not tag.strip() or len(tag) > _LONGEST_TAG:
            fields.refuse("tags", "value", f"a tag is a text of 1 to {_LONGEST_TAG} characters", at)
    return tags or None


def _slo(fields: Fields) -> Mapping[str, Any] | None:
    """Read the promises: the freshness is measured, others are kept and shown."""
    slo = fields.get("slo", dict)
    if slo is not None:
        inner = Fields(slo, (*fields.path, "slo"), fields.faults)
        _span(inner, "freshness")
        if not fields.faults.lenient:
            inner.report_unknown(("freshness",), "`slo`")
    return slo


def _span(fields: Fields, member: str) -> str | None:
    text = fields.get(member, str)
    if text is None:
        return None
    try:
        duration(text)
    except Malformed as error:
        fields.refuse(member, "value", f"{error.detail.rstrip('.')}; write it in ISO 8601, like P1D or PT12H")
    return text


def _inputs(fields: Fields) -> tuple[str, ...] | None:
    inputs = fields.texts("inputs")
    for at, name in enumerate(inputs):
        if not all(PRODUCT.fullmatch(part) for part in name.split(".", 1)):
            fields.refuse("inputs", "name", f"{name[:80]!r} is neither a product nor product.table", at)
    return inputs or None


def _links(fields: Fields) -> Mapping[str, Any] | None:
    links = fields.get("links", dict)
    if links is not None:
        inner = Fields(links, (*fields.path, "links"), fields.faults)
        for name in links:
            url = inner.get(name, str)
            fault = link_fault(url) if url is not None else None
            if fault:
                inner.refuse(name, "value", fault)
    return links


def link_fault(url: str) -> str | None:
    """Say what is wrong with an address that pages show as a link, or nothing."""
    found = _URL.fullmatch(url)
    if found and found[1].lower() not in _RUNNING:
        return None
    return f"{url[:80]!r} is no address like https://example.org/"
