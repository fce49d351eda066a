"""Check a contract: ten columns, 32 rules."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from ..model import OURS, Goal, Job, Work
from ..tools import tools
from .orders import COLUMNS, SQL_TYPES, descriptor, engine, write_orders

# The lexical forms that a contract takes (a bare TRY_CAST takes 1.7 as the integer 2, and 'yes' as true), each by the
# cheaper of a round trip and a regular expression.
_FORMS = {
    "integer": "{value}::VARCHAR = {name}",
    "number": r"regexp_full_match({name}, '-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?')",
    "boolean": "{name} IN ('true', 'false')",
    "date": "{value}::VARCHAR = {name}",
    "timestamp": r"regexp_full_match({name}, '[-0-9]{{10}}[T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?')",
}


@contextmanager
def ours(rows: int, folder: Path) -> Iterator[Work]:
    """Check with the product's checker, in this process."""
    from thinmesh.adapters.duckdb.check.checker import DuckdbChecker
    from thinmesh.kernel.contract import with_ids
    from thinmesh.kernel.documents import parse_descriptor
    from thinmesh.planes.product.model import CheckJob, TableInput, Upload

    orders = write_orders(folder / "orders.csv", rows)
    table = with_ids(parse_descriptor(descriptor()).tables["orders"])
    job = CheckJob(tables=(TableInput("orders", table, (Upload("orders.csv", orders),)),))
    checker = DuckdbChecker()

    def work() -> None:
        result = checker.check(job)
        assert result.ok, result.violations

    yield work


@contextmanager
def statement(rows: int, forms: bool, folder: Path) -> Iterator[Work]:
    """Count the faults with one tolerant DuckDB statement: the same rules, with or without the lexical forms."""
    orders = write_orders(folder / "orders.csv", rows)
    rules = [rule for column in COLUMNS for rule in faults(column, forms)]
    counts = ", ".join(f"count(*) FILTER ({rule})" for rule in rules)
    sql = f"SELECT count(*), {counts} FROM {source(repr(str(orders)))}"

    def work() -> None:
        with engine() as connection:
            (found,) = connection.execute(sql).fetchall()
        assert found[0] == rows
        assert not any(found[1:]), found

    yield work


@contextmanager
def command(rows: int, folder: Path) -> Iterator[Work]:
    """Check with the product's command, its start and all."""
    write_orders(folder / "orders.csv", rows)
    (folder / "orders.odcs.yaml").write_text(json.dumps(_contract(folder)))
    program = Path(sys.executable).with_name("thinmesh")
    yield partial(_run, folder, program, "check", "--contract", "orders.odcs.yaml", "orders.csv")


@contextmanager
def datacontract(rows: int, folder: Path) -> Iterator[Work]:
    """Check with datacontract-cli's command."""
    program = tools("datacontract-cli[duckdb]==1.2.8") / "datacontract"
    write_orders(folder / "orders.csv", rows)
    (folder / "orders.odcs.yaml").write_text(json.dumps(_contract(folder)))
    yield partial(_run, folder, program, "test", "orders.odcs.yaml")


@contextmanager
def frictionless(rows: int, folder: Path) -> Iterator[Work]:
    """Check with frictionless' command."""
    program = tools("frictionless==5.21.0") / "frictionless"
    write_orders(folder / "orders.csv", rows)
    (folder / "schema.json").write_text(json.dumps({"fields": [_field(column) for column in COLUMNS]}))
    yield partial(_run, folder, program, "validate", "orders.csv", "--schema", "schema.json")


def _run(folder: Path, program: Path, *arguments: str) -> None:
    subprocess.run([program, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _contract(folder: Path) -> dict:
    """Give the contract as an ODCS document that names the file."""
    server = {"server": "local", "type": "local", "path": str(folder / "orders.csv"), "format": "csv", "delimiter": ","}
    about = {"apiVersion": "v3.0.2", "kind": "DataContract", "id": "orders", "version": "1.0.0", "status": "active"}
    return {**about, "servers": [server], "schema": [{"name": "orders", "properties": COLUMNS}]}


def _field(column: dict) -> dict:
    """Give a column in the words of Table Schema."""
    kind = "datetime" if column["logicalType"] == "timestamp" else column["logicalType"]
    rules = {"required": column.get("required", False), **column.get("logicalTypeOptions", {})}
    return {"name": column["name"], "type": kind, "constraints": rules}


def source(file: str) -> str:
    """Give the SQL that reads every column of a file, a string in SQL, as text."""
    columns = ", ".join(f"'{column['name']}': 'VARCHAR'" for column in COLUMNS)
    dialect = "auto_detect=false, header=true, delim=',', quote='\"', escape='\"'"
    return f"read_csv({file}, {dialect}, columns={{{columns}}})"


def faults(column: dict, forms: bool = True) -> Iterator[str]:
    """Give the SQL conditions of which each tells a fault of a column's text, with or without the lexical forms."""
    name, kind, options = column["name"], column["logicalType"], column.get("logicalTypeOptions", {})
    value = f"TRY_CAST({name} AS {SQL_TYPES[kind]})" if kind in SQL_TYPES else name
    if kind in SQL_TYPES:
        form = f" OR NOT {_FORMS[kind].format(name=name, value=value)}" if forms else ""
        yield f"{name} IS NOT NULL AND ({value} IS NULL{form})"
    if column.get("required"):
        yield f"{name} IS NULL"
    tests = {
        "minimum": "{value} < {bound}",
        "maximum": "{value} > {bound}",
        "minLength": "length({value}) < {bound}",
        "maxLength": "length({value}) > {bound}",
        "pattern": "NOT regexp_matches({value}, '{bound}')",
    }
    for option, bound in options.items():
        yield tests[option].format(value=value, bound=bound)


def _job(
    rows: int,
    label: str,
    limit: float,
    rounds: int,
    peers: Mapping[str, Callable[[int, Path], AbstractContextManager[Work]]],
) -> Job:
    return Job(
        key=f"check-{label}",
        title=f"contract check, {label} rows",
        sides={
            OURS: partial(ours, rows),
            "floor": partial(statement, rows, True),
            "without lexical forms": partial(statement, rows, False),
            **{name: partial(peer, rows) for name, peer in peers.items()},
        },
        goals=(Goal("seconds", limit), Goal("rss", 1000, against=None)),
        rounds=rounds,
        once=tuple(peers),
    )


_COMMANDS = {"thinmesh's command": command, "datacontract-cli": datacontract}

JOBS = (
    _job(10_000, "10k", 1.4, 15, {**_COMMANDS, "frictionless": frictionless}),
    _job(1_000_000, "1M", 1.2, 5, _COMMANDS),
)
BIG = (_job(10_000_000, "10M", 1.1, 3, _COMMANDS),)
