from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.interface.http.statements import format_of
from thinmesh.kernel.errors import Unsupported
from thinmesh.planes.query.model import FORMATS


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("text/*", "csv"),
        ("application/vnd.apache.arrow.stream", "arrow"),
        ("application/vnd.apache.parquet", "parquet"),
        ("text/html, text/csv;q=0.5", "csv"),
        ("text/csv;q=0.5, application/vnd.apache.parquet", "parquet"),
        ("text/csv;q=0, application/json;q=0.1", "json"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "json"),
    ],
)
def test_the_format_is_what_accept_prefers(accept, format):
    assert format_of(accept) == format


def test_a_format_that_we_do_not_have_is_refused_naming_those_we_have():
    with pytest.raises(Unsupported) as refused:
        format_of("application/pdf")
    assert all(kind in refused.value.help for kind in FORMATS.values())


@given(st.text(st.characters(codec="latin-1")))
def test_any_accept_header_is_answered_or_refused(accept):
    with suppress(Unsupported):
        assert format_of(accept) in FORMATS
