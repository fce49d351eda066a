"""A table's contract: what it asserts of the schema, the freshness and the data, and how that was last judged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from thinmesh.kernel.clock import duration
from thinmesh.kernel.errors import Malformed
from thinmesh.kernel.quality_rules import METRICS, bounds_of, demand, is_sql
from thinmesh.planes.product.model import CatalogRecord

from .datasets import DataSet, countable, millis, page_of
from .names import Names, field_urn
from .proposals import Proposal, given, upserts
from .schema import schema_of

# The contract is repeated for each table; what is too long to be is found by the link.
_MOST_CONTRACTS = 1_000_000
_UNITS = (("DAY", 86_400), ("HOUR", 3_600), ("MINUTE", 60), ("SECOND", 1))
_PENDING = ("draft", "proposed")


@dataclass(frozen=True, slots=True)
class _Rule:
    """An ODCS quality rule of a table or of one of its columns."""

    urn: str
    column: str | None
    rule: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Give what kind of rule it is: a metric's name, or sql, text, custom."""
        return str(self.rule.get("metric") or self.rule.get("rule") or self.rule.get("type") or "library")

    @property
    def checked(self) -> bool:
        """Tell whether the mesh holds data against the rule, or only keeps it."""
        library = self.rule.get("type") in (None, "library")
        return is_sql(self.rule) or (library and self.kind in METRICS and bool(bounds_of(self.rule)))

    @property
    def demands(self) -> list[str]:
        """Give what the rule asks, in the words of a violation."""
        percent = str(self.rule.get("unit", "rows")).lower() in ("percent", "percentage", "%")
        return [demand(operator, bound, "%" if percent else "") for operator, bound in bounds_of(self.rule).items()]


def proposals(each: DataSet, record: CatalogRecord, names: Names) -> Iterator[Proposal]:
    """Give the contract of a table at its place in the warehouse, its assertions, and their last results."""
    table, product = each.state.table, record.product.name
    schema = names.assertion(product, each.table, "schema")
    freshness = names.assertion(product, each.table, "freshness")
    interval = _interval(record.product.descriptor.slo.get("freshness"))
    shape = schema_of(table, product, each.urn, each.platform, names)
    body = {"entity": each.urn, "schema": shape, "compatibility": "SUPERSET"}
    yield from _assertion(schema, record, names, f"{product}.{table.name} has the columns of its contract.", {
        "type": "DATA_SCHEMA", "schemaAssertion": body,
    })  # fmt: skip
    if interval:
        fresh = {"type": "DATASET_CHANGE", "entity": each.urn, "schedule": interval}
        text = f"{product}.{table.name} is published at least every {record.product.descriptor.slo['freshness']}."
        yield from _assertion(freshness, record, names, text, {"type": "FRESHNESS", "freshnessAssertion": fresh})
    rules = list(_rules(each, product, names))
    for rule in rules:
        yield from _assertion(rule.urn, record, names, _title(rule, each), {
            "type": "CUSTOM", "customAssertion": _custom(rule, each),
        })  # fmt: skip
    yield from upserts(
        names.contract(product, each.table),
        {
            "dataContractProperties": given(
                {
                    "entity": each.urn,
                    "schema": [{"assertion": schema}],
                    "freshness": [{"assertion": freshness}] if interval else None,
                    "dataQuality": [{"assertion": rule.urn} for rule in rules] or None,
                    "rawContract": _raw(record),
                }
            ),
            "dataContractStatus": {
                "state": "PENDING" if record.product.status in _PENDING else "ACTIVE",
                "customProperties": _mark(record, names),
            },
            "status": {"removed": False},
        },
    )
    yield from _results(each, record, schema, rules)


def assertions_of(aspects: Mapping[str, Any]) -> list[str]:
    """Give the assertions that a stored contract has; none for anything else."""
    contract = aspects.get("dataContractProperties") or {}
    parts = (contract.get(name) or () for name in ("schema", "freshness", "dataQuality"))
    return [each["assertion"] for part in parts for each in part]


def _assertion(
    urn: str, record: CatalogRecord, names: Names, description: str, body: Mapping[str, Any]
) -> Iterator[Proposal]:
    info = {
        **body,
        "description": description,
        "externalUrl": page_of(record),
        "source": {"type": "EXTERNAL"},
        "customProperties": _mark(record, names),
    }
    yield from upserts(urn, {"assertionInfo": given(info), "status": {"removed": False}})


def _mark(record: CatalogRecord, names: Names) -> dict[str, str]:
    return {"thinmesh.mesh": names.mesh, "thinmesh.product": record.product.name}


def _interval(text: object) -> dict[str, Any] | None:
    """Give a freshness as an interval in the largest unit that it is a multiple of."""
    try:
        seconds = int(duration(str(text)).total_seconds()) if text else 0
    except Malformed:
        return None
    for unit, size in _UNITS:
        if seconds and seconds % size == 0:
            return {"type": "FIXED_INTERVAL", "fixedInterval": {"unit": unit, "multiple": seconds // size}}
    return None


def _rules(each: DataSet, product: str, names: Names) -> Iterator[_Rule]:
    """Give the rules of a table and its columns, each once, under a name that stays while the rule does."""
    table = each.state.table
    every = [(None, table.quality), *((column.name, column.quality) for column in table.columns)]
    seen = set()
    for column, rules in every:
        for rule in rules:
            said = json.dumps([column, rule], sort_keys=True, default=str)
            urn = names.assertion(product, table.name, f"rule_{sha256(said.encode()).hexdigest()[:16]}")
            if urn not in seen:
                seen.add(urn)
                yield _Rule(urn, column, rule)


def _title(rule: _Rule, each: DataSet) -> str:
    where = f"{each.table}.{rule.column}" if rule.column else each.table
    said = rule.rule.get("name") or rule.rule.get("description")
    return f"{where}: {said}" if said else f"{where}: {rule.kind} {', '.join(rule.demands)}".rstrip()


def _custom(rule: _Rule, each: DataSet) -> dict[str, Any]:
    logic = rule.rule.get("query") or rule.rule.get("implementation") or ", ".join(rule.demands) or None
    field = field_urn(each.urn, rule.column) if rule.column and each.state.table.column(rule.column) else None
    text = logic if logic is None or isinstance(logic, str) else json.dumps(logic, sort_keys=True, default=str)
    return given({"type": f"ODCS {rule.kind}", "entity": each.urn, "field": field, "logic": text})


def _raw(record: CatalogRecord) -> str | None:
    """Give the ODCS document, unless it may quote values of data that is not for everybody, or is long."""
    product = record.product
    if product.closed or any(state.table.classified for state in product.tables.values()):
        return None
    if not record.contract or len(record.contract) * len(product.tables) > _MOST_CONTRACTS:
        return None
    return record.contract.decode(errors="replace")


def _results(each: DataSet, record: CatalogRecord, schema: str, rules: list[_Rule]) -> Iterator[Proposal]:
    """Give how the last publication was judged: what refuses held, or the publication would not be there."""
    product, when = record.product, millis(record.product.published)
    if when is None or each.state.publication != product.publication or not countable(record, each.state):
        return
    broken = [found for found in record.quality.get("measured", ()) if found.get("table") == each.table]
    for urn, fault in [(schema, None), *((rule.urn, _fault(rule, broken)) for rule in rules if rule.checked)]:
        result: dict[str, Any] = {"type": "SUCCESS"}
        if fault is not None:
            result = {"type": "FAILURE", "unexpectedCount": int(fault.get("count") or 1)}
            result["nativeResults"] = {"message": str(fault.get("message"))}
        event = {
            "timestampMillis": when,
            "runId": str(product.publication),
            "asserteeUrn": each.urn,
            "assertionUrn": urn,
            "status": "COMPLETE",
            "result": result,
        }
        yield Proposal(urn, "assertionRunEvent", event)


def _fault(rule: _Rule, broken: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Find what was measured against a rule."""
    kind = "sql" if is_sql(rule.rule) else rule.kind
    columns = rule.column or ", ".join(map(str, (rule.rule.get("arguments") or {}).get("properties") or ())) or None
    for found in broken:
        same = found.get("rule") == kind and found.get("column") == columns
        if same and any(text in str(found.get("message")) for text in rule.demands):
            return found
    return None
