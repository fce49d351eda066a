"""A clock that goes back and jumps forth between writes: what counts is the order of the log, never the time of day."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.keeping import Kept, rows_of
from thinmesh.bootstrap import Platform, init_home
from thinmesh.kernel.errors import NotSignedIn
from thinmesh.kernel.idempotency import StoredReply
from thinmesh.kernel.settings import load_settings
from thinmesh.planes.operations.operations import Operations
from thinmesh.planes.operations.orphans import remove_orphans
from thinmesh.planes.product.model import Upload

STEPS = int(os.environ.get("THINMESH_TORTURE_POINTS", "22"))
SEED = int(os.environ.get("THINMESH_TORTURE_SEED", "1"))
CONTRACT = {"t": {"columns": {"id": "integer"}}}


class MovingClock:
    """Time as somebody sets it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class Timed(Kept):
    """A home on such a clock."""

    def __init__(self, path, clock) -> None:
        self.path = path
        self.platform = Platform(path, load_settings(path / "thinmesh.toml", os.environ), clock=clock)
        self.platform.layout.lock(exclusive=True)
        self.platform.ledger.recover()
        self.admin = self.platform.identity.principal_of_home()
        self.operations = Operations(self.platform, self.platform.tools)

    def append(self, name, rows) -> str:
        path = self.path.parent / "t.csv"
        path.write_text("id\n" + "".join(f"{row}\n" for row in rows))
        return self.platform.products.publish(self.admin, name, [Upload("t.csv", path)], "append").publication


@pytest.fixture
def clock():
    return MovingClock()


@pytest.fixture
def kept(tmp_path, clock):
    init_home(tmp_path / "home")
    kept = Timed(tmp_path / "home", clock)
    kept.platform.identity.create_team(kept.admin, "team", ["d"])
    for user in ("ada", "ben"):
        kept.platform.identity.add_user(kept.admin, user)
    kept.platform.identity.add_member(kept.admin, "team", "ada")
    yield kept
    kept.close()


def ordered(kept, publications, told) -> None:
    """Hold log, publications, history, events and audit against the order in which things happened."""
    platform = kept.platform
    assert [entry.sequence for entry in platform.ledger.entries()] == list(range(1, told + 1))
    with platform.database.read() as tx:
        for name, ids in publications.items():
            found = platform.index.publications(tx, name, 1000, None)
            assert [each["publication"] for each in found] == ids[::-1]
            history = [each["sequence"] for each in platform.index.history(tx, name, 1000, None)]
            assert history == sorted(history, reverse=True)
            assert platform.index.product(tx, name).tables["t"].publication == (ids[-1] if ids else None)
    assert platform.audit.broken_at() is None


def test_order_ids_and_events_stay_right_whatever_the_clock_does(kept, clock, record_property):
    dice = random.Random(SEED)
    publications: dict[str, list[str]] = {}
    read, last = [], ""
    for number in range(STEPS):
        clock.now += timedelta(seconds=dice.choice([-1, 1]) * 10 ** dice.uniform(0, 8))
        if number % 4 == 0:
            kept.register(f"p{number}", tables=CONTRACT)
            publications[f"p{number}"] = []
        else:
            name = dice.choice(sorted(publications))
            publications[name].append(kept.append(name, [number]))
        entries = number + 1
        for event in kept.platform.exchange.events(kept.admin, last, 1000).items:
            read.append(event)
            last = event["id"]
        ordered(kept, publications, entries)
    kept.platform.follow()
    kept.operations.rebuild(kept.admin, "warehouse")
    found = kept.operations.doctor(kept.admin, True).findings
    assert {each.invariant for each in found if each.state != "ok"} <= {"clock_sane"}
    every = list(kept.platform.exchange.events(kept.admin, None, 1000).items)
    assert [event["id"] for event in read] == [event["id"] for event in every][: len(read)]
    for name, ids in publications.items():
        assert ids == [f"p{at + 1}" for at in range(len(ids))]
        assert sum(count for count in kept_rows(kept, name).values()) == len(ids)
    record_property("seed", SEED)
    record_property("held", ("clock jumps", STEPS, STEPS))


def kept_rows(kept, name):
    with kept.platform.database.read() as tx:
        state = kept.platform.index.product(tx, name).tables["t"]
    return rows_of(kept, state.files)


def test_tokens_and_grants_end_when_the_clock_says_so_and_not_before(kept, clock, record_property):
    start = clock.now
    identity, exchange = kept.platform.identity, kept.platform.exchange
    kept.register("closed", access="request", tables=CONTRACT)
    token = identity.new_token(kept.admin, "ben", expires="P30D").token
    ben = identity.authenticate(token)
    asked = exchange.request(ben, "closed", "to see", "P10D")
    exchange.approve(kept.admin, asked.id)
    jumps = [-400, -1, 0, 9, -9, 11, 29, 31, 5, -365, 365]
    for days in jumps:
        clock.now = start + timedelta(days=days)
        valid = True
        try:
            identity.authenticate(token)
        except NotSignedIn:
            valid = False
        assert valid == (days < 30), days
        assert kept.platform.grants.granted("ben", frozenset(), "closed") == (days < 10), days
        kept_grants = [each["id"] for each in exchange.grants(kept.admin, "closed").items]
        assert kept_grants == ([asked.id] if days < 10 else [])
    identity.revoke_token(kept.admin, ben.token)
    exchange.revoke(kept.admin, asked.id)
    for days in (-400, 0, 400):
        clock.now = start + timedelta(days=days)
        with pytest.raises(NotSignedIn, match="revoked"):
            identity.authenticate(token)
        assert not kept.platform.grants.granted("ben", frozenset(), "closed")
    record_property("held", ("clock jumps", len(jumps) + 3, len(jumps) + 3))


def test_a_grant_that_was_told_to_be_over_stays_over(kept, clock):
    exchange = kept.platform.exchange
    kept.register("closed", access="request", tables=CONTRACT)
    asked = exchange.request(kept.platform.identity.principal("ben"), "closed", "to see", "P10D")
    exchange.approve(kept.admin, asked.id)
    clock.now += timedelta(days=11)
    assert exchange.expire() == 1
    clock.now -= timedelta(days=11)
    assert not kept.platform.grants.granted("ben", frozenset(), "closed")


def test_the_same_request_twice_is_one_while_the_clock_goes_back(kept, clock):
    replies = kept.platform.replies
    assert replies.reserve("ada", "key", b"x") is None
    replies.keep("ada", "key", StoredReply(201, b"made"))
    for hours in (-48, 24, 100, -1):
        clock.now += timedelta(hours=hours)
        assert replies.reserve("ada", "key", b"x") == StoredReply(201, b"made")


def test_another_process_goes_on_with_its_own_clock(kept, clock, tmp_path):
    kept.register("one", tables=CONTRACT)
    first = kept.append("one", [1])
    kept.close()
    clock.now -= timedelta(days=3000)
    again = Timed(tmp_path / "home", clock)
    assert (first, again.append("one", [2])) == ("p1", "p2")
    assert set(again.broken()) <= {"projections_follow", "clock_sane"}
    again.close()


def test_a_clock_that_jumps_forth_makes_no_orphan_of_a_file_in_the_making(kept, clock):
    """Its publication stored it a moment ago, and has yet to tell the log."""
    stored = kept.path / "lake" / "orders" / "t" / "0123456789ab.parquet"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"x")
    clock.now += timedelta(days=3000)
    assert remove_orphans(kept.platform) == 0
    assert stored.exists()
    week_ago = (datetime.now(UTC) - timedelta(days=7)).timestamp()
    os.utime(stored, (week_ago, week_ago))
    assert remove_orphans(kept.platform) == 1


def test_maintenance_runs_on_whatever_the_clock_does(kept, clock):
    for days in (3000, -6000, 1):
        clock.now += timedelta(days=days)
        assert [each.error for each in kept.platform.maintenance.maintain(everything=True) if each.error] == []
    kept.register("late")
