"""Random statements that name open and closed products in many spellings: nothing of a closed one ever comes back."""

import os
from contextlib import closing
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.integration.query_world import Catalog, MemoryLog, write
from thinmesh.adapters.duckdb.query.engine import DuckdbEngine
from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.policy import Principal
from thinmesh.planes.query.model import ReadableTable
from thinmesh.planes.query.operations import Queries

ANN = Principal("ann")
# Planted in the rows of the closed product, in its statistics, and nowhere else; 77077 is its number.
MARK, NUMBER = "zqmarkqz", 770_770_077
STATEMENTS = 25 * int(os.environ.get("THINMESH_TORTURE_POINTS", "20"))
SEED = int(os.environ.get("THINMESH_TORTURE_SEED", "1"))

noise = st.sampled_from([" ", "  ", "\n", "/**/", "/* shop.orders */", " -- vault\n", "\t"])


@st.composite
def spelled(draw, word):
    """Write a name in one of its spellings: case, quotes, letters that look alike, escapes."""
    sound = ["plain", "upper", "mixed", "quoted", "QUOTED"]
    kind = draw(st.sampled_from(sound * 8 + ["escaped", "wide", "text"]))
    return {
        "plain": word,
        "upper": word.upper(),
        "mixed": "".join(letter.upper() if n % 2 else letter for n, letter in enumerate(word)),
        "quoted": f'"{word}"',
        "QUOTED": f'"{word.upper()}"',
        "escaped": f'U&"\\{ord(word[0]):04x}{word[1:]}"',
        "wide": "".join(chr(ord(letter) + 0xFEE0) for letter in word),
        "text": f"'{word}'",
    }[kind]


@st.composite
def named(draw):
    """Name a table, of the open product or of the closed one."""
    schema, table = draw(st.sampled_from([("shop", "orders")] * 3 + [("vault", "secrets")]))
    whole = draw(st.sampled_from(["two"] * 12 + ["three"] * 4 + ["one", "dotted", "other"]))
    dot = draw(st.sampled_from([".", ".", ".", " . ", "/**/./**/"]))
    parts = [draw(spelled(schema)), draw(spelled(table))]
    if whole == "three":
        parts.insert(0, draw(spelled("mesh")))
    elif whole == "other":
        parts.insert(0, draw(st.sampled_from(["memory", "system", "temp", "main", "mesh.mesh"])))
    elif whole == "one":
        parts = [parts[1]]
    elif whole == "dotted":
        return draw(st.sampled_from(['"{}.{}"', "'{}.{}'", 'mesh."{}.{}"'])).format(schema, table)
    return dot.join(parts)


files = st.sampled_from(["'{place}/closed.parquet'", "read_parquet('{place}/closed.parquet')", "'{place}/*.parquet'",
                         "read_text('{place}/closed.csv')", "'{place}/closed.csv'", "glob('{place}/*')",
                         "parquet_metadata('{place}/closed.parquet')", "duckdb_views()", "sqlite_master",
                         "information_schema.columns", "information_schema.tables", "pg_catalog.pg_class",
                         "query('FROM vault.secrets')", "query_table('vault.secrets')"])  # fmt: skip


@st.composite
def source(draw, depth):
    """Write what may stand after FROM."""
    kind = draw(
        st.sampled_from(["table"] * 12 + ["file", "query", "join", "lateral", "pivot", "unpivot", "cte", "values"])
    )
    if kind == "table" or depth <= 0:
        return draw(named()) + draw(
            st.sampled_from([""] * 6 + [" AS shop", " t", " AS orders(a, b)", " TABLESAMPLE 100%"])
        )
    if kind == "file":
        return draw(files)
    if kind == "query":
        return f"({draw(query(depth - 1))}) q"
    if kind == "join":
        how = draw(st.sampled_from(["CROSS JOIN", ",", "NATURAL JOIN", "POSITIONAL JOIN", "NATURAL FULL JOIN"]))
        return f"{draw(source(depth - 1))} {how} {draw(source(depth - 1))}"
    if kind == "lateral":
        return f"{draw(named())} l, LATERAL ({draw(query(depth - 1))}) r"
    if kind == "pivot":
        return f"(PIVOT {draw(named())} ON id IN (1, 2) USING max(text))"
    if kind == "unpivot":
        return f"(UNPIVOT {draw(named())} ON text INTO NAME n VALUE v)"
    if kind == "cte":
        name = draw(st.sampled_from(["secrets", "orders", '"vault.secrets"', "vault", "w"]))
        return f"(WITH {name} AS ({draw(query(depth - 1))}) FROM {draw(st.sampled_from([name, draw(named())]))}) c"
    return f"(VALUES (({draw(query(depth - 1))})))"


FORMS = """({})|({})::INT|error(({})::VARCHAR)|EXISTS ({})|1 IN ({})|ARRAY({})|{{'a': ({})}}|TRY(({})::INT)
|list_transform([1], lambda x: ({}))|CASE WHEN EXISTS ({}) THEN error('x') END|max(text) FILTER (1 IN ({}))
|COLUMNS(lambda c: c IN ({}))|count(*) OVER (ORDER BY ({}))|'x' || ({})""".split("|")


@st.composite
def value(draw, depth):
    """Write an expression, which may look into another table."""
    if depth <= 0:
        return draw(st.sampled_from(["*"] * 6 + ["1", "COLUMNS(*)", "text", "vault.secrets.text"]))
    inner = draw(query(depth - 1))
    form = draw(st.sampled_from(["*"] * 9 + FORMS))
    return form.format(inner)


@st.composite
def query(draw, depth):
    """Write a statement, or a part of one."""
    gap = draw(noise)
    form = draw(st.sampled_from(["select"] * 8 + ["from", "table", "union", "with", "where", "order", "limit"]))
    if form == "from":
        return f"FROM{gap}{draw(source(depth))}"
    if form == "table":
        return f"TABLE{gap}{draw(named())}"
    body = f"SELECT{gap}{draw(value(min(depth, draw(st.integers(0, 1)))))} FROM{gap}{draw(source(depth))}"
    if depth <= 0 or form == "select":
        return body
    other = draw(query(depth - 1))
    return {
        "union": f"{body} {draw(st.sampled_from(['UNION ALL', 'UNION BY NAME', 'EXCEPT', 'INTERSECT']))} {other}",
        "with": f"WITH {draw(st.sampled_from(['secrets', 'orders', 'vault', 'w']))} AS ({other}) {body}",
        "where": f"{body} WHERE text IN ({other})",
        "order": f"{body} ORDER BY ({other})",
        "limit": f"{body} LIMIT ({other})",
    }[form]


@st.composite
def statement(draw):
    """Write a whole statement."""
    before = draw(
        st.sampled_from([""] * 16 + ["EXPLAIN ", "EXPLAIN ANALYZE ", "SUMMARIZE ", "DESCRIBE ", "SELECT 1; "])
    )
    after = draw(st.sampled_from([""] * 12 + [";", " -- vault", "; TABLE vault.secrets"]))
    return before + draw(query(draw(st.integers(0, 2)))) + after


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    place = tmp_path_factory.mktemp("grammar")
    columns = (Column("id", "integer", id=1), Column("text", id=2))
    opened = write(place / "lake", "shop", "orders", columns, [(1, "a"), (2, "b")])
    closed = write(place / "lake", "vault", "secrets", columns, [(NUMBER, MARK), (1, MARK)])
    (place / "closed.parquet").write_bytes(closed.read_bytes())
    (place / "closed.csv").write_text(f"id,text\n{NUMBER},{MARK}\n")
    catalog = Catalog(
        [
            ReadableTable("shop", "orders", columns, "p1", (opened,)),
            ReadableTable("vault", "secrets", columns, "p1", (closed,)),
        ],
        closed=["vault"],
    )
    log = MemoryLog()
    with closing(DuckdbEngine(workers=2, memory=256 << 20, lake=place / "lake")) as engine:
        yield Queries(engine, catalog, log, seconds=20), place, log


def told(queries, sql, format):
    """Give all that comes back of a statement (rows, names and types of columns, or the error), and whether it ran."""
    try:
        with queries.run(ANN, sql, format=format, limit=100) as execution:
            answer = b"".join(execution.chunks())
            columns = str([asdict(column) for column in execution.columns])
    except MeshError as error:
        if error.status not in (403, 404, 422):
            raise AssertionError(f"{error.status} {error.detail}") from error
        return error.detail + error.help, False
    if format == "parquet":
        table = pq.ParquetFile(pa.BufferReader(answer)).read()
        answer = str([column.to_pylist() for column in table.columns]).encode()
    return answer.decode(errors="replace") + columns, True


def test_no_statement_of_the_grammar_gives_anything_of_a_closed_product(world, record_property):
    queries, place, log = world
    tried, ran, leaked = 0, 0, 0

    @seed(SEED)
    @settings(
        max_examples=STATEMENTS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(statement(), st.sampled_from(["json", "csv", "parquet"]))
    def hold(sql, format):
        nonlocal tried, ran, leaked
        text, did = told(queries, sql.replace("{place}", str(place)), format)
        tried, ran = tried + 1, ran + did
        for word in (MARK, str(NUMBER), "/lake"):
            leaked += word in text
            assert word not in text, sql

    try:
        hold()
    finally:
        record_property("seed", SEED)
        record_property("held", ("random statements", tried, tried - leaked))
    assert ran > tried // 20, "hardly any statement ran: the grammar proves nothing"
    queries.statements(ANN)  # everything is in the log by then
    assert not any(MARK in str(asdict(entry)) for entry in log.entries.values())
    assert any(table == "shop.orders" for entry in log.entries.values() for table in entry.tables)


def test_the_same_grammar_finds_the_mark_where_the_product_is_open(world):
    """What is searched for can be found: with a grant, statements of the same forms give the marked rows."""
    queries, place, _ = world
    queries._catalog.granted.add((ANN.user, "vault"))
    seen = 0

    @seed(SEED)
    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(statement())
    def look(sql):
        nonlocal seen
        seen += MARK in told(queries, sql.replace("{place}", str(place)), "json")[0]

    try:
        look()
    finally:
        queries._catalog.granted.clear()
    assert seen > 3
