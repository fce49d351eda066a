"""What the tests of the check share: a checker over bytes, and short ways to say what was found."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from pyarrow import parquet

from thinmesh.adapters.duckdb.check.checker import DuckdbChecker
from thinmesh.kernel.contract import Column, Table, with_ids
from thinmesh.planes.product.model import CheckJob, CheckResult, TableInput, Upload

# Lives as long as the tests: staged files are read after the check.
_BASE = tempfile.TemporaryDirectory(prefix="thinmesh-check-", ignore_cleanup_errors=True)
CHECKER = DuckdbChecker(256 << 20, 2)


def table(name: str, *columns: Column, **parts: object) -> Table:
    return with_ids(Table(name, columns, **parts))


def uploads(folder: Path, files: Mapping[str, bytes]) -> tuple[Upload, ...]:
    made = []
    for name, data in files.items():
        path = folder / name.replace("/", "_")
        path.write_bytes(data)
        made.append(Upload(name, path))
    return tuple(made)


def check(data: bytes, contract: Table | None, name: str = "t.csv", *, stage: bool = True, **options) -> CheckResult:
    """Check one file; staged rows are read by `rows_of` before the folder goes."""
    return check_files({name: data}, contract, stage=stage, **options)


def check_files(files: Mapping[str, bytes], contract: Table | None, *, stage: bool = True, present=(), **options):
    folder = Path(tempfile.mkdtemp(dir=_BASE.name))
    staging = folder / "staging"
    staging.mkdir()
    inputs = TableInput(contract.name if contract else "t", contract, uploads(folder, files), tuple(present))
    result = CHECKER.check(CheckJob((inputs,), staging if stage else None, **options))
    left = sorted(path.name for path in staging.iterdir())
    assert left == sorted(file.path.name for one in result.tables for file in (*one.files, *one.restaged))
    assert result.ok or not left
    return result


def counts(result: CheckResult) -> dict[tuple[str, str | None], int]:
    return {(one.rule, one.column): one.count for one in result.violations}


def places(result: CheckResult, rule: str) -> list[tuple[int | None, int | None]]:
    return [(e.line, e.position) for one in result.violations if one.rule == rule for e in one.examples]


def rows_of(result: CheckResult, index: int = 0) -> list[tuple]:
    read = [parquet.read_table(file.path) for file in result.tables[index].files]
    return [tuple(row.values()) for one in read for row in one.to_pylist()]
