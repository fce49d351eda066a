"""The pages under attack: by strangers, by other hosts of the domain, and by people who are signed in."""

from __future__ import annotations

import socket
import time

import httpx
import pytest

from .running import cli_json, make_home, register, up

OWN = {"Sec-Fetch-Site": "same-origin"}
TYPED = {"Content-Type": "application/x-www-form-urlencoded"}
FORMS = {
    "/teams": ("name", "domains"),
    "/requests": ("product", "purpose", "duration", "team"),
    "/tokens": ("scope", "expires"),
    "/teams/sky/members": ("user", "lead"),
    "/teams/sky/members/remove": ("user",),
    "/query": ("sql",),
    "/query/run": ("sql", "id"),
    "/query/cancel": ("id",),
    "/query/download": ("sql", "format"),
    "/status/retry": ("product",),
    "/sign-in": ("token", "next"),
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """Serve a home, and give its address and tokens of a consumer."""
    home, _ = make_home(tmp_path_factory.mktemp("attacked"))
    cli_json("team", "create", "sky", "--domain", "aviation", home=home)
    register(home, "wind", owner="sky")
    cli_json("user", "add", "eve", home=home)
    tokens = {
        scope: cli_json("token", "new", "eve", "--scope", scope, home=home)["token"] for scope in ("write", "read")
    }
    text = (home / "thinmesh.toml").read_text()
    (home / "thinmesh.toml").write_text(text.replace("#rate_limit = 1000", "rate_limit = 10000"))
    with up(home) as url:
        yield url, tokens


@pytest.fixture(scope="module")
def eve(mesh):
    url, tokens = mesh
    cookies = {"thinmesh_session": tokens["write"]}
    with httpx.Client(base_url=url, headers=OWN, cookies=cookies, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def slowed(tmp_path_factory):
    """Serve a home that takes one request per second of anybody, and ten at once."""
    home, _ = make_home(tmp_path_factory.mktemp("slowed"))
    cli_json("user", "add", "ben", home=home)
    token = cli_json("token", "new", "ben", home=home)["token"]
    text = (home / "thinmesh.toml").read_text()
    (home / "thinmesh.toml").write_text(text.replace("#rate_limit = 1000", "rate_limit = 1"))
    with up(home) as url:
        yield url, token


@pytest.mark.parametrize("next", ["http://[", "//[", "//[::1", "/\t/evil.example", "\\\\evil.example", "https:/evil"])
def test_an_address_that_is_none_leads_to_the_start_page(mesh, next):
    url, tokens = mesh
    assert httpx.get(f"{url}/sign-in", params={"next": next}, headers=OWN, timeout=60).status_code == 200
    done = httpx.post(f"{url}/sign-in", data={"token": tokens["write"], "next": next}, headers=OWN, timeout=60)
    assert (done.status_code, done.headers["location"]) == (303, "/")


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "", "//", "http://x@"])
def test_an_origin_that_is_none_is_another_sites(mesh, origin):
    url, _ = mesh
    assert httpx.post(f"{url}/sign-out", headers={"Origin": origin}, timeout=60).status_code == 403


def test_no_origin_matches_a_host_that_is_not_named(mesh):
    url, _ = mesh
    for host in ("Host: \r\n", ""):
        head = f"POST /sign-out HTTP/1.{1 if host else 0}\r\n{host}Origin: null\r\nContent-Length: 0\r\n"
        assert b" 403 " in told(url, f"{head}Connection: close\r\n\r\n".encode())


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/sign-out", "/status/retry", "/query/run", "/teams/sky/members"])
def test_only_a_post_changes_something(eve, method, path):
    pretending = {"X-HTTP-Method-Override": "POST", "X-Method": "POST"}
    assert eve.request(method, f"{path}?_method=POST&user=eve", headers=pretending).status_code == 405


@pytest.mark.parametrize("path", FORMS)
def test_no_typed_text_breaks_a_page_or_becomes_a_part_of_it(mesh, path):
    url, tokens = mesh
    cookies = {"thinmesh_session": tokens["write"]}
    texts = (
        b"%00",
        b"%ff",
        b"%ed%a0%80",
        b"a" * 50_000,
        b"%0d%0aX:%20y",
        b"%3Cscript%3Ealert(1)%3C/script%3E",
        b"{0.a}",
    )
    with httpx.Client(base_url=url, headers=OWN, cookies=cookies, timeout=60) as client:
        for text in texts:
            body = b"&".join(name.encode() + b"=" + text for name in FORMS[path])
            answer = client.post(path, content=body, headers=TYPED)
            assert answer.status_code < 500, (path, text[:20])
            assert "x" not in answer.headers
            if "html" in answer.headers.get("content-type", ""):
                assert b"<script>alert" not in answer.content, (path, text[:20])
            else:
                assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/products/%2e%2e",
        "/products/%00",
        "/products/%ff",
        "/products/a%0d%0ab",
        "/products/" + "a" * 5000,
        "/assets/x/..%2f..%2fapp.py",
        "/assets/%2e%2e/%2e%2e/app.py",
        "/assets/../app.py",
        "/teams/%2e%2e",
        "/query/tables/%2e%2e",
        "/products/wind/tables/%3Cscript%3E/sample",
        "//evil.example/",
        "/products/wind/",
    ],
)
def test_no_path_leads_elsewhere(mesh, path):
    url, tokens = mesh
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: thinmesh_session={tokens['write']}\r\nConnection: close\r\n\r\n"
    answer = told(url, head.encode())
    assert b" 404 " in answer.split(b"\r\n")[0]
    assert b"\nlocation" not in answer.lower()


def test_a_session_widens_no_token(mesh):
    url, tokens = mesh
    cookies = {"thinmesh_session": tokens["read"]}
    with httpx.Client(base_url=url, headers=OWN, cookies=cookies, timeout=60) as client:
        for path, typed in (
            ("/tokens", {"scope": "write"}),
            ("/tokens", {"scope": "admin"}),
            ("/teams", {"name": "mine"}),
            ("/teams/sky/members", {"user": "eve"}),
            ("/status/retry", {}),
        ):
            assert client.post(path, data=typed).status_code == 403, path


def test_forms_of_others_are_not_filled_by_a_host_that_is_made_up(mesh, eve):
    lies = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert eve.post("/teams", data={"name": "lied"}, headers=lies).headers["location"] == "/teams/lied"
    assert "evil.example" not in eve.get("/teams/lied", headers=lies).text


def test_a_link_does_not_say_that_something_was_done(eve):
    lies = {"done": "approved", "product": "call 555", "user": "Your account is locked", "id": "0"}
    shown = eve.get("/requests", params=lies)
    assert shown.status_code == 200
    assert "Approved" not in shown.text
    assert "555" not in shown.text


def test_strangers_fill_no_memory(mesh, eve):
    url, _ = mesh
    long = {"token": "x" * (300 << 10)}
    assert httpx.post(f"{url}/sign-in", data=long, headers=OWN, timeout=60).status_code == 413
    assert httpx.post(f"{url}/teams", data=long, headers=OWN, timeout=60).status_code == 413
    assert eve.post("/teams", data={"name": "x" * (300 << 10)}).status_code == 422


def test_a_body_that_stalls_is_not_waited_for_for_ever(mesh):
    url, _ = mesh
    head = "POST /sign-in HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 100\r\n"
    began = time.monotonic()
    answer = told(url, f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken=".encode(), 120)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"connection: close" in answer.lower()
    assert 25 < time.monotonic() - began < 110


@pytest.mark.parametrize("path", ["/sign-in", "/", "/assets/0/pages.css", "/products/a/b/c/d"])
@pytest.mark.parametrize("shown", [{"Cookie": "a=b"}, {"Authorization": "x"}, {"Cookie": "thinmesh_session=x.y.z"}, {}])
def test_strangers_are_slowed_down_whatever_they_show(slowed, path, shown):
    url, _ = slowed
    with httpx.Client(base_url=url, timeout=60) as client:
        replies = [client.get(path, headers=shown) for _ in range(60)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)


def test_who_is_signed_in_is_not_slowed_down_by_strangers_of_the_same_address(slowed):
    url, token = slowed
    with httpx.Client(base_url=url, timeout=60) as client:
        while client.get("/", headers={"Cookie": "a=b"}).status_code != 429:
            pass
        assert client.get("/", headers={"Cookie": f"thinmesh_session={token}"}).status_code == 200


def test_over_tls_no_other_host_of_the_domain_sets_the_session(tmp_path):
    home, token = make_home(tmp_path)
    text = (home / "thinmesh.toml").read_text()
    (home / "thinmesh.toml").write_text(text.replace('#url = ""', 'url = "https://mesh.example"', 1))
    with up(home) as url:
        begun = httpx.post(f"{url}/sign-in", data={"token": token}, headers=OWN, timeout=60)
        name, _, rest = begun.headers["set-cookie"].partition("=")
        assert name == "__Host-thinmesh_session"
        assert "; secure" in rest.lower()
        assert "path=/" in rest.lower()
        assert "domain" not in rest.lower()
        assert httpx.get(url, headers={"Cookie": f"thinmesh_session={token}"}, timeout=60).status_code == 401
        assert httpx.get(url, headers={"Cookie": f"{name}={token}"}, timeout=60).status_code == 200
        host = {"Host": "mesh.example"}
        for scheme, status in (("http", 403), ("https", 303)):
            posted = httpx.post(f"{url}/sign-out", headers={**host, "Origin": f"{scheme}://mesh.example"}, timeout=60)
            assert posted.status_code == status, scheme


def told(url: str, request: bytes, seconds: float = 60) -> bytes:
    """Send bytes, and give what comes until the end or a pause."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as line:
        line.sendall(request)
        found = b""
        while piece := line.recv(65536):
            found += piece
    return found
