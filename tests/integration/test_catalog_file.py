"""`data_catalog.csv` is a `Catalog`."""

import csv
import io

from thinmesh.bootstrap import init_home, open_home
from thinmesh.conformance.catalog import CatalogConformance, CatalogWorld


class TestCatalogFile(CatalogConformance):
    def open(self, place):
        init_home(place / "home")
        platform = open_home(place / "home")
        caller = platform.identity.principal_of_home()
        platform.identity.create_team(caller, "shop", ["sales"])

        def read():
            file = platform.data.file(platform.data.tip(), "data_catalog.csv")
            rows = csv.DictReader(io.StringIO(bytes(platform.data.read(file.id)).decode(), newline=""))
            return {row.pop("name"): row for row in rows}

        return CatalogWorld(platform.products, caller, platform.catalog_file, read, platform.close)
