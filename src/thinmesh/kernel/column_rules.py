"""The rules that a column's values must keep, as far as the contract alone can be wrong about them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from .contract import Column
from .document_faults import Fields
from .patterns import fault_of_pattern

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_RANGED = frozenset((*_BOUNDS, "format"))
# ODCS 3.2, `logicalTypeOptions` by logical type; `enum` and `format` may stand anywhere.
_BY_TYPE: Mapping[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "integer": _RANGED | {"multipleOf"},
    "number": _RANGED | {"multipleOf"},
    "date": _RANGED,
    "time": _RANGED | {"timezone", "defaultTimezone"},
    "timestamp": _RANGED | {"timezone", "defaultTimezone"},
    "boolean": frozenset({"format"}),
    "object": frozenset({"minProperties", "maxProperties", "required"}),
    "array": frozenset({"minItems", "maxItems", "uniqueItems"}),
}
_VECTOR = frozenset("dimensions elementType distanceMetric embeddingModel embeddingModelVersion normalized".split())
_OPTIONS = frozenset().union(*_BY_TYPE.values(), {"enum"})
_TEMPORAL = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?|\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")


def check_options(fields: Fields, column: Column) -> None:
    """Note options that do not fit the column's type or contradict each other; unknown ones are reported."""
    if not column.options:
        return
    options = Fields(column.options, (*fields.path, "logicalTypeOptions"), fields.faults)
    for name, value in column.options.items():
        if value is not None:
            _check_option(options, column, name)
    known = _OPTIONS | _VECTOR if column.extra.get("logicalType") == "vector" else _OPTIONS
    options.report_unknown(known, "logicalTypeOptions")
    _check_order(options, column)


def unchecked_options(column: Column) -> Iterator[str]:
    """Name the options that data is not held against: unknown ones, and bounds that are no value of the type."""
    for name, value in column.options.items():
        if value is None:
            continue
        if name not in _OPTIONS | _VECTOR or (name == "required" and column.logical_type == "object"):
            yield f"option {name}"[:200]
        elif name in _BOUNDS and column.logical_type in ("date", "time", "timestamp") and not isinstance(value, bool):
            fault = fault_of_moment(str(value), column)
            if fault:
                yield f"{name}: {fault}"


def check_values(fields: Fields, column: Column) -> None:
    """Note allowed values that are not of the column's type."""
    for at, item in enumerate(_list(fields.found.get("enum"))):
        if not isinstance(item, Mapping) or item.get("value") is None:
            fields.refuse("enum", "type", 'an allowed value is written as {"value": …}', at)
        elif not _fits(column, item["value"]):
            fields.refuse("enum", "value", f"{item['value']!r} is no {column.logical_type}", at, "value")
    for at, value in enumerate(_list(column.options.get("enum"))):
        if not _fits(column, value):
            fields.refuse("logicalTypeOptions", "value", f"{value!r} is no {column.logical_type}", "enum", at)


def _check_option(options: Fields, column: Column, name: str) -> None:
    if name not in _OPTIONS:
        return
    if name not in _BY_TYPE[column.logical_type] and name not in ("enum", "format"):
        fitting = ", ".join(kind for kind, names in _BY_TYPE.items() if name in names)
        message = f"{name!r} is an option of {fitting}, not of {column.logical_type}"
        options.faults.add((*options.path, name), "option", message, of_key=True)
    elif name in _BOUNDS:
        _check_bound(options, column, name)
    elif name in _COUNTS:
        count = options.get(name, int)
        if count is not None and count < 0:
            options.refuse(name, "value", f"{name!r} must not be negative")
    else:
        _check_other(options, name)


def _check_other(options: Fields, name: str) -> None:
    if name == "multipleOf":
        step = options.get(name, float)
        if step is not None and step <= 0:
            options.refuse(name, "value", "'multipleOf' must be above 0")
    elif name == "pattern":
        pattern = options.get(name, str)
        fault = fault_of_pattern(pattern) if pattern is not None else None
        if fault:
            options.refuse(name, "pattern", fault)
    elif name in ("timezone", "uniqueItems"):
        options.get(name, bool)
    elif name == "required":
        options.texts(name)
    elif name == "enum":
        options.get(name, list)
    else:
        options.get(name, str)


def _check_bound(options: Fields, column: Column, name: str) -> None:
    if name.startswith("exclusive") and isinstance(options.found[name], bool):
        return  # ODCS 3.0: a flag beside minimum and maximum
    if column.logical_type in ("integer", "number"):
        options.get(name, float)
        return
    text = options.get(name, str)
    fault = fault_of_moment(text, column) if text is not None else None
    if fault:
        options.faults.doubt((*options.path, name), "value", fault)


def fault_of_moment(text: str, column: Column) -> str | None:
    """Say why a text is no date, time or timestamp in the form that data has (INTERFACE, *CSV*), or nothing."""
    form = {"date": "2013-01-31", "time": "13:05:00"}.get(column.logical_type, "2013-01-31T13:05:00")
    try:
        value = _moment(text, column.logical_type)
    except ValueError:
        return f"{text[:40]!r} is no {column.logical_type}; write it like {form}"
    if isinstance(value, datetime) and value.tzinfo is not None and not column.zoned:
        return f"{text[:40]!r} has an offset, and the column no time zone"
    return None


def _moment(text: str, kind: str) -> date | time | datetime:
    if not _TEMPORAL.fullmatch(text):
        raise ValueError(text)
    if kind == "date":
        return date.fromisoformat(text)
    if kind == "time":
        return time.fromisoformat(text)
    return datetime.fromisoformat(text)


def _check_order(options: Fields, column: Column) -> None:
    """Note pairs of limits that no value can keep."""
    for low, high in (("minimum", "maximum"), *zip(_COUNTS[::2], _COUNTS[1::2], strict=True)):
        least, most = column.options.get(low), column.options.get(high)
        if _above(least, most):
            options.refuse(low, "value", f"{low} {least} is above {high} {most}: no value can keep both")


def _above(a: Any, b: Any) -> bool:
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (a, b))
    # ISO dates and times of one form sort as texts do.
    texts = isinstance(a, str) and isinstance(b, str) and len(a) == len(b)
    return bool((numbers or texts) and a > b)


def _fits(column: Column, value: Any) -> bool:
    if isinstance(value, bool):
        return column.logical_type == "boolean"
    match column.logical_type:
        case "integer":
            return isinstance(value, int)
        case "number":
            return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        case "date" | "time" | "timestamp":
            return isinstance(value, str) and fault_of_moment(value, column) is None
        case "string":
            return isinstance(value, str)
        case "boolean":
            return False
    return True


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
