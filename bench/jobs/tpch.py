"""TPC-H: its 22 queries over eight tables that the product published, by HTTP as Arrow."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ..model import OURS, Goal, Job, Work
from ..served import Client, command, served
from ..tools import tools

_GENERATOR = "tpchgen-cli==4.0.0"
_ARROW = "application/vnd.apache.arrow.stream"
_TABLES = "customer lineitem nation orders part partsupp region supplier".split()


@contextmanager
def ours(scale: float, folder: Path) -> Iterator[Work]:
    """Ask a served home; its answers are held against bare DuckDB's first."""
    queries = _queries(scale)
    with (
        served(folder / "home", partial(_publish, scale)) as server,
        closing(server.client()) as client,
        _database(folder / "home") as database,
    ):
        ask = partial(_ask, client)
        for number, sql in enumerate(queries, 1):
            _require_same(f"Q{number}", ask(sql), database.sql(sql).to_arrow_table())
        database.close()
        yield lambda: _timed(ask, queries)


@contextmanager
def bare(scale: float, folder: Path) -> Iterator[Work]:
    """Ask DuckDB, in process, over the very files that the product writes."""
    queries = _queries(scale)
    with served(folder / "home", partial(_publish, scale)):
        pass
    with _database(folder / "home") as database:
        yield lambda: _timed(lambda sql: database.sql(sql).to_arrow_table(), queries)


@contextmanager
def _database(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as database:
        database.execute("SET parquet_metadata_cache = true; CREATE SCHEMA tpch")
        for table in _TABLES:
            files = [str(path) for path in sorted((home / "lake" / "tpch" / table).glob("*.parquet"))]
            assert files, table
            database.execute(f"CREATE VIEW tpch.{table} AS SELECT * FROM read_parquet({files})")
        yield database


def _queries(scale: float) -> list[str]:
    text = Path(__file__).with_suffix(".sql").read_text().replace("{scale}", str(scale))
    return [part.partition("\n")[2].strip().rstrip(";") for part in text.split("-- Q")[1:]]


def _publish(scale: float, home: Path) -> None:
    made = home.parent / "tables"
    generator = tools(_GENERATOR) / "tpchgen-cli"
    subprocess.run([generator, "parquet", "-s", str(scale), "--output-dir", made], check=True, capture_output=True)
    document = {"name": "tpch", "domain": "bench", "description": "TPC-H"}
    command(home, "register", "-", stdin=json.dumps(document).encode())
    command(home, "publish", "tpch", *(str(made / f"{table}.parquet") for table in _TABLES))
    for path in made.iterdir():
        path.unlink()


def _ask(client: Client, sql: str) -> pa.Table:
    with client.send("POST", "/query/v1/statements", {"sql": sql}, Accept=_ARROW) as answer:
        return pa.ipc.open_stream(answer.read()).read_all()


def _timed(ask: Callable[[str], pa.Table], queries: list[str]) -> dict[str, float]:
    took = []
    for sql in queries:
        began = time.perf_counter()
        ask(sql)
        took.append(time.perf_counter() - began)
    return {"geometric mean": statistics.geometric_mean(took), "slowest": max(took)}


def _require_same(name: str, ours: pa.Table, theirs: pa.Table) -> None:
    """Compare as multisets of rows; floats within a relative 10^-9, for their sums depend on the order of threads."""
    mine, other = _rows(ours), _rows(theirs)
    assert len(mine) == len(other), f"{name}: {len(mine)} rows, not {len(other)}"
    exact = [place for place, field in enumerate(ours.schema) if not pa.types.is_floating(field.type)]
    key = lambda row: [str(row[place]) for place in exact] + [str(value) for value in row]  # noqa: E731
    assert Counter(map(partial(_only, exact), mine)) == Counter(map(partial(_only, exact), other)), name
    for left, right in zip(sorted(mine, key=key), sorted(other, key=key), strict=True):
        for a, b in zip(left, right, strict=True):
            assert a == b or (isinstance(a, float) and math.isclose(a, b, rel_tol=1e-9)), f"{name}: {left}, {right}"


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _only(places: list[int], row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(row[place] for place in places)


def _job(scale: float, key: str, rounds: int, *goals: Goal) -> Job:
    sides = {OURS: partial(ours, scale), "floor": partial(bare, scale)}
    return Job(f"tpch-{key}", f"TPC-H at scale {scale:g}, 22 queries by HTTP as Arrow", sides, goals, rounds=rounds)


JOBS = (_job(0.1, "0.1", 5),)
BIG = (_job(1, "1", 5, Goal("geometric mean", 1.08)),)
