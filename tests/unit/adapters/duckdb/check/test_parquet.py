"""Parquet files handed in: matched by name, widened where nothing is lost, judged by the same rules."""

from __future__ import annotations

import datetime as dt
import decimal
import io

import pyarrow as pa
import pytest
from pyarrow import parquet

from thinmesh.kernel.contract import Column

from .checking import check, counts, places, rows_of, table


def parquet_of(**columns):
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out)
    return out.getvalue()


def test_columns_are_matched_by_name_and_rules_apply():
    t = table("t", Column("id", "integer", unique=True), Column("x", "number", options={"minimum": 0}))
    result = check(
        parquet_of(x=pa.array([1.5, -1, None], pa.float32()), id=pa.array([1, 1, 2], pa.int32())), t, "t.parquet"
    )
    assert counts(result) == {("minimum", "x"): 1, ("unique", "id"): 1}
    assert places(result, "minimum") == [(2, 1)]


MOMENT = dt.datetime.fromisoformat("2013-01-01T00:00:00")

WIDER = [
    (pa.array([1, None], pa.int8()), Column("v", "integer"), [1, None]),
    (pa.array([1.5], pa.float32()), Column("v", "number"), [1.5]),
    (pa.array([2], pa.int64()), Column("v", "number"), [2.0]),
    (
        pa.array([decimal.Decimal("1.5")], pa.decimal128(5, 1)),
        Column("v", "number", physical_type="DECIMAL(9,2)"),
        [decimal.Decimal("1.50")],
    ),
    (pa.array(["x"]).dictionary_encode(), Column("v", "string"), ["x"]),
    (pa.array([MOMENT], pa.timestamp("ms")), Column("v", "timestamp"), [MOMENT]),
    (pa.array([[1, 2]]), Column("v", "array"), ["[1,2]"]),
]


@pytest.mark.parametrize(("values", "column", "expected"), WIDER)
def test_what_loses_nothing_is_taken(values, column, expected):
    result = check(parquet_of(v=values), table("t", column), "t.parquet")
    assert counts(result) == {}
    assert [row[0] for row in rows_of(result)] == expected


LOSSY = [
    (pa.array([1.5]), Column("v", "integer")),
    (pa.array(["1"]), Column("v", "integer")),
    (pa.array([2**53 + 1], pa.int64()), Column("v", "number")),
    (pa.array([2**63], pa.uint64()), Column("v", "integer")),
    (pa.array([decimal.Decimal("1.257")]), Column("v", "number", physical_type="DECIMAL(9,2)")),
    (pa.array([MOMENT], pa.timestamp("us")), Column("v", "date")),
    (pa.array([MOMENT], pa.timestamp("us")), Column("v", "timestamp", options={"timezone": True})),
    (pa.array([1], pa.timestamp("ns")), Column("v", "timestamp")),
    (pa.array([b"x"]), Column("v", "string")),
]


@pytest.mark.parametrize(("values", "column"), LOSSY)
def test_what_would_lose_something_is_refused(values, column):
    result = check(parquet_of(v=values), table("t", column), "t.parquet")
    assert sum(one.count for one in result.violations) == 1
    assert {one.rule for one in result.violations} <= {"type", "precision"}


def test_a_contract_is_inferred_from_the_schema():
    data = parquet_of(
        Id=pa.array([1, 2], pa.int32()),
        price=pa.array([decimal.Decimal("1.25"), None]),
        at=pa.array([dt.datetime(2013, 1, 1, tzinfo=dt.UTC)] * 2, pa.timestamp("us", "UTC")),
    )
    result = check(data, None, "t.parquet")
    found = {column.name: (column.sql_type, column.required) for column in result.tables[0].table.columns}
    assert found == {
        "id": ("BIGINT", True),
        "price": ("DECIMAL(3,2)", False),
        "at": ("TIMESTAMP WITH TIME ZONE", True),
    }
    assert rows_of(result)[0][1] == decimal.Decimal("1.25")


def test_what_is_no_parquet_and_what_is_too_large_is_refused():
    data = parquet_of(v=pa.array([0] * 1_000_000))
    t = table("t", Column("v", "integer"))
    assert counts(check(b"PAR1" + b"x" * 100 + b"PAR1", t, "t.parquet")) == {("truncated", None): 1}
    assert counts(check(data[:-50], t, "t.parquet")) == {("truncated", None): 1}
    assert counts(check(data, t, "t.parquet", max_bytes=100_000)) == {("too_large", None): 1}


def test_damage_inside_the_pages_is_a_fault_of_the_file():
    data = bytearray(parquet_of(v=pa.array([f"value {n}" for n in range(5000)])))
    data[10:3000] = b"\xff" * 2990
    for contract in (table("t", Column("v")), None):
        assert set(counts(check(bytes(data), contract, "t.parquet"))) == {("truncated", None)}
