"""Requests and grants, over a real database."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinmesh.adapters.sql.audit import SqlAuditStore
from thinmesh.adapters.sql.exchange import EXCHANGE_SCHEMA, SqlAccessStore, SqlEvents
from thinmesh.adapters.sql.schema import STORES, migrate
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.kernel.audit import Audit
from thinmesh.kernel.errors import Conflict, Malformed, MeshError, NotAllowed, NotFound, Refused, Retired
from thinmesh.kernel.events import Event
from thinmesh.kernel.policy import Action, Policy, Principal, ProductFacts
from thinmesh.planes.exchange.operations import Exchange, GrantsInForce

SCHEMA = {"exchange": ((1, EXCHANGE_SCHEMA),), "audit": STORES["audit"]}

OWNER = Principal("olga", teams=frozenset({"air"}))
OTHER_OWNER = Principal("otto", teams=frozenset({"air"}))
ANN = Principal("ann", teams=frozenset({"sea"}))
AMY = Principal("amy", teams=frozenset({"sea"}))
EVE = Principal("eve", teams=frozenset({"land"}))
ADMIN = Principal("admin", admin=True, scope="admin")


class Time:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


class KnownProducts:
    """A few products, and their owners."""

    def __init__(self):
        self.known = {
            name: ProductFacts(name, "aviation", "air", access, status)
            for name, access, status in [
                ("flights", "request", "active"),
                ("crew", "request", "active"),
                ("weather", "open", "active"),
                ("old", "request", "retired"),
            ]
        }

    def facts(self, tx, product):
        if product not in self.known:
            raise NotFound(f"There is no product {product!r}.")
        return self.known[product]

    def owned_by(self, tx, teams):
        return [name for name, facts in self.known.items() if facts.owner in teams]


class Mesh:
    def __init__(self, database, time):
        self.database = database
        self.time = time
        self.products = KnownProducts()
        self.events = SqlEvents()
        self.grants = GrantsInForce(database, SqlAccessStore(), time)
        self.policy = Policy(self.grants)
        self.audit = Audit(database, SqlAuditStore(), self.policy, time)
        self.exchange = Exchange(database, SqlAccessStore(), self.events, self.products, self.policy, self.audit, time)

    def may_read(self, caller, product="flights"):
        return self.policy.allows(caller, Action.READ_DATA, self.products.known[product])

    def feed(self, caller, after=None):
        return [(each["type"], each["subject"]) for each in self.exchange.events(caller, after).items]


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def mesh(tmp_path, time):
    with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
        migrate(database, SCHEMA)
        yield Mesh(database, time)


@pytest.fixture
def exchange(mesh):
    return mesh.exchange


def ids(page):
    return [item["id"] for item in page.items]


class TestTheWholeWay:
    def test_ask_approve_read_until_it_expires(self, mesh, exchange, time):
        asked = exchange.request(ANN, "flights", "delays in spring", "PT2H")
        assert (asked.state, asked.user, asked.team, asked.expires) == ("requested", "ann", None, None)
        assert not mesh.may_read(ANN)
        time.now += timedelta(hours=5)
        granted = exchange.approve(OWNER, asked.id)
        assert (granted.id, granted.state, granted.decided_by) == (asked.id, "approved", "olga")
        assert granted.expires == "2026-01-01T07:00:00.000000Z"
        assert mesh.may_read(ANN)
        assert not mesh.may_read(AMY)
        assert not mesh.may_read(ANN, "crew")
        time.now += timedelta(hours=2, microseconds=-1)
        assert mesh.may_read(ANN)
        time.now += timedelta(microseconds=1)
        assert not mesh.may_read(ANN)
        assert exchange.requests(ANN).items[0]["state"] == "expired"

    def test_a_grant_of_a_team_is_for_everybody_in_it_as_it_is_now(self, mesh, exchange):
        asked = exchange.request(ANN, "flights", "x", team="sea")
        exchange.approve(OWNER, asked.id)
        assert mesh.may_read(ANN)
        assert mesh.may_read(AMY)
        assert not mesh.may_read(replace(ANN, teams=frozenset()))
        assert mesh.grants.granted_products("amy", {"sea"}) == {"flights"}
        assert mesh.grants.granted_products("ann", set()) == frozenset()

    def test_a_grant_revoked_counts_at_once_in_every_process(self, mesh, exchange, tmp_path, time):
        asked = exchange.request(ANN, "flights", "x")
        exchange.approve(OWNER, asked.id)
        with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
            assert Mesh(database, time).exchange.revoke(OTHER_OWNER, asked.id).ended_by == "otto"
        assert not mesh.may_read(ANN)
        assert exchange.revoke(OWNER, asked.id).ended_by == "otto"

    def test_a_denial_says_why(self, mesh, exchange):
        asked = exchange.request(ANN, "flights", "x")
        denied = exchange.deny(OWNER, asked.id, "no personal data for that")
        assert (denied.state, denied.why) == ("denied", "no personal data for that")
        assert exchange.deny(OTHER_OWNER, asked.id, "another reason") == denied
        with pytest.raises(Conflict, match="denied"):
            exchange.approve(OWNER, asked.id)
        assert not mesh.may_read(ANN)

    def test_after_the_end_a_new_request_is_a_new_one(self, exchange, time):
        first = exchange.request(ANN, "flights", "x", "PT1H")
        exchange.deny(OWNER, first.id, "later")
        second = exchange.request(ANN, "flights", "x", "PT1H")
        exchange.approve(OWNER, second.id)
        time.now += timedelta(hours=1)
        third = exchange.request(ANN, "flights", "x", "PT1H")
        assert len({first.id, second.id, third.id}) == 3


class TestTheSameTwice:
    def test_a_repeated_request_is_the_same_while_it_waits_and_while_in_force(self, exchange):
        asked = exchange.request(ANN, "flights", "x")
        assert exchange.request(ANN, "flights", "x") == asked
        granted = exchange.approve(OWNER, asked.id)
        assert exchange.request(ANN, "flights", "x") == granted
        assert len(exchange.requests(ANN).items) == 1

    def test_a_team_asks_once_whoever_of_it_does(self, exchange):
        asked = exchange.request(ANN, "flights", "x", team="sea")
        assert exchange.request(AMY, "flights", "x", team="sea") == asked
        assert exchange.request(ANN, "flights", "x").id != asked.id

    def test_another_purpose_while_one_waits_is_a_conflict_and_afterwards_a_renewal(self, exchange):
        asked = exchange.request(ANN, "flights", "x")
        with pytest.raises(Conflict, match=asked.id):
            exchange.request(ANN, "flights", "y")
        exchange.approve(OWNER, asked.id)
        assert exchange.request(ANN, "flights", "y").state == "requested"

    def test_approved_twice_is_approved_once(self, exchange, time):
        asked = exchange.request(ANN, "flights", "x")
        granted = exchange.approve(OWNER, asked.id)
        time.now += timedelta(days=1)
        assert exchange.approve(OTHER_OWNER, asked.id) == granted

    def test_of_many_approvals_at_once_one_counts_and_all_get_it(self, mesh, exchange):
        asked = exchange.request(ANN, "flights", "x")
        callers = [Principal(f"owner{number}", teams=frozenset({"air"})) for number in range(12)]
        with ThreadPoolExecutor(6) as threads:
            found = set(threads.map(lambda caller: exchange.approve(caller, asked.id), callers))
        assert len(found) == 1
        assert mesh.feed(ANN).count(("thinmesh.access.granted", "flights")) == 1

    def test_of_approval_and_denial_at_once_one_counts(self, exchange, time):
        for number in range(6):
            time.now += timedelta(seconds=1)
            asked = exchange.request(ANN, "flights", f"purpose {number}")

            def decide(verb, asked=asked):
                with suppress(Conflict):
                    return verb(asked).state
                return None

            verbs = [lambda a: exchange.approve(OWNER, a.id), lambda a: exchange.deny(OTHER_OWNER, a.id, "no")]
            with ThreadPoolExecutor(2) as threads:
                outcomes = [state for state in threads.map(decide, verbs) if state]
            assert len(outcomes) == 1
            assert outcomes[0] == exchange.requests(ANN).items[0]["state"]
            if outcomes == ["approved"]:
                exchange.revoke(OWNER, asked.id)

    def test_of_many_same_requests_at_once_there_is_one(self, exchange):
        with ThreadPoolExecutor(6) as threads:
            found = set(threads.map(lambda _: exchange.request(ANN, "flights", "x").id, range(12)))
        assert len(found) == 1


class TestWhoMay:
    def test_nobody_decides_for_themselves(self, exchange):
        asked = exchange.request(replace(ADMIN, teams=frozenset({"sea"})), "flights", "x")
        for verb in (exchange.approve, lambda caller, asked: exchange.deny(caller, asked, "no")):
            with pytest.raises(NotAllowed, match="of their own"):
                verb(ADMIN, asked.id)
        of_team = exchange.request(ANN, "flights", "x", team="sea")
        with pytest.raises(NotAllowed, match="of their team"):
            exchange.approve(replace(ADMIN, teams=frozenset({"sea"})), of_team.id)
        assert exchange.approve(ADMIN, of_team.id).state == "approved"

    def test_who_asked_and_then_joined_the_owners_does_not_decide(self, exchange):
        asked = exchange.request(ANN, "flights", "x")
        with pytest.raises(NotAllowed):
            exchange.approve(replace(ANN, teams=frozenset({"sea", "air"})), asked.id)

    def test_only_owners_and_administrators_decide(self, exchange):
        asked = exchange.request(ANN, "flights", "x", team="sea")
        for caller in (ANN, AMY):
            with pytest.raises(NotAllowed):
                exchange.approve(caller, asked.id)
        for caller in (replace(OWNER, scope="read"), replace(OWNER, scope="publish:flights")):
            with pytest.raises(NotAllowed):
                exchange.approve(caller, asked.id)
        with pytest.raises(NotFound):
            exchange.approve(replace(ADMIN, scope="write"), asked.id)

    def test_what_does_not_concern_someone_is_not_there(self, exchange):
        asked = exchange.request(ANN, "flights", "secret plans")
        verbs = (exchange.approve, exchange.revoke, lambda caller, asked: exchange.deny(caller, asked, "no"))
        for verb in verbs:
            with pytest.raises(NotFound) as theirs:
                verb(EVE, asked.id)
            with pytest.raises(NotFound) as nothing:
                verb(EVE, "0" * 12)
            assert theirs.value.detail.replace(asked.id, "") == nothing.value.detail.replace("0" * 12, "")
        assert exchange.requests(EVE).items == ()

    def test_the_owner_is_who_owns_it_now(self, mesh, exchange):
        asked = exchange.request(ANN, "flights", "x")
        mesh.products.known["flights"] = replace(mesh.products.known["flights"], owner="land")
        with pytest.raises(NotFound):
            exchange.approve(OWNER, asked.id)
        assert exchange.requests(OWNER).items == ()
        assert exchange.approve(EVE, asked.id).decided_by == "eve"

    def test_grantees_give_up_theirs_and_withdraw_requests(self, mesh, exchange):
        asked = exchange.request(ANN, "flights", "x")
        with pytest.raises(Conflict):
            exchange.revoke(OWNER, asked.id)
        assert exchange.revoke(ANN, asked.id).state == "revoked"
        of_team = exchange.request(ANN, "flights", "x", team="sea")
        exchange.approve(OWNER, of_team.id)
        with pytest.raises(NotAllowed):
            exchange.revoke(AMY, of_team.id)
        with pytest.raises(NotAllowed):
            exchange.revoke(replace(ANN, scope="read"), of_team.id)
        assert exchange.revoke(ANN, of_team.id).state == "revoked"
        assert not mesh.may_read(AMY)

    def test_a_request_for_a_team_one_is_not_in_is_not_allowed(self, exchange):
        with pytest.raises(NotAllowed):
            exchange.request(EVE, "flights", "x", team="sea")
        with pytest.raises(NotAllowed):
            exchange.request(replace(ANN, scope="read"), "flights", "x")


class TestWhatIsRefused:
    def test_a_request_that_nobody_needs_is_explained(self, exchange):
        with pytest.raises(Refused, match="weather is open: no grant is needed"):
            exchange.request(ANN, "weather", "x")
        with pytest.raises(Refused, match="belongs to air"):
            exchange.request(OWNER, "flights", "x")
        with pytest.raises(Retired):
            exchange.request(ANN, "old", "x")
        with pytest.raises(NotFound):
            exchange.request(ANN, "fligths", "x")

    def test_an_owner_may_ask_for_another_team_of_theirs(self, exchange):
        both = replace(OWNER, teams=frozenset({"air", "sea"}))
        assert exchange.request(both, "flights", "x", team="sea").team == "sea"

    @pytest.mark.parametrize("purpose", ["", "  \n", "x" * 2001, "\x1b[2J", "a\x00b"])
    @pytest.mark.parametrize("duration", ["P0D", "P3Y"])
    def test_purpose_and_duration_are_judged_together(self, exchange, purpose, duration):
        with pytest.raises(Refused) as raised:
            exchange.request(ANN, "flights", purpose, duration)
        assert [each.column for each in raised.value.violations] == ["purpose", "duration"]

    @pytest.mark.parametrize("duration", ["", "soon", "30 days", "P-1D"])
    def test_what_is_no_duration_is_malformed(self, exchange, duration):
        with pytest.raises(Malformed):
            exchange.request(ANN, "flights", "x", duration)

    def test_the_longest_is_two_years(self, exchange):
        assert exchange.request(ANN, "flights", "x" * 2000, "P2Y").duration == "P2Y"

    def test_a_denial_without_a_reason_is_refused(self, exchange):
        asked = exchange.request(ANN, "flights", "x")
        with pytest.raises(Refused):
            exchange.deny(OWNER, asked.id, " ")

    def test_an_expired_or_retired_one_is_not_approved(self, mesh, exchange, time):
        asked = exchange.request(ANN, "flights", "x", "PT1H")
        exchange.approve(OWNER, asked.id)
        time.now += timedelta(hours=1)
        with pytest.raises(Conflict, match="expired"):
            exchange.approve(OWNER, asked.id)
        assert exchange.revoke(OWNER, asked.id).state == "expired"
        other = exchange.request(ANN, "crew", "x")
        mesh.products.known["crew"] = replace(mesh.products.known["crew"], status="retired")
        with pytest.raises(Retired):
            exchange.approve(OWNER, other.id)

    def test_a_text_that_is_no_unicode_is_the_callers_fault(self, exchange):
        with pytest.raises(Malformed):
            exchange.request(ANN, "flights", "\ud800")


class TestLists:
    def test_both_parties_and_administrators_see_it(self, exchange):
        own = exchange.request(ANN, "flights", "x").id
        of_team = exchange.request(AMY, "crew", "x", team="sea").id
        assert ids(exchange.requests(OWNER)) == ids(exchange.requests(ADMIN))
        assert set(ids(exchange.requests(ADMIN))) == {own, of_team}
        assert set(ids(exchange.requests(ANN))) == {own, of_team}
        assert ids(exchange.requests(AMY)) == [of_team]
        assert ids(exchange.requests(OWNER, "crew")) == [of_team]
        assert ids(exchange.requests(EVE)) == []
        assert ids(exchange.requests(replace(ADMIN, scope="write"))) == []

    def test_grants_are_those_in_force(self, exchange, time):
        asked = exchange.request(ANN, "flights", "x", "PT1H")
        assert ids(exchange.grants(ANN)) == []
        exchange.approve(OWNER, asked.id)
        for caller in (ANN, OWNER, ADMIN):
            assert ids(exchange.grants(caller)) == ids(exchange.grants(caller, "flights")) == [asked.id]
            assert ids(exchange.grants(caller, "crew")) == []
        assert ids(exchange.grants(EVE)) == []
        with pytest.raises(NotFound):
            exchange.grants(ANN, "nothing")
        time.now += timedelta(hours=1)
        assert ids(exchange.grants(ANN)) == []

    def test_they_come_in_pages_the_newest_first(self, exchange):
        asked = [exchange.request(Principal(f"user{n}"), "flights", "x").id for n in range(5)]
        found, cursor = [], None
        while True:
            page = exchange.requests(OWNER, limit=2, cursor=cursor)
            found += ids(page)
            cursor = page.next
            if cursor is None:
                break
        assert sorted(found) == sorted(asked)
        for wrong in ("WzEsMl0", "WyJhIl0", "eyJhIjoxfQ", "é", "x" * 5000):
            with pytest.raises(Malformed):
                exchange.requests(OWNER, cursor=wrong)


class TestEvents:
    def test_both_parties_get_a_receipt_of_every_step_and_nobody_else(self, mesh, exchange, time):
        asked = exchange.request(ANN, "flights", "x", "PT1H")
        exchange.approve(OWNER, asked.id)
        time.now += timedelta(hours=1)
        assert exchange.expire() == 1
        assert exchange.expire() == 0
        steps = [(f"thinmesh.access.{step}", "flights") for step in ("requested", "granted", "expired")]
        assert mesh.feed(ANN) == mesh.feed(OWNER) == mesh.feed(OTHER_OWNER) == mesh.feed(ADMIN) == steps
        assert mesh.feed(EVE) == mesh.feed(AMY) == []

    def test_the_whole_team_gets_those_of_the_teams_requests(self, mesh, exchange):
        asked = exchange.request(ANN, "flights", "x", team="sea")
        exchange.deny(OWNER, asked.id, "no")
        assert mesh.feed(AMY) == [("thinmesh.access.requested", "flights"), ("thinmesh.access.denied", "flights")]

    def test_they_are_cloudevents(self, exchange):
        asked = exchange.request(ANN, "flights", "x")
        (event,) = exchange.events(ANN).items
        assert event == {
            "specversion": "1.0",
            "id": "1",
            "source": "urn:thinmesh",
            "type": "thinmesh.access.requested",
            "subject": "flights",
            "time": asked.requested,
            "datacontenttype": "application/json",
            "data": event["data"],
        }
        assert (event["data"]["id"], event["data"]["user"], event["data"]["state"]) == (asked.id, "ann", "requested")

    def test_events_of_products_are_for_everybody_and_recorded_once(self, mesh, exchange):
        published = Event("product.published", "flights", "2026", {"publication": "p1"}, everyone=True, key="7:flights")
        for _ in range(2):
            with mesh.database.write() as tx:
                mesh.events.record(tx, published)
        assert mesh.feed(EVE) == [("thinmesh.product.published", "flights")]

    def test_the_feed_goes_on_after_the_last_one_read(self, mesh, exchange):
        with mesh.database.write() as tx:
            for number in range(5):
                mesh.events.record(tx, Event("product.published", f"p{number}", "2026", everyone=True))
        first = exchange.events(EVE, limit=2)
        assert first.next == "2"
        assert mesh.feed(EVE, first.next) == [("thinmesh.product.published", f"p{number}") for number in (2, 3, 4)]
        assert mesh.feed(EVE, "5") == []
        for wrong in ("x", "-1", "1.0", "9" * 19, "\u0661"):
            with pytest.raises(Malformed):
                exchange.events(EVE, wrong)

    def test_a_step_that_fails_tells_nobody(self, mesh, exchange):
        with pytest.raises(MeshError):
            exchange.request(ANN, "weather", "x")
        assert mesh.feed(ADMIN) == []

    def test_a_grant_on_a_product_that_is_gone_expires_all_the_same(self, mesh, exchange, time):
        asked = exchange.request(ANN, "flights", "x", "PT1H")
        exchange.approve(OWNER, asked.id)
        del mesh.products.known["flights"]
        time.now += timedelta(hours=1)
        assert exchange.expire() == 1


def test_what_is_done_and_refused_is_audited(mesh, exchange):
    asked = exchange.request(ANN, "flights", "x")
    with pytest.raises(NotAllowed):
        exchange.approve(ANN, asked.id)
    exchange.approve(OWNER, asked.id)
    found = [(each["user"], each["action"], each["outcome"]) for each in mesh.audit.list(ADMIN).items]
    assert found == [
        ("olga", "access.approve", "done"),
        ("ann", "access.approve", "not_allowed"),
        ("ann", "access.request", "done"),
    ]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("request", "approve", "deny", "revoke", "wait", "expire")),
        st.sampled_from((ANN, AMY, EVE, OWNER, ADMIN)),
        st.sampled_from((None, "sea")),
        st.integers(0, 5),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_only_the_granted_read(tmp_path_factory, steps):
    """Any order of steps by anybody: data is readable exactly by owners and by who an owner let in, in time."""
    time = Time()
    with closing(SqliteDatabase(tmp_path_factory.mktemp("mesh") / "mesh.db")) as database:
        migrate(database, SCHEMA)
        mesh = Mesh(database, time)
        known, model = [], {}
        for verb, caller, team, number in steps:
            with suppress(MeshError):
                _step(mesh, known, model, verb, caller, team, number)
            for person in (ANN, AMY, EVE, ADMIN):
                let_in = any(
                    time.now < until and (who == person.user or who in person.teams) for who, until in model.values()
                )
                assert mesh.may_read(person) == let_in
            assert mesh.may_read(OWNER)


def _step(mesh, known, model, verb, caller, team, number):
    id = known[number % len(known)] if known else ""
    if verb == "request":
        known.append(mesh.exchange.request(caller, "flights", "x", "P1D", team).id)
    elif verb == "wait":
        mesh.time.now += timedelta(hours=6 * number)
    elif verb == "expire":
        mesh.exchange.expire()
    elif verb == "deny":
        mesh.exchange.deny(caller, id, "no")
    elif verb == "approve":
        granted = mesh.exchange.approve(caller, id)
        assert caller in (OWNER, ADMIN)
        assert granted.user != caller.user
        model.setdefault(id, (granted.team or granted.user, mesh.time.now + timedelta(days=1)))
    else:
        mesh.exchange.revoke(caller, id)
        model.pop(id, None)
