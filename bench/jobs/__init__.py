"""All jobs, in the order they are run and reported."""

from __future__ import annotations

from ..model import Job
from . import aggregate, catalog, check, find, flat, pages, publish, push, register, start, stream, tpch

JOBS: tuple[Job, ...] = (
    *check.JOBS,
    *publish.JOBS,
    *aggregate.JOBS,
    *tpch.JOBS,
    *stream.JOBS,
    *register.JOBS,
    *catalog.JOBS,
    *find.JOBS,
    *pages.JOBS,
    *start.JOBS,
    *push.JOBS,
    *flat.JOBS,
)
"""What `make bench` runs."""

BIG: tuple[Job, ...] = (*check.BIG, *publish.BIG, *tpch.BIG, *stream.BIG, *find.BIG)
"""What `make bench-big` runs besides."""
