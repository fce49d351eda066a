"""Signing in to the pages by a provider: who gets in, as whom, and what another site or browser cannot do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.openid.liar import CLIENT, SECRET, liar

from .running import cli, cli_json, make_home, up, vouched_by

OWN = {"Sec-Fetch-Site": "same-origin"}


class World:
    def __init__(self, url, home, admin, provider):
        self.url, self.home, self.admin, self.provider = url, home, admin, provider

    def browser(self):
        return httpx.Client(base_url=self.url, headers=OWN, timeout=60)

    def asked(self, browser, next="/"):
        """Begin to sign in, and give what the provider was asked."""
        sent = browser.get("/sign-in/oidc", params={"next": next})
        assert sent.status_code == 303, sent.text
        asked = {name: values[0] for name, values in parse_qs(urlsplit(sent.headers["location"]).query).items()}
        self.provider.nonce = asked["nonce"]
        return asked

    def back(self, browser, state, **more):
        """Come back from the provider, as its redirect makes a browser do."""
        given = {"code": "a-code", "state": state, **more}
        return browser.get("/sign-in/oidc/callback", params=given, headers={"Sec-Fetch-Site": "cross-site"})

    def person(self, subject, **claims):
        self.provider.subject, self.provider.claims = subject, claims

    def signed_in(self, browser, next="/"):
        done = self.back(browser, self.asked(browser, next)["state"])
        assert done.status_code == 303, done.text
        return done

    def logged(self, event, **facts):
        """Give the lines of the server's log that tell of an event with these facts."""
        lines = [json.loads(line) for line in (self.home / "run" / "stderr.log").read_text().splitlines()]
        return [line for line in lines if line["event"] == event and facts.items() <= line.items()]

    def audit(self):
        headers = {"Authorization": f"Bearer {self.admin}"}
        return httpx.get(f"{self.url}/operations/v1/audit", headers=headers, timeout=60).json()["items"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    home, admin = make_home(tmp_path_factory.mktemp("openid"))
    with liar() as provider:
        cli_json("user", "add", "taken", home=home)
        url = vouched_by(home, provider.issuer, CLIENT, SECRET)
        with up(home, "--port", url.rpartition(":")[2]) as served:
            assert served == url
            yield World(url, home, admin, provider)


@pytest.fixture
def world(served):
    served.provider.change.clear()
    served.provider.token = served.provider.signed
    return served


def who(browser):
    found = re.search(r"Account of ([^<]+)<", browser.get("/").text)
    return found[1] if found else None


def test_a_stranger_is_shown_the_provider_and_comes_back_to_the_page(world):
    world.person("s-olga", preferred_username="Olga")
    with world.browser() as browser:
        page = browser.get("/products/wind?x=1&y=2")
        assert page.status_code == 401
        link = re.search(r'href="(/sign-in/oidc\?[^"]*)">Sign in with 127\.0\.0\.1:\d+<', page.text)[1]
        assert parse_qs(urlsplit(link.replace("&amp;", "&")).query) == {"next": ["/products/wind?x=1&y=2"]}
        done = world.signed_in(browser, "/products/wind?x=1&y=2")
        assert done.headers["location"] == "/products/wind?x=1&y=2"
        assert who(browser) == "olga"


def test_the_first_time_makes_the_user_and_the_next_finds_them_whatever_they_are_called_then(world):
    world.person("s-nora", preferred_username="nora")
    with world.browser() as browser:
        world.signed_in(browser)
        world.person("s-nora", preferred_username="someone.else")
        world.signed_in(browser)
        assert who(browser) == "nora"
    added = [each for each in world.audit() if each["action"] == "user.vouched" and each["object"].startswith("nora ")]
    assert [each["outcome"] for each in added] == ["done"]
    assert added[0]["object"] == f"nora {world.provider.issuer} s-nora"
    listed = {each["name"]: each["admin"] for each in cli_json("user", "list", home=world.home)["items"]}
    assert listed["nora"] is False
    assert "someone.else" not in listed


@pytest.mark.parametrize("name", ["taken", "admin", "Admin", "admin@example.org"])
def test_a_name_of_somebody_else_is_not_handed_over(world, name):
    world.person(f"s of {name}", preferred_username=name)
    with world.browser() as browser:
        done = world.back(browser, world.asked(browser)["state"])
        assert done.status_code == 409
        assert f"thinmesh user link {name.lower().partition('@')[0]} &#39;s of {name}&#39;" in done.text
        assert "thinmesh_session" not in browser.cookies
        assert who(browser) is None


def test_an_administrator_says_who_somebody_is(world):
    world.person("s-new", preferred_username="taken")
    cli_json("user", "add", "later", home=world.home)
    linked = cli_json("user", "link", "later", "s-new", home=world.home)
    assert (linked["name"], linked["issuer"], linked["subject"]) == ("later", world.provider.issuer, "s-new")
    with world.browser() as browser:
        world.signed_in(browser)
        assert who(browser) == "later"
    mallory = cli_json("token", "new", "taken", home=world.home)["token"]
    refused = cli("user", "link", "admin", "s-new", THINMESH_URL=world.url, THINMESH_TOKEN=mallory)
    assert refused.returncode == 3


@pytest.mark.parametrize("claims", [{}, {"preferred_username": "!!!"}, {"email": "eve@example.org"}], ids=str)
def test_who_has_no_name_is_told_so(world, claims):
    world.person("s-nameless", **claims)
    with world.browser() as browser:
        done = world.back(browser, world.asked(browser)["state"])
        assert done.status_code == 422
        assert "thinmesh user link NAME s-nameless" in done.text


def test_signing_out_ends_the_session_everywhere_and_a_typed_token_lives_on(world):
    world.person("s-rosa", preferred_username="rosa")
    with world.browser() as browser:
        world.signed_in(browser)
        token = browser.cookies["thinmesh_session"]
        api = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{world.url}/identity/v1/whoami", headers=api, timeout=60).json()["scope"] == "write"
        assert browser.get("/sign-out/done").headers["location"] == "/"
        out = browser.post("/sign-out")
        assert (out.status_code, out.headers["location"]) == (303, "/sign-out/done")
        assert "goes on" in browser.get("/sign-out/done").text
        assert httpx.get(f"{world.url}/identity/v1/whoami", headers=api, timeout=60).status_code == 401
        typed = cli_json("token", "new", "rosa", home=world.home)["token"]
        assert browser.post("/sign-in", data={"token": typed}).status_code == 303
        assert browser.post("/sign-out").headers["location"] == "/sign-in"
    kept = httpx.get(f"{world.url}/identity/v1/whoami", headers={"Authorization": f"Bearer {typed}"}, timeout=60)
    assert kept.json()["user"] == "rosa"


def test_signing_in_anew_ends_the_session_before(world):
    world.person("s-ines", preferred_username="ines")
    typed = cli_json("token", "new", "taken", home=world.home)["token"]
    alive = []
    with world.browser() as browser:
        for _ in range(2):
            world.signed_in(browser)
            alive.append(browser.cookies["thinmesh_session"])
        assert browser.post("/sign-in", data={"token": typed}).status_code == 303
        # Of a token that was typed nobody said that it is a browser's alone.
        world.signed_in(browser)
    alive += [typed, browser.cookies["thinmesh_session"]]
    host = urlsplit(world.provider.issuer).netloc
    assert [line["by"] for line in world.logged("signed in", user="ines")] == [host] * 3
    found = [
        httpx.get(
            f"{world.url}/identity/v1/whoami", headers={"Authorization": f"Bearer {token}"}, timeout=60
        ).status_code
        for token in alive
    ]
    assert found == [401, 401, 200, 200]


def test_a_session_makes_tokens_for_git_that_outlast_it(world):
    world.person("s-lena", preferred_username="lena")
    with world.browser() as browser:
        world.signed_in(browser)
        api = {"Authorization": f"Bearer {browser.cookies['thinmesh_session']}"}
    made = httpx.post(f"{world.url}/identity/v1/tokens", json={"expires": "P90D"}, headers=api, timeout=60)
    assert made.status_code == 201
    assert cli_json("token", "list", "lena", home=world.home)["items"]


def test_the_cookies_are_out_of_the_reach_of_scripts_and_other_sites(world):
    world.person("s-olga", preferred_username="olga")
    with world.browser() as browser:
        begun = browser.get("/sign-in/oidc").headers["set-cookie"].lower()
        assert all(part in begun for part in ("httponly", "samesite=lax", "path=/sign-in/oidc", "max-age=600"))
        done = world.signed_in(browser)
        session, _, forgotten = done.headers["set-cookie"].lower().partition("thinmesh_oidc_")
        assert all(part in session for part in ("httponly", "samesite=lax", "max-age=43200"))
        assert "max-age=0" in forgotten
        assert done.headers["cache-control"] == "no-store"


def test_cookies_of_strange_names_stop_nobody(world):
    with world.browser() as browser:
        strange = "; ".join(f"thinmesh_oidc_{name}=x" for name in ("a,b", "[", '"', "é", *range(9)))
        sent = browser.get("/sign-in/oidc", headers={"Cookie": strange.encode()})
        assert sent.status_code == 303, sent.text
        old = "; ".join(f"thinmesh_oidc_{number:08x}=x" for number in range(9))
        told = browser.get("/sign-in/oidc", headers={"Cookie": old}).headers.get_list("set-cookie")
        assert sum("max-age=0" in each.lower() for each in told) == 6


def test_over_tls_no_other_host_of_the_domain_sets_what_was_begun(tmp_path):
    home, _ = make_home(tmp_path)
    with liar() as provider:
        address = vouched_by(home, provider.issuer, CLIENT, SECRET)
        file = home / "thinmesh.toml"
        file.write_text(file.read_text().replace(f'url = "{address}"', 'url = "https://mesh.example"'))
        with up(home) as url:
            begun = httpx.get(f"{url}/sign-in/oidc", headers=OWN, timeout=60)
            name, _, rest = begun.headers["set-cookie"].partition("=")
            value, _, flags = rest.partition(";")
            assert name.startswith("__Host-thinmesh_oidc_")
            flags = flags.lower()
            assert "domain" not in flags
            assert all(part in f"{flags};" for part in ("path=/;", "secure;", "httponly;"))
            asked = parse_qs(urlsplit(begun.headers["location"]).query)
            provider.nonce, state = asked["nonce"][0], asked["state"][0]
            back = f"{url}/sign-in/oidc/callback?code=a-code&state={state}"
            plain = name.removeprefix("__Host-")
            assert httpx.get(back, headers={"Cookie": f"{plain}={value}"}, timeout=60).status_code == 400
            assert httpx.get(back, headers={"Cookie": f"{name}={value}"}, timeout=60).status_code == 303


def test_an_answer_counts_once_and_in_the_browser_that_asked(world):
    world.person("s-olga", preferred_username="olga")
    with world.browser() as browser, world.browser() as victim:
        state = world.asked(browser)["state"]
        stolen = world.back(victim, state)
        assert stolen.status_code == 400
        assert "not begun in this browser" in stolen.text
        told = [line["why"] for line in world.logged("sign-in refused", path="/sign-in/oidc/callback")]
        assert any("not begun in this browser" in why for why in told)
        assert who(victim) is None
        assert world.back(browser, state).status_code == 303
        assert world.back(browser, state).status_code == 400


def test_two_tabs_sign_in_each_for_itself(world):
    world.person("s-olga", preferred_username="olga")
    with world.browser() as browser:
        first = world.asked(browser, "/status")
        nonce = world.provider.nonce
        second = world.asked(browser, "/requests")
        assert world.back(browser, second["state"]).headers["location"] == "/requests"
        world.provider.nonce = nonce
        assert world.back(browser, first["state"]).headers["location"] == "/status"


def test_a_changed_cookie_is_nobody_s(world):
    with world.browser() as browser:
        state = world.asked(browser)["state"]
        (name,) = [name for name in browser.cookies if name.startswith("thinmesh_oidc_")]
        value = browser.cookies[name]
        for changed in (value[:-1] + ("0" if value[-1] != "0" else "1"), "x" + value, value.partition(".")[0], "."):
            browser.cookies.clear()
            browser.cookies.set(name, changed)
            assert world.back(browser, state).status_code == 400
    assert "/token" not in [path for path, form, _ in world.provider.asked if form.get("code") == [state]]


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/" + "a" * 9000]
)
def test_it_leads_to_no_other_site(world, next):
    world.person("s-olga", preferred_username="olga")
    with world.browser() as browser:
        assert world.signed_in(browser, next).headers["location"] == "/"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_signs_nobody_in(world, site):
    with world.browser() as browser:
        shown = browser.get("/sign-in/oidc", headers={"Sec-Fetch-Site": site})
        assert shown.status_code == 200
        assert "set-cookie" not in shown.headers


def test_the_host_that_a_request_names_counts_for_nothing(world):
    with world.browser() as browser:
        sent = browser.get("/sign-in/oidc", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        asked = parse_qs(urlsplit(sent.headers["location"]).query)
        assert asked["redirect_uri"] == [f"{world.url}/sign-in/oidc/callback"]


@pytest.mark.parametrize(
    ("error", "told"), [("access_denied", "did not let you in"), ("<script>alert(1)</script>", "could not sign you in")]
)
def test_who_is_sent_back_without_a_code_is_told_and_may_try_again(world, error, told):
    world.person("s-olga", preferred_username="olga")
    with world.browser() as browser:
        state = world.asked(browser)["state"]
        given = {"error": error, "error_description": "<b>call 555</b>", "state": state}
        done = browser.get("/sign-in/oidc/callback", params=given)
        assert done.status_code == 400
        assert told in done.text
        assert "alert(1)" not in done.text
        assert "555" not in done.text
        assert "/sign-in/oidc?next=" in done.text
        world.signed_in(browser)


def test_a_lie_lets_nobody_in_and_the_other_way_stays_open(world):
    world.person("s-olga", preferred_username="olga", aud="another")
    with world.browser() as browser:
        done = world.back(browser, world.asked(browser)["state"])
        assert done.status_code == 401
        assert "cannot be trusted" in done.text
        assert who(browser) is None
        assert browser.post("/sign-in", data={"token": world.admin}).status_code == 303
        assert who(browser) == "admin"


def test_a_provider_that_fails_is_to_be_asked_again_later(world):
    world.provider.change["/token"] = lambda answer: replace(answer, status=503)
    with world.browser() as browser:
        done = world.back(browser, world.asked(browser)["state"])
    assert done.status_code == 503
    assert int(done.headers["retry-after"]) >= 1
    assert "answers with something else" in world.logged("the provider failed", level="warning")[-1]["why"]


def test_a_slow_provider_holds_up_nobody_else(world):
    world.person("s-olga", preferred_username="olga")
    world.provider.change["/token"] = lambda answer: replace(answer, pieces=1 << 20, pause=3600)
    waiting = []
    try:
        for _ in range(5):
            browser = world.browser()
            waiting.append(browser)
            state = world.asked(browser)["state"]
            with pytest.raises(httpx.ReadTimeout):
                browser.get(
                    "/sign-in/oidc/callback", params={"code": "a", "state": state}, timeout=0.2, follow_redirects=False
                )
        with world.browser() as other:
            assert other.post("/sign-in", data={"token": world.admin}, timeout=9).status_code == 303
            assert who(other) == "admin"
    finally:
        for browser in waiting:
            browser.close()


def test_what_was_typed_is_kept_when_a_session_has_ended(world):
    world.person("s-olga", preferred_username="olga")
    with world.browser() as browser:
        asked = browser.post("/requests", data={"product": "wind", "purpose": "The yearly plan"})
        assert asked.status_code == 401
        assert re.search(r'href="/sign-in/oidc" target="_blank"', asked.text)
        world.signed_in(browser)
        typed = dict(re.findall(r'name="(typed\.[a-z]+)" value="([^"]*)"', asked.text))
        again = browser.post("/sign-in", data={"next": "/requests", **typed})
        assert again.status_code == 200
        assert "The yearly plan" in again.text


def test_who_sets_no_provider_notices_nothing(tmp_path):
    home, _ = make_home(tmp_path)
    with up(home) as url:
        assert "oidc" not in httpx.get(f"{url}/sign-in", timeout=60).text
        assert httpx.get(f"{url}/sign-in/oidc", timeout=60).status_code == 404
    refused = cli("user", "link", "admin", "s-1", home=home)
    assert refused.returncode == 1
    assert "oidc.issuer" in refused.stderr
