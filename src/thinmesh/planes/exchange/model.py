"""The nouns of the exchange plane."""

from __future__ import annotations

from dataclasses import dataclass

REQUESTED = "requested"
APPROVED = "approved"
DENIED = "denied"
REVOKED = "revoked"
EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Access:
    """An access request and, once approved, the grant it became: one id through its whole life.

        requested → approved → expired
                  ↘ denied   ↘ revoked

    It is for the user who asked or, where `team` is set, for everybody in that team as it is then. `duration` is
    ISO 8601, counted from the decision; `expires` is RFC 3339, None before it. `why` is the denial's reason.
    """

    id: str
    product: str
    user: str
    team: str | None
    purpose: str
    duration: str
    state: str
    requested: str
    decided: str | None = None
    decided_by: str | None = None
    expires: str | None = None
    ended: str | None = None
    ended_by: str | None = None
    why: str | None = None
