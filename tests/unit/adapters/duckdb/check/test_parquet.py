"""Parquet files handed in: matched by name, widened where nothing is lost, judged by the same rules."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import tempfile

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


@pytest.mark.parametrize("compression", ["none", "snappy"])
def test_no_message_about_damage_names_a_place_of_this_machine(compression):
    data = written({"i": range(600), "s": [f"v{n % 7}" for n in range(600)]}, compression=compression)
    footer = int.from_bytes(data[-8:-4], "little") + 8
    for kept in (4, (len(data) - footer) // 2):
        (found,) = check(data[:kept] + data[-footer:], None, "t.parquet", stage=False).violations
        assert found.message.startswith("the file cannot be read as Parquet: ")
        assert tempfile.gettempdir() not in found.message


def test_more_columns_than_a_csv_may_have_are_refused_before_anything_is_read():
    (found,) = check(written({f"c{n}": [1] for n in range(2001)}), None, "t.parquet", stage=False).violations
    assert (found.rule, found.message) == ("header", "the file has 2001 columns, more than the 2000 that are taken")


def written(data, **options):
    out = io.BytesIO()
    parquet.write_table(pa.table(data), out, **options)
    return out.getvalue()


def inferred(data, **options):
    result = check(written(data, **options), None, "t.parquet")
    return [column.sql_type for column in result.tables[0].table.columns] if result.ok else counts(result)


FINE = [1577836800000000000, 1577836800000001000]


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        (pa.timestamp("ns", "UTC"), Column("v", "timestamp", options={"timezone": True})),
        (pa.timestamp("ns"), Column("v", "timestamp")),
        (pa.time64("ns"), Column("v", "time")),
    ],
)
def test_nanoseconds_are_taken_where_they_are_whole_microseconds(kind, column):
    scale = 1577836800000000000 if kind == pa.time64("ns") else 0
    good = pa.array([one - scale for one in FINE], pa.int64()).cast(kind)
    bad = pa.array([FINE[1] + 1 - scale], pa.int64()).cast(kind)
    assert check(parquet_of(v=good), table("t", column), "t.parquet").ok
    assert counts(check(parquet_of(v=bad), table("t", column), "t.parquet")) == {("type", "v"): 1}
    assert inferred({"v": good}) == [column.sql_type]


def test_old_timestamps_lose_no_digits():
    t = table("t", Column("v", "timestamp"))
    for values, faults in ((FINE, {}), ([FINE[0] + 1, None], {("type", "v"): 2})):
        data = written({"v": pa.array(values, pa.timestamp("ns"))}, use_deprecated_int96_timestamps=True)
        assert counts(check(data, t, "t.parquet")) == faults


def test_a_column_without_values_has_no_type_yet():
    assert inferred({"k": [1, 2], "a": pa.nulls(2), "b": pa.array([None, None], pa.int32())}) == [
        "BIGINT",
        "VARCHAR",
        "VARCHAR",
    ]
    assert check(parquet_of(v=pa.nulls(2)), table("t", Column("v", "integer")), "t.parquet").ok


def test_more_digits_than_a_decimal_has_are_refused():
    value = decimal.Decimal("12345678901234567890123456789012345678901.5")
    assert inferred({"v": pa.array([value], pa.decimal256(50, 1))}) == {("type", "v"): 1}


def test_large_integers_beside_fractions_become_texts():
    first = check(parquet_of(v=pa.array([2**53 + 1])), None, "t.parquet")
    again = check(b"v\n1.5\n", first.tables[0].table, "t.csv", present=[file.path for file in first.tables[0].files])
    assert [column.sql_type for column in again.tables[0].table.columns] == ["VARCHAR"]


def test_names_that_differ_in_case_alone_are_two_columns():
    t = table("t", Column("a", "integer"), Column("b", "integer", physical_name="A"))
    assert rows_of(check(parquet_of(a=[1], A=[2]), t, "t.parquet")) == [(1, 2)]


def test_a_column_may_be_called_as_duckdb_calls_its_row_numbers():
    t = table("t", Column("file_row_number", "integer", required=True))
    result = check(parquet_of(file_row_number=[1, None]), t, "t.parquet")
    assert places(result, "required") == [(2, 1)]


@pytest.mark.parametrize("values", [[f"x{n}" for n in range(1000)], list(range(1000))])
def test_every_column_is_read_to_its_end(values):
    data = written({"k": [1] * 1000, "v": values}, compression="none", use_dictionary=False, data_page_size=512)
    damaged = data[: len(data) // 2] + b"\xff" * 100 + data[len(data) // 2 + 100 :]
    t = table("t", Column("k", "integer"), Column("v", "string" if isinstance(values[0], str) else "integer"))
    assert check(data, t, "t.parquet", stage=False).ok
    assert check(damaged, t, "t.parquet", stage=False).ok == check(damaged, t, "t.parquet").ok
    if isinstance(values[0], str):
        assert not check(damaged, t, "t.parquet", stage=False).ok
