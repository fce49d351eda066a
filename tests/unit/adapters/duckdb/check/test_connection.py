"""Each check has a database of its own, prepared beforehand or not."""

import threading

import pytest

from thinmesh.adapters.duckdb.check.connection import Connections


def settled():
    for thread in threading.enumerate():
        if thread.name == "check-spare":
            thread.join()


@pytest.mark.parametrize("spare", [False, True])
def test_nothing_of_one_check_is_there_in_the_next(tmp_path, spare):
    connections = Connections(1 << 30, 2, spare=spare)
    for number in range(3):
        work = tmp_path / str(number)
        with connections.connect(work) as connection:
            assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)
            connection.execute("CREATE TABLE t AS SELECT 1; SET TimeZone = 'Asia/Tokyo'; SET threads = 1")
        with connections.connect(work) as connection:
            found = [
                connection.execute(f"SELECT current_setting('{name}')").fetchone()[0]
                for name in ("TimeZone", "threads", "temp_directory")
            ]
            assert found == ["UTC", 2, str(work / "spill")]
        settled()


def test_checks_at_the_same_time_do_not_share(tmp_path):
    connections = Connections(1 << 30, 1, spare=True)
    with connections.connect(tmp_path):
        pass
    settled()
    with connections.connect(tmp_path) as one, connections.connect(tmp_path) as other:
        one.execute("CREATE TABLE t AS SELECT 1")
        assert other.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)
    settled()
