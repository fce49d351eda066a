"""Everything that DataHub is sent, judged by DataHub's own server classes: entities, aspects, URNs, patches."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from thinmesh.adapters.datahub import comparing, products, shared
from thinmesh.adapters.datahub.names import Names
from thinmesh.adapters.datahub.proposals import TIMED

from . import datahub_stand_in
from .datahub_products import RICH, changed, record, wide
from .datahub_server import ServerClasses, server_classes

pytestmark = pytest.mark.heavy
classes = pytest.fixture(scope="module")(server_classes)

HOSTILE = [
    "", " ", "<script>alert(1)</script>", "‏עברית עם (סוגריים), ופסיקים", "👩‍👩‍👧‍👦 ✈", "a\x01b\x1f", "%", "%zz,(␟)",
    "../..\\", '"quoted" \'twice\'', "x" * 128, "表" * 128, "urn:li:tag:x", "line\nbreak\ttab",
]  # fmt: skip
LONG = "n" * 63


def _records() -> list[tuple[str, Any, Names]]:
    plain, mesh = Names(), Names("mesh-1")
    hostile = {**RICH, "tags": [each for each in HOSTILE if each.strip()], "description": "".join(HOSTILE) * 300}
    closed = {**RICH, "access": "request", "deprecated": {"successor": "better", "removal": "2027-01-31"}}
    longest = {
        "name": LONG, "domain": LONG, "owner": LONG, "description": "Long",
        "tables": {LONG: {"columns": {"c" * 128: "string"}, "primaryKey": ["c" * 128]}},
    }  # fmt: skip
    classified = json.loads(json.dumps(RICH))
    classified["tables"]["flights"]["columns"][1]["classification"] = "personal, (very)"
    classified["tables"]["airlines"]["deprecated"] = {"successor": "carriers"}
    return [
        ("rich", record(), plain),
        ("named", record(), mesh),
        ("hostile", record(hostile, members=("a.b@x+y-z_1",)), plain),
        ("closed", record(closed), mesh),
        ("classified", record(classified), plain),
        ("retired", record(status="retired", successor="better"), plain),
        ("draft, not published", record({**RICH, "status": "draft"}, published=False, url=None), plain),
        ("no tables", record({"name": "bare", "domain": "sales", "description": "Bare"}), plain),
        ("longest names", record(longest, git=(LONG,)), Names("m" * 32)),
        ("2000 columns", wide(2000), plain),
        ("500 tables", wide(1, tables=500), plain),
    ]


def _documents(told: Any, names: Names, stored: Any = None) -> list[dict[str, Any]]:
    proposals = [*shared.proposals(told, names), *products.proposals(told, names, stored or {})]
    return [each.document() for each in proposals]


def test_all_that_is_sent_is_taken(classes: ServerClasses, record_property: Callable[..., None]) -> None:
    tried, wrong = 0, []
    for name, told, names in _records():
        documents = _documents(told, names)
        for document, (faults, _) in zip(documents, classes.judge_all((each, None) for each in documents), strict=True):
            tried += 1
            wrong += [f"{name}: {document['entityUrn']} {document['aspectName']}: {fault}" for fault in faults]
    record_property("held", ("changes taken by DataHub's server classes", tried, tried - len(wrong)))
    assert not wrong, "\n".join(wrong[:10])
    assert tried > 3000


def test_patches_do_there_what_the_stand_in_does(classes: ServerClasses, record_property: Callable[..., None]) -> None:
    """On nothing, on what they made themselves, and on what people added."""
    names, told, wrong, tried = Names(), record(), [], 0
    later = changed(told, tags=["reference"], inputs=None, slo={}, links={})
    store: dict[tuple[str, str], Any] = {}
    state: dict[str, dict[str, Any]] = {}

    def apply(documents: list[dict[str, Any]]) -> None:
        nonlocal tried
        for each in documents:
            key = each["entityUrn"], each["aspectName"]
            if key[1] in TIMED:
                continue
            faults, theirs = classes.judge(each, store.get(key))
            _, ours = datahub_stand_in.judge(each, store.get(key))
            tried += 1
            if faults or _sorted(theirs) != _sorted(ours):
                wrong.append((key, faults, theirs, ours))
            store[key] = theirs
            state.setdefault(key[0], {})[key[1]] = theirs

    apply(_documents(told, names))
    _people_edit(store)
    apply(_documents(told, names, store[names.data_product("flights"), "dataProductProperties"]))
    apply([each.document() for each in comparing.stale(later, names, state)])
    record_property("held", ("patches that do what the stand-in does", tried, tried - len(wrong)))
    assert not wrong, json.dumps(wrong[:1], indent=1)
    product = state[names.data_product("flights")]
    assert {each["tag"] for each in product["globalTags"]["tags"]} == {"urn:li:tag:reference", "urn:li:tag:theirs"}
    assert [each["owner"] for each in product["ownership"]["owners"]] == [
        "urn:li:corpuser:them",
        "urn:li:corpGroup:flights_team",
    ]


def _people_edit(store: dict[tuple[str, str], Any]) -> None:
    product = Names().data_product("flights")
    store[product, "globalTags"]["tags"].insert(0, {"tag": "urn:li:tag:theirs"})
    store[product, "ownership"]["owners"].insert(
        0,
        {
            "owner": "urn:li:corpuser:them",
            "type": "DATA_STEWARD",
            "typeUrn": "urn:li:ownershipType:__system__data_steward",
        },
    )
    store[product, "dataProductProperties"]["description"] = "Theirs"


def _sorted(value: Any) -> Any:
    """Nobody relies on the order of lists in patches, empty ones say no more than none, and the server adds when."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if each not in ([], {}) and name != "lastModified"}
        return {name: _sorted(each) for name, each in sorted(kept.items())}
    return sorted(map(_sorted, value), key=str) if isinstance(value, list) else value


def _mutants() -> list[tuple[str, dict[str, Any]]]:
    """Changes that are wrong, each in one way."""
    names = Names()
    documents = _documents(record(), names)
    found = {(each["entityType"], each["aspectName"], each["changeType"]): each for each in documents}

    def of(entity: str, aspect: str, change: str = "UPSERT", /, **members: Any) -> dict[str, Any]:
        return {**found[entity, aspect, change], **members}

    def but(entity: str, aspect: str, edit: Callable[[Any], None], change: str = "UPSERT") -> dict[str, Any]:
        document = found[entity, aspect, change]
        value = json.loads(document["aspect"]["value"])
        edit(value)
        return {**document, "aspect": {**document["aspect"], "value": json.dumps(value)}}

    data_set = found["dataset", "schemaMetadata", "UPSERT"]["entityUrn"]
    return [
        ("unknown field", but("dataset", "datasetProperties", lambda v: v.update(nmae="x"))),
        ("missing field", but("tag", "tagProperties", lambda v: v.pop("name"))),
        ("text for a number", but("dataset", "schemaMetadata", lambda v: v.update(version="one"))),
        ("number for a text", but("dataset", "datasetProperties", lambda v: v.update(description=["x"]))),
        ("null", but("dataset", "datasetProperties", lambda v: v.update(description=None))),
        ("the same column twice", but("dataset", "schemaMetadata", lambda v: v["fields"].append(v["fields"][0]))),
        ("a column without path", but("dataset", "schemaMetadata", lambda v: v["fields"][0].update(fieldPath=""))),
        ("a type that is none", but("dataset", "schemaMetadata", lambda v: v["fields"][0]["type"].update(
            type={"com.linkedin.schema.TextType": {}}))),
        ("two kinds at once", but("dataset", "schemaMetadata", lambda v: v["fields"][0]["type"]["type"].update(
            {"com.linkedin.schema.DateType": {}}))),
        ("the Python package's names", but("dataset", "schemaMetadata", lambda v: v.update(
            platformSchema={"com.linkedin.pegasus2avro.schema.OtherSchema": {"rawSchema": ""}}))),
        ("platform is no URN", but("dataset", "schemaMetadata", lambda v: v.update(platform="iceberg"))),
        ("a domain that is a tag", but("dataset", "domains", lambda v: v.update(domains=["urn:li:tag:x"]))),
        ("an owner that is a data set", but("dataset", "ownership", lambda v: v["patch"][0]["value"].update(
            owner=data_set), "PATCH")),
        ("no such kind of owner", but("dataset", "ownership", lambda v: v["patch"][0]["value"].update(
            type="BOSS"), "PATCH")),
        ("a tag that is a user", but("dataset", "globalTags", lambda v: v["patch"][0]["value"].update(
            tag="urn:li:corpuser:x"), "PATCH")),
        ("an unknown field in a patch", but("dataset", "globalTags", lambda v: v["patch"][0]["value"].update(
            colour="red"), "PATCH")),
        ("a patch with an unknown operation", but("dataset", "globalTags", lambda v: v["patch"][0].update(
            op="upsert"), "PATCH")),
        ("an aspect of another entity", of("domain", "domainProperties", entityType="tag", entityUrn="urn:li:tag:x")),
        ("an aspect that is none", of("dataset", "status", aspectName="statuses")),
        ("status of a domain", of("dataset", "status", entityType="domain", entityUrn="urn:li:domain:x")),
        ("a data product's mark on a data set", of("dataProduct", "status", entityType="dataset", entityUrn=data_set,
                                                   aspectName="dataProducts")),
        ("another entity's URN", of("dataset", "status", entityType="dataProduct")),
        ("an entity that is none", of("dataset", "status", entityType="table", entityUrn="urn:li:table:x")),
        ("a URN without its parts", of("dataset", "status", entityUrn="urn:li:dataset:flights")),
        ("an environment in the wrong case", of("dataset", "status", entityUrn=data_set.replace("PROD", "prod"))),
        ("a URN that is too long", of("tag", "tagProperties", entityUrn="urn:li:tag:" + "表" * 100)),
        ("a change that is none", of("dataset", "status", changeType="REPLACE")),
        ("a patch that says it is whole", of("dataset", "globalTags", "PATCH", changeType="UPSERT")),
        ("no JSON", of("dataset", "status", aspect={"value": "removed", "contentType": "application/json"})),
        ("an assertion of no known kind", but("assertion", "assertionInfo", lambda v: v.update(type="HOPE"))),
        ("a result that is none", but("assertion", "assertionRunEvent", lambda v: v["result"].update(type="GOOD"))),
        ("a contract for a domain", but("dataContract", "dataContractProperties", lambda v: v.update(
            entity="urn:li:domain:x"))),
        ("an assertion that is a tag", but("dataContract", "dataContractProperties", lambda v: v.update(
            schema=[{"assertion": "urn:li:tag:x"}]))),
    ]  # fmt: skip


def test_what_is_wrong_is_refused(classes: ServerClasses, record_property: Callable[..., None]) -> None:
    """Else the check above would say nothing."""
    mutants = _mutants()
    judged = classes.judge_all((each, None) for _, each in mutants)
    passed = [name for (name, _), (faults, _) in zip(mutants, judged, strict=True) if not faults]
    record_property(
        "held", ("wrong changes refused by DataHub's server classes", len(mutants), len(mutants) - len(passed))
    )
    assert passed == []
