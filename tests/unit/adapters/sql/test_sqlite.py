"""SQLite as the mesh's database."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, suppress

import pytest

from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.conformance.database import DatabaseConformance
from thinmesh.kernel.errors import Internal, Temporary

KILLED = """
import os, signal, sys
from thinmesh.adapters.sql.sqlite import SqliteDatabase
database = SqliteDatabase(sys.argv[1])
with database.write() as tx:
    tx.execute("CREATE TABLE t (a TEXT)")
with database.write() as tx:
    tx.execute("INSERT INTO t (a) VALUES ('kept')")
with database.write() as tx:
    tx.execute("INSERT INTO t (a) VALUES ('half')")
    os.kill(os.getpid(), signal.SIGKILL)
"""


class TestSqlite(DatabaseConformance):
    def open(self, place):
        return SqliteDatabase(place / "mesh.db")


@pytest.fixture
def database(tmp_path):
    with closing(SqliteDatabase(tmp_path / "mesh.db", wait=0.05)) as database:
        with database.write() as tx:
            tx.execute("CREATE TABLE t (a TEXT PRIMARY KEY)")
            tx.execute("INSERT INTO t (a) VALUES ('1')")
        yield database


def rows(database):
    with database.read() as tx:
        return [row["a"] for row in tx.all("SELECT a FROM t ORDER BY a")]


def test_the_files_are_readable_by_their_owner_only(database, tmp_path):
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {
        "mesh.db": 0o600,
        "mesh.db-wal": 0o600,
        "mesh.db-shm": 0o600,
    }


def test_a_kill_in_the_middle_of_a_write_leaves_what_was_acknowledged(tmp_path):
    place = tmp_path / "mesh.db"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(place)], check=False, timeout=60)
    assert ended.returncode == -9
    with closing(SqliteDatabase(place)) as database:
        assert rows(database) == ["kept"]
        with database.write() as tx:  # the lock went with the process
            tx.execute("INSERT INTO t (a) VALUES ('new')")


def test_another_process_that_holds_the_database_is_told_as_temporary(database, tmp_path):
    with closing(sqlite3.connect(tmp_path / "mesh.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Temporary, match="another writer"), database.write():
            pass
        assert rows(database) == ["1"]
    with database.write() as tx:
        tx.execute("INSERT INTO t (a) VALUES ('2')")


def test_a_full_disk_is_told_as_temporary_and_leaves_nothing(database):
    with database.write() as tx:
        pages = tx.one("PRAGMA page_count")["page_count"]
        tx.one(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Temporary, match="full"), database.write() as tx:
        tx.execute_many("INSERT INTO t (a) VALUES (:a)", [{"a": f"{n:0500}"} for n in range(100)])
    assert rows(database) == ["1"]
    with database.write() as tx:
        tx.one("PRAGMA max_page_count = 100000")
        tx.execute("INSERT INTO t (a) VALUES ('2')")
    assert rows(database) == ["1", "2"]


def test_nothing_is_kept_of_a_block_that_goes_on_after_a_full_disk(database):
    with database.write() as tx:
        pages = tx.one("PRAGMA page_count")["page_count"]
        tx.one(f"PRAGMA max_page_count = {pages}")

    def go_on(tx):
        tx.execute("INSERT INTO t (a) VALUES ('before')")
        with suppress(Temporary):
            tx.execute_many("INSERT INTO t (a) VALUES (:a)", [{"a": f"{n:0500}"} for n in range(100)])
        with suppress(Temporary):
            tx.execute("INSERT INTO t (a) VALUES ('after')")

    with pytest.raises(Temporary, match="full"), database.write() as tx:
        go_on(tx)
    assert rows(database) == ["1"]


def test_a_transaction_is_not_used_after_its_end(database):
    for block in (database.write, database.read):
        with block() as tx:
            pass
        with pytest.raises(Internal):
            tx.one("SELECT 1")


def test_a_damaged_file_is_told_with_the_way_out(tmp_path):
    (tmp_path / "mesh.db").write_bytes(os.urandom(8192))
    with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
        with pytest.raises(Internal, match="damaged") as raised, database.read():
            pass
        assert "restore" in raised.value.help


def test_a_folder_that_is_not_there_is_told(tmp_path):
    database = SqliteDatabase(tmp_path / "none" / "mesh.db")
    with pytest.raises(Temporary), database.read():
        pass


def test_a_closed_database_is_told_as_temporary(tmp_path):
    database = SqliteDatabase(tmp_path / "mesh.db")
    database.close()
    with pytest.raises(Temporary), database.read():
        pass
    with pytest.raises(Temporary), database.write():
        pass


def test_a_backup_is_one_state_while_writers_go_on(database, tmp_path):
    with database.write() as tx:
        tx.execute("INSERT INTO t (a) VALUES ('not yet')")
        database.backup(tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("copy")] == ["copy.db"]
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    with closing(SqliteDatabase(tmp_path / "copy.db")) as copy:
        assert rows(copy) == ["1"]
        assert copy.faults() == []


def test_a_backup_that_cannot_be_written_leaves_nothing(database, tmp_path):
    with pytest.raises(Temporary):
        database.backup(tmp_path / "none" / "copy.db")


def test_doctor_is_told_of_references_that_dangle(database, tmp_path):
    with database.write() as tx:
        tx.execute("CREATE TABLE child (a TEXT REFERENCES t (a))")
    assert database.faults() == []
    with closing(sqlite3.connect(tmp_path / "mesh.db")) as other:
        other.execute("INSERT INTO child VALUES ('gone')")
        other.commit()
    assert database.faults() == ["a row of child refers to a missing row of t"]


def test_only_what_the_log_holds_does_not_wait_for_the_disk(database):
    with database.write(logged=True) as tx:
        logged = tx.one("PRAGMA synchronous")["synchronous"]
    with database.write() as tx:
        durable = tx.one("PRAGMA synchronous")["synchronous"]
    assert (logged, durable) == (1, 2)  # NORMAL, FULL (https://sqlite.org/pragma.html#pragma_synchronous)


def test_settling_brings_into_the_file_what_was_written_and_waits_for_no_reader(database, tmp_path):
    def in_the_file_itself():
        alone = tmp_path / "alone.db"
        shutil.copy(tmp_path / "mesh.db", alone)
        with closing(sqlite3.connect(alone)) as copy:
            return [row[0] for row in copy.execute("SELECT a FROM t ORDER BY a")]

    database.settle()
    assert in_the_file_itself() == ["1"]
    with closing(sqlite3.connect(tmp_path / "mesh.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        with database.write() as tx:
            tx.execute("INSERT INTO t VALUES ('2')")
        database.settle()
    assert in_the_file_itself() == ["1"]
    database.settle()
    assert in_the_file_itself() == ["1", "2"]
