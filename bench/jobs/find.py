"""Find products: pages of products and of tables, and searches of all kinds, by HTTP at 10,000 products and 100,000."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .. import mesh
from ..model import OURS, Goal, Job, Work

_PRODUCTS = 10_000
_MANY = 100_000
_ASKED = 400
# Some words are in every product, some in hundreds, some in one; whole, and begun.
_WORDS = (
    "product",
    "bench mesh",
    "about and kept",
    "sales",
    "orders customers",
    "fore",
    "weather flights",
    "pro",
    "product_004711",
    "7",
    "domain07",
    "nothing",
    "tra sens",
    "hospital beds",
    "p",
    "wether flihgts",
    "product of the bench",
)


@contextmanager
def served(paths: tuple[str, ...], products: int, folder: Path, columns: int = 0) -> Iterator[Work]:
    """Ask a served home, where products declare a table of so many columns."""
    home = mesh.home_of(folder, products, columns)
    with mesh.served(home.path) as port:
        yield _asking(port, paths, home.token)


@contextmanager
def bare(paths: tuple[str, ...], products: int, folder: Path) -> Iterator[Work]:
    """Ask Starlette and SQLite alone, by uvicorn: the same rows by the same statements, and nobody signs in."""
    path = mesh.home_of(folder, products).path / "thinmesh.db"
    with _serving(_app(path)) as port:
        yield _asking(port, paths, "none")


def _asking(port: int, paths: tuple[str, ...], token: str) -> Work:
    requests = [mesh.request("GET", paths[number % len(paths)], token) for number in range(_ASKED)]

    def work() -> dict[str, float]:
        return mesh.percentiles(mesh.ask(port, requests, 1))

    return work


def _app(path: Path) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    connection = sqlite3.connect(path, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    summary = "p.name, p.domain, p.owner, p.access, p.status, p.version, p.description, p.tags, p.publication"

    def reply(rows: list[sqlite3.Row]) -> Response:
        items = [{**dict(row), "tags": json.loads(row["tags"])} for row in rows]
        return Response(json.dumps({"items": items, "next": None}), media_type="application/json")

    async def listed(_: Request) -> Response:
        sql = f"SELECT {summary} FROM products p WHERE p.status <> 'retired' ORDER BY p.name LIMIT 100"
        return reply(connection.execute(sql).fetchall())

    async def found(request: Request) -> Response:
        words = " ".join(f'"{word}"*' for word in request.query_params["q"].split())
        sql = f"""SELECT {summary} FROM products p JOIN product_words ON product_words.rowid = p.rowid
            WHERE product_words MATCH ? ORDER BY product_words.rank LIMIT 100"""
        return reply(connection.execute(sql, (words,)).fetchall())

    return Starlette(routes=[Route("/product/v1/products", listed), Route("/product/v1/search", found)])


@contextmanager
def _serving(app: Any) -> Iterator[int]:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    _until(lambda: server.started)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def _until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.01)


_LIST = ("/product/v1/products?limit=100",)
_TABLES = ("/query/v1/tables?limit=100",)
_SEARCH = tuple(f"/product/v1/search?q={words.replace(' ', '+')}" for words in _WORDS)

JOBS = (
    Job(
        key="list",
        title="list 100 of 10,000 products by HTTP",
        sides={OURS: partial(served, _LIST, _PRODUCTS), "floor": partial(bare, _LIST, _PRODUCTS)},
        goals=(Goal("p50", 0.010, against=None),),
        rounds=3,
    ),
    Job(
        key="tables",
        title="list 100 of 10,000 readable tables by HTTP",
        sides={OURS: partial(served, _TABLES, _PRODUCTS, columns=8)},
        goals=(Goal("p50", 0.015, against=None),),
        rounds=3,
    ),
    Job(
        key="search",
        title="search of 10,000 products by HTTP",
        sides={OURS: partial(served, _SEARCH, _PRODUCTS), "ranked FTS5": partial(bare, _SEARCH, _PRODUCTS)},
        goals=(Goal("p99", 0.010, against=None),),
        rounds=3,
    ),
)

BIG = (
    Job(
        key="search-100k",
        title="search of 100,000 products by HTTP",
        sides={OURS: partial(served, _SEARCH, _MANY), "ranked FTS5": partial(bare, _SEARCH, _MANY)},
        goals=(Goal("p99", 0.010, against=None),),
        rounds=3,
    ),
)
