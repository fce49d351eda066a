"""Locations: an absolute URI where every reader takes it apart alike, else the bare path."""

from __future__ import annotations

from pathlib import Path

import pytest

from thinmesh.adapters.iceberg.locations import location_of, path_of


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/srv/mesh/lake/a/b.parquet", "file:///srv/mesh/lake/a/b.parquet"),
        ("/srv/a b/lake", "/srv/a b/lake"),
        ("/srv/50%25#1?x/lake", "/srv/50%25#1?x/lake"),
        ("/srv/ünïcode", "/srv/ünïcode"),
    ],
)
def test_a_location_reads_back_as_its_path(path, location):
    assert location_of(Path(path)) == location
    assert path_of(location) == Path(path)
