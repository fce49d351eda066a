"""The same request twice has the effect of once: what a repeated `Idempotency-Key` is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredReply:
    """An accepted reply, as it went out the first time. `body` is JSON text."""

    status: int
    body: str


class ReplyStore(Protocol):
    """Keeps accepted replies by user and key, for 7 days."""

    def reserve(self, user: str, key: str, request: bytes) -> StoredReply | None:
        """Give the reply kept for this key; or None, and hold the key until `keep` or `release`.

        `request` is what must be the same: method, path and body (only its hash is kept). Raises Malformed for a
        key that is none, Conflict where the key came with another request, Locked while the first one runs.
        """

    def keep(self, user: str, key: str, reply: StoredReply) -> None:
        """Keep an accepted reply. Never a secret in it: leave that out."""

    def release(self, user: str, key: str) -> None:
        """Give the key back: the request was refused, or its reply must not be kept; a repetition runs again."""
