"""What a look at the first rows says of a field's kind is what the statement over all kinds says."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinmesh.adapters.duckdb.check import survey

VALUES = [
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
