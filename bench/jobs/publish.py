"""Publish a CSV until a SELECT answers from it: ten columns, 97 bytes a row."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..model import OURS, Goal, Job, Side, Work
from ..tools import tools
from .check import faults, source
from .orders import COLUMNS, SQL_TYPES, descriptor, engine, write_orders


@contextmanager
def ours(rows: int, rounds: int, key: list[str], folder: Path) -> Iterator[Work]:
    """Publish to a home that is being served, with all that follows a publication there, and ask for the result."""
    from thinmesh.bootstrap import init_home, open_home
    from thinmesh.kernel.progress import no_progress
    from thinmesh.planes.product.model import Upload

    init_home(folder / "home")
    platform = open_home(folder / "home", mode="serve")
    caller = platform.identity.principal_of_home()
    platform.identity.create_team(caller, "bench", ("bench",))
    platform.products.register(caller, descriptor(primaryKey=key))
    platform.start()
    files = _contents(folder, rows, rounds)

    def work() -> None:
        first, orders = next(files)
        uploads = (Upload("orders.csv", orders),)
        platform.products.publish(caller, "orders", uploads, "replace", False, no_progress)
        execution = platform.queries.run(caller, "SELECT count(*), min(id) FROM orders.orders", format="csv")
        answer = b"".join(execution.chunks()).split()[-1]
        execution.close()
        assert answer == f"{rows},{first}".encode(), answer

    try:
        yield work
    finally:
        platform.close()


@contextmanager
def conversion(rows: int, rounds: int, folder: Path) -> Iterator[Work]:
    """Convert with plain DuckDB by typed columns, judging nothing; sync the file, and ask."""
    columns = ", ".join(f"'{one['name']}': '{SQL_TYPES.get(one['logicalType'], 'VARCHAR')}'" for one in COLUMNS)
    yield _written("*", f"read_csv(getvariable('file'), columns={{{columns}}}, header=true)", folder, rows, rounds)


@contextmanager
def statement(rows: int, rounds: int, forms: bool, folder: Path) -> Iterator[Work]:
    """Read text, judge the same rules and write the same Parquet in file order by one DuckDB statement; then ask.

    Without `forms` it is less: it takes 1.7 for an integer, and rounds it.
    """
    selected = []
    for column in COLUMNS:
        name, kind = column["name"], SQL_TYPES.get(column["logicalType"], "VARCHAR")
        broken = " OR ".join(f"({fault})" for fault in faults(column, forms))
        selected.append(f"CASE WHEN {broken} THEN error('{name}') ELSE CAST({name} AS {kind}) END AS {name}")
    yield _written(", ".join(selected), source("getvariable('file')"), folder, rows, rounds)


def _written(select: str, relation: str, folder: Path, rows: int, rounds: int) -> Work:
    files = _contents(folder, rows, rounds)
    ids = ", ".join(f"'{column['name']}': {number}" for number, column in enumerate(COLUMNS, 1))
    options = f"FORMAT parquet, COMPRESSION zstd, FIELD_IDS {{{ids}}}"

    def work() -> None:
        first, orders = next(files)
        target = orders.with_suffix(".parquet")
        with engine() as connection:
            connection.execute(f"SET VARIABLE file = '{orders}'")
            connection.execute(f"COPY (SELECT {select} FROM {relation}) TO '{target}' ({options})")
            for path in (target, folder):
                _sync(path)
            found = connection.execute(f"SELECT count(*), min(id) FROM '{target}'").fetchone()
        assert found == (rows, first), found

    return work


@contextmanager
def datasette(rows: int, folder: Path) -> Iterator[Work]:
    """Insert into SQLite with the tool that datasette offers for it, and ask."""
    tool = tools("sqlite-utils==4.2.1") / "sqlite-utils"
    orders = write_orders(folder / "orders.csv", rows)
    database = folder / "mesh.db"

    def work() -> None:
        subprocess.run([tool, "insert", database, "orders", orders, "--csv", "--silent", "--truncate"], check=True)
        asked = [tool, "query", database, "SELECT count(*) AS rows FROM orders"]
        found = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
        assert found == [{"rows": rows}], found

    yield work


def _contents(folder: Path, rows: int, rounds: int) -> Iterator[tuple[int, Path]]:
    """Write new content for each round, and give it with its first id."""
    firsts = range(0, rows * rounds, rows)
    return iter([(first, write_orders(folder / f"{first}.csv", rows, first)) for first in firsts])


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sides(rows: int, rounds: int) -> dict[str, Side]:
    return {
        OURS: partial(ours, rows, rounds, []),
        "floor": partial(conversion, rows, rounds),
        "one statement": partial(statement, rows, rounds, True),
        "without lexical forms": partial(statement, rows, rounds, False),
    }


_LARGE = 10_800_000
_WARM, _ROUNDS, _LARGE_ROUNDS = 1, 5, 2

JOBS = (
    Job(
        key="publish-100k",
        title="publish 100k rows, committed to git as well, until queryable",
        sides={**_sides(100_000, _WARM + _ROUNDS), "datasette": partial(datasette, 100_000)},
        rounds=_ROUNDS,
        warm=_WARM,
        once=("datasette",),
    ),
    Job(
        key="publish-1M",
        title="publish 1M rows until queryable",
        sides=_sides(1_000_000, _WARM + _ROUNDS),
        goals=(Goal("seconds", 2), Goal("rss", 1000, against=None)),
        rounds=_ROUNDS,
        warm=_WARM,
    ),
)
BIG = (
    Job(
        key="publish-1GB",
        title="publish 1 GB without key rules",
        sides={
            **_sides(_LARGE, _LARGE_ROUNDS),
            "thinmesh, with a key": partial(ours, _LARGE, 1, ["id"]),
        },
        goals=(Goal("cpu", 1.25, "one statement"), Goal("rss", 1000, against=None)),
        rounds=_LARGE_ROUNDS,
        warm=0,
        once=("thinmesh, with a key",),
    ),
)
