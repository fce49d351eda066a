"""The rules of a column that one row alone can break, as SQL conditions over its text and its typed value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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

    `says` follows the offending value in the message.
    """

    name: str
    column: str
    fails: str
    says: str
    text: str


def rules_of(column: Column, n: int, table: Table) -> Iterator[Rule]:
    """Give every rule of a column that stands as field `n` of the relation under check."""
    text, value = f"c{n}", f"v{n}"
    for name, fails, says in _conditions(column, text, value, column.name in table.primary_key):
        yield Rule(name, column.name, fails, says, text)


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
        sql = _bound(column, bound)
        if sql:
            yield name, f"{value} {comparison} {sql}", f"{says} {bound}"


def _bound(column: Column, bound: Any) -> str | None:
    if column.logical_type in ("integer", "number"):
        return number(bound)
    if column.logical_type in ("date", "time", "timestamp"):
        return f"TRY_CAST({literal(str(bound))} AS {column.sql_type})"
    return None


def number(found: Any) -> str | None:
    """Give a number of a contract as SQL, or nothing where it is none."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        value = float(found)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return str(found).strip() if not isinstance(found, float) else repr(found)


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
    sql = number(step)
    if sql is None or float(step) == 0:
        return
    if column.decimal or (column.logical_type == "integer" and float(step) == int(float(step))):
        fails = f"{value} % {sql} <> 0"
    else:
        # A double is a multiple where the quotient is whole within its own precision (2^-52, some operations).
        share = f"({value}::DOUBLE / {sql}::DOUBLE)"
        fails = f"abs({share} - round({share})) > 1e-12 * greatest(1, abs({share}))"
    yield "multipleOf", fails, f"is not a multiple of {step}"


def _forms(column: Column, text: str, value: str) -> Iterator[tuple[str, str, str]]:
    values = enumeration(column)
    if values is not None:
        if column.logical_type == "string":
            listed = f"{text} IN ({literals(values)})" if values else "FALSE"
        else:
            casts = ", ".join(f"TRY_CAST({literal(one)} AS {column.sql_type})" for one in values)
            listed = f"coalesce({value} IN ({casts}), FALSE)" if values else "FALSE"
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


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
