"""What every `Catalog` (planes/product/backend.py) must do. Subclass it in a test module and say how one is opened.

    class TestFile(CatalogConformance):
        def open(self, place):
            return CatalogWorld(platform.products, caller, platform.catalog_file, read, platform.close)

Every method starting with `test_` is run by pytest, with an empty folder as `tmp_path`.
"""
# ruff: noqa: S101

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinmesh.kernel.policy import Principal
from thinmesh.planes.product.backend import Catalog
from thinmesh.planes.product.model import Upload
from thinmesh.planes.product.operations import Products


@dataclass(frozen=True)
class CatalogWorld:
    """A mesh with a catalog: `caller` may register in the domain `sales` as the team `shop`.

    `read` gives what the catalog shows: for each product its domain, owner, description, tables and access, as texts.
    """

    products: Products
    caller: Principal
    catalog: Catalog
    read: Callable[[], Mapping[str, Mapping[str, str]]]
    close: Callable[[], None]

    def register(self, name: str, **fields: Any) -> None:
        """Register a product, or change it."""
        document = {"name": name, "domain": "sales", "owner": "shop", "description": f"About {name}", **fields}
        self.products.register(self.caller, json.dumps(document).encode())


class CatalogConformance:
    """The suite."""

    def open(self, place: Path) -> CatalogWorld:
        """Make an empty mesh at a place (a folder), with the catalog."""
        raise NotImplementedError

    def test_a_product_appears_with_what_is_known_of_it(self, tmp_path: Path) -> None:
        """Open and closed alike: metadata is for everybody."""
        with closing(self.open(tmp_path)) as world:
            world.register("orders", tables={"items": {"columns": {"id": "integer"}}})
            world.register("people", access="request")
            world.catalog.follow()
            told = {"domain": "sales", "owner": "shop"}
            assert world.read() == {
                "orders": {**told, "description": "About orders", "tables": "items", "access": "open"},
                "people": {**told, "description": "About people", "tables": "", "access": "request"},
            }

    def test_it_follows_changes_and_forgets_what_is_retired(self, tmp_path: Path) -> None:
        """What is retired is not offered to anybody."""
        with closing(self.open(tmp_path)) as world:
            world.register("orders")
            world.register("gone")
            world.catalog.follow()
            world.register("orders", description="Better said")
            world.products.retire(world.caller, "gone")
            world.catalog.follow()
            assert {name: each["description"] for name, each in world.read().items()} == {"orders": "Better said"}

    def test_following_again_does_nothing(self, tmp_path: Path) -> None:
        """Neither does data alone, which changes nothing that a catalog shows of a table that is there."""
        with closing(self.open(tmp_path)) as world:
            world.register("orders", tables={"t": {"columns": {"id": "integer"}}})
            assert world.catalog.follow() > 0
            assert world.catalog.follow() == 0
            path = tmp_path / "t.csv"
            path.write_text("id\n1\n")
            world.products.publish(world.caller, "orders", [Upload("t.csv", path)])
            assert world.catalog.follow() == 0

    def test_no_text_of_a_product_breaks_it(self, tmp_path: Path) -> None:
        """Commas, quotes, line ends and other scripts are what people write."""
        with closing(self.open(tmp_path)) as world:
            world.register("orders", description='a, "b"\n=c — dé 表')
            world.register("others")
            world.catalog.follow()
            shown = world.read()
            assert set(shown) == {"orders", "others"}
            assert shown["orders"]["description"].startswith('a, "b"')
            assert shown["orders"]["description"].endswith("=c — dé 表")
