"""A check that is ended before its end: by time, and by whoever asked for it."""

import duckdb
import pytest

from thinmesh.adapters.duckdb.check.checker import DuckdbChecker
from thinmesh.kernel.errors import Temporary
from thinmesh.planes.product.model import CheckJob, TableInput, Upload


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A small file that takes long: many rows of one value, which Parquet packs into nothing."""
    path = tmp_path_factory.mktemp("long") / "t.parquet"
    duckdb.sql(f"COPY (SELECT 'a' AS a FROM range(100000000)) TO '{path}' (FORMAT parquet)")
    return path


@pytest.fixture
def quotes(tmp_path):
    """A file whose first quote is never closed: every line is looked at twice, outside of DuckDB."""
    path = tmp_path / "t.csv"
    path.write_bytes(b'a\n"' + b"a\n" * 2_000_000)
    return path


def job(path, staging=None):
    return CheckJob((TableInput("t", None, (Upload(path.name, path),)),), staging)


@pytest.mark.parametrize("name", ["long", "quotes"])
def test_a_check_ends_when_its_time_is_over(request, tmp_path, name):
    path = request.getfixturevalue(name)
    with pytest.raises(Temporary, match=r"longer than the 0.1 seconds"):
        DuckdbChecker(verdict_seconds=0.1).check(job(path))
    staging = tmp_path / "staging"
    staging.mkdir()
    with pytest.raises(Temporary, match=r"longer than the 0.1 seconds"):
        DuckdbChecker(seconds=0.1).check(job(path, staging))
    assert list(staging.iterdir()) == []


@pytest.mark.parametrize("name", ["long", "quotes"])
def test_a_check_ends_when_its_progress_raises(request, name):
    told = []

    def progress(what, done, total):
        told.append(what)
        if len(told) > 8:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        DuckdbChecker().check(job(request.getfixturevalue(name)), progress)
