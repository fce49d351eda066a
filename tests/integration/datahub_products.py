"""Records of products as a catalog is told of them, made from descriptors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from thinmesh.kernel.contract import Column, Table, with_ids
from thinmesh.kernel.documents import parse_descriptor, to_odcs
from thinmesh.kernel.product import DataFile, Product, TableState
from thinmesh.planes.product.model import CatalogRecord

RICH: Mapping[str, Any] = {
    "name": "flights", "domain": "aviation", "description": "Departures from New York, 2013", "version": "1.2.0",
    "tags": ["reference", "air, (land) & sea ✈", "a%2Cb"], "slo": {"freshness": "P1D"}, "retention": "P5Y",
    "inputs": ["weather"], "links": {"runbook": "https://example.org/r", "mail": "mailto:a@example.org"},
    "tables": {
        "airlines": {"columns": {"carrier": "string", "name": "string"}, "primaryKey": ["carrier"]},
        "flights": {
            "description": "One row per departure", "null": ["NA"],
            "columns": [
                {"name": "year", "logicalType": "integer", "required": True, "logicalTypeOptions": {"minimum": 1987}},
                {"name": "carrier", "logicalType": "string", "description": "IATA code",
                 "quality": [{"metric": "nullValues", "mustBe": 0, "severity": "warning", "name": "no nulls"}]},
                {"name": "fare", "logicalType": "number", "physicalType": "decimal(10,2)"},
                {"name": "time_hour", "logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}},
                {"name": "day", "logicalType": "date"}, {"name": "at", "logicalType": "time"},
                {"name": "late", "logicalType": "boolean"}, {"name": "more", "logicalType": "object"},
                {"name": "all", "logicalType": "array"},
            ],
            "primaryKey": ["carrier", "time_hour"],
            "references": [
                {"columns": ["carrier"], "table": "airlines", "to": ["carrier"]},
                {"columns": ["year"], "table": "years.years", "to": ["year"]},
            ],
            "quality": [
                {"metric": "rowCount", "mustBeGreaterThan": 10},
                {"type": "sql", "query": "select count(*) from ${table}", "mustBeGreaterOrEqualTo": 1, "name": "some"},
                {"type": "text", "description": "as the airport's board has it"},
            ],
        },
    },
}  # fmt: skip
PUBLISHED = "2026-03-01T12:00:00.000000Z"


def record(document: Mapping[str, Any] = RICH, *, git: Sequence[str] = ("flights",), **fields: Any) -> CatalogRecord:
    """Tell of a product after its first publication; `git` are the tables that are CSVs there; None: no data."""
    descriptor = parse_descriptor(json.dumps(document).encode())
    published = fields.pop("published", True)
    file = DataFile("x.parquet", "0" * 64, 12, 100, "0" * 64)
    tables = {
        name: TableState(with_ids(table), "p1" if published else None, (file,) if published else (), name in git)
        for name, table in descriptor.tables.items()
    }
    product = Product(
        name=descriptor.name,
        domain=descriptor.domain,
        owner=descriptor.owner or "flights_team",
        access=descriptor.access or "open",
        status=fields.pop("status", None) or descriptor.status or "active",
        version=descriptor.version or "1.0.0",
        descriptor=descriptor,
        tables=tables,
        registered="2026-02-01T00:00:00.000000Z",
        changed="2026-02-02T00:00:00.000000Z",
        publication="p1" if published else None,
        published=PUBLISHED if published else None,
        successor=fields.pop("successor", None),
    )
    closed = product.closed or any(state.table.classified for state in tables.values())
    told: dict[str, Any] = {
        "contract": to_odcs(
            descriptor, descriptor.tables, owner=product.owner, version=product.version, status=product.status
        ),
        "quality": {"measured": [measured()]} if published and not closed and "flights" in tables else {},
        "rows": dict.fromkeys(tables, 12) if published and not closed else {},
        "inputs": {"weather": ("weather", "stations")} if descriptor.inputs else {},
        "members": ("ann@example.org", "bob"),
        "url": "https://mesh.example.org/",
        **fields,
    }
    return CatalogRecord(product, **told)


def measured() -> dict[str, Any]:
    """Say what a publication was told of a rule that is only measured."""
    return {"file": None, "table": "flights", "column": "carrier", "rule": "nullValues", "count": 3, "examples": [],
            "message": "nullValues is 3, and must be 0"}  # fmt: skip


def changed(of: CatalogRecord, **fields: Any) -> CatalogRecord:
    """Give the record with other fields in its descriptor."""
    document = {**json.loads(of.product.descriptor.document), **fields}
    return record({name: value for name, value in document.items() if value is not None})


def wide(columns: int, tables: int = 1, name: str = "wide") -> CatalogRecord:
    """Tell of a product with so many tables of so many columns."""
    made = {
        f"t{number}": Table(f"t{number}", tuple(Column(f"c{at}", "string") for at in range(columns)))
        for number in range(tables)
    }
    plain = record({"name": name, "domain": "sales", "description": "Wide"})
    states = {each: TableState(table) for each, table in made.items()}
    product = replace(plain.product, tables=states, descriptor=replace(plain.product.descriptor, tables=made))
    return replace(plain, product=product)
