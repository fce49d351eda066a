"""Who there is: users, teams, the domains they work in, and tokens. The nouns, and the store behind them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .database import Transaction


@dataclass(frozen=True, slots=True)
class User:
    """A person or a machine that signs in."""

    name: str
    teams: tuple[str, ...]
    admin: bool


@dataclass(frozen=True, slots=True)
class AddedUser(User):
    """A user as they are after being added; `created` where they were not there before."""

    created: bool


@dataclass(frozen=True, slots=True)
class LinkedUser(User):
    """A user, and the person whom a provider vouches for that they are from now on."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class Team:
    """People who own products together. `leads` are members who add and remove others."""

    name: str
    domains: tuple[str, ...]
    members: tuple[str, ...]
    leads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What is known of a token; the token itself is stored nowhere. Times are RFC 3339."""

    id: str
    user: str
    scope: str
    created: str
    expires: str
    created_by: str
    revoked: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token, shown this once; `shortened`: it ends with the one that asked, sooner than was wanted."""

    id: str
    token: str = field(repr=False)
    user: str
    scope: str
    expires: str
    shortened: bool = False


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """The caller as the mesh knows them; `admin` is the person's, `scope` the token's."""

    user: str
    teams: tuple[str, ...]
    admin: bool
    scope: str


class IdentityStore(Protocol):
    """Keeps all of it in the platform database. Names were checked before; times are RFC 3339.

    Adding what is there already, and removing what is not, changes nothing.
    """

    def user(self, tx: Transaction, name: str) -> User | None:
        """Find a user."""

    def users(self, tx: Transaction, limit: int, after: str | None) -> Sequence[User]:
        """List users by name, after a name."""

    def user_names(self, tx: Transaction, letter: str) -> Collection[str]:
        """Give up to 1,000 names of users that begin with a letter, to find what a mistyped one meant."""

    def add_user(self, tx: Transaction, name: str, admin: bool, at: str) -> bool:
        """Add a user; tell whether they are new."""

    def vouched_user(self, tx: Transaction, issuer: str, subject: str) -> str | None:
        """Give the user that a provider's subject is here."""

    def link_user(self, tx: Transaction, user: str, issuer: str, subject: str, at: str, by: str) -> None:
        """Make a provider's subject a user here, in the place of whom it was before."""

    def team(self, tx: Transaction, name: str) -> Team | None:
        """Find a team."""

    def has_team(self, tx: Transaction, name: str) -> bool:
        """Tell whether there is a team of this name."""

    def teams(self, tx: Transaction, limit: int, after: str | None) -> Sequence[Team]:
        """List teams by name, after a name."""

    def team_names(self, tx: Transaction, letter: str) -> Collection[str]:
        """Give up to 1,000 names of teams that begin with a letter, to find what a mistyped one meant."""

    def add_team(self, tx: Transaction, name: str, at: str) -> bool:
        """Add a team without members; tell whether it is new."""

    def add_member(self, tx: Transaction, team: str, user: str, lead: bool, at: str) -> None:
        """Put a user into a team; a member who is a lead stays one."""

    def remove_member(self, tx: Transaction, team: str, user: str) -> None:
        """Take a user out of a team."""

    def teams_of_domain(self, tx: Transaction, domain: str) -> Sequence[str]:
        """Give the teams that work in a domain, the first one first; empty where it is unclaimed.

        They were let in, or own, or owned, a product there.
        """

    def claim_domain(self, tx: Transaction, domain: str, team: str, at: str) -> None:
        """Let a team work in a domain."""

    def add_token(self, tx: Transaction, token: TokenFacts) -> None:
        """Record a token."""

    def token(self, tx: Transaction, id: str) -> TokenFacts | None:
        """Find a token by its id."""

    def add_session(self, tx: Transaction, token: str) -> None:
        """Mark a token as one that lives as long as a browser's session."""

    def is_session(self, tx: Transaction, token: str) -> bool:
        """Tell whether a token was made for a browser's session."""

    def bearer(self, tx: Transaction, id: str) -> tuple[TokenFacts, User] | None:
        """Find a token and the user it belongs to."""

    def tokens(self, tx: Transaction, user: str, limit: int, after: Mapping[str, str] | None) -> Sequence[TokenFacts]:
        """List a user's tokens, the newest first, after the (`created`, `id`) given."""

    def revoke_token(self, tx: Transaction, id: str, at: str, by: str) -> None:
        """Mark a token as revoked; one that was revoked keeps its time."""
