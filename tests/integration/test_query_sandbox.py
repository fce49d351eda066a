"""Consumer SQL cannot write, reach the network or files, read other tables, or learn where anything lies."""

import json
import os
import subprocess
import sys
from contextlib import closing

import pytest

from thinmesh.adapters.duckdb.query.engine import DuckdbEngine
from thinmesh.adapters.duckdb.query.sandbox import landlock_abi
from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.policy import Principal
from thinmesh.planes.query.model import ReadableTable
from thinmesh.planes.query.operations import Queries

from .query_world import Catalog, MemoryLog, write

SECRET = "the-closed-value"
ANN = Principal("ann")
COLUMNS = (Column("id", "integer", id=1), Column("text", id=2))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def queries(place):
    lake = place / "lake"
    open_file = write(lake, "shop", "orders", COLUMNS, [(1, "a"), (2, "b")])
    closed_file = write(lake, "vault", "secrets", COLUMNS, [(1, SECRET)])
    (place / "secret.csv").write_text(f"id,text\n1,{SECRET}\n")
    os.link(closed_file, place / "closed.parquet")
    os.link(open_file, place / "open.parquet")
    catalog = Catalog(
        [
            ReadableTable("shop", "orders", COLUMNS, "p1", (open_file,)),
            ReadableTable("vault", "secrets", COLUMNS, "p1", (closed_file,)),
        ],
        closed=["vault"],
    )
    with closing(DuckdbEngine(workers=2, memory=256 << 20, lake=lake)) as engine:
        found = Queries(engine, catalog, MemoryLog())
        yield found
        found.close()


ESCAPES = """
SELECT * FROM vault.secrets
SELECT * FROM mesh.vault.secrets
SELECT * FROM "VAULT"."Secrets"
SELECT (SELECT max(text) FROM vault.secrets)
SELECT * FROM shop.orders WHERE id IN (SELECT id FROM vault.secrets)
SELECT * FROM shop.orders WHERE EXISTS (FROM vault.secrets)
WITH w AS (SELECT * FROM vault.secrets) SELECT * FROM w
WITH RECURSIVE w AS (SELECT text FROM vault.secrets UNION ALL SELECT text FROM w) SELECT * FROM w LIMIT 1
SELECT * FROM shop.orders o, LATERAL (SELECT text FROM vault.secrets s WHERE s.id = o.id)
SELECT * FROM shop.orders UNION ALL SELECT * FROM vault.secrets
TABLE vault.secrets
FROM vault.secrets
SUMMARIZE vault.secrets
SUMMARIZE SELECT * FROM vault.secrets
DESCRIBE SELECT text FROM vault.secrets WHERE id = 1
EXPLAIN SELECT * FROM vault.secrets
EXPLAIN ANALYZE SELECT * FROM vault.secrets
SELECT * FROM (PIVOT vault.secrets ON id IN (1) USING max(text))
UNPIVOT vault.secrets ON text INTO NAME n VALUE v
SELECT * FROM (DESCRIBE SELECT max(text) FROM vault.secrets)
SELECT list_transform([1], lambda x: (SELECT max(text) FROM vault.secrets))
SELECT CASE WHEN (SELECT text FROM vault.secrets LIMIT 1) LIKE 't%' THEN error('leak') END
SELECT count(*) FILTER (WHERE text IN (SELECT text FROM vault.secrets)) FROM shop.orders
SELECT * FROM shop.orders ORDER BY (SELECT max(text) FROM vault.secrets)
SELECT * FROM shop.orders LIMIT (SELECT count(*) FROM vault.secrets)
SELECT * FROM query('SELECT * FROM vault.secrets')
SELECT * FROM query_table('vault.secrets')
SELECT * FROM query_table(['shop.orders', 'vault.secrets'])
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM vault.secrets'))
SELECT json_serialize_plan('SELECT * FROM shop.orders')
SELECT * FROM '{place}/secret.csv'
SELECT * FROM "{place}/secret.csv"
SELECT * FROM '{place}/closed.parquet'
SELECT * FROM '{place}/open.parquet'
WITH "{place}/secret.csv" AS (SELECT 1) SELECT * FROM main."{place}/secret.csv"
SELECT * FROM w, (WITH w AS (SELECT 1) SELECT * FROM w) x, "{place}/closed.parquet"
SELECT * FROM read_csv('{place}/secret.csv')
SELECT * FROM read_csv_auto('{place}/secret.csv')
SELECT * FROM read_parquet('{place}/closed.parquet')
SELECT * FROM parquet_scan('{place}/closed.parquet')
SELECT * FROM read_text('{place}/secret.csv')
SELECT * FROM read_blob('{place}/secret.csv')
SELECT * FROM read_json('{place}/secret.csv')
SELECT * FROM read_ndjson_objects('{place}/secret.csv')
SELECT * FROM read_duckdb('{place}/x.db')
SELECT * FROM read_single_csv_file('{place}/secret.csv')
SELECT * FROM sniff_csv('{place}/secret.csv')
SELECT * FROM parquet_metadata('{place}/closed.parquet')
SELECT * FROM parquet_kv_metadata('/proc/self/fd/4')
SELECT * FROM read_text('/proc/self/environ')
SELECT * FROM read_blob('/proc/self/mem')
SELECT * FROM glob('{place}/*')
SELECT * FROM glob('/proc/self/fd/*')
SELECT * FROM read_csv('https://127.0.0.1/x.csv')
SELECT * FROM 's3://bucket/x.parquet'
SELECT * FROM 'http://127.0.0.1:1/x.csv'
SELECT * FROM arrow_scan(1, 2, 3)
SELECT * FROM pandas_scan(1)
SELECT * FROM python_map_function(1)
SELECT * FROM seq_scan('vault.secrets')
SELECT * FROM repeat_row(1) , duckdb_views()
COPY (SELECT * FROM shop.orders) TO '{place}/out.csv'
COPY shop.orders TO '{place}/open.parquet'
COPY shop.orders FROM '{place}/secret.csv'
EXPORT DATABASE '{place}/out'
IMPORT DATABASE '{place}/out'
ATTACH '{place}/x.db' AS x
ATTACH ':memory:' AS x
DETACH mesh
USE memory
INSTALL httpfs
LOAD httpfs
LOAD '{place}/x.duckdb_extension'
FORCE INSTALL json
SET memory_limit = '100GB'
SET enable_external_access = true
SET lock_configuration = false
SET VARIABLE x = 1
RESET memory_limit
PRAGMA memory_limit = '100GB'
PRAGMA database_list
PRAGMA version
CALL pragma_version()
CALL duckdb_settings()
CHECKPOINT
VACUUM
ANALYZE
PREPARE x AS SELECT 1
EXECUTE x
DEALLOCATE x
BEGIN
COMMIT
CREATE TABLE shop.x AS SELECT 1
CREATE TEMP TABLE x AS SELECT 1
CREATE VIEW shop.x AS SELECT * FROM vault.secrets
CREATE MACRO m() AS TABLE SELECT * FROM vault.secrets
CREATE SECRET s (TYPE s3)
CREATE SCHEMA vault
CREATE TYPE t AS ENUM ('a')
CREATE SEQUENCE s
ALTER VIEW shop.orders RENAME TO x
DROP VIEW shop.orders
INSERT INTO shop.orders VALUES (3, 'c')
UPDATE shop.orders SET id = 1
DELETE FROM shop.orders
TRUNCATE shop.orders
MERGE INTO shop.orders USING shop.orders o ON true WHEN MATCHED THEN DELETE
WITH w AS (INSERT INTO shop.orders VALUES (3, 'c') RETURNING *) SELECT * FROM w
WITH w AS (DELETE FROM shop.orders RETURNING *) SELECT * FROM w
SELECT nextval('s')
SELECT 1; SELECT * FROM vault.secrets
SELECT 1; COPY shop.orders TO '{place}/out.csv'
SELECT getenv('HOME')
SELECT current_setting('allowed_paths')
SELECT system.main.current_setting('allowed_paths')
SELECT 'allowed_paths'.current_setting()
SELECT getvariable('x')
SELECT write_log('x')
SELECT pg_get_viewdef(1)
SELECT list_transform(['allowed_paths'], lambda x: current_setting(x))
SELECT x FROM shop.orders, (SELECT current_setting('temp_directory') AS x)
SELECT * FROM duckdb_views()
SELECT * FROM duckdb_views
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_tables()
SELECT * FROM duckdb_columns()
SELECT * FROM duckdb_secrets()
SELECT * FROM duckdb_logs
SELECT * FROM duckdb_external_file_cache()
SELECT * FROM which_secret('x', 's3')
SELECT * FROM pragma_show('shop.orders')
SELECT * FROM pragma_table_info('shop.orders')
SELECT * FROM show_tables_expanded()
SELECT * FROM sqlite_master
SELECT * FROM main.sqlite_master
SELECT * FROM system.main.duckdb_views
SELECT * FROM system.information_schema.tables
SELECT * FROM temp.information_schema.tables
SELECT * FROM memory.main.x
SELECT * FROM information_schema.views
SELECT * FROM information_schema.table_constraints
SELECT * FROM pg_catalog.pg_class
SELECT * FROM pg_catalog.pg_views
SELECT * FROM pg_class
WITH sqlite_master AS (SELECT 1) SELECT * FROM sqlite_master
SELECT * FROM (WITH pg_settings AS (SELECT 1) SELECT 1) a, pg_settings
SELECT * FROM (WITH pg_class AS (SELECT 1) SELECT 1) a, pg_class
SELECT * FROM (WITH "/etc/passwd.csv" AS (SELECT 1) SELECT 1) a, "/etc/passwd.csv"
SELECT * FROM (WITH "x.parquet" AS (SELECT 1) SELECT 1) a, "x.parquet"
SELECT * FROM sqlite_master, (WITH sqlite_master AS (SELECT 1) SELECT * FROM sqlite_master) x
SELECT * FROM (SHOW ALL TABLES)
SELECT * FROM (SHOW DATABASES)
SHOW DATABASES
SHOW SCHEMAS
EXPLAIN COPY shop.orders TO '{place}/out.csv'
EXPLAIN INSERT INTO shop.orders VALUES (1, 'x')
EXPLAIN ANALYZE DELETE FROM shop.orders
EXPLAIN (FORMAT html) SELECT 1
"""


@pytest.mark.parametrize("sql", ESCAPES.strip().splitlines())
def test_no_statement_leaves_its_cage(queries, place, sql):
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    with pytest.raises(MeshError) as failure:
        queries.run(ANN, sql.format(place=place)).read()
    text = failure.value.detail + failure.value.help
    assert failure.value.status in (403, 404, 422)
    assert SECRET not in text
    assert "/lake/" not in text
    assert "/proc/" not in text
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


HARMLESS = """
SELECT count(*) FROM range(10)
SELECT * FROM generate_series(1, 3), unnest([1, 2])
SELECT * FROM json_each('[1, 2]')
WITH orders AS (SELECT 5 AS id) SELECT * FROM orders JOIN shop.orders o ON o.id < orders.id
SELECT pg_typeof(id), typeof(text), version() IS NOT NULL FROM shop.orders
VALUES (1, 'vault.secrets'), (2, 'COPY x TO y')
SELECT 'SELECT * FROM vault.secrets' AS "vault.secrets" -- DROP TABLE vault.secrets
SELECT * FROM shop.orders AS "vault.secrets"
SELECT COLUMNS('i.*') FROM shop.orders
SELECT * EXCLUDE (id) FROM shop.orders QUALIFY row_number() OVER (ORDER BY id) = 1
SELECT * FROM shop.orders POSITIONAL JOIN (SELECT * FROM mesh.shop.orders)
SELECT * FROM (PIVOT shop.orders ON id IN (1, 2) USING max(text))
SUMMARIZE shop.orders
DESCRIBE vault.secrets
DESCRIBE shop.orders
DESC SELECT id FROM shop.orders
SHOW TABLES
SHOW TABLES FROM shop
SHOW ALL TABLES
TABLE shop.orders
FROM shop.orders SELECT id
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r
SELECT * FROM shop.orders USING SAMPLE 1 ROWS
SELECT * FROM shop.orders ASOF JOIN shop.orders o USING (id)
SELECT now() > TIMESTAMPTZ '2020-01-01', random() < 2, uuid() IS NOT NULL
SELECT list_transform([1], lambda x: x + 1), [x + 1 for x in [1, 2]], {'a': 1}.a
"""


@pytest.mark.parametrize("sql", HARMLESS.strip().splitlines())
def test_what_only_looks_like_an_escape_runs(queries, sql):
    text = queries.run(ANN, sql).read().decode()
    assert '"rows": [[' in text
    assert SECRET not in text


def test_information_schema_and_show_hide_what_is_closed(queries):
    for sql in (
        "SHOW TABLES",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM mesh.information_schema.columns c JOIN information_schema.schemata s ON true",
        "SELECT (SELECT count(*) FROM information_schema.tables), * FROM shop.orders",
    ):
        text = queries.run(ANN, sql).read().decode()
        assert "orders" in text or '[1,1,"a"]' in text
        assert "vault" not in text


def test_every_wall_that_linux_offers_stands(queries):
    walls = queries._engine.report()["sandbox"]
    assert walls["limits"] == walls["no_new_privileges"] == walls["capabilities"] == walls["seccomp"] == "on"
    if landlock_abi():
        assert walls["landlock"].startswith("on")


ATTEMPTS = """
import ctypes, os, socket, subprocess, sys, threading
from pathlib import Path
from thinmesh.adapters.duckdb.query import sandbox
place = Path(sys.argv[1])
mine = os.open(place / "mine", os.O_RDONLY)
walls = sandbox.enclose(sandbox.Allowance(1 << 30, 64, (place,), place / "scratch", 1000))
other = place / "other"
assert other.read_text() == "other"
sandbox.fence([mine], place / "scratch")
attempts = {
    "read": lambda: other.read_text(),
    "write": lambda: (place / "new").write_text("x"),
    "overwrite": lambda: (place / "mine").write_text("x"),
    "append": lambda: os.open(place / "mine", os.O_WRONLY | os.O_APPEND),
    "truncate": lambda: os.truncate(place / "mine", 0),
    "remove": lambda: (place / "mine").unlink(),
    "rename": lambda: (place / "mine").rename(place / "scratch" / "mine"),
    "link": lambda: os.link(place / "mine", place / "scratch" / "link"),
    "symlink": lambda: os.symlink("/etc/passwd", place / "symlink"),
    "chmod": lambda: (place / "mine").chmod(0o777),
    "mkdir": lambda: (place / "folder").mkdir(),
    "list": lambda: os.listdir(place),
    "passwd": lambda: Path("/etc/passwd").read_text(),
    "parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_text(),
    "connect": lambda: socket.create_connection(("127.0.0.1", 9), 1),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "fork": lambda: os.fork(),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "spawn": lambda: subprocess.run(["/bin/true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "limits": lambda: __import__("resource").setrlimit(9, (-1, -1)),
    "big": lambda: (place / "scratch" / "big").write_bytes(b"x" * 2000),
    "memory": lambda: bytearray(3 << 30),
}
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def try_all(where):
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, ValueError, MemoryError):
            continue
        print(where, name)
try_all("first thread")
thread = threading.Thread(target=try_all, args=("later thread",)); thread.start(); thread.join()
(place / "scratch" / "small").write_text("x")
assert os.read(os.open(f"/proc/self/fd/{mine}", os.O_RDONLY), 10) == b"mine"
print("end")
"""


@pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")
def test_code_in_a_worker_could_do_nothing_either(tmp_path):
    for name in ("mine", "other"):
        (tmp_path / name).write_text(name)
    (tmp_path / "scratch").mkdir()
    done = subprocess.run([sys.executable, "-c", ATTEMPTS, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n") == ["end", ""], done.stdout + done.stderr
    assert (tmp_path / "mine").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "other", "scratch"}


UNSCREENED = """
import json, sys
from pathlib import Path
from thinmesh.adapters.duckdb.query import sandbox
from thinmesh.adapters.duckdb.query.session import Session
place, mine = Path(sys.argv[1]), sys.argv[2]
import duckdb, pyarrow.parquet
sandbox.enclose(sandbox.Allowance(1 << 30, 64, (place / "lake",)))
session = Session(256 << 20, 2, None, 0)
table = {"product": "shop", "table": "orders", "columns": [[1, "id", "BIGINT"]], "files": [mine]}
session.bind({"tables": [table], "visible": None, "answer": None})
for sql in json.load(sys.stdin):
    try:
        print(json.dumps([sql, session.connection.execute(sql).fetchall()], default=str))
    except Exception as error:
        print(json.dumps([sql, str(error)[:200]]), file=sys.stderr)
print(session.connection.execute("SELECT count(*) FROM shop.orders").fetchall())
"""


def test_behind_the_screen_the_session_and_the_walls_hold_alone(tmp_path):
    """Were the screen passed, files still could not be reached, nor the limits be moved."""
    mine = write(tmp_path / "lake", "shop", "orders", COLUMNS, [(1, "a")])
    closed = write(tmp_path / "lake", "vault", "secrets", COLUMNS, [(1, SECRET)])
    (tmp_path / "secret.csv").write_text(f"id,text\n1,{SECRET}\n")
    os.link(closed, tmp_path / "closed.parquet")
    os.link(mine, tmp_path / "open.parquet")
    statements = [
        sql.format(place=tmp_path) for sql in ESCAPES.strip().splitlines() if "{place}" in sql or "SET" in sql
    ]
    statements.append(f"SELECT * FROM read_parquet('{closed}')")
    if landlock_abi():
        # DuckDB itself lets COPY overwrite a path it may read.
        statements += [f"COPY (SELECT 1) TO '{mine}'", *(f"COPY (SELECT 1) TO '/proc/self/fd/{n}'" for n in range(9))]
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-c", UNSCREENED, str(tmp_path), str(mine)],
        input=json.dumps(statements), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.rstrip().endswith("[(1,)]"), done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")} == before
    for setting in ("memory_limit", "enable_external_access", "lock_configuration"):
        assert f"SET {setting}" in done.stderr
