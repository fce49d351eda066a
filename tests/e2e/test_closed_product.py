"""Two people, two teams, one closed product: by no door does its data reach who has no grant, until they have one."""

from __future__ import annotations

import json
import re
import subprocess
import time

import httpx
import pytest

from tests.integration.running import cli_json, environment, make_home, up

SECRET = "zanzibar7319"
ROWS = 43217


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("closed")
    home, admin = make_home(folder)
    tokens = {"admin": admin}
    for name in ("ada", "ben"):
        cli_json("user", "add", name, home=home)
        tokens[name] = cli_json("token", "new", name, home=home)["token"]
    with up(home) as url:
        people = {
            name: httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
            for name, token in tokens.items()
        }
        ada, ben = people["ada"], people["ben"]
        assert ada.post("/identity/v1/teams", json={"name": "staff", "domains": ["people"]}).status_code < 300
        assert ben.post("/identity/v1/teams", json={"name": "shop", "domains": ["sales"]}).status_code < 300
        descriptor = {"name": "wages", "domain": "people", "description": "Who earns what", "access": "request"}
        assert ada.post("/product/v1/products", json=descriptor).status_code == 201
        data = "person,place,amount\n" + "".join(f"p{n},{SECRET}{n},{n}.5\n" for n in range(ROWS))
        reply = ada.post("/product/v1/products/wages/publications", files=[("f", ("wages.csv", data.encode()))])
        assert reply.status_code == 201, reply.text
        yield url, people, tokens, folder
        for client in people.values():
            client.close()


def sql(client, text, **accept):
    return client.post("/query/v1/statements", json={"sql": text}, headers=accept)


def assert_tells_nothing(reply):
    assert SECRET not in reply.text
    # As a number of its own: ids and times have digits too.
    for text in (reply.text, reply.text.replace(",", "")):
        assert not re.search(rf"(?<![\w.]){ROWS}(?!\w)", text), reply.text


STATEMENTS = [
    "select * from wages.wages",
    "select * from mesh.wages.wages",
    'select * from "wages"."wages"',
    "select place from WAGES.WAGES limit 1",
    "with x as (select * from wages.wages) select * from x",
    "select (select min(place) from wages.wages)",
    "select 1 where exists (select 1 from wages.wages where place like 'z%')",
    "select cast(place as integer) from wages.wages",
    "from wages.wages",
    "table wages.wages",
    "summarize wages.wages",
    "explain analyze select * from wages.wages",
    "select * from query('select * from wages.wages')",
    "select * from query_table('wages.wages')",
    "select count(*) from wages.wages",
    "values ((select max(amount) from wages.wages))",
    "select * from information_schema.columns where table_name = 'wages' and column_name = 'nothing'",
    "select estimated_size from duckdb_tables()",
]


@pytest.mark.parametrize("who", ["ben", "admin"])
@pytest.mark.parametrize("text", STATEMENTS)
def test_sql_tells_nothing_without_a_grant(mesh, who, text):
    reply = sql(mesh[1][who], text)
    assert_tells_nothing(reply)
    assert reply.status_code in (200, 403, 422)
    if reply.status_code == 200:
        assert reply.json()["rows"] == []


ADDRESSES = [
    ("/product/v1/products/wages/tables/wages/sample", 403),
    ("/product/v1/products/wages/tables/wages/profile", 403),
    ("/product/v1/products/wages/tables/wages/data", 403),
    ("/product/v1/products/wages/tables/wages/data?format=parquet", 403),
    ("/product/v1/products/wages", 200),
    ("/product/v1/products/wages/tables/wages", 200),
    ("/product/v1/products/wages/contract", 200),
    ("/product/v1/products/wages/history", 200),
    ("/product/v1/products/wages/publications", 200),
    ("/product/v1/products", 200),
    (f"/product/v1/search?q={SECRET}0", 200),
    ("/product/v1/search?q=wages", 200),
    ("/query/v1/tables", 200),
    ("/query/v1/statements", 200),
    ("/exchange/v1/events", 200),
    ("/exchange/v1/grants", 200),
    ("/operations/v1/status", 200),
]


@pytest.mark.parametrize(("address", "status"), ADDRESSES)
def test_http_shows_metadata_and_no_data(mesh, address, status):
    reply = mesh[1]["ben"].get(address)
    assert_tells_nothing(reply)
    assert reply.status_code == status


def test_a_clone_holds_nothing_of_it(mesh):
    url, _, tokens, folder = mesh
    target = folder / "clone.git"
    address = url.replace("http://", f"http://x:{tokens['ben']}@") + "/git/data.git"
    git = environment(HOME=str(folder))
    subprocess.run(["git", "clone", "-q", "--mirror", address, str(target)], env=git, check=True)
    objects = subprocess.run(
        ["git", "-C", str(target), "cat-file", "--batch", "--batch-all-objects"],
        env=git,
        capture_output=True,
        check=True,
    )
    assert b"Who earns what" in objects.stdout
    assert SECRET.encode() not in objects.stdout


def test_a_reference_to_it_is_not_measured_for_who_may_not_read_it(mesh):
    ben = mesh[1]["ben"]
    table = {
        "columns": [{"name": "person", "logicalType": "string"}],
        "references": [{"columns": ["person"], "table": "wages.wages", "to": ["person"]}],
    }
    descriptor = {"name": "guesses", "domain": "sales", "description": "Guesses", "tables": {"guesses": table}}
    assert ben.post("/product/v1/products", json=descriptor).status_code == 201
    answers = []
    for guess in ("p1", "nobody"):
        files = [("f", ("guesses.csv", f"person\n{guess}\n".encode()))]
        ben.post("/product/v1/products/guesses/checks", files=files)
        reply = ben.post("/product/v1/products/guesses/publications", files=files)
        assert reply.status_code == 201, reply.text
        shown = ben.get("/product/v1/products/guesses").json()
        answers.append((reply.json()["conditions"][0]["state"], json.dumps(shown["quality"], sort_keys=True)))
    assert answers[0] == answers[1]


def asked_for(who, purpose, duration):
    """Ask for a grant; give the id of the request."""
    wish = {"product": "wages", "purpose": purpose, "duration": duration}
    asked = who.post("/exchange/v1/requests", json=wish)
    assert asked.status_code in (200, 201), asked.text
    return asked.json()["id"]


def test_it_is_read_with_a_grant_and_no_longer_after_it(mesh):
    people = mesh[1]
    ada, ben = people["ada"], people["ben"]
    id = asked_for(ben, "Audit", "P1D")
    assert ben.post(f"/exchange/v1/requests/{id}/approve").status_code == 403
    assert sql(ben, "select count(*) from wages.wages").status_code == 403
    assert ada.post(f"/exchange/v1/requests/{id}/approve").status_code == 200
    assert sql(ben, "select count(*) from wages.wages").json()["rows"] == [[ROWS]]
    data = ben.get("/product/v1/products/wages/tables/wages/data")
    assert SECRET in data.text
    receipts = [
        event["type"] for event in ben.get("/exchange/v1/events").json()["items"] if event["subject"] == "wages"
    ]
    assert any("grant" in kind for kind in receipts)
    assert ada.delete(f"/exchange/v1/grants/{id}").status_code in (200, 204)
    # One that ends by itself; on a busy machine it may be over before anything is read.
    id = asked_for(ben, "A short audit", "PT1S")
    assert ada.post(f"/exchange/v1/requests/{id}/approve").status_code == 200
    end = time.monotonic() + 60
    while sql(ben, "select count(*) from wages.wages").status_code == 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    ended = {each["id"]: each["state"] for each in ben.get("/exchange/v1/requests").json()["items"]}
    assert ended[id] == "expired"
    assert ben.get("/product/v1/products/wages/tables/wages/sample").status_code == 403


def test_a_revoked_grant_is_over_at_once(mesh):
    people = mesh[1]
    ada, ben = people["ada"], people["ben"]
    id = ben.post("/exchange/v1/requests", json={"product": "wages", "purpose": "Audit two"}).json()["id"]
    assert ada.post(f"/exchange/v1/requests/{id}/approve").status_code == 200
    assert sql(ben, "select 1 from wages.wages limit 1").status_code == 200
    assert ada.delete(f"/exchange/v1/grants/{id}").status_code in (200, 204)
    assert sql(ben, "select 1 from wages.wages limit 1").status_code == 403


@pytest.mark.parametrize("what", ["token", "member"])
def test_an_answer_under_way_ends_with_its_reader_s_rights(mesh, what):
    url, people, _, _ = mesh
    ada, admin, eve = people["ada"], people["admin"], f"eve-{what}"
    assert admin.post("/identity/v1/users", json={"name": eve}).status_code < 300
    assert ada.post(f"/identity/v1/teams/staff/members/{eve}").status_code < 300
    made = admin.post("/identity/v1/tokens", json={"user": eve}).json()
    endless = "select w.* from wages.wages w, range(1000000)"
    with (
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {made['token']}"}, timeout=60) as client,
        client.stream("POST", "/query/v1/statements", json={"sql": endless}, headers={"Accept": "text/csv"}) as reply,
    ):
        pieces = reply.iter_raw()
        assert reply.status_code == 200
        assert next(pieces)
        if what == "token":
            assert ada.delete(f"/identity/v1/tokens/{made['id']}").status_code == 404
            assert admin.delete(f"/identity/v1/tokens/{made['id']}").status_code < 300
        else:
            assert ada.delete(f"/identity/v1/teams/staff/members/{eve}").status_code < 300
        with pytest.raises(httpx.RemoteProtocolError):
            taken(pieces, 60)


def taken(pieces, seconds):
    """Take pieces of an answer until it ends, or for so long."""
    until = time.monotonic() + seconds
    for _ in pieces:
        if time.monotonic() > until:
            return
