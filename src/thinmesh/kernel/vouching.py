"""Who vouches for people: an OpenID provider, as the mesh sees one. What it says of a person becomes a user here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from .names import fault_of_user, legal_user

# Where a provider sends browsers back to, under `server.url`; it must know the address beforehand.
RETURN = "/sign-in/oidc/callback"


@dataclass(frozen=True, slots=True)
class Asked:
    """What ties a provider's answer to the question: kept by the browser that asked, and unknown to all others."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Vouched:
    """A person as a provider knows them: `subject` is theirs for ever, all else may change or be given to another.

    `email` is there only where the provider has verified it.
    """

    issuer: str
    subject: str
    username: str | None = None
    email: str | None = None


class Provider(Protocol):
    """Asks people who they are, somewhere else.

    All raise Temporary where the provider cannot be reached in time, or is not set up.
    """

    @property
    def host(self) -> str:
        """Give the name that people know it by."""

    async def question(self, asked: Asked) -> str:
        """Give the address to send a browser to."""

    async def answer(self, asked: Asked, code: str, issuer: str | None) -> Vouched:
        """Take what the browser came back with: a code, and who claims to have sent it.

        Raises NotSignedIn for whatever does not hold.
        """

    async def farewell(self) -> str | None:
        """Give the address where people end their session with the provider, where it has one."""


def user_name_of(person: Vouched) -> str | None:
    """Give the name that a person gets here: their user name there, or that of their verified e-mail address.

    Of either what stands before an `@`; nothing where neither gives a legal name.
    """
    for told in (person.username, person.email):
        name = legal_user((told or "").partition("@")[0])
        if fault_of_user(name) is None:
            return name
    return None
