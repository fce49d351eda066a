"""From files handed in to data files that a publication can name: check, stage, store. Moves nothing yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from thinmesh.kernel.contract import Table
from thinmesh.kernel.errors import Violation
from thinmesh.kernel.ledger import TableLoad
from thinmesh.kernel.policy import Action, Principal
from thinmesh.kernel.product import DataFile, Product, TableState
from thinmesh.kernel.progress import Progress
from thinmesh.kernel.repository import StagedObject
from thinmesh.kernel.scratch import scratch_folder

from .backend import Backends
from .finding import facts
from .model import CheckedTable, CheckJob, CheckResult, Snapshot, StagedFile, TableInput, Upload
from .quality import has_sql, measured


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a table as it will be: either handed in now (`upload`), or there already (`kept`).

    `content` is the sha256 of the file as handed in, `blob` its object id where it is a CSV on `main`.
    """

    content: str
    upload: Upload | None = None
    kept: DataFile | None = None
    blob: str | None = None


@dataclass(frozen=True, slots=True)
class TableChange:
    """What is to happen to one table's data.

    `sources` are all its files after a replace, or the new ones of an append.
    """

    name: str
    mode: str
    sources: tuple[Source, ...]
    in_git: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """Checked and stored loads, ready for a ledger entry. `tables` are contracts that the check inferred or widened.

    `blobs` are CSVs for `main` that enter the repository with the entry, and not before: whoever knows an object's id
    can fetch it.
    """

    loads: Mapping[str, TableLoad] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    quality: Mapping[str, Any] = field(default_factory=dict)
    not_checked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rows: int = 0
    blobs: tuple[StagedObject, ...] = ()


def prepare(
    backends: Backends,
    caller: Principal,
    current: Product | None,
    tables: Mapping[str, Table],
    changes: Sequence[TableChange],
    product: str,
    progress: Progress,
) -> Prepared:
    """Check the changes against the contracts in `tables`, and store what was staged.

    Nothing is stored when there are violations. The stored files are named by nothing until the ledger takes them.
    """
    result, loads, blobs = _stage(backends, caller, current, tables, changes, product, progress)
    if not result.ok:
        return Prepared(violations=result.violations, not_checked=result.not_checked, rows=result.rows)
    return Prepared(
        loads=loads,
        tables={
            found.table.name: found.table for found in result.tables if tables.get(found.table.name) != found.table
        },
        quality=_quality(result),
        not_checked=result.not_checked,
        notes=tuple(
            f"{found.table.name}{note}"
            for found in result.tables
            for note in (*(f": {doubt}" for doubt in found.doubts), *(f".{word}" for word in found.widened))
        ),
        rows=result.rows,
        blobs=blobs,
    )


def rehearse(
    backends: Backends,
    caller: Principal,
    current: Product,
    tables: Mapping[str, Table],
    changes: Sequence[TableChange],
    progress: Progress,
) -> CheckResult:
    """Check the changes as a publication would, and keep nothing; every value is typed only where SQL rules ask."""
    if not any(has_sql(tables[change.name]) for change in changes if change.name in tables):
        return check(backends, caller, current, tables, changes, None, progress)
    result, loads, blobs = _stage(backends, caller, current, tables, changes, current.name, progress)
    discard(backends, Prepared(loads, blobs=blobs), current)
    return result


def _stage(
    backends: Backends,
    caller: Principal,
    current: Product | None,
    tables: Mapping[str, Table],
    changes: Sequence[TableChange],
    product: str,
    progress: Progress,
) -> tuple[CheckResult, dict[str, TableLoad], tuple[StagedObject, ...]]:
    """Check, store what was staged, and run SQL rules over it; nothing is stored where there are violations."""
    with scratch_folder(backends.scratch) as folder:
        result = check(backends, caller, current, tables, changes, folder, progress)
        widened = {found.table.name for found in result.tables if found.restaged}
        if widened:
            changes = [_from_text(backends, current, change, folder, widened) for change in changes]
            result = check(backends, caller, current, tables, changes, folder, progress)
        if not result.ok:
            return result, {}, ()
        checked = {found.table.name: found for found in result.tables}
        blobs: list[StagedObject] = []
        loads = {
            change.name: _store(backends, product, current, change, checked[change.name], blobs) for change in changes
        }
    stored = Prepared(loads, blobs=tuple(blobs))
    try:
        result = _with_sql(backends, caller, product, current, result, loads)
    except BaseException:
        discard(backends, stored, current)
        raise
    if not result.ok:
        discard(backends, stored, current)
        return result, {}, ()
    return result, loads, stored.blobs


def _from_text(
    backends: Backends, current: Product | None, change: TableChange, folder: Path, widened: Collection[str]
) -> TableChange:
    """Have present CSVs of a table that widens read again: typed values no longer tell how they were written."""
    state = current.tables.get(change.name) if current else None
    present = [Source(file.content, kept=file) for file in state.files] if state and change.mode == "append" else []
    sources = [*present, *change.sources]
    if change.name not in widened or not all(source.kept.source for source in sources if source.kept):
        return change

    def again(number: int, source: Source) -> Source:
        path = folder / f"again-{number}.csv"
        return reread(backends, change.name, source.kept, path, change.in_git) if source.kept else source

    return replace(change, mode="replace", sources=tuple(again(n, source) for n, source in enumerate(sources)))


def reread(backends: Backends, table: str, file: DataFile, path: Path, in_git: bool) -> Source:
    """Hand in a data file once more: the CSV it came from, copied to `path`, where that is known, else the Parquet."""
    if file.source is None:
        return Source(file.content, upload=Upload(f"{table}/{path.stem}.parquet", backends.location.local(file)))
    backends.data.copy(file.source, str(path))
    blob = file.source if in_git else None
    return Source(file.content, upload=Upload(f"{table}/{path.name}", path), blob=blob)


def _with_sql(
    backends: Backends,
    caller: Principal,
    product: str,
    current: Product | None,
    result: CheckResult,
    loads: Mapping[str, TableLoad],
) -> CheckResult:
    """Add what the SQL quality rules of the loaded tables find, over the product as it would be."""
    states = current.tables if current else {}
    tables = {name: state.table for name, state in states.items()} | {
        found.table.name: found.table for found in result.tables
    }
    judged = [name for name in loads if has_sql(tables[name])]
    if not judged:
        return result
    files = {name: state.files for name, state in states.items()}
    for name, load in loads.items():
        files[name] = (*files.get(name, ()), *load.files) if load.mode == "append" else load.files
    snapshots = [
        Snapshot(product, table, None, tuple(backends.location.path(file) for file in files.get(name, ())))
        for name, table in tables.items()
    ]
    return measured(backends.sandbox, caller.user, snapshots, judged, result)


def check(
    backends: Backends,
    caller: Principal,
    current: Product | None,
    tables: Mapping[str, Table],
    changes: Sequence[TableChange],
    folder: Path | None,
    progress: Progress,
) -> CheckResult:
    """Check the changes; stage Parquet in `folder` where one is given."""
    states = current.tables if current else {}
    touched = {change.name for change in changes}
    job = CheckJob(
        tables=tuple(_input(backends, states.get(change.name), tables.get(change.name), change) for change in changes),
        staging=folder,
        others=tuple(
            (tables.get(name, state.table), _paths(backends, state.files))
            for name, state in states.items()
            if name not in touched and state.publication
        ),
        foreign=_foreign(backends, caller, [tables[change.name] for change in changes if change.name in tables]),
        max_bytes=backends.max_bytes,
    )
    return backends.checker.check(job, progress)


def _input(backends: Backends, state: TableState | None, table: Table | None, change: TableChange) -> TableInput:
    kept = [source.kept for source in change.sources if source.kept]
    if change.mode == "append" and state:
        kept = [*state.files, *kept]
    uploads = tuple(source.upload for source in change.sources if source.upload)
    return TableInput(change.name, table, uploads, _paths(backends, kept))


def _paths(backends: Backends, files: Sequence[DataFile]) -> tuple[Path, ...]:
    return tuple(backends.location.local(file) for file in files)


def _foreign(
    backends: Backends, caller: Principal, tables: Sequence[Table]
) -> dict[str, tuple[Table, tuple[Path, ...]]]:
    """Find the tables of other products that are referred to, as far as the caller may read them."""
    found: dict[str, tuple[Table, tuple[Path, ...]]] = {}
    wanted = {(ref.product, ref.table) for table in tables for ref in table.references if ref.product}
    if not wanted:
        return found
    with backends.database.read() as tx:
        for name, table in sorted(wanted):
            product = backends.index.product(tx, name)
            state = product.tables.get(table) if product and product.status != "retired" else None
            if (
                product
                and state
                and state.publication
                and backends.policy.allows(caller, Action.READ_DATA, facts(product))
            ):
                found[f"{name}.{table}"] = (state.table, _paths(backends, state.files))
    return found


def _store(
    backends: Backends,
    product: str,
    current: Product | None,
    change: TableChange,
    checked: CheckedTable,
    blobs: list[StagedObject],
) -> TableLoad:
    """Put the staged files into the location, in the order of the sources; what is to be committed waits in `blobs`."""
    staged = {file.upload: file for file in checked.files}
    present = list(current.tables[change.name].files) if current and change.name in current.tables else []
    kept = [source.kept for source in change.sources if source.kept]
    if change.mode == "append":
        kept = [*present, *kept]
    again = dict(zip((file.path for file in kept), checked.restaged, strict=False)) if checked.restaged else {}

    def stored(file: StagedFile, content: str, blob: str | None) -> DataFile:
        return backends.location.put(product, change.name, file, content, blob)

    def of_kept(file: DataFile) -> DataFile:
        return stored(again[file.path], file.content, file.source) if file.path in again else file

    def blob_of(source: Source) -> str | None:
        if not change.in_git or source.upload is None:
            return source.blob
        if source.blob is None:
            blobs.append(backends.data.stage(str(source.upload.path)))
        return source.blob or blobs[-1].id

    def of_source(source: Source) -> DataFile:
        if source.kept:
            return replace(of_kept(source.kept), source=source.blob)
        upload = source.upload.name if source.upload else ""
        return stored(staged[upload], source.content, blob_of(source))

    files = tuple(of_source(source) for source in change.sources)
    if change.mode == "append" and again:
        return TableLoad("replace", (*(of_kept(file) for file in present), *files), change.in_git)
    return TableLoad(change.mode, files, change.in_git)


def _quality(result: CheckResult) -> dict[str, Any]:
    """Keep what was measured and not checked, without any value of the data."""
    measured = [violation.without_values().document() for violation in result.measured]
    found: dict[str, Any] = {}
    if measured:
        found["measured"] = measured
    if result.not_checked:
        found["not_checked"] = list(result.not_checked)
    return found


def discard(backends: Backends, prepared: Prepared, current: Product | None) -> None:
    """Remove stored files of a publication that did not come about."""
    for blob in prepared.blobs:
        backends.data.drop(blob)
    present = {file.path for state in (current.tables.values() if current else ()) for file in state.files}
    for load in prepared.loads.values():
        for file in load.files:
            if file.path not in present:
                backends.location.remove(file.path)
