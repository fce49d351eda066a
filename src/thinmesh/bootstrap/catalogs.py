"""Catalogs outside the mesh: found among what is installed, each with a thread of its own while a server runs.

A package offers one as an entry point in the group `thinmesh.catalogs`: a function that takes the settings
(`thinmesh.kernel.settings.Settings`) and gives an `OutsideCatalog`, or None where the settings name none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from thinmesh.kernel.errors import MeshError, Refused
from thinmesh.planes.product.deliveries import Deliveries, Pace
from thinmesh.planes.product.records import Records

from .following import Follower

if TYPE_CHECKING:
    from thinmesh.adapters.dcat.catalog import DcatCatalog
    from thinmesh.kernel.settings import Settings
    from thinmesh.planes.product.backend import OutsideCatalog
    from thinmesh.planes.product.catalogs import Catalogs

    from .platform import Platform

GROUP = "thinmesh.catalogs"
Factory = Callable[["Settings"], "OutsideCatalog | None"]

# Products sent in one turn; and where changes keep coming: some take 20 ms of the interpreter, and a turn comes in 2 s.
_BATCH, _PRESSED_BATCH = 40, 5
# How often a thread looks whether something is to be tried again.
_EVERY_SECONDS = 5.0
# The longest that a server's end waits for catalogs that are being told of a product.
_STOP_SECONDS = 3.0


class Courier:
    """The thread that keeps one catalog up to date."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._asked = threading.Event()
        self._follower = Follower((self._follow, self._reconcile), deliveries.name, _EVERY_SECONDS)

    def wake(self) -> None:
        """Ask for a look at what changed; returns at once."""
        self._follower.wake()

    def reconcile(self) -> None:
        """Ask for a comparison of everything; returns at once."""
        self._asked.set()
        self.wake()

    def stop(self, wait: float) -> None:
        """End after the product that is being sent, or after `wait` seconds: it is sent again by the next server."""
        self._deliveries.stop()
        self._follower.stop(wait)

    def _follow(self) -> bool:
        return self._deliveries.follow(_PRESSED_BATCH if self._follower.pressed else _BATCH) > 0

    def _reconcile(self) -> bool:
        if self._asked.is_set():
            try:
                self._deliveries.reconcile()
            except MeshError as error:
                if error.retry:
                    return False  # it stays asked for
                self._asked.clear()
                raise
            self._asked.clear()
        return False


def stop_all(couriers: Sequence[Courier]) -> None:
    """End all threads, together within some seconds."""
    until = time.monotonic() + _STOP_SECONDS
    for courier in couriers:
        courier.stop(0)
    for courier in couriers:
        courier.stop(max(0.0, until - time.monotonic()))


def deliveries_of(platform: Platform) -> tuple[Deliveries, ...]:
    """Join each catalog that the settings name with its state, and record which they are."""
    catalogs = found_catalogs(platform.settings)
    with platform.database.read() as tx:
        attached = list(platform.delivered.attached(tx))
    if platform.mode != "read" and attached != sorted(each.name for each in catalogs):
        with platform.database.write() as tx:
            platform.delivered.attach(tx, [each.name for each in catalogs])
    return tuple(_deliveries(platform, each) for each in catalogs)


def found_catalogs(settings: Settings) -> list[OutsideCatalog]:
    """Ask every installed package that offers a catalog, by name.

    Raises Refused where one of them is broken: passed over, it would look as if nobody had configured it.
    """
    from importlib.metadata import entry_points

    found = []
    for entry in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            make: Factory = entry.load()
        except (ImportError, AttributeError) as error:
            raise Refused(
                f"The catalog {entry.name} ({entry.value}) cannot be loaded: {error}.",
                help="Install the package that offers it again, or remove it.",
            ) from error
        catalog = make(settings)
        if catalog:
            found.append(catalog)
    return found


def catalogs_of(platform: Platform) -> Catalogs:
    """Give the verbs."""
    from thinmesh.planes.product.catalogs import Catalogs

    own: list[tuple[Deliveries, DcatCatalog]] = []
    making = threading.Lock()

    def make_own() -> tuple[Deliveries, DcatCatalog]:
        with making:
            if not own:
                own.append(_own(platform))
            return own[0]

    return Catalogs(
        platform.database,
        platform.delivered,
        platform.policy,
        platform.audit,
        platform.hurry,
        make_own,
        platform.settings.server.url,
        platform.clock,
    )


def _own(platform: Platform) -> tuple[Deliveries, DcatCatalog]:
    """Make the catalog that others fetch: brought up to date when they do, and not before."""
    from thinmesh.adapters.dcat.catalog import DcatCatalog
    from thinmesh.adapters.sql.deliveries import SqlCatalogNodes

    catalog = DcatCatalog(platform.database, SqlCatalogNodes())
    if catalog.outdated():
        with platform.database.write() as tx:
            platform.delivered.restart(tx, catalog.name)
    return _deliveries(platform, catalog, at_once=1), catalog


def _deliveries(platform: Platform, catalog: OutsideCatalog, at_once: int = 4) -> Deliveries:
    from thinmesh.kernel.settings import revealed

    settings = platform.settings
    token = revealed(settings.datahub.token) if settings.datahub.url else ""
    return Deliveries(
        catalog,
        platform.database,
        platform.delivered,
        Records(platform.index, lambda: platform.teams, settings.server.url),
        Pace(platform.clock, at_once=at_once),
        secrets=(token,),
    )
