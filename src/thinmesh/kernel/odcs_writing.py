"""Open Data Contract Standard (ODCS, bitol.io) documents, written from descriptors and tables.

What ODCS has no place for is written as custom properties of the vendor `thinmesh`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from .column_documents import column_document
from .contract import Column, Table
from .product import Descriptor
from .relationships import relationship_document, without_plain

WRITTEN_VERSION = "v3.2.0"
VENDOR = "thinmesh"


def odcs_document(
    descriptor: Descriptor, tables: Mapping[str, Table], *, owner: str, version: str, status: str, id: str = ""
) -> dict[str, Any]:
    """Write a product as an ODCS contract; its id is the product's name unless another one is given."""
    plain = {name: value for name, value in descriptor.slo.items() if isinstance(value, str | int | float)}
    custom = {
        "access": descriptor.access,
        "retention": descriptor.retention,
        "inputs": list(descriptor.inputs),
        "links": dict(descriptor.links),
        "deprecated": dict(descriptor.deprecated) if descriptor.deprecated is not None else None,
        "custom": dict(descriptor.custom),
        "slo": {name: value for name, value in descriptor.slo.items() if name not in plain},
    }
    found = {
        "apiVersion": WRITTEN_VERSION,
        "kind": "DataContract",
        "id": id or descriptor.name,
        "name": descriptor.name,
        "version": version,
        "status": status,
        "domain": descriptor.domain,
        "dataProduct": descriptor.name,
        "description": {"purpose": descriptor.description},
        "tags": list(descriptor.tags),
        "team": {"name": owner} if owner else None,
        "schema": [_schema_object(table) for table in tables.values()],
        "slaProperties": [{"property": name, "value": value} for name, value in plain.items()],
        "customProperties": list(custom_properties(custom)),
    }
    return {name: value for name, value in found.items() if value not in (None, [], {})}


def bitol_yaml(document: Mapping[str, Any]) -> bytes:
    """Write a contract or a product as YAML, every value in full."""
    import yaml  # type: ignore[import-untyped]

    text: str = yaml.dump(_plain(document), Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=120)
    return text.encode()


@cache
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.CSafeDumper):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is PyYAML's)
            return True

    return Dumper


def _schema_object(table: Table) -> dict[str, Any]:
    custom = {
        "null": list(table.null),
        "unique": [list(columns) for columns in table.unique],
        "deprecated": dict(table.deprecated) if table.deprecated is not None else None,
    }
    extra = without_plain(table)
    relationships = [relationship_document(table.name, reference) for reference in table.references]
    found = {
        "name": table.name,
        "description": table.description,
        **extra,
        "properties": [_property(column, table) for column in table.columns],
        "relationships": [*relationships, *extra.get("relationships", ())],
        "quality": [dict(rule) for rule in table.quality],
        "customProperties": [*extra.get("customProperties", ()), *custom_properties(custom)],
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def _property(column: Column, table: Table) -> dict[str, Any]:
    found = column_document(column)
    if column.name in table.primary_key:
        found |= {"primaryKey": True, "primaryKeyPosition": table.primary_key.index(column.name) + 1}
    return found


def custom_properties(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Write values that the standards have no place for; empty ones are left out."""
    for name, value in values.items():
        if value not in (None, [], {}) or (name == "deprecated" and value is not None):
            yield {"property": name, "value": value, "vendor": VENDOR}


def _plain(value: Any) -> Any:
    """Make lists of tuples and dicts of mappings."""
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(member) for member in value]
    return value
