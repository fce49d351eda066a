"""All jobs, in the order they are run and reported."""

from __future__ import annotations

from ..model import Job
from . import aggregate, check, publish, stream, tpch

JOBS: tuple[Job, ...] = (*check.JOBS, *publish.JOBS, *aggregate.JOBS, *tpch.JOBS, *stream.JOBS)
"""What `make bench` runs."""

BIG: tuple[Job, ...] = (*check.BIG, *publish.BIG, *tpch.BIG, *stream.BIG)
"""What `make bench-big` runs besides."""
