"""What a run tells: lines on the terminal, the baseline, and docs/performance.md with its charts."""

from __future__ import annotations

import datetime
import json
import os
import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import chart
from .jobs import BIG, JOBS
from .model import Goal, Job

ROOT = Path(__file__).parent.parent
BASELINE = Path(__file__).with_name("baseline.json")
PAGE = ROOT / "docs" / "performance.md"
CHARTS = ROOT / "docs" / "performance"
WORSE = 1.15
_FIGURES = ("seconds", "p50", "p99", "rate", "cpu", "rss")  # as the page shows them
"""A ratio that is this many times the baseline's is shown as a regression."""

Record = dict[str, Any]


def machine() -> str:
    """Tell on what the figures were measured."""
    facts = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
    model = next((value.strip() for name, _, value in facts if name.startswith("model name")), platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    parts = [f"{os.cpu_count()} cores ({model}), {memory:.0f} GB, Linux {platform.release().partition('-')[0]}"]
    parts += [f"Python {platform.python_version()}, DuckDB {version('duckdb')}"]
    return ", ".join(parts)


def record(job: Job, figures: dict[str, dict[str, float]], missing: dict[str, str]) -> Record:
    """Make what the baseline keeps of a job."""
    goals = []
    for goal in job.goals:
        value = goal.value(figures)
        if value is not None:
            measured = _shown(goal.figure, value) if goal.against is None else f"{value:.3g}x"
            goals.append({"goal": _told(goal), "value": round(value, 4), "measured": measured, "met": goal.met(value)})
    rounded = {side: {name: round(value, 5) for name, value in each.items()} for side, each in figures.items()}
    return {"figures": rounded, "goals": goals, "missing": missing}


def lines(job: Job, measured: Record, before: Record | None) -> str:
    """Tell what a job measured, a line per side and goal, and what got worse than `before`, where there is one."""
    told = [f"\n{job.title}  [{job.key}]"]
    for side, figures in measured["figures"].items():
        told.append(f"  {side:<22} " + "  ".join(f"{name} {_shown(name, value)}" for name, value in figures.items()))
    told += [f"  {side:<22} not measured: {why}" for side, why in measured["missing"].items()]
    for goal in measured["goals"]:
        told.append(f"  {'met ' if goal['met'] else 'MISS'} {goal['measured']} for {goal['goal']}")
    return "\n".join(told + [f"  WORSE {each}" for each in _regressions(job, measured, before)])


def write(measured: dict[str, Record]) -> None:
    """Renew the baseline with these jobs, and the page with all that the baseline has."""
    kept = _baseline()
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    kept["jobs"].update({key: {**each, "day": day} for key, each in measured.items()})
    kept["machine"] = machine()
    BASELINE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    render(kept)


def render(kept: dict[str, Any]) -> None:
    """Write the generated part of the page, and the charts; what stands above the mark is kept."""
    mark = "<!-- Below: written by `python -m bench --write`. -->"
    above = PAGE.read_text().partition(mark)[0] if PAGE.exists() else "# Performance\n\n"
    CHARTS.mkdir(exist_ok=True)
    parts = [mark, "", f"Measured on {kept['machine']}.", "", "| job | goal | measured | |", "|---|---|---|---|"]
    jobs = [job for job in (*JOBS, *BIG) if job.key in kept["jobs"]]
    for job in jobs:
        for goal in kept["jobs"][job.key]["goals"]:
            met = "met" if goal["met"] else "**missed**"
            parts.append(f"| {job.title} | {goal['goal']} | {goal['measured']} | {met} |")
    for job in jobs:
        parts += ["", *_section(job, kept["jobs"][job.key])]
    PAGE.write_text(above + "\n".join(parts) + "\n")


def _section(job: Job, measured: Record) -> list[str]:
    figure = job.goals[0].figure if job.goals else "seconds"
    # The baseline sorts its keys, so that what changed is seen; the page has our side first.
    sides = {side: measured["figures"][side] for side in job.sides if side in measured["figures"]}
    (CHARTS / f"{job.key}.svg").write_text(chart.bars(job.title, figure, sides, partial(_shown, figure)))
    found = {name for each in sides.values() for name in each}
    names = [name for name in _FIGURES if name in found] + sorted(found - set(_FIGURES))
    told = [f"## {job.title}", "", f"![{job.title}](performance/{job.key}.svg)", ""]
    told += [f"`{job.key}`, {measured['day']}", "", f"| side | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for side, figures in sides.items():
        cells = " | ".join(_shown(name, figures[name]) if name in figures else "" for name in names)
        told.append(f"| {side} | {cells} |")
    return told + [f"\nNot measured: {side}: {why}" for side, why in measured["missing"].items()]


def baseline_of(job: Job) -> Record | None:
    """Give what the committed baseline has of a job."""
    found: Record | None = _baseline()["jobs"].get(job.key)
    return found


def _regressions(job: Job, measured: Record, before: Record | None) -> list[str]:
    """List the goals whose value is worse than before by more than 15 %."""
    values = {each["goal"]: each["value"] for each in (before or {}).get("goals", [])}
    at_least = {_told(goal): goal.at_least for goal in job.goals}
    found = []
    for goal in measured["goals"]:
        name, value = goal["goal"], goal["value"]
        was = values.get(name)
        if was and (value * WORSE < was if at_least[name] else value > was * WORSE):
            found.append(f"{value:.3g}, {was:.3g} in the baseline: {name}")
    return found


def _baseline() -> dict[str, Any]:
    return json.loads(BASELINE.read_text()) if BASELINE.exists() else {"jobs": {}}


def _told(goal: Goal) -> str:
    sign = "≥" if goal.at_least else "≤"
    if goal.against is None:
        return f"{goal.figure} {sign} {_shown(goal.figure, goal.limit)}"
    return f"{goal.figure} {sign} {goal.limit:g}x {goal.against}"


def _shown(figure: str, value: float) -> str:
    """Write a figure with its unit: all but memory and rates are times."""
    if figure == "rss":
        return f"{value:,.0f} MB"
    if figure == "rate":
        return f"{value:,.0f}/s" if value >= 100 else f"{value:.3g}/s"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"
