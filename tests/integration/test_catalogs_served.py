"""Catalogs outside the mesh beside a real server: found among what is installed, followed, killed, hanging."""

from __future__ import annotations

import json
import time
from collections import Counter

import httpx
import pytest
from rdflib import DCTERMS, RDF, Graph, Namespace

from tests.integration.running import cli, cli_json, make_home, register, up
from tests.integration.stand_in_catalog import StandIn, install
from thinmesh.adapters.dcat.nodes import RIGHTS

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")

DCAT = Namespace("http://www.w3.org/ns/dcat#")
# The mandatory properties of DCAT-AP 3 (https://semiceu.github.io/DCAT-AP/releases/3.0.0/), and what we promise beyond.
MANDATORY = {
    DCAT.Catalog: {DCTERMS.title, DCTERMS.description, DCTERMS.publisher, DCAT.dataset},
    DCAT.DatasetSeries: {DCTERMS.title, DCTERMS.description, DCTERMS.publisher, DCAT.contactPoint, DCAT.theme},
    DCAT.Dataset: {DCTERMS.title, DCTERMS.description, DCTERMS.publisher, DCTERMS.accessRights, DCTERMS.conformsTo},
    DCAT.Distribution: {DCAT.accessURL, DCAT.downloadURL, DCAT.mediaType, DCTERMS["format"]},
}


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    folder = tmp_path / "catalog"
    monkeypatch.setenv("PYTHONPATH", install(tmp_path / "packages", folder))
    return StandIn(folder)


@pytest.fixture
def home(tmp_path):
    home, token = make_home(tmp_path)
    cli_json("team", "create", "shop", "--domain", "aviation", home=home)
    return home, token


def until(true, seconds=60):
    """Wait for something that follows by itself."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def states(home, **more):
    return {each["product"]: each["state"] for each in cli_json("catalog", "status", home=home)["items"]}


def test_what_one_command_registers_is_in_the_catalog_and_everybody_can_follow_it(home, catalog):
    home, token = home
    assert [each["type"] for each in register(home, "before")["conditions"]] == ["queryable"]
    assert cli_json("catalog", "status", home=home) == {"items": [], "next": None, "catalogs": []}
    with up(home) as url:
        catalog.fault("refuse", "bad")
        catalog.fault("hang", "*")  # else it may have been told before the answer is made
        for name in ("flights", "bad"):
            assert register(home, name)["conditions"][-1]["state"] == "pending"
        catalog.fault("hang")
        until(lambda: states(home) == {"before": "done", "flights": "done", "bad": "failed"})
        assert set(catalog.shown()) == {"before", "flights"}
        assert cli_json("show", "flights", home=home)["conditions"][-1]["state"] == "done"
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            found = client.get("/operations/v1/catalogs", params={"state": "failed"}).json()
            assert [(each["product"], each["catalog"], each["error"]) for each in found["items"]] == [
                ("bad", "stand_in", "bad is not to its liking")
            ]
            (about,) = found["catalogs"]
            assert about == {
                "catalog": "stand_in", "done": 2, "pending": 0, "failed": 1,
                "since": None, "error": None, "retry": None,
            }  # fmt: skip
            catalog.fault("refuse")
            with httpx.Client(base_url=url, headers={"Origin": url}, timeout=60) as browser:
                assert browser.post("/sign-in", data={"token": token, "next": "/"}).status_code == 303
                page = browser.get("/status").text
                assert "bad is not to its liking" in page
                assert "Send again" in page
                assert browser.post("/status/retry").headers["location"] == "/status#catalogs"
            until(lambda: states(home)["bad"] == "done")
            reply = client.post("/operations/v1/catalogs/retry")
            assert (reply.status_code, reply.json()["retried"]) == (200, 0)
            told = cli("catalog", "retry", home=home).stdout
            assert "Nothing to put back: nothing was refused, and nothing waits." in told
            assert "thinmesh rebuild catalogs" in told
        (catalog.folder / "products" / "flights.json").unlink()
        assert cli_json("rebuild", "catalogs", home=home)["rebuilt"]["catalogs"] == {
            "compared": 3, "repaired": 1, "removed": 0,
        }  # fmt: skip
        told = cli("catalog", "status", home=home).stdout
        assert "3 done, 0 pending, 0 failed" in told
    (projection,) = [each for each in cli_json("status", home=home)["projections"] if each["name"] == "catalogs"]
    assert projection["lag"] == 0


def test_on_a_home_that_is_not_served_a_retry_delivers(home, catalog):
    home, _ = home
    with up(home):
        pass
    assert register(home, "flights")["conditions"][-1] | {"since": ""} == {
        "type": "catalogued", "state": "pending", "reason": "stand_in: not delivered yet", "since": "",
    }  # fmt: skip
    assert catalog.shown() == {}
    rows = cli("catalog", "status", home=home).stdout.splitlines()
    assert [line.split()[-1] for line in rows if line.startswith("flights")] == ["soon"]
    cli_json("catalog", "retry", home=home)
    assert set(catalog.shown()) == {"flights"}
    assert states(home) == {"flights": "done"}
    catalog.fault("refuse", "flights")
    register(home, "flights", description="Changed")
    cli("catalog", "retry", home=home)
    assert states(home) == {"flights": "failed"}
    catalog.fault("refuse")
    told = cli("catalog", "retry", home=home).stdout
    assert "Put back: 1 product that was refused or waited. It is sent at once" in told
    assert "1 done, 0 pending, 0 failed" in told


def test_the_next_attempt_is_shown_while_a_catalog_does_not_answer(home, catalog):
    home, _ = home
    catalog.fault("down", "*")
    with up(home):
        for number in range(8):
            register(home, f"p{number}")
        until(lambda: cli_json("catalog", "status", home=home)["catalogs"][0]["retry"])
        told = cli("doctor", home=home).stdout
        assert "stand_in has not answered since 20" in told
        assert "8 products wait, and are sent when it does; nothing needs doing here" in told
        assert "rebuild" not in told
    found = cli_json("catalog", "status", home=home)
    asked = found["catalogs"][0]["retry"]
    rows = {
        line.split()[0]: line for line in cli("catalog", "status", home=home).stdout.splitlines() if line[:1] == "p"
    }
    rows.pop("product")
    assert len(rows) == 8
    for each in found["items"]:
        assert max(asked, each["retry"] or "") in rows[each["product"]]


def test_a_catalog_that_hangs_delays_neither_producers_nor_the_end_of_the_server(home, catalog):
    home, token = home
    catalog.fault("hang", "*")
    with up(home) as url:
        register(home, "first")
        until(lambda: (home / "run").exists())
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            for number in range(20):
                document = {"name": f"p{number}", "domain": "aviation", "description": "x", "owner": "shop"}
                assert client.post("/product/v1/products", json=document, timeout=60).status_code == 201
            assert client.get("/operations/v1/catalogs").json()["catalogs"][0]["pending"] == 21
        began = time.monotonic()
    assert time.monotonic() - began < 25  # its own promise is 3 s; the rest is a slow machine's
    catalog.fault("hang")
    with up(home):
        until(lambda: set(states(home).values()) == {"done"})
    assert len(catalog.shown()) == 21


def test_the_page_says_of_a_single_product_too_that_the_catalog_does_not_answer(home, catalog):
    home, token = home
    catalog.fault("down", "*")
    with up(home) as url:
        register(home, "lone")
        until(lambda: cli_json("catalog", "status", home=home)["items"][0]["error"])
        with httpx.Client(base_url=url, headers={"Origin": url}, timeout=60) as browser:
            assert browser.post("/sign-in", data={"token": token, "next": "/"}).status_code == 303
            page = browser.get("/status").text
            assert "trying again" in page
            assert "catalog.example.org does not answer" in page
            assert "a catalog outside the mesh does not take in what is new" in page
            catalog.fault("down")
            assert browser.post("/status/retry").status_code == 303
            until(lambda: states(home) == {"lone": "done"})
            page = browser.get("/status").text
            assert "does not answer" not in page
            assert "Everything that was accepted is served everywhere." in page


def test_a_catalog_whose_settings_are_gone_is_forgotten(home, catalog):
    home, _ = home
    with up(home):
        register(home, "flights")
        until(lambda: states(home) == {"flights": "done"})
    catalog.fault("absent", "*")
    with up(home):
        assert cli_json("catalog", "status", home=home)["catalogs"] == []
        assert [each["type"] for each in register(home, "more")["conditions"]] == ["queryable"]
    assert "is set up" in cli("catalog", "status", home=home).stdout


# DCAT -----------------------------------------------------------------------------------------------------------


def test_the_catalog_document_is_dcat_ap_and_says_what_the_mesh_says(home, tmp_path):
    home, token = home
    with up(home) as url:
        register(home, "weather", tags=["hourly", "reference"], tables={"wind": {"columns": {"speed": "number"}}})
        register(home, "pay", access="request", tables={"wages": {"columns": {"wage": "integer"}}})
        register(home, "flights", description='Née "départs" <b>\n\u202e', inputs=["weather"])
        (tmp_path / "flights.csv").write_text("id\n1\n")
        cli_json("publish", "flights", str(tmp_path / "flights.csv"), home=home)
        address = f"{url}/product/v1/catalog.jsonld"
        assert httpx.get(address, timeout=60).status_code == 401
        assert "weather" in httpx.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=60).text
        cli_json("retire", "weather", "--successor", "flights", home=home)
        with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            reply = client.get(address)
            assert (reply.status_code, reply.headers["content-type"]) == (200, "application/ld+json")
            etag = reply.headers["etag"]
            for same in (etag, f'W/{etag}, "other"', "*"):
                assert client.get(address, headers={"If-None-Match": same}).status_code == 304
            assert client.get(address).text == reply.text
            graph = Graph().parse(data=reply.text, format="json-ld")
            for each in graph.objects(None, DCAT.downloadURL):
                assert client.get(str(each)).status_code == 200
            for each in graph.objects(None, DCTERMS.conformsTo):
                assert client.get(str(each)).status_code in (200, 410)
            register(home, "more")
            after = client.get(address, headers={"If-None-Match": etag})
            assert (after.status_code, after.headers["etag"] == etag) == (200, False)
    for kind, properties in MANDATORY.items():
        members = set(graph.subjects(RDF.type, kind))
        assert members, kind
        for each in members:
            assert properties <= set(graph.predicates(each)), each
    listed = set(graph.objects(None, DCAT.dataset))
    assert listed == set(graph.subjects(RDF.type, DCAT.Dataset))
    assert Counter(str(graph.value(each, DCTERMS.identifier)) for each in listed) == Counter(
        ["weather", "weather.wind", "pay", "pay.wages", "flights", "flights.flights"]
    )
    flights = _named(graph, "flights")
    assert str(graph.value(flights, DCTERMS.description)) == 'Née "départs" <b>\n\u202e'
    assert graph.value(flights, DCTERMS.source) == _named(graph, "weather.wind")
    assert str(graph.value(_named(graph, "pay.wages"), DCTERMS.accessRights)) == RIGHTS["request"]
    assert graph.value(_named(graph, "weather"), DCTERMS.isReplacedBy) == flights
    assert {str(each) for each in graph.objects(_named(graph, "weather"), DCAT.keyword)} == {"hourly", "reference"}
    published = graph.value(flights, DCTERMS.modified).toPython()
    assert published > graph.value(flights, DCTERMS.issued).toPython()


def _named(graph, identifier):
    (found,) = [each for each, said in graph.subject_objects(DCTERMS.identifier) if str(said) == identifier]
    return found


def test_the_document_knows_the_address_that_others_use(home):
    home, token = home
    (home / "thinmesh.toml").write_text('[server]\nurl = "https://mesh.example.org/data"\n')
    register(home, "flights")
    with up(home) as url:
        reply = httpx.get(f"{url}/product/v1/catalog.jsonld", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert json.loads(reply.text)["@context"]["@base"] == "https://mesh.example.org/data/"
    graph = Graph().parse(data=reply.text, format="json-ld")
    assert str(_named(graph, "flights")) == "https://mesh.example.org/data/products/flights#product"
