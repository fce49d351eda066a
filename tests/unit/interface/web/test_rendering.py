"""The small words of the pages: times, and code within a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from thinmesh.interface.web.markup import coded
from thinmesh.interface.web.rendering import ago
from thinmesh.kernel.clock import text_of_time


@pytest.mark.parametrize(
    ("away", "told"),
    [
        (timedelta(days=30), "in 30 days"),
        (timedelta(days=7), "in 7 days"),
        (timedelta(days=90), "in 3 months"),
        (timedelta(hours=12), "in 12 hours"),
        (-timedelta(minutes=119), "1 hour ago"),
        (timedelta(0), "just now"),
    ],
)
def test_a_time_is_told_as_people_count(away, told):
    assert ago(text_of_time(datetime.now(UTC) + away)) == told


@pytest.mark.parametrize(
    ("line", "html"),
    [
        ("`thinmesh list` shows all.", "<code>thinmesh list</code> shows all."),
        ("plain", "plain"),
        ("one ` alone", "one ` alone"),
        ("`a` and `b`", "<code>a</code> and <code>b</code>"),
        ("`a` and ` left", "<code>a</code> and ` left"),
        ("`<script>`", "<code>&lt;script&gt;</code>"),
    ],
)
def test_what_stands_between_backticks_is_code(line, html):
    assert coded(line) == html
