"""Requests, teams, tokens and status as pages: what each person sees and may do there."""

from __future__ import annotations

import re

import pytest

from .running import cli_json, make_home, register, up
from .test_pages import leave, visitor

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    home, admin = make_home(tmp_path_factory.mktemp("people"))
    for user in ("olga", "otto", "carl", "cora"):
        cli_json("user", "add", user, home=home)
    cli_json("team", "create", "owners", "--domain", "aviation", "--as", "olga", home=home)
    cli_json("team", "add-member", "owners", "otto", "--as", "olga", home=home)
    register(home, "crews", owner="owners", access="request")
    register(home, "open_one", owner="owners")
    tokens = {user: cli_json("token", "new", user, home=home)["token"] for user in ("olga", "otto", "carl", "cora")}
    with up(home) as url:
        clients = {user: visitor(url, token) for user, token in {**tokens, "admin": admin}.items()}
        yield clients, home
        leave()


def asked(mesh, who: str, purpose: str) -> str:
    """Ask for the closed product, and give the request's id."""
    clients, home = mesh
    done = clients[who].post("/requests", data={"product": "crews", "purpose": purpose, "duration": "P30D"})
    assert done.status_code == 303, done.text
    found = cli_json("requests", "--as", who, home=home)["items"]
    return next(each["id"] for each in found if each["purpose"] == purpose)


def test_a_consumer_asks_and_an_owner_approves_and_takes_back(mesh):
    clients, _home = mesh
    form = clients["carl"].get("/requests/new?product=crews")
    assert "/teams/owners" in form.text
    id = asked(mesh, "carl", "the quarterly report")
    listing = clients["olga"].get("/requests").text
    assert "the quarterly report" in listing
    assert f"/requests/{id}/approve" in listing
    assert f"/requests/{id}/approve" not in clients["carl"].get("/requests").text
    assert clients["carl"].post(f"/requests/{id}/approve").status_code == 403
    assert clients["olga"].post(f"/requests/{id}/approve").status_code == 303
    assert "in force" in clients["carl"].get("/requests").text
    assert clients["otto"].post(f"/requests/{id}/revoke").status_code == 303
    assert "revoked" in clients["carl"].get("/requests").text


def test_two_tabs_that_approve_the_same_request_approve_it_once(mesh):
    clients, _ = mesh
    id = asked(mesh, "cora", "two tabs")
    assert [clients[who].post(f"/requests/{id}/approve").status_code for who in ("olga", "otto")] == [303, 303]
    late = clients["otto"].post(f"/requests/{id}/deny", data={"why": "too late"})
    assert late.status_code == 409
    assert "approved already" in late.text
    assert clients["cora"].post(f"/requests/{id}/revoke").status_code == 303


def test_a_reason_is_needed_to_deny_and_reaches_who_asked(mesh):
    clients, _ = mesh
    id = asked(mesh, "cora", "for a denial")
    assert clients["olga"].post(f"/requests/{id}/deny", data={"why": " "}).status_code == 422
    assert clients["olga"].post(f"/requests/{id}/deny", data={"why": f"no {HOSTILE}"}).status_code == 303
    shown = clients["cora"].get("/requests").text
    assert "no &lt;script&gt;" in shown
    assert HOSTILE not in shown


@pytest.mark.parametrize(
    ("typed", "status", "told"),
    [
        ({"product": "crews", "purpose": ""}, 422, "purpose: is empty"),
        ({"product": "crews", "purpose": "x" * 3000}, 422, "3000 characters are more than 2000"),
        ({"product": "open_one", "purpose": "why not"}, 422, "open_one is open: no grant is needed"),
        ({"product": "nothing", "purpose": "why not"}, 404, "nothing"),
        ({"product": "crews", "purpose": "why not", "duration": "soon"}, 422, ""),
        ({"product": "crews", "purpose": "why not", "team": "owners"}, 403, "not in the team"),
    ],
)
def test_a_refused_request_keeps_what_was_typed(mesh, typed, status, told):
    clients, _ = mesh
    refused = clients["carl"].post("/requests", data=typed)
    assert refused.status_code in {status, 400}
    assert told in refused.text


def test_anybody_starts_a_team_and_its_lead_adds_and_removes(mesh):
    clients, _ = mesh
    made = clients["carl"].post("/teams", data={"name": "callers", "domains": "calls, sales"})
    assert made.headers["location"] == "/teams/callers"
    page = clients["carl"].get("/teams/callers").text
    assert "calls" in page
    assert "Add a colleague" in page
    assert "Add a colleague" not in clients["cora"].get("/teams/callers").text
    assert clients["cora"].post("/teams/callers/members", data={"user": "cora"}).status_code == 403
    assert clients["carl"].post("/teams/callers/members", data={"user": "cora"}).status_code == 303
    assert "cora" in clients["carl"].get("/teams/callers").text
    wrong = clients["carl"].post("/teams/callers/members", data={"user": "corra"})
    assert wrong.status_code == 404
    assert "Did you mean cora?" in wrong.text
    alone = clients["carl"].post("/teams/callers/members/remove", data={"user": "carl"})
    assert alone.status_code == 409
    assert "only lead" in alone.text
    assert clients["cora"].post("/teams/callers/members/remove", data={"user": "cora"}).status_code == 303
    assert clients["cora"].get("/teams").text.count("callers") >= 1


def test_a_team_name_that_does_not_fit_is_told_beside_the_form(mesh):
    clients, _ = mesh
    refused = clients["carl"].post("/teams", data={"name": "Not A Name", "domains": "x"})
    assert refused.status_code == 422
    assert 'value="Not A Name"' in refused.text


def test_a_token_is_shown_once_and_its_end_ends_sessions(mesh):
    clients, _ = mesh
    made = clients["carl"].post("/tokens", data={"scope": "read", "expires": "P1D"})
    token = re.search(r'<code id="token-text">([^<]+)</code>', made.text)[1]
    listing = clients["carl"].get("/tokens").text
    assert token not in listing
    other = visitor(str(clients["carl"].base_url), token)
    assert other.get("/").status_code == 200
    id = re.search(r"<code>([0-9a-f]{16})</code></th><td[^>]*>read</td>", listing)[1]
    assert clients["cora"].post(f"/tokens/{id}/revoke").status_code == 404
    assert clients["carl"].post(f"/tokens/{id}/revoke").status_code == 303
    assert other.get("/").status_code == 401
    assert clients["carl"].post("/tokens", data={"scope": "admin", "expires": "P1D"}).status_code == 403


def test_everybody_sees_how_the_platform_is_doing(mesh):
    clients, _ = mesh
    page = clients["cora"].get("/status")
    assert page.status_code == 200
    assert "warehouse" in page.text
