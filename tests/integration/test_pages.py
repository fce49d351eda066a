"""The pages without a browser: who gets in, what other sites cannot do, what no text can do."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from .running import cli_json, make_home, register, up

CLIENTS: list[httpx.Client] = []
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>{{7*7}}'


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    home, token = make_home(tmp_path_factory.mktemp("pages"))
    register_team(home)
    register(home, "wind", owner="sky", description=HOSTILE)
    with up(home) as url:
        yield url, token
        leave()


def register_team(home: Path) -> None:
    cli_json("team", "create", "sky", "--domain", "aviation", home=home)


def visitor(url: str, token: str | None = None) -> httpx.Client:
    headers = {"Sec-Fetch-Site": "same-origin"}
    client = httpx.Client(base_url=url, headers=headers, timeout=60)
    CLIENTS.append(client)
    if token:
        assert client.post("/sign-in", data={"token": token, "next": "/"}).status_code == 303
    return client


def leave() -> None:
    """Close what visitors have opened."""
    while CLIENTS:
        CLIENTS.pop().close()


def test_a_stranger_is_asked_to_sign_in_and_comes_back_to_the_page(mesh):
    url, token = mesh
    stranger = visitor(url)
    asked = stranger.get("/products/wind?x=1")
    assert asked.status_code == 401
    assert 'value="/products/wind?x=1"' in asked.text
    done = stranger.post("/sign-in", data={"token": token, "next": "/products/wind?x=1"})
    assert (done.status_code, done.headers["location"]) == (303, "/products/wind?x=1")
    assert stranger.get("/products/wind").status_code == 200


def test_the_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(mesh):
    url, token = mesh
    done = httpx.post(f"{url}/sign-in", data={"token": token}, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60)
    cookie = done.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "max-age=43200" in cookie


def test_the_api_takes_no_cookie(mesh):
    url, token = mesh
    assert visitor(url, token).get("/product/v1/products").status_code == 401


def test_the_api_keeps_its_addresses_beside_the_pages(mesh):
    url, token = mesh
    signed = {"Authorization": f"Bearer {token}"}
    ran = httpx.post(f"{url}/query/v1/statements", json={"sql": "SELECT 1 AS one"}, headers=signed, timeout=60)
    assert (ran.status_code, ran.json()["rows"]) == (200, [[1]])
    for path in ("/query/v1/statements", "/query/v1/tables", "/query/v1/openapi.json", "/query/v1/nothing"):
        assert "json" in httpx.get(url + path, headers=signed, timeout=60).headers["content-type"]


def test_a_form_without_an_end_is_not_read(mesh):
    url, _ = mesh
    endless = visitor(url).post("/sign-in", content=iter([b"token=", b"x" * 100]))
    assert endless.status_code == 400
    assert visitor(url).post("/sign-in", data={"token": "x" * (5 << 20)}).status_code == 413


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
def test_signing_in_leads_to_no_other_site(mesh, next):
    url, token = mesh
    done = visitor(url).post("/sign-in", data={"token": token, "next": next})
    assert done.headers["location"] == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_another_sites_page_changes_nothing(mesh, path, headers):
    url, token = mesh
    client = visitor(url, token)
    del client.headers["Sec-Fetch-Site"]
    refused = client.post(path, data={"token": token}, headers=headers)
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers
    assert client.get("/products/wind").status_code == 200


def test_an_old_browser_is_known_by_its_origin(mesh):
    url, token = mesh
    done = httpx.post(f"{url}/sign-in", data={"token": token}, headers={"Origin": url}, timeout=60)
    assert done.status_code == 303


def test_what_was_typed_survives_the_end_of_a_session(mesh):
    url, token = mesh
    stranger = visitor(url)
    typed = {"purpose": 'a "long" text\nof two lines', "name": "<b>"}
    asked = stranger.post(
        "/sign-in", data={"token": "no", "next": "/requests", **{f"typed.{k}": v for k, v in typed.items()}}
    )
    assert asked.status_code == 401
    assert "a &#34;long&#34; text\nof two lines" in asked.text
    resumed = stranger.post(
        "/sign-in", data={"token": token, "next": "/requests", **{f"typed.{k}": v for k, v in typed.items()}}
    )
    assert resumed.status_code == 200
    assert 'action="/requests"' in resumed.text
    assert "&lt;b&gt;" in resumed.text


def test_no_stored_text_becomes_a_part_of_the_page(mesh):
    url, token = mesh
    client = visitor(url, token)
    for path in ("/", "/products/wind", "/?q=" + HOSTILE.replace("<", "%3C").replace("#", "%23")):
        page = client.get(path)
        assert "alert(1)</script>" not in page.text
        assert "<img src=x" not in page.text
        assert "49" not in re.findall(r"onerror=alert\(1\)&gt;(.{7})", page.text)


def test_pages_may_load_nothing_of_others_and_nothing_written_into_them(mesh):
    url, token = mesh
    page = visitor(url, token).get("/")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    for kind in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        assert f"{kind} 'none'" in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page.text)
    tags = "".join(re.findall(r"<[a-z][^>]*>", page.text))
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script>", tags)


def test_assets_are_kept_for_ever_and_named_by_what_they_hold(mesh):
    url, token = mesh
    page = visitor(url, token).get("/")
    found = set(re.findall(r'"(/assets/[^"#]+)', page.text))
    assert len(found) >= 4
    for address in found:
        asset = httpx.get(url + address, timeout=60)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
    assert httpx.get(f"{url}/assets/0000000000000000/pages.css", timeout=60).status_code == 404


def test_errors_are_pages_for_people(mesh):
    url, token = mesh
    client = visitor(url, token)
    missing = client.get("/products/wnd")
    assert missing.status_code == 404
    assert "text/html" in missing.headers["content-type"]
    assert "Did you mean wind?" in missing.text
    assert client.get("/products/wind/nothing").status_code == 404
    assert "<code>thinmesh list</code>" in client.get("/products/zzzzzzzz").text


@pytest.mark.parametrize("path", ["/nothing", "/product/wind", "/product/v1/nothing", "/teams/sky/nothing"])
def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_programs(mesh, path):
    url, token = mesh
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    seen = visitor(url, token).get(path, headers=browser)
    assert seen.status_code == 404
    assert "text/html" in seen.headers["content-type"]
    assert f"There is no page at {path}." in seen.text
    assert 'aria-label="Main"' in seen.text
    stranger = visitor(url).get(path, headers=browser)
    assert (stranger.status_code, "There is no page" in stranger.text) == (404, True)
    assert 'aria-label="Main"' not in stranger.text
    if not path.startswith("/teams"):
        asked = httpx.get(url + path, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        assert (asked.status_code, asked.json()["code"]) == (404, "not_found")
