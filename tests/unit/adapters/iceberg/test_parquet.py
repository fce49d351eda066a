"""Statistics of data files: whatever the values, a bound never leaves one out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.conversions import from_bytes

from thinmesh.adapters.iceberg.parquet import describe, full_columns
from thinmesh.adapters.iceberg.schemas import iceberg_type
from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import NotFound

_COLUMNS = {
    "string": (Column("c", "string", id=7), pa.string(), st.text(max_size=40)),
    "integer": (Column("c", "integer", id=7), pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "number": (Column("c", "number", id=7), pa.float64(), st.floats(allow_nan=False)),
    "small": (
        Column("c", "number", "DECIMAL(9,2)", id=7),
        pa.decimal128(9, 2),
        st.integers(-(10**9) + 1, 10**9 - 1).map(lambda n: Decimal(n).scaleb(-2)),
    ),
    "large": (
        Column("c", "number", "DECIMAL(30,3)", id=7),
        pa.decimal128(30, 3),
        st.integers(-(10**27), 10**27).map(lambda n: Decimal(n).scaleb(-3)),
    ),
    "date": (Column("c", "date", id=7), pa.date32(), st.dates()),
    "boolean": (Column("c", "boolean", id=7), pa.bool_(), st.booleans()),
}


def described(path, column, kind, values, **options):
    field = pa.field("c", kind, metadata={"PARQUET:field_id": str(column.id)})
    table = pa.Table.from_arrays([pa.array(values, kind)], schema=pa.schema([field]))
    pq.write_table(table, path, **options)
    return describe(path, len(values), Table("t", (column,)))


@pytest.mark.parametrize("name", _COLUMNS)
def test_every_value_lies_within_the_bounds(name, tmp_path_factory):
    column, kind, one = _COLUMNS[name]
    path = tmp_path_factory.mktemp("p") / "f.parquet"

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.none() | one, max_size=8), st.booleans())
    def check(values, integers):
        found = described(path, column, kind, values, row_group_size=3, store_decimal_as_integer=integers)
        present = [value for value in values if value is not None]
        assert found.record_count == len(values)
        assert found.null_value_counts[7] == len(values) - len(present)
        assert (7 in full_columns(found)) == (len(present) == len(values))
        if 7 in found.lower_bounds:
            assert read(column, found.lower_bounds[7]) <= min(map(plain, present))
        if 7 in found.upper_bounds:
            assert read(column, found.upper_bounds[7]) >= max(map(plain, present))
        assert not present or 7 in found.lower_bounds or name == "string"

    check()


def read(column, bound):
    return from_bytes(iceberg_type(column), bound)


def plain(value):
    return (value - dt.date(1970, 1, 1)).days if isinstance(value, dt.date) else value


@pytest.mark.parametrize(
    ("text", "above"),
    [
        ("a" * 16, "a" * 16),
        ("a" * 17, "a" * 15 + "b"),
        ("a" * 15 + "\ud7ff" + "x", "a" * 15 + "\ue000"),
        ("a" + "\U0010ffff" * 16, "b"),
        ("\U0010ffff" * 17, None),
    ],
)
def test_the_bound_above_a_long_text_is_short_and_valid(tmp_path, text, above):
    column, kind, _ = _COLUMNS["string"]
    found = described(tmp_path / "f", column, kind, [text])
    bound = found.upper_bounds.get(7)
    assert (bound.decode() if bound is not None else None) == above


def test_a_column_that_the_contract_does_not_know_is_passed_over(tmp_path):
    described(tmp_path / "f", Column("gone", "integer", id=9), pa.int64(), [1])
    found = describe(tmp_path / "f", 1, Table("t", (Column("c", "string", id=7),)))
    assert found.value_counts == {}


def test_a_missing_file_is_named_with_its_folder(tmp_path):
    with pytest.raises(NotFound, match=r"sales/orders/x\.parquet is missing"):
        describe(tmp_path / "sales" / "orders" / "x.parquet", 1, Table("t", ()))
