"""Quality rules of type `sql` (ODCS), measured in the sandbox of consumers' SQL, over the data as it would be.

A rule's query gives one number. `${object}` and `${table}` stand for its table, `${property}` and `${column}` for
its column; it reads the tables of its own product and no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thinmesh.kernel.contract import Table
from thinmesh.kernel.errors import Refused, Violation
from thinmesh.kernel.product import DataFile
from thinmesh.kernel.quality_rules import bounds_of, demand, holds, is_sql, refuses

from .backend import Backends, Sandbox
from .model import Snapshot

_PLACEHOLDER = re.compile(r"\$\{(object|table|property|column)\}")
_RULE = "sql"


def has_sql(table: Table) -> bool:
    """Tell whether a table has a rule that only the sandbox measures."""
    return any(True for _ in _rules(table))


def unmeasured(table: Table) -> list[str]:
    """Name the rules that only the sandbox measures, for a check that has none."""
    return [
        f"{table.name}{f'.{column}' if column else ''}: quality sql {_title(rule)}" for column, rule in _rules(table)
    ]


def measure(
    backends: Backends,
    user: str,
    product: str,
    tables: Mapping[str, Table],
    files: Mapping[str, Sequence[DataFile]],
    judged: Sequence[str],
) -> Iterator[tuple[Violation, bool]]:
    """Give each broken rule of the `judged` tables, and whether it refuses.

    `tables` and `files` are all of the product's, as they would be after the publication.
    """
    snapshots = [
        Snapshot(product, table, None, tuple(backends.location.path(file) for file in files.get(name, ())))
        for name, table in tables.items()
    ]
    for name in judged:
        for column, rule in _rules(tables[name]):
            found = _fault(backends.sandbox, user, snapshots, product, name, column, rule)
            if found:
                yield Violation(found, _RULE, table=name, column=column), refuses(rule)


def _rules(table: Table) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Give the rules of a table and of its columns that measure with a query."""
    every = [(None, table.quality), *((column.name, column.quality) for column in table.columns)]
    yield from ((column, rule) for column, rules in every for rule in rules if is_sql(rule))


def _fault(
    sandbox: Sandbox,
    user: str,
    snapshots: Sequence[Snapshot],
    product: str,
    table: str,
    column: str | None,
    rule: Mapping[str, Any],
) -> str | None:
    name = f"the quality rule {_title(rule)!r}"
    try:
        value = sandbox.number(user, _written_out(str(rule["query"]), product, table, column), snapshots)
    except Refused as error:
        return f"{name} cannot be measured: {error.detail}"
    for operator, bound in bounds_of(rule).items():
        if not holds(operator, value, bound):
            return f"{name} gives {value:g}, and {demand(operator, bound)}"
    return None


def _title(rule: Mapping[str, Any]) -> str:
    return str(rule.get("name") or rule.get("description") or rule["query"])[:80]


def _written_out(query: str, product: str, table: str, column: str | None) -> str:
    """Put names in the place of placeholders; names are of a form that needs quotes only for keywords."""
    names = {"object": f'"{product}"."{table}"', "property": f'"{column}"' if column else "*"}
    names |= {"table": names["object"], "column": names["property"]}
    return _PLACEHOLDER.sub(lambda found: names[found[1]], query)
