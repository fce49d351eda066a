"""The verbs of the query plane over the real engine."""

import io
import json
import threading
import time
from contextlib import closing
from dataclasses import replace

import pandas as pd
import pytest

from thinmesh.adapters.duckdb.query.engine import DuckdbEngine
from thinmesh.adapters.sql.schema import STORES, migrate
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.adapters.sql.statements import SqlStatementLog
from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import (
    Conflict,
    Malformed,
    MeshError,
    NotAllowed,
    NotFound,
    Refused,
    TooLarge,
    Unsupported,
)
from thinmesh.kernel.policy import Principal
from thinmesh.planes.query.model import ReadableTable, TableName
from thinmesh.planes.query.operations import Queries

from .query_world import OWNER, Catalog, write

ANN, BOB = Principal("ann"), Principal("bob", door="cli")
ROOT = Principal("root", admin=True, scope="admin")
COLUMNS = (
    Column("id", "integer", id=1, required=True),
    Column("city", description="Where it was", id=2),
    Column("temp", "number", id=3),
)
ROWS = [(1, "Bern", 1.5), (2, None, None), (3, "", -4.0)]
ENDLESS = "SELECT sleep_ms(600000)"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("plane")


@pytest.fixture(scope="module")
def engine(place):
    with closing(DuckdbEngine(workers=3, memory=256 << 20, lake=place)) as made:
        yield made


@pytest.fixture
def catalog(place):
    files = (write(place, "weather", "days", COLUMNS, ROWS),)
    return Catalog(
        [
            ReadableTable("weather", "days", COLUMNS, "p1", files, ("id",), "One row per day"),
            ReadableTable("vault", "days", COLUMNS, "p7", (write(place, "vault", "days", COLUMNS, ROWS),)),
        ],
        closed=["vault"],
    )


@pytest.fixture
def log(tmp_path):
    with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
        migrate(database, {"statements": STORES["statements"]})
        yield SqlStatementLog(database)


@pytest.fixture
def queries(engine, catalog, log):
    with closing(Queries(engine, catalog, log, seconds=30)) as made:
        yield made


def run_apart(queries, caller, sql, **options):
    """Run in a thread; gives the thread and a list that will hold the error, once the statement is under way."""
    errors = []

    def work():
        try:
            queries.run(caller, sql, **options).read()
        except MeshError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, errors


def started(queries, caller, id):
    end = time.monotonic() + 60
    while True:
        try:
            return queries.statement(caller, id)
        except NotFound:
            assert time.monotonic() < end, "it never started"
            time.sleep(0.001)


# Answers.


def test_a_json_answer_is_one_document(queries):
    execution = queries.run(ANN, "SELECT * FROM weather.days ORDER BY id")
    document = json.loads(execution.read())
    assert document == {
        "columns": [
            {"name": "id", "type": "integer"},
            {"name": "city", "type": "string"},
            {"name": "temp", "type": "double"},
        ],
        "statement": execution.statement,
        "rows": [[1, "Bern", 1.5], [2, None, None], [3, "", -4.0]],
        "row_count": 3,
        "truncated": False,
    }
    assert execution.media_type == "application/json"


def test_json_stops_at_ten_thousand_rows_and_the_other_formats_do_not(queries):
    document = json.loads(queries.run(ANN, "SELECT * FROM range(10001)").read())
    assert (document["row_count"], document["truncated"], len(document["rows"])) == (10_000, True, 10_000)
    document = json.loads(queries.run(ANN, "SELECT * FROM range(10001)", limit=20_000).read())
    assert (document["row_count"], document["truncated"]) == (10_001, False)
    execution = queries.run(ANN, "SELECT * FROM range(10001)", format="csv")
    assert execution.read().count(b"\n") == 10_002
    assert (execution.row_count, execution.truncated) == (10_001, False)


def test_a_limit_of_nothing_gives_the_columns(queries):
    document = json.loads(queries.run(ANN, "SELECT * FROM weather.days", limit=0).read())
    assert (document["rows"], document["truncated"], len(document["columns"])) == ([], True, 3)


def test_describe_comes_from_the_catalog_and_shows_closed_tables_too(queries):
    document = json.loads(queries.run(ANN, "DESCRIBE vault.days").read())
    names = [column["name"] for column in document["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in document["rows"]]
    assert [(row["column_name"], row["column_type"], row["null"]) for row in rows] == [
        ("id", "BIGINT", "NO"),
        ("city", "VARCHAR", "YES"),
        ("temp", "DOUBLE", "YES"),
    ]
    assert rows[1]["description"] == "Where it was"
    document = json.loads(queries.run(ANN, "describe WEATHER.days").read())
    assert document["rows"][0][3] == "PRI"


def test_show_tables_lists_what_may_be_read(queries, catalog):
    assert json.loads(queries.run(ANN, "SHOW TABLES").read())["rows"] == [["weather", "days", "One row per day"]]
    catalog.granted.add(("ann", "vault"))
    assert [row[0] for row in json.loads(queries.run(ANN, "show tables").read())["rows"]] == ["vault", "weather"]
    assert json.loads(queries.run(ANN, "SHOW TABLES FROM vault").read())["row_count"] == 1


def test_unknown_tables_name_the_nearest(queries):
    for sql in ("SELECT * FROM wether.days", "DESCRIBE weather.day"):
        with pytest.raises(NotFound) as failure:
            queries.run(ANN, sql)
        assert "weather.days" in failure.value.help


def test_a_sample_has_the_first_rows(queries):
    sample = queries.sample(ANN, "weather", "days")
    assert sample.rows == ((1, "Bern", 1.5), (2, None, None), (3, "", -4.0))
    assert sample.columns[0] == {"name": "id", "type": "integer"}


def test_a_profile_counts_every_column(queries):
    id, city, temp = queries.profile(ANN, "weather", "days")
    assert (id.column, id.type, id.rows, id.nulls, id.distinct, id.min, id.max) == ("id", "integer", 3, 0, 3, "1", "3")
    assert (city.nulls, city.min, city.max, city.mean) == (1, "", "Bern", None)
    assert set(city.top) == {"", "Bern"}
    assert (temp.nulls, temp.mean) == (1, -1.25)


def test_a_profile_tells_how_values_spread(queries):
    id, city, temp = queries.profile(ANN, "weather", "days")
    assert len(id.quantiles) == 21
    assert (id.quantiles[0], id.quantiles[-1]) == (1.0, 3.0)
    assert list(id.quantiles) == sorted(id.quantiles)
    assert (city.quantiles, city.top_counts) == ((), (1, 1))
    assert (temp.quantiles[0], temp.quantiles[-1]) == (-4.0, 1.5)


def test_a_profile_of_no_rows_is_one_all_the_same(queries, catalog):
    name = TableName("weather", "days")
    catalog.tables[name] = replace(catalog.tables[name], files=(), publication=None)
    assert [(one.rows, one.top, one.quantiles) for one in queries.profile(ANN, "weather", "days")] == [(0, (), ())] * 3


class Choosy(DuckdbEngine):
    """An engine for whose memory the first columns of a table are too much."""

    def profile(self, table):
        if table.columns[0].name == "c0":
            return "SELECT repeat('x', 200_000_000) FROM range(100)"
        return super().profile(table)


def wide(place, catalog, width, values):
    """Publish a table of texts with these rows, as many columns as `width`."""
    columns = tuple(Column(f"c{number}", id=number + 1) for number in range(width))
    files = (write(place, "weather", "wide", columns, [[value] * width for value in values]),)
    catalog.tables[TableName("weather", "wide")] = ReadableTable("weather", "wide", columns, "p1", files)


def test_a_profile_of_many_columns_takes_no_more_memory_than_a_statement_may(place, queries, catalog):
    wide(place, catalog, 300, ["a", "b", "a"])
    found = queries.profile(ANN, "weather", "wide")
    assert [one.column for one in found] == [f"c{number}" for number in range(300)]
    assert {(one.rows, one.nulls, one.top, one.top_counts) for one in found} == {(3, 0, ("a", "b"), (2, 1))}


def test_the_first_columns_are_profiled_by_themselves(place, queries, catalog):
    wide(place, catalog, 120, ["a"])
    first = queries.profile(ANN, "weather", "wide", 70)
    assert [one.column for one in first] == [f"c{number}" for number in range(70)]
    assert queries.profile(ANN, "weather", "wide", 70) is first
    assert len(queries.profile(ANN, "weather", "wide")) == 120


def test_a_profile_leaves_out_what_cannot_be_measured_where_that_is_wanted(place, catalog, log):
    wide(place, catalog, 120, ["a"])
    with closing(Choosy(workers=2, memory=256 << 20, lake=place)) as engine:
        queries = Queries(engine, catalog, log)
        assert len(queries.profile(ANN, "weather", "wide", partial=True)) == 95
        with pytest.raises(Refused, match="more memory"):
            queries.profile(ANN, "weather", "wide")
        with pytest.raises(Refused, match="more memory"):
            queries.profile(ANN, "weather", "wide", 25, partial=True)
        queries.close()


def test_a_profile_that_is_out_of_time_says_so(place, catalog, log, engine):
    wide(place, catalog, 120, ["a"])
    queries = Queries(engine, catalog, log, seconds=0.001)
    with pytest.raises(Refused, match=r"The profile took longer than 0\.001 s"):
        queries.profile(ANN, "weather", "wide", partial=True)
    queries.close()


def test_a_profile_is_measured_once_and_every_look_is_logged(queries):
    first = queries.profile(ANN, "weather", "days")
    assert queries.profile(BOB, "weather", "days") is first
    (entry,) = [one for one in queries.statements(BOB).items if one["sql"] == "profile weather.days"]
    assert (entry["state"], tuple(entry["tables"])) == ("done", ("weather.days",))


def test_a_profile_that_is_kept_is_for_readers_alone(queries, catalog):
    catalog.granted.add(("ann", "vault"))
    queries.profile(ANN, "vault", "days")
    with pytest.raises(NotAllowed):
        queries.profile(BOB, "vault", "days")
    catalog.granted.clear()
    with pytest.raises(NotAllowed):
        queries.profile(ANN, "vault", "days")


def test_use_is_counted_for_all_and_named_for_owners(queries):
    for caller in (ANN, ANN, BOB):
        queries.run(caller, "SELECT count(*) FROM weather.days").read()
    queries.sample(BOB, "weather", "days")
    queries.profile(BOB, "weather", "days")
    queries.statements(ANN)  # waits for the log
    found = queries.usage(BOB, "weather")
    assert (found.statements, found.users, found.readers, sum(found.by_day.values())) == (3, 2, None, 3)
    named = queries.usage(Principal(OWNER), "weather").readers
    assert [(one.user, one.statements) for one in named] == [("ann", 2), ("bob", 1)]
    with pytest.raises(NotFound):
        queries.usage(BOB, "nothing")


def test_data_is_read_by_pandas(queries):
    csv = pd.read_csv(io.BytesIO(queries.data(ANN, "weather", "days", "csv").read()), keep_default_na=False)
    assert csv["city"].tolist() == ["Bern", "", ""]
    parquet = pd.read_parquet(io.BytesIO(queries.data(ANN, "weather", "days", "parquet").read()))
    assert parquet["temp"].tolist()[::2] == [1.5, -4.0]
    with pytest.raises(Unsupported):
        queries.data(ANN, "weather", "days", "json")


def test_tables_are_listed_in_pages(queries, catalog):
    catalog.granted.add(("ann", "vault"))
    first = queries.tables(ANN, limit=1)
    second = queries.tables(ANN, limit=1, cursor=first.next)
    assert [item["product"] for item in (*first.items, *second.items)] == ["vault", "weather"]
    assert second.next is None
    assert "files" not in first.items[0]


# Grants.


def test_a_closed_product_opens_with_a_grant_and_closes_with_its_end(queries, catalog):
    ways = [
        lambda: queries.run(ANN, "SELECT sum(id) FROM vault.days").read(),
        lambda: queries.sample(ANN, "vault", "days"),
        lambda: queries.profile(ANN, "vault", "days"),
        lambda: queries.data(ANN, "vault", "days").read(),
    ]
    for way in ways:
        with pytest.raises(NotAllowed):
            way()
    catalog.granted.add(("ann", "vault"))
    for way in ways:
        assert way()
    catalog.granted.clear()
    for way in ways:
        with pytest.raises(NotAllowed):
            way()


def test_an_answer_being_read_ends_with_the_grant(queries, catalog):
    catalog.granted.add(("ann", "vault"))
    endless = "SELECT d.id, repeat('x', 1000) FROM vault.days d, range(50000000)"
    pieces = queries.run(ANN, endless, format="csv", id="longread").chunks()
    assert next(pieces)
    catalog.granted.clear()
    with pytest.raises(NotAllowed):
        for _ in pieces:
            pass
    entry = queries.statement(ANN, "longread")
    assert (entry.state, entry.error) == ("failed", "not_allowed")


def test_a_new_publication_is_seen_by_the_next_statement(queries, catalog, place):
    count = "SELECT count(*) FROM weather.days"
    assert json.loads(queries.run(ANN, count).read())["rows"] == [[3]]
    old = catalog.tables.pop(next(name for name in catalog.tables if name.product == "weather"))
    more = write(place, "weather", "days", COLUMNS, ROWS)
    catalog.tables[old.name] = ReadableTable("weather", "days", COLUMNS, "p2", (*old.files, more))
    assert json.loads(queries.run(ANN, count).read())["rows"] == [[6]]


def test_a_token_that_only_publishes_asks_nothing(queries):
    publisher = Principal("ann", scope="publish:weather")
    for way in (lambda: queries.run(publisher, "SELECT 1"), lambda: queries.sample(publisher, "weather", "days")):
        with pytest.raises(NotAllowed):
            way()


# Requests that make no sense.


@pytest.mark.parametrize(
    ("sql", "options", "error"),
    [
        ("SELECT 1", {"format": "xlsx"}, Unsupported),
        ("SELECT 1", {"limit": -1}, Malformed),
        ("SELECT 1", {"id": "no blanks"}, Malformed),
        ("SELECT 1", {"id": "x" * 65}, Malformed),
        ("SELECT '\0'", {}, Malformed),
        ("SELECT '\ud800'", {}, Malformed),
        ("SELECT '" + "x" * 1_000_001 + "'", {}, TooLarge),
        ("", {}, Refused),
        ("   ;", {}, Refused),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, {}, Refused),
        ("SELECT " + "1+" * 50_000 + "1", {}, Refused),
        ("SELECT " + "[" * 5000, {}, Refused),
    ],
)
def test_what_cannot_be_asked_is_refused(queries, sql, options, error):
    with pytest.raises(error) as failure:
        queries.run(ANN, sql, **options).read()
    assert failure.value.help
    assert json.loads(queries.run(ANN, "SELECT 1").read())["rows"] == [[1]]


# Ids, cancelling, the log.


def test_an_id_is_used_once_per_user(queries):
    queries.run(ANN, "SELECT 1", id="mine").read()
    with pytest.raises(Conflict):
        queries.run(ANN, "SELECT 1", id="mine")
    assert json.loads(queries.run(BOB, "SELECT 2", id="mine").read())["rows"] == [[2]]


def test_a_running_id_cannot_be_taken(queries):
    thread, _ = run_apart(queries, ANN, ENDLESS, id="long")
    started(queries, ANN, "long")
    with pytest.raises(Conflict):
        queries.run(ANN, "SELECT 1", id="long")
    queries.cancel(ANN, "long")
    thread.join(60)


def test_cancelling_ends_a_statement_for_its_author_only(queries):
    thread, errors = run_apart(queries, ANN, ENDLESS, id="slow")
    assert started(queries, ANN, "slow").state == "running"
    for verb in (queries.cancel, queries.statement):
        with pytest.raises(NotFound):
            verb(BOB, "slow")
    assert thread.is_alive()
    queries.cancel(ANN, "slow")
    thread.join(60)
    assert not thread.is_alive()
    assert isinstance(errors[0], Conflict)
    assert queries.statement(ANN, "slow").state == "cancelled"
    assert queries.cancel(ANN, "slow").state == "cancelled"


def test_an_administrator_cancels_for_anybody(queries):
    thread, errors = run_apart(queries, ANN, ENDLESS, id="theirs")
    started(queries, ANN, "theirs")
    queries.cancel(ROOT, "theirs")
    thread.join(60)
    assert isinstance(errors[0], Conflict)


def test_an_answer_half_read_is_cancelled_by_closing(queries):
    execution = queries.run(ANN, "SELECT * FROM range(100000000)", format="csv", id="half")
    assert next(execution.chunks())
    execution.close()
    entry = queries.statement(ANN, "half")
    assert entry.state == "cancelled"
    assert entry.bytes > 0


def test_an_answer_never_read_is_cancelled_by_closing(queries):
    for number in range(8):
        queries.run(ANN, "SELECT * FROM range(100000000)", format="csv", id=f"never{number}").close()
    assert queries.statement(ANN, "never7").state == "cancelled"


def test_the_log_tells_who_asked_what(queries):
    sql = "SELECT city, max(temp) AS t FROM weather.days WHERE city <> 'Geneva' AND id < 77 GROUP BY city"
    execution = queries.run(BOB, sql, format="csv")
    size = len(execution.read())
    entry = queries.statement(BOB, execution.statement)
    assert (entry.user, entry.door, entry.state, entry.rows, entry.bytes) == ("bob", "cli", "done", 2, size)
    assert entry.tables == ("weather.days",)
    assert set(entry.columns) == {"city", "temp", "id"}
    assert entry.sql == sql
    assert "Geneva" not in entry.masked
    assert "77" not in entry.masked
    assert entry.masked.startswith("SELECT city, max(temp)")
    assert entry.seconds > 0


def test_failures_are_logged_with_their_code(queries):
    with pytest.raises(NotAllowed):
        queries.run(ANN, "SELECT * FROM vault.days", id="denied")
    with pytest.raises(Refused):
        queries.run(ANN, "SELECT nope FROM weather.days", id="wrong")
    assert (queries.statement(ANN, "denied").state, queries.statement(ANN, "denied").error) == ("failed", "not_allowed")
    assert queries.statement(ANN, "wrong").error == "refused"
    assert queries.statement(ANN, "denied").tables == ("vault.days",)


def test_the_log_is_ones_own_except_to_administrators(queries):
    for caller in (ANN, BOB, ANN):
        queries.run(caller, "SELECT 1").read()
    assert {item["user"] for item in queries.statements(ANN).items} == {"ann"}
    assert {item["user"] for item in queries.statements(ROOT).items} == {"ann", "bob"}
    assert {item["user"] for item in queries.statements(Principal("root", admin=True)).items} == set()


def test_the_log_comes_newest_first_in_pages(queries):
    ids = [f"n{number}" for number in range(5)]
    for id in ids:
        queries.run(ANN, "SELECT 1", id=id).read()
    seen, cursor = [], None
    while True:
        page = queries.statements(ANN, limit=2, cursor=cursor)
        seen += [item["id"] for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == ids[::-1]


class Meanwhile:
    """A query log; while somebody looks into it for an id, something else happens."""

    def __init__(self, log, happen):
        self._log, self._happen = log, happen

    def __getattr__(self, name):
        return getattr(self._log, name)

    def find(self, user, id):
        found, happen, self._happen = self._log.find(user, id), self._happen, None
        if happen:
            happen()
        return found


def test_an_entry_of_the_log_is_never_written_over_by_one_of_the_same_id(engine, catalog, log):
    refused = []

    def another():
        with pytest.raises(Conflict) as told:
            queries.run(ANN, "SELECT 'another'", id="same").read()
        refused.append(told.value)

    with closing(Queries(engine, catalog, Meanwhile(log, another))) as queries:
        queries.run(ANN, "SELECT 'first'", id="same").read()
        assert len(refused) == 1
        assert queries.statement(ANN, "same").sql == "SELECT 'first'"
        with pytest.raises(Conflict):
            queries.run(ANN, "SELECT 'later'", id="same")
        assert [(one["id"], one["sql"]) for one in queries.statements(ANN).items] == [("same", "SELECT 'first'")]


def test_what_ran_when_the_server_ended_is_marked(engine, catalog, log, queries):
    thread, _ = run_apart(queries, ANN, ENDLESS, id="lost")
    started(queries, ANN, "lost")
    while not any(entry["id"] == "lost" for entry in queries.statements(ANN).items):
        time.sleep(0.01)
    again = Queries(engine, catalog, log)
    assert again.statement(ANN, "lost").state == "interrupted"
    queries.cancel(ANN, "lost")
    thread.join(60)
    again.close()


def test_closing_ends_what_runs(engine, catalog, log):
    queries = Queries(engine, catalog, log)
    thread, errors = run_apart(queries, ANN, ENDLESS, id="open")
    started(queries, ANN, "open")
    queries.close()
    thread.join(60)
    assert errors[0].status == 503
