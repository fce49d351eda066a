"""Times and durations."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.kernel.clock import duration, text_of_time, time_of_text, utc_now
from thinmesh.kernel.errors import Malformed

MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS)
def test_a_time_is_read_back_as_written(moment):
    assert time_of_text(text_of_time(moment)) == moment


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_the_moments(one, other):
    assert (text_of_time(one) < text_of_time(other)) == (one < other)


def test_a_time_is_written_in_utc():
    moment = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert text_of_time(moment) == "2025-12-31T23:00:00.000000Z"
    assert utc_now().tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("P30D", timedelta(days=30)),
        ("P1Y", timedelta(days=365)),
        ("P2M", timedelta(days=60)),
        ("P1W", timedelta(days=7)),
        ("PT12H", timedelta(hours=12)),
        ("P1DT1H1M1S", timedelta(days=1, hours=1, minutes=1, seconds=1)),
        ("P0D", timedelta(0)),
        ("P100Y", timedelta(days=36500)),
    ],
)
def test_durations_are_iso_8601(text, meant):
    assert duration(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1DT",
        "30D",
        "P-1D",
        "P1.5D",
        "p1d",
        "P1H",
        "P1D ",
        "P1D\n",
        "P101Y",
        "P" + "9" * 5000 + "D",
        "P\u0661D",
    ],
)
def test_what_is_no_duration_is_malformed(text):
    with pytest.raises(Malformed):
        duration(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading(text):
    with suppress(Malformed):
        assert timedelta(0) <= duration(text) <= timedelta(days=36500)


@pytest.mark.parametrize(("text", "meant"), [("3d", "P3D"), ("7 days", "P7D"), ("12h", "PT12H"), ("p1y", "P1Y")])
def test_a_duration_as_other_tools_write_it_is_told_in_iso_8601(text, meant):
    with pytest.raises(Malformed, match=f"write {meant}"):
        duration(text)
