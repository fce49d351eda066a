"""The conformance suites for catalogs, over DataHub's adapter and the stand-in for its service."""

from __future__ import annotations

from thinmesh.adapters.datahub.catalog import DataHubCatalog
from thinmesh.adapters.datahub.server import Server
from thinmesh.conformance.catalog import (
    CatalogConformance,
    CatalogWorld,
    OutsideCatalogConformance,
    OutsideWorld,
)

from .datahub_stand_in import StandIn
from .test_catalogs import mesh

PREFIX = "urn:li:dataProduct:thinmesh."


def catalog_of(service: StandIn) -> DataHubCatalog:
    return DataHubCatalog(Server(service.url, lambda: "", "thinmesh"))


def products(service: StandIn) -> dict[str, dict[str, str]]:
    """What the pages of DataHub would show of each product that is not removed, with its status."""
    shown = {}
    for urn, aspects in service.store.items():
        if urn.startswith(PREFIX) and not aspects["status"]["removed"]:
            facts = {
                each["propertyUrn"].rsplit(".", 1)[-1]: each["values"][0]["string"]
                for each in aspects["structuredProperties"]["properties"]
            }
            assets = [each["destinationUrn"] for each in aspects["dataProductProperties"].get("assets", ())]
            tables = sorted(urn.split(",")[1].split(".")[1] for urn in assets if "iceberg" in urn)
            shown[urn.removeprefix(PREFIX)] = {
                "domain": aspects["domains"]["domains"][0].rsplit(":", 1)[-1],
                "owner": aspects["ownership"]["owners"][-1]["owner"].rsplit(":", 1)[-1],
                "description": aspects["dataProductProperties"]["description"],
                "tables": " ".join(tables),
                "access": facts["access"],
                "status": facts["status"],
            }
    return shown


def offered(service: StandIn) -> dict[str, dict[str, str]]:
    return {
        name: {key: value for key, value in each.items() if key != "status"}
        for name, each in products(service).items()
        if each["status"] != "retired"
    }


def deprecated(service: StandIn) -> set[str]:
    """The products whose every data set is marked as deprecated."""
    told: dict[str, list[bool]] = {}
    for urn, aspects in service.store.items():
        if urn.startswith("urn:li:dataset:") and not aspects["status"]["removed"]:
            product = aspects["datasetProperties"]["customProperties"]["thinmesh.product"]
            told.setdefault(product, []).append(aspects.get("deprecation", {}).get("deprecated", False))
    return {product for product, marks in told.items() if all(marks)}


class TestDataHub(OutsideCatalogConformance):
    def open(self, place):
        service = StandIn()
        return OutsideWorld(
            catalog_of(service), lambda: offered(service), lambda: deprecated(service), lambda: service.__exit__()
        )


class TestDeliveredToDataHub(CatalogConformance):
    def open(self, place):
        service = StandIn()
        platform, caller, _, deliveries = mesh(place, lambda _: catalog_of(service))

        def close():
            platform.close()
            service.__exit__()

        return CatalogWorld(platform.products, caller, deliveries, lambda: offered(service), close, follows_data=True)
