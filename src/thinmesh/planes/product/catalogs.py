"""The verbs of catalogs outside the mesh: how they stand, try again, and the catalog that others fetch from here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thinmesh.kernel.audit import Audit
from thinmesh.kernel.clock import Clock, text_of_time, utc_now
from thinmesh.kernel.database import Database, Transaction
from thinmesh.kernel.errors import Malformed, MeshError, NotFound, Temporary
from thinmesh.kernel.names import nearest
from thinmesh.kernel.page import checked_limit, cursor_of, texts_of
from thinmesh.kernel.policy import Action, Policy, Principal

from .backend import CatalogDocument, DeliveryStore
from .deliveries import Deliveries
from .model import CatalogStates, Retried

STATES = ("done", "pending", "failed")
# The longest that whoever fetches the catalog waits until everything is in it.
_PATIENCE_SECONDS = 20.0
_MOST_FAULTS = 100  # that are named


@dataclass(frozen=True, slots=True)
class Harvest:
    """The catalog as one document: `etag` changes when a product does."""

    media_type: str
    etag: str
    chunks: Iterator[bytes]


class Catalogs:
    """States, retries, and the document.

    `hurry` makes what is due be sent soon; `own` gives the catalog kept here; `url` is where people reach this mesh.
    """

    def __init__(
        self,
        database: Database,
        store: DeliveryStore,
        policy: Policy,
        audit: Audit,
        hurry: Callable[[], None],
        own: Callable[[], tuple[Deliveries, CatalogDocument]],
        url: str = "",
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._store = store
        self._policy = policy
        self._audit = audit
        self._hurry = hurry
        self._own = own
        self._url = url
        self._clock = clock

    def status(
        self,
        caller: Principal,
        product: str | None = None,
        catalog: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> CatalogStates:
        """List how far each catalog has come with each product; for any signed-in user.

        Raises Malformed for a state that is none, NotFound for a product that is none.
        """
        self._policy.require(caller, Action.READ_METADATA)
        if state is not None and state not in STATES:
            raise Malformed(f"{state[:40]!r} is no state.", help=f"There are: {', '.join(STATES)}.")
        size, after = checked_limit(limit), texts_of(cursor, 2) or ["", ""]
        with self._database.read() as tx:
            if product is not None and not self._store.sequence(tx, product):
                raise _unknown(product, self._store.known(tx))
            items = self._store.list(tx, product, catalog, state, size + 1, (after[0], after[1]))
            summaries = self._store.summaries(tx)
        shown = tuple(items[:size])
        more = cursor_of([shown[-1]["product"], shown[-1]["catalog"]]) if len(items) > size else None
        return CatalogStates(shown, more, tuple(summaries))

    def retry(self, caller: Principal, product: str | None = None) -> Retried:
        """Try again at once what failed or waits, of one product or all; for administrators. Gives what is not done."""
        named = product or "everything"
        with self._audit.attempt(caller, "catalog.retry", named):
            self._policy.require(caller, Action.ADMINISTER)
            with self._database.read() as tx:
                if product is not None and not self._store.sequence(tx, product):
                    raise _unknown(product, self._store.known(tx))
        with self._database.write() as tx:
            retried = self._store.retry(tx, product, text_of_time(self._clock()))
            self._audit.record(tx, caller, "catalog.retry", named)
        self._hurry()
        if product is not None:
            found = self.status(caller, product)
            return Retried(found.items, found.next, found.catalogs, retried)
        waiting = self.status(caller, state="pending")
        failed = self.status(caller, state="failed")
        return Retried((*failed.items, *waiting.items)[:1000], None, waiting.catalogs, retried)

    def harvest(self, caller: Principal, url: str) -> Harvest:
        """Give the whole catalog as one document, as of now; for any signed-in user.

        `url` is where the mesh is reached, for where the settings do not say so.
        Raises Temporary where so much changed since it was last asked for that it takes long to write.
        """
        self._policy.require(caller, Action.READ_METADATA)
        deliveries, document = self._own()
        until = time.monotonic() + _PATIENCE_SECONDS
        while deliveries.follow():
            if time.monotonic() > until:
                raise Temporary(
                    "The catalog is still being written: much has changed since it was last fetched.",
                    help="Fetch it again in half a minute; it goes on from where it is.",
                )
        with self._database.read() as tx:
            name, sequence = self._store.position(tx, deliveries.name)
        where = (self._url or url).rstrip("/")
        etag = hashlib.sha256(f"{sequence} {name} {where}".encode()).hexdigest()[:16]
        return Harvest(document.media_type, etag, document.chunks(where))


class OutsideCatalogs:
    """All catalogs outside the mesh, as one projection. `deliveries` are asked for when there is something to do."""

    name = "catalogs"

    def __init__(
        self, database: Database, store: DeliveryStore, deliveries: Callable[[], Sequence[Deliveries]]
    ) -> None:
        self._database = database
        self._store = store
        self._deliveries = deliveries

    def sequence(self, tx: Transaction) -> int:
        """Give the log sequence that the slowest of them has followed to."""
        return min((self._store.position(tx, name)[1] for name in self._store.attached(tx)), default=0)

    def lag(self, tx: Transaction) -> int:
        """Count the products that a catalog does not show as they are."""
        return sum(self._store.behind(tx, name) for name in self._store.attached(tx))

    def waiting(self, tx: Transaction) -> Sequence[str]:
        """Say which catalogs have products still to be sent, and why; that they are sent needs nobody."""
        return [_waiting(each) for each in self._store.summaries(tx) if each["since"] or each["pending"]]

    def faults(self) -> Sequence[str]:
        """Say which products a catalog does not take, and why; once where many have one reason."""
        with self._database.read() as tx:
            failed = self._store.list(tx, None, None, "failed", _MOST_FAULTS, ("", ""))
        reasons: dict[tuple[str, str], list[str]] = {}
        for each in failed:
            reasons.setdefault((each["catalog"], each["error"]), []).append(each["product"])
        most = len(failed) == _MOST_FAULTS
        return [f"{catalog} does not take {_some(names, most)}: {error}" for (catalog, error), names in reasons.items()]

    def reconcile(self) -> tuple[Mapping[str, int], Sequence[str]]:
        """Send what is due, compare everything, repair and remove; give counts, and what failed."""
        counts = {"compared": 0, "repaired": 0, "removed": 0}
        failed: list[str] = []
        for deliveries in self._deliveries():
            try:
                while deliveries.follow():
                    pass
                found = deliveries.reconcile()
            except MeshError as error:
                failed.append(error.detail)
                continue
            failed += found.failed
            for name in counts:
                counts[name] += getattr(found, name)
        return counts, failed


def _some(names: Sequence[str], more: bool) -> str:
    if len(names) == 1:
        return names[0]
    return f"{len(names)}{' or more' if more else ''} products, such as {names[0]}"


def _waiting(catalog: Mapping[str, Any]) -> str:
    name, count = catalog["catalog"], catalog["pending"]
    products = "1 product waits, and is" if count == 1 else f"{count:,} products wait, and are"
    if not catalog["since"]:
        return f"{name}: {products} sent without being asked for; nothing needs doing"
    return (
        f"{name} has not answered since {catalog['since']} ({catalog['error']}); it is asked again at "
        f"{catalog['retry']}. {products} sent when it does; nothing needs doing here"
    )


def _unknown(product: str, known: Iterable[str]) -> NotFound:
    near = nearest(product, list(known))
    return NotFound(
        f"There is no product {product[:80]}.",
        help=f"Did you mean {near}?" if near else "`thinmesh list` shows all products.",
    )
