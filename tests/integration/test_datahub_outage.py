"""Delivery to DataHub while that is down, is being upgraded, or is tidied by others: followed on `catalog status`."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import timedelta

import pytest

from tests.integration.datahub_stand_in import StandIn
from tests.integration.running import cli, cli_json
from tests.integration.test_deliveries import World
from thinmesh.adapters.datahub.catalog import DataHubCatalog
from thinmesh.adapters.datahub.names import Names
from thinmesh.adapters.datahub.server import Server
from thinmesh.kernel.settings import revealed

NAMES = Names()
HOUR = timedelta(hours=1)


@pytest.fixture
def service():
    with StandIn() as found:
        yield found


@pytest.fixture
def world(tmp_path, monkeypatch, service):
    """A mesh that tells DataHub of one product, or group of them, after the other."""
    world = World(tmp_path, monkeypatch, at_once=1)
    world.catalog = DataHubCatalog(Server(service.url, lambda: "t0ken", "thinmesh", 20.0))
    with world.platform.database.write() as tx:
        world.platform.delivered.attach(tx, ["datahub"])
    world.begin()
    yield world
    world.platform.close()


def written(service):
    """Name the products that were written, in order."""
    return [
        NAMES.product_of(urn)
        for batch in service.batches
        for urn in dict.fromkeys(each["entityUrn"] for each in batch if each["aspectName"] == "dataProductProperties")
    ]


def copied(world):
    """Give the home as it is now: this process has it open."""
    copy = world.place / f"home-{world.now:%H%M%S%f}"
    if not copy.exists():
        shutil.copytree(world.place / "home", copy)
    return copy


def told(world):
    """Give what `catalog status` says in a shell: the line about the catalog, and that of each product by its name."""
    lines = cli("catalog", "status", "--limit", "1000", home=copied(world)).stdout.splitlines()
    products = {line.split()[0]: line for line in lines if line[:1] == "p" and line.split()[0] != "product"}
    return next(line for line in lines if line.startswith("datahub")), products


def test_down_for_an_hour_every_product_is_delivered_once_and_in_order_followed_on_catalog_status(world, service):
    world.register("before")
    world.follow()
    assert written(service) == ["before"]
    service.down = True
    names = [f"p{number:02d}" for number in range(60)]
    for number, name in enumerate(names):
        world.register(name)
        if number % 3 == 0:
            world.register(names[number // 2], description="Newer")
        world.pass_time(timedelta(minutes=1))
        if number == 30:
            catalog, products = told(world)
            assert "1 done, 31 pending, 0 failed; no answer since 2026-01-01T00:0" in catalog
            assert "answered 503" in catalog
            assert len(products) == 31
            asked = cli_json("catalog", "status", home=copied(world))["catalogs"][0]["retry"]
            assert asked > "2026-01-01T00:30"
            assert asked in products["p29"], "when it is tried next"
    assert written(service) == ["before"]
    last = [f"p{number}" for number in (75, 71, 78, 70, 74, 77, 72, 79, 73, 76)]
    for name in last:  # in the last moment: none of them is tried before it is back
        world.register(name)
    service.down = False
    seen = []
    until = world.now + timedelta(minutes=5)
    while world.now < until and "71 done" not in (seen[-1] if seen else ""):
        world.now += timedelta(seconds=30)
        world.deliveries.follow(20)
        seen.append(told(world)[0])
    done = [int(line.split()[1]) for line in seen]
    assert done == sorted(done)
    assert 1 < done[0] < 71, "it is seen on its way"
    assert seen[-1].split(maxsplit=1)[1] == "71 done, 0 pending, 0 failed"
    after = written(service)[1:]
    assert Counter(after) == Counter([*names, *last])
    assert [name for name in after if name in last] == last, "in the order of the changes"
    assert {line.split()[2] for line in told(world)[1].values()} == {"done"}
    newest = {name: service.aspect(NAMES.data_product(name), "dataProductProperties")["description"] for name in names}
    changed = {names[number // 2] for number in range(0, 60, 3)}
    assert {name for name, text in newest.items() if text == "Newer"} == changed


@pytest.mark.parametrize("aspect", ["dataContractProperties", "structuredProperties", "subTypes"])
def test_a_half_upgraded_server_that_does_not_know_an_aspect_is_told_of_all_when_it_does(world, service, aspect):
    service.unknown = {aspect}
    names = [f"p{number}" for number in range(7)]
    for name in names:
        world.register(name, tables={name: {"columns": {"id": "integer"}}})
    world.pass_time(timedelta(minutes=1))
    catalog, products = told(world)
    assert catalog.split(maxsplit=1)[1] == "0 done, 0 pending, 7 failed"
    assert all(aspect in line for line in products.values()), "it says what the server does not know"
    asked = len(service.requests)
    world.pass_time(HOUR, timedelta(minutes=10))
    assert len(service.requests) == asked, "what it refuses is not sent to it for ever"
    service.unknown = set()
    assert world.deliveries.reconcile().failed == ()
    assert sorted(written(service)) == names
    assert told(world)[0].split(maxsplit=1)[1] == "7 done, 0 pending, 0 failed"


@pytest.mark.parametrize("retried", [True, False], ids=["retry", "nightly_comparison"])
def test_a_token_that_ends_over_night_is_named_once_and_renewed_without_a_restart(tmp_path, monkeypatch, retried):
    token = tmp_path / "token"
    token.write_text("old\n")
    with StandIn(token="old") as service:
        world = World(tmp_path, monkeypatch, at_once=4)
        world.catalog = DataHubCatalog(Server(service.url, lambda: revealed(str(token)), "thinmesh", 20.0))
        with world.platform.database.write() as tx:
            world.platform.delivered.attach(tx, ["datahub"])
        world.begin()
        # The connections are open, and stay so, when the token ends.
        names = [f"p{number:03d}" for number in range(120)]
        for name in names:
            world.register(name)
        world.follow()
        service.expect("new")
        changed = sorted(names, key=lambda name: name[::-1])
        for name in changed:
            world.register(name, description="Newer")
        world.pass_time(HOUR)
        asked = len(service.requests)
        world.pass_time(8 * HOUR, timedelta(minutes=10))
        assert len(service.requests) == asked, "what it refuses is not sent to it for ever"

        why = f"DataHub at {service.url} answered 401: Unauthorized. The token of datahub.token must be in force"
        shown = cli("catalog", "status", home=copied(world)).stdout
        assert "0 done, 0 pending, 120 failed" in shown.splitlines()[0]
        last = shown.splitlines()[-4:]
        assert last[0] == ""
        assert last[1].startswith(f"datahub refuses 100 of these for one reason: {why}")
        assert "catalog retry" in last[2]
        assert "catalog status --state failed" in last[3]
        (fault,) = world.platform.outside_catalogs.faults()
        assert fault.startswith(f"datahub does not take 100 or more products, such as p000: {why}")

        service.expect("renewed")
        token.write_text("renewed\n")
        sent = len(written(service))
        if retried:
            assert world.platform.catalogs.retry(world.admin).retried == 120
            world.follow()
        else:
            assert world.deliveries.reconcile().failed == ()
        world.now += HOUR
        assert told(world)[0].split(maxsplit=1)[1] == "120 done, 0 pending, 0 failed"
        again = written(service)[sent:]
        assert Counter(again) == Counter(names)
        if retried:
            # Forty in a turn, some of them at once: in the order of the changes from turn to turn.
            turns = [slice(start, start + 40) for start in (0, 40, 80)]
            assert [set(again[turn]) for turn in turns] == [set(changed[turn]) for turn in turns]
        world.platform.close()


def test_what_somebody_deleted_there_comes_back_with_the_next_change_and_with_the_nightly_comparison(world, service):
    """All of it, what products share as well: others tidy up there, and know nothing of us."""
    for name in ("p0", "p1"):
        world.register(name, tags=["red"])
    world.follow()
    before = {urn: dict(each) for urn, each in service.store.items()}
    service.store.clear()
    world.register("p0", tags=["red"], description="Changed")
    world.follow()
    assert service.aspect(NAMES.data_product("p0"), "status") == {"removed": False}
    assert world.deliveries.reconcile().failed == ()
    assert service.store.keys() == before.keys()
