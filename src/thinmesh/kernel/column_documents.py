"""One column of a document, an ODCS schema property: read with every rule it must keep, and written back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .column_rules import check_options, check_values
from .contract import CLASSIFIED, LOGICAL_TYPES, Column
from .document_faults import Fields
from .names import nearest
from .odcs_models import check_property
from .quality_rules import check_quality

_TEXTS = (
    "name logicalType physicalType physicalName description classification businessName encryptedName transformLogic "
    "transformDescription semanticType id"
).split()
_FLAGS = "required unique primaryKey deprecated partitioned criticalDataElement".split()
_LISTS = (
    "tags transformSourceObjects examples enum synonyms authoritativeDefinitions customProperties relationships "
    "properties quality"
).split()
_TEXT_LISTS = ("tags", "transformSourceObjects")
# ODCS 3.2 `SchemaProperty`: what each member must be. What lies deeper is judged by the official models.
MEMBERS: Mapping[str, type] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(_FLAGS, bool),
    **dict.fromkeys(("primaryKeyPosition", "partitionKeyPosition"), int),
    **dict.fromkeys(_LISTS, list),
    **dict.fromkeys(("logicalTypeOptions", "items", "map"), dict),
}
# Members with an inside that only the official models know; loading those takes longer than reading a descriptor.
DEEP = frozenset("enum synonyms authoritativeDefinitions customProperties relationships properties items map".split())
# What `Column` and `Table` have fields for; every other member is `Column.extra`.
_OWN = frozenset(
    "name logicalType physicalType physicalName description required unique classification logicalTypeOptions quality "
    "primaryKey primaryKeyPosition".split()
)
# ODCS 3.2 types that are held as JSON text of what they contain.
_STAND_INS = {"map": "object", "vector": "array"}
# How near an unknown word must be to a known one to be taken for a slip of the hand.
_SLIP = 0.8
_FIRST_WORD = re.compile(r"[a-z]+")
_LOGICAL_BY_PHYSICAL = {
    physical: logical
    for logical, words in {
        "integer": "int integer bigint smallint tinyint mediumint long short byteint hugeint serial bigserial",
        "number": "double float real decimal dec numeric number money",
        "boolean": "bool boolean bit",
        "timestamp": "timestamp datetime timestamptz",
        "date": "date",
        "time": "time",
    }.items()
    for physical in words.split()
}


def parse_column(fields: Fields, name: str) -> Column:
    """Read a column, under the name it has in SQL. Faults are noted in `fields`."""
    found = _members(fields)
    written = found.get("logicalType")
    logical = _logical_type(fields, found)
    extra = {key: value for key, value in fields.found.items() if key not in _OWN and value is not None}
    if written in _STAND_INS:
        extra["logicalType"] = written
    column = Column(
        name=name,
        logical_type=logical,
        physical_type=found.get("physicalType"),
        physical_name=_physical_name(fields, name, found),
        description=found.get("description"),
        required=found.get("required", False),
        unique=found.get("unique", False),
        classification=found.get("classification"),
        options=found.get("logicalTypeOptions", {}),
        quality=tuple(rule for rule in found.get("quality", ()) if isinstance(rule, dict)),
        extra=extra,
    )
    _check(fields, column)
    return column


def column_document(column: Column) -> dict[str, Any]:
    """Write a column as the ODCS schema property it came from; what has its default is left out."""
    found = {
        "name": column.name,
        "logicalType": column.logical_type,
        "physicalType": column.physical_type,
        "physicalName": column.physical_name,
        "description": column.description,
        "required": column.required or None,
        "unique": column.unique or None,
        "classification": column.classification,
        "logicalTypeOptions": dict(column.options) or None,
        "quality": [dict(rule) for rule in column.quality] or None,
        **column.extra,
    }
    return {name: value for name, value in found.items() if value is not None}


def _members(fields: Fields) -> dict[str, Any]:
    """Give the members of the right type, and note the others."""
    found: dict[str, Any] = {}
    for name, value in fields.found.items():
        kind = MEMBERS.get(name)
        if kind and value is not None and (value := fields.get(name, kind)) is not None:
            found[name] = value
    for name in _TEXT_LISTS:
        fields.texts(name)
    fields.report_unknown(MEMBERS, "an ODCS schema property")
    return found


def _logical_type(fields: Fields, found: Mapping[str, Any]) -> str:
    written = found.get("logicalType")
    if written is None:
        physical = _FIRST_WORD.match(str(found.get("physicalType", "")).strip().lower())
        return _LOGICAL_BY_PHYSICAL.get(physical[0], "string") if physical else "string"
    if written in LOGICAL_TYPES:
        return str(written)
    if written in _STAND_INS:
        return _STAND_INS[written]
    near = nearest(written, LOGICAL_TYPES) or _LOGICAL_BY_PHYSICAL.get(written.lower())
    hint = f"; did you mean {near!r}?" if near else ""
    fields.refuse("logicalType", "value", f"{written[:40]!r} is not one of {', '.join(LOGICAL_TYPES)}{hint}")
    return "string"


def _physical_name(fields: Fields, name: str, found: Mapping[str, Any]) -> str | None:
    """Give the CSV header where it differs from the name in SQL."""
    written = fields.found.get("name")
    fallback = written if isinstance(written, str) and written != name else None
    return found.get("physicalName") or fallback


def _check(fields: Fields, column: Column) -> None:
    if not fields.faults.lenient and not DEEP.isdisjoint(fields.found):
        check_property(fields.found, fields.path, fields.faults)
    _check_decimal(fields, column)
    _check_classification(fields, column)
    check_options(fields, column)
    check_values(fields, column)
    for at, rule in fields.objects("quality") if column.quality else ():
        check_quality(Fields(rule, (*fields.path, "quality", at), fields.faults))


def _check_decimal(fields: Fields, column: Column) -> None:
    """Refuse decimals that no engine here holds (precision 38 is the most, of DuckDB, Iceberg and Trino alike)."""
    physical = (column.physical_type or "").strip().lower()
    if column.logical_type != "number" or not re.match(r"(decimal|dec|numeric|number)\s*\(", physical):
        return
    decimal = column.decimal
    if decimal is None or not (1 <= decimal[0] <= 38 and decimal[1] <= decimal[0]):
        message = f"{column.physical_type!r} is not DECIMAL(p,s) with p from 1 to 38 and s from 0 to p"
        fields.refuse("physicalType", "value", message)


def _check_classification(fields: Fields, column: Column) -> None:
    """Refuse a slip of the hand in a word that keeps data out of the shared repository."""
    word = (column.classification or "").strip().lower()
    near = nearest(word, CLASSIFIED, _SLIP) if word and not column.classified else None
    if near:
        fields.refuse("classification", "value", f"{column.classification!r}: did you mean {near!r}?")
