"""What the exchange plane needs of others, as Protocols."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.events import EventFeed
from thinmesh.kernel.policy import ProductFacts

from .model import Access


class Products(Protocol):
    """What is known of products, as of the transaction handed in."""

    def facts(self, tx: Transaction, product: str) -> ProductFacts:
        """Give owner, access and status; also of a retired one. Raises NotFound, naming the nearest one."""

    def owned_by(self, tx: Transaction, teams: Collection[str]) -> Collection[str]:
        """Give the names of the products that any of the teams owns."""


class AccessStore(Protocol):
    """Keeps requests and grants. Times are RFC 3339 text; `now` decides what has expired."""

    def add(self, tx: Transaction, access: Access) -> None:
        """Add a request."""

    def update(self, tx: Transaction, access: Access) -> None:
        """Write what changed in a request's life."""

    def find(self, tx: Transaction, id: str) -> Access | None:
        """Find a request or grant by its id."""

    def open(self, tx: Transaction, product: str, user: str, team: str | None, now: str) -> Sequence[Access]:
        """List what is requested or in force for this user (or this team) on this product, the newest first."""

    def visible(
        self,
        tx: Transaction,
        *,
        user: str,
        teams: Collection[str],
        products: Collection[str] | None,
        product: str | None,
        in_force_at: str | None,
        limit: int,
        after: Sequence[str] | None,
    ) -> Sequence[Access]:
        """List what a user may see, the newest first: their own, their teams', and those on `products` (None: all).

        `product` narrows to one, `in_force_at` to grants in force then; `after` is the (requested, id) of the last
        one shown.
        """

    def granted(self, tx: Transaction, user: str, teams: Collection[str], product: str, now: str) -> bool:
        """Tell whether a grant for the user or one of the teams is in force."""

    def granted_products(self, tx: Transaction, user: str, teams: Collection[str], now: str) -> Collection[str]:
        """Give all products with a grant in force for the user or one of the teams."""

    def due(self, tx: Transaction, now: str, limit: int) -> Sequence[Access]:
        """List approved grants whose time is over."""


class Events(EventFeed, Protocol):
    """The event feed, to read."""

    def after(
        self, tx: Transaction, sequence: int, user: str, teams: Collection[str], everything: bool, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Give events after a sequence that concern the user or their teams, or all of them, as CloudEvents."""
