"""A table's columns as DataHub's `SchemaMetadata`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thinmesh.kernel.contract import Column, Reference, Table

from .names import Names, field_urn, platform_urn, tag_urn
from .proposals import given

_TYPES = {
    "string": "StringType",
    "integer": "NumberType",
    "number": "NumberType",
    "boolean": "BooleanType",
    "date": "DateType",
    "time": "TimeType",
    "timestamp": "TimeType",
    "object": "RecordType",
    "array": "ArrayType",
}
# Nothing is known of what lies inside: an array of anything, as DataHub has it.
_EMPTY: dict[str, Any] = {}


def schema_of(table: Table, product: str, data_set: str, platform: str, names: Names) -> dict[str, Any]:
    """Describe a table's columns, keys and references."""
    keys = [
        _foreign_key(reference, product, data_set, number, names)
        for number, reference in enumerate(table.references, 1)
    ]
    return given(
        {
            "schemaName": f"{product}.{table.name}",
            "platform": platform_urn(platform),
            "version": 0,
            "hash": "",
            "platformSchema": {"com.linkedin.schema.OtherSchema": {"rawSchema": ""}},
            "fields": [_field(column, table.primary_key) for column in table.columns],
            "primaryKeys": list(table.primary_key) or None,
            "foreignKeys": keys or None,
        }
    )


def classification_tag(classification: str) -> str:
    """Give the tag that stands for a column's classification."""
    return f"classification: {classification}"


def classifications(tables: Sequence[Table]) -> list[str]:
    """Give every classification of columns, sorted."""
    return sorted({each.classification for table in tables for each in table.columns if each.classification})


def _field(column: Column, key: Sequence[str]) -> dict[str, Any]:
    tags = None
    if column.classification:
        tags = {"tags": [{"tag": tag_urn(classification_tag(column.classification))}]}
    return given(
        {
            "fieldPath": column.name,
            "type": {"type": {f"com.linkedin.schema.{_TYPES.get(column.logical_type, 'StringType')}": _EMPTY}},
            "nativeDataType": column.sql_type,
            "nullable": not column.required and column.name not in key,
            "description": column.description,
            "globalTags": tags,
            "isPartOfKey": column.name in key,
            "recursive": False,
        }
    )


def _foreign_key(reference: Reference, product: str, data_set: str, number: int, names: Names) -> dict[str, Any]:
    other = names.iceberg(reference.product or product, reference.table)
    return {
        "name": f"reference_{number}",
        "sourceFields": [field_urn(data_set, column) for column in reference.columns],
        "foreignFields": [field_urn(other, column) for column in reference.to],
        "foreignDataset": other,
    }
