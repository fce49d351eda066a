"""The check of one publication (DESIGN, *Check*): the implementation of the product plane's `Checker`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from thinmesh.kernel.contract import Table, with_ids
from thinmesh.kernel.progress import Progress, no_progress
from thinmesh.planes.product.model import CheckJob, CheckResult, TableInput, Upload

from .connection import Connections, temporary_faults
from .course import Check
from .uploads import group_uploads
from .watch import watched


class DuckdbChecker:
    """Checks data files with DuckDB in this process, and stages them as Parquet.

    `memory` is DuckDB's limit in bytes; the scan and Parquet writer come on top of it. `seconds` is the longest that
    a check may take that stages files, `verdict_seconds` one that does not; without them there is no limit. With
    `spare`, the engine of the next check is prepared in the background.
    """

    def __init__(
        self,
        memory: int = 512 << 20,
        threads: int = 2,
        seconds: float | None = None,
        verdict_seconds: float | None = None,
        *,
        spare: bool = False,
    ) -> None:
        self._connections = Connections(memory, threads, spare=spare)
        self._seconds = seconds
        self._verdict_seconds = verdict_seconds

    def check(self, job: CheckJob, progress: Progress = no_progress) -> CheckResult:
        """Check all files of a job; faults of the data are in the result, never raised.

        Raises Temporary where time or disk do not suffice, Refused where memory does not, and whatever `progress`
        raises to end the check.
        """
        seconds = self._verdict_seconds if job.staging is None else self._seconds
        with (
            temporary_faults(),
            _workspace(job.staging) as work,
            self._connections.connect(work) as connection,
            watched(connection, progress, seconds) as told,
        ):
            return Check(job, work, connection, told).run()

    def close(self) -> None:
        """Let go of the engine that is prepared."""
        self._connections.close()


def check_files(
    tables: Mapping[str, Table],
    files: Sequence[Upload],
    *,
    checker: DuckdbChecker | None = None,
    max_bytes: int = 0,
    progress: Progress = no_progress,
) -> CheckResult:
    """Check files against tables without a platform; only what the files and the contract say can be judged.

    `tables` is by name; a table without a file is left alone, and references to it are named in `not_checked`.
    Raises Refused where a file's name stands for no table.
    """
    grouped = group_uploads(files, tuple(tables))
    inputs, apart = [], []
    for name, uploads in grouped.items():
        table = tables.get(name)
        if table is not None:
            here = tuple(one for one in table.references if not one.product and one.table in grouped)
            apart += [
                f"{name}: reference to {one.table}, which is not given" for one in table.references if one not in here
            ]
            table = with_ids(replace(table, references=here))
        inputs.append(TableInput(name, table, uploads))
    result = (checker or DuckdbChecker()).check(CheckJob(tuple(inputs), None, max_bytes=max_bytes), progress)
    return replace(result, not_checked=(*result.not_checked, *apart))


@contextmanager
def _workspace(staging: Path | None) -> Iterator[Path]:
    """Give a folder for everything temporary, beside the staged files so that one disk limit covers both.

    Where nothing is staged it is the system's own place, of a mesh or of none: `temporary_faults` has the words.
    """
    work = Path(tempfile.mkdtemp(prefix=".check-", dir=staging))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
