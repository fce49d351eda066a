"""The small drawings of what columns hold."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.interface.web.distribution import HEIGHT, WIDTH, distribution, histogram
from thinmesh.planes.query.model import ColumnProfile

NUMBERS = ColumnProfile("x", "double", 100, 0, 100, "0.0", "1.0", 0.5, 0.25, 0.5, 0.75, ())
TEXTS = ColumnProfile("x", "string", 10, 0, 3, "a", "c", None, None, None, None, ("a", "b", "c"), (), (6, 3, 1))
finite = st.floats(-1e12, 1e12)


def test_even_quantiles_make_an_even_histogram():
    found = histogram([number / 20 for number in range(21)], 10)
    assert found == pytest.approx([0.1] * 10)


def test_many_values_at_the_lowest_place_stand_in_the_first_bin():
    assert histogram([0.0] * 16 + [1, 2, 3, 4, 5], 5)[0] == pytest.approx(0.8)


@given(st.lists(finite, min_size=21, max_size=21), st.integers(1, 40))
def test_a_histogram_has_every_value_once(values, bins):
    found = histogram(sorted(values), bins)
    assert sum(found) == pytest.approx(1.0)
    assert min(found) >= 0


@given(st.lists(finite, min_size=21, max_size=21))
def test_no_bar_leaves_the_drawing(values):
    ordered = sorted(values)
    profile = replace(NUMBERS, min=str(ordered[0]), max=str(ordered[-1]), quantiles=tuple(ordered))
    for bar in distribution(profile).bars:
        assert bar.x >= 0
        assert bar.y >= 0
        assert bar.x + bar.width <= WIDTH
        assert bar.y + bar.height <= HEIGHT + 0.011


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        (replace(TEXTS), ("a 60 %", "b 30 %", "c 10 %")),
        (replace(TEXTS, rows=20, nulls=10, distinct=40), ("a 60 %", "b 30 %", "c 10 %", "37 more")),
        (replace(TEXTS, rows=10_000, distinct=9_012, top_counts=(2, 1, 1)), ("about 9,000 different values",)),
        (replace(TEXTS, rows=50_000, distinct=701, top_counts=(99, 98, 98)), ("about 700 different values",)),
        (replace(TEXTS, rows=10_000, distinct=10_180, top_counts=(1, 1, 1)), ("about 10,000 different values",)),
        (replace(TEXTS, top=("", "b"), top_counts=(9, 1), distinct=2), ("(empty text) 90 %", "b 10 %")),
        (replace(TEXTS, top=("007",), top_counts=(10,), distinct=1, min="007", max="007"), ("always 007",)),
        (replace(TEXTS, top=("x" * 90, "y"), top_counts=(9, 1), distinct=2), ("x" * 90 + " 90 %", "y 10 %")),
        (replace(TEXTS, top=("x" * 900, "y"), top_counts=(9, 1), distinct=2), ("x" * 199 + "… 90 %", "y 10 %")),
        (replace(NUMBERS, type="integer", min="2013", max="2013", quantiles=(2013.0,) * 21), ("always 2013",)),
        (
            replace(NUMBERS, type="integer", min="-5", max="123456", q50=6.744, quantiles=(-5.0,) * 20 + (123456.0,)),
            ("-5 to 123,456", "median 7"),
        ),
        (
            replace(NUMBERS, type="date", min="2013-01-01", max="2014-01-01", q50=None, quantiles=(0.0,) * 20 + (9.0,)),
            ("2013-01-01 to 2014-01-01",),
        ),
    ],
)
def test_what_values_are_is_said_in_words(profile, told):
    assert tuple(map(str, distribution(profile).told)) == told


@pytest.mark.parametrize(
    ("rows", "nulls", "lacking"),
    [(10, 0, ""), (1000, 1, "< 1 % empty"), (10, 5, "50 % empty"), (10, 10, "always empty"), (0, 0, "")],
)
def test_lacking_values_are_told(rows, nulls, lacking):
    assert distribution(replace(TEXTS, rows=rows, nulls=nulls)).lacking == lacking
