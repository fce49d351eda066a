"""A file's columns in shares, each judged and written by a statement of its own, and the Parquet that they make.

For each expression of a column DuckDB holds 2048 values in memory, in each thread, however few rows there are: 0.3 to
0.7 MB for a column. It also plans several statements in less time than one of thousands of columns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from thinmesh.kernel.contract import Column, Table

from .connection import parquet
from .quoting import identifier, literal
from .rules import Rule, rules_of

_COLUMNS = 256
# Row groups of more columns have so many values in all, but no fewer rows than DuckDB's vectors.
_GROUP_COLUMNS, _GROUP_VALUES, _LEAST_ROWS = 128, 1 << 22, 2048


@dataclass(frozen=True, slots=True)
class Share:
    """Some columns of a file by field number: their rules, and those of which the typed values go to `target`.

    `width` is the number of columns of the Parquet that the target is, or becomes a part of.
    """

    columns: Mapping[int, Column]
    rules: Sequence[Rule]
    kept: Sequence[tuple[int, Column]]
    target: Path | None
    width: int


@contextmanager
def shares(
    columns: Mapping[int, Column], table: Table, target: Path | None, keep: frozenset[str]
) -> Iterator[list[Share]]:
    """Share out the columns of a file; what is written for one of several is there until the end."""
    fields = sorted(columns)
    several = [fields[at : at + _COLUMNS] for at in range(0, len(fields), _COLUMNS)]
    width = sum(column.name in keep for column in columns.values())

    def share(own: Sequence[int], target: Path | None) -> Share:
        some = {n: columns[n] for n in own}
        rules = [rule for n, column in some.items() for rule in rules_of(column, n, table)]
        kept = [(n, column) for n, column in ordered(some, table) if column.name in keep]
        return Share(some, rules, kept, target if kept else None, width)

    if target is None or len(several) < 2:
        yield [share(own, target) for own in several]
        return
    with tempfile.TemporaryDirectory(prefix=".shares-", dir=target.parent) as folder:
        yield [share(own, Path(folder, f"{n}.parquet")) for n, own in enumerate(several)]


def ordered(columns: Mapping[int, Column], table: Table) -> list[tuple[int, Column]]:
    """Give fields in the order of the table's columns."""
    place = {column.name: at for at, column in enumerate(table.columns)}
    return sorted(columns.items(), key=lambda item: place[item[1].name])


def joined(parts: Sequence[Path], columns: Sequence[Column], target: Path) -> str:
    """Give the statement that makes one Parquet of parts that hold the same rows."""
    names = ", ".join(identifier(column.name) for column in columns)
    relation = " POSITIONAL JOIN ".join(parquet([part]) for part in parts)
    return copy(f"SELECT {names} FROM {relation}", columns, target)


def copy(select: str, columns: Sequence[Column], target: Path, *, width: int = 0) -> str:
    """Give the statement that writes rows as Parquet, with the field ids of the columns.

    `width` is the number of columns of the Parquet of which this becomes a part. Row groups of a wide one have fewer
    rows: who writes or reads one holds all of it in memory.
    """
    ids = ", ".join(f"{literal(column.name)}: {column.id}" for column in columns)
    options = f"FORMAT parquet, COMPRESSION {'snappy' if width > len(columns) else 'zstd'}, FIELD_IDS {{{ids}}}"
    widest = max(width, len(columns))
    if widest > _GROUP_COLUMNS:
        options += f", ROW_GROUP_SIZE {max(_LEAST_ROWS, _GROUP_VALUES // widest)}"
    return f"COPY ({select}) TO {literal(str(target))} ({options})"
