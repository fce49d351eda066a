"""A mesh with people in it, and Debian's Chromium to look at it with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.integration.running import cli_json, make_home, register, up, write_csv

CHROMIUM = Path("/usr/bin/chromium")
# No sandbox of its own as root, and no talk with anybody but the server under test.
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


# What a browser waits for may take long beside other tests; Playwright itself expects everything within five seconds.
PATIENCE = 60_000  # milliseconds
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("heavy")


PHONE = {"width": 390, "height": 844}


# Playwright keeps an event loop on the thread of the tests: it ends with this package, so that others find none.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        why = "Chromium is not installed: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@dataclass
class Mesh:
    """A served home with `olga`, `carl` and `admin`.

    `olga` leads `sky`, who owns `wind`, the closed `crews` and the retired `lifted`.
    """

    url: str
    home: Path
    tokens: dict[str, str]
    browser: Browser
    faults: list[str] = field(default_factory=list)

    @contextmanager
    def visit(self, user: str | None = None, **context: object) -> Iterator[Page]:
        """Open a browser as a user, signed in, or as a stranger; whatever its console complains of is a fault."""
        options = {"viewport": {"width": 1280, "height": 800}, **context}
        opened = self.browser.new_context(base_url=self.url, **options)
        try:
            if user:
                self.sign_in(opened, user)
            page = opened.new_page()
            page.set_default_timeout(PATIENCE)
            page.on("console", lambda told: self._complaint(told.type, told.text))
            page.on("pageerror", lambda error: self.faults.append(str(error)))
            yield page
        finally:
            opened.close()

    def sign_in(self, opened: BrowserContext, user: str) -> None:
        opened.add_cookies([{"name": "thinmesh_session", "value": self.tokens[user], "url": self.url}])

    def _complaint(self, kind: str, text: str) -> None:
        # A status that a test asks for is told as an error as well, by the browser and by htmx.
        asked = "the server responded with a status of" in text or "Response Status Error Code" in text
        if kind == "error" and not asked:
            self.faults.append(text)


@pytest.fixture(scope="package")
def served(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp("pages")
    home, admin = make_home(folder)
    tokens = {"admin": admin}
    for user in ("olga", "carl"):
        cli_json("user", "add", user, home=home)
        tokens[user] = cli_json("token", "new", user, home=home)["token"]
    cli_json("team", "create", "sky", "--domain", "aviation", "--as", "olga", home=home)
    register(home, "wind", owner="sky", description="Hourly wind at airports", tags=["reference"], inputs=["stations"])
    register(home, "stations", owner="sky", description="Stations that measure")
    register(home, "lifted", owner="sky", description="Retired")
    cli_json("retire", "lifted", "--successor", "wind", home=home)
    register(home, "crews", owner="sky", description="Duty hours of crews", access="request")
    rows = [
        {"station": f"s{n % 7}", "hour": f"2024-05-{1 + n % 28:02d}T08:00:00", "speed": n % 40 / 2} for n in range(800)
    ]
    cli_json("publish", "wind", str(write_csv(folder, "hourly.csv", rows)), home=home)
    people = [{"person": f"p{n}", "hours": n % 12} for n in range(60)]
    cli_json("publish", "crews", str(write_csv(folder, "duty.csv", people)), home=home)
    with up(home) as url:
        yield Mesh(url, home, tokens, chromium)


@pytest.fixture
def mesh(served: Mesh) -> Iterator[Mesh]:
    served.faults.clear()
    yield served
    assert not served.faults, served.faults


@pytest.fixture(scope="session")
def axe() -> Callable[[Page], list[str]]:
    """Give what makes a page hard to use for somebody, by axe-core's rules for WCAG 2.1 A and AA, and good practice."""
    import axe_core_python

    source = Path(axe_core_python.__file__).with_name("axe.min.js").read_text()

    def examine(page: Page) -> list[str]:
        page.evaluate(source)
        found = page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    return examine
