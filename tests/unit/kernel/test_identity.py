"""Users, teams, domains and tokens, over a real database and real keys."""

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinmesh.adapters.sql.audit import SqlAuditStore
from thinmesh.adapters.sql.identity import SqlIdentityStore
from thinmesh.adapters.sql.index_schema import INDEX_SCHEMA
from thinmesh.adapters.sql.schema import STORES, migrate
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.kernel.audit import Audit
from thinmesh.kernel.errors import Conflict, Malformed, NotAllowed, NotFound, NotSignedIn, Refused
from thinmesh.kernel.identity import Identity
from thinmesh.kernel.policy import Policy
from thinmesh.kernel.tokens import Signer

_FIELDS = ("at", "user_name", "door", "token", "action", "object", "outcome", "previous", "hash")
_COPY = "SELECT {}, at, user_name, door, token, action, object, outcome, previous, hash FROM audit WHERE sequence = {}"
FORGERIES = {
    "every field": [[f"UPDATE audit SET {name} = 'forged' WHERE sequence = 2"] for name in _FIELDS],
    "two change places": [
        [
            "UPDATE audit SET sequence = -1 WHERE sequence = 2",
            "UPDATE audit SET sequence = 2 WHERE sequence = 3",
            "UPDATE audit SET sequence = 3 WHERE sequence = -1",
        ]
    ],
    "one again": [[f"INSERT INTO audit {_COPY.format('(SELECT max(sequence) + 1 FROM audit)', 2)}"]],
    "one put in": [
        ["UPDATE audit SET sequence = sequence + 100 WHERE sequence > 2", f"INSERT INTO audit {_COPY.format(3, 2)}"]
    ],
    # The hashes are made to follow from each other again; the head that is kept apart does not follow.
    "made anew": [
        ["UPDATE audit SET user_name = 'eve' WHERE sequence = 2"],
        ["DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)"],
        ["DELETE FROM audit"],
    ],
}
SCHEMA = {"index": ((1, INDEX_SCHEMA),), "identity": STORES["identity"], "audit": STORES["audit"]}


class Time:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


class NoGrants:
    def granted(self, user, teams, product):
        return False

    def granted_products(self, user, teams):
        return frozenset()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """One key pair for all: making one takes a while."""
    folder = tmp_path_factory.mktemp("home") / "keys"
    Signer(folder).create()
    return folder


@pytest.fixture
def time():
    return Time()


def opened(database, keys, time):
    policy = Policy(NoGrants())
    audit = Audit(database, SqlAuditStore(), policy, time)
    return Identity(database, SqlIdentityStore(), Signer(keys), policy, audit, time)


@pytest.fixture
def database(tmp_path):
    with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
        migrate(database, SCHEMA)
        with database.write() as tx:
            SqlIdentityStore().add_user(tx, "admin", True, "2026")
        yield database


@pytest.fixture
def identity(database, keys, time):
    return opened(database, keys, time)


@pytest.fixture
def admin(identity):
    return identity.principal_of_home()


@pytest.fixture
def people(identity, admin):
    for name in ("ann", "bob", "eve"):
        identity.add_user(admin, name)
    return identity.principal


def all_of(database):
    with database.read() as tx:
        return [dict(row) for row in tx.all("SELECT * FROM audit")]


def put_back(database, rows):
    with database.write() as tx:
        tx.execute("DELETE FROM audit")
        for row in rows:
            names = ", ".join(row)
            tx.execute(f"INSERT INTO audit ({names}) VALUES ({', '.join(':' + name for name in row)})", row)


def sealed_anew(tx):
    """Make every hash follow from the one before it, as a forger would."""
    seal = ""
    for entry in SqlAuditStore().after(tx, 1000, 0):
        made = entry.sealed(seal)
        values = {"previous": seal, "hash": made, "sequence": entry.sequence}
        tx.execute("UPDATE audit SET previous = :previous, hash = :hash WHERE sequence = :sequence", values)
        seal = made


def audited(identity, admin):
    return [
        (entry["user"], entry["action"], entry["object"], entry["outcome"])
        for entry in Audit(identity._database, SqlAuditStore(), Policy(NoGrants())).list(admin).items
    ]


class TestTeams:
    def test_whoever_creates_a_team_leads_it_and_claims_the_domain(self, identity, people):
        team = identity.create_team(people("ann"), "air", ["aviation", "weather", "aviation"])
        assert (team.name, team.domains, team.members, team.leads) == (
            "air",
            ("aviation", "weather"),
            ("ann",),
            ("ann",),
        )
        assert people("ann").teams == {"air"}

    def test_the_same_request_again_is_the_same_team(self, identity, people):
        first = identity.create_team(people("ann"), "air", ["aviation"])
        assert identity.create_team(people("ann"), "air", ["aviation"]) == first

    def test_a_name_that_others_have_is_a_conflict(self, identity, people):
        identity.create_team(people("ann"), "air", ["aviation"])
        for domains in ([], ["aviation"]):
            with pytest.raises(Conflict, match="ann leads it"):
                identity.create_team(people("bob"), "air", domains)

    def test_a_claimed_domain_is_opened_by_those_who_work_there(self, identity, people):
        identity.create_team(people("ann"), "air", ["aviation"])
        with pytest.raises(NotAllowed, match="belongs to air"):
            identity.create_team(people("bob"), "sky", ["aviation"])
        with pytest.raises(NotFound):
            identity.team(people("bob"), "sky")
        identity.create_team(people("bob"), "sky")
        with pytest.raises(NotAllowed):
            identity.create_team(people("eve"), "sky", ["aviation"])
        for _ in range(2):
            assert identity.create_team(people("ann"), "sky", ["aviation"]).domains == ("aviation",)
        with identity._database.read() as tx:
            assert identity.teams_of_domain(tx, "aviation") == ["air", "sky"]

    def test_nobody_claims_a_domain_for_a_team_they_are_not_in(self, identity, people):
        identity.create_team(people("ann"), "air")
        with pytest.raises(NotAllowed):
            identity.create_team(people("bob"), "air", ["swamp"])
        assert identity.create_team(people("ann"), "air", ["swamp"]).domains == ("swamp",)

    def test_an_administrator_can_do_all_of_it(self, identity, people, admin):
        identity.create_team(people("ann"), "air", ["aviation"])
        identity.create_team(admin, "sky", ["aviation"])
        assert identity.create_team(admin, "air", ["weather"]).domains == ("aviation", "weather")
        assert identity.add_member(admin, "air", "bob").members == ("ann", "bob")
        assert identity.remove_member(admin, "air", "bob").members == ("ann",)

    def test_wrong_names_are_told_all_at_once(self, identity, people):
        with pytest.raises(Refused) as raised:
            identity.create_team(people("ann"), "Air", ["select", "ok", "../x"])
        assert [each.column for each in raised.value.violations] == ["name", "domains", "domains"]
        with pytest.raises(Refused):
            identity.create_team(people("ann"), "air", [f"d{number}" for number in range(101)])
        assert identity.list_teams(people("ann")).items == ()

    def test_leads_add_and_remove_members(self, identity, people):
        identity.create_team(people("ann"), "air")
        for _ in range(2):
            assert identity.add_member(people("ann"), "air", "bob").members == ("ann", "bob")
        with pytest.raises(NotAllowed):
            identity.add_member(people("bob"), "air", "eve")
        with pytest.raises(NotAllowed):
            identity.remove_member(people("eve"), "air", "bob")
        for _ in range(2):
            assert identity.remove_member(people("ann"), "air", "bob").members == ("ann",)

    def test_a_member_may_leave(self, identity, people):
        identity.create_team(people("ann"), "air")
        identity.add_member(people("ann"), "air", "bob")
        assert identity.remove_member(people("bob"), "air", "bob").members == ("ann",)

    def test_the_last_lead_stays(self, identity, people, admin):
        identity.create_team(people("ann"), "air")
        identity.add_member(people("ann"), "air", "bob")
        for caller in (people("ann"), admin):
            with pytest.raises(Conflict, match="only lead"):
                identity.remove_member(caller, "air", "ann")
        assert identity.add_member(people("ann"), "air", "bob", lead=True).leads == ("ann", "bob")
        assert identity.add_member(people("ann"), "air", "bob").leads == ("ann", "bob")
        assert identity.remove_member(people("bob"), "air", "ann").leads == ("bob",)

    def test_a_mistyped_name_is_answered_with_the_nearest(self, identity, people):
        identity.create_team(people("ann"), "flights_team")
        with pytest.raises(NotFound) as raised:
            identity.add_member(people("ann"), "flight_team", "bob")
        assert raised.value.help == "Did you mean flights_team?"
        with pytest.raises(NotFound) as raised:
            identity.add_member(people("ann"), "flights_team", "bobb")
        assert raised.value.help == "Did you mean bob?"

    def test_of_many_who_create_one_team_at_once_one_leads_it(self, identity, people):
        callers = [people(name) for name in ("ann", "bob", "eve")] * 4

        def create(caller):
            try:
                return identity.create_team(caller, "air", ["aviation"]).leads
            except Conflict:
                return None

        with ThreadPoolExecutor(6) as threads:
            leads = set(threads.map(create, callers)) - {None}
        assert len(leads) == 1
        assert identity.team(callers[0], "air").members in leads

    def test_of_many_who_claim_one_domain_at_once_one_has_it(self, identity, people):
        def create(number):
            try:
                identity.create_team(people(("ann", "bob", "eve")[number]), f"team_{number}", ["aviation"])
            except NotAllowed:
                return 0
            return 1

        with ThreadPoolExecutor(3) as threads:
            assert sum(threads.map(create, range(3))) == 1
        assert len(identity.list_teams(people("ann")).items) == 1

    def test_lists_come_in_pages(self, identity, people):
        for number in range(5):
            identity.create_team(people("ann"), f"team_{number}")
        found, cursor = [], None
        while True:
            page = identity.list_teams(people("bob"), limit=2, cursor=cursor)
            found += [item["name"] for item in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert found == [f"team_{number}" for number in range(5)]
        with pytest.raises(Malformed):
            identity.list_teams(people("bob"), cursor="eyJhIjoxfQ")


class TestUsers:
    def test_administrators_add_users(self, identity, admin, people):
        identity.create_team(admin, "air")
        user = identity.add_user(admin, "zoe@example.org", ["air"], admin=True)
        assert (user.name, user.teams, user.admin) == ("zoe@example.org", ("air",), True)
        assert user.created
        again = identity.add_user(admin, "zoe@example.org", ["air"], admin=True)
        assert again == replace(user, created=False)
        for caller in (people("ann"), identity.principal("admin")):
            with pytest.raises(NotAllowed):
                identity.add_user(caller, "mallory", admin=True)

    def test_a_user_who_differs_is_a_conflict(self, identity, admin, people):
        identity.create_team(admin, "air")
        with pytest.raises(Conflict, match="without"):
            identity.add_user(admin, "ann", admin=True)
        with pytest.raises(Conflict, match="not in air"):
            identity.add_user(admin, "ann", ["air"])

    def test_nothing_is_left_of_a_user_in_an_unknown_team(self, identity, admin):
        with pytest.raises(NotFound):
            identity.add_user(admin, "zoe", ["nowhere"])
        assert [item["name"] for item in identity.list_users(admin).items] == ["admin"]

    @pytest.mark.parametrize("name", ["", "Ann", "a b", "-x", "a" * 128, "ann\n", "é", "a\x00"])
    def test_a_wrong_name_is_refused(self, identity, admin, name):
        with pytest.raises(Refused):
            identity.add_user(admin, name)

    def test_the_home_acts_as_its_administrator_or_as_a_user(self, identity, people):
        home = identity.principal_of_home()
        assert (home.user, home.administers, home.door) == ("admin", True, "cli")
        ann = identity.principal_of_home("ann")
        assert (ann.user, ann.administers, ann.scope) == ("ann", False, "write")
        with pytest.raises(NotFound):
            identity.principal_of_home("nobody")

    def test_the_home_s_owner_who_acts_as_a_user_is_in_the_audit(self, identity, admin, people):
        identity.principal_of_home("ann", "python")
        with pytest.raises(NotFound):
            identity.principal_of_home("nobody")
        assert audited(identity, admin)[:2] == [
            ("admin", "act_as", "nobody", "not_found"),
            ("admin", "act_as", "ann", "done"),
        ]


class TestTokens:
    def test_a_token_brings_back_its_user(self, identity, people):
        identity.create_team(people("ann"), "air")
        issued = identity.new_token(people("ann"), scope="read")
        caller = identity.authenticate(issued.token, "git")
        assert (caller.user, caller.teams, caller.scope, caller.token, caller.door, caller.admin) == (
            "ann",
            {"air"},
            "read",
            issued.id,
            "git",
            False,
        )
        assert issued.expires == "2026-04-01T00:00:00.000000Z"

    def test_its_claims_are_those_that_other_engines_check(self, identity, people):
        issued = identity.new_token(people("ann"), scope="publish:flights")
        key = jwt.PyJWKSet.from_dict(identity.jwks()).keys[0]
        assert jwt.get_unverified_header(issued.token)["kid"] == key.key_id
        claims = jwt.decode(
            issued.token, key, ["RS256"], audience="thinmesh", issuer="thinmesh", options={"verify_exp": False}
        )
        assert (claims["sub"], claims["scope"], claims["jti"]) == ("ann", "publish:flights", issued.id)
        assert claims["exp"] - claims["iat"] == 90 * 86400

    def test_the_public_keys_hold_nothing_private(self, identity):
        (key,) = identity.jwks()["keys"]
        assert set(key) == {"kty", "n", "e", "alg", "use", "kid"}

    def test_the_key_is_readable_by_its_owner_only_and_never_replaced(self, keys):
        assert stat.S_IMODE(keys.stat().st_mode) == 0o700
        assert [stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()] == [0o600]
        with pytest.raises(Conflict):
            Signer(keys).create()

    def test_a_revoked_token_is_refused_at_once_in_every_process(self, identity, people, tmp_path, keys, time):
        issued = identity.new_token(people("ann"))
        identity.authenticate(issued.token)
        with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
            other = opened(database, keys, time)
            first = other.revoke_token(other.authenticate(issued.token), issued.id)
            with pytest.raises(NotSignedIn, match="revoked"):
                identity.authenticate(issued.token)
            time.now += timedelta(seconds=1)
            assert other.revoke_token(people("ann"), issued.id) == first

    def test_a_clock_that_is_put_back_makes_no_token_invalid(self, identity, people, time):
        time.now = datetime.now(UTC) + timedelta(days=1)
        issued = identity.new_token(people("ann"))
        time.now -= timedelta(days=1)
        assert identity.authenticate(issued.token).user == "ann"

    def test_a_token_ends_when_it_says(self, identity, people, time):
        issued = identity.new_token(people("ann"), expires="PT1H")
        time.now += timedelta(hours=1, microseconds=-1)
        identity.authenticate(issued.token)
        time.now += timedelta(microseconds=1)
        with pytest.raises(NotSignedIn, match="expired"):
            identity.authenticate(issued.token)

    def test_a_team_left_counts_at_once(self, identity, people):
        identity.create_team(people("ann"), "air")
        identity.add_member(people("ann"), "air", "bob")
        issued = identity.new_token(people("bob"))
        assert identity.authenticate(issued.token).teams == {"air"}
        identity.remove_member(people("ann"), "air", "bob")
        assert identity.authenticate(issued.token).teams == frozenset()

    def test_tokens_are_made_for_oneself_and_by_administrators_for_anybody(self, identity, admin, people):
        assert identity.new_token(admin, "ann").user == "ann"
        for caller in (people("bob"), identity.principal("admin")):
            with pytest.raises(NotAllowed):
                identity.new_token(caller, "ann")
        with pytest.raises(NotFound) as raised:
            identity.new_token(admin, "anna")
        assert "ann" in raised.value.help

    def test_a_scope_never_widens(self, identity, admin, people):
        with pytest.raises(NotAllowed):
            identity.new_token(people("ann"), scope="admin")
        with pytest.raises(NotAllowed, match="not an administrator"):
            identity.new_token(admin, "ann", scope="admin")
        with pytest.raises(NotAllowed):
            identity.new_token(identity.principal("admin"), scope="admin")
        assert identity.authenticate(identity.new_token(admin, scope="admin").token).administers
        for scope in ("read", "publish:flights"):
            narrow = identity.authenticate(identity.new_token(people("ann"), scope=scope).token)
            for wanted in ("read", "write", scope):
                with pytest.raises(NotAllowed):
                    identity.new_token(narrow, scope=wanted)

    def test_a_token_s_children_never_outlive_it(self, identity, admin, people, time):
        first = identity.new_token(people("ann"), expires="P2D")
        short = identity.authenticate(first.token)
        time.now += timedelta(days=1)
        inside = identity.new_token(short, expires="PT1H")
        assert (inside.expires, inside.shortened) == ("2026-01-02T01:00:00.000000Z", False)
        for expires in ("P2D", "P90D"):
            child = identity.new_token(short, expires=expires)
            assert (child.expires, child.shortened) == (first.expires, True)
            grandchild = identity.new_token(identity.authenticate(child.token), expires=expires)
            assert grandchild.expires == first.expires
        time.now += timedelta(days=1)
        with pytest.raises(NotSignedIn, match="expired"):
            identity.authenticate(grandchild.token)

    def test_an_administrator_s_token_makes_any(self, identity, admin, people):
        people("ann")
        ruling = identity.authenticate(identity.new_token(admin, expires="P1D", scope="admin").token)
        assert identity.new_token(ruling, "ann", expires="P365D").user == "ann"

    @pytest.mark.parametrize("scope", ["", "all", "publish", "publish:", "publish:A", "publish:a\n", "read write"])
    def test_a_scope_that_is_none_is_refused(self, identity, people, scope):
        with pytest.raises(Refused):
            identity.new_token(people("ann"), scope=scope)

    @pytest.mark.parametrize("expires", ["P0D", "P11Y"])
    def test_a_token_lasts_between_a_second_and_ten_years(self, identity, people, expires):
        with pytest.raises(Refused):
            identity.new_token(people("ann"), expires=expires)

    def test_tokens_are_listed_and_revoked_by_their_user(self, identity, admin, people):
        ids = [identity.new_token(people("ann")).id for _ in range(3)]
        first = identity.list_tokens(people("ann"), limit=2)
        second = identity.list_tokens(people("ann"), limit=2, cursor=first.next)
        assert sorted(item["id"] for item in (*first.items, *second.items)) == sorted(ids)
        assert second.next is None
        with pytest.raises(NotFound):
            identity.revoke_token(people("bob"), ids[0])
        with pytest.raises(NotAllowed):
            identity.list_tokens(people("bob"), "ann")
        assert len(identity.list_tokens(admin, "ann").items) == 3
        assert identity.revoke_token(admin, ids[0]).revoked

    def test_a_token_is_shown_once_and_kept_nowhere(self, identity, people, tmp_path):
        issued = identity.new_token(people("ann"))
        signature = issued.token.rsplit(".", 1)[1]
        assert signature not in repr(issued)
        assert signature not in repr(identity.authenticate(issued.token))
        assert all(signature.encode() not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())

    def test_a_token_of_another_mesh_is_not_valid_here(self, identity, people, tmp_path):
        elsewhere = Signer(tmp_path / "keys")
        elsewhere.create()
        issued = identity.new_token(people("ann"))
        claims = Signer(identity._signer._folder).verify(issued.token)
        with pytest.raises(NotSignedIn):
            identity.authenticate(elsewhere.sign(claims))

    def test_a_token_that_the_database_does_not_know_is_not_valid(self, identity, people, keys):
        claims = Signer(keys).verify(identity.new_token(people("ann")).token)
        for changed in (replace(claims, id="none"), replace(claims, user="admin"), replace(claims, scope="admin")):
            with pytest.raises(NotSignedIn, match="not valid here"):
                identity.authenticate(Signer(keys).sign(changed))

    def test_other_algorithms_are_not_taken(self, identity, people):
        _, payload, signature = identity.new_token(people("ann")).token.split(".")

        def part(found):
            return base64.urlsafe_b64encode(json.dumps(found).encode()).decode().rstrip("=")

        for algorithm in ("none", "HS256", "None", "RS512"):
            for ending in ("", "x", signature):
                with pytest.raises(NotSignedIn):
                    identity.authenticate(f"{part({'alg': algorithm, 'typ': 'JWT'})}.{payload}.{ending}")

    def test_a_changed_token_is_not_valid(self, identity, people):
        header, payload, signature = identity.new_token(people("ann")).token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        forged = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "admin"}).encode()).decode().rstrip("=")
        with pytest.raises(NotSignedIn):
            identity.authenticate(f"{header}.{forged}.{signature}")

    def test_garbage_is_not_signed_in_and_says_nothing(self, keys):
        signer = Signer(keys)
        deep = base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("=")

        @settings(deadline=None)  # the first one loads the library
        @given(st.text(max_size=40) | st.from_regex(r"[\w-]{1,20}\.[\w-]{1,20}\.[\w-]{1,20}", fullmatch=True))
        def check(token):
            with pytest.raises(NotSignedIn) as raised:
                signer.verify(token)
            assert raised.value.detail == "The token is not valid here."

        check()
        for token in (f"{deep}.{deep}.x", "a." * 10**6, "a.b.c" * 1000, "é.é.é", "\ud800"):
            with pytest.raises(NotSignedIn):
                signer.verify(token)


class TestAudit:
    def test_what_was_done_and_what_was_refused_is_recorded(self, identity, admin, people):
        identity.create_team(people("ann"), "air", ["aviation"])
        with pytest.raises(NotAllowed):
            identity.add_member(people("bob"), "air", "bob")
        assert audited(identity, admin)[:2] == [
            ("bob", "team.add_member", "air bob", "not_allowed"),
            ("ann", "team.create", "air aviation", "done"),
        ]
        with pytest.raises(NotAllowed):
            audited(identity, people("ann"))

    def test_refused_input_of_any_kind_is_recorded(self, identity, admin, people):
        with pytest.raises(Refused):
            identity.create_team(people("ann"), "\ud800" * 500)
        assert audited(identity, admin)[0][1:] == ("team.create", "?" * 200, "refused")

    def test_a_changed_entry_shows(self, identity, admin, people, database, time):
        audit = Audit(database, SqlAuditStore(), Policy(NoGrants()), time)
        assert audit.broken_at() is None
        with database.write() as tx:
            tx.execute("UPDATE audit SET user_name = 'eve' WHERE sequence = 2")
        assert audit.broken_at() == 2

    def test_a_removed_entry_shows(self, identity, admin, people, database, time):
        with database.write() as tx:
            tx.execute("DELETE FROM audit WHERE sequence = 2")
        assert Audit(database, SqlAuditStore(), Policy(NoGrants()), time).broken_at() == 3

    def test_a_cut_end_shows_and_goes_on_showing(self, identity, admin, people, database, time):
        audit = Audit(database, SqlAuditStore(), Policy(NoGrants()), time)
        with database.read() as tx:
            last = SqlAuditStore().newest(tx)[0]
        with database.write() as tx:
            tx.execute("DELETE FROM audit WHERE sequence >= :cut", {"cut": last})
        assert audit.broken_at() == last
        identity.create_team(admin, "later", ["later"])
        assert audit.broken_at() == last + 1

    @pytest.mark.parametrize("how", ["every field", "two change places", "one again", "one put in", "made anew"])
    def test_whatever_is_done_to_entries_shows(self, identity, admin, people, database, time, how, record_property):
        """But for one who writes to the database, and makes hashes and head anew (ADR 7)."""
        identity.create_team(people("ann"), "air", ["aviation"])
        audit = Audit(database, SqlAuditStore(), Policy(NoGrants()), time)
        assert audit.broken_at() is None
        attempts = FORGERIES[how]
        for statements in attempts:
            copied = all_of(database)
            with database.write() as tx:
                for statement in statements:
                    tx.execute(statement)
                if how == "made anew":
                    sealed_anew(tx)
            assert audit.broken_at() is not None, statements
            put_back(database, copied)
            assert audit.broken_at() is None
        record_property("held", ("audit forged", len(attempts), len(attempts)))

    def test_an_audit_of_an_older_release_is_taken_as_it_stands(self, tmp_path):
        store = SqlAuditStore()
        with closing(SqliteDatabase(tmp_path / "older.db")) as database:
            migrate(database, {"audit": STORES["audit"][:1]})
            with database.write() as tx:
                tx.execute("INSERT INTO audit VALUES (1, '', 'ann', 'cli', NULL, 'x', 'y', 'done', '', 'h')")
            assert migrate(database, {"audit": STORES["audit"]}) == ["audit 2"]
            with database.read() as tx:
                assert store.newest(tx) == (1, "h")
                assert tx.one("SELECT sequence FROM audit_head")["sequence"] == 1

    def test_refusals_at_the_same_time_are_all_recorded(self, identity, admin, people):
        def refused(_):
            with pytest.raises(NotAllowed):
                identity.add_user(people("eve"), "mallory")

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(refused, range(24)))
        assert sum(entry[3] == "not_allowed" for entry in audited(identity, admin)) == 24
        assert Audit(identity._database, SqlAuditStore(), Policy(NoGrants())).broken_at() is None


def test_a_new_home_has_one_administrator_with_a_token(tmp_path, time):
    with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
        migrate(database, SCHEMA)
        identity = opened(database, tmp_path / "keys", time)
        issued = identity.initialise()
        assert identity.authenticate(issued.token).administers
        me = identity.whoami(identity.authenticate(issued.token))
        assert (me.user, me.teams, me.admin, me.scope) == ("admin", (), True, "admin")
