"""How much each product is read: what a search takes into account beside the words."""

from __future__ import annotations

from datetime import timedelta

from thinmesh.kernel.clock import text_of_time

from .backend import Backends

_LATELY = timedelta(days=30)


def weigh_use(backends: Backends) -> int:
    """Count anew how much products were read lately; give how many were read at all."""
    reads = backends.readers.reads(text_of_time(backends.clock() - _LATELY))
    with backends.database.write() as tx:
        backends.index.weigh(tx, reads)
    return len(reads)
