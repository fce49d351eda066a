"""Users, teams, domains and tokens: what every door calls to know and to manage who may come in."""

from __future__ import annotations

import math
import secrets
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from .audit import Audit
from .clock import Clock, duration, text_of_time, time_of_text, utc_now
from .database import Database, Transaction
from .directory import AddedUser, IdentityStore, IssuedToken, LinkedUser, Team, TokenFacts, User, WhoAmI
from .errors import Conflict, NotAllowed, NotFound, NotSignedIn, Refused, Violation
from .names import PRODUCT, fault_of_name, fault_of_user, nearest
from .page import Page, checked_limit, cursor_of, position_of, texts_of
from .policy import Action, Policy, Principal
from .tokens import Claims, Signer
from .vouching import Vouched, user_name_of

ADMIN = "admin"  # the user that the command line acts as on a home; made by `initialise`
_STRANGER = "(sign-in)"  # in the audit, who is not known yet; no user can have this name
# A working day; and the longest that a token lasts which somebody makes for themself after signing in by a provider.
_SESSION, _MADE_IN_SESSION = "PT12H", timedelta(days=90)
_LONGEST = timedelta(days=3650)
_DOMAINS_AT_ONCE = 100
_SCOPES = ("read", "write", "admin")
_Item = TypeVar("_Item", User, Team, TokenFacts)


class Identity:
    """Knows who is who. Every change is audited in its own transaction, every refused one in another."""

    def __init__(
        self,
        database: Database,
        store: IdentityStore,
        signer: Signer,
        policy: Policy,
        audit: Audit,
        clock: Clock = utc_now,
        issuer: str = "",
    ) -> None:
        self._database = database
        self._store = store
        self._signer = signer
        self._policy = policy
        self._audit = audit
        self._clock = clock
        self._issuer = issuer  # of the provider that vouches for people; empty: none does

    # Who is calling -------------------------------------------------------------------------------------------

    def initialise(self) -> IssuedToken:
        """Make the key pair, the first administrator and their token, on a new home."""
        self._signer.create()
        with self._database.write() as tx:
            self._store.add_user(tx, ADMIN, True, self._now())
        return self.new_token(self.principal_of_home(), scope="admin")

    def authenticate(self, token: str, door: str = "http") -> Principal:
        """Tell who a token belongs to. A revoked token, and a team left, count at once, in every process.

        Raises NotSignedIn; for a token that we did not sign, without a reason.
        """
        claims = self._signer.verify(token)
        with self._database.read() as tx:
            return self._bearer(tx, claims.id, (claims.user, claims.scope), claims.expires, door)

    def again(self, tx: Transaction, caller: Principal) -> Principal:
        """Give a caller as they are now, where what they began takes long.

        Raises NotSignedIn where the token was revoked or has expired meanwhile. Who came without a token stays.
        """
        if caller.token is None:
            return caller
        return self._bearer(tx, caller.token, (caller.user, caller.scope), math.inf, caller.door)

    def _bearer(self, tx: Transaction, token: str, claimed: tuple[str, str], expires: float, door: str) -> Principal:
        found = self._store.bearer(tx, token)
        if found is None or (found[0].user, found[0].scope) != claimed:
            raise NotSignedIn("The token is not valid here.")
        facts, user = found
        if facts.revoked:
            raise NotSignedIn("The token was revoked.", help="Ask for a new one: thinmesh token new.")
        if self._clock().timestamp() >= expires or self._now() >= facts.expires:
            raise NotSignedIn(f"The token expired at {facts.expires}.", help="Ask for a new one: thinmesh token new.")
        return Principal(user.name, user.admin, frozenset(user.teams), facts.scope, facts.id, door)

    def principal(self, user: str, admin_scope: bool = False, door: str = "cli") -> Principal:
        """Act as a user without a token, for doors that know them already. Raises NotFound.

        `admin_scope` lets an administrator act as one.
        """
        with self._database.read() as tx:
            found = self._user(tx, user)
        scope = "admin" if admin_scope and found.admin else "write"
        return Principal(found.name, found.admin, frozenset(found.teams), scope, None, door)

    def principal_of_home(self, user: str | None = None, door: str = "cli") -> Principal:
        """Act on a home: as its administrator, or as the user named (`--as`), which is audited. Raises NotFound.

        Whoever owns the home administers it whatever its database says: else nobody could make an administrator again.
        """
        try:
            owner = self.principal(ADMIN, door=door)
        except NotFound:
            owner = Principal(ADMIN, door=door)
        owner = replace(owner, admin=True, scope="admin")
        if not user:
            return owner
        with self._audit.write(owner, "act_as", user) as tx:
            self._user(tx, user)
        return self.principal(user, admin_scope=True, door=door)

    def whoami(self, caller: Principal) -> WhoAmI:
        """Show the caller."""
        self._policy.require(caller, Action.READ_METADATA)
        return WhoAmI(caller.user, tuple(sorted(caller.teams)), caller.admin, caller.scope)

    # Teams and domains ----------------------------------------------------------------------------------------

    def create_team(self, caller: Principal, name: str, domains: Sequence[str] = ()) -> Team:
        """Create a team that the caller leads, or let one that exists work in more domains.

        A domain nobody works in is the team's from then on; into any other a member of a team there lets it
        in. Raises Refused for wrong names (all at once), Conflict where others have the team's name.
        """
        with self._audit.write(caller, "team.create", " ".join([name, *domains[:_DOMAINS_AT_ONCE]])) as tx:
            self._policy.require(caller, Action.CREATE_TEAM)
            _refuse_names(name, domains)
            present = self._store.team(tx, name)
            if present is None:
                self._store.add_team(tx, name, self._now())
                self._store.add_member(tx, name, caller.user, True, self._now())
                caller = replace(caller, teams=caller.teams | {name})
            joined = [self._join(tx, caller, name, domain) for domain in dict.fromkeys(domains)]
            if present and not any(joined) and not self._may_repeat(tx, caller, present, domains):
                raise Conflict(
                    f"The team {name} exists already; {_who_lead(present)} it.",
                    help=f"Take another name, or ask to be let in: thinmesh team add-member {name} {caller.user}",
                )
            return self._team(tx, name)

    def add_member(self, caller: Principal, team: str, user: str, lead: bool = False) -> Team:
        """Put an existing user into a team, as a lead too where `lead` is set; for its leads. Raises NotFound."""
        with self._audit.write(caller, "team.add_lead" if lead else "team.add_member", f"{team} {user}") as tx:
            present = self._team(tx, team)
            self._policy.require(caller, Action.MANAGE_TEAM, team=team, leads=present.leads)
            self._store.add_member(tx, team, self._user(tx, user).name, lead, self._now())
            return self._team(tx, team)

    def remove_member(self, caller: Principal, team: str, user: str) -> Team:
        """Take a user out of a team; for its leads, and for the user.

        Raises NotFound, and Conflict where the team would be left without a lead.
        """
        with self._audit.write(caller, "team.remove_member", f"{team} {user}") as tx:
            present = self._team(tx, team)
            leaves = {caller.user} if caller.user == user else set()
            self._policy.require(caller, Action.MANAGE_TEAM, team=team, leads={*present.leads, *leaves})
            self._user(tx, user)
            if present.leads == (user,):
                raise Conflict(
                    f"{user} is the only lead of {team}.",
                    help=f"Make another member a lead first: thinmesh team add-member {team} USER --lead",
                )
            self._store.remove_member(tx, team, user)
            return self._team(tx, team)

    def list_teams(self, caller: Principal, limit: int | None = None, cursor: str | None = None) -> Page:
        """List teams by name."""
        self._policy.require(caller, Action.READ_METADATA)
        after = position_of(cursor, str)
        with self._database.read() as tx:
            return _page(lambda size: self._store.teams(tx, size, after), limit, lambda team: team.name)

    def team(self, caller: Principal, name: str) -> Team:
        """Show one team. Raises NotFound, naming the nearest one."""
        self._policy.require(caller, Action.READ_METADATA)
        with self._database.read() as tx:
            return self._team(tx, name)

    def teams_of_domain(self, tx: Transaction, domain: str) -> Sequence[str]:
        """Give the teams that work in a domain, the first one first; empty where it is unclaimed."""
        return self._store.teams_of_domain(tx, domain)

    def has_team(self, tx: Transaction, team: str) -> bool:
        """Tell whether there is a team of this name."""
        return self._store.has_team(tx, team)

    def members(self, tx: Transaction, team: str) -> Sequence[str]:
        """Name the users in a team; nobody where there is none of this name."""
        found = self._store.team(tx, team)
        return found.members if found else ()

    # Users ----------------------------------------------------------------------------------------------------

    def add_user(self, caller: Principal, name: str, teams: Sequence[str] = (), admin: bool = False) -> AddedUser:
        """Add a user, as a member of the teams named; for administrators.

        Raises Refused for a wrong name, NotFound for an unknown team, Conflict where the user exists and differs.
        """
        with self._audit.write(caller, "user.add_admin" if admin else "user.add", name) as tx:
            self._policy.require(caller, Action.MANAGE_USERS)
            fault = fault_of_user(name)
            if fault:
                raise Refused(f"{fault}.", help="Write the name as in your directory, in lower case.")
            members = [self._team(tx, team).name for team in teams]
            if not self._store.add_user(tx, name, admin, self._now()):
                return _added(_same_user(self._user(tx, name), members, admin), created=False)
            for team in members:
                self._store.add_member(tx, team, name, False, self._now())
            return _added(self._user(tx, name), created=True)

    def list_users(self, caller: Principal, limit: int | None = None, cursor: str | None = None) -> Page:
        """List users by name."""
        self._policy.require(caller, Action.READ_METADATA)
        after = position_of(cursor, str)
        with self._database.read() as tx:
            return _page(lambda size: self._store.users(tx, size, after), limit, lambda user: user.name)

    # People that a provider vouches for -----------------------------------------------------------------------

    def sign_in_as(self, person: Vouched) -> IssuedToken:
        """Make a token for a browser's session, for the user that a person is here; `end_session` revokes it.

        The first time makes the user. Raises Conflict where somebody else has that name, Refused where there is none.
        """
        with self._database.read() as tx:
            found = self._store.vouched_user(tx, person.issuer, person.subject)
        name = found or self._welcome(person)
        return self.new_token(self.principal(name, door="web"), expires=_SESSION, session=True)

    def end_session(self, caller: Principal) -> bool:
        """Revoke the caller's token where it was made for a browser's session, and tell so; any other stays."""
        with self._database.read() as tx:
            ends = caller.token is not None and self._store.is_session(tx, caller.token)
        if ends and caller.token:
            self.revoke_token(caller, caller.token)
        return ends

    def secret(self, purpose: str) -> bytes:
        """Give a secret of this mesh, another one for each purpose: to sign what a browser keeps."""
        return self._signer.secret(purpose)

    def link_user(self, caller: Principal, name: str, subject: str, issuer: str | None = None) -> LinkedUser:
        """Make a user of ours whom a provider's subject signs in as, in the place of whom it was; for administrators.

        Raises NotFound, Refused without a subject or a provider.
        """
        issuer = issuer or self._issuer
        with self._audit.write(caller, "user.link", f"{name} {issuer} {subject}") as tx:
            self._policy.require(caller, Action.MANAGE_USERS)
            if not issuer:
                raise Refused("No provider vouches for people here.", help="Set oidc.issuer; see docs/sign-in.md.")
            if not subject:
                raise Refused("A subject is what the provider calls a person, and is not empty.")
            user = self._user(tx, name)
            self._store.link_user(tx, user.name, issuer, subject, self._now(), caller.user)
            return LinkedUser(user.name, user.teams, user.admin, issuer, subject)

    def _welcome(self, person: Vouched) -> str:
        """Make a user of a person who comes for the first time."""
        name = user_name_of(person)
        told = f"{name or '-'} {person.issuer} {person.subject}"
        with self._audit.write(Principal(_STRANGER, door="web"), "user.vouched", told) as tx:
            found = self._store.vouched_user(tx, person.issuer, person.subject)
            if found:
                return found  # they came by two tabs at once
            if name is None:
                raise Refused(
                    "Your provider tells neither a user name nor a verified e-mail address that makes a name here.",
                    help=f"Send this to an administrator: thinmesh user link NAME {shlex.quote(person.subject)}",
                )
            if not self._store.add_user(tx, name, False, self._now()):
                raise Conflict(
                    f"There is a user {name} already, and nobody has said that it is you.",
                    help="Where it is, send this to an administrator:"
                    f" thinmesh user link {name} {shlex.quote(person.subject)}",
                )
            self._store.link_user(tx, name, person.issuer, person.subject, self._now(), name)
            return name

    # Tokens ---------------------------------------------------------------------------------------------------

    def new_token(
        self,
        caller: Principal,
        user: str | None = None,
        expires: str = "P90D",
        scope: str = "write",
        *,
        session: bool = False,
    ) -> IssuedToken:
        """Make a token for the caller; an administrator makes one for anybody. It is shown this once.

        `expires` is an ISO 8601 duration of at most 10 years; the new token ends with the one that asks at the latest
        (`shortened`), except with an administrator's. Raises NotAllowed for a scope beyond the caller's.
        """
        name = caller.user if user is None else user
        with self._audit.write(caller, "token.new", f"{name} {scope}") as tx:
            self._policy.require(caller, Action.MANAGE_TOKENS if name == caller.user else Action.ADMINISTER)
            _refuse_scope(scope)
            owner = self._user(tx, name)
            _refuse_wider(caller, owner, scope)
            now = self._clock().replace(microsecond=0)
            wanted = now + _lasting(expires)
            end = min(wanted, self._end_of(tx, caller) or wanted)
            facts = TokenFacts(
                id=secrets.token_hex(8),
                user=name,
                scope=scope,
                created=text_of_time(now),
                expires=text_of_time(end),
                created_by=caller.user,
            )
            self._store.add_token(tx, facts)
            if session:
                self._store.add_session(tx, facts.id)
            claims = Claims(facts.id, name, scope, int(now.timestamp()), int(end.timestamp()))
            return IssuedToken(facts.id, self._signer.sign(claims), name, scope, facts.expires, end < wanted)

    def list_tokens(
        self, caller: Principal, user: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """List the caller's tokens, the newest first; an administrator may name another user."""
        name = caller.user if user is None else user
        self._policy.require(caller, Action.MANAGE_TOKENS if name == caller.user else Action.ADMINISTER)
        position = texts_of(cursor, 2)
        after = dict(zip(("created", "id"), position, strict=True)) if position else None
        with self._database.read() as tx:
            self._user(tx, name)
            return _page(
                lambda size: self._store.tokens(tx, name, size, after), limit, lambda token: [token.created, token.id]
            )

    def revoke_token(self, caller: Principal, id: str) -> TokenFacts:
        """Revoke a token of the caller's, or anybody's for an administrator; it is refused from then on.

        Raises NotFound; also for a token of somebody else.
        """
        with self._audit.write(caller, "token.revoke", id) as tx:
            self._policy.require(caller, Action.MANAGE_TOKENS)
            found = self._store.token(tx, id)
            if found is None or not (found.user == caller.user or caller.administers):
                raise NotFound("There is no such token of yours.", help="List yours: thinmesh token list")
            self._store.revoke_token(tx, id, self._now(), caller.user)
            return self._store.token(tx, id) or found

    def jwks(self) -> dict[str, Any]:
        """Give the public keys that tokens are verified with (RFC 7517). Needs no token."""
        return self._signer.jwks()

    # ----------------------------------------------------------------------------------------------------------

    def _now(self) -> str:
        return text_of_time(self._clock())

    def _join(self, tx: Transaction, caller: Principal, team: str, domain: str) -> bool:
        """Let the team work in the domain unless it does; tell whether that is new."""
        there = self._store.teams_of_domain(tx, domain)
        if team in there:
            return False
        self._policy.require(caller, Action.JOIN_DOMAIN, team=team, domain_teams=there)
        self._store.claim_domain(tx, domain, team, self._now())
        return True

    def _end_of(self, tx: Transaction, caller: Principal) -> datetime | None:
        """Give the latest end of what a caller's token makes: its own, but for a session's; or nothing."""
        asking = self._store.token(tx, caller.token) if caller.token and not caller.administers else None
        if asking is None:
            return None
        if self._store.is_session(tx, asking.id):
            # A person was there a moment ago, and has no other token to make one with for git.
            return self._clock().replace(microsecond=0) + _MADE_IN_SESSION
        return time_of_text(asking.expires)

    def _may_repeat(self, tx: Transaction, caller: Principal, team: Team, domains: Collection[str]) -> bool:
        """Tell whether the caller could have asked for this before: the team's own people, or who let it in."""
        if team.name in caller.teams or caller.administers:
            return True
        there = [self._store.teams_of_domain(tx, domain) for domain in domains]
        return bool(there) and all(caller.teams.intersection(teams) for teams in there)

    def _user(self, tx: Transaction, name: str) -> User:
        found = self._store.user(tx, name)
        if found is None:
            raise _unknown(
                "user",
                name,
                self._store.user_names(tx, name[:1]),
                f"Administrators add users: thinmesh user add {name[:63]}",
            )
        return found

    def _team(self, tx: Transaction, name: str) -> Team:
        found = self._store.team(tx, name)
        if found is None:
            raise _unknown(
                "team", name, self._store.team_names(tx, name[:1]), f"Create it: thinmesh team create {name[:63]}"
            )
        return found


def _who_lead(team: Team) -> str:
    return f"{', '.join(team.leads)} lead{'s' if len(team.leads) == 1 else ''}"


def _unknown(what: str, name: str, known: Collection[str], otherwise: str) -> NotFound:
    near = nearest(name[:127], known)
    return NotFound(f"There is no {what} {name[:127]!r}.", help=f"Did you mean {near}?" if near else f"{otherwise}.")


def _refuse_names(team: str, domains: Sequence[str]) -> None:
    faults = [(fault_of_name(team, "team"), "name"), *((fault_of_name(name, "domain"), "domains") for name in domains)]
    found = [Violation(message=fault, rule="name", column=where) for fault, where in faults if fault]
    if found:
        raise Refused("; ".join(each.message for each in found[:10]) + ".", violations=found)
    if len(domains) > _DOMAINS_AT_ONCE:
        raise Refused(f"{len(domains)} domains are more than {_DOMAINS_AT_ONCE}.", help="Name fewer at once.")


def _same_user(present: User, teams: Collection[str], admin: bool) -> User:
    if present.admin != admin:
        raise Conflict(
            f"The user {present.name} exists already, {'with' if present.admin else 'without'} administrator's rights.",
            help="Take another name for the new user.",
        )
    missing = sorted(set(teams) - set(present.teams))
    if missing:
        raise Conflict(
            f"The user {present.name} exists already, and is not in {', '.join(missing)}.",
            help=f"Add them: thinmesh team add-member {missing[0]} {present.name}",
        )
    return present


def _added(user: User, *, created: bool) -> AddedUser:
    return AddedUser(user.name, user.teams, user.admin, created)


def _refuse_scope(scope: str) -> None:
    product = scope.removeprefix("publish:") if scope.startswith("publish:") else None
    if scope in _SCOPES or (product and PRODUCT.fullmatch(product)):
        return
    raise Refused(
        f"The scope {scope[:80]!r} is not one we know.", help="Scopes are read, write, publish:PRODUCT and admin."
    )


def _refuse_wider(caller: Principal, owner: User, scope: str) -> None:
    """Refuse a scope beyond the token that asks, or beyond the person it is for."""
    if scope != "admin":
        return  # `read` and `publish:` tokens make none (policy), and `write` holds all the others
    if not caller.administers:
        raise NotAllowed(
            "A token cannot make one with a wider scope than its own.",
            help="Use a token of scope admin, or the command on the platform home.",
        )
    if not owner.admin:
        raise NotAllowed(f"{owner.name} is not an administrator.", help="Ask for a token of scope write.")


def _lasting(expires: str) -> timedelta:
    found = duration(expires)
    if not timedelta(seconds=1) <= found <= _LONGEST:
        raise Refused(f"A token lasts from one second to 10 years, not {expires}.", help="Write for example P90D.")
    return found


def _page(fetch: Callable[[int], Sequence[_Item]], limit: int | None, position: Callable[[_Item], Any]) -> Page:
    """Fetch one item more than is shown: it tells whether there is a next page."""
    size = checked_limit(limit)
    found = fetch(size + 1)
    shown = found[:size]
    return Page(
        items=tuple(asdict(item) for item in shown), next=cursor_of(position(shown[-1])) if len(found) > size else None
    )
