"""Delivery to a catalog outside the mesh: what its producers and administrators can rely on, whatever it does."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.stand_in_catalog import SECRET, StandIn, install
from thinmesh.bootstrap import init_home, open_home
from thinmesh.bootstrap.catalogs import Courier, found_catalogs
from thinmesh.kernel.clock import time_of_text
from thinmesh.kernel.errors import Internal, Malformed, NotAllowed, NotFound, Refused, Temporary
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.settings import load_settings
from thinmesh.planes.product.deliveries import Deliveries, Pace
from thinmesh.planes.product.model import Upload
from thinmesh.planes.product.records import Records

HOUR = timedelta(hours=1)


class World:
    """A mesh with the stand-in as its catalog, at a time that stands still until it is told to go on."""

    def __init__(self, place, monkeypatch, chance=lambda: 0.5, at_once=4):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        install(place / "packages", place / "catalog")
        monkeypatch.syspath_prepend(place / "packages")
        init_home(place / "home")
        self.platform = open_home(place / "home", clock=lambda: self.now)
        self.catalog = StandIn(place / "catalog")
        self.admin = self.platform.identity.principal_of_home()
        self.platform.identity.create_team(self.admin, "shop", ["sales"])
        assert [each.name for each in self.platform.deliveries] == ["stand_in"]
        self.place = place
        self._pace = Pace(lambda: self.now, chance, at_once)
        self.begin()

    def begin(self):
        """Begin anew, as another process would."""
        platform = self.platform
        records = Records(platform.index, lambda: platform.teams, "https://mesh.example.org")
        self.deliveries = Deliveries(
            self.catalog, platform.database, platform.delivered, records, self._pace, ["s3cr3t"]
        )

    def register(self, name, **fields):
        self.now += timedelta(milliseconds=1)
        document = {"name": name, "domain": "sales", "owner": "shop", "description": f"About {name}", **fields}
        return self.platform.products.register(self.admin, json.dumps(document).encode())

    def publish(self, name, rows=1):
        self.now += timedelta(milliseconds=1)
        path = self.place / f"{name}.csv"
        path.write_text("id\n" + "".join(f"{row}\n" for row in range(rows)))
        return self.platform.products.publish(self.admin, name, [Upload(f"{name}.csv", path)])

    def follow(self):
        """Follow until there is nothing to do; give how many were sent."""
        return sum(iter(self.deliveries.follow, 0))

    def states(self, **asked):
        found = self.platform.catalogs.status(self.admin, **asked)
        return {item["product"]: (item["state"], item["attempts"], item["error"]) for item in found.items}

    def condition(self, name):
        found = [each for each in self.platform.products.show(self.admin, name).conditions if each.type == "catalogued"]
        return (found[0].state, found[0].reason) if found else None

    def pass_time(self, span, step=timedelta(seconds=5)):
        """Let time pass as a server does: it looks every few seconds."""
        until = self.now + span
        while self.now < until:
            self.now = min(until, self.now + step)
            self.follow()


class Together(StandIn):
    """The stand-in as a catalog that takes several products at once."""

    def __init__(self, place):
        super().__init__(place)
        self.together = []

    def put_several(self, records):
        self.together.append([each.product.name for each in records])
        for each in records:
            self.put(each)


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch)
    yield world
    world.platform.close()


def test_a_product_is_pending_until_it_is_delivered_and_again_after_each_change(world):
    assert [(each.type, each.state) for each in world.register("orders").conditions] == [
        ("queryable", "pending"), ("catalogued", "pending"),
    ]  # fmt: skip
    assert world.condition("orders") == ("pending", "stand_in: not delivered yet")
    assert world.follow() == 1
    assert world.condition("orders") == ("done", "")
    assert world.states() == {"orders": ("done", 1, None)}
    assert [each.state for each in world.publish("orders").conditions if each.type == "catalogued"] == ["pending"]
    assert world.states() == {"orders": ("pending", 0, None)}
    assert world.follow() == 1
    assert world.catalog.shown()["orders"]["rows"] == {"orders": 1}
    assert world.catalog.shown()["orders"]["members"] == ["admin"]
    assert world.catalog.shown()["orders"]["url"] == "https://mesh.example.org"


def test_without_a_catalog_nobody_notices_anything(world):
    with world.platform.database.write() as tx:
        world.platform.delivered.attach(tx, [])
    assert [each.type for each in world.register("orders").conditions] == ["queryable"]
    assert world.condition("orders") is None
    found = world.platform.catalogs.status(world.admin)
    assert (found.items, found.catalogs, found.next) == ((), (), None)
    assert world.platform.catalogs.retry(world.admin).items == ()


def test_changes_that_come_together_are_delivered_once_as_the_last_of_them_left_it(world):
    for number in range(5):
        world.register("orders", description=f"Version {number}")
    world.publish("orders", 1)
    world.publish("orders", 2)
    assert world.follow() == 1
    assert len(world.catalog.told()) == 1
    assert (world.catalog.shown()["orders"]["description"], world.catalog.shown()["orders"]["rows"]) == (
        "Version 4", {"orders": 2},
    )  # fmt: skip


def test_closed_and_classified_products_are_told_without_any_figure_of_their_data(world):
    world.register("closed", access="request")
    column = {"name": "id", "logicalType": "integer", "classification": "personal"}
    world.register("people", tables={"people": {"columns": [column]}})
    world.register("open")
    for name in ("closed", "people", "open"):
        world.publish(name, 3)
    world.follow()
    shown = world.catalog.shown()
    assert {name: (each["rows"], bool(each["quality"])) for name, each in shown.items()} == {
        "closed": ({}, False), "people": ({}, False), "open": ({"open": 3}, bool(shown["open"]["quality"])),
    }  # fmt: skip
    assert shown["people"]["columns"] == {"people": ["id"]}


def test_inputs_are_told_by_their_tables(world):
    world.register("weather", tables={"heat": {"columns": {"id": "integer"}}, "wind": {"columns": {"id": "integer"}}})
    world.register("trips", inputs=["weather.wind"])
    world.register("fares", inputs=["weather"])
    world.follow()
    shown = world.catalog.shown()
    assert (shown["trips"]["inputs"], shown["fares"]["inputs"]) == (
        {"weather": ["wind"]}, {"weather": ["heat", "wind"]},
    )  # fmt: skip


def test_down_for_an_hour_every_product_is_delivered_once_and_in_order_after(world):
    """Meanwhile it is asked by one product at a time, and everybody sees what is the matter."""
    world.catalog.fault("down", "*")
    registered = []
    for number in range(120):
        registered.append(f"p{number:03d}")
        world.register(registered[-1])
        if number % 3 == 0:
            world.publish(registered[-1])
        world.pass_time(timedelta(seconds=30))
    assert world.catalog.told() == []
    # Some to see that it is down, then less than one in half a minute.
    assert world.catalog.asked < 16 + 2 * 60
    found = world.platform.catalogs.status(world.admin, limit=1000)
    assert {item["state"] for item in found.items} == {"pending"}
    (catalog,) = found.catalogs
    assert (catalog["pending"], catalog["done"], catalog["failed"]) == (120, 0, 0)
    assert catalog["since"] < catalog["retry"]
    assert "does not answer" in catalog["error"]
    assert "does not answer" in world.condition(registered[-1])[1]
    assert SECRET not in repr(found) + world.condition(registered[0])[1]
    world.catalog.fault("down")
    world.pass_time(timedelta(minutes=2))
    told = world.catalog.told()
    assert Counter(name for name, _ in told) == Counter(registered)
    assert set(world.states(limit=1000)) == set(registered)
    assert {state for state, _, _ in world.states(limit=1000).values()} == {"done"}
    assert world.catalog.twice == []
    (catalog,) = world.platform.catalogs.status(world.admin).catalogs
    assert (catalog["since"], catalog["error"], catalog["retry"]) == (None, None, None)


def test_down_for_a_day_nothing_is_lost_and_all_of_it_is_there_minutes_after(world):
    world.catalog.fault("down", "*")
    names = [f"p{hour:02d}" for hour in range(24)]
    for name in names:
        world.register(name)
        world.register(names[0], description=f"As {name} came")
        world.pass_time(HOUR, timedelta(seconds=30))
    assert world.catalog.told() == []
    assert world.catalog.asked < 16 + 24 * 120  # less than one in half a minute
    assert set(world.states(limit=1000)) == set(names)
    world.catalog.fault("down")
    world.pass_time(timedelta(minutes=3))
    assert Counter(name for name, _ in world.catalog.told()) == Counter(names)
    assert {state for state, _, _ in world.states(limit=1000).values()} == {"done"}
    assert world.catalog.shown()[names[0]]["description"] == f"As {names[-1]} came"


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 5), (1.0, 10)])
def test_the_pause_before_the_next_attempt_is_half_left_to_chance(tmp_path, monkeypatch, chance, seconds):
    world = World(tmp_path, monkeypatch, chance=lambda: chance)
    world.catalog.fault("drop", "orders")
    world.register("orders")
    world.follow()
    (item,) = world.platform.catalogs.status(world.admin).items
    assert time_of_text(item["retry"]) - world.now == timedelta(seconds=seconds)
    world.platform.close()


def test_a_server_compares_everything_an_hour_after_its_start_and_then_once_a_day(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch)
    world.register("orders")
    world.follow()
    world.platform.close()
    shown = world.catalog.folder / "products" / "orders.json"
    platform = open_home(world.place / "home", mode="serve", clock=lambda: world.now)
    platform.start()
    platform.maintenance.maintain()
    for span in (HOUR, timedelta(days=1)):
        told = len(world.catalog.told())
        shown.unlink()
        world.now += span - timedelta(minutes=1)
        platform.maintenance.maintain()
        world.now += timedelta(minutes=1)
        assert not shown.exists()
        _until(platform.maintenance.maintain, lambda told=told: len(world.catalog.told()) > told)
        assert shown.exists()
    platform.close()


def test_down_when_changes_came_the_newest_state_is_delivered_in_the_order_of_the_changes(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch, at_once=1)
    world.catalog.fault("down", "*")
    for name in ("a", "b", "c", "d", "e", "f", "g", "h"):
        world.register(name)
    world.follow()
    world.register("a", description="Newer")
    world.register("g", description="Newer")
    world.catalog.fault("down")
    world.pass_time(timedelta(minutes=2))
    told = world.catalog.told()
    assert sorted(name for name, _ in told) == list("abcdefgh")
    untried = [name for name, _ in told if name in "fgh"]
    assert untried == ["f", "h", "g"]
    assert world.catalog.shown()["a"]["description"] == "Newer"
    world.platform.close()


def test_what_a_catalog_refuses_waits_for_a_change_or_for_somebody_to_say_so(world):
    world.catalog.fault("refuse", "orders")
    world.register("orders")
    world.register("returns")
    world.follow()
    assert world.states() == {
        "orders": ("failed", 1, "orders is not to its liking"), "returns": ("done", 1, None),
    }  # fmt: skip
    assert world.condition("orders") == ("failed", "stand_in: orders is not to its liking")
    asked = world.catalog.asked
    world.pass_time(timedelta(days=1), timedelta(minutes=10))
    assert world.catalog.asked == asked
    world.register("orders", description="Better said")
    world.follow()
    assert world.states(product="orders") == {"orders": ("failed", 2, "orders is not to its liking")}
    world.catalog.fault("refuse")
    world.platform.catalogs.retry(world.admin, "orders")
    assert world.states(product="orders") == {"orders": ("done", 3, None)}
    assert world.states(state="failed") == {}


def test_one_bad_product_is_tried_less_and_less_and_keeps_back_no_other(world):
    world.catalog.fault("drop", "bad")
    for name in ("bad", "good", "fine"):
        world.register(name)
    began = world.now
    attempts = []
    while world.now < began + 3 * HOUR:
        asked = world.catalog.asked
        world.follow()
        if world.catalog.asked > asked:
            attempts.append((world.now - began).total_seconds())
        world.now += timedelta(seconds=5)
    assert {name for name, _ in world.catalog.told()} == {"good", "fine"}
    pauses = [after - before for before, after in itertools.pairwise(attempts)]
    assert pauses == sorted(pauses)
    assert 5 <= pauses[0] <= 15
    assert 1800 <= pauses[-1] <= 3600
    assert world.states()["bad"][2] == "answered 200, and does not show it"
    assert world.platform.catalogs.status(world.admin).catalogs[0]["since"] is None


@pytest.mark.parametrize("fault", ["drop", "half", "down"])
def test_whatever_went_wrong_on_the_way_comes_right_when_it_is_over(world, fault):
    world.catalog.fault(fault, "orders")
    world.register("orders")
    world.pass_time(timedelta(minutes=5))
    assert world.states()["orders"][0] == "pending"
    world.catalog.fault(fault)
    world.pass_time(HOUR)
    assert world.catalog.offered()["orders"]["description"] == "About orders"
    assert world.states()["orders"][0] == "done"


@pytest.mark.parametrize("fault", ["refuse", "half", "break"])
def test_one_that_is_told_with_others_and_fails_keeps_none_of_them_back(world, fault):
    world.catalog = Together(world.place / "catalog")
    world.begin()
    world.catalog.fault(fault, "p07")
    names = [f"p{number:02d}" for number in range(12)]
    for name in names:
        world.register(name)
    world.follow()
    assert sorted(itertools.chain(*world.catalog.together)) == names
    assert max(map(len, world.catalog.together)) == 5
    states = {name: state for name, (state, _, _) in world.states().items()}
    assert states.pop("p07") == ("pending" if fault == "half" else "failed")
    assert set(states.values()) == {"done"}
    assert world.catalog.twice == []
    world.catalog.fault(fault)
    world.platform.catalogs.retry(world.admin)
    world.follow()
    assert set(world.catalog.shown()) == set(names)


def test_an_adapter_that_breaks_is_seen_and_tells_no_secret(world):
    world.catalog.fault("break", "orders")
    world.register("orders")
    world.register("returns")
    world.follow()
    state, _, error = world.states()["orders"]
    assert (state, "KeyError" in error, SECRET in error) == ("failed", True, False)
    assert world.states()["returns"][0] == "done"


def test_a_retired_product_is_told_as_retired_and_one_never_told_is_not(world):
    world.register("orders")
    world.follow()
    world.register("never")
    world.platform.products.retire(world.admin, "orders")
    world.platform.products.retire(world.admin, "never")
    world.follow()
    assert {name: each["status"] for name, each in world.catalog.shown().items()} == {"orders": "retired"}
    assert world.deliveries.reconcile().repaired == 0
    assert set(world.catalog.shown()) == {"orders"}


def test_a_reconciliation_repairs_what_others_did_there_and_removes_what_the_mesh_has_not(world):
    for number in range(30):
        world.register(f"p{number}")
    world.follow()
    products = world.catalog.folder / "products"
    (products / "p1.json").unlink()
    (products / "p2.json").write_text("{}")
    (products / "stranger.json").write_text('{"status": "active"}')
    before = world.catalog.told()
    found = world.deliveries.reconcile()
    assert (found.compared, found.repaired, found.removed, found.failed) == (30, 2, 1, ())
    assert sorted(name for name, _ in world.catalog.told()[len(before) :]) == ["p1", "p2"]
    assert set(world.catalog.shown()) == {f"p{number}" for number in range(30)}
    assert world.deliveries.reconcile().repaired == 0


@pytest.mark.parametrize(("fault", "told"), [("down", Temporary), ("break", Internal)])
def test_a_reconciliation_of_a_catalog_that_fails_changes_nothing_and_says_so(world, fault, told):
    world.register("orders")
    world.follow()
    world.catalog.fault(fault, "*")
    with pytest.raises(told) as error:
        world.deliveries.reconcile()
    assert SECRET not in error.value.detail
    world.catalog.fault(fault)
    assert world.deliveries.reconcile().compared == 1


def test_a_comparison_that_was_asked_for_waits_until_the_catalog_is_there(world):
    for name in ("orders", "returns"):
        world.register(name)
    world.follow()
    (world.catalog.folder / "products" / "orders.json").unlink()
    world.catalog.fault("down", "*")
    courier = Courier(world.deliveries)
    courier.reconcile()
    _until(courier.wake, lambda: world.catalog.asked > 2)
    assert set(world.catalog.shown()) == {"returns"}
    world.catalog.fault("down")
    _until(courier.wake, lambda: set(world.catalog.shown()) == {"orders", "returns"})
    courier.stop(60)


def _until(nudge, true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came true"
        nudge()
        time.sleep(0.05)


def test_a_package_that_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    install(tmp_path, tmp_path / "catalog")
    entry = tmp_path / "stand_in-1.0.dist-info" / "entry_points.txt"
    entry.write_text("[thinmesh.catalogs]\nbroken = not_there:open_catalog\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Refused, match="broken"):
        found_catalogs(load_settings(None, {}))


def test_several_products_go_at_once_and_none_twice(world):
    four = threading.Barrier(4)  # none is told before four are being told
    world.catalog.meanwhile = lambda: four.wait(60)
    for number in range(40):
        world.register(f"p{number}")
    world.follow()
    assert (world.catalog.at_once, world.catalog.twice) == (4, [])
    assert len(world.catalog.told()) == 40


def test_only_administrators_retry_and_it_is_on_record(world):
    world.register("orders")
    nobody = Principal("ann", frozenset({"shop"}))
    with pytest.raises(NotAllowed):
        world.platform.catalogs.retry(nobody)
    assert world.platform.catalogs.status(nobody).items
    world.platform.catalogs.retry(world.admin, "orders")
    found = [
        (each["action"], each["object"], each["outcome"]) for each in world.platform.operations.audit(world.admin).items
    ]
    assert ("catalog.retry", "orders", "done") in found
    assert ("catalog.retry", "everything", "not_allowed") in found
    with pytest.raises(NotFound) as error:
        world.platform.catalogs.retry(world.admin, "order")
    assert "orders" in error.value.help
    with pytest.raises(Malformed):
        world.platform.catalogs.status(world.admin, state="lost")


def test_what_is_counted_is_what_is_listed_whatever_state_it_is_in(world):
    def agree():
        found = world.platform.catalogs.status(world.admin, limit=1000)
        listed = Counter(item["state"] for item in found.items)
        counted = {state: found.catalogs[0][state] for state in ("done", "pending", "failed")}
        assert counted == {state: listed[state] for state in counted}
        for state in counted:
            page = world.platform.catalogs.status(world.admin, state=state)
            assert [each["product"] for each in page.items] == sorted(
                item["product"] for item in found.items if item["state"] == state
            )

    agree()
    names = [f"p{number}" for number in range(9)]
    for name in names:
        world.register(name)
    agree()
    world.catalog.fault("refuse", "p1", "p2")
    world.catalog.fault("drop", "p3", "p4")
    world.follow()
    agree()
    for name in ("p0", "p1", "p3"):  # of each state one changes
        world.register(name, description="Newer")
    world.platform.products.retire(world.admin, "p5")
    world.register("never")
    world.platform.products.retire(world.admin, "never")
    agree()
    world.follow()
    agree()


def test_the_list_is_read_page_by_page(world):
    names = [f"p{number}" for number in range(7)]
    for name in names:
        world.register(name)
    with world.platform.database.write() as tx:
        world.platform.delivered.attach(tx, ["stand_in", "other"])
    seen, cursor = [], None
    while True:
        page = world.platform.catalogs.status(world.admin, limit=3, cursor=cursor)
        seen += [(item["product"], item["catalog"]) for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [(name, catalog) for name in names for catalog in ("other", "stand_in")]
