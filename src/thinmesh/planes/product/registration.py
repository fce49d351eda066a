"""Register, change, accept and retire products: everything about the descriptor."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thinmesh.kernel.contract import Table
from thinmesh.kernel.database import Transaction
from thinmesh.kernel.documents import (
    half_of,
    parse_descriptor,
    product_json_beside,
    same_meaning,
    table_record,
    with_tables,
)
from thinmesh.kernel.errors import Conflict, NotAllowed, Refused, Temporary, Violation
from thinmesh.kernel.ledger import Actor, Draft, ProductChange, Unfinished
from thinmesh.kernel.policy import Action, Principal, ProductFacts
from thinmesh.kernel.product import Descriptor, Product
from thinmesh.kernel.progress import no_progress
from thinmesh.kernel.repository import Signature
from thinmesh.kernel.scratch import scratch_folder

from .backend import Backends
from .consumers import for_whom
from .evolution import Evolution, accepted, evolve
from .finding import facts, live_product, retired, unknown
from .loading import Prepared, TableChange, discard, prepare

# How often a change is judged again when others got in between; each round saw newer state.
ATTEMPTS = 8


class Stale(Exception):
    """The product changed between judging and writing; judge again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a registration came to."""

    product: str
    created: bool
    changed: bool
    notes: tuple[str, ...] = ()


class Registration:
    """Takes descriptors."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def register(
        self,
        caller: Principal,
        document: bytes,
        contract: bytes | None = None,
        *,
        name: str | None = None,
        if_match: str | None = None,
    ) -> Outcome:
        """Register a new product, or change the one of that name; the same again changes nothing.

        `contract` is the ODCS contract that comes with the document; `name` is the one the caller addressed, where
        they did; `if_match` the version that the change was made from, `*` for any. Raises Refused with every
        violation at once, Conflict at another version.
        """
        try:
            descriptor = parse_descriptor(document, odcs=contract)
        except Refused:
            completed = self._completed(document, name) if contract is None else None
            if completed is None:
                raise
            descriptor = completed
        return self._register(caller, descriptor, name, if_match)

    def _completed(self, document: bytes, name: str | None) -> Descriptor | None:
        """Read one half of a pair that says too little without the other half, which the product has already."""
        half, said = half_of(document) or ("", None)
        with self._backends.database.read() as tx:
            current = self._backends.index.product(tx, name or said or "")
        before = current.descriptor if current else None
        if half == "odcs" and before is not None and before.odps is not None:
            return replace(parse_descriptor(document, odps=before.odps), odps=None)
        if half == "odps" and before is not None and before.odcs is not None:
            return replace(parse_descriptor(document, odcs=before.odcs), odcs=None)
        return None

    def _register(self, caller: Principal, descriptor: Descriptor, name: str | None, if_match: str | None) -> Outcome:
        if name is not None and descriptor.name != name:
            raise Refused(
                f"The document names {descriptor.name}, the address {name}.",
                help="A product keeps its name; use one of both.",
            )
        for _ in range(ATTEMPTS):
            try:
                with audited(self._backends, caller, "product.register", descriptor.name):
                    return self._attempt(caller, descriptor, if_match)
            except Stale:
                continue
        raise Temporary(f"{descriptor.name} is being changed by others all the time.")

    def _attempt(self, caller: Principal, given: Descriptor, if_match: str | None) -> Outcome:
        backends = self._backends
        with backends.database.read() as tx:
            before = backends.index.product(tx, given.name)
            descriptor = _paired(given, before)
            evolution = self.judge(tx, caller, descriptor, before)
        _require_version(before, descriptor.name, if_match)
        prepared = self.bring_along(caller, before, evolution)
        outcome = Outcome(descriptor.name, before is None, True, prepared.notes)
        unchanged = before is not None and _same(before, descriptor, evolution)

        def work(tx: Transaction, _tip: str) -> Draft | None:
            current = backends.index.product(tx, descriptor.name)
            if (current.sequence if current else 0) != (before.sequence if before else 0):
                raise Stale
            # The product is as it was judged, so that the descriptor still makes the same of it.
            if self.authorize(tx, caller, descriptor, current) != evolution.owner:
                raise Stale
            if unchanged:
                return None
            edits = self._files(descriptor, current)
            change = self._change(tx, current, descriptor, evolution, edits, prepared)
            message = f"{'Register' if current is None else 'Change'} {descriptor.name}"
            return Draft(actor_of(caller), (change,), message, signature_of(caller), edits)

        try:
            entry = backends.ledger.submit(work)
        except Unfinished:
            raise
        except BaseException:
            discard(backends, prepared, before)
            raise
        return outcome if entry else replace(outcome, created=False, changed=False)

    def judge(self, tx: Transaction, caller: Principal, descriptor: Descriptor, current: Product | None) -> Evolution:
        """Decide whether the caller may, and what the descriptor makes of the product. Raises the refusal."""
        file = f"{descriptor.domain}/{descriptor.name}/product.json"
        owner = self.authorize(tx, caller, descriptor, current)
        if current and current.domain != descriptor.domain:
            raise Refused(
                f"{current.name} lives in the domain {current.domain}; a product does not move.",
                help=f'Keep "domain": "{current.domain}", or register a new product and retire this one.',
            )
        evolution = evolve(current, descriptor, owner, file)
        if evolution.faults:
            faults = for_whom(self._backends, descriptor.name, evolution.faults)
            raise Refused(f"{descriptor.name} cannot be changed this way.", violations=faults)
        return evolution

    def authorize(self, tx: Transaction, caller: Principal, descriptor: Descriptor, current: Product | None) -> str:
        """Ask the policy, and give the owner team in force. Raises NotAllowed, Retired or Refused."""
        if current is None:
            return self._authorize_new(tx, caller, descriptor)
        if current.status == "retired":
            raise retired(current)
        self._backends.policy.require(caller, Action.CHANGE, product=facts(current))
        owner = descriptor.owner or current.owner
        if owner != current.owner:
            self._require_team(tx, owner, descriptor.domain)
        return owner

    def _authorize_new(self, tx: Transaction, caller: Principal, descriptor: Descriptor) -> str:
        teams = self._backends.teams.teams_of_domain(tx, descriptor.domain)
        owner = descriptor.owner or default_owner(caller, descriptor.domain, teams)
        if not self._backends.teams.has_team(tx, owner):
            raise Refused(
                f"There is no team {owner}.",
                help=f"Create it: thinmesh team create {owner} --domain {descriptor.domain}",
            )
        product = ProductFacts(descriptor.name, descriptor.domain, owner, descriptor.access or "open")
        self._backends.policy.require(caller, Action.REGISTER, product=product, team=owner, domain_teams=teams)
        if teams and owner not in teams:
            self._require_team(tx, owner, descriptor.domain)
        return owner

    def _require_team(self, tx: Transaction, owner: str, domain: str) -> None:
        """Refuse an owner that does not exist or does not work in the domain."""
        if not self._backends.teams.has_team(tx, owner):
            raise Refused(f"There is no team {owner}.", help="`thinmesh team list` shows the teams.")
        if owner not in self._backends.teams.teams_of_domain(tx, domain):
            raise Refused(
                f"The team {owner} does not work in the domain {domain}.",
                help=f"A member of a team in it lets them in: thinmesh team create {owner} --domain {domain}",
            )

    def bring_along(self, caller: Principal, current: Product | None, evolution: Evolution) -> Prepared:
        """Judge present data by a tightened contract, and derive it again where types changed.

        Raises Refused with what present data violates.
        """
        names = (*evolution.recheck, *evolution.retype)
        if not current or not names:
            return Prepared()
        backends = self._backends
        with scratch_folder(backends.scratch) as folder:
            changes = [_present(backends, current, name, folder) for name in names]
            prepared = prepare(backends, caller, current, evolution.tables, changes, current.name, no_progress)
        if prepared.violations:
            raise Refused(
                f"The data present in {current.name} violates the new contract.",
                help="Loosen the rule, or publish data that satisfies it first.",
                # The files are the mesh's own copies; nobody knows them by name.
                violations=[replace(violation, file=None) for violation in prepared.violations],
            )
        if not evolution.retype:
            discard(backends, prepared, current)
            return Prepared(quality=prepared.quality)
        return prepared

    def _files(self, descriptor: Descriptor, current: Product | None) -> dict[str, str | None]:
        """Store the documents and give the edits on `main`."""
        folder = f"{descriptor.domain}/{descriptor.name}"
        add = self._backends.data.add
        document = descriptor.document if descriptor.written else product_json_beside(descriptor)
        edits: dict[str, str | None] = {f"{folder}/product.json": add(document)}
        before = current.descriptor if current else None
        for path, content, old in (
            ("contract.yaml", descriptor.odcs, before.odcs if before else None),
            ("product.odps.yaml", descriptor.odps, before.odps if before else None),
        ):
            if content is not None:
                edits[f"{folder}/{path}"] = add(content)
            elif old is not None:
                # Beside a whole `product.json` it would say everything once more, and differently.
                edits[f"{folder}/{path}"] = None
        return edits

    def _change(
        self,
        tx: Transaction,
        current: Product | None,
        descriptor: Descriptor,
        evolution: Evolution,
        edits: Mapping[str, str | None],
        prepared: Prepared,
    ) -> ProductChange:
        folder = f"{descriptor.domain}/{descriptor.name}"
        readme = self._backends.data.file(self._backends.data.tip(), f"{folder}/README.md") if current else None
        return change_of(
            descriptor.name,
            "changed" if current else "registered",
            descriptor.domain,
            evolution,
            document=edits.get(f"{folder}/product.json"),
            odcs=edits.get(f"{folder}/contract.yaml"),
            odps=edits.get(f"{folder}/product.odps.yaml"),
            readme=readme.id if readme else None,
            tables={**evolution.changed, **prepared.tables},
            publication=self._backends.index.next_publication(tx, descriptor.name) if prepared.loads else None,
            prepared=prepared,
        )

    def accept(self, caller: Principal, name: str, if_match: str | None = None) -> Outcome:
        """Freeze the inferred tables of a product into its contract, written into its `product.json` on `main`."""
        with self._backends.database.read() as tx:
            current = live_product(self._backends, tx, name)
        with audited(self._backends, caller, "product.accept", name):
            self._backends.policy.require(caller, Action.CHANGE, product=facts(current))
        _require_version(current, name, if_match)
        if not any(state.table.inferred for state in current.tables.values()):
            return Outcome(name, created=False, changed=False)
        if current.descriptor.odcs is not None:
            raise Refused(
                f"The contract of {name} is an ODCS document; its author adds the tables there.",
                help=f"See what was inferred: thinmesh show {name} --format odcs; then register it completed.",
            )
        tables = {table: accepted(state.table) for table, state in current.tables.items()}
        document = with_tables(current.descriptor.document, tables)
        descriptor = parse_descriptor(document, odps=current.descriptor.odps)
        return replace(self._register(caller, descriptor, name, if_match), created=False)

    def retire(self, caller: Principal, name: str, successor: str | None, if_match: str | None = None) -> Outcome:
        """Retire a product: its name stays taken, its folder leaves `main`, its history stays."""
        backends = self._backends

        def work(tx: Transaction, tip: str) -> Draft | None:
            current = backends.index.product(tx, name)
            if current is None:
                raise unknown(backends, tx, name)
            backends.policy.require(caller, Action.CHANGE, product=facts(current))
            _require_version(current, name, if_match)
            if current.status == "retired":
                if successor in (None, current.successor):
                    return None
                raise retired(current)
            if successor is not None:
                _check_successor(live_product(backends, tx, successor), name)
            files = backends.data.files(tip, current.folder)
            change = ProductChange(
                name, "retired", current.domain, current.owner, current.access, "retired", current.version,
                document=_id_of(files, current, "product.json"),
                described=None if f"{current.folder}/product.json" in files else _described(current),
                odcs=_id_of(files, current, "contract.yaml"),
                odps=_id_of(files, current, "product.odps.yaml"),
                readme=_id_of(files, current, "README.md"),
                successor=successor,
            )  # fmt: skip
            edits: dict[str, str | None] = dict.fromkeys(files)
            return Draft(actor_of(caller), (change,), f"Retire {name}", signature_of(caller), edits)

        with audited(backends, caller, "product.retire", name):
            return Outcome(name, created=False, changed=backends.ledger.submit(work) is not None)


@contextmanager
def audited(backends: Backends, caller: Principal, action: str, product: str) -> Iterator[None]:
    """Record what the caller was not allowed to do to a product; what was done is in the log."""
    try:
        yield
    except NotAllowed as error:
        backends.audit.refused(caller, action, product, error)
        raise


def change_of(
    name: str,
    event: str,
    domain: str,
    evolution: Evolution,
    *,
    document: str | None,
    odcs: str | None,
    odps: str | None,
    readme: str | None,
    tables: Mapping[str, Table],
    publication: str | None,
    prepared: Prepared,
    described: Mapping[str, Any] | None = None,
) -> ProductChange:
    """Write down a product's change for the log."""
    return ProductChange(
        product=name,
        event=event,
        domain=domain,
        owner=evolution.owner,
        access=evolution.access,
        status=evolution.status,
        version=evolution.version,
        document=document,
        described=described,
        odcs=odcs,
        odps=odps,
        readme=readme,
        tables={table: table_record(found) for table, found in tables.items()},
        publication=publication,
        loads=prepared.loads,
        quality=prepared.quality,
    )


def default_owner(caller: Principal, domain: str, teams: Collection[str]) -> str:
    """Give the owner team where none is named: the caller's only one there; for administrators, its only one.

    Raises Refused where that leaves a choice or nobody, NotAllowed where no team of the caller's works in the domain.
    """
    own = sorted(caller.teams & set(teams)) if teams else sorted(caller.teams)
    if not own and caller.administers:
        own = sorted(teams)
    if len(own) == 1:
        return own[0]
    if own:
        raise Refused(f"Which team owns it: {', '.join(own)}?", help='Add "owner" to the descriptor.')
    if teams:
        raise NotAllowed(
            f"The domain {domain} belongs to {', '.join(sorted(teams))}; none of your teams works in it.",
            help="Ask one of their members to let your team in: thinmesh team create YOUR_TEAM --domain " + domain,
        )
    raise Refused(
        "No team is named as the owner, and you are in none.",
        help=f"Create one: thinmesh team create NAME --domain {domain}",
    )


def actor_of(caller: Principal) -> Actor:
    """Say who acts, for the log."""
    return Actor(caller.user, caller.door, caller.token)


def signature_of(caller: Principal) -> Signature:
    """Say who a commit is by; the address is not a mailbox."""
    email = caller.user if "@" in caller.user else f"{caller.user}@thinmesh.invalid"
    return Signature(caller.user, email)


def _require_version(current: Product | None, name: str, if_match: str | None) -> None:
    """Refuse a change that was made from another version than the present one."""
    if if_match is None or (current is not None and if_match in ("*", current.etag)):
        return
    raise Conflict(
        f"{name} is at {current.etag}, not at {if_match}." if current else f"There is no product {name} yet."
    )


def _paired(descriptor: Descriptor, current: Product | None) -> Descriptor:
    """Keep the other half of a pair: a contract replaces the contract alone, and an ODPS product the product."""
    if current is None or descriptor.written or (descriptor.odcs is not None and descriptor.odps is not None):
        return descriptor
    before = current.descriptor
    if descriptor.odcs is not None:
        return parse_descriptor(descriptor.odcs, odps=before.odps) if before.odps is not None else descriptor
    if descriptor.odps is not None and before.odcs is not None:
        return parse_descriptor(descriptor.odps, odcs=before.odcs)
    return replace(descriptor, tables=before.tables)


def _same(current: Product, descriptor: Descriptor, evolution: Evolution) -> bool:
    """Tell whether registering again would change nothing."""
    before = current.descriptor
    same_document = (descriptor.odcs, descriptor.odps) == (before.odcs, before.odps) and (
        not descriptor.written or same_meaning(descriptor.document, before.document)
    )
    same_values = (current.owner, current.access, current.status, current.version) == (
        evolution.owner,
        evolution.access,
        evolution.status,
        evolution.version,
    )
    return same_document and same_values and not evolution.changed


def _present(backends: Backends, current: Product, name: str, folder: Path) -> TableChange:
    """Make a replace of a table by its own present data, from the CSVs where there are any."""
    from .sources import present_sources

    return TableChange(name, "replace", present_sources(backends, current, name, folder), current.tables[name].in_git)


def _check_successor(successor: Product, name: str) -> None:
    if successor.name == name:
        raise Refused(f"{name} cannot succeed itself.", help="Name another product.")


def _id_of(files: Mapping[str, Any], current: Product, name: str) -> str | None:
    found = files.get(f"{current.folder}/{name}")
    return found.id if found else None


def _described(current: Product) -> dict[str, Any]:
    return {"name": current.name, "domain": current.domain, "description": current.descriptor.description}


def refused(detail: str, violations: Collection[Violation]) -> Refused:
    """Make a refusal that lists everything found."""
    count = sum(violation.count for violation in violations)
    return Refused(f"{detail} ({count} fault{'s' if count != 1 else ''} found).", violations=violations)
