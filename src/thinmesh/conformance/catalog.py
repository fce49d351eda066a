"""What every `Catalog` (planes/product/backend.py) must do. Subclass it in a test module and say how one is opened.

    class TestFile(CatalogConformance):
        def open(self, place):
            return CatalogWorld(platform.products, caller, platform.catalog_file, read, platform.close)

An `OutsideCatalog` passes the same suite when `Deliveries` follows for it, and `OutsideCatalogConformance` on its own.
Every method starting with `test_` is run by pytest, with an empty folder as `tmp_path`.
"""
# ruff: noqa: S101

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.product import Descriptor, Product, TableState
from thinmesh.planes.product.backend import Catalog, OutsideCatalog
from thinmesh.planes.product.model import CatalogRecord, Upload
from thinmesh.planes.product.operations import Products
from thinmesh.planes.product.records import contract_of


@dataclass(frozen=True)
class CatalogWorld:
    """A mesh with a catalog: `caller` may register in the domain `sales` as the team `shop`.

    `read` gives what the catalog offers: for each product its domain, owner, description, tables and access, as texts.
    `follows_data`: the catalog is told of publications too.
    """

    products: Products
    caller: Principal
    catalog: Catalog
    read: Callable[[], Mapping[str, Mapping[str, str]]]
    close: Callable[[], None]
    follows_data: bool = False

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
        """Neither does data alone, where a catalog shows nothing of it."""
        with closing(self.open(tmp_path)) as world:
            world.register("orders", tables={"t": {"columns": {"id": "integer"}}})
            assert world.catalog.follow() > 0
            assert world.catalog.follow() == 0
            path = tmp_path / "t.csv"
            path.write_text("id\n1\n")
            world.products.publish(world.caller, "orders", [Upload("t.csv", path)])
            assert world.catalog.follow() == int(world.follows_data)
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


def record_of(name: str, tables: Mapping[str, Table] | None = None, **fields: Any) -> CatalogRecord:
    """Make a record of a product in the domain `sales`, of the team `shop`; `fields` are those of `Product`."""
    described = {"description": f"About {name}", **fields.pop("described", {})}
    found: dict[str, Any] = {
        "name": name, "domain": "sales", "owner": "shop", "access": "open", "status": "active", "version": "1.0.0",
        "registered": "2026-01-01T00:00:00.000000Z", "changed": "2026-01-02T00:00:00.000000Z", "sequence": 7,
        **fields,
    }  # fmt: skip
    descriptor = Descriptor(name, found["domain"], tables=tables or {}, **described)
    states = {each: TableState(table) for each, table in (tables or {}).items()}
    product = Product(descriptor=descriptor, tables=states, **found)
    return CatalogRecord(product, contract_of(product), members=("ann",), url="https://mesh.example.org")


def table_of(name: str, columns: int = 1) -> Table:
    """Make a table of so many columns of text."""
    return Table(name, tuple(Column(f"c{number}", "string") for number in range(columns)))


@dataclass(frozen=True)
class OutsideWorld:
    """An empty catalog outside the mesh; `read` as in `CatalogWorld`, `deprecated` names what it warns of."""

    catalog: OutsideCatalog
    read: Callable[[], Mapping[str, Mapping[str, str]]]
    deprecated: Callable[[], set[str]]
    close: Callable[[], None]


class OutsideCatalogConformance:
    """What every `OutsideCatalog` does with the records it is given."""

    def open(self, place: Path) -> OutsideWorld:
        """Make an empty catalog; `place` is an empty folder."""
        raise NotImplementedError

    def test_what_was_put_is_shown_and_differs_in_nothing(self, tmp_path: Path) -> None:
        """With tables and without."""
        with closing(self.open(tmp_path)) as world:
            records = [record_of("orders", {"items": table_of("items")}), record_of("people", access="request")]
            assert all(world.catalog.differences(record) for record in records)
            for record in records:
                world.catalog.put(record)
            assert set(world.catalog.products()) == set(world.read()) == {"orders", "people"}
            assert world.read()["orders"]["tables"] == "items"
            assert [list(world.catalog.differences(record)) for record in records] == [[], []]

    def test_putting_it_again_changes_nothing(self, tmp_path: Path) -> None:
        """A delivery that was cut off is made again."""
        with closing(self.open(tmp_path)) as world:
            record = record_of("orders", {"items": table_of("items")})
            world.catalog.put(record)
            before = world.read()
            world.catalog.put(record)
            assert world.read() == before
            assert not world.catalog.differences(record)

    def test_a_change_is_seen_and_brought(self, tmp_path: Path) -> None:
        """Of texts, of the owner, of tables."""
        with closing(self.open(tmp_path)) as world:
            world.catalog.put(record_of("orders", {"items": table_of("items")}))
            changed = record_of(
                "orders",
                {"items": table_of("items", 3), "returns": table_of("returns")},
                owner="depot",
                described={"description": "Better said"},
                sequence=8,
            )
            assert world.catalog.differences(changed)
            world.catalog.put(changed)
            assert not world.catalog.differences(changed)
            shown = world.read()["orders"]
            assert (shown["owner"], shown["description"]) == ("depot", "Better said")
            assert shown["tables"].split() == ["items", "returns"]

    def test_what_is_retired_is_deprecated_and_still_there(self, tmp_path: Path) -> None:
        """Others may stand on it."""
        with closing(self.open(tmp_path)) as world:
            record = record_of("orders", {"items": table_of("items")})
            world.catalog.put(record)
            retired = replace(record, product=replace(record.product, status="retired", sequence=8))
            world.catalog.put(retired)
            assert set(world.catalog.products()) == {"orders"}
            assert world.deprecated() == {"orders"}
            assert not world.catalog.differences(retired)

    def test_one_product_is_removed_and_no_other(self, tmp_path: Path) -> None:
        """Twice is as once; what was never there is no fault."""
        with closing(self.open(tmp_path)) as world:
            for name in ("order", "orders", "orders_old"):
                world.catalog.put(record_of(name, {"items": table_of("items")}))
            for name in ("orders", "orders", "never"):
                world.catalog.remove(name)
            assert set(world.catalog.products()) == {"order", "orders_old"} == set(world.read())

    def test_no_text_and_no_size_breaks_it(self, tmp_path: Path) -> None:
        """Every legal name and text, a long description, many tables, many columns."""
        with closing(self.open(tmp_path)) as world:
            text = '<script>alert("1")</script> \u202e\u05e9\u05dc\u05d5\u05dd \U0001f600 {"@id": "x"} \\ \'\n| `'
            records = [
                record_of("a" + "_9z" * 20, described={"description": text, "tags": ("a b", "<i>", text[:30])}),
                record_of("long", described={"description": "wörter " * 15_000}),
                record_of("wide", {"t": table_of("t", 2_000)}),
                record_of("many", {f"t{number}": table_of(f"t{number}") for number in range(500)}),
            ]
            for record in records:
                world.catalog.put(record)
            assert [list(world.catalog.differences(record)) for record in records] == [[]] * len(records)
            assert len(world.read()["many"]["tables"].split()) == 500
            assert world.read()[records[0].product.name]["description"] == text
