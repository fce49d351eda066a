"""Catalogs outside the mesh: the conformance suites over the stand-in and over DCAT."""

from __future__ import annotations

import pytest
from rdflib import DCTERMS, RDF, Graph, Namespace

from tests.integration.stand_in_catalog import StandIn
from thinmesh.adapters.dcat.catalog import DcatCatalog
from thinmesh.adapters.dcat.nodes import DEPRECATED
from thinmesh.adapters.sql.deliveries import SqlCatalogNodes
from thinmesh.adapters.sql.schema import migrate
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.bootstrap import init_home, open_home
from thinmesh.conformance.catalog import (
    CatalogConformance,
    CatalogWorld,
    OutsideCatalogConformance,
    OutsideWorld,
)
from thinmesh.planes.product.deliveries import Deliveries
from thinmesh.planes.product.records import Records

# rdflib warns of its own class.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")

DCAT = Namespace("http://www.w3.org/ns/dcat#")  # rdflib knows version 2 of it
ADMS = Namespace("http://www.w3.org/ns/adms#")
RIGHTS = {"RESTRICTED": "open", "NON_PUBLIC": "request"}


def mesh(place, make):
    """Make a mesh, and the deliveries to a catalog."""
    init_home(place / "home")
    platform = open_home(place / "home")
    caller = platform.identity.principal_of_home()
    platform.identity.create_team(caller, "shop", ["sales"])
    catalog = make(platform)
    records = Records(platform.index, lambda: platform.teams)
    return platform, caller, catalog, Deliveries(catalog, platform.database, platform.delivered, records)


class TestStandIn(OutsideCatalogConformance):
    def open(self, place):
        catalog = StandIn(place)
        return OutsideWorld(catalog, lambda: shown(catalog), lambda: deprecated(catalog), lambda: None)


def shown(catalog):
    return {name: each for name, each in catalog.shown().items() if each["status"] != "retired"}


def deprecated(catalog):
    return {name for name, each in catalog.shown().items() if each["status"] == "retired"}


class TestDcat(OutsideCatalogConformance):
    def open(self, place):
        database = SqliteDatabase(place / "db")
        migrate(database)
        catalog = DcatCatalog(database, SqlCatalogNodes())
        return OutsideWorld(
            catalog, lambda: read(graph_of(catalog)), lambda: warned_of(graph_of(catalog)), database.close
        )


class TestStandInFollows(CatalogConformance):
    def open(self, place):
        platform, caller, catalog, deliveries = mesh(place, lambda _: StandIn(place / "catalog"))
        return CatalogWorld(platform.products, caller, deliveries, catalog.offered, platform.close, follows_data=True)


class TestDcatFollows(CatalogConformance):
    def open(self, place):
        platform, caller, catalog, deliveries = mesh(
            place, lambda platform: DcatCatalog(platform.database, SqlCatalogNodes())
        )
        return CatalogWorld(
            platform.products, caller, deliveries, lambda: read(graph_of(catalog)), platform.close, follows_data=True
        )


def graph_of(catalog):
    return Graph().parse(data=b"".join(catalog.chunks("https://mesh.example.org")), format="json-ld")


def read(graph):
    """Read products out of the triples."""
    found = {}
    for series in graph.subjects(RDF.type, DCAT.DatasetSeries):
        if (series, ADMS.status, None) in graph:
            continue
        name = str(graph.value(series, DCTERMS.identifier))
        tables = [str(graph.value(each, DCTERMS.identifier)) for each in graph.subjects(DCAT.inSeries, series)]
        found[name] = {
            "domain": str(graph.value(series, DCAT.theme)).rpartition("#domain-")[2],
            "owner": str(graph.value(series, DCTERMS.publisher)).rpartition("#team-")[2],
            "description": str(graph.value(series, DCTERMS.description)),
            "tables": " ".join(sorted(each.partition(".")[2] for each in tables)),
            "access": RIGHTS[str(graph.value(series, DCTERMS.accessRights)).rpartition("/")[2]],
        }
    return found


def warned_of(graph):
    return {
        str(graph.value(each, DCTERMS.identifier))
        for each in graph.subjects(RDF.type, DCAT.DatasetSeries)
        if str(graph.value(each, ADMS.status)) == DEPRECATED
    }
