"""DataHub as a catalog: the real emitter, against a stand-in that judges, drops and fails."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from thinmesh.adapters.datahub import open_catalog, products
from thinmesh.adapters.datahub.catalog import DataHubCatalog
from thinmesh.adapters.datahub.names import Names
from thinmesh.adapters.datahub.proposals import Proposal, joined
from thinmesh.adapters.datahub.server import Server
from thinmesh.kernel.errors import Refused, Temporary
from thinmesh.kernel.settings import Settings, load_settings

from .datahub_products import PUBLISHED, RICH, changed, record, wide
from .datahub_stand_in import StandIn

NAMES = Names()
READ = "/openapi/v3/entity/dataset/batchGet"
PRODUCT = NAMES.data_product("flights")
ICEBERG = NAMES.iceberg("flights", "flights")
AIRLINES = NAMES.iceberg("flights", "airlines")
CSV = NAMES.csv(record().product, "flights")


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn() as found:
        yield found


def catalog(service: StandIn, *, seconds: float = 20.0, token: str = "", instance: str = "") -> DataHubCatalog:
    return DataHubCatalog(Server(service.url, lambda: token, "thinmesh", seconds), instance)


def kinds(service: StandIn) -> list[tuple[str, str]]:
    return [(each["entityType"], each["aspectName"]) for batch in service.batches for each in batch]


# What is sent ---------------------------------------------------------------------------------------------------


def test_a_product_is_one_request_and_all_of_it_is_there(service):
    told, datahub = record(), catalog(service)
    assert datahub.differences(told)
    datahub.put(told)
    assert len(service.batches) == 2, "what products share, and the product"
    assert datahub.differences(told) == []
    assert list(datahub.products()) == ["flights"]
    properties = service.aspect(PRODUCT, "dataProductProperties")
    assert properties["name"] == "flights"
    assert properties["description"] == "Departures from New York, 2013"
    assert properties["externalUrl"] == "https://mesh.example.org/products/flights"
    assert sorted(each["destinationUrn"] for each in properties["assets"]) == sorted([CSV, ICEBERG, AIRLINES])
    assert service.aspect(PRODUCT, "ownership")["owners"][0]["owner"] == "urn:li:corpGroup:flights_team"
    group = service.aspect("urn:li:corpGroup:flights_team", "corpGroupInfo")
    assert group["members"] == ["urn:li:corpuser:ann@example.org", "urn:li:corpuser:bob"]
    links = {each["url"] for each in service.aspect(PRODUCT, "institutionalMemory")["elements"]}
    assert links == {"https://mesh.example.org/products/flights", "https://example.org/r"}
    schema = service.aspect(ICEBERG, "schemaMetadata")
    assert schema["primaryKeys"] == ["carrier", "time_hour"]
    assert [each["nativeDataType"] for each in schema["fields"][:4]] == [
        "BIGINT", "VARCHAR", "DECIMAL(10,2)", "TIMESTAMP WITH TIME ZONE",
    ]  # fmt: skip
    assert [each["foreignDataset"] for each in schema["foreignKeys"]] == [AIRLINES, NAMES.iceberg("years", "years")]


def test_what_is_sent_is_what_the_emitter_would_send_left_to_itself(service):
    from datahub.emitter.rest_emitter import DataHubRestEmitter, EmitMode
    from datahub.metadata.schema_classes import (
        GenericAspectClass,
        MetadataChangeProposalClass,
        SystemMetadataClass,
    )

    sent = joined(products.proposals(record(), NAMES, {}))
    Server(service.url, lambda: "t0ken", "thinmesh").emit(sent)
    emitter = DataHubRestEmitter(service.url, token="t0ken", openapi_ingestion=False, retry_max_times=0)
    system = SystemMetadataClass(runId="thinmesh", properties={"appSource": "thinmesh"})
    plain = [
        MetadataChangeProposalClass(
            entityType=each.entity,
            changeType=each.change,
            entityUrn=each.urn,
            aspectName=each.aspect,
            aspect=GenericAspectClass(each.content().encode(), each.document()["aspect"]["contentType"]),
            systemMetadata=system,
        )
        for each in sent
    ]
    emitter.emit_mcps(plain, EmitMode.SYNC_PRIMARY)
    emitter.close()
    ours, theirs = service.batches
    assert len(ours) == len(sent) > 20
    for each in (*ours, *theirs):
        each["systemMetadata"].pop("lastObserved")  # now
        each["systemMetadata"].pop("lastRunId", None)  # that there is none, in DataHub's own words
    assert ours == theirs


def test_more_changes_than_the_server_takes_at_once_go_in_as_many_requests_as_the_emitter_makes(service):
    many = [Proposal(NAMES.iceberg("p", f"t{number}"), "status", {"removed": False}) for number in range(450)]
    Server(service.url, str, "thinmesh").emit(many)
    assert [len(batch) for batch in service.batches] == [200, 200, 50]
    assert [each["entityUrn"] for batch in service.batches for each in batch] == [each.urn for each in many]


def test_more_bytes_than_the_server_takes_at_once_go_in_several_requests(service):
    from datahub.emitter.rest_emitter import INGEST_MAX_PAYLOAD_BYTES

    many = [
        Proposal(NAMES.iceberg("p", f"t{number}"), "datasetProperties", {"name": "t", "description": "x" * 1_000_000})
        for number in range(20)
    ]
    Server(service.url, str, "thinmesh").emit(many)
    assert len(service.batches) == 2
    assert max(sum(len(json.dumps(each)) for each in batch) for batch in service.batches) <= INGEST_MAX_PAYLOAD_BYTES
    assert [each["entityUrn"] for batch in service.batches for each in batch] == [each.urn for each in many]


def test_lineage_leads_from_the_inputs_over_git_to_the_warehouse(service):
    catalog(service).put(record())
    found = {urn: [each["dataset"] for each in service.aspect(urn, "upstreamLineage")["upstreams"]]
             for urn in (CSV, ICEBERG, AIRLINES)}  # fmt: skip
    inputs = [NAMES.iceberg("weather", "stations"), NAMES.iceberg("weather", "weather")]
    assert found == {ICEBERG: [CSV], CSV: inputs, AIRLINES: inputs}


def test_a_contract_asserts_and_tells_how_it_was_last_judged(service):
    catalog(service).put(record())
    contract = service.aspect(NAMES.contract("flights", "flights"), "dataContractProperties")
    assert contract["entity"] == ICEBERG
    assert contract["rawContract"].startswith("apiVersion:")
    [freshness] = contract["freshness"]
    schedule = service.aspect(freshness["assertion"], "assertionInfo")["freshnessAssertion"]["schedule"]
    assert schedule == {"type": "FIXED_INTERVAL", "fixedInterval": {"unit": "DAY", "multiple": 1}}
    results = {
        service.aspect(urn, "assertionInfo")["description"]: value["result"]["type"]
        for urn, aspect, value in service.timed
        if aspect == "assertionRunEvent" and value["asserteeUrn"] == ICEBERG
    }
    assert results == {
        "flights.flights has the columns of its contract.": "SUCCESS",
        "flights: rowCount must be greater than 10": "SUCCESS",
        "flights: some": "SUCCESS",
        "flights.carrier: no nulls": "FAILURE",
    }
    assert len(contract["dataQuality"]) == 4, "the rule in plain words is told, and was not judged"


def test_closed_and_classified_data_is_described_and_not_counted(service):
    """Even where whoever makes the record gives what must not leave."""
    secret = json.loads(json.dumps(RICH))
    secret["tables"]["flights"]["columns"][1] |= {"classification": "personal", "examples": ["AA-SECRET"]}
    for told in (record({**RICH, "access": "request"}), record(secret)):
        service.timed.clear()
        service.batches.clear()
        catalog(service).put(replace(told, rows={"flights": 4711}, quality={"measured": []}))
        sent = json.dumps(service.batches)
        assert {aspect for urn, aspect, _ in service.timed if urn in (ICEBERG, CSV)} == {"operation"}
        assert all(urn != ICEBERG and value["asserteeUrn"] != ICEBERG
                   for urn, aspect, value in service.timed if aspect == "assertionRunEvent")  # fmt: skip
        assert "4711" not in sent
        assert "AA-SECRET" not in sent
        assert service.aspect(ICEBERG, "schemaMetadata")["fields"][1]["description"] == "IATA code"
    tags = service.aspect(ICEBERG, "schemaMetadata")["fields"][1]["globalTags"]["tags"]
    assert tags == [{"tag": "urn:li:tag:classification: personal"}]


def test_open_data_is_counted(service):
    catalog(service).put(record())
    profile = next(value for urn, aspect, value in service.timed if (urn, aspect) == (ICEBERG, "datasetProfile"))
    assert (profile["rowCount"], profile["columnCount"]) == (12, 9)
    assert profile["timestampMillis"] == 1772366400000, PUBLISHED


def test_what_is_retired_is_deprecated_and_can_come_back(service):
    datahub = catalog(service)
    datahub.put(record(status="retired", successor="better"))
    found = service.aspect(ICEBERG, "deprecation")
    assert (found["deprecated"], found["note"]) == (True, "Retired. Use better.")
    datahub.put(record())
    assert service.aspect(ICEBERG, "deprecation")["deprecated"] is False
    assert datahub.differences(record()) == []


@pytest.mark.parametrize("told", [wide(2000), wide(0), wide(1, tables=500), record(published=False, url=None)],
                         ids=["2000 columns", "no columns", "500 tables", "no data"])  # fmt: skip
def test_every_size_goes(service, told):
    datahub = catalog(service)
    datahub.put(told)
    assert datahub.differences(told) == []


# Some 100 kB, of every kind of letter, and a little more in the JSON that a descriptor comes in.
LONG = "Ein längerer Satz: <b>what it is</b> & مرحبا 😀\n" * 2_000


def test_descriptions_of_100_kb_are_there_wholly_and_in_one_request(service):
    document = json.loads(json.dumps(RICH))
    flights = document["tables"]["flights"]
    document["description"] = flights["description"] = flights["columns"][1]["description"] = LONG
    told, datahub = record(document), catalog(service)
    datahub.put(told)
    assert len(LONG.encode()) > 100_000
    assert len(service.batches) == 2, "what products share, and the product"
    assert datahub.differences(told) == []
    assert service.aspect(PRODUCT, "dataProductProperties")["description"] == LONG
    for urn in (CSV, ICEBERG):
        assert service.aspect(urn, "datasetProperties")["description"] == LONG
        assert service.aspect(urn, "schemaMetadata")["fields"][1]["description"] == LONG
    datahub.put(changed(told, description=LONG + "more"))
    assert service.aspect(PRODUCT, "dataProductProperties")["description"] == LONG + "more"


def test_two_meshes_feed_one_datahub_and_do_not_meet(service):
    ours, theirs = catalog(service, instance="north"), catalog(service, instance="south")
    ours.put(record())
    theirs.put(record())
    ours.remove("flights")
    assert (list(ours.products()), list(theirs.products())) == ([], ["flights"])
    assert theirs.differences(record()) == []


# What people wrote -----------------------------------------------------------------------------------------------


def test_what_people_wrote_stays(service):
    """A description, tags, owners, links, lineage and assets of theirs, on everything and over changes of ours."""
    datahub = catalog(service)
    datahub.put(record())
    for urn in (PRODUCT, ICEBERG, CSV):
        service.aspect(urn, "globalTags")["tags"].append({"tag": "urn:li:tag:theirs"})
        service.aspect(urn, "ownership")["owners"].append({"owner": "urn:li:corpuser:them", "type": "DATA_STEWARD"})
        service.edit(urn, "glossaryTerms", {"terms": [{"urn": "urn:li:glossaryTerm:x"}]})
        service.aspect(urn, "institutionalMemory")["elements"].append(
            {"url": "https://theirs", "description": "d", "createStamp": {"time": 1, "actor": "urn:li:corpuser:them"}}
        )
    service.edit(ICEBERG, "editableDatasetProperties", {"description": "Theirs"})
    service.edit(ICEBERG, "editableSchemaMetadata", {"editableSchemaFieldInfo": [{"fieldPath": "year"}]})
    service.aspect(ICEBERG, "upstreamLineage")["upstreams"].append({"dataset": AIRLINES, "type": "VIEW"})
    service.edit(AIRLINES, "deprecation", {"deprecated": True, "note": "n", "actor": "urn:li:corpuser:them"})
    properties = service.aspect(PRODUCT, "dataProductProperties")
    properties["description"], properties["name"] = "Theirs", "Flights!"
    properties["assets"].append({"destinationUrn": "urn:li:dashboard:(looker,x)"})
    service.edit("urn:li:domain:aviation", "domainProperties", {"name": "Aviation", "description": "Theirs"})
    later = changed(record(), description="Better said", tags=["new"], owner="others", inputs=None, links=None)
    datahub.put(later)
    assert datahub.differences(later) == []
    for urn in (PRODUCT, ICEBERG, CSV):
        tags = {each["tag"] for each in service.aspect(urn, "globalTags")["tags"]}
        assert tags == {"urn:li:tag:theirs", "urn:li:tag:new"}
        owners = {each["owner"] for each in service.aspect(urn, "ownership")["owners"]}
        assert owners == {"urn:li:corpuser:them", "urn:li:corpGroup:others"}
        assert service.aspect(urn, "glossaryTerms")["terms"]
        links = {each["url"] for each in service.aspect(urn, "institutionalMemory")["elements"]}
        assert links == {"https://theirs", "https://mesh.example.org/products/flights"}
    assert service.aspect(ICEBERG, "editableDatasetProperties") == {"description": "Theirs"}
    assert service.aspect(ICEBERG, "editableSchemaMetadata")["editableSchemaFieldInfo"]
    assert {each["dataset"] for each in service.aspect(ICEBERG, "upstreamLineage")["upstreams"]} == {CSV, AIRLINES}
    assert service.aspect(CSV, "upstreamLineage")["upstreams"] == []
    assert service.aspect(AIRLINES, "deprecation")["deprecated"] is True
    properties = service.aspect(PRODUCT, "dataProductProperties")
    assert (properties["description"], properties["name"]) == ("Theirs", "Flights!")
    assert "urn:li:dashboard:(looker,x)" in {each["destinationUrn"] for each in properties["assets"]}
    assert service.aspect("urn:li:domain:aviation", "domainProperties")["description"] == "Theirs"


def test_who_joins_or_leaves_a_team_later_is_no_change_of_its_products(service):
    """The group is theirs once it is there; a team of a thousand products is not a thousand deliveries."""
    datahub = catalog(service)
    datahub.put(record())
    later = replace(record(), members=("cleo",))
    assert datahub.differences(later) == []
    group = service.aspect("urn:li:corpGroup:flights_team", "corpGroupInfo")
    assert group["members"] == ["urn:li:corpuser:ann@example.org", "urn:li:corpuser:bob"]


def test_our_own_description_follows_until_somebody_writes_another(service):
    datahub = catalog(service)
    datahub.put(record())
    datahub.put(changed(record(), description="Second"))
    assert service.aspect(PRODUCT, "dataProductProperties")["description"] == "Second"


def test_what_people_edit_is_never_written_whole(service):
    catalog(service).put(record())
    whole = {(each["aspectName"]) for batch in service.batches for each in batch if each["changeType"] == "UPSERT"}
    edited = {"globalTags", "ownership", "glossaryTerms", "institutionalMemory", "structuredProperties",
              "dataProductProperties", "upstreamLineage", "editableDatasetProperties", "editableSchemaMetadata",
              "access", "dataProducts"}  # fmt: skip
    assert whole & edited == set()


# What is no more -------------------------------------------------------------------------------------------------


def test_tables_rules_and_places_that_are_no_more_are_removed(service):
    datahub = catalog(service)
    datahub.put(record())
    document = json.loads(json.dumps(RICH))
    del document["tables"]["airlines"]
    document["tables"]["flights"].pop("quality")
    document["tables"]["flights"].pop("references")
    fewer = record(document, git=())
    assert datahub.differences(fewer)
    datahub.put(fewer)
    assert datahub.differences(fewer) == []
    removed = {urn for urn, each in service.store.items() if each.get("status", {}).get("removed")}
    assert {CSV, AIRLINES, NAMES.contract("flights", "airlines")} < removed
    assert len([urn for urn in removed if ":assertion:" in urn and ".rule_" in urn]) == 3
    assets = service.aspect(PRODUCT, "dataProductProperties")["assets"]
    assert [each["destinationUrn"] for each in assets] == [ICEBERG]
    datahub.put(record())
    assert not any(each["status"]["removed"] for each in service.store.values() if "status" in each)


def test_what_is_not_ours_is_not_removed_for_its_name(service):
    """A data set of another ingestion is called like a table of ours, and somebody made it part of the product."""
    datahub = catalog(service)
    datahub.put(record())
    foreign = NAMES.iceberg("flights", "copy")
    service.edit(foreign, "datasetProperties", {"name": "copy"})
    service.aspect(PRODUCT, "dataProductProperties")["assets"].append({"destinationUrn": foreign})
    datahub.put(changed(record(), description="Second"))
    assert service.aspect(foreign, "status") is None
    assert foreign in {each["destinationUrn"] for each in service.aspect(PRODUCT, "dataProductProperties")["assets"]}


def test_a_change_is_one_request_of_what_changed(service):
    datahub = catalog(service)
    datahub.put(record())
    service.batches.clear()
    datahub.put(changed(record(), tags=["reference", "new"], owner="others"))
    [shared, batch] = service.batches
    assert {each["entityType"] for each in shared} == {"tag", "corpGroup"}
    sent = {each["aspectName"] for each in batch}
    assert sent == {"globalTags", "ownership", "dataContractProperties", "datasetProfile", "operation",
                    "assertionRunEvent"}, "the contract's own text names tags and owner"  # fmt: skip


def test_several_products_are_a_request_each_between_one_that_reads_before_and_one_after(service):
    datahub, several = catalog(service), [changed(wide(1, name=f"p{number}")) for number in range(5)]
    datahub.put(wide(1, name="before"))  # and what they share
    service.batches.clear()
    service.requests.clear()
    datahub.put_several(several)
    assert [path for path in service.requests if path != "/config"] == [READ, *["/aspects"] * 5, READ]
    named = [{entity["entityUrn"] for entity in batch if entity["entityType"] == "dataProduct"}
             for batch in service.batches]  # fmt: skip
    assert named == [{NAMES.data_product(f"p{number}")} for number in range(5)]
    assert [datahub.differences(each) for each in several] == [[]] * 5


def test_removing_takes_only_what_this_mesh_made(service):
    datahub = catalog(service)
    datahub.put(record())
    service.aspect(AIRLINES, "datasetProperties")["customProperties"] = {"made": "by another ingestion"}
    foreign = "urn:li:dataProduct:thinmesh.theirs"
    service.edit(foreign, "dataProductProperties", {"name": "made by hand under our kind of name"})
    before = json.dumps(service.store[AIRLINES]), json.dumps(service.store[foreign])
    datahub.remove("flights")
    datahub.remove("theirs")
    datahub.remove("never")
    assert before == (json.dumps(service.store[AIRLINES]), json.dumps(service.store[foreign]))
    removed = {urn for urn, each in service.store.items() if each.get("status", {}).get("removed")}
    assert {PRODUCT, CSV, ICEBERG, NAMES.contract("flights", "flights")} < removed
    assert list(datahub.products()) == []
    shared = {each for each in removed if each.split(":")[2] in ("tag", "corpGroup", "domain", "structuredProperty")}
    assert shared == set()


def test_what_somebody_deleted_there_is_seen_and_brought_back(service):
    datahub = catalog(service)
    datahub.put(record())
    for urn in (ICEBERG, "urn:li:domain:aviation", NAMES.contract("flights", "airlines")):
        del service.store[urn]
    service.edit(CSV, "status", {"removed": True})
    found = "\n".join(datahub.differences(record()))
    assert all(urn in found for urn in (ICEBERG, CSV, "urn:li:domain:aviation"))
    datahub.put(record())
    assert datahub.differences(record()) == []


# Bad luck --------------------------------------------------------------------------------------------------------


def test_nobody_there_is_temporary():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = Server(f"http://127.0.0.1:{taken.getsockname()[1]}", lambda: "t0ken", "thinmesh", 30)
        with pytest.raises(Temporary, match="does not answer") as told:
            DataHubCatalog(server).put(record())
    assert "t0ken" not in str(told.value)


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 408, "cut", "half"], ids=str)
def test_trouble_of_the_server_is_temporary_and_the_next_time_makes_it_whole(service, fault):
    datahub = catalog(service)
    datahub.put(wide(1, name="before"))
    service.faults.append(fault)
    with pytest.raises(Temporary):
        datahub.put(record())
    assert len(service.batches) == 3, "the emitter's own repetition is off"
    datahub.put(record())
    assert datahub.differences(record()) == []


def test_a_silent_server_is_given_up_in_time(service):
    service.faults.append("slow")
    with pytest.raises(Temporary, match="in time"):
        catalog(service, seconds=1.0).put(record())


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refusal_is_final_and_says_why(service, status):
    service.faults.append(status)
    with pytest.raises(Refused, match=f"answered {status}: answered {status}"):
        catalog(service).put(record())


def test_a_wrong_token_is_told_and_never_shown():
    with StandIn(token="right") as service:
        catalog(service, token="right").put(record())
        with pytest.raises(Refused, match="401") as told:
            catalog(service, token="wr0ng").put(record())
    assert "datahub.token" in told.value.help
    assert "wr0ng" not in str(told.value)


@pytest.mark.parametrize("status", [302, 307, 308])
def test_nobody_sends_what_is_told_on_to_another_host(status):
    heard = []

    class Elsewhere(BaseHTTPRequestHandler):
        """Knows nothing, and sends on whoever writes."""

        def do_POST(self):
            heard.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            reads = self.path.startswith("/openapi")
            self.send_response(200 if reads else status)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.send_header("Content-Length", "2" if reads else "0")
            self.end_headers()
            self.wfile.write(b"[]" if reads else b"")

        def do_GET(self):
            self.do_POST()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever).start()
        datahub = DataHubCatalog(Server(f"http://127.0.0.1:{server.server_port}", lambda: "t0ken", "thinmesh", 30))
        try:
            with pytest.raises(Refused, match=f"answered {status}"):
                datahub.put(record())
        finally:
            server.shutdown()
    assert [path for path in heard if not path.startswith("/openapi")]
    assert "/elsewhere" not in heard


def test_something_else_that_answers_is_told(service):
    with pytest.raises(Refused, match="404") as told:
        DataHubCatalog(Server(f"{service.url}/elsewhere", lambda: "", "thinmesh")).put(record())
    assert "datahub.url" in told.value.help


@pytest.mark.parametrize("aspect", ["schemaMetadata", "globalTags", "dataProductProperties", "assertionInfo",
                                    "propertyDefinition"])  # fmt: skip
def test_what_was_taken_and_dropped_is_sent_again_once(service, aspect):
    """An answer of 200 says nothing: what is there does."""
    service.strict = False
    datahub = catalog(service)
    service.dropping[aspect] = 1
    datahub.put(record())
    assert datahub.differences(record()) == []
    service.store.clear()
    service.dropping[aspect] = 10**6
    with pytest.raises(Refused, match=aspect) as told:
        catalog(service).put(record())
    assert "did not" in told.value.detail
    assert len(service.batches) <= 8


def test_results_are_sent_again_where_a_batch_was_dropped(service):
    service.strict = False
    service.dropping |= {"assertionRunEvent": 100, "schemaMetadata": 1}
    catalog(service).put(record())
    service.dropping |= {"assertionRunEvent": 0}
    assert [aspect for _, aspect, _ in service.timed].count("operation") >= 3


def test_a_server_that_knows_no_contracts_says_what_it_dropped(service):
    """Half-upgraded: the entity is not known, and the answer is 200 all the same."""
    service.strict = False
    service.dropping |= {"dataContractProperties": 10**6, "dataContractStatus": 10**6}
    with pytest.raises(Refused, match="dataContract"):
        catalog(service).put(record())
    assert service.aspect(ICEBERG, "schemaMetadata"), "all else is there"


# Round the adapter -----------------------------------------------------------------------------------------------


def test_settings_name_it_and_nothing_loads_before_it_is_used(tmp_path):
    assert open_catalog(Settings()) is None
    (tmp_path / "token").write_text("s3cret\n")
    told = {"THINMESH_DATAHUB__URL": "http://127.0.0.1:1", "THINMESH_DATAHUB__TOKEN": str(tmp_path / "token")}
    settings = load_settings(None, told)
    found = open_catalog(settings)
    assert found is not None
    assert found.name == "datahub"
    code = (
        "import sys; from thinmesh.kernel.settings import load_settings;"
        "from thinmesh.adapters.datahub import open_catalog;"
        f"open_catalog(load_settings(None, {told!r})); print('datahub' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_it_is_found_by_its_entry_point():
    from importlib.metadata import entry_points

    [found] = entry_points(group="thinmesh.catalogs", name="datahub")
    assert found.load() is open_catalog


def test_a_missing_package_names_its_install_command(service):
    code = (
        "import sys; sys.modules['datahub'] = None\n"
        "from thinmesh.kernel.settings import load_settings\n"
        "from thinmesh.adapters.datahub import open_catalog\n"
        "from tests.integration.datahub_products import record\n"
        f"found = open_catalog(load_settings(None, {{'THINMESH_DATAHUB__URL': {service.url!r}}}))\n"
        "try:\n    found.put(record())\n"
        "except Exception as error:\n    print(type(error).__name__, error.detail)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    assert done.stdout.strip() == "Temporary DataHub's package is not installed: pip install 'thinmesh[datahub]'", done


# A real one ------------------------------------------------------------------------------------------------------


@pytest.fixture
def real() -> Iterator[DataHubCatalog]:
    """Opt-in, in CI too: DataHub comes as container images only, which not every place can run."""
    url = os.environ.get("THINMESH_TEST_DATAHUB_URL")
    if not url:
        pytest.skip("not against a real DataHub: THINMESH_TEST_DATAHUB_URL names none (opt-in)")
    token = os.environ.get("THINMESH_TEST_DATAHUB_TOKEN", "")
    found = DataHubCatalog(Server(url, lambda: token, "thinmesh-test"), f"test-{uuid4().hex[:8]}")
    yield found
    found.remove("flights")


def test_a_real_datahub_shows_a_product(real: DataHubCatalog, record_property: Callable[..., None]) -> None:
    told: list[Any] = [
        record(),
        record(),
        changed(record(), description="Better said", tags=["new"], owner="others", inputs=None, links=None),
        record({**RICH, "access": "request"}),
        record(status="retired", successor="better"),
        record(),
    ]
    for each in told:
        real.put(each)
        assert real.differences(each) == []
    record_property("held", ("products shown by a real DataHub", len(told), len(told)))
    real.remove("flights")
    assert real.differences(record())


# A trial ---------------------------------------------------------------------------------------------------------


def test_the_compose_file_holds_together():
    """It cannot be started here: what it names is there, and nothing of it is open to the network."""
    import yaml

    found = yaml.safe_load((Path(__file__).parents[2] / "deploy" / "datahub" / "compose.yml").read_text())
    services = found["services"]
    assert {name for each in services.values() for name in each.get("depends_on", ())} <= services.keys()
    volumes = {volume.split(":")[0] for each in services.values() for volume in each.get("volumes", ())}
    assert volumes == found["volumes"].keys()
    ports = [port for each in services.values() for port in each.get("ports", ())]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)
