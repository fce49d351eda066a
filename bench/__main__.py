"""`make bench`: the product beside its floors and peers, in one run, interleaved; medians and ratios.

Usage: python -m bench [--big] [--only KEY ...] [--write]
"""

from __future__ import annotations

import argparse
import sys

from . import mesh, report
from .frame import measure
from .jobs import BIG, JOBS
from .model import Job


def main() -> None:
    """Run the jobs, print what they measured, and show what got worse than the baseline."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--big", action="store_true", help="run the big jobs instead")
    parser.add_argument("--only", nargs="+", metavar="KEY", help="run these jobs: check-1M, or check for all of check")
    parser.add_argument("--write", action="store_true", help="renew the baseline and docs/performance.md")
    options = parser.parse_args()
    jobs = [job for job in (BIG if options.big else JOBS) if _wanted(job, options.only)]
    if not jobs:
        sys.exit(f"No such job; there are: {', '.join(job.key for job in (*JOBS, *BIG))}")
    print(report.machine())
    measured = {}
    with mesh.kept_homes():
        for job in jobs:
            figures, missing = measure(job)
            measured[job.key] = report.record(job, figures, missing)
            print(report.lines(job, measured[job.key], report.baseline_of(job)), flush=True)
    if options.write:
        report.write(measured)


def _wanted(job: Job, keys: list[str] | None) -> bool:
    return keys is None or any(job.key == key or job.key.startswith(f"{key}-") for key in keys)


if __name__ == "__main__":
    main()
