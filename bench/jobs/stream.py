"""A result of many rows as an Arrow stream by HTTP, read batch by batch and dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from ..model import OURS, Goal, Job, Work
from ..served import command, served
from .orders import descriptor, write_orders

_SQL = "SELECT * FROM bench.orders"
_ARROW = "application/vnd.apache.arrow.stream"
# The rows of one batch of ours, and of the floor.
_BATCH = 65_536


def _publish(rows: int, home: Path) -> None:
    command(home, "register", "-", stdin=descriptor("bench"))
    orders = write_orders(home.parent / "orders.csv", rows)
    command(home, "publish", "bench", str(orders))
    orders.unlink()


@contextmanager
def ours(rows: int, folder: Path) -> Iterator[Work]:
    """Stream from a served home."""
    with served(folder / "home", partial(_publish, rows)) as server, closing(server.client()) as client:

        def work() -> dict[str, float]:
            with client.send("POST", "/query/v1/statements", {"sql": _SQL}, Accept=_ARROW) as answer:
                found = sum(batch.num_rows for batch in pa.ipc.open_stream(answer))
                answer.read()
            assert found == rows, found
            return {}

        yield work


@contextmanager
def bare(rows: int, folder: Path) -> Iterator[Work]:
    """Take DuckDB's own Arrow batches, in process, from the very files that the product writes."""
    with served(folder / "home", partial(_publish, rows)):
        pass
    files = [str(path) for path in (folder / "home" / "lake").rglob("*.parquet")]
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA bench")
        connection.execute(f"CREATE VIEW bench.orders AS SELECT * FROM read_parquet({files})")

        def work() -> None:
            found = sum(batch.num_rows for batch in connection.sql(_SQL).to_arrow_reader(_BATCH))
            assert found == rows, found

        yield work


def _job(rows: int, label: str, rounds: int) -> Job:
    # The goal is a rate: 0.8 of DuckDB's is 1 / 0.8 of its seconds. Flat memory: that of 10M rows is that of 1M.
    goals = (Goal("seconds", 1.25), Goal("rss", 1000, against=None))
    sides = {OURS: partial(ours, rows), "floor": partial(bare, rows)}
    return Job(f"stream-{label}", f"{label} rows as an Arrow stream by HTTP", sides, goals, rounds=rounds)


JOBS = (_job(1_000_000, "1M", 5),)
BIG = (_job(10_000_000, "10M", 3),)
