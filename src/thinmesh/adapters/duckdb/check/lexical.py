"""The exact lexical forms of CSV values as SQL (INTERFACE, *CSV*): what each type accepts, and its typed value.

A bare cast takes `1.7` as 2, `1_000`, `0x1F`, ` 1`, `yes`, `2013-1-1`: hence a guard beside every cast. Where a
round trip through the type, or a look at a few characters, is cheaper than a regular expression it is tried first
(measured per type).
"""

from __future__ import annotations

from collections.abc import Callable

from thinmesh.kernel.contract import Column

from .quoting import literal

NUMBER = r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_WIDEST = 38  # digits of a decimal
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
TIMESTAMP = rf"{_DAY}[T ]{_CLOCK}"
ZONED = rf"{TIMESTAMP}{_OFFSET}"
# Shapes that, of all that DuckDB's casts take from year 1 on, leave the form alone: where a "?" stands the cast itself
# takes nothing but a digit (tried over every three places). A class costs a few ns, a regular expression 60.
_DAY_SHAPE = "????-??-?[0-9]"
_TIMESTAMP_SHAPES = [f"{_DAY_SHAPE}[T ]{hour}:[0-9][0-9]:[0-9][0-9]" for hour in ("[01]?", "2[0-3]")]

# What DuckDB's JSON parser takes beyond RFC 8259 (NaN, trailing commas, comments) is told by what is left
# of a document without its strings and words.
_JSON_WORDS = r'"(?:[^"\\]|\\.)*"|true|false|null'
_JSON_REST = r'[\s\[\]{}:,0-9eE+\-."]*'
_JSON_COMMA = r",\s*[\]}]"

WORDS = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date (YYYY-MM-DD)",
    "time": "a time (HH:MM:SS)",
    "timestamp": "a timestamp (YYYY-MM-DDTHH:MM:SS)",
    "object": "a JSON object",
    "array": "a JSON array",
}
# Types that have no room for some numbers of their form: the form, and what they hold (BIGINT; the largest double).
SPANS = {
    "integer": ("-?[0-9]+", "from -9223372036854775808 to 9223372036854775807"),
    "number": (NUMBER, "from -1.7976931348623157e308 to 1.7976931348623157e308"),
}


def matches(text: str, pattern: str) -> str:
    """Give the condition that the whole text has the form."""
    return f"regexp_full_match({text}, {literal(pattern)})"


def value(column: Column, text: str) -> str:
    """Give the typed value of a text; NULL where the text is NULL or not of the column's form."""
    if column.decimal:
        return _decimal(text, *column.decimal)
    kind = "zoned" if column.zoned else column.logical_type
    build = _VALUES.get(kind)
    return build(text) if build else text


def number_form(text: str) -> str:
    """Give the condition that a text is a number by its form, whether it fits a type or not."""
    return matches(text, NUMBER)


def _integer(text: str) -> str:
    cast = f"TRY_CAST({text} AS BIGINT)"
    return f"CASE WHEN {cast}::VARCHAR = {text} THEN {cast} WHEN {matches(text, '-?[0-9]+')} THEN {cast} END"


def _number(text: str) -> str:
    # A number too large for a double becomes infinite in the cast: that would be rounding.
    cast = f"TRY_CAST({text} AS DOUBLE)"
    # Beyond the form the cast takes blanks and a plus before, blanks after, and 1_000. No word ends in a digit.
    plain = f"{text} BETWEEN '-' AND ':' AND {text}[-1] >= '.' AND NOT contains({text}, '_')"
    words = f"{text} IN ('NaN', 'Infinity', '-Infinity')"
    return f"CASE WHEN isfinite({cast}) AND {plain} THEN {cast} WHEN {words} THEN {cast} END"


def _decimal(text: str, precision: int, scale: int) -> str:
    kind = f"DECIMAL({precision},{scale})"
    cast = f"TRY_CAST({text} AS {kind})"
    fraction = rf"[0-9]{{0,{scale}}}"
    tail = rf"|\.[0-9]{{1,{scale}}}" if scale else ""
    plain = matches(text, rf"-?(?:[0-9]+\.?{fraction}{tail})")
    # Digits after the point, less the exponent, are the digits that the scale must hold.
    after = rf"length(regexp_extract({text}, '\.([0-9]*)', 1))"
    exponent = f"TRY_CAST(regexp_extract({text}, '[eE](.*)$', 1) AS INTEGER)"
    places = f"({after} - {exponent})"
    shifted = f"{matches(text, NUMBER)} AND regexp_matches({text}, '[eE]') AND {places} <= {scale}"
    # The cast looks at the digits before it shifts them, and takes 150e-2 for too large: it needs room for them. Where
    # the widest has none, the number is written out; and for the widest itself, whose cast takes 1.5e38 for 38 digits.
    found = _without_exponent(text, places, scale)
    if precision < _WIDEST:
        found = f"TRY_CAST(coalesce(TRY_CAST({text} AS DECIMAL({_WIDEST},{scale})), {found}) AS {kind})"
    return f"CASE WHEN {cast}::VARCHAR = {text} OR {plain} THEN {cast} WHEN {shifted} THEN {found} END"


def _without_exponent(text: str, places: str, scale: int) -> str:
    """Give a number that has `places` digits after its point, at most `scale`, as the widest decimal of this scale."""
    digits = f"replace(regexp_extract({text}, '^-?([0-9.]+)', 1), '.', '')"
    # So many zeros make every number too large but zero.
    whole = f"{digits} || repeat('0', least(-{places}, {_WIDEST}))"
    padded = f"lpad({digits}, greatest(length({digits}), {places} + 1)::INTEGER, '0')"
    pointed = f"left({padded}, -{places}) || '.' || right({padded}, {places})"
    sign = f"CASE WHEN starts_with({text}, '-') THEN '-' ELSE '' END"
    return f"TRY_CAST({sign} || CASE WHEN {places} <= 0 THEN {whole} ELSE {pointed} END AS DECIMAL({_WIDEST},{scale}))"


def _boolean(text: str) -> str:
    other = f"CASE lower({text}) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
    return f"CASE {text} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE ELSE {other} END"


def _date(text: str) -> str:
    cast = f"TRY_CAST({text} AS DATE)"
    return f"CASE WHEN {text} GLOB '{_DAY_SHAPE}' AND {text} >= '0001' THEN {cast} END"


def _time(text: str) -> str:
    return f"CASE WHEN {matches(text, _CLOCK)} THEN TRY_CAST({text} AS TIME) END"


def _timestamp(text: str) -> str:
    cast = f"TRY_CAST({text} AS TIMESTAMP)"
    shapes = " OR ".join(f"{text} GLOB '{shape}'" for shape in _TIMESTAMP_SHAPES)
    return f"CASE WHEN ({shapes} OR {matches(text, TIMESTAMP)}) AND {text} >= '0001' THEN {cast} END"


def _zoned(text: str) -> str:
    # An offset may carry the moment out of the years that consumers can read.
    cast = f"TRY_CAST({text} AS TIMESTAMPTZ)"
    inside = f"{cast} BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00Z' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999Z'"
    return f"CASE WHEN {matches(text, ZONED)} AND {text} >= '0001' AND {inside} THEN {cast} END"


def _json(kind: str, text: str) -> str:
    rest = f"regexp_replace({text}, {literal(_JSON_WORDS)}, '\"\"', 'g')"
    strict = f"{matches(rest, _JSON_REST)} AND NOT regexp_matches({rest}, {literal(_JSON_COMMA)})"
    return f"CASE WHEN json_valid({text}) THEN CASE WHEN json_type({text}) = '{kind}' AND {strict} THEN {text} END END"


_VALUES: dict[str, Callable[[str], str]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
    "zoned": _zoned,
    "object": lambda text: _json("OBJECT", text),
    "array": lambda text: _json("ARRAY", text),
}


def complaint(column: Column) -> str:
    """Say what a value is not, for a message: `"abc" is not …`."""
    if column.zoned:
        return "a timestamp with a zone (YYYY-MM-DDTHH:MM:SSZ or ±hh:mm)"
    if column.logical_type == "timestamp":
        return "a timestamp without a zone (YYYY-MM-DDTHH:MM:SS)"
    return WORDS.get(column.logical_type, "a text")
