"""One check on its way: every file against its table, then the rules over several rows and tables."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import Violation
from thinmesh.kernel.progress import Progress
from thinmesh.planes.product.model import CheckedTable, CheckJob, CheckResult, StagedFile, TableInput, Upload

from .connection import Connection
from .csv_source import CsvSource
from .header import doubt_of_header, fault_of_form, match
from .inference import Inferred, infer
from .keys import Stored, by_id, duplicate_keys, left_dangling, references
from .merging import merged
from .metrics import measure, metric_columns
from .parquet_input import ParquetSource, readable
from .quoting import identifier
from .rows import Source, load
from .rules import custom, unchecked
from .scan import BLOCK, Unreadable
from .shares import copy
from .survey import EXACT, Survey, survey
from .uploads import ending

# What people use as keys; a measured number that happens to be distinct is none.
_KEY_TYPES = {"string", "integer", "date", "timestamp"}
_KEYS_SHOWN = 5


@dataclass(slots=True)
class _Run:
    """One table on its way through the check."""

    input: TableInput
    table: Table | None
    sources: list[CsvSource | ParquetSource] = field(default_factory=list)
    columns: list[dict[int, Column]] = field(default_factory=list)
    rows: int = 0
    staged: list[tuple[str, Path, int]] = field(default_factory=list)
    stored: Stored | None = None
    widened: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    restaged: list[tuple[str, Path, int]] = field(default_factory=list)
    suggested: tuple[str, ...] = ()
    # Those of the suggested of which the rows that were looked at are all, and hold no value twice.
    once: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        """Tell whether every file could be read."""
        return self.stored is not None and len(self.stored.files) == len(self.input.files)


class Check:
    """One check on its way: what was found so far."""

    def __init__(self, job: CheckJob, work: Path, connection: Connection, progress: Progress) -> None:
        self._job, self._work, self._connection, self._progress = job, work, connection, progress
        self._violations: list[Violation] = []
        self._measured: list[Violation] = []
        self._unchecked: list[str] = []
        self._taken = 0
        self._folders = 0
        self._targets: list[Path] = []

    def run(self) -> CheckResult:
        """Check everything, and give the verdict; staged files stay only where there is no fault."""
        runs = [_Run(one, one.table) for one in self._job.tables]
        try:
            for run in runs:
                self._open(run)
                self._settle(run)
            for run in runs:
                self._load(run, runs)
            for run in runs:
                self._over_rows(run, runs)
        except BaseException:
            self._discard()
            raise
        if self._violations:
            self._discard()
        tables = tuple(self._checked(run) for run in runs if run.table is not None)
        not_checked = tuple(dict.fromkeys(self._unchecked))
        return CheckResult(tables, tuple(self._violations), tuple(self._measured), not_checked)

    def _open(self, run: _Run) -> None:
        """Scan every file of a table; what cannot be read to its end is one violation."""
        for upload in run.input.files:
            folder = self._work / str(self._folders)
            folder.mkdir()
            self._folders += 1
            try:
                source = self._source(upload, folder)
            except Unreadable as fault:
                self._note(run, fault.rule, f"the file {fault.message}", upload.name)
                continue
            self._taken += source.size
            # Parquet keeps its names apart from its rows.
            says = None if isinstance(source, ParquetSource) else fault_of_form(source.header, run.table)
            if says:
                self._note(run, "header", f"the file {says}", upload.name)
                continue
            run.sources.append(source)

    def _source(self, upload: Upload, folder: Path) -> CsvSource | ParquetSource:
        limit = max(self._job.max_bytes - self._taken, 1) if self._job.max_bytes else 0
        if ending(upload.name) == ".parquet":
            return ParquetSource(upload, folder, limit, self._connection)
        return CsvSource(upload, folder, limit, self._progress)

    def _note(self, run: _Run, rule: str, message: str, file: str) -> None:
        self._violations.append(Violation(message, rule, file, run.input.name))

    def _settle(self, run: _Run) -> None:
        """Settle the contract, inferred or given, and match every header with it."""
        if run.table is None or run.table.inferred:
            self._infer(run)
        if run.table is None:
            return
        self._unchecked += unchecked(run.table)
        for source in run.sources:
            columns, faults = match(source.header, run.table, source.name, run.input.table, present=source.present)
            self._violations += merged(faults)
            if isinstance(source, ParquetSource):
                self._violations += source.structural(columns, run.table.name)
                columns = source.fitting(columns)
            run.columns.append(columns)

    def _infer(self, run: _Run) -> None:
        if not run.sources:
            return
        surveys, doubts = [], []
        for source in list(run.sources):
            try:
                surveys.append(self._survey(source))
                doubts.append(_doubt(source, surveys[-1]))
            except Unreadable as fault:
                self._note(run, fault.rule, f"the file {fault.message}", source.name)
                run.sources.remove(source)
        if not surveys:
            return
        if run.table is None:
            run.doubts = tuple(dict.fromkeys(doubt for doubt in doubts if doubt))
        wide = self._wide(run, surveys)
        found = infer(run.input.name, run.table, surveys, appended=bool(run.input.present), wide=wide)
        if run.table is not None and found.changed:
            self._restage(run, run.table, found)
        run.table, run.widened = found.table, found.widened
        if not run.widened:
            self._suggest(run, run.table, surveys)

    def _suggest(self, run: _Run, table: Table, surveys: Sequence[Survey]) -> None:
        """Take for keys what repeats nothing in the first rows; `_over_rows` looks at the others."""
        first = surveys[0].fields
        likely = [
            column
            for column in table.columns
            if column.required
            and column.logical_type in _KEY_TYPES
            and column.header in first
            and first[column.header].distinct
        ][:_KEYS_SHOWN]
        run.suggested = tuple(column.name for column in likely)
        if len(surveys) == 1 and not run.input.present:
            run.once = frozenset(
                column.name
                for column in likely
                if first[column.header].once and first[column.header].kind == column.logical_type
            )

    def _wide(self, run: _Run, surveys: Sequence[Survey]) -> list[str]:
        """Name the columns whose rows that stay hold integers beyond 2^53, where these would become numbers."""
        if run.table is None or not run.input.present:
            return []
        asked = [
            identifier(column.name)
            for column in run.table.columns
            if column.logical_type == "integer"
            and any(column.header in one.fields and one.fields[column.header].kind == "number" for one in surveys)
        ]
        if not asked:
            return []
        beyond = ", ".join(f"bool_or({name} NOT BETWEEN -{EXACT} AND {EXACT})" for name in asked)
        row = self._connection.execute(f"SELECT {beyond} FROM {by_id(run.table, run.input.present)}").fetchone()
        return [name.strip('"') for name, found in zip(asked, row, strict=True) if found]

    def _survey(self, source: CsvSource | ParquetSource) -> Survey:
        self._progress(f"infer {source.name}", 0, source.size)
        return (
            source.survey(self._connection) if isinstance(source, ParquetSource) else survey(self._connection, source)
        )

    def _restage(self, run: _Run, before: Table, found: Inferred) -> None:
        """Write the files that stay once more, with the wider types."""
        selected = []
        for column in before.columns:
            wider = found.table.column(column.name) or column
            # A provisional text holds null tokens only: in any other type they are no values.
            untyped = custom(column, "provisional") and wider.sql_type != column.sql_type
            value = "NULL" if untyped else identifier(column.name)
            selected.append(f"CAST({value} AS {wider.sql_type}) AS {identifier(column.name)}")
        for n, path in enumerate(run.input.present):
            target = self._target(f"{run.input.name}-present-{n}.parquet")
            select = f"SELECT {', '.join(selected)} FROM {by_id(before, [path])}"
            rows = self._connection.execute(copy(select, before.columns, target)).fetchone()[0]
            run.restaged.append((path.name, target, rows))

    def _load(self, run: _Run, runs: list[_Run]) -> None:
        """Check the rows of every file, and write the typed values where something further needs them."""
        if run.table is None:
            return
        keep = self._kept(run, run.table, runs)
        files: list[tuple[Source, Path, Mapping[str, int]]] = []
        for n, (source, columns) in enumerate(zip(run.sources, run.columns, strict=True)):
            if not columns:
                continue
            self._progress(f"check {source.name}", 0, source.size)
            wanted = keep & {one.name for one in columns.values()}
            target = self._target(f"{run.input.name}-{n}.parquet") if wanted else None
            try:
                with readable(source.path) if isinstance(source, ParquetSource) else nullcontext():
                    loaded = load(self._connection, source, columns, run.table, target, keep)
            except Unreadable as fault:
                self._note(run, fault.rule, f"the file {fault.message}", source.name)
                continue
            self._violations += loaded.violations
            run.rows += loaded.rows
            self._progress(f"check {source.name}", source.size, source.size)
            if target is not None:
                run.staged.append((source.name, target, loaded.rows))
                fields = {column.name: at + 1 for at, column in columns.items()}
                files.append((source, target, fields))
        shared = [
            {column.name for column in (run.table.columns if source.present else columns.values())}
            for source, columns in zip(run.sources, run.columns, strict=True)
            if columns
        ]
        present = tuple(path for _, path, _ in run.restaged) or run.input.present
        run.stored = Stored(run.table, present, files, frozenset(set.intersection(*shared) if shared else ()))

    def _kept(self, run: _Run, table: Table, runs: list[_Run]) -> frozenset[str]:
        """Give the columns whose typed values are needed: all to stage them, else those of keys and metrics."""
        if self._job.staging is not None:
            return frozenset(column.name for column in table.columns)
        names = {*table.primary_key, *run.suggested, *(name for one in table.unique for name in one)}
        names |= {name for reference in table.references for name in reference.columns}
        names |= {column.name for column in table.columns if column.unique} | metric_columns(table)
        for other in [one.table for one in runs if one.table] + [other for other, _ in self._job.others]:
            named = [one for one in other.references if one.table == table.name and not one.product]
            names |= {name for reference in named for name in reference.to}
        return frozenset(names)

    def _over_rows(self, run: _Run, runs: list[_Run]) -> None:
        """Check keys, references and metrics of a table."""
        if run.stored is None or run.table is None or not run.stored.files:
            return
        self._progress(f"keys of {run.input.name}", 0, 0)
        self._violations += duplicate_keys(self._connection, run.stored)
        self._references(run.stored, run.table, runs)
        if not run.input.present:
            self._dangling(run.stored)
        self._metrics(run.stored)
        run.suggested = tuple(name for name in run.suggested if name in run.once or not self._repeats(run.stored, name))

    def _metrics(self, stored: Stored) -> None:
        broken: list[Violation] = []
        shown: list[Violation] = []
        for found, refuses in measure(self._connection, stored):
            if isinstance(found, str):
                self._unchecked.append(found)
            else:
                (broken if refuses else shown).append(found)
        self._violations += merged(broken, max)
        self._measured += merged(shown, max)

    def _references(self, stored: Stored, table: Table, runs: list[_Run]) -> None:
        for reference in table.references:
            where = f"{reference.product}.{reference.table}"
            if not reference.product:
                parents = [run for run in runs if run.input.name == reference.table]
                # Against a file that could not be read, every reference would seem to lead nowhere.
                if all(run.complete for run in parents):
                    parent = parents[0].stored if parents else self._untouched(reference.table)
                    self._violations += references(self._connection, stored, reference, parent)
            elif where in self._job.foreign:
                foreign = Stored(*self._job.foreign[where])
                self._measured += references(self._connection, stored, reference, foreign)
            else:
                self._unchecked.append(f"{table.name}: reference to {where}, which is not readable with your grants")

    def _untouched(self, name: str) -> Stored | None:
        return next((Stored(table, paths) for table, paths in self._job.others if table.name == name), None)

    def _dangling(self, parent: Stored) -> None:
        for table, paths in self._job.others:
            for reference in table.references:
                if not reference.product and reference.table == parent.table.name:
                    self._violations += left_dangling(self._connection, Stored(table, paths), reference, parent)

    def _repeats(self, stored: Stored, name: str) -> bool:
        columns = tuple(replace(column, unique=False) for column in stored.table.columns)
        once = replace(stored.table, primary_key=(name,), unique=(), columns=columns)
        return any(duplicate_keys(self._connection, replace(stored, table=once)))

    def _discard(self) -> None:
        for path in self._targets:
            path.unlink(missing_ok=True)

    def _target(self, name: str) -> Path:
        path = (self._job.staging or self._work) / name
        self._targets.append(path)
        return path

    def _checked(self, run: _Run) -> CheckedTable:
        if run.table is None:
            raise AssertionError(run.input.name)
        keep = self._job.staging is not None and not self._violations
        files = tuple(_staged(*one) for one in run.staged) if keep else ()
        restaged = tuple(_staged(*one) for one in run.restaged) if keep else ()
        return CheckedTable(run.table, run.rows, files, restaged, run.widened, run.suggested, run.doubts)


def _doubt(source: CsvSource | ParquetSource, found: Survey) -> str | None:
    """Say what in a file its author may not have meant; Parquet keeps its names apart from its rows."""
    if isinstance(source, ParquetSource):
        return None
    return doubt_of_header(source.header, {name: one.kind for name, one in found.fields.items()})


def _staged(upload: str, path: Path, rows: int) -> StagedFile:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            digest.update(block)
            size += len(block)
    return StagedFile(upload, path, digest.hexdigest(), rows, size)
