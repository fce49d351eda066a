"""Quality rules of type `sql` (ODCS), measured in the sandbox of consumers' SQL, over the data as it would be.

A rule's query gives one number. `${object}` and `${table}` stand for its table, `${property}` and `${column}` for
its column; it reads the tables of its own product and no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from thinmesh.kernel.contract import Table
from thinmesh.kernel.errors import Refused, Violation
from thinmesh.kernel.quality_rules import bounds_of, demand, holds, is_sql, refuses

from .backend import Sandbox
from .model import CheckResult, Snapshot

_PLACEHOLDER = re.compile(r"\$\{(object|table|property|column)\}")
_OF_COLUMN = re.compile(r"\$\{(property|column)\}")
_RULE = "sql"


def has_sql(table: Table) -> bool:
    """Tell whether a table has a rule that only the sandbox measures."""
    return any(True for _ in _rules(table))


def measured(
    sandbox: Sandbox, user: str, snapshots: Sequence[Snapshot], judged: Sequence[str], result: CheckResult
) -> CheckResult:
    """Add to a verdict what the rules of the `judged` tables find, over all tables of the product in `snapshots`."""
    found = [
        (fault, refuses(rule))
        for snapshot in snapshots
        if snapshot.table.name in judged
        for column, rule in _rules(snapshot.table)
        if (fault := _fault(sandbox, user, snapshots, snapshot, column, rule))
    ]
    return replace(
        result,
        violations=(*result.violations, *(violation for violation, refused in found if refused)),
        measured=(*result.measured, *(violation for violation, refused in found if not refused)),
    )


def _rules(table: Table) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Give the rules of a table and of its columns that measure with a query."""
    every = [(None, table.quality), *((column.name, column.quality) for column in table.columns)]
    yield from ((column, rule) for column, rules in every for rule in rules if is_sql(rule))


def _fault(
    sandbox: Sandbox,
    user: str,
    snapshots: Sequence[Snapshot],
    judged: Snapshot,
    column: str | None,
    rule: Mapping[str, Any],
) -> Violation | None:
    name = f"the quality rule {_title(rule)!r}"
    try:
        value = sandbox.number(user, _written_out(str(rule["query"]), judged, column), snapshots)
    except Refused as error:
        # What the engine says may quote a value: it is for who asks, and kept nowhere.
        plain = f"{name} cannot be measured"
        return Violation(f"{plain}: {error.detail}", _RULE, None, judged.table.name, column, plain=plain)
    for operator, bound in bounds_of(rule).items():
        if not holds(operator, value, bound):
            text = f"{name} gives {value:g}, and {demand(operator, bound)}"
            return Violation(text, _RULE, None, judged.table.name, column)
    return None


def _title(rule: Mapping[str, Any]) -> str:
    return str(rule.get("name") or rule.get("description") or rule["query"])[:80]


def _written_out(query: str, judged: Snapshot, column: str | None) -> str:
    """Put names in the place of placeholders; names are of a form that needs quotes only for keywords."""
    if not column and _OF_COLUMN.search(query):
        raise Refused("${property} and ${column} stand for a column: write the rule into that column's quality.")
    names = {"object": f'"{judged.product}"."{judged.table.name}"', "property": f'"{column}"'}
    names |= {"table": names["object"], "column": names["property"]}
    return _PLACEHOLDER.sub(lambda found: names[found[1]], query)
