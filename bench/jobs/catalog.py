"""A catalog outside the mesh: registering with one attached, up and down, and how fast it is told of everything."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from thinmesh.planes.product.backend import OutsideCatalog

from .. import mesh, stand_in
from ..model import OURS, Goal, Job, Work
from .register import served

_WITHOUT = "without a catalog"
_PRODUCTS = 1_000


@contextmanager
def attached(state: str, folder: Path) -> Iterator[Work]:
    """Register over HTTP beside a catalog; each side runs in a process of its own, whose environment this is."""
    os.environ["PYTHONPATH"] = stand_in.install(folder / "packages")
    os.environ["BENCH_CATALOG"] = state
    with served(10, folder) as work:
        yield work


@contextmanager
def delivered(folder: Path) -> Iterator[Work]:
    """Tell the catalog of all products, as a server does after it was down."""
    with _telling(folder, stand_in.StandIn(True)) as work:
        yield work


@contextmanager
def delivered_to_datahub(folder: Path) -> Iterator[Work]:
    """Tell DataHub's stand-in of all products, by DataHub's own emitter, each read back and compared."""
    from thinmesh.adapters.datahub.catalog import DataHubCatalog
    from thinmesh.adapters.datahub.server import Server

    from .. import datahub

    with datahub.stand_in() as (url, clear), _telling(folder, DataHubCatalog(Server(url, str, "bench")), clear) as work:
        yield work


@contextmanager
def _telling(folder: Path, catalog: OutsideCatalog, clear: Callable[[], object] = bool) -> Iterator[Work]:
    from thinmesh.bootstrap import open_home
    from thinmesh.planes.product.deliveries import Deliveries
    from thinmesh.planes.product.records import Records

    platform = open_home(mesh.home_of(folder, 10).path)
    caller = platform.identity.principal_of_home()
    numbers = range(500_000, 500_000 + _PRODUCTS)
    mesh.in_threads(lambda number: platform.products.register(caller, mesh.document(number)), list(numbers), 32)
    records = Records(platform.index, lambda: platform.teams)
    deliveries = Deliveries(catalog, platform.database, platform.delivered, records)

    def work() -> dict[str, float]:
        with platform.database.write() as tx:
            platform.delivered.restart(tx, deliveries.name)
        clear()
        began = time.perf_counter()
        count = sum(itertools.takewhile(bool, iter(deliveries.follow, None)))
        return {"rate": count / (time.perf_counter() - began)}

    yield work
    platform.close()


def _registering(state: str) -> Job:
    return Job(
        key=f"catalog-{state}",
        title=f"register from 32 clients with a catalog attached that is {state}",
        sides={OURS: partial(attached, state), _WITHOUT: partial(served, 10)},
        goals=(
            Goal("rate", 1 / 1.1, against=_WITHOUT, at_least=True),
            Goal("p50", 1.1, against=_WITHOUT),
        ),
        rounds=5,
    )


JOBS = (
    _registering("up"),
    _registering("down"),
    Job(
        key="catalog-delivered",
        title=f"tell a catalog of {_PRODUCTS:,} products, 5 ms each",
        sides={OURS: delivered},
        goals=(Goal("rate", 200, against=None, at_least=True),),
        rounds=3,
    ),
    Job(
        key="catalog-datahub",
        title=f"tell DataHub's stand-in of {_PRODUCTS:,} products, each read back",
        sides={OURS: delivered_to_datahub},
        goals=(Goal("rate", 200, against=None, at_least=True),),
        rounds=3,
    ),
)
