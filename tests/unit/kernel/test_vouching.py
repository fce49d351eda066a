"""People that a provider vouches for, as users here, over a real database and real keys."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.kernel.errors import Conflict, NotAllowed, NotFound, NotSignedIn, Refused
from thinmesh.kernel.names import fault_of_user
from thinmesh.kernel.vouching import Vouched, user_name_of

from .test_identity import Time, admin, all_of, database, identity, keys, opened, time

__all__ = ["Time", "admin", "database", "identity", "keys", "time"]  # fixtures
ISSUER = "https://login.example.org"
OLGA = Vouched(ISSUER, "s-1", "olga")


@pytest.mark.parametrize(
    ("username", "email", "name"),
    [
        ("olga", None, "olga"),
        ("Olga.Meyer", None, "olga.meyer"),
        ("olga@example.org", None, "olga"),
        ("Olga Meyer", "om@example.org", "olga.meyer"),
        ("CORP\\olga", None, "corp.olga"),
        (None, "olga@example.org", "olga"),
        ("", "olga@example.org", "olga"),
        ("ольга", "olga@example.org", "olga"),
        ("@admin", "olga@example.org", "olga"),
        ("o" * 200, "olga@example.org", "olga"),
        (None, None, None),
        ("...", None, None),
    ],
)
def test_the_name_of_a_person(username, email, name):
    assert user_name_of(Vouched(ISSUER, "s-1", username, email)) == name


@given(st.text(), st.text())
def test_whatever_a_provider_says_a_name_is_legal_or_none(username, email):
    name = user_name_of(Vouched(ISSUER, "s-1", username, email))
    assert name is None or fault_of_user(name) is None


def test_a_person_is_who_they_were_whatever_they_are_called_later(identity):
    first = identity.sign_in_as(OLGA)
    again = identity.sign_in_as(replace(OLGA, username="admin", email="admin@example.org"))
    assert (first.user, again.user) == ("olga", "olga")
    assert first.id != again.id
    caller = identity.authenticate(again.token)
    assert (caller.user, caller.admin, caller.scope) == ("olga", False, "write")


def test_a_subject_of_another_provider_is_somebody_else(identity):
    identity.sign_in_as(OLGA)
    with pytest.raises(Conflict, match="nobody has said that it is you"):
        identity.sign_in_as(replace(OLGA, issuer="https://other.example.org"))


def test_a_name_that_is_taken_is_refused_and_recorded_as_nobody_s_doing(identity, admin, database):
    identity.add_user(admin, "olga")
    with pytest.raises(Conflict) as refused:
        identity.sign_in_as(replace(OLGA, subject="a b;c"))
    assert "thinmesh user link olga 'a b;c'" in refused.value.help
    entry = all_of(database)[-1]
    assert (entry["user_name"], entry["door"], entry["outcome"]) == ("(sign-in)", "web", "conflict")
    assert entry["object"] == f"olga {ISSUER} a b;c"


def test_who_has_no_name_is_refused(identity):
    with pytest.raises(Refused, match="neither a user name nor a verified"):
        identity.sign_in_as(Vouched(ISSUER, "s-1"))


def test_a_session_lasts_a_working_day_and_ends_when_it_is_ended(identity, time):
    made = identity.sign_in_as(OLGA)
    assert made.expires == "2026-01-01T12:00:00.000000Z"
    identity.end_session(identity.authenticate(made.token))
    with pytest.raises(NotSignedIn, match="revoked"):
        identity.authenticate(made.token)


def test_ending_a_session_leaves_a_token_that_was_made_for_more(identity, admin):
    token = identity.new_token(admin).token
    identity.end_session(identity.authenticate(token))
    identity.end_session(admin)
    assert identity.authenticate(token).user == "admin"


def test_a_session_makes_tokens_for_git_and_none_for_years(identity):
    caller = identity.authenticate(identity.sign_in_as(OLGA).token)
    assert identity.new_token(caller, expires="P90D").expires == "2026-04-01T00:00:00.000000Z"
    longer = identity.new_token(caller, expires="P365D")
    assert (longer.expires, longer.shortened) == ("2026-04-01T00:00:00.000000Z", True)
    with pytest.raises(NotAllowed):
        identity.new_token(caller, scope="admin")


def test_a_token_made_within_a_session_is_audited_and_lives_on_until_it_is_revoked(identity, database):
    caller = identity.authenticate(identity.sign_in_as(OLGA).token, "web")
    made = identity.new_token(caller, scope="read")
    entries = [each for each in all_of(database) if each["action"] == "token.new" and each["door"] == "web"]
    assert [(each["user_name"], each["object"]) for each in entries][-1] == ("olga", "olga read")
    assert identity.end_session(caller)
    assert identity.authenticate(made.token).user == "olga"
    identity.revoke_token(identity.authenticate(identity.sign_in_as(OLGA).token), made.id)
    with pytest.raises(NotSignedIn):
        identity.authenticate(made.token)


def test_an_administrator_says_who_somebody_is_and_says_otherwise_later(identity, admin, database):
    for name in ("olga", "ola"):
        identity.add_user(admin, name)
    linked = identity.link_user(admin, "olga", "s-1", ISSUER)
    assert (linked.name, linked.subject, linked.issuer) == ("olga", "s-1", ISSUER)
    assert identity.sign_in_as(OLGA).user == "olga"
    identity.link_user(admin, "ola", "s-1", ISSUER)
    assert identity.sign_in_as(OLGA).user == "ola"
    links = [entry for entry in all_of(database) if entry["action"] == "user.link"]
    assert [entry["object"] for entry in links] == [f"{name} {ISSUER} s-1" for name in ("olga", "ola")]


def test_nobody_else_says_who_somebody_is(identity, admin):
    identity.add_user(admin, "eve")
    with pytest.raises(NotAllowed):
        identity.link_user(identity.principal("eve"), "admin", "s-eve", ISSUER)
    with pytest.raises(NotFound):
        identity.link_user(admin, "nobody", "s-1", ISSUER)
    with pytest.raises(Refused, match="No provider"):
        identity.link_user(admin, "eve", "s-1")


def test_of_many_first_visits_at_once_one_makes_the_user(identity, database):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: identity.sign_in_as(OLGA).user, range(8)))
    assert set(made) == {"olga"}
    with database.read() as tx:
        assert len(tx.all("SELECT 1 FROM vouched_users")) == 1


def test_of_many_with_one_name_at_once_one_gets_it(identity):
    def visit(number):
        try:
            return identity.sign_in_as(replace(OLGA, subject=f"s-{number}")).user
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(visit, range(8)))
    assert sorted(made, key=str) == [*[None] * 7, "olga"]


def test_secrets_differ_by_purpose_and_by_mesh(identity, database, time, tmp_path):
    from thinmesh.kernel.tokens import Signer

    Signer(tmp_path / "keys").create()
    other = opened(database, tmp_path / "keys", time)
    assert len({identity.secret("a"), identity.secret("b"), other.secret("a")}) == 3
    assert identity.secret("a") == identity.secret("a")
    assert len(identity.secret("a")) == 32
