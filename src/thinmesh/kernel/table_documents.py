"""Tables of a document: the `tables` member of `product.json`, read with every rule it must keep, and written back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import date
from typing import Any

from .column_documents import column_document, parse_column
from .contract import LOGICAL_TYPES, Column, Reference, Table
from .document_faults import Fields, Path
from .names import COLUMN, PRODUCT, fault_of_column, fault_of_name
from .odcs_models import check_object
from .quality_rules import check_quality
from .relationships import Targets, read_relationships, without_plain

# Members of a table that `Table` has fields for, and those of an ODCS schema object that are kept in `extra`.
_OWN = "description null columns primaryKey unique references quality deprecated inferred".split()
_KEPT: Mapping[str, type] = {
    **dict.fromkeys("id businessName physicalName physicalType logicalType dataGranularityDescription".split(), str),
    **dict.fromkeys("synonyms authoritativeDefinitions tags customProperties relationships".split(), list),
}
_DEEP = frozenset({"synonyms", "authoritativeDefinitions", "customProperties", "relationships", "context"})
MEMBERS = (*_OWN, *_KEPT, "context")
_NUMERIC = {"integer", "number"}


def parse_tables(fields: Fields, product: str) -> dict[str, Table]:
    """Read the member `tables`. Those marked `inferred` are no contract yet, and are left out.

    `product` is the name of the product, whose own tables references may spell in full.
    """
    found: dict[str, Table] = {}
    places: dict[tuple[str, Reference], Path] = {}
    written = fields.get("tables", dict) or {}
    targets = Targets({name: name for name in written})
    for name in written:
        path = (*fields.path, "tables", name)
        fault = fault_of_name(name, "table")
        if fault:
            fields.faults.add(path, "name", fault, of_key=True)
        value = fields.found["tables"][name]
        if not isinstance(value, Mapping):
            fields.refuse("tables", "type", "a table is an object with columns", name)
            continue
        inner = Fields(value, path, fields.faults)
        table = parse_table(inner, name, product)
        if not table.inferred:
            found[name] = _with_relationships(inner, table, targets, places)
    _check_references(fields, found, places)
    return found


def _with_relationships(
    fields: Fields, table: Table, targets: Targets, places: dict[tuple[str, Reference], Path]
) -> Table:
    """Add the foreign keys that a table or its columns write as ODCS does."""
    references = read_relationships(fields, "columns", targets)
    if not references:
        return table
    places.update({(table.name, each): path for each, path in references.items() if each not in table.references})
    table = replace(table, references=tuple(dict.fromkeys((*table.references, *references))))
    return replace(table, extra=without_plain(table))


def parse_table(fields: Fields, name: str, product: str = "") -> Table:
    """Read one table. Faults are noted in `fields`."""
    fields.report_unknown(MEMBERS, "a table")
    columns = _columns(fields)
    names = {column.name for column in columns}
    deprecated = fields.found.get("deprecated")
    table = Table(
        name=name,
        columns=columns,
        description=fields.get("description", str),
        null=fields.texts("null"),
        primary_key=_primary_key(fields, names),
        unique=_unique(fields, names),
        references=_references(fields, names, product),
        quality=parse_quality(fields),
        deprecated=None if isinstance(deprecated, bool) else parse_deprecated(fields),
        extra=_extra(fields),
        inferred=fields.get("inferred", bool) or False,
    )
    return replace(table, extra={**table.extra, "deprecated": deprecated}) if isinstance(deprecated, bool) else table


def table_document(table: Table) -> dict[str, Any]:
    """Write one table in full; what it does not have is left out."""
    found = {
        "description": table.description,
        "inferred": table.inferred or None,
        "null": list(table.null) or None,
        "columns": [column_document(column) for column in table.columns],
        "primaryKey": list(table.primary_key) or None,
        "unique": [list(columns) for columns in table.unique] or None,
        "references": [reference_document(reference) for reference in table.references] or None,
        "quality": [dict(rule) for rule in table.quality] or None,
        "deprecated": dict(table.deprecated) if table.deprecated is not None else None,
        **table.extra,
    }
    return {name: value for name, value in found.items() if value is not None}


def reference_document(reference: Reference) -> dict[str, Any]:
    """Write a reference."""
    target = f"{reference.product}.{reference.table}" if reference.product else reference.table
    return {"columns": list(reference.columns), "table": target, "to": list(reference.to)}


def parse_deprecated(fields: Fields) -> Mapping[str, Any] | None:
    """Read the member `deprecated` of a table or a product."""
    found = fields.get("deprecated", dict)
    if found is None:
        return None
    inner = Fields(found, (*fields.path, "deprecated"), fields.faults)
    inner.refuse_unknown(("successor", "removal"), "`deprecated`")
    successor = inner.get("successor", str)
    if successor is not None and not all(PRODUCT.fullmatch(part) for part in successor.split(".", 1)):
        inner.refuse("successor", "name", f"{successor[:80]!r} is neither a product nor product.table")
    removal = inner.get("removal", str)
    if removal is not None and not _is_date(removal):
        inner.refuse("removal", "value", f"{removal[:40]!r} is no date like 2027-01-31")
    return found


def parse_quality(fields: Fields) -> tuple[Mapping[str, Any], ...]:
    """Read the quality rules of a table."""
    rules = []
    for at, rule in fields.objects("quality"):
        check_quality(Fields(rule, (*fields.path, "quality", at), fields.faults))
        rules.append(rule)
    return tuple(rules)


def fault_of_reference(table: Table, reference: Reference, tables: Mapping[str, Table]) -> str | None:
    """Say why a reference inside the product leads nowhere, or nothing."""
    if reference.product:
        return None
    target = tables.get(reference.table)
    if target is None:
        return f"this document has no table {reference.table!r}"
    for own, other in zip(reference.columns, reference.to, strict=True):
        column, aim = table.column(own), target.column(other)
        if column is None or aim is None:
            missing = (table.name, own) if column is None else (target.name, other)
            return "the table {!r} has no column {!r}".format(*missing)
        if column.logical_type != aim.logical_type and {column.logical_type, aim.logical_type} != _NUMERIC:
            return f"{own!r} is {column.logical_type}, and {target.name}.{other} is {aim.logical_type}"
    return None


def _check_references(
    fields: Fields, tables: Mapping[str, Table], places: Mapping[tuple[str, Reference], Path]
) -> None:
    """Note references inside the product that lead nowhere; `places` has those written as ODCS relationships."""
    for name, table in tables.items():
        for at, reference in enumerate(table.references):
            fault = fault_of_reference(table, reference, tables)
            path = places.get((name, reference), (*fields.path, "tables", name, "references", at))
            if fault and ((name, reference) in places or all(map(table.column, reference.columns))):
                hint = "" if reference.table in tables else "; write product.table for one of another product"
                fields.faults.add(path, "reference", f"{fault}{hint}")


def checked_columns(fields: Fields, named: Sequence[tuple[Path, Column]]) -> tuple[Column, ...]:
    """Note column names that are wrong or there twice, or share a CSV header; give each name's first column."""
    found: dict[str, Column] = {}
    headers: dict[str, str] = {}
    for path, column in named:
        fault = fault_of_column(column.name)
        if fault:
            fields.faults.add(path, "name", fault)
        if column.name in found:
            fields.faults.add(path, "duplicate", f"the column {column.name!r} is there twice")
            continue
        if column.header in headers:
            message = f"{column.name!r} and {headers[column.header]!r} have the same CSV header {column.header!r}"
            fields.faults.add(path, "duplicate", message)
        headers[column.header] = column.name
        found[column.name] = column
    return tuple(found.values())


def _columns(fields: Fields) -> tuple[Column, ...]:
    value = fields.found.get("columns")
    if isinstance(value, Mapping):
        return _short_columns(fields, value)
    named = []
    for at, each in fields.objects("columns"):
        inner = Fields(each, (*fields.path, "columns", at), fields.faults)
        name = each.get("name")
        if name is None or name == "":
            inner.faults.add(inner.path, "missing", "the column has no name", of_key=True)
            continue
        if isinstance(name, str):
            named.append(((*inner.path, "name"), parse_column(inner, name)))
        else:
            inner.get("name", str)
    if not named and not (isinstance(value, list) and value):
        message = "a table lists its columns; leave the whole table out to have it inferred from the data"
        fields.faults.add((*fields.path, "columns"), "missing", message, of_key=True)
    return checked_columns(fields, named)


def _short_columns(fields: Fields, value: Mapping[str, Any]) -> tuple[Column, ...]:
    """Read the short form, `{"id": "integer"}`."""
    inner = Fields(value, (*fields.path, "columns"), fields.faults)
    named = []
    for name, kind in value.items():
        logical = inner.choice(name, LOGICAL_TYPES)
        if kind is None:
            inner.refuse(name, "type", f"give the type: {', '.join(LOGICAL_TYPES)}")
        fault = fault_of_column(name)
        if fault:
            inner.faults.add((*inner.path, name), "name", fault, of_key=True)
        else:
            named.append(((*inner.path, name), Column(name, logical or "string")))
    if not value:
        fields.refuse("columns", "missing", "a table has at least one column")
    return checked_columns(fields, named)


def _primary_key(fields: Fields, names: Set[str]) -> tuple[str, ...]:
    """Give the primary key: the table's member, or the columns that say they are part of it (ODCS)."""
    key = fields.texts("primaryKey")
    check_names(fields, (*fields.path, "primaryKey"), key, names)
    columns = fields.found.get("columns")
    marked = key_of_columns(columns) if isinstance(columns, list) else ()
    if key and marked and set(key) != set(marked):
        message = f"the columns marked as primaryKey are ({', '.join(marked)})"
        fields.faults.add((*fields.path, "primaryKey"), "value", message)
    return key or marked


def key_of_columns(properties: Sequence[Any]) -> tuple[str, ...]:
    """Give the names of the ODCS properties marked `primaryKey`, by `primaryKeyPosition`, else as they stand."""
    marked = [each for each in properties if isinstance(each, Mapping) and each.get("primaryKey") is True]
    positions = [each.get("primaryKeyPosition") for each in marked]
    if all(isinstance(position, int) for position in positions):
        marked.sort(key=lambda each: int(each["primaryKeyPosition"]))
    return tuple(str(each.get("name")) for each in marked)


def check_names(fields: Fields, path: Path, columns: Sequence[str], names: Set[str]) -> None:
    """Note columns of a key or reference that the table does not have, or that are named twice."""
    seen = set[str]()
    for at, column in enumerate(columns):
        if column not in names:
            hint = fields.faults.hint(column, sorted(names))
            fields.faults.add((*path, at), "reference", f"the table has no column {column[:80]!r}{hint}")
        elif column in seen:
            fields.faults.add((*path, at), "duplicate", f"the column {column!r} is there twice")
        seen.add(column)


def _unique(fields: Fields, names: Set[str]) -> tuple[tuple[str, ...], ...]:
    keys = []
    for at, value in enumerate(fields.get("unique", list) or ()):
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            fields.refuse("unique", "type", 'each entry is a list of columns, like [["a", "b"], ["c"]]', at)
            continue
        check_names(fields, (*fields.path, "unique", at), value, names)
        keys.append(tuple(value))
    return tuple(keys)


def _references(fields: Fields, names: Set[str], product: str) -> tuple[Reference, ...]:
    found = []
    for at, value in fields.objects("references"):
        inner = Fields(value, (*fields.path, "references", at), fields.faults)
        inner.refuse_unknown(("columns", "table", "to"), "a reference")
        inner.require(("columns", "table", "to"))
        columns, to = inner.texts("columns"), inner.texts("to")
        check_names(inner, (*inner.path, "columns"), columns, names)
        if len(columns) != len(to):
            inner.refuse("to", "value", f"{len(columns)} columns cannot refer to {len(to)}")
        target = inner.get("table", str)
        if target is not None and columns and len(columns) == len(to):
            found.append(_reference(inner, columns, target, to, product))
    return tuple(found)


def _reference(inner: Fields, columns: tuple[str, ...], target: str, to: tuple[str, ...], product: str) -> Reference:
    """Take a target apart: `product.table`, or `table` inside the product."""
    other, _, table = target.rpartition(".")
    if not PRODUCT.fullmatch(table) or not (PRODUCT.fullmatch(other) or "." not in target):
        inner.refuse("table", "name", f"{target[:80]!r} is neither a table of this product nor product.table")
    for at, column in enumerate(to):
        if not COLUMN.fullmatch(column):
            inner.refuse("to", "name", f"{column[:80]!r} is no column name", at)
    return Reference(columns, "" if other == product else other, table, to)


def _extra(fields: Fields) -> dict[str, Any]:
    """Keep every other member of an ODCS schema object."""
    for name, kind in _KEPT.items():
        fields.get(name, kind)
    fields.texts("tags")
    if not _DEEP.isdisjoint(fields.found):
        own = {name: value for name, value in fields.found.items() if name in _KEPT or name == "context"}
        check_object(own, fields.path, fields.faults)
    return {name: value for name, value in fields.found.items() if name not in _OWN and value is not None}


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
