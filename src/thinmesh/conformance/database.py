"""What every `Database` (kernel/database.py) must do. Subclass it in a test module and say how one is opened.

    class TestSqlite(DatabaseConformance):
        def open(self, place):
            return SqliteDatabase(place / "mesh.db")

Every method starting with `test_` is run by pytest, with an empty folder as `tmp_path`.
"""
# ruff: noqa: S101

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from thinmesh.kernel.database import Database, Transaction
from thinmesh.kernel.errors import Internal, Malformed

_TABLE = "CREATE TABLE items (name TEXT PRIMARY KEY, amount BIGINT)"
_ADD = "INSERT INTO items (name, amount) VALUES (:name, :amount)"
_COUNT = "SELECT COUNT(*) AS found FROM items"
_PATIENCE = 60.0  # seconds until a thread that should have gone on counts as stuck


class DatabaseConformance:
    """The suite. `open` is called again on the same place where a database must outlive its process."""

    def open(self, place: Path) -> Database:
        """Open the database kept at a place (a folder), made where there is none."""
        raise NotImplementedError

    def test_rows_are_mappings_of_the_columns(self, tmp_path: Path) -> None:
        """A row is read by column name and turns into a dict; no row is None, and no rows an empty list."""
        with self._filled(tmp_path) as database, database.read() as tx:
            row = tx.one("SELECT name, amount FROM items WHERE name = :name", {"name": "a"})
            assert row is not None
            assert dict(row) == {"name": "a", "amount": 1}
            assert tx.one("SELECT name FROM items WHERE name = 'none'") is None
            assert tx.all("SELECT name FROM items WHERE name = 'none'") == []
            assert [each["name"] for each in tx.all("SELECT name FROM items ORDER BY name")] == ["a", "b"]

    def test_a_statement_tells_how_many_rows_it_changed(self, tmp_path: Path) -> None:
        """Also zero, where a conflict is passed over."""
        with self._filled(tmp_path) as database, database.write() as tx:
            assert tx.execute("UPDATE items SET amount = 5") == 2
            assert tx.execute(_ADD + " ON CONFLICT (name) DO NOTHING", {"name": "a", "amount": 9}) == 0

    def test_a_writer_sees_what_it_wrote(self, tmp_path: Path) -> None:
        """Also through a read that is opened inside the write, as operations call each other."""
        with self._filled(tmp_path) as database, database.write() as tx:
            tx.execute(_ADD, {"name": "c", "amount": 3})
            assert _count(tx) == 3
            with database.read() as inner:
                assert _count(inner) == 3

    def test_what_raises_is_undone_whole(self, tmp_path: Path) -> None:
        """Everything in the block, not only the last statement; and the next write works."""
        with self._filled(tmp_path) as database:
            try:
                with database.write() as tx:
                    tx.execute("DELETE FROM items")
                    tx.execute_many(_ADD, [{"name": "x", "amount": 1}, {"name": "x", "amount": 2}])
            except Internal:
                pass
            else:
                raise AssertionError("a broken rule of the schema was not raised")
            assert _counted(database) == 2
            with database.write() as tx:
                tx.execute(_ADD, {"name": "c", "amount": 3})
            assert _counted(database) == 3

    def test_the_schema_is_part_of_a_transaction(self, tmp_path: Path) -> None:
        """A migration that fails halfway leaves nothing."""
        with self._filled(tmp_path) as database:
            try:
                with database.write() as tx:
                    tx.execute("CREATE TABLE half (name TEXT)")
                    raise LookupError
            except LookupError:
                pass
            with database.write() as tx:
                tx.execute("CREATE TABLE half (name TEXT)")

    def test_a_reader_sees_one_state(self, tmp_path: Path) -> None:
        """Whatever is committed while it reads; and readers never wait for a writer."""
        with self._filled(tmp_path) as database, database.read() as tx:
            assert _count(tx) == 2
            _elsewhere(lambda: _add(database, "c"))
            assert _count(tx) == 2
            with database.read() as again:
                assert _count(again) == 2
        with self._opened(tmp_path) as database:
            assert _counted(database) == 3

    def test_nobody_sees_what_is_not_committed(self, tmp_path: Path) -> None:
        """Another thread reads the state before."""
        with self._filled(tmp_path) as database, database.write() as tx:
            tx.execute(_ADD, {"name": "c", "amount": 3})
            assert _elsewhere(lambda: _counted(database)) == 2

    def test_one_writer_at_a_time(self, tmp_path: Path) -> None:
        """Read, add one, write: over many threads and two openings no step is lost."""
        with self._filled(tmp_path) as database, self._opened(tmp_path) as other:

            def add_one(each: Database) -> None:
                with each.write() as tx:
                    row = tx.one("SELECT amount FROM items WHERE name = 'a'")
                    assert row is not None
                    tx.execute("UPDATE items SET amount = :amount WHERE name = 'a'", {"amount": row["amount"] + 1})

            with ThreadPoolExecutor(8) as threads:
                list(threads.map(add_one, [database, other] * 20))
            with database.read() as tx:
                row = tx.one("SELECT amount FROM items WHERE name = 'a'")
            assert row is not None
            assert row["amount"] == 41

    def test_a_write_inside_a_write_is_refused(self, tmp_path: Path) -> None:
        """It would wait for itself."""
        with self._filled(tmp_path) as database, database.write():
            try:
                with database.write():
                    raise AssertionError("the inner write was let in")
            except Internal:
                pass

    def test_it_outlives_its_process(self, tmp_path: Path) -> None:
        """What was committed is there when the place is opened again; what was not is not."""
        with self._filled(tmp_path) as database:
            _add(database, "c")
        with self._opened(tmp_path) as database:
            assert _counted(database) == 3

    def test_values_that_cannot_be_stored_are_refused(self, tmp_path: Path) -> None:
        """They come from outside: the error is the caller's, not ours."""
        for value in ("\ud800", 2**70):
            with self._opened(tmp_path) as database:
                try:
                    with database.read() as tx:
                        tx.one("SELECT :value AS value", {"value": value})
                except Malformed:
                    continue
                raise AssertionError(f"{value!r} was taken")

    @contextmanager
    def _opened(self, place: Path) -> Iterator[Database]:
        with closing(self.open(place)) as database:
            yield database

    @contextmanager
    def _filled(self, place: Path) -> Iterator[Database]:
        with self._opened(place) as database:
            with database.write() as tx:
                tx.execute(_TABLE)
                tx.execute_many(_ADD, [{"name": "a", "amount": 1}, {"name": "b", "amount": 2}])
            yield database


def _add(database: Database, name: str) -> int:
    with database.write() as tx:
        return tx.execute(_ADD, {"name": name, "amount": 1})


def _counted(database: Database) -> int:
    with database.read() as tx:
        return _count(tx)


def _count(tx: Transaction) -> int:
    row = tx.one(_COUNT)
    assert row is not None
    return int(row["found"])


def _elsewhere(work: Callable[[], int]) -> int:
    """Run in another thread, and fail where it has to wait for this one."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    assert found, "the other thread had to wait, or failed"
    return found[0]
