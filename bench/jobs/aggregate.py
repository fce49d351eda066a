"""A small filtered aggregate over a million rows, by HTTP."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..model import OURS, Goal, Job, Work
from ..served import Client, command, floor, latencies, served
from ..tools import tools
from .orders import descriptor, write_orders

_ROWS = 1_000_000
_ASKED = 200
_FLOOR = ("granian==2.8.7", "starlette==1.10.0", "duckdb==2.0.0", "uvloop==0.23.0")
_PEER = ("datasette==0.65.5", "sqlite-utils==3.39")
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


def _work(stack: ExitStack, connect: Callable[[], Client], clients: int) -> Work:
    connected = [connect() for _ in range(clients)]
    for client in connected:
        stack.callback(client.close)

    def ask(client: Client) -> None:
        rows = _ask(client, _sql("bench.orders"))
        assert len(rows) == 2, rows

    return lambda: latencies(ask, connected, _ASKED // clients)


def _job(key: str, title: str, clients: int, *goals: Goal) -> Job:
    sides = {OURS: partial(ours, clients), "floor": partial(bare, clients)}
    return Job(key, title, sides, goals, rounds=5)


JOBS = (
    _job("aggregate-1", "filtered aggregate of 1M rows by HTTP, 1 client", 1, Goal("p50", 1.3)),
    _job(
        "aggregate-8",
        "filtered aggregate of 1M rows by HTTP, 8 clients",
        8,
        Goal("rate", 45, against=None, at_least=True),
    ),
)
