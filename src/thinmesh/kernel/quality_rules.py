"""ODCS quality rules: what a rule must say so that it can be checked, or kept as not checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .document_faults import Fields
from .patterns import fault_of_pattern

TYPES = ("library", "text", "sql", "custom")
METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")
OPERATORS: Mapping[str, type | None] = {
    "mustBe": None,
    "mustNotBe": None,
    "mustBeGreaterThan": float,
    "mustBeGreaterOrEqualTo": float,
    "mustBeLessThan": float,
    "mustBeLessOrEqualTo": float,
    "mustBeBetween": list,
    "mustNotBeBetween": list,
}
# ODCS 3.2 `DataQuality`.
MEMBERS: Mapping[str, type | None] = {
    **dict.fromkeys(
        "id businessImpact description dimension method name schedule scheduler severity type unit metric rule query "
        "engine".split(),
        str,
    ),
    **dict.fromkeys("authoritativeDefinitions customProperties tags".split(), list),
    "arguments": dict,
    "implementation": None,
    **OPERATORS,
}


# How a refusal says what each operator asks.
_WORDS = {
    "mustBe": "be",
    "mustNotBe": "not be",
    "mustBeGreaterThan": "be greater than",
    "mustBeGreaterOrEqualTo": "be at least",
    "mustBeLessThan": "be less than",
    "mustBeLessOrEqualTo": "be at most",
    "mustBeBetween": "be between",
    "mustNotBeBetween": "not be between",
}
# What dbt and the ODCS call less than an error is shown and does not refuse.
_MILD = {"info", "warn", "warning"}
# What the arguments of a metric must be, where it reads them.
_ARGUMENTS: Mapping[str, type] = {"missingValues": list, "validValues": list, "properties": list, "pattern": str}


def check_quality(fields: Fields) -> None:
    """Note what is wrong with one quality rule. In an ODCS contract, what cannot be checked is kept and reported."""
    fields.report_unknown(MEMBERS, "an ODCS quality rule")
    for name, kind in MEMBERS.items():
        value = fields.get(name, kind) if kind is not None else None
        if kind is list and name in OPERATORS and value is not None and not _is_span(value):
            fields.refuse(name, "value", f"{name!r} takes two numbers, the smaller first")
        if name in ("mustBe", "mustNotBe") and fields.found.get(name) is not None:
            _check_number(fields, name)
    kind_of_rule = _choice(fields, "type", TYPES) or "library"
    if kind_of_rule == "library":
        _check_library(fields)
    elif kind_of_rule == "sql":
        fields.require(("query",))
        _check_operator(fields)
    elif kind_of_rule == "custom":
        fields.require(("engine", "implementation"))


def _check_library(fields: Fields) -> None:
    """Note a metric that is not known, or held against nothing; what was called a rule before ODCS 3.1 is only kept."""
    if fields.found.get("metric") is not None:
        _choice(fields, "metric", METRICS)
        _check_operator(fields)
    elif fields.found.get("rule") is None and fields.found.get("type") is not None:
        fields.require(("metric",))
    arguments = Fields(fields.get("arguments", dict) or {}, (*fields.path, "arguments"), fields.faults)
    for name, kind in _ARGUMENTS.items():
        value = arguments.get(name, kind)
        fault = fault_of_pattern(value) if isinstance(value, str) else None
        if fault:
            arguments.refuse(name, "pattern", fault)


def _check_operator(fields: Fields) -> None:
    given = [name for name in OPERATORS if fields.found.get(name) is not None]
    if len(given) != 1:
        said = " and ".join(given) if given else "none"
        message = f"a rule has one operator ({', '.join(OPERATORS)}); here: {said}"
        fields.faults.doubt(fields.path, "value" if given else "missing", message)


def _check_number(fields: Fields, name: str) -> None:
    """Note a bound that a measured number cannot be held against."""
    if not _is_number(fields.found[name]):
        fields.faults.doubt((*fields.path, name), "type", f"{name!r} takes a number: what is measured is one")


def _choice(fields: Fields, name: str, allowed: Collection[str]) -> str | None:
    value = fields.get(name, str)
    if value is not None and value not in allowed:
        hint = fields.faults.hint(value, allowed)
        fields.faults.doubt((*fields.path, name), "value", f"{value[:80]!r} is not one of {', '.join(allowed)}{hint}")
    return value


def _is_span(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    low, high = value
    return _is_number(low) and _is_number(high) and bool(low <= high)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_sql(rule: Mapping[str, Any]) -> bool:
    """Tell whether a rule measures with a query of its own, and asks something of the number."""
    return rule.get("type") == "sql" and isinstance(rule.get("query"), str) and bool(bounds_of(rule))


def refuses(rule: Mapping[str, Any]) -> bool:
    """Tell whether a broken rule refuses the data, or is only shown."""
    return str(rule.get("severity", "error")).lower() not in _MILD


def bounds_of(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Give the rule's operators with what a measured number can be held against; others are not checked."""
    return {
        name: rule[name]
        for name in OPERATORS
        if (_is_span(rule.get(name)) if name.endswith("Between") else _is_number(rule.get(name)))
    }


def holds(operator: str, value: float, bound: Any) -> bool:
    """Tell whether a measured number is what an operator asks."""
    if operator.endswith("Between"):
        low, high = bound
        return bool((low <= value <= high) == (operator == "mustBeBetween"))
    held: dict[str, bool] = {
        "mustBe": value == bound,
        "mustNotBe": value != bound,
        "mustBeGreaterThan": value > bound,
        "mustBeGreaterOrEqualTo": value >= bound,
        "mustBeLessThan": value < bound,
        "mustBeLessOrEqualTo": value <= bound,
    }
    return held[operator]


def demand(operator: str, bound: Any, unit: str = "") -> str:
    """Say what an operator asks: `must be between 1% and 5%`."""
    shown = " and ".join(f"{one}{unit}" for one in bound) if isinstance(bound, list | tuple) else f"{bound}{unit}"
    return f"must {_WORDS[operator]} {shown}"
