"""Delivery to catalogs, killed at any line, and under random histories: the last state arrives, none out of order."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest

from tests.integration.stand_in_catalog import StandIn, rendered
from tests.torture.crashing import ROOT
from tests.torture.test_crashes import POINTS, SEED
from thinmesh.bootstrap import init_home, open_home
from thinmesh.kernel.errors import MeshError, Retired
from thinmesh.planes.product.deliveries import Deliveries, Pace
from thinmesh.planes.product.model import Upload
from thinmesh.planes.product.records import Records

NAMES = tuple("abcdefgh")
FAULTS = ("down", "refuse", "drop", "half", "break")
STEPS = 40
KINDS = {
    "register": 6,
    "publish": 2,
    "retire": 1,
    "fault": 3,
    "well": 2,
    "follow": 6,
    "later": 4,
    "restart": 1,
    "reconcile": 1,
}


def test_killed_at_any_line_nothing_is_lost_and_at_worst_something_told_again(tmp_path, record_property):
    record_property("seed", SEED)
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.torture.delivering", str(tmp_path / "home"), str(tmp_path / "catalog"),
            str(SEED), str(POINTS),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=60 + 30 * POINTS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["killed"] > POINTS // 2, "the kills came too late to prove anything"
    assert found["again"] <= 3 * found["killed"]  # those of one batch
    record_property("held", ("deliveries killed", found["killed"], found["killed"]))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    home = tmp_path_factory.mktemp("deliveries") / "home"
    init_home(home)
    platform = open_home(home)
    platform.identity.create_team(platform.identity.principal_of_home(), "shop", ["sales"])
    platform.close()
    return home


class History:
    """A mesh, its catalog, and things that happen to them by chance."""

    def __init__(self, template, place, chance):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.chance, self.place = chance, place
        shutil.copytree(template, place / "home")
        self.platform = open_home(place / "home", clock=lambda: self.now)
        self.admin = self.platform.identity.principal_of_home()
        self.catalog = StandIn(place / "catalog")
        with self.platform.database.write() as tx:
            self.platform.delivered.attach(tx, ["stand_in"])
        self.restart()

    def restart(self):
        platform = self.platform
        self.records = Records(platform.index, lambda: platform.teams)
        pace = Pace(lambda: self.now, self.chance.random, self.chance.randint(1, 4))
        self.deliveries = Deliveries(self.catalog, platform.database, platform.delivered, self.records, pace)

    def step(self, kind):
        self.now += timedelta(seconds=1)
        with_name = {"register": self.register, "publish": self.publish, "retire": self.retire}
        if kind in with_name:
            with suppress(Retired):
                with_name[kind](self.chance.choice(NAMES))
        elif kind == "fault":
            self.catalog.fault(self.chance.choice(FAULTS), self.chance.choice((*NAMES, "*")))
        elif kind == "later":
            self.now += timedelta(seconds=self.chance.expovariate(1 / 600))
        else:
            getattr(self, kind)()

    def register(self, name):
        document = {"name": name, "domain": "sales", "owner": "shop", "description": str(self.chance.random())}
        self.platform.products.register(self.admin, json.dumps(document).encode())

    def publish(self, name):
        if self.known(name):
            path = self.place / "t.csv"
            path.write_text(f"id\n{self.chance.randint(0, 9)}\n")
            self.platform.products.publish(self.admin, name, [Upload("t.csv", path)])

    def retire(self, name):
        if self.known(name):
            self.platform.products.retire(self.admin, name)

    def known(self, name):
        with self.platform.database.read() as tx:
            return self.platform.index.product(tx, name)

    def well(self):
        for kind in FAULTS:
            self.catalog.fault(kind)

    def follow(self):
        self.deliveries.follow(self.chance.randint(1, 5))

    def reconcile(self):
        with suppress(MeshError):
            self.deliveries.reconcile()

    def settle(self):
        """Let everything be well, and time pass; what was refused is tried again by hand."""
        self.well()
        with self.platform.database.write() as tx:
            self.platform.delivered.retry(tx, None, "")
        for _ in range(5):
            self.now += timedelta(hours=2)
            while self.deliveries.follow():
                pass

    def faults(self):
        shown, told, found = self.catalog.shown(), self.catalog.told(), list(self.catalog.twice)
        with self.platform.database.read() as tx:
            for name in NAMES:
                product = self.platform.index.product(tx, name)
                sequences = [sequence for each, sequence in told if each == name]
                if sequences != sorted(sequences):
                    found.append(f"{name} was told out of order: {sequences}")
                if product is None or (product.status == "retired" and not shown.get(name)):
                    continue
                if shown.get(name) != json.loads(json.dumps(rendered(self.records.of(tx, name)))):
                    found.append(f"{name} is not shown as it is")
            items = self.platform.delivered.list(tx, None, None, None, 99, ("", ""))
        return found + [str(item) for item in items if item["state"] != "done"]


def test_whatever_happens_and_fails_in_between_the_last_state_is_shown_and_none_came_out_of_order(
    template, tmp_path, record_property
):
    record_property("seed", SEED)
    for number in range(POINTS):
        seed = crc32(f"{SEED} history {number}".encode())
        chance = random.Random(seed)
        history = History(template, tmp_path / str(number), chance)
        steps = chance.choices(list(KINDS), list(KINDS.values()), k=STEPS)
        for kind in steps:
            history.step(kind)
        history.settle()
        assert history.faults() == [], (number, steps)
        history.platform.close()
        shutil.rmtree(tmp_path / str(number))
    record_property("held", ("histories of deliveries", POINTS, POINTS))
