"""What holds at every address: who may come in, how refusals look, what every reply carries."""

import base64
import http.client
import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.running import cli_json, make_home, register, up, write_csv

FIELDS = {"type", "title", "status", "detail", "code", "retry", "help", "violations", "instance"}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shape")
    home, token = make_home(folder)
    cli_json("team", "create", "meteo", "--domain", "aviation", home=home)
    register(home, "weather")
    data = write_csv(folder, "weather.csv", [{"origin": "EWR", "temp": 3.5}, {"origin": "JFK", "temp": 4.25}])
    cli_json("publish", "weather", str(data), home=home)
    with (
        up(home) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client,
    ):
        yield client, home, token


@pytest.fixture
def client(mesh):
    return mesh[0]


def refused(reply, status, code):
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    found = reply.json()
    assert set(found) == FIELDS
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"] == f"urn:thinmesh:error:{code}"
    assert found["help"]
    assert found["instance"].endswith(reply.headers["x-request-id"])
    return found


# Who may come in --------------------------------------------------------------------------------------------------


def test_without_a_token_nothing_but_health_keys_and_documents_answers(client):
    document = client.get("/openapi.json").json()
    open_addresses = set()
    for path, item in document["paths"].items():
        for method in item:
            reply = httpx.request(method, f"{client.base_url}{path}".replace("{", "x").replace("}", "x"), timeout=60)
            if reply.status_code != 401:
                open_addresses.add(path)
    assert open_addresses == {
        "/identity/v1/jwks.json",
        "/operations/v1/health/live",
        "/operations/v1/health/ready",
        "/product/v1/schemas/product.json",
    }


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic eDp5", "Digest x", "Bearer a.b.c"])
def test_a_wrong_token_is_refused_with_the_scheme_to_use(client, header):
    reply = httpx.get(f"{client.base_url}/identity/v1/whoami", headers={"Authorization": header}, timeout=60)
    refused(reply, 401, "not_signed_in")
    assert reply.headers["www-authenticate"].startswith("Bearer")


def test_a_backup_is_made_on_the_home_only(client, mesh, tmp_path):
    found = refused(client.post("/operations/v1/backups"), 403, "not_allowed")
    assert "own machine" in found["detail"]
    assert cli_json("backup", str(tmp_path / "b"), home=mesh[1])["bytes"] > 0
    kept = [each for each in client.get("/operations/v1/audit").json()["items"] if each["action"] == "backup"]
    assert [each["object"] for each in kept if each["outcome"] == "done"] == [str(tmp_path / "b")]


def test_the_token_is_a_password_for_table_data_only(client, mesh):
    address = "/product/v1/products/weather/tables/weather/data"
    signed = httpx.get(f"{client.base_url}{address}", auth=("anything", mesh[2]), timeout=60)
    assert signed.text == "origin,temp\nEWR,3.5\nJFK,4.25\n"
    reply = httpx.get(f"{client.base_url}{address}", timeout=60)
    refused(reply, 401, "not_signed_in")
    assert reply.headers["www-authenticate"].startswith("Basic")
    broken = {"Authorization": "Basic " + base64.b64encode(b"x:").decode()}
    refused(httpx.get(f"{client.base_url}{address}", headers=broken, timeout=60), 401, "not_signed_in")
    refused(httpx.get(f"{client.base_url}/identity/v1/whoami", auth=("x", mesh[2]), timeout=60), 401, "not_signed_in")


def test_the_home_s_socket_acts_as_its_owner_or_as_somebody_named(mesh):
    transport = httpx.HTTPTransport(uds=str(mesh[1] / "run" / "thinmesh.sock"))
    with httpx.Client(transport=transport, base_url="http://home", timeout=60) as owner:
        assert owner.get("/identity/v1/whoami").json()["user"] == "admin"
        refused(owner.get("/identity/v1/whoami", headers={"Thinmesh-As": "nobody"}), 404, "not_found")
        refused(owner.get("/identity/v1/whoami", headers={"Authorization": "Bearer x"}), 401, "not_signed_in")
        newest = owner.get("/operations/v1/audit").json()["items"][0]
        assert (newest["user"], newest["action"], newest["object"]) == ("admin", "act_as", "nobody")
        assert newest["outcome"] == "not_found"


def test_the_owner_s_header_means_nothing_over_tcp(client):
    refused(
        httpx.get(f"{client.base_url}/identity/v1/whoami", headers={"Thinmesh-As": "admin"}, timeout=60),
        401,
        "not_signed_in",
    )


# How refusals look ------------------------------------------------------------------------------------------------


def test_an_address_that_is_none(client):
    refused(client.get("/nothing/here"), 404, "not_found")
    refused(client.get("/product/v1/products/"), 404, "not_found")


def test_a_method_that_is_none_names_those_that_are(client):
    reply = client.patch("/product/v1/products/weather")
    refused(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "DELETE, GET, HEAD, PUT"


def test_parameters_that_do_not_fit_are_named_all_at_once(client):
    found = refused(client.get("/product/v1/products?limit=0&domain=" + "x" * 101), 400, "malformed")
    assert [violation["column"] for violation in found["violations"]] == ["domain", "limit"]


def test_broken_json_is_told_with_line_and_column(client):
    reply = client.post("/identity/v1/teams", content=b'{\n "name": }', headers={"Content-Type": "application/json"})
    assert "line 2, column 10" in refused(reply, 400, "malformed")["detail"]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"\xff\xfe", b'{"name": "\\ud800", "domains": []}', b"[" * 100_000, b'{"name": 1}'],
)
def test_bodies_that_do_not_fit_are_400(client, content):
    headers = {"Content-Type": "application/json"}
    refused(client.post("/identity/v1/teams", content=content, headers=headers), 400, "malformed")


def test_an_unknown_field_is_refused_by_its_name(client):
    found = refused(client.post("/identity/v1/teams", json={"name": "x", "domain": "y"}), 400, "malformed")
    assert [violation["column"] for violation in found["violations"]] == ["domain"]


def test_a_body_of_another_type_is_415(client):
    reply = client.post("/product/v1/products", content=b"x", headers={"Content-Type": "image/png"})
    refused(reply, 415, "unsupported")
    reply = client.post("/product/v1/products/weather/publications", json={})
    refused(reply, 415, "unsupported")


@pytest.mark.parametrize("address", ["/identity/v1/teams", "/product/v1/products", "/query/v1/statements"])
def test_json_is_taken_with_its_type_or_none(client, address):
    def send(kind, **more):
        headers = {"Content-Type": kind} if kind else {}
        return client.post(address, content=b'{"unknown": 1}', headers={**headers, **more})

    assert (
        "-H 'Content-Type: application/json'"
        in refused(send("application/x-www-form-urlencoded"), 415, "unsupported")["help"]
    )
    refused(send("application/x-www-form-urlencoded", Authorization="Bearer x"), 401, "not_signed_in")
    for kind in ("application/json; charset=utf-8", "application/merge-patch+json", None):
        assert "unknown" in send(kind).text


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_413_however_it_comes(client, chunked):
    content = b" " * (9 << 20)
    reply = client.post(
        "/product/v1/products",
        content=iter([content]) if chunked else content,
        headers={"Content-Type": "application/json"},
    )
    refused(reply, 413, "too_large")


@pytest.mark.parametrize("cursor", ["x", "e30", "bnVsbA", "WyJhIl0", "MQ", "IngiCg", "W251bGxd"])
def test_a_cursor_that_is_not_ours_is_never_a_server_error(client, cursor):
    lists = ["identity/v1/teams", "identity/v1/users", "identity/v1/tokens", "product/v1/products"]
    lists += ["product/v1/search?q=x", "product/v1/products/weather/history", "query/v1/statements", "query/v1/tables"]
    lists += ["product/v1/products/weather/publications", "exchange/v1/requests", "exchange/v1/grants"]
    for address in lists:
        joined = "&" if "?" in address else "?"
        reply = client.get(f"/{address}{joined}cursor={cursor}")
        assert reply.status_code in (200, 400), (address, reply.text)


def test_what_is_no_http_is_refused_in_the_same_shape(client):
    parts = urlsplit(str(client.base_url))
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.sendall(b"NONSENSE\r\n\r\n")
        response = http.client.HTTPResponse(raw)
        response.begin()
        assert response.status == 400
        assert json.loads(response.read())["code"] == "malformed"


def test_headers_without_end_are_refused(client):
    parts = urlsplit(str(client.base_url))
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.settimeout(60)
        raw.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError):  # noqa: PT012
            for _ in range(1000):
                raw.sendall(b"x-filler: " + b"y" * 10_000 + b"\r\n")
            raw.recv(1)
            raise OSError("it answered, and hung up")


# What every reply carries -----------------------------------------------------------------------------------------


def test_replies_cannot_be_misread_by_a_browser(client):
    headers = client.get("/identity/v1/whoami").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_head_answers_as_get_without_the_body(client):
    for address in ("/identity/v1/whoami", "/product/v1/products/weather", "/openapi.json"):
        got, head = client.get(address), client.head(address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(got.content))


def test_head_of_table_data_tells_the_type_and_runs_nothing(client):
    before = client.get("/query/v1/statements").json()["items"]
    head = client.head("/product/v1/products/weather/tables/weather/data?format=parquet")
    assert head.headers["content-type"] == "application/vnd.apache.parquet"
    assert "content-length" not in head.headers
    assert client.head("/product/v1/products/nothing/tables/x/data").status_code == 404
    after = client.get("/query/v1/statements").json()["items"]
    assert [each["sql"] for each in after if each not in before and each["sql"].startswith("data ")] == []


# Documents --------------------------------------------------------------------------------------------------------


def test_each_plane_has_its_own_document_which_holds_together(client):
    whole = client.get("/openapi.json").json()
    paths = set()
    for plane in ("identity", "product", "query", "exchange", "operations"):
        found = client.get(f"/{plane}/v1/openapi.json").json()
        assert all(path.startswith(f"/{plane}/v1/") for path in found["paths"])
        paths |= set(found["paths"])
        text = json.dumps(found)
        for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
            assert name in found["components"]["schemas"]
    assert paths == set(whole["paths"])


def test_every_operation_is_explained_and_documents_its_refusals(client):
    for path, item in client.get("/openapi.json").json()["paths"].items():
        for method, operation in item.items():
            assert operation["description"], (method, path)
            assert "500" in operation["responses"], (method, path)


# Descriptors ------------------------------------------------------------------------------------------------------


def test_a_descriptor_is_changed_only_from_the_version_it_was_read_at(client):
    descriptor = {"name": "tides", "domain": "aviation", "description": "First"}
    made = client.post("/product/v1/products", json=descriptor)
    assert (made.status_code, made.headers["location"]) == (201, "/product/v1/products/tides")
    assert client.post("/product/v1/products", json=descriptor).status_code == 200
    shown = client.get("/product/v1/products/tides")
    etag = shown.headers["etag"]
    # The document also tells of publications, which the descriptor's version does not.
    assert client.get("/product/v1/products/tides", headers={"If-None-Match": etag}).status_code == 200
    second = {**descriptor, "description": "Second"}
    assert client.put("/product/v1/products/tides", json=second, headers={"If-Match": etag}).status_code == 200
    third = {**descriptor, "description": "Third"}
    reply = client.put("/product/v1/products/tides", json=third, headers={"If-Match": etag})
    refused(reply, 409, "conflict")
    assert client.get("/product/v1/products/tides").headers["etag"] != etag


def test_every_write_on_a_descriptor_holds_to_if_match_and_tells_the_version(client):
    descriptor = {"name": "waves", "domain": "aviation", "description": "First"}
    address = "/product/v1/products/waves"

    def write(method, path, if_match, body=None):
        return client.request(method, path, json=body, headers={"If-Match": if_match})

    refused(write("PUT", address, "*", descriptor), 409, "conflict")
    first = client.post("/product/v1/products", json=descriptor).headers["etag"]
    changed = write("PUT", address, "*", {**descriptor, "description": "Second"})
    assert (changed.status_code, changed.headers["etag"]) == (200, f'"{changed.json()["etag"]}"')
    assert client.get(address).headers["etag"] == client.get(f"{address}/contract").headers["etag"]
    assert client.get(address).headers["etag"] == changed.headers["etag"] != first
    refused(write("POST", "/product/v1/products", first, descriptor), 409, "conflict")
    refused(write("POST", f"{address}/accept", first), 409, "conflict")
    refused(write("DELETE", address, first), 409, "conflict")
    assert client.get(address).json()["product"]["description"] == "Second"
    assert write("POST", f"{address}/accept", changed.headers["etag"]).status_code == 200
    retired = write("DELETE", address, f"W/{changed.headers['etag']}")
    assert (retired.status_code, retired.headers["etag"] != changed.headers["etag"]) == (200, True)


def test_the_same_key_has_the_effect_of_once(client):
    def ask(key, **team):
        return client.post("/identity/v1/teams", json=team, headers={"Idempotency-Key": key})

    first = ask("k1", name="once", domains=["sea"])
    again = ask("k1", name="once", domains=["sea"])
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    refused(ask("k1", name="other"), 409, "conflict")
    refused(ask("k2", name="main"), 422, "refused")
    assert ask("k2", name="second").status_code == 201


def test_a_repeated_registration_tells_its_etag_again(client):
    document = {"name": "currents", "domain": "aviation", "description": "Currents"}
    key = {"Idempotency-Key": "currents"}
    first, again = (client.post("/product/v1/products", json=document, headers=key) for _ in range(2))
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, first.json(), first.headers["etag"])
    changed = {**document, "description": "High and low currents"}
    unchanged = {"If-Match": again.headers["etag"]}
    assert client.put("/product/v1/products/currents", json=changed, headers=unchanged).status_code == 200


def test_a_keyed_publication_is_one_publication(client):
    client.post("/product/v1/products", json={"name": "levels", "domain": "aviation", "description": "Levels"})
    address = "/product/v1/products/levels/publications?mode=append&again=true"
    replies = [
        client.post(address, files={"file": ("levels.csv", b"a\n1\n")}, headers={"Idempotency-Key": "p"})
        for _ in range(2)
    ]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert replies[0].json() == replies[1].json()
    other = client.post(address, files={"file": ("levels.csv", b"a\n2\n")}, headers={"Idempotency-Key": "p"})
    refused(other, 409, "conflict")
    assert client.get("/product/v1/products/levels").json()["publication"] == "p1"


def test_a_new_token_is_made_once_by_its_key_and_kept_nowhere(client, mesh):
    made, again = (client.post("/identity/v1/tokens", json={}, headers={"Idempotency-Key": "t"}) for _ in range(2))
    found = refused(again, 409, "conflict")
    assert made.json()["id"] in found["detail"]
    assert made.json()["token"] not in again.text
    signature = made.json()["token"].rpartition(".")[2].encode()
    assert not [path for path in mesh[1].glob("thinmesh.db*") if signature in path.read_bytes()]
    assert client.post("/identity/v1/tokens", json={}, headers={"Idempotency-Key": "u"}).status_code == 201
