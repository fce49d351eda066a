"""ODCS quality rules: what a rule must say so that it can be checked, or kept as not checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping

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


# What the arguments of a metric must be, where it reads them.
_ARGUMENTS: Mapping[str, type] = {"missingValues": list, "validValues": list, "properties": list, "pattern": str}


def check_quality(fields: Fields) -> None:
    """Note what is wrong with one quality rule. In an ODCS contract, what cannot be checked is kept and reported."""
    fields.report_unknown(MEMBERS, "an ODCS quality rule")
    for name, kind in MEMBERS.items():
        value = fields.get(name, kind) if kind is not None else None
        if kind is list and name in OPERATORS and value is not None and not _is_span(value):
            fields.refuse(name, "value", f"{name!r} takes two numbers, the smaller first")
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
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)
    return numbers and bool(low <= high)
