"""The DuckDB engine: the suite every engine passes, and what is its own."""

import csv
import io
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thinmesh.adapters.duckdb.query.engine import DuckdbEngine
from thinmesh.conformance.engine import COLUMNS, EngineConformance, answer, failure, rows
from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import MeshError, Refused, Temporary
from thinmesh.planes.query.backend import Job
from thinmesh.planes.query.model import Binding, ReadableTable

from .query_world import recorded, write

MEMORY = 256 << 20
ID, TEXT, AMOUNT = Column("id", "integer", id=1), Column("text", id=2), Column("amount", "integer", id=3)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return tmp_path_factory.mktemp("lake")


@pytest.fixture(scope="module")
def engine(lake, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("run") / "scratch"
    with closing(DuckdbEngine(workers=2, memory=MEMORY, lake=lake, scratch=scratch)) as made:
        yield made


class TestDuckdb(EngineConformance):
    @pytest.fixture(autouse=True)
    def _given(self, engine, lake):
        self._engine, self._lake = engine, lake

    def engine(self):
        return self._engine

    def make_table(self, columns, rows, product="shop", table="orders"):
        file = write(self._lake, product, table, columns, rows)
        return ReadableTable(product, table, tuple(columns), "p1", (file,))


def ask(engine, sql, *tables, format="json", limit=None, seconds=120.0, user="ann", visible=None):
    job = Job(user, sql, format, limit, seconds, lambda _: Binding(tuple(tables), visible))
    return engine.submit(job)


def table_of(lake, columns, *files, product="shop", table="orders"):
    return ReadableTable(product, table, tuple(columns), "p1", tuple(files))


def idle_user(engine):
    """A user who has no worker yet: what they get is fresh."""
    return f"fresh{next(COUNTER)}"


COUNTER = iter(range(10**9))


# Columns are found by field id, whatever the files call them.


def test_renamed_and_readded_columns_are_read_by_field_id(engine, lake):
    first = write(lake, "shop", "evolving", [ID, Column("text", id=2)], [(1, "old")])
    second = write(lake, "shop", "evolving", [Column("text", "integer", id=3), ID], [(7, 2)])
    now = (Column("name", id=2), ID, Column("text", "integer", id=3), Column("late", "date", id=9))
    table = table_of(lake, now, first, second)
    assert rows(ask(engine, "SELECT * FROM shop.orders ORDER BY id", table)) == [
        ["old", 1, None, None],
        [None, 2, 7, None],
    ]


def test_integers_written_before_a_column_was_widened_are_read_as_numbers(engine, lake):
    first = write(lake, "shop", "widened", [Column("x", "integer", id=1)], [(1,)])
    second = write(lake, "shop", "widened", [Column("x", "number", id=1)], [(1.5,)])
    table = table_of(lake, (Column("x", "number", id=1),), first, second)
    assert rows(ask(engine, "SELECT sum(x), typeof(any_value(x)) FROM shop.orders", table)) == [[2.5, "DOUBLE"]]


def test_a_table_without_data_is_empty_and_typed(engine, lake):
    table = table_of(lake, COLUMNS)
    run = ask(engine, "SELECT * FROM shop.orders", table)
    assert rows(run) == []
    assert [column.type for column in run.columns][:3] == ["integer", "string", "decimal(9,2)"]


def test_many_files_are_one_table(engine, lake):
    files = [write(lake, "shop", "many", [ID], [(number,)]) for number in range(60)]
    assert rows(ask(engine, "SELECT count(*), sum(id) FROM shop.orders", table_of(lake, [ID], *files))) == [[60, 1770]]


def test_a_missing_file_is_said_without_its_path(engine, lake):
    table = table_of(lake, [ID], lake / "gone.parquet")
    error = failure(Temporary, ask(engine, "SELECT * FROM shop.orders", table))
    assert "gone.parquet" not in error.detail + error.help
    assert "shop.orders" in error.detail


def test_a_broken_file_is_said_without_its_path(engine, lake):
    broken = lake / "broken.parquet"
    broken.write_bytes(b"PAR1" + b"x" * 100 + b"PAR1")
    error = failure(MeshError, ask(engine, "SELECT * FROM shop.orders", table_of(lake, [ID], broken)))
    assert str(lake) not in error.detail + error.help
    assert "/proc" not in error.detail + error.help


# Formats.


def test_arrow_and_parquet_hold_the_types_of_the_contract(engine, lake):
    row = (1, "x", "12.50", 0.5, "2013-01-02", "2013-01-02T03:04:05Z", True)
    table = table_of(lake, COLUMNS, write(lake, "shop", "typed", COLUMNS, [row]))
    stream = answer(ask(engine, "SELECT * FROM shop.orders", table, format="arrow"))
    arrow = pa.ipc.open_stream(stream).read_all()
    parquet = pq.read_table(pa.BufferReader(answer(ask(engine, "SELECT * FROM shop.orders", table, format="parquet"))))
    assert arrow.to_pylist() == parquet.to_pylist()
    assert [str(field.type) for field in arrow.schema] == [
        "int64", "string", "decimal128(9, 2)", "double", "date32[day]", "timestamp[us, tz=UTC]", "bool",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "type", "shown"),
    [
        ("CAST(1 AS TINYINT)", "integer", 1),
        ("9007199254740992", "integer", 9007199254740992),
        ("-9007199254740993", "integer", "-9007199254740993"),
        ("CAST(170141183460469231731687303715884105727 AS HUGEINT)", "integer", str(2**127 - 1)),
        ("CAST(18446744073709551615 AS UBIGINT)", "integer", str(2**64 - 1)),
        ("0.10", "decimal(3,2)", "0.10"),
        ("CAST(0.1 AS FLOAT)", "double", 0.1),
        ("CAST(1e300 AS DOUBLE)", "double", 1e300),
        ("CAST('-inf' AS DOUBLE)", "double", "-Infinity"),
        ("CAST('inf' AS DOUBLE)", "double", "Infinity"),
        ("CAST('nan' AS FLOAT)", "double", "NaN"),
        ("TIME '10:11:12.5'", "time", "10:11:12.5"),
        ("TIMESTAMP '2013-01-02 03:04:05'", "timestamp", "2013-01-02T03:04:05"),
        ("TIMESTAMPTZ '2013-01-02 03:04:05+02'", "timestamptz", "2013-01-02T01:04:05Z"),
        ("CAST('infinity' AS TIMESTAMPTZ)", "timestamptz", "infinity"),
        ("[1, 2]", "json", "[1,2]"),
        ("{'a': [1], 'b': 'ü'}", "json", '{"a":[1],"b":"ü"}'),
        ("MAP {'k': 1}", "json", '{"k":1}'),
        ("CAST('{\"a\": 1}' AS JSON)", "json", '{"a": 1}'),
        ("CAST('\\xFF' AS BLOB)", "binary", "/w=="),
        ("INTERVAL 3 DAY", "string", "3 days"),
        ("CAST('a' AS ENUM ('a', 'b'))", "string", "a"),
        ("UUID '00000000-0000-0000-0000-000000000001'", "string", "00000000-0000-0000-0000-000000000001"),
        ("NULL", "string", None),
        ("'\u2028 \"quoted\" \\ tab\t'", "string", '\u2028 "quoted" \\ tab\t'),
        ("true", "boolean", True),
    ],
)
def test_every_type_of_the_engine_has_a_place_in_every_format(engine, value, type, shown):
    run = ask(engine, f"SELECT {value} AS x")
    assert rows(run) == [[shown]]
    assert run.columns[0].type == type
    for format in ("csv", "arrow", "parquet"):
        if "HUGEINT" not in value or format == "csv":  # 2^127 - 1 has 39 digits; a decimal of Arrow has 38
            assert answer(ask(engine, f"SELECT {value} AS x", format=format))


NAN, INF = "CAST('nan' AS DOUBLE)", "CAST('inf' AS DOUBLE)"
NESTED = {
    f"[1.5, {NAN}, {INF}, -{INF}, NULL]": [1.5, "NaN", "Infinity", "-Infinity", None],
    f"{{'a': CAST({NAN} AS FLOAT), 'b': [{{'NaN': {INF}}}], 'c': -1e-7}}": {
        "a": "NaN",
        "b": [{"NaN": "Infinity"}],
        "c": -1e-7,
    },
    f"{{'a': 'NaN,\"NaN\": -Infinity \\', 'b': {NAN}, 'c': 'x' || chr(10) || ',NaN ', 'd': 'Infinity'}}": {
        "a": 'NaN,"NaN": -Infinity \\',
        "b": "NaN",
        "c": "x\n,NaN ",
        "d": "Infinity",
    },
    f"to_json({NAN})": "NaN",
    "CAST(' [NaN, \"NaN\"] ' AS JSON)": ["NaN", "NaN"],
}


@pytest.mark.parametrize("value", NESTED)
def test_numbers_that_json_does_not_know_are_texts_within_it_too(engine, value):
    def unknown(name):
        raise ValueError(name)

    sql = f"SELECT {value} AS x"
    arrow = pa.ipc.open_stream(answer(ask(engine, sql, format="arrow"))).read_all().to_pylist()
    texts = [rows(ask(engine, sql))[0][0], arrow[0]["x"]]
    texts += next(csv.reader(io.StringIO(answer(ask(engine, sql, format="csv")).decode().partition("\n")[2])))
    for text in texts:
        assert json.loads(text, parse_constant=unknown) == NESTED[value]


def test_names_of_columns_need_not_be_unique_or_plain(engine):
    run = ask(engine, 'SELECT 1 AS a, 2 AS a, 3 AS "c,""d"', format="csv")
    assert answer(run).decode() == 'a,a,"c,""d"\n1,2,3\n'
    arrow = pa.ipc.open_stream(answer(ask(engine, "SELECT 1 AS a, [2] AS a", format="arrow"))).read_all()
    assert arrow.schema.names == ["a", "a"]


def test_a_row_of_thousands_of_columns_comes_in_every_format(engine):
    width = 3000
    sql = "SELECT " + ", ".join(f"{n} AS a{n}" if n % 2 else f"'x,{n}' AS a{n}" for n in range(width))
    wanted = [n if n % 2 else f"x,{n}" for n in range(width)]
    assert rows(ask(engine, sql)) == [wanted]
    written = list(csv.reader(io.StringIO(answer(ask(engine, sql, format="csv")).decode())))
    assert written == [[f"a{n}" for n in range(width)], list(map(str, wanted))]
    arrow = pa.ipc.open_stream(answer(ask(engine, sql, format="arrow"))).read_all()
    assert list(arrow.to_pylist()[0].values()) == wanted


def test_order_survives_a_limit_and_every_format(engine, lake):
    table = table_of(lake, [ID], write(lake, "shop", "order", [ID], [(number,) for number in range(200_000)]))
    sql = "SELECT id FROM shop.orders ORDER BY id % 1000, id DESC"
    wanted = sorted(range(200_000), key=lambda number: (number % 1000, -number))
    assert [row[0] for row in rows(ask(engine, sql, table, limit=500))] == wanted[:500]
    assert list(map(int, answer(ask(engine, sql, table, format="csv")).split()[1:])) == wanted
    arrow = pa.ipc.open_stream(answer(ask(engine, sql, table, format="arrow"))).read_all()
    assert arrow["id"].to_pylist() == wanted


def test_comments_and_semicolons_at_the_end_do_no_harm(engine):
    for end in ("-- c", ";", "; -- c", "/* c */ ;;", "\n--x\n"):
        assert rows(ask(engine, f"SELECT '-- ; ' AS a, [1] AS b {end}")) == [["-- ; ", "[1]"]]


# Plans, and the catalog.


@pytest.mark.parametrize("word", ["EXPLAIN", "explain /* why */ analyze", "EXPLAIN ANALYZE"])
def test_a_plan_names_no_place_of_the_lake(engine, lake, word):
    table = table_of(lake, [ID], write(lake, "shop", "plan", [ID], [(1,)]))
    text = answer(ask(engine, f"{word} SELECT * FROM shop.orders WHERE id > 0", table)).decode()
    assert "Projection" in text or "Scan" in text or "PARQUET" in text
    assert "lake" not in text
    assert ".parquet" not in text


def test_information_schema_holds_what_is_visible_and_nothing_else(engine, lake):
    columns = [ID, TEXT, Column("ä'\"ö", "object", required=True, id=3)]
    seen = recorded(table_of(lake, columns, product="open", table="seen"))
    sql = """SELECT table_schema, table_name, column_name, ordinal_position, is_nullable, data_type, column_default
        FROM information_schema.columns ORDER BY ALL"""
    assert rows(ask(engine, sql, visible=(seen,))) == [
        ["open", "seen", "id", 1, "YES", "BIGINT", None],
        ["open", "seen", "text", 2, "YES", "VARCHAR", None],
        ["open", "seen", "ä'\"ö", 3, "NO", "JSON", None],
    ]
    for name in ("tables", "schemata"):
        found = rows(ask(engine, f"SELECT count(*) FROM mesh.information_schema.{name}", visible=(seen,)))
        assert found == [[1]]
    for name in ("schemata", "tables", "columns"):
        assert rows(ask(engine, f"SELECT count(*) FROM information_schema.{name}", visible=())) == [[0]]


def test_information_schema_over_thousands_of_tables(engine, lake):
    columns = [ID, Column("at", "timestamp", options={"timezone": True}, id=2), Column("text", id=3)]
    made = table_of(lake, columns)
    visible = tuple(recorded(replace(made, product=f"p{number}")) for number in range(3000))
    sql = """SELECT (SELECT count(*) FROM information_schema.schemata),
        (SELECT count(*) FROM information_schema.tables), count(*), count(DISTINCT table_schema), min(column_default),
        max(ordinal_position), list(DISTINCT data_type ORDER BY data_type) FROM information_schema.columns"""
    found = rows(ask(engine, sql, visible=visible))
    assert found == [[3000, 3000, 9000, 3000, None, 3, '["BIGINT","TIMESTAMP WITH TIME ZONE","VARCHAR"]']]


# Workers.


def test_a_worker_never_serves_two_users(engine, lake):
    table = table_of(lake, [ID], write(lake, "shop", "users", [ID], [(1,)]))
    seen = {}
    for user in ("u1", "u2", "u1", "u3", "u1"):
        run = ask(engine, "SELECT * FROM shop.orders", table, user=user)
        run.open()
        seen.setdefault(run._worker.pid, set()).add(user)
        list(run.chunks())
    assert all(len(users) == 1 for users in seen.values())


def test_a_worker_is_used_again_only_over_the_same_files(engine, lake):
    old = table_of(lake, [ID], write(lake, "shop", "again", [ID], [(1,)]))
    new = table_of(lake, [ID], write(lake, "shop", "again", [ID], [(2,)]))
    user, sql, pids = idle_user(engine), "SELECT * FROM shop.orders", []
    for table, wanted in ((old, 1), (old, 1), (new, 2), (old, 1)):
        run = ask(engine, sql, table, user=user)
        run.open()
        pids.append(run._worker.pid)
        assert json.loads(b"[" + b"".join(run.chunks())[1:] + b"]") == [[wanted]]
    assert pids[0] == pids[1] == pids[3] != pids[2]


def test_the_template_forks_with_one_thread(engine):
    answer(ask(engine, "SELECT 1"))
    assert len(list(Path(f"/proc/{engine.pool._template.pid}/task").iterdir())) == 1


def test_workers_have_an_empty_environment_and_no_file_but_their_own(engine, lake):
    table = table_of(lake, [ID], write(lake, "shop", "fds", [ID], [(1,)]))
    run = ask(engine, "SELECT * FROM shop.orders", table, user=idle_user(engine))
    run.open()
    place = Path(f"/proc/{run._worker.pid}")
    names = {entry.split("=")[0] for entry in (place / "environ").read_text().split("\0") if entry}
    opened = [str(link.readlink()) for link in (place / "fd").iterdir()]
    list(run.chunks())
    ours = {"OPENBLAS_NUM_THREADS", "JE_ARROW_MALLOC_CONF", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
    assert names <= ours | {"TZ", "LC_ALL", "LD_LIBRARY_PATH"}
    strange = [one for one in opened if not one.startswith((str(lake), "/dev/null", "socket:"))]
    assert strange == []
    assert sum(one.startswith("socket:") for one in opened) == 1


def test_a_killed_worker_is_said_and_replaced(engine, lake):
    table = table_of(lake, [ID], write(lake, "shop", "killed", [ID], [(number,) for number in range(100_000)]))
    run = ask(engine, "SELECT a.id FROM shop.orders a, shop.orders b", table, format="csv")
    run.open()
    os.kill(run._worker.pid, signal.SIGKILL)
    with pytest.raises(Refused):
        list(run.chunks())
    assert rows(ask(engine, "SELECT count(*) FROM shop.orders", table)) == [[100_000]]


def test_a_killed_template_is_replaced(engine):
    engine.pool._template.kill()
    engine.pool._template.wait()
    for number in range(4):
        assert rows(ask(engine, f"SELECT {number}", user=f"after{number}")) == [[number]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT len(repeat(repeat('x', 100000), 20000)) + count(*) FROM range(10)",
        "SELECT list(range) FROM range(1000000000)",
        "SELECT sum(len(l)) FROM (SELECT generate_series(1, 100000000) AS l FROM range(1000))",
        "SELECT string_agg(repeat('x', 100000), '') FROM range(1000000)",
    ],
)
def test_a_memory_bomb_ends_itself_and_nothing_else(engine, lake, sql):
    error = failure(MeshError, ask(engine, sql, user="bomber"))
    assert error.status == 422
    assert "memory" in error.detail + error.help
    assert rows(ask(engine, "SELECT 42", user="bystander")) == [[42]]


def test_a_huge_answer_is_streamed_with_flat_memory(engine, lake):
    table = table_of(lake, [ID], write(lake, "shop", "huge", [ID], [(number,) for number in range(3000)]))
    for format in ("arrow", "csv", "parquet"):
        run = ask(engine, "SELECT a.id, b.id, 'some text' FROM shop.orders a, shop.orders b", table, format=format)
        run.open()
        place, peak, size = Path(f"/proc/{run._worker.pid}/status"), 0, 0
        for piece in run.chunks():
            size += len(piece)
            lines = place.read_text().splitlines()
            peak = max(peak, next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
        assert run.rows == 9_000_000
        assert peak < 400_000, f"{format}: {size} bytes, peak {peak} kB"


LATE = "CASE WHEN range = 900000 THEN {} ELSE '1' END"


@pytest.mark.parametrize("format", ["csv", "arrow", "parquet", "json"])
@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (f"CAST({LATE.format(repr('x'))} AS INTEGER)", "Could not convert string 'x'"),
        (LATE.format("error('at /proc/self/fd/3')"), "at a data file"),
        (f"repeat({LATE.format('repeat(chr(120), 1000000)')}, 10000)", "memory"),
    ],
)
def test_what_fails_late_is_said_as_what_fails_at_once(engine, sql, said, format):
    run = ask(engine, f"SELECT {sql} FROM range(1000000)", format=format)
    error = failure(Refused, run)
    assert said in error.detail
    assert "LINE" not in error.detail


def test_sorting_more_than_memory_spills(engine):
    sql = "SELECT range AS a, md5(CAST(range AS VARCHAR)) AS b FROM range(6000000) ORDER BY b"
    run = ask(engine, f"SELECT count(*) FROM ({sql} LIMIT 5999999)", seconds=300)
    assert rows(run) == [[5_999_999]]


def test_nobody_may_wait_without_end(lake):
    with closing(DuckdbEngine(workers=2, memory=MEMORY, lake=lake, spare=0)) as engine:
        engine.queue.per_user = 2
        runs = [ask(engine, "SELECT sleep_ms(60000)", user="many") for _ in range(5)]
        errors = []
        done = threading.Semaphore(0)

        def read(run):
            try:
                answer(run)
            except MeshError as error:
                errors.append(error.status)
            done.release()

        threads = [threading.Thread(target=read, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        assert done.acquire(timeout=60)
        assert errors == [429]
        for run in runs:
            run.stop("stopping")
        for thread in threads:
            thread.join(60)


def slowed(times):
    """Give the time of a clock that goes slower than others."""
    return time.monotonic() / times


@pytest.mark.parametrize(("user", "said"), [("busy", "Your own statements and downloads hold 2"), ("other", "less is")])
def test_who_waited_in_vain_is_told_who_holds_the_workers(lake, user, said):
    slow = partial(slowed, 50)  # half a second makes a statement a long one, beside which others run
    with closing(DuckdbEngine(workers=2, memory=MEMORY, lake=lake, spare=0, clock=slow)) as engine:
        runs = [ask(engine, ENDLESS_ANSWER, format="csv", user="busy") for _ in range(2)]
        for run in runs:
            run.open()
        with pytest.raises(Temporary, match="No worker was free") as told:
            ask(engine, "SELECT 1", user=user, seconds=0.01).open()
        assert said in told.value.help
        for run in runs:
            run.close()


class Later:
    """A clock that can be set forward by hand."""

    def __init__(self):
        self._ahead = 0.0

    def __call__(self):
        return time.monotonic() + self._ahead

    def go(self, seconds):
        self._ahead += seconds


@pytest.fixture(scope="module")
def later():
    return Later()


@pytest.fixture(scope="module")
def clocked(lake, later):
    with closing(DuckdbEngine(workers=2, memory=MEMORY, lake=lake, clock=later)) as made:
        yield made


ENDLESS_ANSWER = "SELECT repeat('x', 1000) FROM range(1000000000)"


@pytest.mark.parametrize("seconds", [30.0, 6 * 3600.0])
def test_a_reader_who_stops_reading_gives_its_worker_back(clocked, later, seconds):
    run = ask(clocked, ENDLESS_ANSWER, format="csv", user="gone", seconds=seconds)
    run.open()
    pieces = run.chunks()
    reading = len(next(pieces)) / (64 << 10)
    later.go(59 + reading)
    run.judge(later())
    assert clocked.queue.counts()["running"] == 1
    later.go(2)
    run.judge(later())
    assert clocked.queue.counts()["running"] == 0
    with pytest.raises(Temporary, match="not taken"):
        list(pieces)


def test_a_reader_may_read_for_long_what_its_system_took_at_once(clocked, later):
    run = ask(clocked, ENDLESS_ANSWER, format="csv", user="throttled")
    run.open()
    with closing(run):
        pieces = run.chunks()
        taken = 0
        while taken < 40 << 20:
            taken += len(next(pieces))
        later.go(60 + 250)
        run.judge(later())
        assert clocked.queue.counts()["running"] == 1
        later.go(10)
        run.judge(later())
        assert clocked.queue.counts()["running"] == 0


def test_a_reader_who_hardly_moves_gives_its_worker_back(clocked, later):
    run = ask(clocked, ENDLESS_ANSWER, format="csv", user="slow")
    run.open()
    taken = _read_slowly(run, later, 50)
    assert taken < 50 << 20


def test_a_reader_on_a_slow_line_may_take_hours_but_not_for_ever(clocked, later):
    run = ask(clocked, ENDLESS_ANSWER, format="csv", user="modem")
    run.open()
    began = later()
    _read_slowly(run, later, 50, taking=5_000_000)
    assert 5.9 * 3600 < later() - began < 6.1 * 3600


def _read_slowly(run, later, pause, taking=0):
    """Read with pauses until the engine ends it; `taking` counts as read beside each piece. Gives the bytes read."""
    taken = 0
    with closing(run), pytest.raises(Temporary, match="not taken"):  # noqa: PT012
        for piece in run.chunks():
            taken += len(piece)
            run._taken += taking
            later.go(pause)
            run.judge(later())
    return taken


def test_workers_die_with_a_server_that_is_killed(lake):
    program = (
        "import sys; from pathlib import Path; from thinmesh.adapters.duckdb.query.engine import DuckdbEngine\n"
        "from thinmesh.planes.query.backend import Job; from thinmesh.planes.query.model import Binding\n"
        f"engine = DuckdbEngine(workers=2, memory={MEMORY}, lake=Path({str(lake)!r}))\n"
        "run = engine.submit(Job('a', 'SELECT sleep_ms(600000)', 'json', None, 600, lambda _: Binding()))\n"
        "import threading; threading.Thread(target=run.open, daemon=True).start()\n"
        "while run._worker is None or not run._worker.key: pass\n"
        "print(engine.pool._template.pid, run._worker.pid, flush=True); sys.stdin.read()\n"
    )
    server = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in server.stdout.readline().split()]
    watched = [os.pidfd_open(pid) for pid in pids]
    server.kill()
    server.communicate()
    for descriptor in watched:
        # A pidfd turns readable when its process has ended (pidfd_open(2)).
        assert select.select([descriptor], [], [], 60)[0]
        os.close(descriptor)


@pytest.mark.parametrize("changes", [3, 40])
def test_files_of_many_layouts_are_read_in_order(engine, lake, changes):
    layouts = ([ID, Column("t", id=2)], [Column("t", id=2), ID], [Column("u", "number", id=1)])
    values = ([1, "a"], ["b", 2], [3.0])
    files = [write(lake, "shop", "mixed", layouts[n % 3], [values[n % 3]]) for n in range(changes)]
    table = table_of(lake, (ID, Column("now", id=2), Column("late", "object", id=5)), *files)
    wanted = [[[1, "a", None], [2, "b", None], [3, None, None]][n % 3] for n in range(changes)]
    assert rows(ask(engine, "SELECT * FROM shop.orders", table)) == wanted


def test_json_text_is_json_and_what_is_not_is_a_string(engine, lake):
    column = Column("o", "object", id=1)
    table = table_of(lake, [column], write(lake, "shop", "json", [column], [('{"a": [1]}',), ("broken {",), (None,)]))
    run = ask(engine, "SELECT o, o->'a'->>0, typeof(o) FROM shop.orders", table)
    assert rows(run) == [['{"a": [1]}', "1", "JSON"], ['"broken {"', None, "JSON"], [None, None, "JSON"]]
    assert run.columns[0].type == "json"


def test_statistics_survive_so_that_joins_are_ordered(engine, lake):
    big = table_of(lake, [ID], write(lake, "shop", "big", [ID], [(n,) for n in range(50_000)]), table="big")
    plan = answer(ask(engine, "EXPLAIN SELECT * FROM shop.big WHERE id >= 0", big)).decode()
    assert "~50,000 rows" in plan


def test_a_worker_whose_memory_a_statement_took_while_it_was_read_serves_no_other(lake):
    with closing(DuckdbEngine(workers=2, memory=64 << 20, lake=lake)) as small:
        error = failure(Refused, ask(small, f"SELECT {', '.join(['round(1, 2)'] * 20_000)}"))
        assert "memory" in str(error)
        assert small.pool.counts()["idle"] == 0
        assert rows(ask(small, "SELECT 1")) == [[1]]


def test_a_refused_statement_costs_no_worker(engine, lake):
    user = idle_user(engine)
    answer(ask(engine, "SELECT 1", user=user))
    before = engine.pool.counts()["started"]
    for sql in ("SELEC 1", "DROP TABLE x", "SELECT * FROM nowhere", "SELECT getenv('x')"):
        failure(Refused, ask(engine, sql, user=user))
    assert rows(ask(engine, "SELECT 2", user=user)) == [[2]]
    assert engine.pool.counts()["started"] == before


# What a worker is bound to.


def bound(engine, sql, table, *others, user):
    return engine.submit(Job(user, sql, "json", None, 120.0, lambda _: Binding((table,), others=others)))


def test_statements_over_different_tables_of_a_product_share_a_worker(engine, lake):
    orders = table_of(lake, [ID], write(lake, "shop", "orders", [ID], [(1,)]))
    items = table_of(lake, [ID], write(lake, "shop", "items", [ID], [(2,)]), table="items")
    user = idle_user(engine)
    assert rows(bound(engine, "SELECT * FROM shop.orders", orders, items, user=user)) == [[1]]
    before = engine.pool.counts()["started"]
    assert rows(bound(engine, "SELECT * FROM shop.items", items, orders, user=user)) == [[2]]
    assert engine.pool.counts()["started"] == before


def test_a_missing_file_is_the_matter_of_those_who_name_its_table(engine, lake):
    orders = table_of(lake, [ID], write(lake, "shop", "orders", [ID], [(1,)]))
    lost = table_of(lake, [ID], lake / "gone.parquet", table="lost")
    user = idle_user(engine)
    assert rows(bound(engine, "SELECT * FROM shop.orders", orders, lost, user=user)) == [[1]]
    assert "shop.lost" in failure(Temporary, bound(engine, "SELECT * FROM shop.lost", lost, orders, user=user)).detail
    assert rows(bound(engine, "SELECT * FROM shop.orders", orders, lost, user=user)) == [[1]]


def test_a_table_that_may_be_read_no_more_is_in_no_worker(engine, lake):
    orders = table_of(lake, [ID], write(lake, "shop", "orders", [ID], [(1,)]))
    closed = table_of(lake, [ID], write(lake, "vault", "gold", [ID], [(3,)]), product="vault", table="gold")
    user = idle_user(engine)
    assert rows(bound(engine, "SELECT * FROM vault.gold", closed, orders, user=user)) == [[3]]
    # The statement is let through as one that names only what is still allowed: the worker must not know more.
    failure(Refused, bound(engine, "SELECT * FROM vault.gold", orders, user=user))


def test_engines_on_one_home_do_not_take_each_other_s_scratch(lake, tmp_path):
    scratch = tmp_path / "scratch"
    spilling = "SELECT count(DISTINCT range::text || 'x') FROM range(6000000)"
    with closing(DuckdbEngine(workers=2, memory=64 << 20, lake=lake, scratch=scratch, spare=0)) as first:
        with closing(DuckdbEngine(workers=2, memory=64 << 20, lake=lake, scratch=scratch, spare=0)) as second:
            assert len(list(scratch.iterdir())) == 2
            assert rows(ask(second, "SELECT 1")) == [[1]]
        assert len(list(scratch.iterdir())) == 1
        assert rows(ask(first, spilling)) == [[6_000_000]]
    assert not list(scratch.iterdir())
