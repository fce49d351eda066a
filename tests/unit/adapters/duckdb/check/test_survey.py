"""What a look at the first rows says of a field is what the statements over all rows say."""

from dataclasses import replace

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinmesh.adapters.duckdb.check import survey
from thinmesh.adapters.duckdb.check.csv_source import CsvSource
from thinmesh.adapters.duckdb.check.scan import Unreadable
from thinmesh.kernel.progress import no_progress
from thinmesh.planes.product.model import Upload

VALUES = [
    *("9223372036854775807", "-9223372036854775808", "-9223372036854775809"),
    *("0", "1", "-0", "-1", "01", "+1", "1_0", " 1", "9" * 18, "9" * 19, "1.5", ".5", "1e3", "1E3", "0x1F", "٣"),
    *(
        "Infinity",
        "-Infinity",
        "infinity",
        "inf",
        "NaN",
        "nan",
        "TRUE",
        "true",
        "False",
        "fal\u017fe",
        "yes",
        "e",
        "T",
        "Z",
    ),
    *("2020-01-01", "2020-01-01T10:00", "2020-01-01 10:00:00Z", "2020-01-01T10:00:00+01:00", "10:00", "Jan 1 2020"),
    *(
        "2020-01-01t10:00:00z",
        "2020-01-01 (BC)",
        "epoch",
        "today",
        "12:00 PM",
        "",
        "a",
        "Äpfel",
        "ß",
        "-",
        *survey.TOKENS,
    ),
]


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect(":memory:") as connection:
        yield connection


@given(st.lists(st.one_of(st.none(), st.sampled_from(VALUES), st.text(max_size=4)), min_size=1, max_size=5))
@settings(deadline=None, max_examples=150)
def test_a_plain_kind_is_the_kind(connection, values):
    plain = survey._plain_kind(values)
    listed = ", ".join("NULL" if each is None else survey.literal(each.replace("\0", "")) for each in values)
    if plain is None or any("\0" in (each or "") for each in values):
        return
    counts = survey._all_kinds(connection, f"(SELECT unnest([{listed}]::VARCHAR[]) AS f0)", [0])
    assert survey._guess(counts[0]) == plain


@pytest.mark.parametrize("value", VALUES)
def test_each_odd_value_is_judged_as_the_statement_does(connection, value):
    counts = survey._all_kinds(connection, f"(SELECT {survey.literal(value)} AS f0)", [0])
    assert survey._plain_kind([value]) in (None, survey._guess(counts[0]))


def test_integers_and_texts_are_plain():
    assert survey._plain_kind(["1", None, "-20", "NA"]) == "integer"
    assert survey._plain_kind(["1", "apple"]) == "string"
    assert survey._plain_kind(["1.5"]) is None
    assert survey._plain_kind([None, "NA"]) is None


@given(st.lists(st.one_of(st.none(), st.sampled_from([*VALUES, str(2**53), str(2**53 + 1)])), max_size=5))
@settings(deadline=None, max_examples=150)
def test_what_all_rows_tell_without_a_statement_is_what_the_statements_find(connection, values):
    told = survey._told_by(values)
    if told is None:
        return
    listed = ", ".join("NULL" if each is None else survey.literal(each) for each in values)
    relation = f"SELECT unnest([{listed}]::VARCHAR[]) AS f0"
    _, judged = survey._judge(connection, relation, [0], {})
    assert replace(told, once=False) == judged[0]
    typed = f"TRY_CAST(f0 AS {'BIGINT' if told.kind == 'integer' else 'VARCHAR'})"
    counted = f"SELECT count(DISTINCT {typed}) = count({typed}) FROM ({relation})"
    if told.kind:
        assert told.once == connection.execute(counted).fetchone()[0]


def test_integers_of_one_value_come_twice():
    assert survey._told_by(["0", "1"]).once
    assert not survey._told_by(["0", "-0"]).once
    assert not survey._told_by(["a", "b", "a"]).once


def source_of(folder, text):
    path = folder / "t.csv"
    path.write_bytes(text.encode())
    return CsvSource(Upload("t.csv", path), folder, 0, no_progress)


LINES = st.text(alphabet="a1,,\n\n\r\"' #;\\é\ufeff\u2028\x0b\x1c\t", max_size=12)


@given(st.sampled_from(["x,y\n", "\ufeffx,y\n", "x\n", "x,y,z"]), LINES)
@settings(deadline=None, max_examples=200)
def test_rows_read_without_the_reader_are_those_that_it_reads(connection, tmp_path_factory, header, text):
    try:
        source = source_of(tmp_path_factory.getbasetemp(), header + text)
    except Unreadable:
        return
    plain = source.plain_rows(100)
    if plain is not None:
        assert plain == connection.execute(source.relation()).fetchall()
        assert len(plain) == source.records


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("x,y\n1,a\n,b", [("1", "a"), (None, "b")]),
        ("x,y\n", []),
        ("x,y\n1\u2028,\x0b\n", [("1\u2028", "\x0b")]),
        ('x,y\n1,"a"\n', None),
        ("x,y\r\n1,a\r\n", None),
        ("x,y\n1,2,3\n4\n", None),
        ("x\n1\n\n2\n", None),
        ("x\n" + "1\n" * 101, None),
    ],
    ids=["values", "no-row", "odd-spaces", "quoted", "crlf", "ragged", "blank", "many"],
)
def test_only_rows_of_plain_form_are_read_without_the_reader(tmp_path, text, rows):
    assert source_of(tmp_path, text).plain_rows(100) == rows
