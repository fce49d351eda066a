"""Check files against a contract document alone: no platform, no home."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from thinmesh.kernel.contract import with_ids
from thinmesh.kernel.documents import parse_descriptor
from thinmesh.kernel.errors import Refused, Violation
from thinmesh.kernel.names import nearest

from .backend import Checker
from .model import Checked, CheckJob, Progress, TableInput, Upload
from .operations import checked
from .quality import unmeasured
from .sources import by_table


def check(checker: Checker, contract: bytes, uploads: Sequence[Upload], progress: Progress) -> Checked:
    """Check files against the tables of an ODCS document or a descriptor.

    Raises Refused for a contract that is wrong, or a file that belongs to none of its tables.
    """
    tables = parse_descriptor(contract, file="contract").tables
    files = by_table(uploads, list(tables))
    strangers = [name for name in files if name not in tables]
    if strangers:
        raise Refused(
            "Some files belong to no table of the contract.", violations=[_stranger(n, tables) for n in strangers]
        )
    inputs = tuple(TableInput(name, with_ids(tables[name]), tuple(found)) for name, found in files.items())
    result = checker.check(CheckJob(tables=inputs), progress)
    apart = [text for name in files for text in unmeasured(tables[name])]
    return checked(replace(result, not_checked=(*result.not_checked, *apart)))


def _stranger(name: str, tables: Iterable[str]) -> Violation:
    known = list(tables)
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else f"its tables: {', '.join(known)}"
    return Violation(f"the contract has no table {name}; {hint}", "table", table=name)
