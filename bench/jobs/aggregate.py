"""A small filtered aggregate over a million rows, by HTTP."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import sqlite3
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..model import OURS, Goal, Job, Side, Work
from ..served import Client, await_port, command, floor, free_port, latencies, process, served
from ..tools import tools
from .orders import COLUMNS, descriptor, write_orders

_ROWS = 1_000_000
_ASKED = 200
_FLOOR = ("granian==2.8.7", "starlette==1.10.0", "duckdb==2.0.0", "uvloop==0.23.0")
_PEER = "datasette==0.65.5"
_PEER_ASKED = 20
_SQLITE = {"integer": int, "number": float, "boolean": lambda text: text == "true"}
_numbers = itertools.count()

# One connection, prepared and with the footers cached, in the handler: faster than a thread pool, for DuckDB itself
# uses all cores.
_APP = """
import json, os
import duckdb
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

connection = duckdb.connect()
connection.execute("SET parquet_metadata_cache = true")
connection.execute("CREATE SCHEMA bench")
files = json.loads(os.environ["FILES"])
connection.execute(f"CREATE VIEW bench.orders AS SELECT * FROM read_parquet({files})")

async def statements(request):
    sql = (await request.json())["sql"]
    found = connection.execute(sql)
    columns = [each[0] for each in found.description]
    return Response(json.dumps({"columns": columns, "rows": found.fetchall()}), media_type="application/json")

app = Starlette(routes=[Route("/query/v1/statements", statements, methods=["POST"])])
"""


def _sql(table: str) -> str:
    """Write a statement; each has other literals, so that no cache of statements or of answers serves it."""
    number = next(_numbers)
    first, least = f"2024-{number % 11 + 1:02}-{number // 11 % 28 + 1:02}", number // 308 % 40
    return (
        "SELECT status, count(*) AS orders, sum(amount) AS amount, avg(price) AS price, max(qty) AS qty"
        f" FROM {table} WHERE day BETWEEN DATE '{first}' AND DATE '{first}' + 29 AND qty > {least}"
        " GROUP BY status ORDER BY status"
    )


def _publish(rows: int, home: Path) -> None:
    command(home, "register", "-", stdin=descriptor("bench"))
    orders = write_orders(home.parent / "orders.csv", rows)
    command(home, "publish", "bench", str(orders))
    orders.unlink()


def _ask(client: Client, sql: str) -> list[Any]:
    return json.loads(client.read("POST", "/query/v1/statements", {"sql": sql}))["rows"]


@contextmanager
def ours(clients: int, folder: Path) -> Iterator[Work]:
    """Ask a served home."""
    with served(folder / "home", partial(_publish, _ROWS)) as server, ExitStack() as stack:
        yield _work(stack, server.client, clients)


@contextmanager
def bare(clients: int, folder: Path) -> Iterator[Work]:
    """Ask a bare server over the very files that the product writes."""
    with served(folder / "home", partial(_publish, _ROWS)):
        pass
    files = json.dumps([str(path) for path in (folder / "home" / "lake").rglob("*.parquet")])
    with floor(tools(*_FLOOR), folder, _APP, FILES=files) as url, ExitStack() as stack:
        yield _work(stack, lambda: Client(url), clients)


@contextmanager
def datasette(folder: Path) -> Iterator[Work]:
    """Ask datasette over the same rows in SQLite."""
    orders, port = write_orders(folder / "orders.csv", _ROWS), free_port()
    with closing(sqlite3.connect(folder / "orders.db")) as database, orders.open(newline="") as file:
        names = ", ".join(column["name"] for column in COLUMNS)
        database.execute(f"CREATE TABLE orders (id INTEGER, {names.removeprefix('id, ')})")
        kinds = [_SQLITE.get(column["logicalType"], str) for column in COLUMNS]
        lines = csv.reader(file)
        next(lines)
        marks = ", ".join("?" * len(COLUMNS))
        values = ([kind(text) for kind, text in zip(kinds, line, strict=True)] for line in lines)
        database.executemany(f"INSERT INTO orders VALUES ({marks})", values)
        database.commit()
    arguments = ["serve", "-h", "127.0.0.1", "-p", str(port), "--setting", "sql_time_limit_ms", "20000"]
    command = [str(tools(_PEER) / "datasette"), *arguments, str(folder / "orders.db")]
    with process(command, os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        await_port(port)
        with closing(Client(f"http://127.0.0.1:{port}")) as client:

            def ask(client: Client) -> None:
                sql = _sql("orders").replace("DATE ", "").replace(" + 29", "")
                sql = re.sub(r"AND ('[-0-9]+')", r"AND date(\1, '+29 days')", sql, count=1)
                found = client.read("GET", "/orders.json?" + urllib.parse.urlencode({"sql": sql, "_shape": "arrays"}))
                assert len(json.loads(found)["rows"]) == 2, found

            yield lambda: latencies(ask, [client], _PEER_ASKED)


def _work(stack: ExitStack, connect: Callable[[], Client], clients: int) -> Work:
    connected = [connect() for _ in range(clients)]
    for client in connected:
        stack.callback(client.close)

    def ask(client: Client) -> None:
        rows = _ask(client, _sql("bench.orders"))
        assert len(rows) == 2, rows

    return lambda: latencies(ask, connected, _ASKED // clients)


def _job(key: str, title: str, clients: int, *goals: Goal) -> Job:
    sides: dict[str, Side] = {OURS: partial(ours, clients), "floor": partial(bare, clients)}
    if clients == 1:
        sides["datasette"] = datasette
    return Job(key, title, sides, goals, rounds=5, once=("datasette",))


JOBS = (
    _job("aggregate-1", "filtered aggregate of 1M rows by HTTP, 1 client", 1, Goal("p50", 1.3)),
    _job(
        "aggregate-8",
        "filtered aggregate of 1M rows by HTTP, 8 clients",
        8,
        Goal("rate", 45, against=None, at_least=True),
    ),
)
