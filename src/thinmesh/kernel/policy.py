"""The one policy that every door asks. Pure: facts in, decision out. Deny by default."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Protocol

from .errors import NotAllowed, NotSignedIn


class Action(StrEnum):
    """What a caller may want to do."""

    READ_METADATA = "read_metadata"  # any product's descriptor, list, search
    READ_DATA = "read_data"  # rows, sample, profile, statistics
    SEE_READERS = "see_readers"  # by name; how many there are is metadata
    FETCH = "fetch"  # the shared repository, with the CSVs of every open product
    PUSH = "push"  # to it; what the push changes is asked for on its own
    REGISTER = "register"  # a new product in a domain
    CHANGE = "change"  # descriptor, accept, retire
    PUBLISH = "publish"  # data
    DECIDE_ACCESS = "decide_access"  # approve, deny, revoke
    REQUEST_ACCESS = "request_access"
    CREATE_TEAM = "create_team"
    MANAGE_TEAM = "manage_team"  # members
    JOIN_DOMAIN = "join_domain"  # let a team work in a domain
    MANAGE_USERS = "manage_users"
    MANAGE_TOKENS = "manage_tokens"  # one's own; of others: administer
    ADMINISTER = "administer"  # status of the platform, audit, rebuild, backup


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `scope` is the token's: read, write, publish:PRODUCT or admin.

    `door` says which way they came (cli, http, git, python, server); it is written to the log and the audit.
    """

    user: str
    admin: bool = False
    teams: frozenset[str] = frozenset()
    scope: str = "write"
    token: str | None = None
    door: str = "http"

    @property
    def administers(self) -> bool:
        """Tell whether this call carries an administrator's rights: the person's and the token's."""
        return self.admin and self.scope == "admin"


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """What the policy must know of a product."""

    name: str
    domain: str
    owner: str
    access: str
    status: str = "active"


class Grants(Protocol):
    """Who holds a grant that is in force now."""

    def granted(self, user: str, teams: Collection[str], product: str) -> bool:
        """Tell whether the user, in person or through a team, may read the product's data now."""

    def granted_products(self, user: str, teams: Collection[str]) -> Collection[str]:
        """Give all products for which `granted` says yes."""


_READING = frozenset({Action.READ_METADATA, Action.READ_DATA, Action.SEE_READERS, Action.FETCH})
_OWNERS = frozenset({Action.CHANGE, Action.PUBLISH, Action.DECIDE_ACCESS, Action.SEE_READERS})
_WIDE = frozenset({"write", "admin"})
_PUBLISHING = frozenset({Action.READ_METADATA, Action.PUSH})
_SELF_SERVE = frozenset({Action.FETCH, Action.PUSH, Action.CREATE_TEAM, Action.REQUEST_ACCESS, Action.MANAGE_TOKENS})


class Policy:
    """Decide, for every door, who may do what."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    def require(
        self,
        caller: Principal | None,
        action: Action,
        *,
        product: ProductFacts | None = None,
        team: str | None = None,
        leads: Collection[str] = (),
        domain_teams: Collection[str] | None = None,
    ) -> None:
        """Raise NotSignedIn or NotAllowed with the reason, unless the caller may.

        `team` is the team acted on or for, `leads` its leads; `domain_teams` the teams of the domain concerned
        (empty: unclaimed).
        """
        if caller is None:
            raise NotSignedIn("This needs a signed-in user.")
        reason = self._refusal(caller, action, product, team, leads, domain_teams)
        if reason:
            raise NotAllowed(reason[0], help=reason[1])

    def allows(self, caller: Principal | None, action: Action, product: ProductFacts) -> bool:
        """Tell whether the caller may, without raising."""
        return caller is not None and self._refusal(caller, action, product, None, (), None) is None

    def readable(self, caller: Principal, products: Iterable[ProductFacts]) -> list[str]:
        """Give the names of those whose data the caller may read, in order; grants are looked up for all at once."""
        if _beyond_scope(caller, Action.READ_DATA, None):
            return []
        at_once = Policy(_AtOnce(self._grants, caller))
        return [product.name for product in products if at_once._may_read(caller, product) is None]

    def _refusal(
        self,
        caller: Principal,
        action: Action,
        product: ProductFacts | None,
        team: str | None,
        leads: Collection[str],
        domain_teams: Collection[str] | None,
    ) -> tuple[str, str] | None:
        out_of_scope = _beyond_scope(caller, action, product)
        if out_of_scope:
            return out_of_scope
        if action is Action.READ_METADATA or action in _SELF_SERVE:
            return None
        if action is Action.READ_DATA:
            return self._may_read(caller, product)
        if caller.administers:
            return None
        if action in _OWNERS:
            return _must_own(caller, product)
        if action is Action.REGISTER:
            return _may_register(caller, team, domain_teams)
        if action is Action.JOIN_DOMAIN:
            return _may_let_in(caller, team, domain_teams)
        if action is Action.MANAGE_TEAM and caller.user in leads:
            return None
        if action is Action.MANAGE_TEAM:
            return f"Only a lead of the team {team} may do this.", f"Ask a lead: {', '.join(sorted(leads)) or 'none'}."
        return "Only an administrator may do this.", "Ask an administrator of this mesh."

    def _may_read(self, caller: Principal, product: ProductFacts | None) -> tuple[str, str] | None:
        if product is None:
            return "No product is named.", "Name a product."
        if product.access == "open" or product.owner in caller.teams:
            return None
        if self._grants.granted(caller.user, caller.teams, product.name):
            return None
        return (
            f"The data of {product.name} needs a grant from the team {product.owner}.",
            f'Ask for it: thinmesh request {product.name} --purpose "…"',
        )


class _AtOnce:
    """The grants of one caller, as of the first look."""

    def __init__(self, grants: Grants, caller: Principal) -> None:
        self._find = partial(grants.granted_products, caller.user, caller.teams)
        self._found: Collection[str] | None = None

    def granted(self, _user: str, _teams: Collection[str], product: str) -> bool:
        return product in self.granted_products(_user, _teams)

    def granted_products(self, _user: str, _teams: Collection[str]) -> Collection[str]:
        if self._found is None:
            self._found = self._find()
        return self._found


def _beyond_scope(caller: Principal, action: Action, product: ProductFacts | None) -> tuple[str, str] | None:
    """Judge by the token alone, before the person."""
    help = "Use a token with a wider scope: thinmesh token new --scope …"
    if caller.scope.startswith("publish:"):
        only = caller.scope.removeprefix("publish:")
        if action in _PUBLISHING or (action is Action.PUBLISH and product and product.name == only):
            return None
        return f"This token may only publish to {only}.", help
    if caller.scope == "read":
        return None if action in _READING else ("This token may only read.", help)
    return None if caller.scope in _WIDE else (f"The scope {caller.scope!r} is not one we know.", help)


def _must_own(caller: Principal, product: ProductFacts | None) -> tuple[str, str] | None:
    if product and product.owner in caller.teams:
        return None
    what = f"{product.name} belongs to the team {product.owner}" if product else "No product is named"
    return (
        f"{what}; you are not in it.",
        f"Ask a lead: thinmesh team add-member {product.owner if product else 'TEAM'} {caller.user}",
    )


def _may_register(caller: Principal, team: str | None, domain_teams: Collection[str] | None) -> tuple[str, str] | None:
    if not team or team not in caller.teams:
        return f"You are not in the team {team}.", f"Ask a lead: thinmesh team add-member {team} {caller.user}"
    if domain_teams is None:
        return "No domain is named.", "Name a domain."
    if domain_teams and team not in domain_teams:
        return (
            f"The domain belongs to {', '.join(sorted(domain_teams))}; {team} does not work in it.",
            f"Ask a member of one of them to let you in: thinmesh team create {team} --domain DOMAIN",
        )
    return None


def _may_let_in(caller: Principal, team: str | None, domain_teams: Collection[str] | None) -> tuple[str, str] | None:
    """Let a team take an unclaimed domain itself; into a claimed one those who work there let it in."""
    if not team or domain_teams is None:
        return "No team or no domain is named.", "Name both."
    if not domain_teams and team not in caller.teams:
        return f"You are not in the team {team}.", f"Ask a lead: thinmesh team add-member {team} {caller.user}"
    if domain_teams and not caller.teams.intersection(domain_teams):
        where, whom = ("in none of them", "one of them") if len(domain_teams) > 1 else ("not in it", "it")
        return (
            f"The domain belongs to {', '.join(sorted(domain_teams))}; you are {where}.",
            f"Ask a member of {whom} to let {team} in: thinmesh team create {team} --domain DOMAIN",
        )
    return None
