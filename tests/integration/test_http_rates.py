"""Limits of requests, as callers meet them."""

import time

import httpx
import pytest

from tests.integration.running import cli_json, make_home, up


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """Serve a home that takes one request per second of anybody, and ten at once."""
    home, _ = make_home(tmp_path_factory.mktemp("rates"))
    tokens = [cli_json("token", "new", home=home)["token"] for _ in range(2)]
    for name in ("ben", "kim"):
        cli_json("user", "add", name, home=home)
    ben, kim = (cli_json("token", "new", name, home=home)["token"] for name in ("ben", "kim"))
    text = (home / "thinmesh.toml").read_text()
    (home / "thinmesh.toml").write_text(text.replace("#rate_limit = 1000", "rate_limit = 1"))
    with up(home) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield home, client, tokens, ben, kim


def ask(client, token, path="/identity/v1/whoami"):
    return client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})


def flooded(client, token):
    """Ask until it is too much; give the replies."""
    replies = []
    while len(replies) < 500 and (not replies or replies[-1].status_code != 429):
        replies.append(ask(client, token))
    return replies


def refused(reply):
    found = reply.json()
    assert (reply.status_code, found["code"], found["retry"]) == (429, "too_many_requests", True)
    assert reply.headers["content-type"] == "application/problem+json"
    assert int(reply.headers["retry-after"]) >= 1
    return True


def test_a_flood_is_answered_with_429_and_is_nobody_else_s(mesh):
    home, client, (token, other), ben, _ = mesh
    replies = flooded(client, token)
    assert {reply.status_code for reply in replies} == {200, 429}
    assert refused(replies[-1])
    # Another token of the same user does not help; another user, and the home's owner, notice nothing.
    assert len(flooded(client, other)) < len(replies)
    assert ask(client, ben).status_code == 200
    assert cli_json("whoami", home=home)["user"] == "admin"


def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(mesh):
    home, client, _, ben, _ = mesh
    replies = flooded(client, "x.y.z")
    assert {reply.status_code for reply in replies} == {401, 429}
    assert refused(replies[-1])
    # Without any token the address is the same.
    assert len(flooded(client, None)) < len(replies)
    assert ask(client, ben).status_code == 200
    assert "sign-in refused" in (home / "run" / "stderr.log").read_text()


def test_git_is_counted_too(mesh):
    _, client, _, _, kim = mesh
    address = "/git/data.git/info/refs?service=git-upload-pack"
    assert client.get(address, auth=("x", kim)).status_code == 200
    # A slow machine gets a new request while it looks: it asks again.
    for _ in range(20):
        flooded(client, kim)
        reply = client.get(address, auth=("x", kim))
        if reply.status_code != 200:
            break
    assert refused(reply)


def test_a_wrong_token_counts_once_whatever_it_is_sent_with(mesh):
    home, client, _, _, _ = mesh
    wrong = {"Authorization": "Bearer x.y.z"}
    path = "/exchange/v1/requests"
    for _ in range(60):
        reply = client.post(path, headers=wrong, json={"product": "p", "purpose": "why"})
        if reply.status_code != 429:
            break
        time.sleep(0.5)  # others used this address up; it fills again
    assert reply.status_code == 401
    assert (home / "run" / "stderr.log").read_text().count(path) == 1
