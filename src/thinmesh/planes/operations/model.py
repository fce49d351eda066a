"""The nouns of the operations plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OK, WARNING, BROKEN = "ok", "warning", "broken"


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """How far a projection has followed the log; `lag` counts the log entries that it has still to take in."""

    name: str
    sequence: int
    lag: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """How the platform is doing. Nothing in it is secret: any signed-in user may see it.

    `counts` are of active products, `rows` and `bytes` of open ones; sizes in bytes, times RFC 3339,
    `uptime` in seconds.
    """

    version: str
    started: str
    uptime: int
    counts: Mapping[str, int]
    log: Mapping[str, Any]
    projections: tuple[ProjectionStatus, ...]
    workers: Mapping[str, Any]
    disk: Mapping[str, int]
    last_backup: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant, how it stands, and where it does not hold the one command that heals it."""

    invariant: str
    state: str
    detail: str = ""
    heal: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `doctor` found; `ok` where nothing is broken (warnings are no breakage)."""

    ok: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What came of building one projection again; `failed` says what could not be, and why."""

    counts: Mapping[str, int]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What `rebuild` built again, with counts for each projection; `failed` names what could not be, and why."""

    rebuilt: Mapping[str, Mapping[str, int]]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupRecord:
    """A backup that was written."""

    at: str
    sequence: int
    bytes: int
    keys: bool


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was written.

    `missing` and `damaged` name data files that are not as the log says, at most 20 each; the counts count them all.
    """

    file: str
    format: str
    bytes: int
    at: str
    sequence: int
    products: int
    data_files: int
    keys: bool
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    missing_count: int = 0
    damaged_count: int = 0


@dataclass(frozen=True, slots=True)
class Restored:
    """A home made from a backup. `admin_token` is new, and shown this once, where the backup held no keys."""

    home: str
    at: str
    sequence: int
    data_files: int
    keys: bool
    admin_token: str | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric: `kind` is gauge, counter or histogram; a sample is (labels, value).

    A histogram has one sample per upper bound (label `le`, cumulative), and `total` as its sum.
    """

    name: str
    kind: str
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...]
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class StatementCounts:
    """What the query log adds up to: statements by state, their seconds, and how many took at most each bound."""

    states: Mapping[str, int]
    seconds: float
    buckets: Mapping[float, int]


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What one step of the maintenance came to; `error` where it failed, and is tried again at its next turn.

    `known` tells that it failed for the same reason at the turn before.
    """

    step: str
    count: int = 0
    error: str | None = None
    known: bool = False
