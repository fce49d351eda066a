"""What a product becomes in DataHub: the same bytes for the same product, and nothing that its models do not take."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.integration import datahub_schemas
from tests.integration.datahub_products import RICH, record, wide
from tests.integration.datahub_stand_in import patched
from thinmesh.adapters.datahub import products, shared
from thinmesh.adapters.datahub.comparing import contains, unmet
from thinmesh.adapters.datahub.edits import Edits
from thinmesh.adapters.datahub.names import Names, tag_urn
from thinmesh.adapters.datahub.proposals import PATCH, TIMED, Proposal
from thinmesh.kernel.contract import Column, Table
from thinmesh.planes.product.model import CatalogRecord

GOLDEN = Path(__file__).with_name("flights.jsonl")
NAMES = Names()
# What JSON and the kernel let through: no NUL, no half of a pair.
TEXT = some.text(some.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=200)
NAME = some.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True)


def proposals(told: CatalogRecord, names: Names = NAMES) -> list[Proposal]:
    return [*shared.proposals(told, names), *products.proposals(told, names, {})]


def faults(told: list[Proposal]) -> list[str]:
    """Hold every change against the avro schemas in DataHub's package."""
    found = []
    for each in told:
        value = json.loads(each.content())
        value = patched(value, None) if each.change == PATCH else value
        found += datahub_schemas.faults_of(each.entity, each.urn, each.aspect, value)
        # The server's limit is on the percent-encoded text.
        found += [f"{each.urn} is too long"] if len(each.urn.encode()) > 512 else []
    return found


def lines(told: list[Proposal]) -> str:
    return "".join(json.dumps(each.document(), sort_keys=True) + "\n" for each in told)


def test_the_bytes_are_those_in_the_file():
    """Where the change is meant, write what this prints to the file."""
    found = lines(proposals(record()))
    assert found == GOLDEN.read_text(), found


def test_the_same_product_gives_the_same_bytes():
    assert lines(proposals(record())) == lines(proposals(record()))
    shuffled = {name: RICH[name] for name in reversed(RICH)}
    assert lines(proposals(record(shuffled, inputs={"weather": ("stations", "weather")}))) == lines(
        proposals(record(inputs={"weather": ("weather", "stations")}))
    )


@pytest.mark.parametrize(
    "told",
    [
        record(), record({**RICH, "access": "request"}), record(status="retired"), record(published=False, url=None),
        record({"name": "bare", "domain": "sales", "description": "Bare"}), wide(2000), wide(0), wide(1, tables=500),
        record({**RICH, "description": "<b>wörter</b> 😀 " * 6_000}),
    ],
    ids="rich closed retired unpublished bare columns columnless tables long".split(),
)  # fmt: skip
def test_the_schemas_of_datahubs_package_take_all_of_it(told, record_property):
    found = proposals(told)
    wrong = faults(found)
    record_property("held", ("changes taken by the avro schemas of acryl-datahub", len(found), len(found) - len(wrong)))
    assert wrong == []


def test_each_aspect_of_each_entity_is_sent_once():
    """Two changes of one aspect in a request would stand on the order that the server works in."""
    for told in (record(), record({**RICH, "tags": ["a", "a ", " a"]})):
        twice = [each for each, count in Counter((p.urn, p.aspect) for p in proposals(told)).items() if count > 1]
        assert twice == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=NAME, domain=NAME, owner=NAME, table=NAME, text=TEXT, tags=some.lists(TEXT.filter(str.strip), max_size=4),
    column=some.from_regex(r"[a-z_][a-z0-9_]{0,127}", fullmatch=True), classification=TEXT, version=TEXT, rule=TEXT,
)  # fmt: skip
def test_no_legal_name_and_no_text_breaks_it(
    name, domain, owner, table, text, tags, column, classification, version, rule
):
    quality = ({"type": "sql", "query": rule or "select 1", "name": text, "mustBe": 1},)
    made = Table(table, (Column(column, description=text, classification=classification, quality=quality),), text)
    plain = record({"name": "x", "domain": "y", "description": "z", "tables": {"t": {"columns": {"a": "string"}}}})
    state = replace(plain.product.tables["t"], table=made, in_git=True)
    descriptor = replace(plain.product.descriptor, name=name, description=text, tags=tuple(tags), links={text: text})
    product = replace(
        plain.product, name=name, domain=domain, owner=owner, version=version, tables={table: state},
        descriptor=descriptor, successor=text,
    )  # fmt: skip
    told = proposals(replace(plain, product=product))
    assert faults(told) == []
    assert all(each.content().isascii() for each in told), "the server takes bytes as such"


@given(tag=TEXT.filter(str.strip))
def test_a_tag_has_a_urn_that_has_one_reading(tag):
    urn = tag_urn(tag)
    assert not set("(),␟\n\t") & set(urn.removeprefix("urn:li:tag:"))
    assert len(urn.encode()) <= 512


def test_tags_that_differ_keep_apart():
    tags = ["a", "a,b", "a%2Cb", "x" * 128, "表" * 128, "表" * 127 + "x", "(a)"]
    assert len({tag_urn(tag) for tag in tags}) == len(tags)


# What people edit ------------------------------------------------------------------------------------------------


def test_patches_are_those_of_datahubs_own_builders():
    """Operation for operation; the server reads both alike."""
    from datahub.metadata import schema_classes as of
    from datahub.specific.aspect_helpers.institutional_memory import HasInstitutionalMemoryPatch
    from datahub.specific.dataproduct import DataProductPatchBuilder
    from datahub.specific.dataset import DatasetPatchBuilder

    class Builder(HasInstitutionalMemoryPatch, DatasetPatchBuilder):
        pass

    urn, other = NAMES.iceberg("a", "b"), NAMES.iceberg("c", "d~/e")
    product = NAMES.data_product("a")
    ours, theirs = Edits(urn, "thinmesh"), Builder(urn)
    stamp = of.AuditStampClass(time=0, actor="urn:li:corpuser:thinmesh")
    ours.tag("urn:li:tag:a/b")
    theirs.add_tag(of.TagAssociationClass("urn:li:tag:a/b", context="thinmesh"))
    ours.without_tag("urn:li:tag:c")
    theirs.remove_tag("urn:li:tag:c", attribution_source="")
    ours.owner("urn:li:corpGroup:x")
    kind = "urn:li:ownershipType:__system__technical_owner"
    source = of.OwnershipSourceClass("SERVICE", "thinmesh")
    theirs.add_owner(of.OwnerClass("urn:li:corpGroup:x", "TECHNICAL_OWNER", typeUrn=kind, source=source))
    ours.without_owner("urn:li:corpGroup:y")
    theirs.remove_owner("urn:li:corpGroup:y", "TECHNICAL_OWNER", kind, attribution_source="")
    ours.property("access", "open")
    theirs.set_structured_property("urn:li:structuredProperty:thinmesh.access", "open")
    ours.without_property("version")
    theirs.remove_structured_property("urn:li:structuredProperty:thinmesh.version", attribution_source="")
    ours.upstream(other, "COPY")
    marked = {"thinmesh.mesh": "thinmesh"}
    theirs.add_upstream_lineage(of.UpstreamClass(other, "COPY", auditStamp=stamp, properties=marked))
    ours.without_upstream(other)
    theirs.remove_upstream_lineage(other)
    ours.link("https://a/b", "text")
    theirs.add_institutional_memory(of.InstitutionalMemoryMetadataClass("https://a/b", "text", stamp))
    _same(ours, theirs)
    ours, theirs = Edits(product, "thinmesh"), DataProductPatchBuilder(product)
    ours.name("n")
    theirs.set_name("n")
    ours.description("d")
    theirs.set_description("d")
    ours.custom({"a/b": "c"})
    theirs.add_custom_property("a/b", "c")
    ours.page("https://a")
    theirs.set_external_url("https://a")
    ours.asset(urn)
    theirs.add_asset(urn)
    ours.without_asset(other)
    theirs.remove_asset(other)
    _same(ours, theirs)


def _same(ours: Edits, theirs: Any) -> None:
    found = {each.aspect: each.value for each in ours.proposals()}
    wanted = {each.aspectName: json.loads(each.aspect.value) for each in theirs.build()}
    assert found == wanted


# What is compared ------------------------------------------------------------------------------------------------


def test_a_stored_aspect_may_say_more_and_not_less():
    assert contains({"a": 1, "b": [{"c": "d", "e": 0}]}, {"b": [{"c": "d"}]})
    assert contains({}, {"a": False, "b": [], "c": {}})
    assert not contains({"a": 1}, {"a": 2})
    assert not contains({"a": [1, 2]}, {"a": [1]})
    assert not contains({"a": "x"}, {"a": {"b": 1}})


def test_whatever_is_missing_or_other_is_seen(record_property):
    """Each aspect taken away, and each changed, is told; nothing else is."""
    told = [each for each in proposals(record()) if each.aspect not in TIMED]
    state: dict[str, dict[str, Any]] = {}
    for each in told:
        value = patched(each.value, None) if each.change == PATCH else each.value
        state.setdefault(each.urn, {})[each.aspect] = value
    assert list(unmet(told, state)) == []
    tried = 0
    for each in told:
        kept = state[each.urn].pop(each.aspect)
        for damaged in (None, *_damaged(kept)):
            if damaged is not None:
                state[each.urn][each.aspect] = damaged
            tried += 1
            assert [found for found, _ in unmet(told, state)] == [each], (each.aspect, damaged)
        state[each.urn][each.aspect] = kept
    record_property("held", ("damages of what DataHub shows that are seen", tried, tried))


def _damaged(value: Any) -> list[Any]:
    """Give an aspect with one of its members emptied, or its first element gone."""
    found = []
    for name, member in value.items():
        if isinstance(member, list) and member:
            found.append({**value, name: member[1:]})
        elif isinstance(member, str) and member:
            found.append({**value, name: member + "x"})
    return found


# DataHub's own store ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning")
def test_datahubs_own_store_gives_back_what_it_was_given(tmp_path, record_property):
    """DataHub Lite, on SQLite: through the classes of its package and back."""
    from datahub.emitter.mcp import MetadataChangeProposalWrapper
    from datahub.emitter.serialization_helper import post_json_transform, pre_json_transform
    from datahub.lite.sqlite_lite import SqliteLite
    from datahub.metadata.schema_classes import ASPECT_NAME_MAP

    store = SqliteLite.create({"file": str(tmp_path / "lite.db")})
    wanted: dict[tuple[str, str], Any] = {}
    for each in proposals(record()):
        if each.aspect in TIMED:
            continue
        value = patched(each.value, None) if each.change == PATCH else each.value
        aspect = ASPECT_NAME_MAP[each.aspect].from_obj(post_json_transform(json.loads(json.dumps(value))))
        assert aspect.validate()
        store.write(MetadataChangeProposalWrapper(entityUrn=each.urn, aspect=aspect))
        wanted[each.urn, each.aspect] = value
    held = 0
    for (urn, name), value in wanted.items():
        found = store.get(urn, aspects=[name], typed=True)
        held += contains(pre_json_transform(found[name].to_obj()), value)
    store.close()
    record_property("held", ("aspects that DataHub Lite gives back", len(wanted), held))
    assert held == len(wanted) > 60
