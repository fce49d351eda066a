"""Signing in by a real provider, on its own pages, in a browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.running import cli_json, make_home, register, up, vouched_by
from tests.openid.provider import RealProvider, installed

from .conftest import PATIENCE

CLIENT, SECRET = "mesh", "a secret of forty characters, and a sign: %"
CLAIMS = {
    "olga-7": {"preferred_username": "olga"},
    "nora-8": {"email": "nora@example.org", "email_verified": True},
    "carl-9": {"preferred_username": "carl"},
}


@pytest.fixture(scope="module")
def mesh(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Browser]]:
    installed()  # or say why not, before anything is started
    home, _ = make_home(tmp_path_factory.mktemp("openid"))
    cli_json("user", "add", "carl", home=home)
    cli_json("team", "create", "sky", "--domain", "aviation", home=home)
    register(home, "wind", owner="sky", description="Hourly wind at airports")
    with RealProvider() as provider:
        url = vouched_by(home, provider.issuer, CLIENT, SECRET)
        client = {"client_id": CLIENT, "client_secret": SECRET, "redirect_uris": [f"{url}/sign-in/oidc/callback"]}
        provider.serve([client], CLAIMS)
        with up(home, "--port", url.rpartition(":")[2]):
            yield url, chromium


@pytest.fixture
def page(mesh: tuple[str, Browser]) -> Iterator[Page]:
    url, browser = mesh
    context = browser.new_context(base_url=url)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    yield opened
    context.close()


def sign_in_there(page: Page, login: str) -> None:
    """Fill in what the provider asks, on its own pages."""
    page.get_by_role("link", name=re.compile("Sign in with 127")).click()
    page.locator("input[name=login]").fill(login)
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_a_person_signs_in_lands_where_they_wanted_and_signs_out(page):
    page.goto("/products/wind")
    sign_in_there(page, "olga-7")
    page.wait_for_url("**/products/wind")
    page.locator("summary", has_text="Account of olga").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-out/done")
    assert "goes on: whoever uses this browser next may sign in here as you" in page.locator("main").inner_text()
    page.goto("/products/wind")
    assert page.get_by_role("heading", name="Sign in").is_visible()
    page.get_by_role("link", name=re.compile("Sign in with 127")).click()  # known there still: no password is asked
    page.wait_for_url("**/products/wind")


def test_a_person_signs_out_at_the_provider_as_well(page):
    page.goto("/products/wind")
    sign_in_there(page, "olga-7")
    page.locator("summary", has_text="Account of olga").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name=re.compile("Sign out at 127")).click()
    page.get_by_role("button", name="Yes, sign me out").click()
    page.wait_for_url("**/session/end/success**")
    page.goto("/products/wind")
    page.get_by_role("link", name=re.compile("Sign in with 127")).click()
    expect(page.locator("input[name=password]")).to_be_visible()


def test_a_verified_address_gives_a_name(page):
    page.goto("/")
    sign_in_there(page, "nora-8")
    page.locator("summary", has_text="Account of nora").wait_for()


def test_a_name_of_somebody_else_is_told_with_what_to_do(page):
    page.goto("/")
    sign_in_there(page, "carl-9")
    assert "thinmesh user link carl carl-9" in page.get_by_role("alert").inner_text()
    expect(page.get_by_label("Token")).to_be_visible()


def test_who_turns_back_at_the_provider_may_try_again(page):
    page.goto("/products/wind")
    page.get_by_role("link", name=re.compile("Sign in with 127")).click()
    page.get_by_role("link", name=re.compile("Cancel")).click()
    assert "did not let you in" in page.get_by_role("alert").inner_text()
    sign_in_there(page, "olga-7")
    page.wait_for_url("**/products/wind")
    page.locator("summary", has_text="Account of olga").wait_for()


@pytest.mark.parametrize(("address", "link"), [("/sign-in", "Sign in with 127"), ("/sign-out/done", "Sign out at 127")])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_for_signing_in_and_out_are_fit_for_everybody(page, axe, address, link, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    # Who signs out waits for what the provider says for moments: on a busy machine it is there the next time.
    until = time.monotonic() + 60
    while not page.get_by_role("link", name=re.compile(link)).is_visible():
        assert time.monotonic() < until, "the provider is not named"
        page.reload()
    assert axe(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
