"""Migrations of the platform database."""

from contextlib import closing

import pytest

from thinmesh.adapters.sql.schema import STORES, check_current, migrate
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.adapters.sql.versions import NEWEST, is_current
from thinmesh.kernel.errors import Conflict, Internal, Temporary

FIRST = ("CREATE TABLE a (x TEXT)", "INSERT INTO a (x) VALUES ('kept')")
SECOND = ("ALTER TABLE a ADD COLUMN y TEXT",)
BROKEN = ("CREATE TABLE b (x TEXT)", "CREATE TABLE a (x TEXT)")


@pytest.fixture
def database(tmp_path):
    with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
        yield database


def test_a_new_database_gets_every_store_once(database):
    assert {name.split()[0] for name in migrate(database)} == set(STORES)
    assert migrate(database) == []
    check_current(database)
    assert is_current(database)


def test_the_versions_that_commands_look_for_are_those_of_the_steps(database):
    assert {store: steps[-1][0] for store, steps in STORES.items()} == NEWEST
    assert not is_current(database)


def test_an_older_database_gets_the_missing_steps_and_keeps_its_rows(database):
    migrate(database, {"store": ((1, FIRST),)})
    newer = {"store": ((1, FIRST), (2, SECOND))}
    with pytest.raises(Temporary, match="older"):
        check_current(database, newer)
    assert migrate(database, newer) == ["store 2"]
    check_current(database, newer)
    with database.read() as tx:
        assert dict(tx.one("SELECT x, y FROM a")) == {"x": "kept", "y": None}


def test_a_step_that_fails_leaves_nothing_of_itself(database):
    migrate(database, {"store": ((1, FIRST),)})
    with pytest.raises(Internal):
        migrate(database, {"store": ((1, FIRST), (2, BROKEN))})
    assert migrate(database, {"store": ((1, FIRST), (2, SECOND))}) == ["store 2"]


def test_a_database_of_a_newer_release_is_refused(database):
    migrate(database, {"store": ((1, FIRST), (2, SECOND))})
    for check in (migrate, check_current):
        with pytest.raises(Conflict, match="newer release") as raised:
            check(database, {"store": ((1, FIRST),)})
        assert "backup" in raised.value.help


def test_an_empty_database_is_not_current(database):
    with pytest.raises(Temporary):
        check_current(database)
