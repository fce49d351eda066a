"""Check files against a contract document alone: no platform, no home."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from thinmesh.kernel.contract import with_ids
from thinmesh.kernel.documents import contract_tables
from thinmesh.kernel.errors import Violation
from thinmesh.kernel.names import nearest

from .backend import Checker
from .model import Checked, CheckJob, Progress, TableInput, Upload
from .operations import checked
from .quality import unmeasured
from .sources import by_table


def check(
    checker: Checker, contract: bytes, uploads: Sequence[Upload], progress: Progress, *, file: str = "contract.yaml"
) -> Checked:
    """Check files against the tables of an ODCS document or a descriptor, which messages call `file`.

    Raises Refused for a contract that is wrong, or a file whose name says no table.
    """
    tables = contract_tables(contract, file=file)
    files = by_table(uploads, list(tables))
    known = {name: found for name, found in files.items() if name in tables}
    strangers = [_stranger(one.name, name, tables) for name in files if name not in known for one in files[name]]
    inputs = tuple(TableInput(name, with_ids(tables[name]), tuple(found)) for name, found in known.items())
    result = checker.check(CheckJob(tables=inputs), progress)
    apart = [text for name in known for text in unmeasured(tables[name])]
    return checked(
        replace(
            result,
            violations=(*strangers, *result.violations),
            not_checked=(*result.not_checked, *apart),
        )
    )


def _stranger(file: str, name: str, tables: Iterable[str]) -> Violation:
    known = list(tables)
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else f"its tables: {', '.join(known)}"
    return Violation(f"the contract has no table {name}; {hint}", "table", file, name)
