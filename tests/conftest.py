"""What the suites that try many points tell at the end: how many were tried, and how many held."""

from __future__ import annotations

from collections import Counter


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
