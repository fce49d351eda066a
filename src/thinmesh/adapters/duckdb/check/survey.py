"""What the values of a file agree on: per field a kind, its empty values and null tokens, judged from all rows.

A sample rules out kinds early; one pass over all rows confirms what is left; only fields that it refutes are
looked at again, for all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import duckdb

from thinmesh.kernel.contract import Column

from . import lexical
from .connection import Connection
from .csv_source import CsvSource
from .quoting import literals

# INTERFACE, *Descriptor*: texts that mean "no value", in columns whose other values agree on a type that is not text.
TOKENS = ("NA", "N/A", "n/a", "NULL", "null", "None", "nan", "NaN", "#N/A", "-")
_SAMPLE = 2048
# Fields judged by one statement, and values looked at for repetitions: both bound memory and time for wide files.
_AT_ONCE, _CELLS = 50, 20_000
_MISFIT = 1 << len(TOKENS)
# At most 18 digits before the point, no leading zero and no plus: anything else is a code, not a quantity.
_INTEGER = "-?(?:0|[1-9][0-9]{0,17})"
_NUMBER = r"-?(?:(?:0|[1-9][0-9]{0,17})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def _of(kind: str, **options: object) -> Callable[[str], str]:
    column = Column("any", kind, options=options)
    return lambda text: f"({lexical.value(column, text)}) IS NOT NULL"


_KINDS: dict[str, Callable[[str], str]] = {
    "integer": lambda text: lexical.matches(text, _INTEGER),
    "number": lambda text: (
        f"({lexical.matches(text, _NUMBER)} AND isfinite(TRY_CAST({text} AS DOUBLE))"
        f" OR {text} IN ('Infinity', '-Infinity'))"
    ),
    "boolean": _of("boolean"),
    "date": _of("date"),
    "time": _of("time"),
    "timestamp": _of("timestamp"),
    "zoned": _of("timestamp", timezone=True),
}


@dataclass(slots=True)
class Found:
    """What is known of one field: `kind` is None where it has no value at all.

    `empty` counts fields without a value, `marked` those with a null token; `distinct` is False once a value was
    seen twice.
    """

    kind: str | None
    empty: int = 0
    marked: int = 0
    tokens: tuple[str, ...] = ()
    distinct: bool = True
    decimal: tuple[int, int] | None = None

    @property
    def nulls(self) -> int:
        """Count the rows without a value: in a text a null token is a value."""
        return self.empty + (0 if self.kind in (None, "string") else self.marked)


@dataclass(slots=True)
class Survey:
    """What is known of a file: its rows, and each field by its header."""

    rows: int = 0
    fields: dict[str, Found] = field(default_factory=dict)


def survey(connection: Connection, source: CsvSource) -> Survey:
    """Survey a CSV file over all its rows."""
    if source.doubtful:
        source.read_exactly()
    try:
        return _survey(connection, source)
    except duckdb.InvalidInputException:
        # The reader found fault with the structure: only the exact reading decides.
        source.read_exactly()
        return _survey(connection, source)


def _survey(connection: Connection, source: CsvSource) -> Survey:
    width = len(source.header.names)
    result = Survey()
    distinct = _distinct(connection, source.relation(), width)
    for first in range(0, width, _AT_ONCE):
        fields = range(first, min(first + _AT_ONCE, width))
        result.rows, found = _judge(connection, source.relation(fields), fields)
        for n in fields:
            one = found[n] or Found("string")
            one.distinct = n in distinct
            result.fields.setdefault(source.header.names[n], one)
    return result


def _judge(connection: Connection, relation: str, fields: Sequence[int]) -> tuple[int, dict[int, Found | None]]:
    sample = _all_kinds(connection, f"(SELECT * FROM ({relation}) LIMIT {_SAMPLE})", fields)
    guesses = {n: _guess(row) for n, row in sample.items()}
    rows, found = _confirm(connection, f"({relation})", guesses)
    again = [n for n, one in found.items() if one is None]
    if again:
        guesses = {n: _guess(row) for n, row in _all_kinds(connection, f"({relation})", again).items()}
        _, more = _confirm(connection, f"({relation})", guesses)
        found |= more
    return rows, found


def _all_kinds(
    connection: Connection, relation: str, fields: Sequence[int]
) -> dict[int, tuple[int, int, dict[str, int]]]:
    """Count per field its values, its values that are no token, and those of them that fail each kind."""
    selected = []
    for n in fields:
        other = f"f{n} NOT IN ({literals(TOKENS)})"
        selected += [f"count(f{n})", f"count(*) FILTER (WHERE {other})"]
        selected += [f"count(*) FILTER (WHERE {other} AND NOT {fits(f'f{n}')})" for fits in _KINDS.values()]
    row = list(connection.execute(f"SELECT {', '.join(selected)} FROM {relation}").fetchone())
    step = 2 + len(_KINDS)
    return {
        n: (row[at], row[at + 1], dict(zip(_KINDS, row[at + 2 : at + step], strict=True)))
        for n, at in zip(fields, range(0, len(row), step), strict=True)
    }


def _guess(counts: tuple[int, int, dict[str, int]]) -> str | None:
    values, others, failing = counts
    if not values:
        return None
    return next((kind for kind, count in failing.items() if not count), "string") if others else "string"


def _distinct(connection: Connection, relation: str, width: int) -> set[int]:
    """Give the fields that hold no value twice in the first rows."""
    rows = connection.execute(f"SELECT * FROM ({relation}) LIMIT {max(64, _CELLS // width)}").fetchall()
    return {n for n, values in enumerate(zip(*rows, strict=True)) if len(set(values)) == len(values)}


def _confirm(
    connection: Connection, relation: str, guesses: dict[int, str | None]
) -> tuple[int, dict[int, Found | None]]:
    """Judge guesses over all rows; None for a field that its guess does not fit.

    Every text gets one number: 0 where it fits, the bit of its null token, or the bit of a misfit. A CASE looks at
    tokens only where the form does not fit, which plain conditions beside an aggregate would not.
    """
    coded = {n: kind for n, kind in guesses.items() if kind in _KINDS}
    codes = ", ".join(["*", *(f"{_code(f'f{n}', kind or '')} AS s{n}" for n, kind in coded.items())])
    selected = ["count(*)"]
    for n in guesses:
        selected.append(f"count(f{n})")
        selected += [f"bit_or(s{n})", f"count(nullif(s{n}, 0))"] if n in coded else ["0", "0"]
    row = connection.execute(f"SELECT {', '.join(selected)} FROM (SELECT {codes} FROM {relation})").fetchone()
    found: dict[int, Found | None] = {}
    for at, (n, kind) in enumerate(guesses.items()):
        values, bits, marked = row[1 + 3 * at : 4 + 3 * at]
        refuted = (bits or 0) >= _MISFIT or (kind is None and values)
        seen = tuple(token for bit, token in enumerate(TOKENS) if (bits or 0) >> bit & 1)
        found[n] = None if refuted else Found(kind, row[0] - values, marked, seen)
    return row[0], found


def _code(text: str, kind: str) -> str:
    token = f"(1 << (list_position([{literals(TOKENS)}], {text}) - 1)::INTEGER)"
    cases = f"WHEN {_KINDS[kind](text)} THEN 0 WHEN {text} IN ({literals(TOKENS)}) THEN {token} ELSE {_MISFIT} END"
    return f"(CASE WHEN {text} IS NULL THEN NULL {cases})::INTEGER"
