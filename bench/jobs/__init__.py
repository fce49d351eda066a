"""All jobs, in the order they are run and reported."""

from __future__ import annotations

from ..model import Job
from . import check, publish

JOBS: tuple[Job, ...] = (*check.JOBS, *publish.JOBS)
"""What `make bench` runs."""

BIG: tuple[Job, ...] = (*check.BIG, *publish.BIG)
"""What `make bench-big` runs besides."""
