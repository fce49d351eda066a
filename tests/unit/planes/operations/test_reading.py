from datetime import UTC, datetime

from thinmesh.kernel.errors import Internal
from thinmesh.kernel.ledger import Actor, Entry, ProductChange, TableLoad
from thinmesh.kernel.product import DataFile
from thinmesh.planes.operations.reading import read_log


def file(path):
    return DataFile(path, "s", 1, 2, "c")


def entry(sequence, old, new, *files, product="p", status="active"):
    loads = {"t": TableLoad("replace", tuple(map(file, files)))} if files else {}
    change = ProductChange(product, "published", "d", "o", "open", status, "1", loads=loads)
    at = f"2026-01-{sequence:02}T00:00:00.000000Z"
    return Entry(sequence, at, Actor("ada", "cli"), old, new, (change,), id=f"id{sequence}")


def test_a_whole_log_has_no_faults_and_tells_what_it_names():
    found = read_log([entry(1, "a", "b", "x"), entry(2, "b", "b", "y", product="q"), entry(3, "b", "c", "x", "z")])
    assert found.faults == []
    assert (found.id, found.sequence, found.last.new) == ("id3", 3, "c")
    assert set(found.files) == {"x", "y", "z"}
    assert set(found.latest) == {"p", "q"}
    assert found.newest_time == datetime(2026, 1, 3, tzinfo=UTC)


def test_an_empty_log_is_whole():
    found = read_log([])
    assert (found.id, found.sequence, found.faults) == ("", 0, [])


def test_gaps_and_jumps_are_named():
    assert "has the sequence 2, not 1" in read_log([entry(2, "a", "b")]).faults[0]
    assert "has the sequence 3, not 2" in read_log([entry(1, "a", "b"), entry(3, "b", "c")]).faults[0]
    jumped = read_log([entry(1, "a", "b"), entry(2, "x", "c")]).faults
    assert jumped == ["entry 2 begins at x, and the one before it ends at b"]


def test_a_log_that_cannot_be_read_on_is_a_fault_and_what_was_read_counts():
    def entries():
        yield entry(1, "a", "b", "x")
        raise Internal("log.git is damaged: the entry 12 is missing.")

    found = read_log(entries())
    assert found.faults == ["it cannot be read after entry 1: log.git is damaged: the entry 12 is missing"]
    assert set(found.files) == {"x"}


def test_a_thousand_faults_are_told_as_some():
    assert len(read_log([entry(5, "a", "b")] * 1000).faults) == 20
