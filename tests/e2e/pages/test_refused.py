"""What a catalog outside the mesh refuses, as people see it on the status page, and send it again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.integration.running import cli_json, make_home, register, up
from tests.integration.stand_in_catalog import StandIn, install

from .conftest import PHONE, Mesh


@pytest.fixture
def refused(chromium, tmp_path, monkeypatch):
    """A served home beside a catalog that refuses one of two products."""
    catalog = StandIn(tmp_path / "catalog")
    monkeypatch.setenv("PYTHONPATH", install(tmp_path / "packages", catalog.folder))
    catalog.fault("refuse", "wind")
    home, admin = make_home(tmp_path)
    cli_json("user", "add", "carl", home=home)
    tokens = {"admin": admin, "carl": cli_json("token", "new", "carl", home=home)["token"]}
    cli_json("team", "create", "sky", "--domain", "aviation", home=home)
    with up(home) as url:
        for name in ("wind", "rain"):
            register(home, name, owner="sky")
        mesh = Mesh(url, home, tokens, chromium)
        yield mesh, catalog
        assert not mesh.faults, mesh.faults


def reload_until(page: Page, shown: Locator) -> None:
    """Wait for what follows by itself; the page does not change while one looks."""
    for _ in range(150):
        if shown.count():
            break
        page.wait_for_timeout(200)
        page.reload()
    expect(shown).to_be_visible()


def test_what_a_catalog_refuses_is_seen_by_all_and_sent_again_by_administrators(refused, axe):
    mesh, catalog = refused
    with mesh.visit("carl") as page:
        page.goto("/status")
        row = page.get_by_role("row", name="wind is not to its liking")
        reload_until(page, row)
        assert page.get_by_role("button", name="Send again").count() == 0
    for look in ({"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": PHONE}):
        with mesh.visit("admin", **look) as page:
            page.goto("/status")
            page.wait_for_load_state("networkidle")
            assert axe(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    catalog.fault("refuse")
    with mesh.visit("admin") as page:
        page.goto("/status")
        page.get_by_role("button", name="Send again").click()
        page.wait_for_url("**/status#catalogs")
        reload_until(page, page.get_by_role("row", name="stand_in up to date 2 0 0"))
        assert page.get_by_text("is not to its liking").count() == 0
