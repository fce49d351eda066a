"""A table at one of its places, as a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from thinmesh.kernel.clock import time_of_text
from thinmesh.kernel.product import TableState
from thinmesh.planes.product.model import CatalogRecord

from .edits import Edits
from .names import ACTOR, Names, domain_urn, group_urn, platform_urn, tag_urn
from .proposals import Proposal, given, upserts
from .schema import schema_of


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table of a product at one place: on a platform of DataHub's, under a name there."""

    urn: str
    platform: str
    state: TableState

    @property
    def table(self) -> str:
        """Give the table's name."""
        return self.state.table.name


def data_sets(record: CatalogRecord, names: Names) -> Iterator[DataSet]:
    """Give every table at every place that its data is at, or will be."""
    product = record.product
    for name in sorted(product.tables):
        state = product.tables[name]
        if state.in_git:
            yield DataSet(names.csv(product, name), "file", state)
        yield DataSet(names.iceberg(product.name, name), "iceberg", state)


def proposals(each: DataSet, record: CatalogRecord, names: Names) -> Iterator[Proposal]:
    """Give all that is said of a data set."""
    product = record.product
    yield from upserts(
        each.urn,
        {
            "datasetProperties": _properties(each, record, names),
            "schemaMetadata": schema_of(each.state.table, product.name, each.urn, each.platform, names),
            "status": {"removed": False},
            "subTypes": {"typeNames": ["CSV" if each.platform == "file" else "Table"]},
            "dataPlatformInstance": _platform(each, names),
            "domains": {"domains": [domain_urn(product.domain)]},
            "deprecation": deprecation(record, each.state),
            "datasetProfile": _profile(each, record),
            "operation": _operation(each, record),
        },
    )
    edits = Edits(each.urn, names.mesh)
    edits.owner(group_urn(product.owner))
    for tag in sorted(set(map(tag_urn, product.descriptor.tags))):
        edits.tag(tag)
    for name, value in facts(record).items():
        edits.property(name, value)
    if record.url:
        edits.link(page_of(record) or "", f"{product.name} in the data mesh")
    for upstream, kind in sorted(upstreams(each, record, names)):
        edits.upstream(upstream, kind)
    yield from edits.proposals()


def facts(record: CatalogRecord) -> dict[str, str]:
    """Give the structured properties of a product and of each of its data sets."""
    product = record.product
    found = {
        "product": product.name,
        "access": product.access,
        "version": product.version,
        "status": product.status,
        "freshness": product.descriptor.slo.get("freshness"),
        "publication": product.publication,
    }
    return {name: str(value) for name, value in found.items() if value}


def page_of(record: CatalogRecord) -> str | None:
    """Give the address of a product's page in the mesh."""
    return f"{record.url.rstrip('/')}/products/{record.product.name}" if record.url else None


def millis(text: str | None) -> int | None:
    """Give a time in milliseconds since 1970."""
    return int(time_of_text(text).timestamp() * 1000) if text else None


def countable(record: CatalogRecord, state: TableState) -> bool:
    """Tell whether anything about the data itself may be told: not of closed products, nor of classified tables."""
    return not record.product.closed and not state.table.classified


def upstreams(each: DataSet, record: CatalogRecord, names: Names) -> Iterator[tuple[str, str]]:
    """Give the data sets that one is made from, and how: in the warehouse from git, and all from the inputs."""
    if each.platform == "iceberg" and each.state.in_git:
        yield names.csv(record.product, each.table), "COPY"
        return
    for product, tables in record.inputs.items():
        for table in tables:
            yield names.iceberg(product, table), "TRANSFORMED"


def deprecation(record: CatalogRecord, state: TableState) -> dict[str, Any] | None:
    """Say whether a table is on its way out: on its own, with its product, or retired."""
    product = record.product
    said: Mapping[str, Any] | None = state.table.deprecated
    if product.status in ("retired", "deprecated") or product.descriptor.deprecated is not None:
        said = {**(product.descriptor.deprecated or {}), **given({"successor": product.successor})}
    if said is None:
        return None
    successor, removal = said.get("successor"), said.get("removal")
    note = "Retired." if product.status == "retired" else "Deprecated."
    if successor:
        note += f" Use {successor}."
    if removal:
        note += f" To be removed on {removal}."
    return given({"deprecated": True, "note": note, "actor": ACTOR, "decommissionTime": _removal(removal)})


def _removal(text: object) -> int | None:
    try:
        return millis(f"{text}T00:00:00Z" if len(str(text)) == 10 else str(text)) if text else None
    except ValueError:
        return None


def _properties(each: DataSet, record: CatalogRecord, names: Names) -> dict[str, Any]:
    product, state = record.product, each.state
    published = millis(product.published) if state.publication == product.publication else None
    custom = {
        "thinmesh.mesh": names.mesh,
        "thinmesh.product": product.name,
        "thinmesh.table": each.table,
        "thinmesh.publication": state.publication,
        "thinmesh.inferred": "true" if state.table.inferred else None,
    }
    return given(
        {
            "name": each.table,
            "qualifiedName": f"{product.name}.{each.table}",
            "description": state.table.description,
            "externalUrl": page_of(record),
            "customProperties": given(custom),
            "created": {"time": millis(product.registered) or 0, "actor": ACTOR},
            "lastModified": {"time": published, "actor": ACTOR} if published else None,
        }
    )


def _platform(each: DataSet, names: Names) -> dict[str, Any]:
    instance = names.platform_instance(each.platform) if names.instance else None
    return given({"platform": platform_urn(each.platform), "instance": instance})


def _profile(each: DataSet, record: CatalogRecord) -> dict[str, Any] | None:
    rows, when = record.rows.get(each.table), millis(record.product.published)
    if rows is None or when is None or each.state.publication is None or not countable(record, each.state):
        return None
    return {"timestampMillis": when, "rowCount": rows, "columnCount": len(each.state.table.columns)}


def _operation(each: DataSet, record: CatalogRecord) -> dict[str, Any] | None:
    when = millis(record.product.published)
    if when is None or each.state.publication != record.product.publication:
        return None
    return {
        "timestampMillis": when,
        "lastUpdatedTimestamp": when,
        "operationType": "UPDATE",
        "sourceType": "DATA_PLATFORM",
        "customProperties": {"thinmesh.publication": str(each.state.publication)},
    }


def is_marked(aspect: Mapping[str, Any] | None, names: Names, product: str) -> bool:
    """Tell whether properties say that this mesh wrote them for a product."""
    custom = (aspect or {}).get("customProperties") or {}
    return custom.get("thinmesh.mesh") == names.mesh and custom.get("thinmesh.product") == product
