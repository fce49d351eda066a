"""The query log in the database."""

from contextlib import closing
from dataclasses import replace

import pytest

from thinmesh.adapters.sql.schema import STORES, migrate
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.adapters.sql.statements import _RECORD, SqlStatementLog, _parameters
from thinmesh.planes.query.model import Statement

ENTRY = Statement("s1", "ann", "http", "SELECT 'x'", "running", "2026-01-01T00:00:00.000000Z")


@pytest.fixture
def log(tmp_path):
    with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
        migrate(database, {"statements": STORES["statements"]})
        yield SqlStatementLog(database)


def test_an_entry_comes_back_whole_and_is_overwritten_by_its_end(log):
    done = replace(
        ENTRY,
        state="done",
        tables=("a.b",),
        columns=("x",),
        rows=2,
        bytes=3,
        seconds=0.5,
        error=None,
        masked="SELECT ?",
    )
    log.record([ENTRY, done])
    assert log.find("ann", "s1") == done
    assert log.find("bob", "s1") is None
    assert log.list(None, 10, None) == [done]


def test_the_same_id_of_two_users_are_two_entries(log):
    later = replace(ENTRY, user="bob", started="2026-01-02T00:00:00.000000Z")
    log.record([ENTRY, later])
    assert log.find("ann", "s1") == ENTRY
    assert log.find(None, "s1") == later


def test_entries_come_newest_first_after_a_position(log):
    entries = [replace(ENTRY, id=f"s{number}", started=f"2026-01-0{number}") for number in range(1, 6)]
    log.record(entries)
    first = log.list("ann", 2, None)
    assert [one.id for one in first] == ["s5", "s4"]
    position = (first[-1].started, first[-1].user, first[-1].id)
    assert [one.id for one in log.list("ann", 10, position)] == ["s3", "s2", "s1"]


def test_what_was_running_is_marked_once_the_server_is_back(log):
    log.record([ENTRY, replace(ENTRY, id="s2", state="done")])
    log.interrupted()
    assert [log.find("ann", id).state for id in ("s1", "s2")] == ["interrupted", "done"]


def test_use_is_counted_by_day_and_user_once_for_each_statement(log):
    done = replace(ENTRY, state="done", tables=("a.x", "a.y", "b.z"))
    log.record([ENTRY, done, replace(done, id="s2"), replace(done, id="s1", user="bob")])
    log.record([replace(done, id="s3", started="2026-01-03T00:00:00.000000Z")])
    log.record([replace(done, id="s4", state="failed"), replace(done, id="s5", sql="sample a.x")])
    assert log.usage("a", "2026-01-01") == (
        [("2026-01-01", 3), ("2026-01-03", 1)],
        [("ann", 3, "2026-01-03"), ("bob", 1, "2026-01-01")],
    )
    assert log.usage("a", "2026-01-02") == ([("2026-01-03", 1)], [("ann", 1, "2026-01-03")])
    assert log.usage("c", "2026-01-01") == ([], [])


def test_an_older_log_is_counted_when_the_database_is_brought_up(tmp_path):
    with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
        migrate(database, {"statements": STORES["statements"][:1]})
        with database.write() as tx:
            tx.execute_many(_RECORD, [_parameters(replace(ENTRY, state="done", tables=("a.x", "a.y")))])
            tx.execute_many(
                _RECORD, [_parameters(replace(ENTRY, id="s2", state="done", sql="sample a.x", tables=("a.x",)))]
            )
        migrate(database, {"statements": STORES["statements"]})
        assert SqlStatementLog(database).usage("a", "2026-01-01") == ([("2026-01-01", 1)], [("ann", 1, "2026-01-01")])
