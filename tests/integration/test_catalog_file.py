"""`data_catalog.csv` is a `Catalog`, and after any history says what one made from the index alone would say."""

import contextlib
import csv
import io
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.keeping import Kept
from thinmesh.bootstrap import init_home, open_home
from thinmesh.conformance.catalog import CatalogConformance, CatalogWorld
from thinmesh.kernel.errors import Refused, Temporary
from thinmesh.kernel.ledger import Actor, Draft
from thinmesh.kernel.repository import Signature
from thinmesh.planes.product.catalog_file import CatalogFile

PATH = "data_catalog.csv"


class TestCatalogFile(CatalogConformance):
    def open(self, place):
        init_home(place / "home")
        platform = open_home(place / "home")
        caller = platform.identity.principal_of_home()
        platform.identity.create_team(caller, "shop", ["sales"])

        def read():
            rows = csv.DictReader(io.StringIO(shown(platform).decode(), newline=""))
            return {row.pop("name"): row for row in rows}

        return CatalogWorld(platform.products, caller, platform.catalog_file, read, platform.close)


def shown(platform):
    return bytes(platform.data.read(platform.data.file(platform.data.tip(), PATH).id))


def made(platform):
    with platform.database.read() as tx:
        return platform.catalog_file.content(tx)


class History:
    """A home, what may happen to it, and which products are retired."""

    def __init__(self, place):
        self.path = place / "home"
        init_home(self.path)
        self.kept = Kept(self.path)
        for team in ("team", "shop"):
            self.kept.platform.identity.create_team(self.kept.admin, team, ["t"])
        self.retired = set()
        self.times = 0

    def register(self, name, changes):
        if name not in self.retired:
            self.kept.register(name, **{"domain": "t", **changes})

    def publish(self, name, _):
        self.register(name, {})
        if name not in self.retired:
            self.kept.publish(name, "id\n1\n", table="inferred")

    def retire(self, name, _):
        self.register(name, {})
        self.kept.platform.products.retire(self.kept.admin, name)
        self.retired.add(name)

    def follow(self, *_):
        self.kept.platform.catalog_file.follow()
        assert shown(self.kept.platform) == made(self.kept.platform)

    def prepare(self, *_):
        self.kept.platform.catalog_file.prepare()

    def restart(self, *_):
        self.kept.close()
        self.kept = Kept(self.path)

    def elsewhere(self, name, changes):
        """Register, and let another one follow, as a command does while no server is up."""
        self.register(name, changes)
        CatalogFile(self.kept.platform).follow()

    def rebuild(self, *_):
        self.kept.operations.rebuild(self.kept.admin, "catalog_file")
        assert shown(self.kept.platform) == made(self.kept.platform)

    def rebuild_index(self, *_):
        self.kept.operations.rebuild(self.kept.admin, "index")
        assert shown(self.kept.platform) == made(self.kept.platform)

    def change_by_hand(self, name, _):
        """Change the file, and then a product: what is followed next makes the file anew."""
        platform = self.kept.platform
        id = platform.data.add(f"{name}\n".encode())
        who = Signature("somebody", "somebody@example.org")
        platform.ledger.submit(lambda tx, tip: Draft(Actor("hand", "cli"), (), "By hand", who, {PATH: id}))
        self.times += 1
        self.register("another", {"description": f"after {self.times}"})


NAMES = st.sampled_from(["orders", "orders2", "orders_2", "people", "zebras"])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "description": st.sampled_from(["Better", 'a, "b"\n=c', "表 \x1b]0;x\x07"]),
        "owner": st.sampled_from(["team", "shop"]),
        "access": st.sampled_from(["open", "request"]),
        "tables": st.sampled_from([{name: {"columns": {"id": "integer"}} for name in names} for names in ("a", "ba")]),
    },
)
STEPS = ["register"] * 4 + ["follow"] * 4 + ["publish", "retire", "restart", "elsewhere"]
STEPS += ["prepare", "rebuild", "rebuild_index", "change_by_hand"]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), NAMES, CHANGES), min_size=3, max_size=16))
def test_after_any_history_it_says_what_one_made_whole_says(steps):
    with tempfile.TemporaryDirectory() as place:
        history = History(Path(place))
        for step, name, changes in steps:
            with contextlib.suppress(Refused):  # a change that would take a table away
                getattr(history, step)(name, changes)
        history.follow()
        assert "projections_follow" not in history.kept.broken()
        history.kept.close()


@pytest.fixture
def kept(tmp_path):
    with closing(History(tmp_path).kept) as kept:
        for name in ("orders", "people"):
            kept.register(name, domain="t")
        kept.platform.follow()
        yield kept


def test_one_that_was_not_taken_is_not_built_on(kept):
    kept.register("orders", domain="t", description="new")
    in_the_way = kept.path / "log.git" / "refs" / "heads" / "main.lock"
    in_the_way.mkdir()
    os.utime(in_the_way, (0, 0))
    with pytest.raises(Temporary):
        kept.platform.catalog_file.follow()
    in_the_way.rmdir()
    kept.register("people", domain="t", description="new")
    assert kept.platform.catalog_file.follow() == 1
    assert shown(kept.platform) == made(kept.platform)


def test_a_rebuilt_index_takes_with_it_what_was_wrong_in_the_file(kept):
    """A line is made when its product changes: what damage of the index had brought into it would stay."""
    with closing(sqlite3.connect(kept.path / "thinmesh.db")) as database, database:
        database.execute("UPDATE products SET description = 'damaged' WHERE name = 'orders'")
    kept.operations.rebuild(kept.admin, "catalog_file")
    assert b"damaged" in shown(kept.platform)
    kept.operations.rebuild(kept.admin, "index")
    assert b"damaged" not in shown(kept.platform)
    assert kept.broken() == {}


def test_only_what_changed_is_read(kept):
    """A changed row that no entry of the log tells of is not seen, which shows that other rows are not read."""
    kept.register("orders", domain="t", description="first")
    kept.platform.catalog_file.follow()
    with closing(sqlite3.connect(kept.path / "thinmesh.db")) as database, database:
        database.execute("UPDATE products SET description = 'unseen' WHERE name = 'people'")
    kept.register("orders", domain="t", description="second")
    kept.platform.catalog_file.follow()
    assert b"second" in shown(kept.platform)
    assert b"unseen" not in shown(kept.platform)


def test_after_a_start_the_lines_are_prepared(kept):
    """A row changed in between shows that the first change reads no other rows any more."""
    after = CatalogFile(kept.platform)
    after.prepare()
    with closing(sqlite3.connect(kept.path / "thinmesh.db")) as database, database:
        database.execute("UPDATE products SET description = 'unseen' WHERE name = 'people'")
    kept.register("orders", domain="t", description="first")
    assert after.follow() == 1
    assert b"first" in shown(kept.platform)
    assert b"unseen" not in shown(kept.platform)


def test_lines_that_are_not_the_file_are_not_prepared(kept):
    with closing(sqlite3.connect(kept.path / "thinmesh.db")) as database, database:
        database.execute("UPDATE products SET description = 'damaged' WHERE name = 'people'")
    after = CatalogFile(kept.platform)
    after.prepare()
    with closing(sqlite3.connect(kept.path / "thinmesh.db")) as database, database:
        database.execute("UPDATE products SET description = 'mended' WHERE name = 'people'")
    kept.register("orders", domain="t", description="first")
    after.follow()
    assert b"damaged" not in shown(kept.platform)
    assert shown(kept.platform) == made(kept.platform)
