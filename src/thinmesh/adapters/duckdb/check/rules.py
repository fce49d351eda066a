"""The rules of a column that one row alone can break, as SQL conditions over its text and its typed value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from thinmesh.kernel.column_rules import unchecked_options
from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.quality_rules import is_sql

from . import lexical
from .quoting import literal, literals

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# Forms that `logicalTypeOptions.format` may ask of a string (ODCS, *logicalTypeOptions*), as RE2 patterns.
FORMATS = {
    "email": r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+",
    "uuid": r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:\S+",
    "hostname": rf"{_LABEL}(?:\.{_LABEL})*",
    "ipv4": r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])",
    "ipv6": r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{0,4}|(?:[0-9]{1,3}\.){3}[0-9]{1,3})",
    "byte": r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
}
_RANGES = {"i8": (-(2**7), 2**7 - 1), "i16": (-(2**15), 2**15 - 1), "i32": (-(2**31), 2**31 - 1)} | {
    "u8": (0, 2**8 - 1),
    "u16": (0, 2**16 - 1),
    "u32": (0, 2**32 - 1),
    "u64": (0, 2**63 - 1),
}
# A double holds every whole number up to here (IEEE 754).
_EXACT = 2**53
# DECIMAL has up to 38 digits; a bound in a contract may have as many before the point as a double has.
_CONTEXT = Context(prec=400)
# Formats that say no more than the type does.
_SILENT = {"i64", "f32", "f64", "binary", "password", "yyyy-MM-dd", "HH:mm:ss"}
_BOUNDS = (
    ("minimum", "<", "is below the minimum"),
    ("maximum", ">", "is above the maximum"),
    ("exclusiveMinimum", "<=", "is not above"),
    ("exclusiveMaximum", ">=", "is not below"),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `fails` is the SQL condition of a faulty row over `c<n>` (text) and `v<n>` (typed).

    `says` follows the offending value in the message. `kind` is the type that a rule on types asks for.
    """

    name: str
    column: str
    fails: str
    says: str
    text: str
    kind: str = ""

    def complaint(self, values: Sequence[str | None], count: int) -> str:
        """Say what is wrong with `count` values, of which the first few are `values`: one text that is true of all."""
        form, span = lexical.SPANS.get(self.kind, ("", ""))
        # Of a long value only the beginning is there.
        beyond = sum(1 for value in values if value and form and re.fullmatch(form, value.partition("…")[0]))
        if beyond == count:
            return f"is out of range: {lexical.WORDS[self.kind]} is {span}"
        return f"{self.says} {span}" if beyond else self.says


def rules_of(column: Column, n: int, table: Table) -> Iterator[Rule]:
    """Give every rule of a column that stands as field `n` of the relation under check."""
    text, value = f"c{n}", f"v{n}"
    for name, fails, says in _conditions(column, text, value, column.name in table.primary_key):
        plain = name == "type" and not column.decimal
        yield Rule(name, column.name, fails, says, text, column.logical_type if plain else "")


def enumeration(column: Column) -> tuple[str, ...] | None:
    """Give the values a column may have, as texts: ODCS 3.2 `enum`, or `logicalTypeOptions.enum`."""
    found = column.extra.get("enum") or column.options.get("enum")
    if not isinstance(found, list | tuple):
        return None
    values = [item.get("value") if isinstance(item, Mapping) else item for item in found]
    return tuple(_plain(value) for value in values if value is not None)


def null_tokens(column: Column, table: Table) -> tuple[str, ...]:
    """Give the texts that mean NULL in a column: its own custom property `null`, else the table's."""
    own = custom(column, "null")
    return tuple(str(token) for token in own) if isinstance(own, list | tuple) else table.null


def custom(column: Column, name: str) -> Any:
    """Give the value of an ODCS custom property of a column, or nothing."""
    for item in column.extra.get("customProperties") or ():
        if isinstance(item, Mapping) and item.get("property") == name:
            return item.get("value")
    return None


def unchecked(table: Table) -> Iterator[str]:
    """Name the rules of a table that are kept and not checked here."""
    for column in table.columns:
        where = f"{table.name}.{column.name}"
        kind = column.options.get("format")
        known = (column.logical_type == "string" and kind in FORMATS) or kind in _RANGES or kind in _SILENT
        if kind and not known:
            yield f"{where}: format {kind}"
        yield from (f"{where}: {option}" for option in unchecked_options(column))
        yield from (f"{where}: {_title(rule)}" for rule in column.quality if not _is_measured(rule))
    yield from (f"{table.name}: {_title(rule)}" for rule in table.quality if not _is_measured(rule))


def is_library(rule: Mapping[str, Any]) -> bool:
    """Tell whether a quality rule is an ODCS library metric."""
    return rule.get("type", "library") == "library" and bool(rule.get("metric") or rule.get("rule"))


def _is_measured(rule: Mapping[str, Any]) -> bool:
    """Tell whether a rule is measured here, or by the product plane in the query sandbox."""
    return is_library(rule) or is_sql(rule)


def _title(rule: Mapping[str, Any]) -> str:
    kind = rule.get("type", "library")
    name = rule.get("name") or rule.get("description") or rule.get("query") or rule.get("engine") or ""
    return f"quality {kind} {name}".strip()[:200]


def _conditions(column: Column, text: str, value: str, key: bool) -> Iterator[tuple[str, str, str]]:
    if column.decimal:
        yield from _decimal(column, text, value)
    elif column.logical_type != "string":
        yield "type", f"{text} IS NOT NULL AND {value} IS NULL", f"is not {lexical.complaint(column)}"
    if column.required or key:
        because = (
            "is empty, and the column is required" if column.required else "is empty, and belongs to the primary key"
        )
        yield "required", f"{text} IS NULL", because
    yield from _bounds(column, value)
    yield from _lengths(column, text)
    yield from _sizes(column, value)
    yield from _multiple(column, value)
    yield from _forms(column, text, value)


def _decimal(column: Column, text: str, value: str) -> Iterator[tuple[str, str, str]]:
    precision, scale = column.decimal or (0, 0)
    number = lexical.number_form(text)
    yield "type", f"{text} IS NOT NULL AND {value} IS NULL AND NOT {number}", "is not a number"
    says = f"does not fit {column.sql_type}: at most {precision - scale} digits before and {scale} after the point"
    yield "precision", f"{text} IS NOT NULL AND {value} IS NULL AND {number}", says


def _bounds(column: Column, value: str) -> Iterator[tuple[str, str, str]]:
    options = dict(column.options)
    low, high = (
        _RANGES.get(str(options.get("format")), (None, None)) if column.logical_type == "integer" else (None, None)
    )
    if low is not None:
        yield "format", f"{value} NOT BETWEEN {low} AND {high}", f"is outside of {options['format']}"
    for name, operator, says in _BOUNDS:
        bound = options.get(name)
        if bound is None or isinstance(bound, bool):
            continue
        # ODCS before 3.1 had the exclusive ones as flags beside minimum and maximum.
        flag = options.get("exclusive" + name.capitalize())
        comparison = operator + "=" if flag is True else operator
        fails = _beyond(column, value, comparison, bound)
        if fails:
            yield name, fails, f"{says} {bound}"


def _beyond(column: Column, value: str, comparison: str, bound: Any) -> str | None:
    """Give the condition that a value lies on the wrong side of a bound; NaN lies within none."""
    if column.logical_type in ("date", "time", "timestamp"):
        return f"{value} {comparison} TRY_CAST({literal(str(bound))} AS {column.sql_type})"
    limit = number(bound)
    if column.logical_type not in ("integer", "number") or limit is None:
        return None
    if column.sql_type == "DOUBLE":
        # DuckDB sorts NaN above all numbers: an upper bound excludes it as it stands.
        nan = f" OR {value} > {_double(Decimal('Infinity'))}" if comparison.startswith("<") else ""
        return f"{value} {comparison} {_double(limit)}{nan}"
    return _beyond_exactly(value, comparison, limit, *_digits(column))


def _beyond_exactly(value: str, comparison: str, limit: Decimal, digits: int, scale: int) -> str:
    """Compare with the nearest bound that the column's type holds: in SQL both would become doubles."""
    # Values are multiples of 10^-scale: below 1.5 is below 2, and at most 1.5 is at most 1.
    rounding = ROUND_CEILING if comparison in ("<", ">=") else ROUND_FLOOR
    near = limit if abs(limit) >= 10**digits else limit.quantize(Decimal(1).scaleb(-scale), rounding, _CONTEXT)
    if abs(near) < 10**digits:
        return f"{value} {comparison} {near:f}"
    return f"{value} IS NOT NULL" if (near > 0) == comparison.startswith("<") else "FALSE"


def _digits(column: Column) -> tuple[int, int]:
    """Give how many digits an integer or decimal column has before and after the point."""
    precision, scale = column.decimal or (19, 0)
    return precision - scale, scale


def number(found: Any) -> Decimal | None:
    """Give a number of a contract exactly as it is written, or nothing where it is none."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        value = Decimal(str(found).strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _double(found: Decimal) -> str:
    return f"CAST('{found}' AS DOUBLE)"


def _lengths(column: Column, text: str) -> Iterator[tuple[str, str, str]]:
    if column.logical_type != "string":
        return
    low, high = column.options.get("minLength"), column.options.get("maxLength")
    if isinstance(low, int):
        yield "minLength", f"length({text}) < {low}", f"is shorter than {low} characters"
    if isinstance(high, int):
        yield "maxLength", f"length({text}) > {high}", f"is longer than {high} characters"


def _sizes(column: Column, value: str) -> Iterator[tuple[str, str, str]]:
    if column.logical_type not in ("array", "object"):
        return
    array = column.logical_type == "array"
    size = f"json_array_length({value})" if array else f"len(json_keys({value}))"
    for name, operator in (
        (("minItems", "<"), ("maxItems", ">")) if array else (("minProperties", "<"), ("maxProperties", ">"))
    ):
        limit = column.options.get(name)
        if isinstance(limit, int):
            yield (
                name,
                f"{size} {operator} {limit}",
                f"has {'less' if operator == '<' else 'more'} than {limit} entries",
            )
    if array and column.options.get("uniqueItems") is True:
        items = f"({value}::JSON)::JSON[]"
        yield "uniqueItems", f"len(list_distinct({items})) < json_array_length({value})", "has an entry twice"


def _multiple(column: Column, value: str) -> Iterator[tuple[str, str, str]]:
    step = column.options.get("multipleOf")
    if column.logical_type not in ("integer", "number") or step is None or isinstance(step, bool):
        return
    size = number(step)
    if size is None or not 0 < abs(float(size)) < math.inf:
        return
    fails = _no_multiple_of_double(value, size) if column.sql_type == "DOUBLE" else _no_multiple(column, value, size)
    yield "multipleOf", fails, f"is not a multiple of {step}"


def _no_multiple(column: Column, value: str, step: Decimal) -> str:
    """Compare in units of the last digit: a whole number is a multiple of a/b in lowest terms where it is one of a."""
    digits, scale = _digits(column)
    units = (Fraction(step) * 10**scale).numerator
    if units >= 10 ** (digits + scale):
        return f"{value} <> 0"
    exact = f"{Decimal(units).scaleb(-scale, _CONTEXT):f}"
    return f"{value} % {f'CAST({literal(exact)} AS {column.sql_type})' if column.decimal else exact} <> 0"


def _no_multiple_of_double(value: str, step: Decimal) -> str:
    rest = f"{value} % {_double(step)} <> 0"
    if Fraction(step) == Fraction(float(step)):
        return rest
    # 0.1 is no double: 0.3 is a multiple where the quotient is whole but for 4 units in its last place (2^-52).
    share = f"({value} / {_double(step)})"
    near = f"abs({share}) < {_EXACT} AND abs({share} - round({share})) <= {4 * 2**-52} * abs({share})"
    return f"{rest} AND NOT ({near})"


def _forms(column: Column, text: str, value: str) -> Iterator[tuple[str, str, str]]:
    values = enumeration(column)
    if values is not None:
        if column.logical_type == "string":
            listed = f"{text} IN ({literals(values)})" if values else "FALSE"
        else:
            listed = among(column, value, values)
        shown = ", ".join(values[:8]) + (", …" if len(values) > 8 else "")
        yield "enum", f"{value} IS NOT NULL AND NOT {listed}", f"is not one of {shown}"
    if column.logical_type != "string":
        return
    pattern = column.options.get("pattern")
    if isinstance(pattern, str):
        yield "pattern", f"NOT regexp_matches({text}, {literal(pattern)})", f"does not match {pattern}"
    form = column.options.get("format")
    if form in FORMATS:
        yield "format", f"NOT {lexical.matches(text, FORMATS[form])}", f"is not of the form {form}"


def among(column: Column, value: str, allowed: Iterable[Any]) -> str:
    """Give the condition that a typed value equals one that a contract lists; what is not of the type equals none."""
    typed = [sql for sql in (_typed(column, _plain(one)) for one in allowed) if sql]
    return f"coalesce({value} IN ({', '.join(typed)}), FALSE)" if typed else "FALSE"


def _typed(column: Column, text: str) -> str | None:
    """Give a listed value as SQL of the column's type, or nothing where the type does not hold it."""
    kind = column.sql_type
    if kind == "VARCHAR":
        return literal(text)
    if column.logical_type in ("integer", "number") and kind != "DOUBLE":
        exact, (digits, scale) = number(text), _digits(column)
        if exact is None or abs(exact) >= 10**digits:
            return None
        # A cast would round the digits that the type has no place for.
        near = exact.quantize(Decimal(1).scaleb(-scale), ROUND_FLOOR, _CONTEXT)
        return f"{near:f}" if near == exact else None
    if kind == "BOOLEAN" and text.lower() not in ("true", "false"):
        return None
    return f"TRY_CAST({literal(text)} AS {kind})"


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
