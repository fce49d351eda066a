"""ODPS products, alone and with their ODCS contracts: taken and given back, and valid by Bitol's own schema."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinmesh.kernel.document_faults import Faults, Places
from thinmesh.kernel.document_text import documents_of
from thinmesh.kernel.documents import bare_contract, parse_descriptor, stored_descriptor, to_odcs, to_odps
from thinmesh.kernel.errors import Malformed, MeshError, Refused
from thinmesh.kernel.odps_schema import check_product
from thinmesh.kernel.product import Descriptor

from . import descriptors as drawn

some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def schema_of(minor: int) -> dict[str, Any]:
    file = resources.files("thinmesh.kernel").joinpath("odps_schemas", f"odps-1.{minor}.0.schema.json")
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


SCHEMAS = [schema_of(0), schema_of(1)]
VALID = [jsonschema_rs.validator_for(schema) for schema in SCHEMAS]
STRICT = jsonschema_rs.validator_for(SCHEMAS[1], validate_formats=True)

ODPS = """\
apiVersion: v1.1.0
kind: DataProduct
id: fbe8d147-28db-4f1d-bedf-a3fe9f458427   # kept, comment and all
name: customers
version: 2.3.0
status: active
domain: Seller & Co
type: aggregate
tenant: RetailCorp
description:
  purpose: Enterprise view of a customer.
  limitations: No known limitations.
tags: [customer, reference]
authoritativeDefinitions:
- {type: tutorial, url: "https://example.org/how"}
inputPorts:
- {name: payments, version: 1.0.0, contractId: dbb7b1eb-7628-436e-8914-2a00638ba6db}
- {name: Online Shop, contractId: shop}
- {name: SAP R/3, contractId: dbb7b1eb-7628-436e-8914-2a00638ba6da}
outputPorts:
- {name: customers, type: tables, version: 2.3.0, contractId: c2798941}
- {name: customers, type: tables, version: 1.0.0, contractId: c2798940}
managementPorts:
- {name: dictionary, content: dictionary, type: topic}
support:
- {channel: "#customers", url: "https://retailcorp.slack.com/archives/C1", tool: slack}
- {channel: mail, url: "mailto:data@retailcorp.com"}
team:
  name: crm
  members:
  - {username: john, role: owner, dateIn: "2023-01-15"}
customProperties:
- {property: access, value: request, vendor: thinmesh}
- {property: retention, value: forever, vendor: somebody}
productCreatedTs: "2023-01-15T10:30:00Z"
"""
ODCS = """\
apiVersion: v3.1.0
kind: DataContract
id: c2798941
version: 2.3.0
status: active
domain: other
schema:
- name: customers
  properties:
  - {name: id, logicalType: integer, primaryKey: true}
slaProperties:
- {property: freshness, value: P1D}
"""


def parsed(document: str, **beside: Any) -> Descriptor:
    return parse_descriptor(document.encode(), **beside)


def faults_of(document: str, **beside: Any) -> list[tuple[str | None, str]]:
    with pytest.raises(Refused) as raised:
        parsed(document, **beside)
    return [(each.column, each.message) for each in raised.value.violations]


def changed(**members: Any) -> str:
    found = {**yaml.safe_load(ODPS), **members}
    return json.dumps({name: value for name, value in found.items() if value is not None})


class TestReading:
    def test_a_product_alone(self) -> None:
        found = parsed(ODPS)
        assert (found.name, found.domain, found.owner) == ("customers", "seller_co", "crm")
        assert (found.version, found.status, found.access) == ("2.3.0", "active", "request")
        assert found.description == "Enterprise view of a customer."
        assert found.tags == ("customer", "reference")
        assert found.inputs == ("payments", "shop")
        assert found.links == {
            "tutorial": "https://example.org/how",
            "#customers": "https://retailcorp.slack.com/archives/C1",
            "mail": "mailto:data@retailcorp.com",
        }
        assert (found.odps, found.document, found.odcs) == (ODPS.encode(), ODPS.encode(), None)
        assert found.retention is None
        assert sorted(found.reported) == sorted(
            (
                "inputPorts[2].name: 'SAP R/3' is no product here; the port is kept",
                "domain: 'Seller & Co' is called 'seller_co' here",
                "outputPorts[0].contractId: the contract 'c2798941' is not here; the port is kept, and serves nothing",
                "outputPorts[1].contractId: the contract 'c2798940' is not here; the port is kept, and serves nothing",
            )
        )

    def test_a_pair_in_one_stream_in_either_order(self) -> None:
        for first, second in ((ODPS, f"---\n{ODCS}"), (ODCS, f"--- # the product\n{ODPS}")):
            found = parsed(first + second)
            assert (found.name, found.domain, found.owner, found.access) == ("customers", "seller_co", "crm", "request")
            assert found.slo == {"freshness": "P1D"}
            assert list(found.tables) == ["customers"]
            assert {found.odps, found.odcs} == {first.encode(), second.encode()}
            assert "the contract 'c2798940' is not here" in " ".join(found.reported)
            assert "c2798941" not in " ".join(found.reported)
            assert not found.written

    def test_a_pair_in_two_documents(self) -> None:
        for document, beside in ((ODPS, ODCS), (ODCS, ODPS)):
            found = parsed(document, odcs=beside.encode())
            assert (found.odps, found.odcs) == (ODPS.encode(), ODCS.encode())
            assert list(found.tables) == ["customers"]

    def test_beside_a_descriptor_which_goes_before_both(self) -> None:
        own = '{"name": "people", "domain": "hr", "description": "People", "access": "open"}'
        found = parsed(own, odps=ODPS.encode(), odcs=ODCS.encode())
        assert (found.name, found.domain, found.description, found.access) == ("people", "hr", "People", "open")
        assert (found.owner, found.version, found.slo) == ("crm", "2.3.0", {"freshness": "P1D"})
        assert (found.odps, found.odcs, found.document) == (ODPS.encode(), ODCS.encode(), own.encode())
        assert found.written
        whole = json.dumps({**json.loads(own), "tables": {"t": {"columns": {"id": "integer"}}}})
        assert list(parsed(whole, odps=ODPS.encode()).tables) == ["t"]

    def test_what_the_contract_closes_stays_closed(self) -> None:
        opened = changed(customProperties=[{"property": "access", "value": "open", "vendor": "thinmesh"}])
        closing = f"{ODCS}customProperties:\n- {{property: access, value: request}}\n"
        assert parsed(opened).access == "open"
        assert parsed(opened, odcs=closing.encode()).access == "request"

    def test_what_is_said_twice_with_other_values_is_no_access(self) -> None:
        custom = "customProperties:\n- {property: access, value: request}\n- {property: access, value: open}\n"
        assert faults_of(ODPS, odcs=f"{ODCS}{custom}".encode()) == [
            ("customProperties[1].property", "'access' is there twice, with other values")
        ]
        assert parsed(ODPS, odcs=f"{ODCS}{custom}".replace("open", "request").encode()).access == "request"

    def test_a_name_is_never_made_up_and_the_contract_may_say_it(self) -> None:
        strange = changed(name="Customer Data Product")
        (place, message) = faults_of(strange)[0]
        assert place == "name"
        assert message.startswith("neither name nor id is a name of a product here")
        assert "like customer_data_product;" in message
        assert parsed(changed(name="Customer Data", id="customers_eu")).name == "customers_eu"
        assert parsed(strange, odcs=f"{ODCS}dataProduct: people\n".encode()).name == "people"
        assert [place for place, _ in faults_of(strange, odcs=ODCS.encode())] == ["name"]

    def test_what_a_descriptor_needs(self) -> None:
        bare = '{"apiVersion": "v1.1.0", "kind": "DataProduct", "id": "flights"}'
        assert faults_of(bare) == [(None, "'domain' is missing"), (None, "'description' is missing")]
        assert parsed(changed(description=None, domain="d")).description == "customers"

    def test_a_deprecated_product(self) -> None:
        assert parsed(changed(deprecated=True)).status == "deprecated"
        for deprecated in (None, True):
            assert faults_of(changed(status="retired", deprecated=deprecated))[0][0] == "status"

    def test_version_1_0_with_the_team_as_a_list(self) -> None:
        found = parsed(changed(apiVersion="v1.0.0", type=None, team=[{"username": "john"}], inputPorts=None))
        assert found.owner is None
        assert any("a list of members names no team" in each for each in found.reported)
        assert parsed(changed(apiVersion="v0.9.0", type=None, inputPorts=None)).owner == "crm"

    def test_a_later_version_is_taken_with_what_it_brings(self) -> None:
        found = parsed(changed(apiVersion="v1.4.0", horizon={"x": 1}))
        assert "horizon: 'horizon' is no field of an ODPS product; it is kept, and means nothing here" in found.reported
        for version in ("v2.0.0", "v0.8.0", "1.0", "v1.1.0\n", "v\u0661.1.0"):
            assert faults_of(changed(apiVersion=version))[0][0] == "apiVersion"

    def test_unknown_members(self) -> None:
        assert faults_of(changed(inputPort=[]))[0] == (
            "inputPort",
            "'inputPort' is no field of an ODPS product; did you mean 'inputPorts'?",
        )
        found = parsed(changed(outputPorts=[{"name": "a", "url": "u"}], support=[]))
        assert any(
            each.startswith("outputPorts[0].url: 'url' is no field of an ODPS OutputPort") for each in found.reported
        )

    def test_links_that_would_run_are_kept_and_not_shown(self) -> None:
        found = parsed(changed(support=[{"channel": "c", "url": "javascript:alert(1)"}, {"channel": "d", "url": "x"}]))
        assert list(found.links) == ["tutorial"]
        assert sum("shown nowhere" in each for each in found.reported) == 2
        twice = [{"type": "tutorial", "url": f"https://example.org/{n}"} for n in range(3)]
        links = parsed(changed(authoritativeDefinitions=twice, support=None)).links
        assert list(links) == ["tutorial", "tutorial 2", "tutorial 3"]

    def test_our_own_properties_are_held_to_the_rules_of_a_descriptor(self) -> None:
        given = {"access": "closed", "retention": 5, "inputs": ["A"], "links": 3, "slo": {"freshness": "daily"}}
        ours = [{"property": name, "value": value, "vendor": "thinmesh"} for name, value in given.items()]
        faults = faults_of(changed(customProperties=ours))
        assert sorted(message.split(";")[0] for _, message in faults) == [
            "'A' is neither a product nor product.table",
            "'closed' is not one of open, request",
            "'daily' is not a duration",
            "'links' must be an object, not a whole number",
            "'retention' must be a text, not a whole number",
        ]
        theirs = [{"property": name, "value": value} for name, value in given.items() if name != "access"]
        assert parsed(changed(customProperties=theirs)).retention is None

    def test_a_contract_that_no_port_names(self) -> None:
        other = ODCS.replace("id: c2798941", "id: other")
        ((place, message),) = faults_of(ODPS, odcs=other.encode())
        assert place == "outputPorts"
        assert message == "no output port has the contractId 'other' of the contract beside it"
        assert list(parsed(changed(outputPorts=[{"name": "a"}]), odcs=other.encode()).tables) == ["customers"]

    def test_the_places_in_a_stream_are_those_of_its_lines(self) -> None:
        lines = ODPS.count("\n")
        with pytest.raises(Refused) as raised:
            parsed(f"{ODPS}---\n{ODCS.replace('integer', 'intger')}", file="pair.yaml")
        assert [each.examples[0].line for each in raised.value.violations] == [lines + 11]
        with pytest.raises(Malformed, match=rf"^pair.yaml:{lines + 4}:"):
            parsed(f"{ODPS}---\nkind: DataContract\napiVersion: [\n", file="pair.yaml")

    def test_streams_that_are_no_pair(self) -> None:
        for stream in (f"{ODPS}---\n{ODPS}", f"{ODCS}---\n{ODCS}", f"{ODPS}---\n{ODCS}---\n{ODCS}"):
            with pytest.raises(Malformed, match="a second document begins here"):
                parsed(stream)

    def test_a_check_takes_the_contract_of_a_pair(self) -> None:
        assert list(bare_contract(f"{ODPS}---\n{ODCS}".encode()).tables) == ["customers"]
        with pytest.raises(Refused, match="is an ODPS product, and the tables are in its contract"):
            bare_contract(ODPS.encode())


class TestStreams:
    @some
    @given(
        st.lists(st.sampled_from(["---", "--- ", "---x", "a: 1", "# c", "%YAML 1.1", "...", "", " ---", "\r"])),
        st.booleans(),
    )
    def test_the_documents_of_a_stream_are_the_stream(self, lines: list[str], ends: bool) -> None:
        stream = ("\n".join(lines) + "\n" * ends).encode()
        found = documents_of(stream)
        assert b"".join(found) == stream
        assert all(each.startswith(b"---") for each in found[1:])

    @pytest.mark.parametrize(
        ("stream", "count"),
        [
            ("a: 1\n", 1),
            ("---\na: 1\n", 1),
            ("# said first\n---\na: 1\n---\n", 1),
            ("a: 1\n---\nb: 2", 2),
            ("---\na: 1\n--- # c\nb: 2\n---\n# end\n", 2),
            ("a: |\n  ---\n  x\n", 1),
            ('{"a": "\n---\nb"}', 1),
            ("\ufeff---\na: 1\r\n---\r\nb: 2\r\n", 2),
        ],
    )
    def test_where_a_document_begins(self, stream: str, count: int) -> None:
        assert len(documents_of(stream.encode())) == count

    def test_a_stream_of_markers_takes_no_time_to_speak_of(self) -> None:
        # With the square of the length this would take hours.
        assert documents_of(b"---\n" * 1_000_000) == [b"---\n" * 1_000_000]


VALUES = "name domain description owner access version status tags custom slo retention inputs links deprecated".split()
FIXED = {"owner": "team", "access": "open", "version": "1.0.0", "status": "active"}


class TestWriting:
    @some
    @given(
        drawn.descriptors(),
        st.lists(
            st.sampled_from(
                ["https://a.b:80/%20?x=(1)?#y", "https://a.b/?x=[1]", "x://a:b", "x:é", "x:%a", "a:#b#c", "mailto:a@b"]
            ),
            max_size=3,
        ),
    )
    def test_every_product_is_valid_and_read_again_the_same(self, document: dict[str, Any], urls: list[str]) -> None:
        links = {f"link {at}": url for at, url in enumerate(urls)}
        found = parse_descriptor(json.dumps({**FIXED, **document, "links": links}).encode())
        effective = {name: getattr(found, name) or "" for name in FIXED}
        written = to_odps(found, registered="2026-01-01T00:00:00Z", **effective)
        assert STRICT.is_valid(yaml.safe_load(written)), list(STRICT.iter_errors(yaml.safe_load(written)))
        again = parse_descriptor(written)
        assert {name: getattr(again, name) for name in VALUES} == {name: getattr(found, name) for name in VALUES}
        assert again.reported == (
            f"outputPorts[0].contractId: the contract {found.name!r} is not here; the port is kept, and serves nothing",
        )

    @some
    @given(drawn.descriptors())
    def test_every_product_makes_a_pair(self, document: dict[str, Any]) -> None:
        found = parse_descriptor(json.dumps({**FIXED, **document}).encode())
        effective = {name: getattr(found, name) or "" for name in FIXED}
        product = to_odps(found, **effective)
        contract = to_odcs(found, found.tables, **{name: effective[name] for name in ("owner", "version", "status")})
        again = parse_descriptor(product + b"---\n" + contract)
        assert {name: getattr(again, name) for name in VALUES} == {name: getattr(found, name) for name in VALUES}
        assert again.tables == parse_descriptor(contract).tables
        assert (again.odps, again.odcs) == (product, b"---\n" + contract)
        kept = stored_descriptor(
            json.dumps({name: document[name] for name in ("name", "domain", "description")}).encode(),
            odcs=again.odcs, odps=again.odps,
        )  # fmt: skip
        assert {name: getattr(kept, name) for name in VALUES} == {name: getattr(found, name) for name in VALUES}

    def test_each_half_names_the_other_by_its_author_s_id(self) -> None:
        effective = {"owner": "crm", "access": "open", "version": "1.0.0", "status": "active"}
        contract = parsed(f"{ODCS}dataProduct: customers\ndescription: {{purpose: People}}\n")
        (port,) = yaml.safe_load(to_odps(contract, **effective))["outputPorts"]
        assert port == {"name": "customers", "type": "tables", "version": "1.0.0", "contractId": "c2798941"}
        product = parsed(changed(outputPorts=[{"name": "customers", "contractId": "abc"}]))
        written = yaml.safe_load(to_odcs(product, {}, owner="crm", version="1.0.0", status="active"))
        assert (written["id"], written["dataProduct"]) == ("abc", "customers")


def drawn_by(schema: dict[str, Any], rule: dict[str, Any], depth: int = 3) -> st.SearchStrategy[Any]:
    """Draw values that a rule takes, most of the time."""
    rule = schema["$defs"][rule["$ref"].rpartition("/")[2]] if "$ref" in rule else rule
    if "enum" in rule:
        return st.sampled_from(rule["enum"])
    kind = rule.get("type")
    if kind == "string":
        return st.sampled_from(["a", "1.0.0", "weather", ""])
    if kind == "boolean":
        return st.booleans()
    if kind == "array":
        return st.lists(drawn_by(schema, rule["items"], depth - 1), max_size=2) if depth else st.just([])
    if kind == "object":
        members = (
            {name: drawn_by(schema, each, depth - 1) for name, each in rule["properties"].items()} if depth else {}
        )
        needed = {name: members.pop(name) for name in rule.get("required", ()) if name in members}
        return st.fixed_dictionaries(needed, optional=members)
    return drawn.values


def judged(value: dict[str, Any], minor: int) -> tuple[bool, bool]:
    faults = Faults("f", value, lambda: Places(""), lenient=True)
    check_product(value, minor, faults)
    return len(faults) == 0, not faults.reported


class TestTheSchema:
    @pytest.mark.parametrize("minor", [0, 1])
    @settings(some, max_examples=100)
    @given(st.data())
    def test_our_verdict_is_that_of_a_general_validator(self, minor: int, data: st.DataObject) -> None:
        value = data.draw(drawn_by(SCHEMAS[minor], SCHEMAS[minor]))
        if data.draw(st.booleans()):
            value = data.draw(drawn.twisted(value))
        if isinstance(value, dict):
            right, whole = judged(value, minor)
            assert (right and whole) == VALID[minor].is_valid(value)

    @pytest.mark.parametrize("minor", [0, 1])
    def test_it_uses_no_keyword_that_is_passed_over(self, minor: int) -> None:
        told = {"$schema", "title", "description", "default", "examples", "format"}
        judged_by = {"type", "enum", "required", "properties", "additionalProperties", "items", "$ref", "$defs"}

        def walk(rule: dict[str, Any]) -> None:
            assert rule.keys() <= told | judged_by
            assert rule.get("type", "string") in ("string", "boolean", "array", "object")
            assert rule.get("additionalProperties", False) is False
            assert rule.get("type") != "object" or "properties" in rule
            for each in (*rule.get("properties", {}).values(), *rule.get("$defs", {}).values()):
                walk(each)
            if "items" in rule:
                walk(rule["items"])

        walk(SCHEMAS[minor])

    def test_the_standard_s_words_for_what_is_wrong(self) -> None:
        assert faults_of(changed(version=1.5, tags="a", id=None, outputPorts=[{"type": 1}], managementPorts=[3])) == [
            (None, "'id' is missing (ODPS)"),
            ("version", "'version' must be a text, not 1.5 (ODPS)"),
            ("tags", "'tags' must be a list, not \"a\" (ODPS)"),
            ("outputPorts[0]", "'name' is missing (ODPS)"),
            ("outputPorts[0].type", "'type' must be a text, not 1 (ODPS)"),
            ("managementPorts[0]", "an item of 'managementPorts' must be an object, not 3 (ODPS)"),
        ]


def refused(document: bytes) -> MeshError | None:
    try:
        parse_descriptor(document)
    except MeshError as error:
        return error
    return None


class TestHostileDocuments:
    @settings(some, max_examples=100)
    @given(st.data())
    def test_anything_in_a_product(self, data: st.DataObject) -> None:
        value = data.draw(drawn_by(SCHEMAS[1], SCHEMAS[1]))
        value = data.draw(
            drawn.twisted({**value, "kind": "DataProduct", "apiVersion": "v1.1.0", "name": "a", "domain": "b"})
        )
        refusal = refused(json.dumps(value).encode())
        assert refusal is None or (refusal.exit_code == 1 and refusal.violations and json.dumps(refusal.problem()))

    @some
    @given(st.data())
    def test_broken_pairs(self, data: st.DataObject) -> None:
        document = data.draw(drawn.broken(f"{ODPS}---\n{ODCS}".encode()))
        refusal = refused(document)
        assert refusal is None or (refusal.exit_code == 1 and refusal.violations)
        if refusal is None:
            found = parse_descriptor(document)
            assert document in ((found.odps or b"") + (found.odcs or b""), found.odps, found.odcs)

    @pytest.mark.parametrize(
        "document",
        [
            f"{ODPS}x: &a [b, b, b, b, b, b, b, b]\n" + "".join(f"x{n}: &b{n} [*a, *a, *a]\n" for n in range(9)),
            f"a: &a [{'x, ' * 1000}]\nb: &b [{'*a, ' * 1000}]\nkind: DataProduct\n",
            f"kind: DataProduct\ndescription: {'[' * 5000}{']' * 5000}\n",
            f"kind: DataProduct\ndescription: {'{a: ' * 90}1{'}' * 90}\n",
            "kind: DataProduct\nname: &a {b: *a}\n",
            "kind: !!python/object/apply:os.system [id]\n",
            f"{ODPS}---\nkind: DataContract\napiVersion: *a\n",
            f"kind: DataProduct\napiVersion: v1.1.0\nname: {'n' * 900_000}\n",
            f"kind: DataProduct\napiVersion: v1.1.0\ninputPorts: [{'3, ' * 200_000}]\n",
            f"kind: DataProduct\napiVersion: v1.1.0\ninputPorts: [{'{}, ' * 60_000}]\n",
            f"kind: DataProduct\napiVersion: v1.1.0\nid: {'9' * 100_000}\n",
            "kind: DataProduct\napiVersion: 1e400\n",
            f"{ODPS}---\n" * 50_000,
        ],
        ids="bomb aliases deep nested self tag stranger long ports empty number infinite many".split(),
    )
    def test_bombs(self, document: str) -> None:
        with pytest.raises(MeshError) as raised:
            parse_descriptor(document.encode())
        assert raised.value.exit_code == 1
        assert len(json.dumps(raised.value.problem())) < 300_000
