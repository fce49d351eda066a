"""Publish data files: judge, check, stage, and hand one change to the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from thinmesh.kernel.contract import Table
from thinmesh.kernel.database import Transaction
from thinmesh.kernel.documents import table_record
from thinmesh.kernel.errors import Malformed, NotFound, Temporary
from thinmesh.kernel.ledger import Draft, ProductChange, TableLoad, Unfinished
from thinmesh.kernel.names import nearest
from thinmesh.kernel.policy import Action, Principal
from thinmesh.kernel.product import Product, TableState
from thinmesh.kernel.progress import Progress

from .backend import Backends
from .finding import facts, live_product
from .inferred_notes import inferred_notes
from .loading import Prepared, Source, TableChange, discard, prepare, rehearse
from .model import CheckedTable, CheckJob, CheckResult, TableInput, Upload
from .registration import ATTEMPTS, Stale, actor_of, audited, refused, signature_of
from .sources import by_table, csv_paths, digest, fits_git

MODES = ("replace", "append")


@dataclass(frozen=True, slots=True)
class PublicationOutcome:
    """What a publication came to; `tables` gives rows and bytes per table."""

    publication: str | None
    changed: bool
    tables: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    quality: Mapping[str, Any] = field(default_factory=dict)


class Publishing:
    """Takes data files."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def check(self, caller: Principal, name: str, uploads: Sequence[Upload], progress: Progress) -> CheckResult:
        """Check files against a product's contract as a publication would, and change nothing."""
        current = self.product(caller, name)
        changes = [
            TableChange(table, "replace", _sources(files), in_git=False)
            for table, files in by_table(uploads, list(current.tables)).items()
        ]
        found = rehearse(self._backends, caller, current, _contracts(current), changes, progress)
        return replace(found, tables=tuple(_with_notes(current, table) for table in found.tables))

    def inspect(self, uploads: Sequence[Upload], progress: Progress) -> CheckResult:
        """Infer the tables of files that belong to no product yet."""
        files = by_table(uploads)
        inputs = tuple(TableInput(table, None, tuple(each)) for table, each in files.items())
        return self._backends.checker.check(CheckJob(tables=inputs, max_bytes=self._backends.max_bytes), progress)

    def publish(
        self, caller: Principal, name: str, uploads: Sequence[Upload], mode: str, again: bool, progress: Progress
    ) -> PublicationOutcome:
        """Publish files as one publication of one or more tables; all of them appear at once, or none.

        `mode` is replace or append; the same content once more changes nothing unless `again` (append).
        Raises Refused with every violation of every file.
        """
        if mode not in MODES:
            raise Malformed(f"mode {mode!r} is not one of {', '.join(MODES)}.")
        if not uploads:
            raise Malformed("No file was handed in.", help="Name at least one <table>.csv or <table>.parquet.")
        for _ in range(ATTEMPTS):
            try:
                return self._attempt(caller, name, uploads, mode, again, progress)
            except Stale:
                continue
        raise Temporary(f"{name} is being changed by others all the time.")

    def product(self, caller: Principal, name: str) -> Product:
        """Find a product that the caller may publish to. Raises NotFound, Retired, NotAllowed."""
        try:
            with self._backends.database.read() as tx:
                current = live_product(self._backends, tx, name)
        except NotFound as error:
            first = "A new product is registered before data is published: thinmesh register product.json"
            raise NotFound(error.detail, help=f"{error.help} {first}") from error
        with audited(self._backends, caller, "product.publish", name):
            self._backends.policy.require(caller, Action.PUBLISH, product=facts(current))
        return current

    def _attempt(
        self, caller: Principal, name: str, uploads: Sequence[Upload], mode: str, again: bool, progress: Progress
    ) -> PublicationOutcome:
        current = self.product(caller, name)
        changes = self._changes(current, by_table(uploads, list(current.tables)), mode, again)
        if not changes:
            return PublicationOutcome(current.publication, changed=False, tables=_counts_of(current, uploads))
        tables = _contracts(current)
        prepared = prepare(self._backends, caller, current, tables, changes, name, progress)
        if prepared.violations:
            raise refused(f"The files do not satisfy the contract of {name}", prepared.violations)
        entry_changes: list[ProductChange] = []
        try:
            self._backends.ledger.submit(lambda tx, tip: self._draft(tx, tip, caller, current, prepared, entry_changes))
        except Unfinished:
            raise
        except BaseException:
            discard(self._backends, prepared, current)
            raise
        return PublicationOutcome(
            entry_changes[0].publication,
            True,
            _counts(prepared.loads),
            tuple(_notes(current, prepared)),
            prepared.quality,
        )

    def _changes(
        self, current: Product, tables: Mapping[str, Sequence[Upload]], mode: str, again: bool
    ) -> list[TableChange]:
        """Leave out what is there already, and decide where each table's data goes."""
        changes = []
        for table, files in tables.items():
            state = current.tables.get(table)
            sources = _sources(files)
            present = [file.content for file in state.files] if state else []
            if mode == "append" and not again:
                sources = tuple(source for source in sources if source.content not in present)
            unchanged = not sources or (mode == "replace" and [source.content for source in sources] == present)
            if unchanged and state and state.publication:
                continue
            changes.append(TableChange(table, mode, sources, self._in_git(current, state, files)))
        return changes

    def _in_git(self, current: Product, state: TableState | None, files: Sequence[Upload]) -> bool:
        """Decide whether a table's data is committed. What left the repository once does not come back."""
        if current.closed or (state and state.table.classified):
            return False
        if state and state.publication and not state.in_git:
            return False
        return fits_git(self._backends, files)

    def _draft(
        self,
        tx: Transaction,
        tip: str,
        caller: Principal,
        before: Product,
        prepared: Prepared,
        entry_changes: list[ProductChange],
    ) -> Draft:
        backends = self._backends
        current = live_product(backends, tx, before.name)
        if current.sequence != before.sequence:
            raise Stale
        # An upload and its check may take an hour, in which tokens end and people leave teams.
        backends.policy.require(backends.teams.again(tx, caller), Action.PUBLISH, product=facts(current))
        for blob in prepared.blobs:
            backends.data.admit(blob)
        publication = backends.index.next_publication(tx, current.name)
        files = backends.data.files(tip, current.folder)
        edits: dict[str, str | None] = {}
        for table, load in prepared.loads.items():
            edits.update(csv_edits(current, table, load, files, publication))
        document = files.get(f"{current.folder}/product.json")
        odcs, odps = files.get(f"{current.folder}/contract.yaml"), files.get(f"{current.folder}/product.odps.yaml")
        readme = files.get(f"{current.folder}/README.md")
        change = ProductChange(
            product=current.name,
            event="published",
            domain=current.domain,
            owner=current.owner,
            access=current.access,
            status=current.status,
            version=current.version,
            document=document.id if document else None,
            described=None if document else described(current),
            odcs=odcs.id if odcs else None,
            odps=odps.id if odps else None,
            readme=readme.id if readme else None,
            tables={name: table_record(table) for name, table in prepared.tables.items()},
            publication=publication,
            loads=prepared.loads,
            quality=prepared.quality,
            successor=current.successor,
        )
        entry_changes[:] = [change]
        message = f"Publish {publication} of {current.name}"
        return Draft(actor_of(caller), (change,), message, signature_of(caller), edits)


def _notes(current: Product, prepared: Prepared) -> Iterator[str]:
    """Tell what was made of the files that their author may not have meant."""
    for table in prepared.loads:
        yield from _notes_of_new(current, table)
    yield from prepared.notes
    yield from inferred_notes(current.name, current, prepared.tables)


def _with_notes(current: Product, checked: CheckedTable) -> CheckedTable:
    return replace(checked, widened=(*_notes_of_new(current, checked.table.name), *checked.widened))


def _notes_of_new(current: Product, table: str) -> tuple[str, ...]:
    """Say that a table is new beside others: a file's name written wrong makes one as well."""
    if not current.tables or table in current.tables:
        return ()
    near = nearest(table, current.tables)
    hint = f"did you mean {near}?" if near else f"the others: {', '.join(current.tables)}"
    return (f"new table {table}; {hint}",)


def described(current: Product) -> dict[str, Any]:
    """Give the descriptor of a product that nobody wrote one for."""
    return {"name": current.name, "domain": current.domain, "description": current.descriptor.description}


def csv_edits(
    current: Product, table: str, load: TableLoad, files: Mapping[str, Any], publication: str
) -> dict[str, str | None]:
    """Give the edits on `main` that one table's load asks for.

    A replace leaves exactly the new CSVs; the first append turns `<t>.csv` into `<t>/p<n>.csv`; data that
    goes to the location takes the table's CSVs off `main`.
    """
    present = csv_paths(files, current.folder, table)
    base = f"{current.folder}/{table}"
    if not load.in_git:
        return dict.fromkeys(present)
    blobs = [file.source for file in load.files]
    single = f"{base}.csv"
    if len(blobs) == 1 and (load.mode == "replace" or not present):
        return {**dict.fromkeys(present), single: blobs[0]}
    # What is in the repository keeps its path, but for `<t>.csv`, which cannot lie beside `<t>/`.
    moved = f"{base}/{(current.tables[table].publication if table in current.tables else None) or 'p0'}.csv"
    places = {files[path].id: moved if path == single else path for path in present}
    edits: dict[str, str | None] = {single: None} if single in files else {}
    if load.mode == "append":
        edits |= {places[files[path].id]: files[path].id for path in present if path == single}
        places = {}
    else:
        edits |= dict.fromkeys(present)
    taken = {*present, moved}
    parts = (path for n in count() if (path := f"{base}/{_part(publication, n)}.csv") not in taken)
    return {**edits, **{places.pop(str(blob), "") or next(parts): blob for blob in blobs}}


def _part(publication: str, number: int) -> str:
    return f"{publication}_{number}" if number else publication


def _sources(files: Sequence[Upload]) -> tuple[Source, ...]:
    return tuple(Source(digest(upload.path), upload=upload) for upload in files)


def _contracts(current: Product) -> dict[str, Table]:
    return {name: state.table for name, state in current.tables.items()}


def _counts(loads: Mapping[str, TableLoad]) -> dict[str, dict[str, int]]:
    return {
        name: {"rows": sum(file.rows for file in load.files), "bytes": sum(file.bytes for file in load.files)}
        for name, load in loads.items()
    }


def _counts_of(current: Product, uploads: Sequence[Upload]) -> dict[str, dict[str, int]]:
    return {
        name: {"rows": state.rows, "bytes": sum(file.bytes for file in state.files)}
        for name, state in current.tables.items()
        if name in by_table(uploads, list(current.tables)) and state.publication
    }
