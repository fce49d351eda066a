"""A catalog outside the mesh for the bench: it takes as long as a network does, or does not answer at all.

Installed as a package's entry point in a folder of its own; the environment says which: `BENCH_CATALOG` is `up` or
`down`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from thinmesh.kernel.errors import Temporary
from thinmesh.kernel.settings import Settings
from thinmesh.planes.product.model import CatalogRecord

SECONDS = 0.005  # of one call: two round trips, and what the other side does


class StandIn:
    """An `OutsideCatalog` that remembers what it was told."""

    name = "bench"

    def __init__(self, up: bool) -> None:
        self._up = up
        self._told: dict[str, CatalogRecord] = {}

    def put(self, record: CatalogRecord) -> None:
        time.sleep(SECONDS)
        if not self._up:
            raise Temporary("It does not answer.")
        self._told[record.product.name] = record

    def remove(self, product: str) -> None:
        self._told.pop(product, None)

    def products(self) -> Iterator[str]:
        return iter(tuple(self._told))

    def differences(self, record: CatalogRecord) -> Sequence[str]:
        return [] if record.product.name in self._told else ["missing"]


def open_catalog(settings: Settings) -> StandIn | None:  # noqa: ARG001
    """What the entry point leads to."""
    state = os.environ.get("BENCH_CATALOG")
    return StandIn(state == "up") if state else None


def install(folder: Path) -> str:
    """Offer the stand-in; give what `PYTHONPATH` must be."""
    info = folder / "bench_catalog-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-catalog\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[thinmesh.catalogs]\nbench = {__name__}:open_catalog\n")
    return os.pathsep.join((str(folder), str(Path(__file__).parents[1])))
