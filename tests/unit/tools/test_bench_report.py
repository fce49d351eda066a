"""The bench shows what got worse than the committed baseline, and keeps quiet about what did not."""

import json

import pytest
from bench import report
from bench.jobs import BIG, JOBS
from bench.model import OURS, Goal, Job

JOB = Job(
    key="job",
    title="a job",
    sides={},
    goals=(Goal("seconds", 2), Goal("rate", 40, against=None, at_least=True), Goal("rss", 1000, against=None)),
)


def measured(seconds=1.0, rate=50.0, rss=200.0):
    """Make a record of figures beside a floor of one second."""
    figures = {OURS: {"seconds": seconds, "rate": rate, "rss": rss}, "floor": {"seconds": 1.0}}
    return report.record(JOB, figures, {})


def worse(before, **figures):
    return [line.strip() for line in report.lines(JOB, measured(**figures), before).splitlines() if "WORSE" in line]


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"seconds": 1.16}, "WORSE 1.16, 1 in the baseline: seconds ≤ 2x floor"),
        ({"rate": 43.0}, "WORSE 43, 50 in the baseline: rate ≥ 40/s"),
        ({"rss": 231.0}, "WORSE 231, 200 in the baseline: rss ≤ 1,000 MB"),
    ],
    ids=["a ratio", "a rate", "memory"],
)
def test_what_is_more_than_15_percent_worse_is_shown(figures, told):
    assert worse(measured(), **figures) == [told]


@pytest.mark.parametrize(
    "figures",
    [{}, {"seconds": 1.14, "rate": 44.0, "rss": 229.0}, {"seconds": 0.5, "rate": 100.0, "rss": 50.0}],
    ids=["the same", "within 15 percent", "better"],
)
def test_what_is_not_is_not_shown(figures):
    assert worse(measured(), **figures) == []


def test_without_a_baseline_nothing_is_worse():
    assert worse(None, seconds=100.0) == []


def test_a_goal_that_is_missed_is_told_as_missed():
    told = report.lines(JOB, measured(seconds=2.1, rate=39.0), None)
    assert "MISS 2.1x for seconds ≤ 2x floor" in told
    assert "MISS 39/s for rate ≥ 40/s" in told
    assert "met  200 MB for rss ≤ 1,000 MB" in told


def test_the_baseline_is_of_jobs_and_goals_that_there_are():
    """A goal that was renamed would be compared with nothing, and never be worse."""
    kept = json.loads(report.BASELINE.read_text())["jobs"]
    jobs = {job.key: job for job in (*JOBS, *BIG)}
    for key, each in kept.items():
        assert [goal["goal"] for goal in each["goals"]] == [report._told(goal) for goal in jobs[key].goals]
