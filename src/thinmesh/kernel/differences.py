"""What became different with a change of a product, in the words of its history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .compatibility import Change, compare
from .contract import Table
from .product import Descriptor

# A history is read by people; beyond so many, the rest is counted.
_MOST = 200
_LONGEST = 200  # characters of one


def of_descriptors(
    old: Mapping[str, Any], before: Descriptor, new: Mapping[str, Any], after: Descriptor
) -> list[dict[str, Any]]:
    """Compare effective values (owner, access, version, status, readme) and what descriptors say beyond tables.

    Each difference has `table`, `column`, `what` (a word), `kind` (compatible, breaking, tightened) and `text`.
    """
    return [_document(None, None, what, kind, text) for what, kind, text in _of_product(old, before, new, after)]


def of_tables(old: Mapping[str, Table], new: Mapping[str, Table]) -> list[dict[str, Any]]:
    """Compare tables, as `of_descriptors` does the rest; beyond 200 differences the last one counts the others."""
    compared = compare(old, new)
    of_kinds = {"breaking": compared.breaking, "tightened": compared.tightened, "compatible": compared.compatible}
    found = [_of_change(kind, change) for kind, changes in of_kinds.items() for change in changes]
    if len(found) <= _MOST:
        return found
    rest = f"and {len(found) - _MOST} more differences"
    return [*found[:_MOST], _document(None, None, "more", "compatible", rest)]


def _of_change(kind: str, change: Change) -> dict[str, Any]:
    return _document(change.table, change.column, change.what, kind, change.text)


def _document(table: str | None, column: str | None, what: str, kind: str, text: str) -> dict[str, Any]:
    return {"table": table, "column": column, "what": what, "kind": kind, "text": text[:_LONGEST]}


def _of_product(
    old: Mapping[str, Any], before: Descriptor, new: Mapping[str, Any], after: Descriptor
) -> Iterator[tuple[str, str, str]]:
    for name in ("owner", "access", "version", "status"):
        if old[name] != new[name]:
            closes = name == "access" and new[name] == "request"
            yield name, "breaking" if closes else "compatible", f"{name} {old[name]} becomes {new[name]}"
    if old["readme"] != new["readme"]:
        yield "readme", "compatible", "the README is another one" if new["readme"] else "the README is gone"
    if before.description != after.description:
        yield "description", "compatible", "the description is another one"
    for what, was, is_now in (("tag", before.tags, after.tags), ("input", before.inputs, after.inputs)):
        yield from ((what, "compatible", f"the {what} {name} is new") for name in is_now if name not in was)
        yield from ((what, "compatible", f"the {what} {name} is dropped") for name in was if name not in is_now)
    for name in sorted({*before.slo, *after.slo}):
        if before.slo.get(name) != after.slo.get(name):
            yield "slo", "compatible", _becomes(f"the promised {name}", before.slo.get(name), after.slo.get(name))
    if before.retention != after.retention:
        yield "retention", "compatible", _becomes("the retention", before.retention, after.retention)
    if not before.deprecated and after.deprecated:
        yield "deprecated", "compatible", "the product is deprecated"


def _becomes(what: str, before: object, after: object) -> str:
    return f"{what} {before or 'nothing'} becomes {after or 'nothing'}"
