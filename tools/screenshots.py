"""Takes the pictures of the pages that README and docs show: `make screenshots`.

The demo's mesh is made anew, its people ask and query a little, and Chromium looks at what they see.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

COMMAND = [sys.executable, "-m", "thinmesh.interface.cli"]
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
TARGET = Path(__file__).parent.parent / "docs" / "screenshots"
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
SQL = """select w.origin, round(avg(f.dep_delay), 1) as delay, count(*) as flights
from flights.flights f
join weather.weather w on w.origin = f.origin and w.time_hour = f.time_hour
where w.wind_speed > 20
group by 1 order by 2 desc"""


def main() -> int:
    """Take every picture."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder) / "demo"
        subprocess.run([*COMMAND, "demo", "--keep", str(demo)], check=True, stdout=subprocess.DEVNULL)
        home = demo / "home"
        _live(home)
        tokens = {user: _json(home, "token", "new", user)["token"] for user in ("ana", "carla", "omar")}
        with _served(home) as url, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            _take_all(browser, url, tokens)
            browser.close()
    return 0


def _live(home: Path) -> None:
    """Let people do what makes pages worth looking at."""
    _json(home, "user", "add", "gus")
    why = "Compare delays with the age of planes, for the quarterly report"
    _json(home, "request", "planes", "--purpose", why, "--for", "P90D", "--as", "gus")
    for _ in range(3):
        _json(home, "query", SQL, "--as", "ana")


def _take_all(browser: Browser, url: str, tokens: dict[str, str]) -> None:
    with _looking(browser, url, tokens["ana"]) as page:
        page.goto("/?q=new+yrok")
        _take(page, "search")
        page.goto("/products/flights")
        _take(page, "product")
    with _looking(browser, url, tokens["ana"], color_scheme="dark") as page:
        page.goto("/products/flights")
        page.locator("main table").first.scroll_into_view_if_needed()
        page.evaluate("window.scrollBy(0, 420)")
        _take(page, "product-dark")
    with _looking(browser, url, tokens["ana"]) as page:
        page.goto(f"/query?sql={quote(SQL)}")
        page.wait_for_load_state("networkidle")
        page.get_by_role("button", name="Run").click()
        page.locator("#status", has_text="rows").wait_for()
        _take(page, "console")
    with _looking(browser, url, tokens["carla"]) as page:
        page.goto("/requests")
        _take(page, "requests")
        page.goto("/teams/carriers_team")
        _take(page, "team")
    with _looking(browser, url, tokens["omar"]) as page, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Bike Trips.csv"
        rows = [f"{n},2024-05-{1 + n % 28:02d}T08:{n % 60:02d}:00,{n % 40 + 3},Central {n % 5}" for n in range(500)]
        path.write_text("\n".join(["Trip Id,Start,Minutes,Station", *rows]) + "\n")
        page.goto("/new")
        page.locator("#files").set_input_files(path)
        page.get_by_role("textbox", name="Name of minutes").wait_for()
        page.get_by_label("Description", exact=True).fill("Trips of the city bikes, one row each")
        _take(page, "new-product")
    with _looking(browser, url, tokens["ana"], viewport=PHONE, device_scale_factor=2) as page:
        page.goto("/products/weather")
        _take(page, "product-phone")


@contextmanager
def _looking(browser: Browser, url: str, token: str, **options: object) -> Iterator[Page]:
    settings = {"viewport": WIDE, "color_scheme": "light", "reduced_motion": "reduce", **options}
    context = browser.new_context(base_url=url, **settings)
    context.add_cookies([{"name": "thinmesh_session", "value": token, "url": url}])
    try:
        yield context.new_page()
    finally:
        context.close()


def _take(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    page.screenshot(path=TARGET / f"{name}.png")
    print(f"docs/screenshots/{name}.png")


@contextmanager
def _served(home: Path) -> Iterator[str]:
    server = subprocess.Popen(
        [*COMMAND, "--home", str(home), "up", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert server.stdout  # noqa: S101 - a pipe
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.terminate()
        server.wait()


def _json(home: Path, *arguments: str) -> dict[str, object]:
    done = subprocess.run([*COMMAND, "--home", str(home), *arguments, "--json"], check=True, capture_output=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
