"""What the values of a file agree on: per field a kind, its empty values and null tokens, judged from all rows.

A sample rules out kinds early; one pass over all rows confirms what is left; only fields that it refutes are
looked at again, for all kinds. The values of many fields are judged as one column beside their field's number: DuckDB
plans a condition per field in 5 to 20 ms, which a wide file pays a thousand times. Integers, texts and fields without a
value are told without a statement where the first rows are all that there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from thinmesh.kernel.contract import Column

from . import lexical
from .connection import Connection
from .csv_source import CsvSource
from .quoting import literal, literals

# INTERFACE, *Descriptor*: texts that mean "no value", in columns whose other values agree on a type that is not text.
TOKENS = ("NA", "N/A", "n/a", "NULL", "null", "None", "nan", "NaN", "#N/A", "-")
_SAMPLE = 2048
# Fields judged by one statement (2048 rows of them are in memory at once; more fields of fewer rows), and values in a
# sample and looked at for repetitions: all bound memory and time for wide files.
_AT_ONCE, _MOST_AT_ONCE, _ROWS_AT_ONCE, _SAMPLED, _CELLS = 200, 1000, 2048, 100_000, 20_000
# A double holds every whole number up to here (IEEE 754).
EXACT = 2**53
_MISFIT, _BEYOND = 1 << len(TOKENS), 2 << len(TOKENS)
# The guess for fields in which every value is a null token.
_MARKED = "marked"
# At most 18 digits, no leading zero and no plus: anything else is a code, not a quantity.
_INTEGER = "-?(?:0|[1-9][0-9]{0,17})"
_NUMBER = r"-?(?:(?:0|[1-9][0-9]{0,17})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def _of(kind: str, **options: object) -> Callable[[str], str]:
    column = Column("any", kind, options=options)
    return lambda text: f"({lexical.value(column, text)}) IS NOT NULL"


def _number(text: str) -> str:
    """Give the condition that a text is a number of which a double keeps the digits."""
    mantissa = f"regexp_extract({text}, '[^eE]*')"
    digits = f"length(ltrim(replace({mantissa}, '.', ''), '-0'))"
    double = f"TRY_CAST({text} AS DOUBLE)"
    kept = (
        f"isfinite({double}) AND ({double} <> 0 OR NOT regexp_matches({mantissa}, '[1-9]'))"
        f" AND {digits} <= 18 AND NOT ({_wide(text)})"
    )
    # What is short and has no exponent keeps all its digits: nearly every value needs no closer look.
    plain = f"strlen({text}) <= 15 AND NOT contains({text}, 'e') AND NOT contains({text}, 'E')"
    closer = f"CASE WHEN {plain} THEN TRUE ELSE {kept} END"
    return f"({lexical.matches(text, _NUMBER)} AND {closer} OR {text} IN ('Infinity', '-Infinity'))"


def _wide(text: str) -> str:
    """Give the condition that a text is an integer beyond 2^53, to which a double keeps no digits."""
    # Not by abs(): the least BIGINT has none.
    whole = f"TRY_CAST(regexp_extract({text}, '^-?[0-9]+$') AS BIGINT)"
    return f"strlen({text}) > 15 AND coalesce({whole} NOT BETWEEN -{EXACT} AND {EXACT}, FALSE)"


# Of the kinds below none has a letter but e and E of a number, T and Z of a time, and these words.
_LETTER = re.compile("[A-DF-SU-Ya-df-z]")
_WORDS = {"true", "false", "infinity", "-infinity"}

_KINDS: dict[str, Callable[[str], str]] = {
    "integer": lambda text: lexical.matches(text, _INTEGER),
    "number": _number,
    "boolean": _of("boolean"),
    "date": _of("date"),
    "time": _of("time"),
    "timestamp": _of("timestamp"),
    "zoned": _of("timestamp", timezone=True),
}


@dataclass(slots=True)
class Found:
    """What is known of one field: `kind` is None where it has no value but null tokens.

    `empty` counts fields without a value, `marked` those with a null token; `distinct` is False once a value was
    seen twice, `once` True where all were looked at and none comes twice; `wide` tells that an integer lies beyond
    2^53.
    """

    kind: str | None
    empty: int = 0
    marked: int = 0
    tokens: tuple[str, ...] = ()
    distinct: bool = True
    decimal: tuple[int, int] | None = None
    wide: bool = False
    once: bool = False

    @property
    def nulls(self) -> int:
        """Count the rows without a value: in a text a null token is a value."""
        return self.empty + (0 if self.kind == "string" else self.marked)


@dataclass(frozen=True, slots=True)
class _First:
    """What the first rows tell: the fields that hold no value twice in them, and the kind of some.

    `found` are the fields that need no further look, where these `rows` are all.
    """

    rows: int
    distinct: set[int]
    kinds: Mapping[int, str]
    found: Mapping[int, Found]


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
    first = _first_rows(connection, source, width)
    result = Survey(first.rows)
    at_once = max(_AT_ONCE, min(_MOST_AT_ONCE, _AT_ONCE * _ROWS_AT_ONCE // max(source.records, 1)))
    for start in range(0, width, at_once):
        fields = range(start, min(start + at_once, width))
        found: dict[int, Found | None] = {n: first.found[n] for n in fields if n in first.found}
        asked = [n for n in fields if n not in found]
        if asked:
            result.rows, judged = _judge(connection, source.relation(asked), asked, first.kinds)
            found |= judged
        for n in fields:
            one = found[n] or Found("string")
            one.distinct = n in first.distinct
            result.fields.setdefault(source.header.names[n], one)
    return result


def _judge(
    connection: Connection, relation: str, fields: Sequence[int], plain: Mapping[int, str]
) -> tuple[int, dict[int, Found | None]]:
    guesses: dict[int, str | None] = {n: plain[n] for n in fields if n in plain}
    asked = [n for n in fields if n not in plain]
    if asked:
        first = min(_SAMPLE, _SAMPLED // len(fields))
        sample = _all_kinds(connection, f"(SELECT * FROM ({relation}) LIMIT {first})", asked)
        guesses |= {n: _guess(counts) for n, counts in sample.items()}
    rows, found = _confirm(connection, f"({relation})", guesses)
    again = [n for n, one in found.items() if one is None]
    if again:
        guesses = {n: _guess(counts) for n, counts in _all_kinds(connection, f"({relation})", again).items()}
        _, more = _confirm(connection, f"({relation})", guesses)
        found |= more
    return rows, found


def _all_kinds(
    connection: Connection, relation: str, fields: Sequence[int]
) -> dict[int, tuple[int, int, dict[str, int]]]:
    """Count per field its values, its values that are no token, and those of them that fail each kind."""
    failing = ", ".join(f"count(*) FILTER (WHERE other AND NOT {fits('v')})" for fits in _KINDS.values())
    values = f"SELECT *, v NOT IN ({literals(TOKENS)}) AS other FROM ({_values(relation, fields)})"
    counted = f"SELECT n, count(v), count(*) FILTER (WHERE other), {failing} FROM ({values}) GROUP BY n"
    found = {row[0]: row[1:] for row in connection.execute(counted).fetchall()}
    nothing = (0,) * (2 + len(_KINDS))
    return {
        n: (row[0], row[1], dict(zip(_KINDS, row[2:], strict=True))) for n in fields for row in [found.get(n, nothing)]
    }


def _values(relation: str, fields: Sequence[int]) -> str:
    """Give the SQL of all values of fields, one a row: v, and the number n of its field."""
    texts = ", ".join(f"f{n}" for n in fields)
    return f"SELECT unnest([{texts}]) AS v, unnest({list(fields)}) AS n FROM {relation}"


def _guess(counts: tuple[int, int, dict[str, int]]) -> str | None:
    values, others, failing = counts
    if not values:
        return None
    return next((kind for kind, count in failing.items() if not count), "string") if others else _MARKED


def _first_rows(connection: Connection, source: CsvSource, width: int) -> _First:
    """Look at the first rows; they tell kinds where they are as many as a sample, or all."""
    most = max(64, _CELLS // width)
    rows = source.plain_rows(most)
    if rows is None:
        rows = connection.execute(f"SELECT * FROM ({source.relation()}) LIMIT {most}").fetchall()
    columns = list(zip(*rows, strict=True))
    told = [set(values) for values in columns]
    distinct = {n for n, values in enumerate(told) if len(values) == len(rows)}
    if most > len(rows) == source.records:
        whole = {n: _told_by(values) for n, values in enumerate(columns)}
        return _First(len(rows), distinct, {}, {n: found for n, found in whole.items() if found})
    if most > len(rows) or len(rows) >= _SAMPLE:
        kinds = {n: _plain_kind(values) for n, values in enumerate(told)}
        return _First(len(rows), distinct, {n: kind for n, kind in kinds.items() if kind}, {})
    return _First(len(rows), distinct, {}, {})


def _told_by(column: Sequence[str | None]) -> Found | None:
    """Find what the statements would of a field, where these are all its values; None where only they can."""
    values = [value for value in column if value is not None]
    others = {value for value in values if value not in TOKENS}
    kind = _plain_kind(others)
    empty = len(column) - len(values)
    if kind == "string":
        return Found(kind, empty, once=len({*values}) == len(values))
    if kind is None and others:
        return None
    marks = [value for value in values if value in TOKENS]
    numbers = {int(value) for value in others}
    return Found(
        kind,
        empty,
        len(marks),
        tuple(token for token in TOKENS if token in marks),
        wide=any(abs(number) > EXACT for number in numbers),
        once=len(numbers) == len(values) - len(marks),
    )


def _plain_kind(values: Iterable[str | None]) -> str | None:
    """Give the kind of integers and of texts, which needs no statement: to plan one takes longer than a small file."""
    told = [value for value in values if value is not None and value not in TOKENS]
    if any(_LETTER.search(value) and value.lower() not in _WORDS for value in told):
        return "string"
    return "integer" if told and all(re.fullmatch(_INTEGER, value) for value in told) else None


def _confirm(
    connection: Connection, relation: str, guesses: dict[int, str | None]
) -> tuple[int, dict[int, Found | None]]:
    """Judge guesses over all rows; None for a field that its guess does not fit.

    Every text gets one number: 0 where it fits, or the bit of its null token, of a misfit, or of a large integer. A
    CASE looks at tokens only where the form does not fit, which plain conditions beside an aggregate would not.
    """
    coded = f"SELECT n, v, {_code(guesses)} AS s FROM ({_values(relation, list(guesses))})"
    counted = f"SELECT n, count(*), count(v), bit_or(s), count(nullif(s & {_BEYOND - 1}, 0)) FROM ({coded}) GROUP BY n"
    counts = {row[0]: row[1:] for row in connection.execute(counted).fetchall()}
    found: dict[int, Found | None] = {}
    rows = 0
    for n, kind in guesses.items():
        rows, values, bits, marked = counts.get(n, (0, 0, None, 0))
        refuted = (bits or 0) & _MISFIT or (kind is None and values)
        seen = tuple(token for bit, token in enumerate(TOKENS) if (bits or 0) >> bit & 1)
        sure = None if kind == _MARKED else kind
        found[n] = None if refuted else Found(sure, rows - values, marked, seen, wide=(bits or 0) >= _BEYOND)
    return rows, found


def _code(guesses: dict[int, str | None]) -> str:
    marked = [n for n, guess in guesses.items() if guess == _MARKED]
    forms = f" WHEN n IN ({', '.join(map(str, marked))}) THEN FALSE" if marked else ""
    for kind, fits in _KINDS.items():
        fields = [n for n, guess in guesses.items() if guess == kind]
        forms += f" WHEN n IN ({', '.join(map(str, fields))}) THEN {fits('v')}" if fields else ""
    fitting = f"CASE{forms} ELSE TRUE END" if forms else "TRUE"
    tokens = " ".join(f"WHEN {literal(token)} THEN {1 << bit}" for bit, token in enumerate(TOKENS))
    whole = ", ".join(str(n) for n, guess in guesses.items() if guess == "integer")
    good = f"CASE WHEN strlen(v) > 15 AND n IN ({whole}) AND {_wide('v')} THEN {_BEYOND} ELSE 0 END" if whole else "0"
    return f"CASE WHEN v IS NULL THEN NULL WHEN {fitting} THEN {good} ELSE CASE v {tokens} ELSE {_MISFIT} END END"
