"""The data of the bench: orders of ten columns and some 97 bytes a row, with the 32 rules of their contract."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

COLUMNS = [
    {"name": "id", "logicalType": "integer", "required": True, "logicalTypeOptions": {"minimum": 0}},
    {
        "name": "customer",
        "logicalType": "string",
        "required": True,
        "logicalTypeOptions": {"minLength": 6, "maxLength": 6},
    },
    {
        "name": "email",
        "logicalType": "string",
        "logicalTypeOptions": {"pattern": "^[a-z0-9]+@[a-z.]+$", "maxLength": 100},
    },
    {"name": "amount", "logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 100000}},
    {"name": "qty", "logicalType": "integer", "logicalTypeOptions": {"minimum": 0, "maximum": 1000}},
    {"name": "price", "logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 1000}},
    {"name": "active", "logicalType": "boolean"},
    {"name": "day", "logicalType": "date"},
    {"name": "ts", "logicalType": "timestamp"},
    {"name": "status", "logicalType": "string", "logicalTypeOptions": {"maxLength": 10}},
]
SQL_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}


def descriptor(name: str = "orders", **more: object) -> bytes:
    """Write a product of one table, `orders`; `more` goes into the table."""
    table = {"columns": COLUMNS, **more}
    document = {"name": name, "domain": "bench", "description": "Orders", "tables": {"orders": table}}
    return json.dumps(document).encode()


def engine() -> duckdb.DuckDBPyConnection:
    """Open a DuckDB of its own that draws nothing on the terminal."""
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    return connection


def write_orders(path: Path, rows: int, first: int = 0) -> Path:
    """Write the CSV; the same for the same numbers of rows and of the first order."""
    with engine() as connection:
        connection.execute(
            f"""COPY (SELECT range AS id, format('C{{:05d}}', range % 5000) AS customer,
            'user' || range || '@example.com' AS email,
            (range * 7919 % 100000) / 100 AS amount, range % 50 AS qty, (range * 104729 % 1000000) / 10000 AS price,
            range % 3 > 0 AS active, DATE '2024-01-01' + (range % 360)::INT AS day,
            strftime(TIMESTAMP '2024-01-01' + INTERVAL (range % 8000) HOUR, '%Y-%m-%dT%H:%M:%S') AS ts,
            CASE WHEN range % 2 = 0 THEN 'open' ELSE 'closed' END AS status
            FROM range({first}, {first + rows})) TO '{path}' (HEADER)"""
        )
    return path
