"""Rows as CSV and JSON: what comes out reads back as what went in."""

import csv
import io
import json
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinmesh.adapters.duckdb.query import encode, json_rows

CONNECTION = duckdb.connect(config={"threads": 1, "async_threads": 0})
CONNECTION.execute("SET TimeZone = 'UTC'")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
VALUES = {
    "VARCHAR": TEXTS,
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "HUGEINT": st.integers(-(2**127), 2**127 - 1),
    "DOUBLE": st.floats(),
    "DECIMAL(18,4)": st.decimals(-(10**13), 10**13, places=4),
    "BOOLEAN": st.booleans(),
    "DATE": st.dates(),
    "TIME": st.times(),
    "TIMESTAMP": st.datetimes(),
    "TIMESTAMP WITH TIME ZONE": st.datetimes(timezones=st.just(UTC)),
    "BLOB": st.binary(max_size=20),
}


def as_csv(kind, *values):
    found = CONNECTION.execute(
        f"SELECT {encode.csv_row(['x'], [kind])} FROM (SELECT unnest(CAST($1 AS {kind}[])) AS x)",
        [values],
    )
    return "".join(text for (text,) in found.fetchall())


def as_json(kind, *values):
    found = CONNECTION.sql(
        f"SELECT {json_rows.source('x', kind)} FROM (SELECT unnest(CAST($1 AS {kind}[])) AS x)", params=[values]
    )
    return b"".join(json_rows.write(batch, [kind]) for batch in found.to_arrow_table().to_batches()).decode()


def same(kind, value, found):
    readers = {
        "HUGEINT": int,
        "BIGINT": int,
        "DOUBLE": float,
        "DECIMAL(18,4)": Decimal,
        "DATE": date.fromisoformat,
        "TIME": time.fromisoformat,
        "TIMESTAMP": datetime.fromisoformat,
        "TIMESTAMP WITH TIME ZONE": datetime.fromisoformat,
    }
    read = readers.get(kind, lambda text: text)(found)
    return read == value or (kind == "DOUBLE" and math.isnan(read) and math.isnan(value))


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind not in ("BLOB", "BOOLEAN")])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_values_come_back_from_both_formats(kind, data):
    value = data.draw(VALUES[kind])
    [found] = json.loads(as_json(kind, value)[1:])
    assert same(kind, value, found)
    [[found]] = csv.reader(io.StringIO(as_csv(kind, value), newline=""))
    assert same(kind, value, found)


@pytest.mark.parametrize("kind", VALUES)
def test_null_is_null_everywhere(kind):
    assert as_json(kind, None) == ",[null]\n"
    assert as_csv(kind, None) == "\n"


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_numbers_as_long_as_a_double_holds_them(value):
    [found] = json.loads(as_json("BIGINT", value)[1:])
    assert isinstance(found, int) == (abs(value) <= 2**53)


@pytest.mark.parametrize("kind", ["UBIGINT", "HUGEINT", "INTEGER"])
def test_integers_of_any_width_are_numbers(kind):
    assert as_json(kind, 7, None, 0) == ",[7]\n,[null]\n,[0]\n"


@pytest.mark.parametrize("kind", ["FLOAT", "DOUBLE"])
def test_a_float_shows_its_own_digits_and_what_is_no_number_has_a_name(kind):
    values = (0.1, math.nan, math.inf, -math.inf, 1e20, None)
    assert json.loads("[" + as_json(kind, *values)[1:] + "]") == [
        [0.1], ["NaN"], ["Infinity"], ["-Infinity"], [1e20], [None]
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_a_header_reads_back(names):
    found = encode.csv_header(names).decode()
    assert next(csv.reader(io.StringIO(found, newline=""))) == names


def test_the_empty_text_is_quoted_and_plain_text_is_not():
    assert as_csv("VARCHAR", "") == '""\n'
    assert as_csv("VARCHAR", "plain text") == "plain text\n"


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("INTEGER", "integer"),
        ("DECIMAL(38, 2)", "decimal(38,2)"),
        ("TIMESTAMP_NS", "timestamp"),
        ("INTEGER[]", "json"),
        ("VARCHAR[3]", "json"),
        ("STRUCT(a INTEGER, b VARCHAR)", "json"),
        ("MAP(VARCHAR, INTEGER)", "json"),
        ("TIME WITH TIME ZONE", "string"),
        ("INTERVAL", "string"),
        ("SOMETHING_NEW", "string"),
    ],
)
def test_every_type_has_a_name_of_the_fixed_list(sql, shown):
    assert encode.result_type(sql) == shown
