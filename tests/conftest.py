"""What holds for all tests: examples are not timed, and suites that try many points tell how many held."""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, settings

# How long an example takes is a matter of what else the machine does: on a busy one any of thousands may be "too slow".
# `make test` says of one tree the same everywhere, and `make torture` draws anew.
settings.register_profile(
    "untimed",
    deadline=None,
    derandomize="THINMESH_TORTURE_SEED" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")


def pytest_terminal_summary(terminalreporter):
    tried, held = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "held" and getattr(report, "when", "") == "call":
                    suite, points, kept = value
                    tried[suite] += points
                    held[suite] += kept
    for suite in sorted(tried):
        terminalreporter.write_line(f"{suite}: {tried[suite]} tried, {held[suite]} held")
