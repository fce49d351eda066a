"""The verbs of the exchange plane: ask for a closed product's data, decide, and take back."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import timedelta

from thinmesh.kernel.audit import Audit
from thinmesh.kernel.clock import Clock, duration, text_of_time, utc_now
from thinmesh.kernel.database import Database, Transaction
from thinmesh.kernel.errors import Conflict, Malformed, NotAllowed, NotFound, Refused, Retired, Violation
from thinmesh.kernel.events import Event
from thinmesh.kernel.page import Page, checked_limit, cursor_of, texts_of
from thinmesh.kernel.policy import Action, Policy, Principal, ProductFacts

from .backend import AccessStore, Events, Products
from .model import APPROVED, DENIED, EXPIRED, REQUESTED, REVOKED, Access

_LONGEST = timedelta(days=730)
_TEXT_LENGTH = 2000  # characters of a purpose or a reason
# Others read these texts in a terminal, where control characters are commands.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_EVENTS = {APPROVED: "granted"}
_AT_ONCE = 500  # expired grants marked in one transaction


class GrantsInForce:
    """Tells who holds a grant now (`Grants` in kernel/policy.py). Read at each call: what is decided counts at once."""

    def __init__(self, database: Database, store: AccessStore, clock: Clock = utc_now) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    def granted(self, user: str, teams: Collection[str], product: str) -> bool:
        """Tell whether the user, in person or through a team, may read the product's data now."""
        with self._database.read() as tx:
            return self._store.granted(tx, user, teams, product, text_of_time(self._clock()))

    def granted_products(self, user: str, teams: Collection[str]) -> Collection[str]:
        """Give all products that the user, in person or through a team, holds a grant for now."""
        with self._database.read() as tx:
            return self._store.granted_products(tx, user, teams, text_of_time(self._clock()))


class Exchange:
    """Requests and grants. Every step is audited, and told to both parties in the event feed."""

    def __init__(
        self,
        database: Database,
        store: AccessStore,
        events: Events,
        products: Products,
        policy: Policy,
        audit: Audit,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._store = store
        self._events = events
        self._products = products
        self._policy = policy
        self._audit = audit
        self._clock = clock

    def request(
        self, caller: Principal, product: str, purpose: str, duration: str = "P30D", team: str | None = None
    ) -> Access:
        """Ask to read a closed product's data, for oneself or for a team one is in.

        `duration` is ISO 8601, at most 2 years, and runs from the approval. The same request again, while it waits
        or is in force, is the same one. Raises Refused where no grant is needed or the input is wrong,
        Conflict where another request waits.
        """
        with self._audit.write(caller, "access.request", product) as tx:
            facts = self._products.facts(tx, product)
            self._policy.require(caller, Action.REQUEST_ACCESS, product=facts)
            _refuse_input(purpose, duration)
            _refuse_needless(caller, facts, team)
            present = self._same(tx, caller, product, purpose, duration, team)
            if present:
                return present
            asked = Access(
                id=secrets.token_hex(6),
                product=product,
                user=caller.user,
                team=team,
                purpose=purpose,
                duration=duration,
                state=REQUESTED,
                requested=self._now(),
            )
            self._store.add(tx, asked)
            self._tell(tx, asked, facts)
            return asked

    def approve(self, caller: Principal, id: str) -> Access:
        """Grant what was asked for; for members of the owner team, and administrators, but not for who asked.

        Approved twice is approved once. Raises NotFound, NotAllowed, and Conflict where it was decided otherwise.
        """
        with self._audit.write(caller, "access.approve", id) as tx:
            access, facts = self._decidable(tx, caller, id)
            if access.state == APPROVED:
                return access
            _refuse_decided(access)
            _refuse_retired(facts)
            now = self._clock()
            granted = replace(
                access,
                state=APPROVED,
                decided=text_of_time(now),
                decided_by=caller.user,
                expires=text_of_time(now + duration(access.duration)),
            )
            return self._change(tx, granted, facts)

    def deny(self, caller: Principal, id: str, why: str) -> Access:
        """Refuse what was asked for, and say why. Denied twice is denied once; the first reason stands."""
        with self._audit.write(caller, "access.deny", id) as tx:
            access, facts = self._decidable(tx, caller, id)
            _refuse_text(why, "why")
            if access.state == DENIED:
                return access
            _refuse_decided(access)
            denied = replace(access, state=DENIED, decided=self._now(), decided_by=caller.user, why=why)
            return self._change(tx, denied, facts)

    def revoke(self, caller: Principal, id: str) -> Access:
        """Take a grant back; for members of the owner team, administrators, and who asked (also before it is decided).

        What is over stays as it ended. Raises NotFound, NotAllowed, Conflict.
        """
        with self._audit.write(caller, "access.revoke", id) as tx:
            access, facts = self._found(tx, caller, id)
            asker = access.user == caller.user and (access.team is None or access.team in caller.teams)
            action = Action.REQUEST_ACCESS if asker else Action.DECIDE_ACCESS
            self._policy.require(caller, action, product=facts)
            if access.state == EXPIRED:
                return self._over(tx, access, facts)
            if access.state == REVOKED:
                return access
            if access.state == DENIED or (access.state == REQUESTED and not asker):
                raise Conflict(f"{id} is {access.state}: there is no grant.", help=f"See it: thinmesh requests ({id})")
            revoked = replace(access, state=REVOKED, ended=self._now(), ended_by=caller.user)
            return self._change(tx, revoked, facts)

    def requests(
        self, caller: Principal, product: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """List requests, in every state, the newest first: the caller's and their teams', and those they decide."""
        return self._list(caller, product, None, limit, cursor)

    def grants(
        self, caller: Principal, product: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """List grants in force, the newest request first: the caller's and their teams', and those they decide."""
        return self._list(caller, product, self._now(), limit, cursor)

    def decides(self, caller: Principal, product: str) -> bool:
        """Tell whether the caller decides who reads a product; of one that is not there nobody does."""
        with self._database.read() as tx:
            try:
                facts = self._products.facts(tx, product)
            except NotFound:
                return False
        return self._policy.allows(caller, Action.DECIDE_ACCESS, facts)

    def events(self, caller: Principal, after: str | None = None, limit: int | None = None) -> Page:
        """Give events after the one with that id, the oldest first: of all products, and of the caller's own requests.

        `next` is the `after` of the following page; a reader who is at the end asks again with the last id.
        """
        self._policy.require(caller, Action.READ_METADATA)
        if after and not re.fullmatch(r"[0-9]{1,18}", after):
            raise Malformed("`after` is not the id of an event.", help="Give the `id` of the last event you have.")
        size = checked_limit(limit)
        with self._database.read() as tx:
            found = self._events.after(tx, int(after or 0), caller.user, caller.teams, caller.administers, size + 1)
        shown = found[:size]
        return Page(items=tuple(shown), next=shown[-1]["id"] if len(found) > size else None)

    def expire(self) -> int:
        """Mark grants whose time is over, and tell the parties; to be called now and then. Gives how many.

        They are out of force by the clock alone, whether this ran or not.
        """
        with self._database.read() as tx:
            if not self._store.due(tx, self._now(), 1):
                return 0
        with self._database.write() as tx:
            due = self._store.due(tx, self._now(), _AT_ONCE)
            for access in due:
                self._change(tx, replace(access, state=EXPIRED, ended=access.expires), self._facts(tx, access))
        return len(due)

    def _list(
        self, caller: Principal, product: str | None, in_force_at: str | None, limit: int | None, cursor: str | None
    ) -> Page:
        self._policy.require(caller, Action.READ_METADATA)
        size = checked_limit(limit)
        after = texts_of(cursor, 2)
        with self._database.read() as tx:
            if product is not None:
                self._products.facts(tx, product)
            found = self._store.visible(
                tx,
                user=caller.user,
                teams=caller.teams,
                products=None if caller.administers else self._products.owned_by(tx, caller.teams),
                product=product,
                in_force_at=in_force_at,
                limit=size + 1,
                after=after,
            )
        shown = [self._as_of_now(access) for access in found[:size]]
        return Page(
            items=tuple(asdict(access) for access in shown),
            next=cursor_of([shown[-1].requested, shown[-1].id]) if len(found) > size else None,
        )

    def _same(
        self, tx: Transaction, caller: Principal, product: str, purpose: str, duration: str, team: str | None
    ) -> Access | None:
        """Find the request that this one repeats."""
        for access in self._store.open(tx, product, caller.user, team, self._now()):
            if (access.purpose, access.duration) == (purpose, duration):
                return access
            if access.state == REQUESTED:
                raise Conflict(
                    f"A request for {product} waits already: {access.id}, with another purpose or duration.",
                    help=f"Wait for the decision, or withdraw it: thinmesh revoke {access.id}",
                )
        return None

    def _found(self, tx: Transaction, caller: Principal, id: str) -> tuple[Access, ProductFacts]:
        """Find what the caller may know of."""
        access = self._store.find(tx, id)
        facts = self._facts(tx, access) if access else None
        if access is not None and facts is not None:
            party = access.user == caller.user or access.team in caller.teams or facts.owner in caller.teams
            if party or caller.administers:
                return self._as_of_now(access), facts
        raise NotFound(f"There is no request or grant {id[:80]!r} that concerns you.", help="See: thinmesh requests")

    def _decidable(self, tx: Transaction, caller: Principal, id: str) -> tuple[Access, ProductFacts]:
        """Find what the caller may decide: nobody gives themselves a grant, not as an administrator either."""
        access, facts = self._found(tx, caller, id)
        self._policy.require(caller, Action.DECIDE_ACCESS, product=facts)
        gains = access.team in caller.teams and facts.owner not in caller.teams
        if access.user == caller.user or gains:
            raise NotAllowed(
                "Nobody decides on a request of their own or of their team.",
                help=f"Ask another member of {facts.owner}.",
            )
        return access, facts

    def _facts(self, tx: Transaction, access: Access) -> ProductFacts | None:
        """Give the product's facts, or nothing: a restored index may lag behind the grants."""
        try:
            return self._products.facts(tx, access.product)
        except NotFound:
            return None

    def _change(self, tx: Transaction, access: Access, facts: ProductFacts | None) -> Access:
        self._store.update(tx, access)
        self._tell(tx, access, facts)
        return access

    def _tell(self, tx: Transaction, access: Access, facts: ProductFacts | None) -> None:
        """Put a receipt into the feed of both: who asked (and their team), and the owner team."""
        happened = _EVENTS.get(access.state, access.state)
        teams = {facts.owner if facts else None, access.team}
        self._events.record(
            tx,
            Event(
                type=f"access.{happened}",
                subject=access.product,
                time=self._now(),
                data=asdict(access),
                users=(access.user,),
                teams=tuple(sorted(team for team in teams if team)),
            ),
        )

    def _over(self, tx: Transaction, access: Access, facts: ProductFacts | None) -> Access:
        """Keep that a grant is over: a clock that is set back does not bring it into force again."""
        stored = self._store.find(tx, access.id)
        return self._change(tx, access, facts) if stored and stored.state == APPROVED else access

    def _as_of_now(self, access: Access) -> Access:
        """Show a grant as expired from the moment it is, before `expire` has marked it."""
        if access.state == APPROVED and (access.expires or "") <= self._now():
            return replace(access, state=EXPIRED, ended=access.expires)
        return access

    def _now(self) -> str:
        return text_of_time(self._clock())


def _refuse_input(purpose: str, lasting: str) -> None:
    """Refuse a wrong purpose and duration, both at once."""
    faults = [Violation(message=fault, rule="text", column="purpose") for fault in [_fault_of_text(purpose)] if fault]
    if not timedelta(0) < duration(lasting) <= _LONGEST:
        faults.append(Violation(message=f"{lasting} is not between PT1S and P2Y", rule="maximum", column="duration"))
    if faults:
        text = "; ".join(f"{fault.column}: {fault.message}" for fault in faults)
        raise Refused(f"{text}.", help="Say what you need the data for, and for how long.", violations=faults)


def _refuse_text(text: str, where: str) -> None:
    fault = _fault_of_text(text)
    if fault:
        raise Refused(
            f"{where}: {fault}.",
            help="Say it in words; the other side reads it.",
            violations=[Violation(message=fault, rule="text", column=where)],
        )


def _fault_of_text(text: str) -> str | None:
    if not text.strip():
        return "is empty"
    if len(text) > _TEXT_LENGTH:
        return f"{len(text)} characters are more than {_TEXT_LENGTH}"
    return "holds control characters" if _CONTROL.search(text) else None


def _refuse_needless(caller: Principal, facts: ProductFacts, team: str | None) -> None:
    """Refuse a request that nobody needs, or for a team that the caller is not in."""
    _refuse_retired(facts)
    if team is not None and team not in caller.teams:
        raise NotAllowed(
            f"You are not in the team {team[:63]}.", help="Ask for yourself, or for a team of yours: thinmesh whoami"
        )
    if facts.access == "open":
        raise Refused(f"{facts.name} is open: no grant is needed.", help=f"Query it: select * from {facts.name}.…")
    if facts.owner in ({team} if team else caller.teams):
        raise Refused(
            f"{facts.name} belongs to {facts.owner}: its members need no grant.",
            help=f"Query it: select * from {facts.name}.…",
        )


def _refuse_retired(facts: ProductFacts) -> None:
    if facts.status == "retired":
        raise Retired(f"The product {facts.name} was retired.", help=f"See: thinmesh show {facts.name}")


def _refuse_decided(access: Access) -> None:
    if access.state != REQUESTED:
        raise Conflict(f"{access.id} is {access.state} already.", help="A new request can be made, and decided.")
