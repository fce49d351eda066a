"""The jobs: each a pair of callables that do the same, ours and the floor that a person could write by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import duckdb
import pygit2

from thinmesh.bootstrap import init_home, open_home
from thinmesh.kernel.contract import with_ids
from thinmesh.kernel.documents import parse_descriptor
from thinmesh.planes.product.model import CheckJob, TableInput, Upload

COLUMNS = [
    {"name": "id", "logicalType": "integer", "required": True, "logicalTypeOptions": {"minimum": 0}},
    {
        "name": "customer",
        "logicalType": "string",
        "required": True,
        "logicalTypeOptions": {"minLength": 6, "maxLength": 6},
    },
    {
        "name": "email",
        "logicalType": "string",
        "logicalTypeOptions": {"pattern": "^[a-z0-9]+@[a-z.]+$", "maxLength": 100},
    },
    {"name": "amount", "logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 100000}},
    {"name": "qty", "logicalType": "integer", "logicalTypeOptions": {"minimum": 0, "maximum": 1000}},
    {"name": "price", "logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 1000}},
    {"name": "active", "logicalType": "boolean"},
    {"name": "day", "logicalType": "date"},
    {"name": "ts", "logicalType": "timestamp"},
    {"name": "status", "logicalType": "string", "logicalTypeOptions": {"maxLength": 10}},
]
TYPES = {
    "id": "BIGINT",
    "amount": "DOUBLE",
    "qty": "BIGINT",
    "price": "DOUBLE",
    "active": "BOOLEAN",
    "day": "DATE",
    "ts": "TIMESTAMP",
}
AGGREGATE = "select status, count(*), sum(amount) from {} where qty < 25 group by 1"


@dataclass(frozen=True)
class Row:
    """A job: its name, what we do, and what the floor does."""

    name: str
    ours: Callable[[], object]
    floor: Callable[[], object]


class Mesh:
    """A home with the bench's product, opened in this process."""

    def __init__(self, home: Path) -> None:
        init_home(home)
        self.platform = open_home(home)
        self.caller = self.platform.identity.principal_of_home()
        self.platform.identity.create_team(self.caller, "bench_team", ["bench"])
        self.platform.products.register(self.caller, descriptor())

    def close(self) -> None:
        self.platform.close()


def descriptor(name: str = "orders") -> bytes:
    document = {"name": name, "domain": "bench", "description": "Orders", "tables": {"orders": {"columns": COLUMNS}}}
    return json.dumps(document).encode()


def write_orders(path: Path, rows: int) -> Path:
    """Write a CSV of ten columns and some 97 bytes a row; the same for the same number of rows."""
    duckdb.execute(
        f"""COPY (SELECT range AS id, format('C{{:05d}}', range % 5000) AS customer,
            'user' || range || '@example.com' AS email,
            (range * 7919 % 100000) / 100 AS amount, range % 50 AS qty, (range * 104729 % 1000000) / 10000 AS price,
            range % 3 > 0 AS active, DATE '2024-01-01' + (range % 360)::INT AS day,
            strftime(TIMESTAMP '2024-01-01' + INTERVAL (range % 8000) HOUR, '%Y-%m-%dT%H:%M:%S') AS ts,
            CASE WHEN range % 2 = 0 THEN 'open' ELSE 'closed' END AS status FROM range({rows})) TO '{path}' (HEADER)"""
    )
    return path


def source(orders: Path) -> str:
    columns = ", ".join(f"'{column['name']}': 'VARCHAR'" for column in COLUMNS)
    dialect = "auto_detect=false, header=true, delim=',', quote='\"', escape='\"'"
    return f"read_csv('{orders}', {dialect}, columns={{{columns}}})"


def cast(name: str) -> str:
    return f"TRY_CAST({name} AS {TYPES[name]})" if name in TYPES else name


def check(orders: Path) -> Row:
    """Check a contract, beside one tolerant DuckDB statement with the same rules and no lexical guards."""
    from thinmesh.adapters.duckdb.check.checker import DuckdbChecker

    table = with_ids(parse_descriptor(descriptor()).tables["orders"])
    job = CheckJob(tables=(TableInput("orders", table, (Upload("orders.csv", orders),)),))
    rules = [f"{name} IS NOT NULL AND {cast(name)} IS NULL" for name in TYPES]
    rules += ["id IS NULL", "customer IS NULL", "length(customer) < 6", "length(customer) > 6", "length(email) > 100"]
    rules += ["NOT regexp_matches(email, '^[a-z0-9]+@[a-z.]+$')", "length(status) > 10", f"{cast('id')} < 0"]
    rules += [f"{cast(name)} {bound}" for name in ("amount", "qty", "price") for bound in ("< 0", "> 100000")]
    counts = ", ".join(f"count(*) FILTER ({rule})" for rule in rules)

    def floor() -> object:
        return duckdb.connect().execute(f"SELECT {counts} FROM {source(orders)}").fetchall()

    checker = DuckdbChecker()

    def ours() -> None:
        result = checker.check(job)
        assert result.ok, result.violations

    return Row("contract check against one DuckDB statement", ours, floor)


def publish(mesh: Mesh, orders: Path) -> Row:
    """Publish until queryable, beside DuckDB's CSV to Parquet."""
    selected = ", ".join(f"{cast(str(column['name']))} AS {column['name']}" for column in COLUMNS)
    target = orders.with_suffix(".parquet")
    again = count()

    def ours() -> None:
        fresh = orders.with_name(f"fresh{next(again)}") / "orders.csv"
        fresh.parent.mkdir()
        # Another content each time: the same content again is no work.
        fresh.write_bytes(
            orders.read_bytes()
            + f"{10**9 + next(again)},C00001,a@b.c,1,1,1,true,2024-01-01,2024-01-01T00:00:00,open\n".encode()
        )
        done = mesh.platform.products.publish(mesh.caller, "orders", [Upload("orders.csv", fresh)])
        assert done.changed

    def floor() -> None:
        duckdb.connect().execute(f"COPY (SELECT {selected} FROM {source(orders)}) TO '{target}' (FORMAT parquet)")

    return Row("publish until queryable against CSV to Parquet", ours, floor)


def query(mesh: Mesh) -> Row:
    """Run a filtered aggregate 20 times, beside DuckDB in this process on the same files."""

    def ours() -> None:
        for _ in range(20):
            with mesh.platform.queries.run(mesh.caller, AGGREGATE.format("orders.orders")) as answer:
                answer.read()

    def floor() -> None:
        with mesh.platform.database.read() as tx:
            product = mesh.platform.index.product(tx, "orders")
        assert product
        files = [str(mesh.platform.location.path(file)) for file in product.tables["orders"].files]
        connection = duckdb.connect()
        for _ in range(20):
            connection.execute(AGGREGATE.format(f"read_parquet({files})")).fetchall()

    return Row("20 filtered aggregates against bare DuckDB", ours, floor)


def register(mesh: Mesh, path: Path) -> Row:
    """Register 50 products one after the other, durably, beside pygit2 committing the same files."""
    repository = pygit2.init_repository(str(path), bare=True)
    numbers, others = count(), count()

    def ours() -> None:
        for _ in range(50):
            mesh.platform.products.register(mesh.caller, descriptor(f"p{next(numbers)}"))

    def floor() -> None:
        who = pygit2.Signature("bench", "bench@example.org")
        for _ in range(50):
            name = f"p{next(others)}"
            blob = repository.create_blob(descriptor(name))
            inner = repository.TreeBuilder()
            inner.insert("product.json", blob, pygit2.enums.FileMode.BLOB)
            parents = [] if repository.is_empty else [repository.head.target]
            top = repository.TreeBuilder(repository.head.peel(pygit2.Tree)) if parents else repository.TreeBuilder()
            top.insert(name, inner.write(), pygit2.enums.FileMode.TREE)
            repository.create_commit("refs/heads/main", who, who, name, top.write(), parents)
            repository.set_head("refs/heads/main")

    return Row("50 registrations against pygit2 commits", ours, floor)
