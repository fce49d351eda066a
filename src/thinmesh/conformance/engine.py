"""What every query engine must do. Subclass it in a test module and say how an engine and its tables are made.

    class TestMine(EngineConformance):
        def engine(self): ...
        def make_table(self, columns, rows, product="shop", table="orders"): ...

Every method starting with `test_` is run by pytest. Statements are in the SQL that engines share; what is an engine's
own is tested with that engine.
"""
# ruff: noqa: S101, D102 (the names of the tests say what they show)

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import Conflict, MeshError, NotAllowed, Refused, Temporary
from thinmesh.planes.query.backend import Engine, Job, Run
from thinmesh.planes.query.model import Binding, Parsed, ReadableTable

Failure = TypeVar("Failure", bound=MeshError)

COLUMNS = (
    Column("id", "integer", id=1),
    Column("name", "string", id=2),
    Column("price", "number", "DECIMAL(9,2)", id=3),
    Column("ratio", "number", id=4),
    Column("day", "date", id=5),
    Column("at", "timestamp", options={"timezone": True}, id=6),
    Column("ok", "boolean", id=7),
)
# Long for any engine: 10^15 steps that no optimiser can shorten.
ENDLESS = "SELECT count(*) FROM {0} a, {0} b, {0} c WHERE (a.id * 7 + b.id * 13 + c.id * 17) % 1000003 = 5"
WRITES = (
    "INSERT INTO {0} VALUES (1)",
    "DELETE FROM {0}",
    "UPDATE {0} SET id = 1",
    "DROP TABLE {0}",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS SELECT 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE {0}",
    "SET x = 1",
    "",
    "-- nothing",
)


def answer(run: Run) -> bytes:
    """Run a statement to its end."""
    run.open()
    return b"".join(run.chunks())


def rows(run: Run) -> list[list[Any]]:
    """Run a JSON statement to its end and read its rows."""
    found: list[list[Any]] = json.loads(b"[" + answer(run)[1:] + b"]")
    return found


def failure(kind: type[Failure], run: Run) -> Failure:
    """Run a statement that must fail in one way, and give the error."""
    try:
        answer(run)
    except kind as error:
        return error
    raise AssertionError(f"it was not {kind.__name__}")


class EngineConformance:
    """The suite. One engine may serve all of it; every table is made anew."""

    def engine(self) -> Engine:
        """Give an engine with at least two workers, and memory enough for a million numbers."""
        raise NotImplementedError

    def make_table(
        self, columns: Sequence[Column], rows: Sequence[Sequence[Any]], product: str = "shop", table: str = "orders"
    ) -> ReadableTable:
        """Make a table that the engine can read. Decimals, dates and times come as texts."""
        raise NotImplementedError

    def typed(self) -> ReadableTable:
        """Make three rows of every type, one of them of nulls."""
        return self.make_table(
            COLUMNS,
            [
                (1, 'one, "two"\n', "12.50", 0.1, "2013-01-02", "2013-01-02T03:04:05.000006Z", True),
                (2, "", "-0.01", float("nan"), "1969-12-31", "1969-12-31T23:59:59Z", False),
                (9007199254740993, None, None, None, None, None, None),
            ],
        )

    def long(self) -> ReadableTable:
        """Make enough rows for statements that do not end."""
        return self.make_table((Column("id", "integer", id=1),), [(number,) for number in range(100_000)], table="wide")

    def submit(
        self,
        sql: str,
        *tables: ReadableTable,
        format: str = "json",
        limit: int | None = None,
        seconds: float = 30.0,
        user: str = "ann",
        resolve: Callable[[Parsed], Binding] | None = None,
    ) -> Run:
        """Submit a statement over tables."""
        return self.engine().submit(
            Job(user, sql, format, limit, seconds, resolve or (lambda _: Binding(tuple(tables))))
        )

    def test_values_come_as_the_json_rules_say(self) -> None:
        table = self.typed()
        run = self.submit(f"SELECT * FROM {table.name} ORDER BY id", table)
        assert rows(run) == [
            [1, 'one, "two"\n', "12.50", 0.1, "2013-01-02", "2013-01-02T03:04:05.000006Z", True],
            [2, "", "-0.01", "NaN", "1969-12-31", "1969-12-31T23:59:59Z", False],
            ["9007199254740993", None, None, None, None, None, None],
        ]
        assert [column.type for column in run.columns] == [
            "integer", "string", "decimal(9,2)", "double", "date", "timestamptz", "boolean",
        ]  # fmt: skip
        assert (run.rows, run.truncated) == (3, False)

    def test_csv_tells_null_from_the_empty_text(self) -> None:
        table = self.typed()
        run = self.submit(f"SELECT id, name, ratio FROM {table.name} ORDER BY id", table, format="csv")
        assert answer(run).decode() == 'id,name,ratio\n1,"one, ""two""\n",0.1\n2,"",NaN\n9007199254740993,,\n'

    def test_binary_formats_begin_as_they_must(self) -> None:
        table = self.typed()
        for format, begin in (("arrow", b"\xff\xff\xff\xff"), ("parquet", b"PAR1")):
            assert answer(self.submit(f"SELECT * FROM {table.name}", table, format=format)).startswith(begin)

    def test_an_empty_answer_has_columns(self) -> None:
        table = self.typed()
        run = self.submit(f"SELECT id FROM {table.name} WHERE id < 0", table)
        assert rows(run) == []
        assert [column.name for column in run.columns] == ["id"]

    def test_a_limit_cuts_and_says_so(self) -> None:
        table = self.typed()
        run = self.submit(f"SELECT id FROM {table.name} ORDER BY id DESC", table, limit=2)
        assert rows(run) == [["9007199254740993"], [2]]
        assert (run.rows, run.truncated) == (2, True)

    def test_a_limit_that_is_not_reached_cuts_nothing(self) -> None:
        table = self.typed()
        run = self.submit(f"SELECT id FROM {table.name}", table, limit=3)
        assert len(rows(run)) == 3
        assert not run.truncated

    def test_the_parser_tells_the_tables_in_lower_case(self) -> None:
        table = self.typed()
        seen: list[Parsed] = []

        def resolve(parsed: Parsed) -> Binding:
            seen.append(parsed)
            return Binding((table,))

        sql = f"WITH w AS (SELECT id FROM {str(table.name).upper()}) SELECT id FROM w WHERE id = 4711 OR 'secret' = ''"
        answer(self.submit(sql, resolve=resolve))
        assert [parsed.tables for parsed in seen] == [(table.name,)]
        assert "id" in seen[0].columns
        assert "4711" not in seen[0].masked
        assert "secret" not in seen[0].masked

    def test_what_the_resolver_refuses_is_refused(self) -> None:
        table = self.typed()

        def resolve(_: Parsed) -> Binding:
            raise NotAllowed("closed")

        failure(NotAllowed, self.submit(f"SELECT * FROM {table.name}", resolve=resolve))

    def test_only_one_reading_statement_runs(self) -> None:
        table = self.typed()
        for sql in WRITES:
            failure(Refused, self.submit(sql.format(table.name), table))
        assert rows(self.submit(f"SELECT count(*) FROM {table.name}", table)) == [[3]]

    def test_a_table_that_was_not_resolved_cannot_be_read(self) -> None:
        table = self.typed()
        failure(Refused, self.submit("SELECT * FROM other.secrets", table))

    def test_an_unknown_column_names_the_nearest(self) -> None:
        table = self.typed()
        assert "price" in failure(Refused, self.submit(f"SELECT pric FROM {table.name}", table)).help

    def test_errors_name_no_file(self) -> None:
        table = self.typed()
        for sql in ("SELECT CAST(name AS INTEGER) FROM {}", "SELECT nope FROM {}", "SELEC * FROM {}"):
            error = failure(MeshError, self.submit(sql.format(table.name), table))
            text = error.detail + error.help
            assert not any(str(file) in text or file.name in text for file in table.files)

    def test_time_is_capped(self) -> None:
        wide = self.long()
        error = failure(Refused, self.submit(ENDLESS.format(wide.name), wide, seconds=0.5))
        assert "longer than" in error.detail

    def test_a_stopped_statement_ends_at_once(self) -> None:
        wide = self.long()
        resolved = threading.Event()

        def resolve(_: Parsed) -> Binding:
            resolved.set()
            return Binding((wide,))

        run = self.submit(ENDLESS.format(wide.name), resolve=resolve)
        failures: list[MeshError] = []
        reader = threading.Thread(target=lambda: failures.append(failure(MeshError, run)))
        reader.start()
        assert resolved.wait(60)
        run.stop("cancelled")
        reader.join(60)
        assert not reader.is_alive()
        assert isinstance(failures[0], Conflict)

    def test_a_statement_stopped_before_it_opens_never_runs(self) -> None:
        table = self.typed()

        def resolve(_: Parsed) -> Binding:
            raise AssertionError("it ran")

        run = self.submit(f"SELECT * FROM {table.name}", resolve=resolve)
        run.stop("stopping")
        failure(Temporary, run)

    def test_an_answer_left_early_frees_its_worker(self) -> None:
        wide = self.long()
        sql = f"SELECT a.id, b.id FROM {wide.name} a, {wide.name} b"
        for _ in range(8):
            run = self.submit(sql, wide, seconds=60)
            run.open()
            pieces = run.chunks()
            assert next(iter(pieces))
            run.close()
        assert rows(self.submit(f"SELECT count(*) FROM {wide.name}", wide, seconds=60)) == [[100_000]]

    def test_one_users_long_statements_leave_room_for_another(self) -> None:
        wide = self.long()
        runs = [self.submit(ENDLESS.format(wide.name), wide, user="greedy") for _ in range(6)]
        threads = [threading.Thread(target=_swallow, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        try:
            quick = self.submit(f"SELECT count(*) FROM {wide.name}", wide, user="modest", seconds=60)
            assert rows(quick) == [[100_000]]
        finally:
            for run in runs:
                run.stop("stopping")
            for thread in threads:
                thread.join(60)

    def test_statements_of_many_threads_do_not_mix(self) -> None:
        table = self.typed()
        found: dict[int, list[list[Any]]] = {}

        def ask(number: int) -> None:
            sql = f"SELECT {number}, count(*) FROM {table.name}"
            found[number] = rows(self.submit(sql, table, user=f"user{number % 3}"))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert found == {number: [[number, 3]] for number in range(12)}

    def test_sample_profile_and_data_are_written_for_any_table(self) -> None:
        table = self.typed()
        assert len(rows(self.submit(self.engine().sample(table, 2), table))) == 2
        assert len(rows(self.submit(self.engine().data(table), table))) == 3
        run = self.submit(self.engine().profile(table), table)
        found = rows(run)
        names = [column.name for column in run.columns]
        by_name = {row[names.index("column")]: dict(zip(names, row, strict=True)) for row in found}
        assert list(by_name) == [column.name for column in COLUMNS]
        assert (by_name["name"]["rows"], by_name["name"]["nulls"]) == (3, 1)
        assert (by_name["price"]["min"], by_name["price"]["max"]) == ("-0.01", "12.50")
        assert by_name["ratio"]["mean"] == 0.1


def _swallow(run: Run) -> None:
    try:
        answer(run)
    except MeshError:
        return
