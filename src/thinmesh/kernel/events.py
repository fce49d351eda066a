"""The event feed: what happened, for those it concerns, in an order that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .database import Transaction


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `type` is past tense ("product.published"), `subject` the product concerned.

    It is shown to every signed-in user, or (`everyone` false) to the users and teams named. Of two events with the
    same `key` the second is dropped: whatever follows the log may record an entry again.
    """

    type: str
    subject: str
    time: str
    data: Mapping[str, Any] = field(default_factory=dict)
    everyone: bool = False
    users: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    key: str | None = None


class EventFeed(Protocol):
    """Takes events, in the transaction of what they tell."""

    def record(self, tx: Transaction, event: Event) -> None:
        """Add an event to the feed."""
