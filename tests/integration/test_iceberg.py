"""The warehouse as other engines see it: pyiceberg's SqlCatalog on the platform database reads what was published."""

from __future__ import annotations

import datetime as dt
import os
import resource
import shutil
import subprocess
import sys
import time
from contextlib import closing
from decimal import Decimal

import duckdb
import pytest

from thinmesh.adapters.iceberg.tables import IcebergTables
from thinmesh.kernel.contract import with_ids
from thinmesh.kernel.product import DataFile

from .lake_world import World, contract

ORDERS = contract("orders", id="integer!", item="string")
CUSTOMERS = contract("customers", name="string!")


@pytest.fixture
def world(tmp_path):
    with closing(World(tmp_path / "home")) as world:
        yield world


def metadata_files(world, product="sales", table="orders"):
    return set((world.lake / product / table / "metadata").iterdir())


def aged(paths, seconds=7200):
    for path in paths:
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_publication_reads_the_same_for_other_engines(world):
    every = contract(
        "every",
        i="integer",
        n="number",
        small="number DECIMAL(9,2)",
        large="number DECIMAL(38,10)",
        b="boolean",
        d="date",
        t="time",
        ts="timestamp",
        s="string",
        o="object",
    )
    rows = [
        (
            1,
            1.5,
            Decimal("1.25"),
            Decimal("-12345678901234567890.0123456789"),
            True,
            dt.date(2026, 2, 1),
            dt.time(12, 30, 0, 1),
            dt.datetime.fromisoformat("1969-12-31T23:59:59.999999"),
            "ünïcode" * 9,
            '{"a":[1]}',
        ),
        (None,) * 10,
    ]
    world.register("sales", every)
    world.publish("sales", [(every, rows)])
    assert world.follow() == 1
    assert world.read("sales.every") == sorted(rows, key=repr)
    assert world.lag == 0
    assert world.warehouse.faults() == []


def test_filters_that_skip_files_find_what_is_there(world):
    table = contract("orders", id="integer", price="number DECIMAL(9,2)", item="string", at="timestamp")
    world.register("sales", table)
    moments = [dt.datetime.fromisoformat(f"2026-01-{day:02}") for day in range(1, 11)]
    for n, moment in enumerate(moments):
        world.publish("sales", [(table, [(n, Decimal(n) / 4 - 1, f"item-{n:020}-{n}", moment)])], "append")
    world.follow()
    iceberg = world.table("sales.orders")
    for row_filter in ("id = 7", "price = 0.75", f"item = 'item-{7:020}-7'", "at = '2026-01-08T00:00:00'"):
        scan = iceberg.scan(row_filter=row_filter)
        assert scan.to_arrow()["id"].to_pylist() == [7], row_filter
        if "item" not in row_filter:  # bounds of text are cut: they may not tell these apart
            assert len(list(scan.plan_files())) == 1, row_filter


def test_data_written_by_the_check_reads_the_same(world):
    """Parquet as DuckDB writes it, with values that only it has."""
    table = contract(
        "orders", id="integer!", n="number", p="number DECIMAL(4,1)", d="date", t="time", ts="timestamp", s="string"
    )
    world.register("sales", table)
    path = "sales/orders/a.parquet"
    (world.lake / "sales/orders").mkdir(parents=True)
    ids = ", ".join(f"{column.name}: {column.id}" for column in table.columns)
    rows = """SELECT 1::BIGINT id, 'nan'::DOUBLE n, 99.5::DECIMAL(4,1) p, DATE '2020-02-29' d, TIME '23:59:59.5' t,
        TIMESTAMP '0001-01-01' ts, repeat('é', 20000) s
        UNION ALL SELECT 2, 'inf'::DOUBLE, NULL, NULL, NULL, 'infinity'::TIMESTAMP, ''"""
    with closing(duckdb.connect()) as connection:
        connection.execute(f"COPY ({rows}) TO '{world.lake / path}' (FORMAT parquet, FIELD_IDS {{{ids}}})")
    world.publish("sales", [(table, [DataFile(path, "", 2, 0, "x")])])
    world.follow()
    assert world.warehouse.faults() == []
    found = world.table("sales.orders").scan().to_arrow()
    assert found["id"].to_pylist() == [1, 2]
    assert found["n"].to_pylist() == pytest.approx([float("nan"), float("inf")], nan_ok=True)
    assert found["p"].to_pylist() == [Decimal("99.5"), None]
    assert found["s"].to_pylist() == ["é" * 20000, ""]
    assert found["ts"].cast("int64").to_pylist()[1] == 2**63 - 1
    assert world.table("sales.orders").scan(row_filter="ts > '2020-01-01T00:00:00'").to_arrow().num_rows == 1
    assert world.table("sales.orders").scan(row_filter="n > 5").to_arrow()["id"].to_pylist() == [2]


def test_the_snapshot_says_where_the_data_comes_from(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.publish("sales", [(ORDERS, [(2, "b")])])
    world.follow()
    summary = world.table("sales.orders").current_snapshot().summary.additional_properties
    assert summary["thinmesh.publication"] == "p2"
    assert summary["thinmesh.publisher"] == "ada"
    assert summary["thinmesh.commit"] == "c3"
    assert len(summary["thinmesh.content"]) == 64
    assert summary["total-records"] == "1"


def test_a_table_without_data_is_there_and_empty(world):
    world.register("sales", ORDERS)
    world.follow()
    assert world.read("sales.orders") == []
    assert world.table("sales.orders").current_snapshot() is None
    world.publish("sales", [(ORDERS, [])])
    world.follow()
    assert world.read("sales.orders") == []
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.publish("sales", [(ORDERS, [])])
    world.follow()
    assert world.read("sales.orders") == []
    assert world.warehouse.faults() == []


def test_appends_add_to_the_table_and_the_history_stays_readable(world):
    world.register("sales", ORDERS)
    for n in range(5):
        world.publish("sales", [(ORDERS, [(n, "a")])], "append")
        world.follow()
    table = world.table("sales.orders")
    assert world.read("sales.orders") == [(n, "a") for n in range(5)]
    assert [str(one.summary.operation.value) for one in table.snapshots()] == ["append"] * 5
    third = table.snapshots()[2]
    assert world.read("sales.orders", third.snapshot_id) == [(0, "a"), (1, "a"), (2, "a")]


def test_a_replacement_is_one_overwrite_and_the_old_rows_stay_readable_at_their_snapshot(world):
    world.register("sales", ORDERS)
    first = world.publish("sales", [(ORDERS, [(1, "a")])])
    world.follow()
    world.publish("sales", [(ORDERS, [(2, "b")])])
    world.follow()
    table = world.table("sales.orders")
    assert world.read("sales.orders") == [(2, "b")]
    assert world.read("sales.orders", table.snapshots()[0].snapshot_id) == [(1, "a")]
    assert table.current_snapshot().summary.operation.value == "overwrite"
    deleted = [
        entry.data_file.file_path
        for manifest in table.current_snapshot().manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        if entry.status.name == "DELETED"
    ]
    assert deleted == [f"{table.location()}/{first[0].path.split('/')[-1]}"]


def test_one_of_many_files_is_replaced_and_the_others_stay(world):
    world.register("sales", ORDERS)
    files = [world.data("sales", ORDERS, [(n, "a")]) for n in range(6)]
    world.publish("sales", [(ORDERS, files[:4])])
    world.publish("sales", [(ORDERS, files[4:])], "append")
    world.follow()
    new = world.data("sales", ORDERS, [(9, "z")])
    world.publish("sales", [(ORDERS, [files[5], new, files[0], files[2], files[3]])])
    world.follow()
    assert world.read("sales.orders") == [(0, "a"), (2, "a"), (3, "a"), (5, "a"), (9, "z")]
    summary = world.table("sales.orders").current_snapshot().summary
    assert (summary["added-data-files"], summary["deleted-data-files"], summary["total-data-files"]) == ("1", "2", "5")
    world.publish("sales", [(ORDERS, [world.data("sales", ORDERS, [(10, "y")])])], "append")
    world.follow()
    assert world.read("sales.orders")[-1] == (9, "z")
    assert len(world.read("sales.orders")) == 6


def test_many_publications_in_between_come_as_their_end(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.follow()
    world.publish("sales", [(ORDERS, [(2, "b")])], "append")
    world.publish("sales", [(ORDERS, [(3, "c")])])
    world.publish("sales", [(ORDERS, [(4, "d")])], "append")
    assert world.follow() == 1
    assert world.read("sales.orders") == [(3, "c"), (4, "d")]


def test_following_again_writes_nothing(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.follow()
    before, files = world.locations("sales"), metadata_files(world)
    assert world.follow() == 0
    world.register("sales", readme=None)  # touched, and no table changed
    assert world.follow() == 1
    assert world.locations("sales") == before
    assert metadata_files(world) == files


def test_an_added_column_is_null_in_older_files_and_keeps_the_table(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.follow()
    before = world.table("sales.orders")
    wider = contract("orders", ORDERS, id="integer!", note="string", item="string")
    world.register("sales", wider)
    world.follow()
    assert world.read("sales.orders") == [(1, None, "a")]
    world.publish("sales", [(wider, [(2, "n", "b")])], "append")
    world.follow()
    assert world.read("sales.orders") == [(1, None, "a"), (2, "n", "b")]
    after = world.table("sales.orders")
    assert after.metadata.table_uuid == before.metadata.table_uuid
    assert [field.field_id for field in after.schema().fields] == [column.id for column in wider.columns] == [1, 3, 2]
    old = before.current_snapshot().snapshot_id
    assert world.read("sales.orders", old) == [(1, "a")]


def test_a_column_dropped_and_added_again_is_another_column(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.follow()
    without = contract("orders", ORDERS, id="integer!")
    again = contract("orders", without, id="integer!", item="string")
    world.register("sales", again)
    world.follow()
    assert world.read("sales.orders") == [(1, None)]


def test_a_column_is_required_only_while_its_data_bears_it_out(world):
    table = contract("orders", id="integer!", item="string!")
    world.register("sales", table)
    world.publish("sales", [(table, [(1, "a")])])
    world.follow()
    assert [field.required for field in world.table("sales.orders").schema().fields] == [True, True]
    assert world.read("sales.orders") == [(1, "a")]
    loose = contract("orders", table, id="integer!", item="string", extra="string!")
    world.publish("sales", [(loose, [(2, None, "x")])], "append", tables=[loose])
    world.follow()
    assert [field.required for field in world.table("sales.orders").schema().fields] == [True, False, False]
    assert world.read("sales.orders") == [(1, "a", None), (2, None, "x")]
    strict = contract("orders", loose, id="integer!", item="string!", extra="string!")
    world.register("sales", strict)
    world.follow()
    assert [field.required for field in world.table("sales.orders").schema().fields] == [True, False, False]


def test_a_wider_decimal_keeps_the_table_and_its_files(world):
    narrow = contract("orders", price="number DECIMAL(9,2)")
    world.register("sales", narrow)
    world.publish("sales", [(narrow, [(Decimal("1.25"),)])])
    world.follow()
    before = world.table("sales.orders").metadata.table_uuid
    wide = contract("orders", narrow, price="number DECIMAL(20,2)")
    world.publish("sales", [(wide, [(Decimal("123456789012345678.50"),)])], "append", tables=[wide])
    world.follow()
    assert world.read("sales.orders") == [(Decimal("1.25"),), (Decimal("123456789012345678.50"),)]
    assert world.table("sales.orders").metadata.table_uuid == before


@pytest.mark.parametrize(("wider", "value"), [("number", 1.5), ("string", "one")])
def test_a_provisional_table_that_widens_becomes_a_new_table_behind_the_name(world, wider, value):
    narrow = contract("orders", id="integer")
    world.register("sales", narrow)
    world.publish("sales", [(narrow, [(1,)])])
    world.follow()
    before = world.table("sales.orders")
    wide = contract("orders", narrow, id=wider)
    world.publish("sales", [(wide, [(value,)])], tables=[wide])
    world.follow()
    after = world.table("sales.orders")
    assert after.metadata.table_uuid != before.metadata.table_uuid
    assert world.read("sales.orders") == [(value,)]
    assert before.scan().to_arrow().to_pylist() == [{"id": 1}]  # a reader that began before it


def test_a_reader_sees_all_tables_of_a_publication_or_none(world):
    world.register("sales", ORDERS, CUSTOMERS)
    world.publish("sales", [(ORDERS, [(1, "a")]), (CUSTOMERS, [("ada",)])])
    world.follow()
    before = world.locations("sales")

    class Counts(IcebergTables):
        seen: list = []  # noqa: RUF012

        def stage(self, product, table, *rest):
            found = super().stage(product, table, *rest)
            self.seen.append((world.locations("sales") == before, world.read("sales.orders")))
            return found

    world.publish("sales", [(ORDERS, [(2, "b")]), (CUSTOMERS, [("bob",)])])
    tables = Counts(world.lake)
    world.open_warehouse(tables).follow()
    assert tables.seen == [(True, [(1, "a")])] * 2
    assert world.read("sales.orders") == [(2, "b")]
    assert world.read("sales.customers") == [("bob",)]


def test_products_of_one_entry_and_pages_of_any_size_are_all_taken(world):
    tables = [contract("t", id="integer") for _ in range(5)]
    world.change(*(world.registered(f"p{n}", table) for n, table in enumerate(tables)))
    taken, rests = 0, []
    while found := world.warehouse.follow(limit=2, rest=lambda: rests.append(None)):
        taken += found
    assert taken == len(rests) == 5
    with world.catalog() as catalog:
        assert sorted(catalog.list_namespaces()) == [(f"p{n}",) for n in range(5)]
        assert catalog.list_tables("p3") == [("p3", "t")]


def test_a_retired_product_is_gone_for_other_engines(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.register("other", CUSTOMERS)
    world.follow()
    world.register("sales", status="retired", event="retired")
    world.follow()
    with world.catalog() as catalog:
        assert catalog.list_namespaces() == [("other",)]
        assert not catalog.table_exists("sales.orders")
    assert world.warehouse.faults() == []


def test_a_crash_between_staging_and_moving_leaves_readers_with_the_old_state(world):
    world.register("sales", ORDERS)
    old = world.publish("sales", [(ORDERS, [(1, "a")])])
    world.follow()
    before = world.locations("sales")
    new = world.publish("sales", [(ORDERS, [(2, "b")])], "append")
    properties = {"thinmesh.publication": "p2"}
    staged = IcebergTables(world.lake).stage("sales", ORDERS, [*old, *new], before["orders"], properties)
    assert staged != before["orders"]
    assert world.locations("sales") == before
    assert world.read("sales.orders") == [(1, "a")]
    assert world.lag == 1
    orphans = metadata_files(world)
    assert world.follow() == 1
    assert world.read("sales.orders") == [(1, "a"), (2, "b")]
    aged(orphans)
    assert world.warehouse.vacuum(dt.timedelta(hours=1)) == 3  # manifest, list and document of the crash
    assert world.read("sales.orders") == [(1, "a"), (2, "b")]
    assert world.table("sales.orders").snapshots()[0].summary["thinmesh.publication"] == "p1"
    old_snapshot = world.table("sales.orders").snapshots()[0].snapshot_id
    assert world.read("sales.orders", old_snapshot) == [(1, "a")]


def test_a_killed_follower_is_made_up_for_by_the_next(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])

    class Killed(BaseException):
        pass

    class Dies(IcebergTables):
        def stage(self, *arguments):
            super().stage(*arguments)
            raise Killed

    with pytest.raises(Killed):
        world.open_warehouse(Dies(world.lake)).follow()
    assert world.locations("sales") == {}
    assert world.lag == 1
    world.follow()
    assert world.read("sales.orders") == [(1, "a")]


def test_a_product_that_changes_while_it_is_staged_is_staged_again(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])

    class Overtaken(IcebergTables):
        times = 0

        def stage(self, *arguments):
            found = super().stage(*arguments)
            if self.times == 0:
                world.publish("sales", [(ORDERS, [(2, "b")])])
            self.times += 1
            return found

    tables = Overtaken(world.lake)
    world.open_warehouse(tables).follow()
    assert tables.times == 2
    assert world.read("sales.orders") == [(2, "b")]


def test_two_followers_at_once_end_with_the_newest_state(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])

    class Slow(IcebergTables):
        done = False

        def stage(self, *arguments):
            found = super().stage(*arguments)
            if not self.done:
                self.done = True
                world.follow()
            return found

    world.open_warehouse(Slow(world.lake)).follow()
    assert world.read("sales.orders") == [(1, "a")]
    assert world.lag == 0


def test_one_product_with_a_missing_file_keeps_back_no_other_and_is_tried_again(world):
    world.register("sales", ORDERS)
    file = world.publish("sales", [(ORDERS, [(1, "a")])])[0]
    world.register("other", CUSTOMERS)
    world.publish("other", [(CUSTOMERS, [("ada",)])])
    path = world.lake / file.path
    path.rename(path.with_suffix(".away"))
    world.follow()
    assert world.read("other.customers") == [("ada",)]
    (fault,) = world.faults()
    assert (fault.product, fault.attempts) == ("sales", 1)
    assert file.path in fault.detail
    assert world.lag == 1
    assert file.path in world.warehouse.faults()[0]
    assert world.follow() == 0  # not yet
    world.later(seconds=11)
    assert world.follow() == 1
    assert world.faults()[0].attempts == 2
    path.with_suffix(".away").rename(path)
    world.later(seconds=11)
    assert world.follow() == 0  # the pause has doubled
    world.later(seconds=11)
    assert world.follow() == 1
    assert world.faults() == []
    assert world.read("sales.orders") == [(1, "a")]


@pytest.mark.parametrize("damage", ["cut", "rows", "type", "no ids"])
def test_a_damaged_file_is_never_shown(world, damage):
    table = contract("orders", id="number")
    world.register("sales", table)
    file = world.data("sales", table, [(1.0,), (2.0,)])
    path = world.lake / file.path
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "rows":
        shutil.copy(world.lake / world.data("sales", table, [(1.0,)]).path, path)
    elif damage == "type":
        shutil.copy(world.lake / world.data("sales", contract("orders", id="integer"), [(1,), (2,)]).path, path)
    else:
        without = with_ids(table)
        columns = tuple(column.__class__(column.name, column.logical_type) for column in without.columns)
        bare = without.__class__("orders", columns)
        shutil.copy(world.lake / world.data("sales", bare, [(1.0,), (2.0,)]).path, path)
    world.publish("sales", [(table, [file])])
    world.follow()
    assert file.path in world.faults()[0].detail
    assert world.locations("sales") == {}


def test_a_moved_home_gets_its_tables_again_at_the_new_place(world, tmp_path):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.follow()
    world.close()
    (tmp_path / "home").rename(tmp_path / "other place #1 50%")
    with closing(World(tmp_path / "other place #1 50%")) as moved:
        [said] = moved.warehouse.faults()
        assert said.startswith("the home was moved or copied: 1 table of the warehouse names the old place, such as ")
        assert moved.follow() == 1
        assert moved.read("sales.orders") == [(1, "a")]
        assert str(moved.lake) in moved.table("sales.orders").location()
        assert moved.warehouse.faults() == []


def test_lost_metadata_is_reported_and_made_again(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.register("other", CUSTOMERS)
    world.follow()
    shutil.rmtree(world.lake / "sales" / "orders" / "metadata")
    (fault,) = world.warehouse.faults()
    assert "sales/orders" in fault
    assert world.warehouse.rebuild() == 2
    assert world.warehouse.faults() == []
    assert world.read("sales.orders") == [(1, "a")]
    shutil.rmtree(world.lake / "sales" / "orders" / "metadata")
    world.publish("sales", [(ORDERS, [(2, "b")])], "append")
    world.follow()
    assert world.read("sales.orders") == [(1, "a"), (2, "b")]


def test_a_file_derived_again_reads_after_a_rebuild(world):
    """Its rows are the same, its bytes are not: Iceberg keeps the size of every file."""
    world.register("sales", ORDERS)
    file = world.publish("sales", [(ORDERS, [(n, "a") for n in range(99)])])[0]
    world.follow()
    again = world.data("sales", contract("orders", id="integer!", item="string"), [(n, "a" * 99) for n in range(99)])
    shutil.move(world.lake / again.path, world.lake / file.path)
    assert world.warehouse.rebuild(["sales"]) == 1
    assert len(world.read("sales.orders")) == 99


def test_cleared_tables_are_built_again_to_the_same_rows(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.publish("sales", [(ORDERS, [(2, "b")])], "append")
    world.follow()
    with world.database.write() as tx:
        world.warehouse.clear(tx)
    with world.catalog() as catalog:
        assert catalog.list_namespaces() == []
    world.follow()
    assert world.read("sales.orders") == [(1, "a"), (2, "b")]


def test_history_is_bounded_and_vacuum_keeps_what_a_reader_may_be_at(world):
    world.register("sales", ORDERS)
    for n in range(30):
        world.publish("sales", [(ORDERS, [(n, "a")])])
        world.follow()
    table = world.table("sales.orders")
    assert len(table.snapshots()) == 10
    assert len(table.metadata.metadata_log) == 10
    assert world.warehouse.vacuum(dt.timedelta(hours=1)) == 0  # all of it is recent
    aged(metadata_files(world))
    reader = table.metadata.metadata_log[-1].metadata_file
    # Of 30 documents, lists and manifests stay: 1 + 10 documents, and what the 20 snapshots in them are made of.
    assert world.warehouse.vacuum(dt.timedelta(hours=1)) == 90 - 11 - 20 - 20
    assert world.warehouse.vacuum(dt.timedelta(hours=1)) == 0
    with world.catalog() as catalog:
        catalog.create_namespace("old")
        catalog.register_table("old.orders", reader)
    assert world.read("old.orders") == [(28, "a")]
    for snapshot in world.table("sales.orders").snapshots():
        assert len(world.read("sales.orders", snapshot.snapshot_id)) == 1


def test_metadata_of_a_retired_product_goes_after_a_while(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])
    world.follow()
    world.register("sales", status="retired", event="retired")
    world.follow()
    assert world.warehouse.vacuum(dt.timedelta(hours=1)) == 0
    aged(metadata_files(world))
    assert world.warehouse.vacuum(dt.timedelta(hours=1)) == 3
    assert metadata_files(world) == set()


def test_hundreds_of_appends_keep_the_metadata_small(world):
    world.register("sales", ORDERS)
    files = [world.data("sales", ORDERS, [(n, "a")]) for n in range(8)]
    tables = IcebergTables(world.lake)
    location, listed = None, []
    # The same eight files under many names: what counts is their number.
    for n in range(300):
        name = f"sales/orders/{n:024}.parquet"
        os.link(world.lake / files[n % 8].path, world.lake / name)
        listed.append(files[0].__class__(name, "", 1, 0, f"{n}"))
        location = tables.stage("sales", ORDERS, listed, location, {"thinmesh.publication": f"p{n}"})
    with world.catalog() as catalog:
        catalog.create_namespace("sales")
        table = catalog.register_table("sales.orders", location)
        manifests = table.current_snapshot().manifests(table.io)
        assert len(manifests) < 40
        assert sum(len(one.fetch_manifest_entry(table.io)) for one in manifests) == 300
        assert table.current_snapshot().summary["total-data-files"] == "300"
    assert len(world.read("sales.orders")) == 300


_SYNCS = """
import os, sys, pathlib
sys.path.insert(0, sys.argv[1])
from tests.integration.lake_world import World, contract
table = contract("orders", id="integer")
world = World(pathlib.Path(sys.argv[2]))
world.register("sales", table)
world.publish("sales", [(table, [(1,)])])
synced, real = [], os.fsync
def fsync(descriptor):
    synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    real(descriptor)
os.fsync = fsync
class Pointers(type(world.pointers)):
    def move(self, *arguments):
        print(*synced, sep="\\n")
        super().move(*arguments)
world.pointers = Pointers()
world.open_warehouse().follow()
print("--", *(world.lake / "sales/orders/metadata").iterdir(), sep="\\n")
"""


def test_metadata_is_on_the_disk_before_a_pointer_names_it(tmp_path):
    home, root = tmp_path / "home", os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    done = subprocess.run([sys.executable, "-c", _SYNCS, root, str(home)], capture_output=True, text=True, check=True)
    synced, written = (set(part.split()) for part in done.stdout.split("--"))
    folder = home / "lake" / "sales" / "orders"
    assert len(written) == 3
    assert synced == {*written, str(folder / "metadata"), str(folder), str(folder.parent), str(home / "lake")}


def test_a_disk_that_fails_is_a_fault_that_passes(world):
    world.register("sales", ORDERS)
    world.publish("sales", [(ORDERS, [(1, "a")])])

    class Full(IcebergTables):
        def stage(self, *arguments):
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
            try:
                return super().stage(*arguments)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

    world.open_warehouse(Full(world.lake)).follow()
    assert "could not be written: File too large" in world.faults()[0].detail
    assert world.locations("sales") == {}
    world.later(minutes=1)
    world.follow()
    assert world.faults() == []
    assert world.read("sales.orders") == [(1, "a")]
