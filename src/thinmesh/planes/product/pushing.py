"""What a push makes of products: judge every touched folder while nobody sees it, then land all of it as one entry."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from thinmesh.kernel.contract import Table, with_ids
from thinmesh.kernel.database import Transaction
from thinmesh.kernel.documents import canonical, parse_descriptor, stored_descriptor
from thinmesh.kernel.errors import Conflict, MeshError, NotAllowed, Refused, Temporary, Violation
from thinmesh.kernel.ledger import Draft, ProductChange, Unfinished
from thinmesh.kernel.policy import Action, Principal
from thinmesh.kernel.product import Descriptor, Product
from thinmesh.kernel.progress import Progress, no_progress
from thinmesh.kernel.repository import DataRepository, File
from thinmesh.kernel.scratch import scratch_folder

from .backend import Backends
from .consumers import for_whom
from .evolution import Evolution, evolve
from .finding import facts
from .loading import Prepared, Source, TableChange, discard, prepare
from .model import Upload
from .push import MAIN, Landing, Push, PushContext, PushedChange, Say
from .push_merge import clashes, merged, news
from .push_placement import DOCUMENTS, misplaced, smuggled, table_of
from .push_reply import Landed, reply
from .push_structure import folder_faults, rights_faults, structural_faults
from .registration import ATTEMPTS, Registration, Stale, actor_of, change_of, signature_of
from .sources import csv_paths, digest

# What one push may bring (DESIGN, *Push*); beyond it: publish.
_BUDGET = 500_000_000
_SECONDS = 120.0
# Reads what a push comes to, against the commit that `main` is at: adapters know git, planes do not.
ReadPush = Callable[[Push, str], PushedChange]


@dataclass(slots=True)
class FolderPlan:
    """What is to happen to one product: the state it was judged against, and everything the log entry needs."""

    domain: str
    name: str
    before: Product | None
    edits: Mapping[str, str | None]
    evolution: Evolution | None = None
    prepared: Prepared = field(default_factory=Prepared)
    event: str = "changed"
    files: Mapping[str, File] = field(default_factory=dict)
    described: Mapping[str, Any] | None = None
    needs: frozenset[Action] = frozenset()
    progress: Progress = no_progress


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is kept of a push between its check and its landing: who its caller was then, and what is to be done."""

    caller: Principal
    plans: Sequence[FolderPlan]


class Pushing:
    """A `PushHandler` (push.py) over the product plane. `begun` is called before a push is judged."""

    def __init__(self, backends: Backends, read: ReadPush, begun: Callable[[], None] = lambda: None) -> None:
        self._backends = backends
        self._read = read
        self._begun = begun
        self._registration = Registration(backends)
        self._judged: dict[str, _Judged] = {}
        self._lock = threading.Lock()

    def check(self, push: Push, say: Say) -> Sequence[Violation]:
        """Judge a push that nobody sees yet; give every fault found."""
        self._begun()
        caller = self._caller(push)
        plans, faults = self._judge(push, caller, say)
        if not faults:
            self._keep(push.context, _Judged(caller, plans))
            return ()
        for plan in plans:
            discard(self._backends, plan.prepared, plan.before)
        return faults

    def land(self, push: Push, say: Say) -> Landing:
        """Move `main`: to the pushed commit, or to a merge of it."""
        for _ in range(ATTEMPTS):
            judged = self._judged[push.context.id]
            try:
                return self._land(push, judged, say)
            except Stale:
                self._drop(push.context)
                caller = self._caller(push)
                plans, faults = self._judge(push, caller, say)
                self._keep(push.context, _Judged(caller, plans))
                if faults:
                    raise Refused("The products changed while this was pushed.", violations=faults) from None
        raise Temporary("The products pushed are being changed by others all the time.")

    def end(self, context: PushContext) -> None:
        """Forget what was kept for a push."""
        self._drop(context)

    # Judging --------------------------------------------------------------------------------------------------

    def _caller(self, push: Push) -> Principal:
        """Give the caller as they are now: what they send may have taken half an hour to come."""
        with self._backends.database.read() as tx:
            return self._backends.teams.again(tx, push.context.caller)

    def _judge(self, push: Push, caller: Principal, say: Say) -> tuple[list[FolderPlan], list[Violation]]:
        self._backends.policy.require(caller, Action.PUSH)
        tip = self._backends.data.tip()
        change = self._read(push, tip)
        faults = list(structural_faults(change, max_file=self._backends.max_file))
        faults += rights_faults(change, lambda folder, paths: self._refusal(caller, folder, paths))
        spent = sum(edit.new.size for edit in change.net.values() if edit.new and edit.new.size)
        if spent > _BUDGET:
            text = f"the push brings {spent:,} bytes; {_BUDGET:,} is the most: use `thinmesh publish` for data"
            return [], [*faults, Violation(text, "push_size")]
        broken = {violation.file for violation in faults if violation.file}
        plans: list[FolderPlan] = []
        progress = within(_SECONDS)
        for folder, paths in change.folders().items():
            # A file of the wrong kind or size is not read, also where a later commit undoes it.
            if folder in broken or any(path in broken for path in paths):
                continue
            try:
                progress(folder, 0, 0)
            except Refused as error:
                return plans, [*faults, *error.violations]
            ours = self._backends.data.files(tip, folder)
            edits = news(ours, change, folder)
            say(f"checking {folder}")
            plan, found = self._plan(push, caller, folder, edits, ours, change, progress)
            faults += found
            # What comes to nothing is judged all the same, for its commits stay in the history.
            plans += [plan] if edits else []
        return plans, faults

    def _refusal(self, caller: Principal, folder: str, paths: Sequence[str]) -> str | None:
        """Say why the caller may not touch these paths of a folder, or nothing.

        Whether a new folder may be registered is judged with its descriptor.
        """
        product = self._product(folder)
        if product is None:
            return None
        if product.status == "retired":
            return f"{product.name} was retired, and a retired name is never given away again; choose another one"
        if product.folder != folder:
            return f"there is a product {product.name} in the domain {product.domain}; names are unique, choose another"
        for action in sorted(_needed(paths)):
            try:
                self._backends.policy.require(caller, action, product=facts(product))
            except NotAllowed as error:
                self._backends.audit.refused(caller, "product.push", product.name, error)
                return f"{error.detail} {error.help}"
        return None

    def _product(self, folder: str) -> Product | None:
        with self._backends.database.read() as tx:
            return self._backends.index.product(tx, folder.partition("/")[2])

    def _plan(
        self,
        push: Push,
        caller: Principal,
        folder: str,
        edits: Mapping[str, str | None],
        ours: Mapping[str, File],
        change: PushedChange,
        progress: Progress,
    ) -> tuple[FolderPlan, list[Violation]]:
        """Judge one folder as it would be after the merge."""
        domain, _, name = folder.partition("/")
        with self._backends.database.read() as tx:
            before = self._backends.index.product(tx, name)
        plan = FolderPlan(domain, name, before, edits, needs=_needed(edits), progress=progress)
        faults = clashes(ours, change, folder)
        plan.files = merged(ours, change, folder)
        faults += [fault for fault in folder_faults(plan.files) if fault not in faults]
        tables = {table: state.table for table, state in before.tables.items()} if before else {}
        try:
            if before is None or any(path in edits for path in (f"{folder}/{document}" for document in DOCUMENTS)):
                descriptor = self._descriptor(push.repository, plan, folder)
                # Rows are judged by the tables that its author meant, also where it is refused for something else.
                tables = {name: with_ids(table, tables.get(name)) for name, table in descriptor.tables.items()} | {
                    name: table for name, table in tables.items() if name not in descriptor.tables
                }
                plan.evolution = self._evolve(caller, plan, descriptor)
                plan.event = "changed" if before else "registered"
            elif all(path.endswith(".csv") for path in edits):
                plan.event = "published"
        except MeshError as error:
            faults += _as_faults(error, folder if plan.described else f"{folder}/product.json")
        faults += smuggled(push.repository, plan, folder, tables, change)
        try:
            self._load(push, caller, plan, folder, tables, faults)
        except MeshError as error:
            faults += _as_faults(error, folder)
        return plan, faults

    def _descriptor(self, repository: DataRepository, plan: FolderPlan, folder: str) -> Descriptor:
        """Read the folder's descriptor, or make one for a folder with only CSVs."""
        file = f"{folder}/product.json"
        files = {name: plan.files.get(f"{folder}/{name}") for name in DOCUMENTS}
        document, odcs, odps = (repository.read(found.id) if found else None for found in files.values())
        if document is None:
            plan.described = _described(repository, plan, folder)
            document = canonical(plan.described)
        descriptor = parse_descriptor(document, file=file, odcs=odcs, odps=odps)
        standard = odps or odcs
        said = stored_descriptor(standard).description if plan.described and standard else ""
        if plan.described and said:
            plan.described = {**plan.described, "description": said}
            descriptor = replace(descriptor, description=said, document=canonical(plan.described))
        for field_name, value, wanted in (
            ("domain", descriptor.domain, plan.domain),
            ("name", descriptor.name, plan.name),
        ):
            if value != wanted:
                text = f'"{field_name}" is {value}, and the folder says {wanted}: make them the same'
                raise Refused(text, violations=[Violation(text, field_name, file=file, column=field_name)])
        return descriptor

    def _evolve(self, caller: Principal, plan: FolderPlan, descriptor: Descriptor) -> Evolution:
        file = f"{descriptor.domain}/{descriptor.name}/product.json"
        with self._backends.database.read() as tx:
            try:
                owner = self._registration.authorize(tx, caller, descriptor, plan.before)
            except Refused as error:
                choice = sorted(
                    caller.teams & {*(self._backends.teams.teams_of_domain(tx, plan.domain) or caller.teams)}
                )
                if not plan.described or len(choice) < 2:
                    raise
                document = json.dumps({**plan.described, "owner": choice[0]}, ensure_ascii=False)
                raise Refused(error.detail, help=f"Say it in {file}, for example: {document}") from error
        evolution = evolve(plan.before, descriptor, owner, file)
        if evolution.faults:
            faults = for_whom(self._backends, descriptor.name, evolution.faults)
            raise Refused("The descriptor breaks consumers.", violations=faults)
        return evolution

    def _load(
        self,
        push: Push,
        caller: Principal,
        plan: FolderPlan,
        folder: str,
        tables: Mapping[str, Table],
        faults: list[Violation],
    ) -> None:
        """Check the CSVs that changed, and present data where the contract did."""
        evolution = plan.evolution
        again = {*evolution.recheck, *evolution.retype} if evolution else set()
        names = sorted({table for path in plan.edits if (table := table_of(path, folder))})
        refused = [fault for name in names if (fault := misplaced(plan, folder, name, tables))]
        faults += refused
        if refused:
            return
        with scratch_folder(self._backends.scratch) as scratch:
            changes = []
            for name in [*names, *sorted(again - {*names})]:
                if name in names or (plan.before and plan.before.tables[name].in_git):
                    sources = self._sources(push.repository, plan, folder, name, scratch, fresh=name in again)
                    changes.append(TableChange(name, "replace", sources, in_git=True))
            prepared = self._prepared(caller, plan, tables, changes)
        faults += [_placed(fault, plan, folder) for fault in prepared.violations]
        plan.prepared = prepared
        if evolution and again and plan.before:
            outside = [name for name in again if not plan.before.tables[name].in_git and name not in names]
            if outside:
                rest = Evolution(**{**_fields(evolution), "recheck": tuple(outside), "retype": ()})
                self._registration.bring_along(caller, plan.before, rest)

    def _prepared(
        self,
        caller: Principal,
        plan: FolderPlan,
        tables: Mapping[str, Table],
        changes: Sequence[TableChange],
    ) -> Prepared:
        if not changes:
            return Prepared()
        return prepare(self._backends, caller, plan.before, tables, changes, plan.name, plan.progress)

    def _sources(
        self, repository: DataRepository, plan: FolderPlan, folder: str, table: str, scratch: Path, *, fresh: bool
    ) -> tuple[Source, ...]:
        """Give all files of a table after the push: those there already are kept, unless all are to be read again."""
        state = plan.before.tables.get(table) if plan.before else None
        there = {file.source: file for file in state.files if file.source} if state else {}
        present = {} if fresh else there
        grows = state is not None and not state.table.inferred
        sources = []
        for number, path in enumerate(csv_paths(plan.files, folder, table)):
            blob = plan.files[path].id
            if blob in present:
                sources.append(Source(present[blob].content, kept=present[blob], blob=blob))
                continue
            local = scratch / f"{table}.{number}.csv"
            repository.copy(blob, str(local))
            sources.append(Source(digest(local), upload=Upload(path, local, grows and blob in there), blob=blob))
        return tuple(sources)

    # Landing --------------------------------------------------------------------------------------------------

    def _land(self, push: Push, judged: _Judged, say: Say) -> Landing:
        caller, plans, update = judged.caller, judged.plans, push.update
        tips: list[str] = []
        landed: list[Landed] = []

        def work(tx: Transaction, tip: str) -> Draft | None:
            tips[:] = [tip]
            if self._backends.data.is_ancestor(update.new, tip):
                return None
            if update.ref == MAIN and update.old != tip:
                raise Conflict("main has moved.", help="Run git pull --no-rebase, and push again.")
            if self._backends.teams.again(tx, caller) != caller:
                raise Stale
            changes = tuple(self._change(tx, caller, plan) for plan in plans)
            landed[:] = self._landed(tx, plans, changes)
            signature = signature_of(caller)
            if self._backends.data.is_ancestor(tip, update.new):
                return Draft(actor_of(caller), changes, "", signature, commit=update.new)
            edits = {path: id for plan in plans for path, id in plan.edits.items()}
            names = ", ".join(plan.name for plan in plans)
            # Without edits it is merged all the same: the pusher's next pull is then a fast-forward.
            message = f"Merge a push of {names}" if names else "Merge a push that changes nothing"
            return Draft(actor_of(caller), changes, message, signature, edits, merged=update.new)

        try:
            entry = self._backends.ledger.submit(work)
        except Unfinished:
            self._let_go(push.context)
            raise
        self._let_go(push.context)
        for line in reply(landed):
            say(line)
        return Landing(entry.new if entry else tips[0], tips[0], changed=bool(landed))

    def _landed(
        self, tx: Transaction, plans: Sequence[FolderPlan], changes: Sequence[ProductChange]
    ) -> Iterator[Landed]:
        """Say what is done to each product, while the state before can still be asked."""
        claimed: set[str] = set()
        for plan, change in zip(plans, changes, strict=True):
            claims = plan.domain not in claimed and not self._backends.teams.teams_of_domain(tx, plan.domain)
            claimed.add(plan.domain)
            files = tuple(path for path, id in plan.edits.items() if id)
            yield Landed(plan.before, change, plan.prepared.tables, plan.prepared.notes, files, claims)

    def _change(self, tx: Transaction, caller: Principal, plan: FolderPlan) -> ProductChange:
        current = self._backends.index.product(tx, plan.name)
        if (current.sequence if current else 0) != (plan.before.sequence if plan.before else 0):
            raise Stale
        if current:
            for action in plan.needs:
                self._backends.policy.require(caller, action, product=facts(current))
        folder = f"{plan.domain}/{plan.name}"
        ids = {name: plan.files.get(f"{folder}/{name}") for name in (*DOCUMENTS, "README.md")}
        evolution = plan.evolution or _unchanged(plan)
        described = plan.described
        if ids["product.json"] is None and described is None and current:
            described = _described_as(current)
        changed = {**(plan.evolution.changed if plan.evolution else {}), **plan.prepared.tables}
        return change_of(
            plan.name,
            plan.event,
            plan.domain,
            evolution,
            document=_id(ids["product.json"]),
            described=described,
            odcs=_id(ids["contract.yaml"]),
            odps=_id(ids["product.odps.yaml"]),
            readme=_id(ids["README.md"]),
            tables=changed,
            publication=self._backends.index.next_publication(tx, plan.name) if plan.prepared.loads else None,
            prepared=plan.prepared,
        )

    # Kept between check and land --------------------------------------------------------------------------------

    def _keep(self, context: PushContext, judged: _Judged) -> None:
        with self._lock:
            self._judged[context.id] = judged

    def _let_go(self, context: PushContext) -> None:
        """Forget what the log has now: it is no longer ours to throw away."""
        with self._lock:
            self._judged.pop(context.id, None)

    def _drop(self, context: PushContext) -> None:
        with self._lock:
            judged = self._judged.pop(context.id, None)
        for plan in judged.plans if judged else ():
            discard(self._backends, plan.prepared, plan.before)


def within(seconds: float) -> Progress:
    """Give a progress that ends the check it is told of once so many seconds are over."""
    end = time.monotonic() + seconds

    def look(_what: str, _done: int, _total: int) -> None:
        if time.monotonic() > end:
            text = f"the data of one push is checked for {seconds:g} seconds at most: use `thinmesh publish` for more"
            raise Refused(text, violations=[Violation(text, "push_time")])

    return look


def _needed(paths: Iterable[str]) -> frozenset[Action]:
    """Say what touching these paths takes: data alone is publishing, anything else is changing."""
    return frozenset(Action.PUBLISH if path.endswith(".csv") else Action.CHANGE for path in paths)


def _placed(fault: Violation, plan: FolderPlan, folder: str) -> Violation:
    """Give a fault in rows that the push leaves as they are the path of their table's first file."""
    if fault.file:
        return fault
    files = csv_paths(plan.files, folder, fault.table or "")
    return replace(fault, file=files[0] if files else folder)


def _described(repository: DataRepository, plan: FolderPlan, folder: str) -> dict[str, Any]:
    """Describe a folder that has only CSVs, by its README's first line."""
    readme = plan.files.get(f"{folder}/README.md")
    lines = repository.read(readme.id).decode("utf-8", "replace").splitlines() if readme else []
    first = next((line.strip("# \t") for line in lines if line.strip("# \t")), "")
    description = first[:1000] or plan.name.replace("_", " ").capitalize()
    return {"name": plan.name, "domain": plan.domain, "description": description}


def _described_as(current: Product) -> dict[str, Any]:
    return {"name": current.name, "domain": current.domain, "description": current.descriptor.description}


def _unchanged(plan: FolderPlan) -> Evolution:
    """Give the values in force of a product whose descriptor the push leaves alone."""
    before = plan.before
    if before is None:
        raise Stale
    return Evolution(before.owner, before.access, before.version, before.status, {}, {})


def _as_faults(error: MeshError, file: str) -> list[Violation]:
    """Turn an error into lines of the refusal."""
    if error.violations:
        return list(error.violations)
    if error.retry:
        raise error
    return [Violation(f"{error.detail} {error.help}".strip(), error.code, file=file)]


def _id(file: File | None) -> str | None:
    return file.id if file else None


def _fields(evolution: Evolution) -> dict[str, Any]:
    return {name: getattr(evolution, name) for name in evolution.__slots__}
