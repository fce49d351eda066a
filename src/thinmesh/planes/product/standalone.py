"""Check files against a contract document alone: no platform, no home."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from thinmesh.kernel.contract import with_ids
from thinmesh.kernel.documents import bare_contract
from thinmesh.kernel.errors import Violation
from thinmesh.kernel.names import nearest
from thinmesh.kernel.progress import Progress

from .backend import Checker, Sandbox
from .model import Checked, CheckJob, CheckResult, Snapshot, TableInput, Upload
from .quality import has_sql, measured
from .sources import by_table
from .views import checked


def check(
    checker: Checker,
    sandbox: Callable[[Path], AbstractContextManager[Sandbox]],
    contract: bytes,
    uploads: Sequence[Upload],
    progress: Progress,
    *,
    file: str = "contract.yaml",
) -> Checked:
    """Check files against the tables of an ODCS document or a descriptor, which messages call `file`.

    `sandbox` opens one that reads a folder. Raises Refused for a contract that is wrong, or a file whose name says no
    table.
    """
    found = bare_contract(contract, file=file)
    tables = {name: with_ids(table) for name, table in found.tables.items()}
    files = by_table(uploads, list(tables))
    known = {name: parts for name, parts in files.items() if name in tables}
    strangers = [_stranger(one.name, name, tables) for name in files if name not in known for one in files[name]]
    inputs = tuple(TableInput(name, tables[name], tuple(parts)) for name, parts in known.items())
    result = _with_sql(checker, sandbox, found.product, inputs, progress)
    return checked(
        replace(
            result,
            violations=(*strangers, *result.violations),
            not_checked=tuple(dict.fromkeys((*result.not_checked, *found.reported))),
        )
    )


def _with_sql(
    checker: Checker,
    sandbox: Callable[[Path], AbstractContextManager[Sandbox]],
    product: str,
    inputs: Sequence[TableInput],
    progress: Progress,
) -> CheckResult:
    """Check, and measure SQL rules over the typed data where there are any and the rest is in order."""
    judged = [each.name for each in inputs if each.table and has_sql(each.table)]
    if not judged:
        return checker.check(CheckJob(tables=tuple(inputs)), progress)
    with tempfile.TemporaryDirectory(prefix="thinmesh-check-") as folder:
        result = checker.check(CheckJob(tables=tuple(inputs), staging=Path(folder)), progress)
        if not result.ok:
            return result
        snapshots = [
            Snapshot(product, each.table, None, tuple(file.path for file in each.files)) for each in result.tables
        ]
        with sandbox(Path(folder)) as opened:
            return measured(opened, "owner", snapshots, judged, result)


def _stranger(file: str, name: str, tables: Iterable[str]) -> Violation:
    known = list(tables)
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else f"its tables: {', '.join(known)}"
    return Violation(f"the contract has no table {name}; {hint}", "table", file, name)
