"""The rules over several rows and tables: keys and references, read from the staged Parquet in a spilling query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from thinmesh.kernel.contract import Column, Reference, Table
from thinmesh.kernel.errors import Example, Violation

from .connection import Connection, numbered, parquet
from .csv_source import violation
from .quoting import identifier, literal
from .records import EXAMPLES
from .rows import Source

_WHOLE = {"BIGINT": "{}", "DOUBLE": "CASE WHEN trunc({0}) = {0} THEN TRY_CAST({0} AS BIGINT) END"}
# A position orders rows over all files of a table: file number above, row number below.
_FILE = 1 << 40


@dataclass(slots=True)
class Stored:
    """A table's rows on disk: the files that stay, and the ones of this check with their sources.

    `files` are (source, Parquet, field number of each column); `columns` are the names that every one of them has,
    or that were added after it came: those read as NULL.
    """

    table: Table
    present: tuple[Path, ...] = ()
    files: list[tuple[Source, Path, Mapping[str, int]]] = field(default_factory=list)
    columns: frozenset[str] = frozenset()

    def relation(self, names: Sequence[str], *, present: bool = True) -> str:
        """Give the rows of the named columns as k0, k1, …, with `file` (-1: one that stays) and `record`."""
        own = [column.name for column in self.table.columns]
        parts = []
        for n, (_, path, fields) in enumerate(self.files):
            relation, number = numbered(parquet([path]), own)
            keys = ", ".join(
                f"{identifier(name) if name in fields else self._nothing(name)} AS k{at}"
                for at, name in enumerate(names)
            )
            parts.append(f"SELECT {keys}, {n} AS file, {number} AS record FROM {relation}")
        if present and self.present:
            parts.append(f"SELECT {_keys(names)}, -1 AS file, 0 AS record FROM {by_id(self.table, self.present)}")
        nothing = ", ".join(f"{self._nothing(name)} AS k{n}" for n, name in enumerate(names))
        return " UNION ALL ".join(parts) or f"SELECT {nothing}, 0 AS file, 0 AS record WHERE FALSE"

    def _nothing(self, name: str) -> str:
        return f"CAST(NULL AS {_column(self.table, name).sql_type})"


def by_id(table: Table, paths: Sequence[Path]) -> str:
    """Give the relation of data files by their field ids, so that columns added later read as NULL."""
    fields = ", ".join(
        f"{column.id}: {{'name': {literal(column.name)}, 'type': {literal(column.sql_type)}, 'default_value': NULL}}"
        for column in table.columns
    )
    return parquet(list(paths), schema=f"MAP {{{fields}}}")


def duplicate_keys(connection: Connection, stored: Stored) -> Iterator[Violation]:
    """Find the rows that repeat an earlier key: primary key, unique columns, unique sets."""
    table = stored.table
    wanted = [("primaryKey", table.primary_key)] if table.primary_key else []
    wanted += [
        ("unique", (column.name,)) for column in table.columns if column.unique and (column.name,) != table.primary_key
    ]
    wanted += [("unique", names) for names in table.unique if names and names != table.primary_key]
    for rule, names in dict.fromkeys(wanted):
        if stored.columns.issuperset(names) and stored.files:
            yield from _duplicates(connection, stored, rule, names)


def _duplicates(connection: Connection, stored: Stored, rule: str, names: Sequence[str]) -> Iterator[Violation]:
    keys = ", ".join(f"k{n}" for n in range(len(names)))
    there = " AND ".join(f"k{n} IS NOT NULL" for n in range(len(names)))
    rows = f"(SELECT * FROM ({stored.relation(names)}) WHERE {there})"
    grouped = f"SELECT count(*) AS n FROM {rows} GROUP BY {keys}"
    if not connection.execute(f"SELECT count(*) FROM ({grouped}) WHERE n > 1").fetchone()[0]:
        return
    place = f"(file::BIGINT * {_FILE} + record)"
    first = f"SELECT {keys}, min({place}) AS first FROM {rows} GROUP BY {keys} HAVING count(*) > 1"
    found = connection.execute(
        f"SELECT file, count(*), {_examples(len(names))} FROM {rows} JOIN ({first}) USING ({keys})"
        f" WHERE file >= 0 AND {place} > first GROUP BY file ORDER BY file"
    ).fetchall()
    says = (
        "is there already: the primary key must be unique"
        if rule == "primaryKey"
        else "is there already: it must be unique"
    )
    for file, count, examples in found:
        yield _placed(stored, file, rule, says, names, count, examples)


def references(
    connection: Connection, child: Stored, reference: Reference, parent: Stored | None
) -> Iterator[Violation]:
    """Find the rows of this check whose reference names no row of the parent."""
    if not child.columns.issuperset(reference.columns) or (
        parent and parent.files and not parent.columns.issuperset(reference.to)
    ):
        return
    if not child.files:
        return
    rows = _dangling(child, child.relation(reference.columns, present=False), reference, parent)
    found = connection.execute(
        f"SELECT file, count(*), {_examples(len(reference.columns))} FROM ({rows}) GROUP BY file ORDER BY file"
    ).fetchall()
    for file, count, examples in found:
        yield _placed(child, file, "references", f"is not in {_target(reference)}", reference.columns, count, examples)


def left_dangling(connection: Connection, child: Stored, reference: Reference, parent: Stored) -> Iterator[Violation]:
    """Find the rows of an untouched table whose reference would lead nowhere once the parent is replaced."""
    if not child.present or not parent.columns.issuperset(reference.to):
        return
    rows = _dangling(child, child.relation(reference.columns), reference, parent)
    count, examples = connection.execute(
        f"SELECT count(*), {_examples(len(reference.columns))} FROM ({rows})"
    ).fetchone()
    if count:
        says = f"is named by {child.table.name}, and would be missing in {_target(reference)}"
        places = [Example(None, one["v"]) for one in examples]
        found = violation("references", says, "", child.table.name, ", ".join(reference.columns), count, places)
        # The rows are in no file of this check.
        yield replace(found, file=None)


def _dangling(child: Stored, rows: str, reference: Reference, parent: Stored | None) -> str:
    pairs = list(enumerate(zip(reference.columns, reference.to, strict=False)))
    there = " AND ".join(f"k{n} IS NOT NULL" for n, _ in pairs)
    if parent is None:
        return f"SELECT * FROM ({rows}) WHERE {there}"
    same = []
    for n, (here, to) in pairs:
        left, right = _comparable(_column(child.table, here), _column(parent.table, to))
        same.append(f"{left.format(f'c.k{n}')} = {right.format(f'p.k{n}')}")
    target = parent.relation(reference.to)
    found = f"SELECT 1 FROM ({target}) AS p WHERE {' AND '.join(same)}"
    return f"SELECT * FROM ({rows}) AS c WHERE {there} AND NOT EXISTS ({found})"


def _placed(
    stored: Stored,
    file: int,
    rule: str,
    says: str,
    names: Sequence[str],
    count: int,
    examples: Sequence[dict[str, object]],
) -> Violation:
    source, _, fields = stored.files[file]
    records = [int(str(one["r"])) for one in examples]
    lines = source.lines(records)
    places = [
        Example(lines[record], str(one["v"]), fields[names[0]]) for record, one in zip(records, examples, strict=True)
    ]
    return violation(rule, says, source.name, stored.table.name, ", ".join(names), count, places)


def _examples(width: int) -> str:
    shown = ", ".join(f"left(k{n}::VARCHAR, 200)" for n in range(width))
    return f"arg_min({{'r': record, 'v': concat_ws(', ', {shown})}}, record, {EXAMPLES})"


def _keys(names: Sequence[str]) -> str:
    return ", ".join(f"{identifier(name)} AS k{n}" for n, name in enumerate(names))


def _comparable(one: Column, other: Column) -> tuple[str, str]:
    """Give the forms of SQL by which values of two columns compare: numbers as numbers, all else as texts."""
    if one.sql_type == other.sql_type:
        return "{}", "{}"
    if not {one.logical_type, other.logical_type} <= {"integer", "number"}:
        return "{}::VARCHAR", "{}::VARCHAR"
    kinds = {one.sql_type, other.sql_type}
    if kinds == {"BIGINT", "DOUBLE"}:
        # As doubles, different integers beyond 2^53 would be equal.
        return _WHOLE[one.sql_type], _WHOLE[other.sql_type]
    if "DOUBLE" in kinds:
        return "{}::DOUBLE", "{}::DOUBLE"
    # What 38 digits of the finer scale do not hold equals nothing of the other type.
    scale = max(one.decimal[1] if one.decimal else 0, other.decimal[1] if other.decimal else 0)
    return (f"TRY_CAST({{}} AS DECIMAL(38,{scale}))",) * 2


def _column(table: Table, name: str) -> Column:
    return table.column(name) or Column(name)


def _target(reference: Reference) -> str:
    where = f"{reference.product}.{reference.table}" if reference.product else reference.table
    return f"{where} ({', '.join(reference.to)})"
