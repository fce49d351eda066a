"""Bombs in consumers' SQL: each ends by itself or is ended, and harms neither the server nor the next to ask."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from thinmesh.adapters.duckdb.query.engine import DuckdbEngine
from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.policy import Principal
from thinmesh.planes.query.model import ReadableTable
from thinmesh.planes.query.operations import Queries

from .query_world import Catalog, MemoryLog, write

BOMBER, ANN = Principal("bomber"), Principal("ann")
COLUMNS = (Column("id", "integer", id=1), Column("text", id=2))
MEMORY = 256 << 20
DEEP = 10_000


def deep(begin, middle, end=""):
    return "SELECT " + begin * DEEP + middle + end * DEEP


BOMBS = {
    # Time.
    "cross join": "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = -1",
    "endless recursion": "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 - 1 FROM r) SELECT count(*) FROM r",
    "series": "SELECT count(*) FROM generate_series(1, 9000000000000000000)",
    "series of times": "SELECT count(*) FROM generate_series(TIMESTAMP '0001-01-01', '9999-01-01', INTERVAL 1 SECOND)",
    "repeated row": "SELECT count(*) FROM repeat(1, 9000000000000000000)",
    "sleep": "SELECT sleep_ms(600000)",
    "unnest": "SELECT count(*) FROM (SELECT unnest(range(10000000)) FROM range(1000000))",
    "tables grown by doubling": "WITH "
    + ", ".join(f"w{n} AS (SELECT * FROM {f'w{n - 1} a, w{n - 1} b' if n else 'shop.orders'})" for n in range(24))
    + " SELECT count(*) FROM w23",
    # Functions that look at no interrupt.
    "levenshtein": "SELECT levenshtein(repeat('ab', 300000), repeat('ba', 300000))",
    "damerau": "SELECT damerau_levenshtein(repeat('ab', 30000), repeat('ba', 30000))",
    "jaccard": "SELECT jaccard(repeat('ab', 50000000), repeat('ba', 50000000))",
    "regular expression": "SELECT count(*) FROM range(1000000) WHERE regexp_matches(repeat('a', range), '(a|aa)*b')",
    "lpad": "SELECT lpad('x', 1000000000, 'y')",
    "bitstring": "SELECT bitstring('1', 2000000000)",
    "translate": "SELECT length(translate(repeat('a', 100000000), 'a', 'b'))",
    "strftime": "SELECT strftime(now(), repeat('%A', 30000000))",
    "split": "SELECT len(string_split(repeat('x,', 50000000), ','))",
    "url": "SELECT length(url_encode(repeat('é', 50000000)))",
    "replace": "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000)))",
    # Memory.
    "one text": "SELECT string_agg(repeat('x', 100000), '') FROM range(1000000)",
    "printf": "SELECT printf('%1000000000d', 1)",
    "format": "SELECT format('{:1000000000}', 1)",
    "one list": "SELECT list_aggregate(range(300000000), 'sum')",
    "list reduced": "SELECT list_reduce(range(1, 100000000), lambda a, b: a + b)",
    "list sorted": "SELECT list_sort(list_transform(range(30000000), lambda x: hash(x)))[1]",
    "map": "SELECT map_from_entries(list_transform(range(10000000), lambda x: {'k': x, 'v': x}))[1]",
    "text grown by doubling": "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM r) SELECT max(s) FROM r",
    "window of lists": "SELECT max(x) FROM (SELECT list(range) OVER (ORDER BY range) x FROM range(100000))",
    "groups": "SELECT count(*) FROM (SELECT md5(range::VARCHAR) b FROM range(90000000) GROUP BY b)",
    "sort": "SELECT b FROM (SELECT md5(range::VARCHAR) b FROM range(90000000)) ORDER BY b OFFSET 89999999",
    "hash join": "SELECT count(*) FROM range(90000000) a JOIN range(90000000) b ON hash(a.range) = hash(b.range)",
    "histogram": "SELECT histogram(range) FROM range(90000000)",
    "JSON array": "SELECT json_group_array(repeat('x', 1000000)) FROM range(1000)",
    "array": "SELECT range(100000000)::INT[100000000]",
    "sketch": "SELECT approx_top_k(range, 999999999) FROM range(10)",
    # Answers.
    "one giant cell": "SELECT repeat('x', 400000000)",
    "giant cells": "SELECT repeat('x', 20000000) FROM range(100000)",
    "giant rows": "SELECT " + ", ".join(["repeat('x', 1000000)"] * 100) + " FROM range(100000)",
    "columns by tens": "SELECT * FROM " + "(SELECT *, *, *, *, *, *, *, *, *, * FROM " * 6 + "shop.orders" + ")" * 6,
    "columns": "SELECT " + ",".join(["*"] * 200_000) + " FROM shop.orders",
    # Errors.
    "giant error": "SELECT error(repeat('x', 20000000))",
    "giant cast": "SELECT CAST(repeat(text, 20000000) AS INTEGER) FROM shop.orders",
    "giant advice": "SELECT error('Candidate bindings: ' || repeat('x', 5000000))",
    "giant path": "SELECT error(repeat('/a', 2000000))",
    # Nesting.
    "parentheses": deep("(", "1", ")"),
    "brackets": deep("[", "1", "]"),
    "structs": deep("{'a': ", "1", "}"),
    "cases": deep("CASE WHEN true THEN ", "1", " END"),
    "calls": deep("abs(", "1", ")"),
    "lambdas": deep("list_transform([1], lambda x: ", "x", ")"),
    "minus": deep("- ", "1"),
    "not": deep("NOT ", "true"),
    "casts": deep("", "1", "::INT"),
    "methods": deep("", "'x'", ".lower()"),
    "types": "SELECT NULL::" + "STRUCT(a " * DEEP + "INT" + ")" * DEEP,
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * DEEP + "shop.orders" + ")" * DEEP,
    "scalar subqueries": deep("(SELECT ", "1", ")"),
    "joins": "SELECT * FROM shop.orders o0" + "".join(f", shop.orders o{n}" for n in range(1, 2000)),
    "explained": "EXPLAIN " + deep("(", "1", ")"),
    # Length.
    "unions": " UNION ALL ".join(["SELECT 1"] * DEEP),
    "sums": "SELECT " + "+".join(["1"] * 100_000),
    "conditions": "SELECT * FROM shop.orders WHERE " + " AND ".join(["id > 0"] * DEEP),
    "either": "SELECT * FROM shop.orders WHERE " + " OR ".join(f"id = {n}" for n in range(DEEP)),
    "list of values": "SELECT * FROM shop.orders WHERE id IN (" + ",".join(map(str, range(100_000))) + ")",
    "parameters": "SELECT " + ",".join(f"${n}" for n in range(1, 100_000)),
    "statements": "SELECT 1;" * 100_000,
    "comments": "SELECT 1 FROM nothing " + "/*" * DEEP + "*/" * DEEP,
    "a table's name": f'SELECT * FROM "{"x" * 900_000}".y',
    "a function's name": f"SELECT {'x' * 900_000}()",
    "a column's name": f'SELECT "{"x" * 900_000}" FROM shop.orders',
    "10 MB": "SELECT '" + "x" * 10_000_000 + "'",
    "10 MB of spaces": "SELECT " + " " * 10_000_000 + "1",
    # Text that is none.
    "NUL": "SELECT 'a\0b'",
    "half a character": "SELECT '\ud800'",
    "only marks": "\u200b\u202e\ufeff",
    "nothing": "",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    place = tmp_path_factory.mktemp("bombs")
    lake, scratch = place / "lake", place / "scratch"
    with closing(DuckdbEngine(workers=2, memory=MEMORY, lake=lake, scratch=scratch, scratch_bytes=512 << 20)) as engine:
        table = write(lake, "shop", "orders", COLUMNS, [(1, "a"), (2, "b")])
        yield engine, Catalog([ReadableTable("shop", "orders", COLUMNS, "p1", (table,))])


@pytest.fixture(scope="module")
def bombs(engine):
    """Where bombs are thrown: half a second each, so that many can be."""
    return Queries(*engine, MemoryLog(), seconds=0.5)


@pytest.fixture(scope="module")
def queries(engine):
    return Queries(*engine, MemoryLog())


def _memory(name):
    """Give VmRSS or VmHWM of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) >> 10


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_and_harms_nobody(bombs, queries, name, record_property):
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc_pid_clear_refs(5))
    began, faults = time.monotonic(), []
    try:
        execution = bombs.run(BOMBER, BOMBS[name], format="csv")
        with closing(execution):
            for _ in execution.chunks():
                pass
        faults.append("it ran to its end")
    except MeshError as error:
        if error.status not in (400, 404, 413, 422):
            faults.append(f"{error.status}: {error.detail}")
        if len(error.detail + error.help) > 5000:
            faults.append("its error is as large as itself")
    if time.monotonic() - began > 60:  # half a second, and what a busy machine adds
        faults.append("it was not ended in time")
    if _memory("VmHWM") - before > 100:
        faults.append(f"the server's memory grew by {_memory('VmHWM') - before} MB")
    if b"[2]" not in queries.run(ANN, "SELECT count(*) FROM shop.orders").read():
        faults.append("the next to ask got no answer")
    record_property("held", ("SQL bombs", 1, int(not faults)))
    assert not faults, faults
