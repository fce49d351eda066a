"""The express way answers as the long way does: the same request, once plain and once with what makes it special."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.integration.running import make_home, register, up

PLAIN = [
    "/product/v1/products",
    "/product/v1/products?limit=2",
    "/product/v1/products?limit=1000&domain=aviation",
    "/product/v1/products?domain=nowhere",
    "/product/v1/products?owner=crew&tag=a%20b&limit=1",
    "/product/v1/products?tag=a+b",
    "/product/v1/products?domain=",
    "/product/v1/products?cursor=nonsense",
    "/product/v1/search?q=about",
    "/product/v1/search?q=about&limit=1",
    "/product/v1/search?q=%C3%BC%20%22x",
    "/product/v1/search?q=about&cursor=nonsense",
    "/query/v1/tables",
    "/query/v1/tables?limit=1",
    "/query/v1/tables?cursor=nonsense",
]
SPECIAL = [
    ("/product/v1/products?limit=0", 400),
    ("/product/v1/products?limit=1001", 400),
    ("/product/v1/products?limit=%D9%A1", 400),
    ("/product/v1/products?limit=2&limit=x", 400),
    ("/query/v1/tables?limit=0", 400),
    ("/product/v1/search", 400),
    ("/product/v1/search?q=" + "x" * 1001, 400),
    ("/product/v1/search?q=" + "x" * 1000, 200),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    home, token = make_home(tmp_path_factory.mktemp("express"))
    with (
        up(home) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client,
    ):
        client.post("/identity/v1/teams", json={"name": "crew", "domains": ["aviation"]}).raise_for_status()
        for name in ("one", "two", "three"):
            register(home, name, tags=["a b"] if name == "one" else [], tables={"t": {"columns": {"a": "number"}}})
        yield client


def seen(reply):
    headers = {name: value for name, value in reply.headers.items() if name not in ("date", "x-request-id")}
    return reply.status_code, headers, {**reply.json(), "instance": None}


@pytest.mark.parametrize("path", PLAIN)
def test_both_ways_answer_the_same(client, path):
    long = path + ("&" if "?" in path else "?") + "unknown=1"
    assert seen(client.get(path)) == seen(client.get(long))
    assert client.head(path).headers["content-length"] == client.get(path).headers["content-length"]


@pytest.mark.parametrize(("path", "status"), SPECIAL)
def test_what_is_special_is_judged_as_ever(client, path, status):
    assert client.get(path).status_code == status


def test_both_ways_register_the_same(client):
    def post(name, **headers):
        content = json.dumps({"name": name, "domain": "aviation", "description": "x"})
        reply = client.post("/product/v1/products", content=content, headers=headers)
        status, found, document = seen(reply)
        etag = found.pop("etag", None)
        found.pop("content-length")  # the tag is in the body too, and grows
        assert status != 201 or etag
        return status, json.loads(json.dumps([found, document]).replace(name, "NAME")), etag

    plain, keyed = post("plain_1"), post("keyed_1", **{"Idempotency-Key": "k"})
    for reply in (plain, keyed):
        reply[1][1].pop("etag")
        for condition in reply[1][1]["conditions"]:
            condition.pop("since")
    assert plain[:2] == keyed[:2]
    assert post("plain_1")[0] == 200
    assert post("plain_1", **{"If-Match": f'"{plain[2]}"'})[0] == 200
    assert post("plain_1", **{"If-Match": '"e1"'})[0] == 409


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Authorization": "Bearer nobody"}, b"{}", 401),
        ({"Authorization": ""}, b"{}", 401),
        ({"Content-Type": "text/csv"}, b"{}", 415),
        ({}, b"", 400),
        ({}, b"{", 400),
        ({}, b"{}", 422),
    ],
)
def test_both_ways_refuse_the_same(client, headers, content, status):
    replies = [
        client.post("/product/v1/products", content=content, headers={**headers, **special})
        for special in ({}, {"If-Match": "*"})
    ]
    assert [reply.status_code for reply in replies] == [status, status]
    assert seen(replies[0]) == seen(replies[1])


STATEMENTS = [
    {"sql": "SELECT 1 AS a, 'é' AS b", "id": "{way}"},
    {"sql": "SELECT range AS n FROM range(5)", "limit": 3, "id": "{way}_2"},
    {"sql": "SELECT nothing", "id": "{way}_3"},
    {"sql": "SELECT 1", "id": "not usable"},
    {"sql": "SELECT 1", "limit": "3"},
    {"sql": "SELECT 1", "unknown": 1},
    {"sql": ""},
    {},
    [],
]


@pytest.mark.parametrize("body", STATEMENTS)
def test_both_ways_answer_a_statement_the_same(client, body):
    def post(path, way):
        content = json.dumps(body).replace("{way}", way)
        reply = client.post(path, content=content, headers={"Content-Type": "application/json"})
        status, headers, document = seen(reply)
        named = headers.pop("thinmesh-statement", None)
        return status, headers, {**document, "statement": None}, bool(named)

    # As many letters: the length of the answer is compared, too.
    assert post("/query/v1/statements", "short") == post("/query/v1/statements?unknown=1", "other")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [(b"{", "application/json", 400), (b'{"sql": "SELECT 1"}', "text/plain", 415), (b"\xff", "application/json", 400)],
)
def test_a_statement_that_cannot_be_read_is_refused(client, content, kind, status):
    reply = client.post("/query/v1/statements", content=content, headers={"Content-Type": kind})
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
