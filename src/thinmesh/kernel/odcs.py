"""Open Data Contract Standard (ODCS, bitol.io) documents, read into tables and the values of a descriptor.

Names that SQL does not take are made legal, and reported: the contract's own names stay what they are in its document
and in CSV headers. Only the product's name is never made up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from .bitol import custom_values, described, items, legal, named, owner_of, status_of
from .column_documents import parse_column
from .contract import Column, Reference, Table
from .document_faults import Fields, Path
from .names import fault_of_name, legal_name
from .odcs_models import check_contract
from .odcs_writing import VENDOR
from .relationships import Targets, column_name, read_relationships, without_plain
from .table_documents import (
    check_names,
    checked_columns,
    fault_of_reference,
    key_of_columns,
    parse_deprecated,
    parse_quality,
)

_VERSION = re.compile(r"v?3\.\d+\.\d+")
# Members of a schema object that `Table` has fields for, with custom properties taken apart.
_TABLE_OWN = frozenset({"name", "description", "properties", "quality"})


def is_odcs(value: Mapping[str, Any]) -> bool:
    """Tell whether a document is an ODCS contract rather than a `product.json`."""
    return "apiVersion" in value or "kind" in value


def contract_values(fields: Fields, product: str | None = None) -> dict[str, Any]:
    """Read a whole contract: a value for each field of a `product.json` that it says something about.

    What it says of `name`, `domain`, `access`, … is in the form that `product.json` has; `tables` is a mapping of
    `Table`. `product` is the product's name where something else gives it. Faults are noted in `fields`.
    """
    found = fields.found
    fields.faults.lenient = True
    fields.choice("kind", ("DataContract",))
    version = fields.get("apiVersion", str)
    if version is None:
        fields.require(("apiVersion",))
    elif not _VERSION.fullmatch(version):
        fields.refuse("apiVersion", "value", f"{version[:40]!r} is not taken; ODCS v3.0 to v3.2 are")
    values = {
        "name": product or _product_name(fields),
        "domain": named(fields, "domain"),
        "description": described(found),
        "version": found.get("version") if isinstance(found.get("version"), str) else None,
        "status": status_of(fields),
        "tags": [tag for tag in items(found.get("tags")) if isinstance(tag, str)],
        "owner": owner_of(fields),
        **_slo(found),
        **custom_values(fields),
        "tables": _tables(fields),
    }
    check_contract(found, fields.faults)
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def _product_name(fields: Fields) -> str | None:
    """Give the first legal name of a product that the contract has. It is for good, so none is made up."""
    given = [name for name in ("dataProduct", "name", "id") if isinstance(fields.found.get(name), str)]
    for member in given:
        if fault_of_name(fields.found[member], "product") is None:
            return str(fields.found[member])
    proposed = legal_name(fields.found[given[0]], 63).lstrip("_") if given else ""
    example = proposed if fault_of_name(proposed, "product") is None else "flights"
    message = f"no name of a product ([a-z][a-z0-9_]*) is here; add one, like dataProduct: {example}"
    fields.faults.add((given[0],) if given else (), "name", message, of_key=not given)
    return None


def _slo(found: Mapping[str, Any]) -> dict[str, Any]:
    """Read the promises that are written as a single value; the freshness only where it is an ISO 8601 duration."""
    slo = {}
    for each in items(found.get("slaProperties")):
        if not isinstance(each, Mapping) or each.get("element") or each.get("unit"):
            continue
        name, value = each.get("property"), each.get("value")
        plain = isinstance(value, str | int | float)
        if isinstance(name, str) and plain and (name != "freshness" or str(value).startswith("P")):
            slo[name] = value
    return {"slo": slo}


def _tables(fields: Fields) -> dict[str, Table]:
    objects = list(fields.objects("schema"))
    names = {
        each.get("name"): _table_name(fields, at, each) for at, each in objects if isinstance(each.get("name"), str)
    }
    targets = Targets({str(written): legal for written, legal in names.items()}, _ids(each for _, each in objects))
    reader = _TableReader(targets)
    tables: dict[str, Table] = {}
    for at, each in objects:
        inner = Fields(each, (*fields.path, "schema", at), fields.faults)
        written = inner.get("name", str)
        if written is None:
            inner.require(("name",))
        elif names[written] in tables:
            inner.refuse("name", "duplicate", f"the table {names[written]!r} is there twice")
        elif not inner.get("properties", list):
            inner.faults.report(inner.path, "it lists no properties, so its columns are inferred from the data")
        else:
            tables[names[written]] = reader.table(inner, names[written])
    return reader.without_dangling(fields, tables)


def _table_name(fields: Fields, at: int, found: Mapping[str, Any]) -> str:
    path = (*fields.path, "schema", at, "name")
    name = legal(fields, path, found["name"])
    fault = fault_of_name(name, "table")
    if fault:
        fields.faults.add(path, "name", fault)
    return name


class _TableReader:
    """Reads schema objects, and remembers where their references stand."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._places: dict[tuple[str, Reference], Path] = {}

    def table(self, fields: Fields, name: str) -> Table:
        """Read one schema object."""
        columns = self._columns(fields)
        properties = [each for _, each in fields.objects("properties")]
        own, others = _split_custom(fields)
        references = read_relationships(fields, "properties", self._targets)
        self._places.update({(name, reference): path for reference, path in references.items()})
        table = Table(
            name=name,
            columns=columns,
            description=fields.get("description", str),
            null=tuple(own.get("null", ())),
            primary_key=tuple(column_name(each) for each in key_of_columns(properties)),
            unique=tuple(tuple(key) for key in own.get("unique", ())),
            references=tuple(references),
            quality=parse_quality(fields),
            deprecated=parse_deprecated(Fields({"deprecated": own.get("deprecated")}, fields.path, fields.faults)),
            extra=_extra(fields.found, others),
        )
        names = {column.name for column in columns}
        for key in table.unique:
            check_names(fields, (*fields.path, "customProperties"), key, names)
        return replace(table, extra=without_plain(table))

    def without_dangling(self, fields: Fields, tables: Mapping[str, Table]) -> dict[str, Table]:
        """Leave out references that lead nowhere in the contract, and report them: others may read them."""
        return {
            name: replace(
                table, references=tuple(each for each in table.references if self._leads(fields, table, each, tables))
            )
            for name, table in tables.items()
        }

    def _leads(self, fields: Fields, table: Table, reference: Reference, tables: Mapping[str, Table]) -> bool:
        fault = fault_of_reference(table, reference, tables)
        if fault:
            path = self._places[table.name, reference]
            fields.faults.report(path, f"{fault}; this relationship is kept, and not checked")
        return fault is None

    def _columns(self, fields: Fields) -> tuple[Column, ...]:
        named = []
        for at, each in fields.objects("properties"):
            inner = Fields(each, (*fields.path, "properties", at), fields.faults)
            written = inner.get("name", str)
            if not written:
                inner.require(("name",))
                continue
            path = (*inner.path, "name")
            name = column_name(written)
            if name != written:
                fields.faults.report(path, f"{written[:80]!r} is the column {name!r} in SQL")
            named.append((path, parse_column(inner, name)))
        return checked_columns(fields, named)


def _ids(objects: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Give `table.column`, as written, by the reference that is made of ids (ODCS 3.1, fully qualified notation)."""
    found = {}
    for each in objects:
        for column in items(each.get("properties")):
            if isinstance(column, Mapping) and each.get("id") and column.get("id"):
                path = f"schema/{each['id']}/properties/{column['id']}"
                found[path] = found[f"/{path}"] = f"{each.get('name')}.{column.get('name')}"
    return found


def _split_custom(fields: Fields) -> tuple[dict[str, Any], list[Any]]:
    """Take our own custom properties of a table out of the others; before ODCS 3.2 they had no vendor."""
    own: dict[str, Any] = {}
    others = []
    for at, each in enumerate(items(fields.found.get("customProperties"))):
        name, vendor = (each.get("property"), each.get("vendor")) if isinstance(each, Mapping) else (None, "")
        fits = _TABLE_CUSTOM.get(name) if isinstance(name, str) else None
        if fits is None or name in own or vendor not in (VENDOR, None) or not (fits(each.get("value")) or vendor):
            others.append(each)
        elif fits(each.get("value")):
            own[str(name)] = each["value"]
        else:
            path = (*fields.path, "customProperties", at, "value")
            fields.faults.add(path, "type", f"this is not what {name!r} takes")
    return own, others


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _are_keys(value: Any) -> bool:
    return isinstance(value, list) and all(_are_texts(each) and each for each in value)


# What a custom property of a table must be, to be the field of `Table` that ODCS has no place for.
_TABLE_CUSTOM: Mapping[str, Callable[[Any], bool]] = {
    "null": _are_texts,
    "unique": _are_keys,
    "deprecated": lambda value: isinstance(value, Mapping),
}


def _extra(found: Mapping[str, Any], custom: list[Any]) -> dict[str, Any]:
    extra = {name: value for name, value in found.items() if name not in _TABLE_OWN and value is not None}
    extra.pop("customProperties", None)
    return {**extra, "customProperties": custom} if custom else extra
