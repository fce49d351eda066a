"""A result of many rows as an Arrow stream by HTTP, read batch by batch and dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from ..model import OURS, Goal, Job, Work
from ..served import Client, command, floor, served
from ..tools import tools
from .orders import descriptor, write_orders

_SQL = "SELECT * FROM bench.orders"
_ARROW = "application/vnd.apache.arrow.stream"
# The rows of one batch of ours, and of the others.
_BATCH = 65_536
_SERVER = ("granian==2.8.7", "starlette==1.10.0", "duckdb==2.0.0", "pyarrow==26.0.1", "uvloop==0.23.0")
# One process: DuckDB's batches, each as one message, in a stream by HTTP.
_APP = """
import json, os
import duckdb
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

connection = duckdb.connect()
connection.execute("CREATE SCHEMA bench")
connection.execute(f"CREATE VIEW bench.orders AS SELECT * FROM read_parquet({json.loads(os.environ['FILES'])})")

def messages(sql):
    with connection.cursor().sql(sql).to_arrow_reader(65_536) as reader:
        yield reader.schema.serialize().to_pybytes()
        for batch in reader:
            yield bytes(batch.serialize())
        yield b"\\xff\\xff\\xff\\xff\\x00\\x00\\x00\\x00"

async def statements(request):
    return StreamingResponse(messages((await request.json())["sql"]))

app = Starlette(routes=[Route("/query/v1/statements", statements, methods=["POST"])])
"""


def _publish(rows: int, home: Path) -> None:
    command(home, "register", "-", stdin=descriptor("bench"))
    orders = write_orders(home.parent / "orders.csv", rows)
    command(home, "publish", "bench", str(orders))
    orders.unlink()


def _read(client: Client, rows: int) -> dict[str, float]:
    with client.send("POST", "/query/v1/statements", {"sql": _SQL}, Accept=_ARROW) as answer:
        found = sum(batch.num_rows for batch in pa.ipc.open_stream(answer))
        answer.read()
    assert found == rows, found
    return {}


def _files(rows: int, folder: Path) -> list[str]:
    """Make the very files that the product writes."""
    with served(folder / "home", partial(_publish, rows)):
        pass
    return [str(path) for path in (folder / "home" / "lake").rglob("*.parquet")]


@contextmanager
def ours(rows: int, folder: Path) -> Iterator[Work]:
    """Stream from a served home."""
    with served(folder / "home", partial(_publish, rows)) as server, closing(server.client()) as client:
        yield lambda: _read(client, rows)


@contextmanager
def by_hand(rows: int, folder: Path) -> Iterator[Work]:
    """Stream from a bare server of one process; no floor, but it shows what HTTP itself costs."""
    environment = {"FILES": json.dumps(_files(rows, folder))}
    with floor(tools(*_SERVER), folder, _APP, **environment) as url, closing(Client(url)) as client:
        yield lambda: _read(client, rows)


@contextmanager
def bare(rows: int, folder: Path) -> Iterator[Work]:
    """Take DuckDB's own Arrow batches, in process."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA bench")
        connection.execute(f"CREATE VIEW bench.orders AS SELECT * FROM read_parquet({_files(rows, folder)})")

        def work() -> None:
            found = sum(batch.num_rows for batch in connection.sql(_SQL).to_arrow_reader(_BATCH))
            assert found == rows, found

        yield work


def _job(rows: int, label: str, rounds: int) -> Job:
    # The goal is a rate: 0.8 of DuckDB's is 1 / 0.8 of its seconds. Flat memory: that of 10M rows is that of 1M.
    goals = (Goal("seconds", 1.25), Goal("rss", 1000, against=None))
    sides = {OURS: partial(ours, rows), "floor": partial(bare, rows), "granian": partial(by_hand, rows)}
    return Job(
        f"stream-{label}", f"{label} rows as an Arrow stream by HTTP", sides, goals, rounds=rounds, once=("granian",)
    )


JOBS = (_job(1_000_000, "1M", 5),)
BIG = (_job(10_000_000, "10M", 3),)
