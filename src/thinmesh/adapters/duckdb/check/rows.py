"""The rules that one row alone can break: a pass that only a clean file survives, and the exact tally after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import Example, Violation

from .connection import Connection
from .csv_source import violation
from .quoting import identifier, literal
from .records import EXAMPLES
from .rules import Rule
from .shares import Share, copy, joined, ordered, shares

_MARK = "thinmesh: a rule is broken"
_SHOWN = 200
# The first places of a rule cost DuckDB about 2 MB each: so many rules by one statement.
_AT_ONCE = 16


class Source(Protocol):
    """A file under check, as rows of text (c<n>) and typed values (v<n>)."""

    name: str

    @property
    def doubtful(self) -> bool:
        """Tell whether the structure must be looked at before the rows."""

    @property
    def records(self) -> int:
        """Count the rows that must be read."""

    def read_exactly(self) -> None:
        """Find every fault of the structure; afterwards only well-formed records are read."""

    def structural(self, columns: Mapping[int, Column], table: str) -> list[Violation]:
        """Give the faults of the structure."""

    def view(self, columns: Mapping[int, Column], table: Table, *, record: bool = False) -> str:
        """Give the relation of c<n> and v<n>."""

    def lines(self, records: Sequence[int]) -> dict[int, int]:
        """Give the physical lines of records."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one file: its rows, its faults, and the Parquet with its typed values, if one was asked for."""

    rows: int
    violations: tuple[Violation, ...] = ()


def load(
    connection: Connection,
    source: Source,
    columns: Mapping[int, Column],
    table: Table,
    target: Path | None,
    keep: frozenset[str],
) -> Loaded:
    """Check a file against its columns, and write the typed values of the columns to `keep` to `target`.

    A clean file is read once, a wide one once for each share of its columns. `target` is written in any case; after
    faults it holds NULL where a value was none of its type, and serves the checks over several rows only.
    """
    if source.doubtful:
        source.read_exactly()
    kept = [column for _, column in ordered(columns, table) if column.name in keep]
    with shares(columns, table, target, keep) as every:
        found: list[Violation] = []
        rows = _strict(connection, source, table, every)
        if rows is None:
            found, rows = _tally_exactly(connection, source, table, every)
            for share in every:
                _write_anyway(connection, source, table, share)
        if target is not None and len(every) > 1:
            connection.execute(joined([share.target for share in every if share.target], kept, target))
    return Loaded(rows, (*source.structural(columns, table.name), *found))


def _strict(connection: Connection, source: Source, table: Table, every: Sequence[Share]) -> int | None:
    """Read a file so that the first fault ends it; give the rows, or nothing where there is a fault."""
    for _ in range(2):
        for share in every:
            try:
                rows = _guarded_rows(connection, source, table, share)
            except duckdb.InvalidInputException as error:
                if _MARK in str(error):
                    return None
                rows = -1
            if rows != source.records:
                break
        else:
            return source.records
        # The reader and the scan differ on the structure: only the exact reading decides.
        source.read_exactly()
    return None


def _guarded_rows(connection: Connection, source: Source, table: Table, share: Share) -> int:
    view = source.view(share.columns, table)
    if share.target is None:
        broken = " OR ".join(f"({rule.fails})" for rule in share.rules) or "FALSE"
        guard = f"CASE WHEN {broken} THEN error({literal(_MARK)}) ELSE 1 END"
        sql = f"SELECT coalesce(sum({guard}), 0) FROM ({view})"
    else:
        select = f"{_guarded(share.kept, share.rules)} FROM ({view}){_guard_of_rest(share.kept, share.rules)}"
        sql = _written(select, share)
    return int(connection.execute(sql).fetchone()[0])


def _write_anyway(connection: Connection, source: Source, table: Table, share: Share) -> None:
    if share.target is not None:
        values = ", ".join(f"v{n} AS {identifier(column.name)}" for n, column in share.kept)
        connection.execute(_written(f"SELECT {values} FROM ({source.view(share.columns, table)})", share))


def _written(select: str, share: Share) -> str:
    if share.target is None:
        raise AssertionError(select)
    return copy(select, [column for _, column in share.kept], share.target, width=share.width)


def _tally_exactly(
    connection: Connection, source: Source, table: Table, every: Sequence[Share]
) -> tuple[list[Violation], int]:
    """Tally; and where the reader stumbles over the structure, or loses rows, once more after the exact reading."""
    try:
        found, rows = _tally_all(connection, source, table, every)
        if rows == source.records:
            return found, rows
    except duckdb.InvalidInputException:
        # A fault of the structure may hide behind a broken rule, which ended the first pass before it.
        pass
    source.read_exactly()
    return _tally_all(connection, source, table, every)


def _tally_all(
    connection: Connection, source: Source, table: Table, every: Sequence[Share]
) -> tuple[list[Violation], int]:
    found: list[Violation] = []
    rows = source.records
    for share in every:
        some, counted = tally(connection, source, share.columns, table, share.rules)
        found += some
        rows = counted if counted != source.records else rows
    return found, rows


def tally(
    connection: Connection, source: Source, columns: Mapping[int, Column], table: Table, rules: Sequence[Rule]
) -> tuple[list[Violation], int]:
    """Count every rule over every row, and give the first places of each; and the rows."""
    if not rules:
        return [], source.records
    selected = ", ".join(f"count(*) FILTER (WHERE {rule.fails})" for rule in rules)
    row = connection.execute(f"SELECT count(*), {selected} FROM ({source.view(columns, table)})").fetchone()
    broken = [(rule, count) for rule, count in zip(rules, row[1:], strict=True) if count]
    view = source.view(columns, table, record=True)
    examples = [one for first in range(0, len(broken), _AT_ONCE) for one in _places(connection, view, broken[first:])]
    lines = source.lines([one["r"] for some in examples for one in some])
    positions = {column.name: n + 1 for n, column in columns.items()}
    found = []
    for (rule, count), some in zip(broken, examples, strict=True):
        places = [Example(lines[one["r"]], one["v"], positions[rule.column]) for one in some]
        says = rule.complaint([one["v"] for one in some], count)
        found.append(violation(rule.name, says, source.name, table.name, rule.column, count, places))
    return found, int(row[0])


def _places(connection: Connection, view: str, broken: Sequence[tuple[Rule, int]]) -> list[list[dict[str, Any]]]:
    selected = ", ".join(_examples(rule) for rule, _ in broken[:_AT_ONCE])
    return list(connection.execute(f"SELECT {selected} FROM ({view})").fetchone())


def _examples(rule: Rule) -> str:
    text = rule.text
    long = f"left({text}, {_SHOWN}) || '… (' || length({text}) || ' characters)'"
    value = f"CASE WHEN length({text}) > {_SHOWN} THEN {long} ELSE {text} END"
    return f"arg_min({{'r': record, 'v': {value}}}, record, {EXAMPLES}) FILTER (WHERE {rule.fails})"


def _guarded(kept: Sequence[tuple[int, Column]], rules: Sequence[Rule]) -> str:
    """Give the SELECT of typed values, each of which fails where a rule of its column is broken."""
    selected = []
    for n, column in kept:
        broken = " OR ".join(f"({rule.fails})" for rule in rules if rule.column == column.name)
        value = f"CASE WHEN {broken} THEN error({literal(_MARK)}) ELSE v{n} END" if broken else f"v{n}"
        selected.append(f"CAST({value} AS {column.sql_type}) AS {identifier(column.name)}")
    return f"SELECT {', '.join(selected)}"


def _guard_of_rest(kept: Sequence[tuple[int, Column]], rules: Sequence[Rule]) -> str:
    """Give the condition that fails where a rule of a column that is not written is broken."""
    names = {column.name for _, column in kept}
    broken = " OR ".join(f"({rule.fails})" for rule in rules if rule.column not in names)
    return f" WHERE CASE WHEN {broken} THEN error({literal(_MARK)}) ELSE TRUE END" if broken else ""
