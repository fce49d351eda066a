"""The ODCS library metrics (Bitol ODCS 3.x, *Data quality*), over a table as it would be after the publication."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import Violation
from thinmesh.kernel.quality_rules import bounds_of, demand, holds, refuses

from .connection import Connection
from .keys import Stored
from .quoting import literal
from .rules import among, is_library

_METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")


def metric_columns(table: Table) -> set[str]:
    """Give the columns that the metrics of a table need; counting its rows needs one."""
    rules = [(column, rule) for column, rule in _rules(table) if is_library(rule)]
    names = {name for column, rule in rules for name in _columns(column, rule)}
    return names | {table.columns[0].name} if rules else names


def measure(connection: Connection, stored: Stored) -> Iterator[tuple[Violation | str, bool]]:
    """Give each metric that is not what it must be, and whether that refuses; a text names one not checked."""
    for column, rule in _rules(stored.table):
        if not is_library(rule):
            continue
        metric = str(rule.get("metric") or rule.get("rule"))
        where = f"{stored.table.name}.{column}" if column else stored.table.name
        names = _columns(column, rule)
        bounds = bounds_of(rule)
        if metric not in _METRICS or not bounds or (metric != "rowCount" and not names):
            yield f"{where}: metric {metric}", False
        elif stored.columns.issuperset(names):
            yield from _one(connection, stored, metric, names, rule, bounds)


def _one(
    connection: Connection,
    stored: Stored,
    metric: str,
    names: Sequence[str],
    rule: Mapping[str, Any],
    bounds: Mapping[str, Any],
) -> Iterator[tuple[Violation, bool]]:
    judged = (stored.table.column(names[0]) if names else None) or Column("")
    selected = _sql(metric, names, judged, rule.get("arguments") or {})
    relation = stored.relation(names or (stored.table.columns[0].name,))
    count, rows = connection.execute(f"SELECT {selected}, count(*) FROM ({relation})").fetchone()
    percent = str(rule.get("unit", "rows")).lower() in ("percent", "percentage", "%")
    value = (100.0 * count / rows if rows else 0.0) if percent else count
    unit = "%" if percent else ""
    for operator, bound in bounds.items():
        if not holds(operator, value, bound):
            message = f"{metric} is {value:g}{unit}, and {demand(operator, bound, unit)}"
            column = ", ".join(names) or None
            # The number of rows is one fact of the table; what the others count are the values that break the rule.
            faults = 1 if metric == "rowCount" else int(count) or 1
            yield Violation(message, metric, None, stored.table.name, column, faults), refuses(rule)


def _sql(metric: str, names: Sequence[str], column: Column, arguments: Mapping[str, Any]) -> str:
    if metric == "rowCount":
        return "count(*)"
    keys = ", ".join(f"k{n}" for n in range(len(names)))
    if metric == "duplicateValues":
        there = " AND ".join(f"k{n} IS NOT NULL" for n in range(len(names)))
        return f"count(*) FILTER (WHERE {there}) - count(DISTINCT ({keys})) FILTER (WHERE {there})"
    if metric == "nullValues":
        return "count(*) FILTER (WHERE k0 IS NULL)"
    if metric == "missingValues":
        given = arguments.get("missingValues") or [None, ""]
        null = "k0 IS NULL" if None in given else "FALSE"
        return f"count(*) FILTER (WHERE {null} OR {among(column, 'k0', (one for one in given if one is not None))})"
    valid, pattern = arguments.get("validValues"), arguments.get("pattern")
    wrong = ["FALSE"]
    if isinstance(valid, list):
        wrong.append(f"NOT {among(column, 'k0', valid)}")
    if isinstance(pattern, str):
        wrong.append(f"NOT regexp_matches(k0::VARCHAR, {literal(pattern)})")
    return f"count(*) FILTER (WHERE k0 IS NOT NULL AND ({' OR '.join(wrong)}))"


def _rules(table: Table) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    yield from ((None, rule) for rule in table.quality)
    yield from ((column.name, rule) for column in table.columns for rule in column.quality)


def _columns(column: str | None, rule: Mapping[str, Any]) -> tuple[str, ...]:
    if column:
        return (column,)
    named = (rule.get("arguments") or {}).get("properties") or ()
    return tuple(str(name) for name in named)
