"""What the platform measures of itself. Requests over HTTP are counted by that interface."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.errors import MeshError

from .backend import Backends, Projection, Tools
from .model import Measure, ProjectionStatus, StatementCounts

# Seconds; from a warm look-up to the longest that a statement may take.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

_COUNTS = {
    "products": "Active products.",
    "retired": "Retired products.",
    "tables": "Tables of active products.",
    "publications": "Publications.",
    "rows": "Rows of active products.",
    "bytes": "Bytes of the data files of active products.",
    "users": "Users.",
    "teams": "Teams.",
}


def measure(backends: Backends, tools: Tools, projections: Sequence[Projection]) -> list[Measure]:
    """Measure everything at one moment."""
    with backends.database.read() as tx:
        counts = tools.store.counts(tx)
        followers = projection_states(projections, tx)
        statements = tools.store.statements(tx, BOUNDS)
    disk = shutil.disk_usage(backends.layout.path)
    return [
        *(_gauge(name, _COUNTS.get(name, name), value) for name, value in counts.items()),
        *_ledger(followers),
        *_statements(statements),
        *_workers(tools.workers()),
        _gauge("database_bytes", "Size of the platform database with its write-ahead log.", database_bytes(backends)),
        _gauge("disk_free_bytes", "Free space on the disk of the home.", disk.free),
        _gauge("disk_total_bytes", "Size of the disk of the home.", disk.total),
    ]


def projection_states(projections: Sequence[Projection], tx: Transaction) -> tuple[ProjectionStatus, ...]:
    """Tell how far each projection has followed the log; one that cannot tell says why."""
    return tuple(_state(projection, tx) for projection in projections)


def newest_sequence(followers: Sequence[ProjectionStatus]) -> int:
    """Give the sequence of the newest entry of the log, as the index, the first of them, counts it."""
    return followers[0].sequence + followers[0].lag


def database_bytes(backends: Backends) -> int:
    """Give the size of the database, with the files beside it."""
    path = backends.layout.database
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*") if not file.name.endswith("-shm"))


def _state(projection: Projection, tx: Transaction) -> ProjectionStatus:
    sequence = projection.sequence(tx)
    try:
        return ProjectionStatus(projection.name, sequence, projection.lag(tx))
    except MeshError as error:
        return ProjectionStatus(projection.name, sequence, 0, f"{error.detail} (run `thinmesh doctor`)")


def _ledger(followers: Sequence[ProjectionStatus]) -> list[Measure]:
    lags = tuple(({"projection": each.name}, float(each.lag)) for each in followers)
    return [
        _gauge("ledger_sequence", "Sequence of the newest entry of the log.", newest_sequence(followers)),
        Measure("thinmesh_projection_lag", "gauge", "Log entries that a projection has still to take in.", lags),
    ]


def _statements(found: StatementCounts) -> list[Measure]:
    total = sum(found.states.values())
    buckets = [({"le": str(bound)}, float(count)) for bound, count in found.buckets.items()]
    states = tuple(({"state": state}, float(count)) for state, count in found.states.items())
    return [
        Measure("thinmesh_statements", "counter", "Statements in the query log, by how they ended.", states),
        Measure(
            "thinmesh_statement_seconds",
            "histogram",
            "Time from a statement's acceptance to its end, in seconds.",
            (*buckets, ({"le": "+Inf"}, float(total))),
            found.seconds,
        ),
    ]


def _workers(report: Mapping[str, Any]) -> list[Measure]:
    """Render the counts that the engine gives of its workers and its queue."""
    found = []
    for part in ("workers", "queue"):
        counts = report.get(part)
        if isinstance(counts, Mapping):
            samples = tuple(({"kind": str(k)}, float(v)) for k, v in counts.items() if isinstance(v, int | float))
            found.append(Measure(f"thinmesh_query_{part}", "gauge", f"The query engine's {part}.", samples))
    return found


def _gauge(name: str, help: str, value: float) -> Measure:
    return Measure(f"thinmesh_{name}", "gauge", help, (({}, float(value)),))
