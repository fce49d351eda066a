"""A demo's mesh with people at work in it, and Chromium to look at it with: for pictures and for the page report."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

COMMAND = [sys.executable, "-m", "thinmesh.interface.cli"]
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
SQL = """select w.origin, round(avg(f.dep_delay), 1) as delay, count(*) as flights
from flights.flights f
join weather.weather w on w.origin = f.origin and w.time_hour = f.time_hour
where w.wind_speed > 20
group by 1 order by 2 desc"""
USERS = ("ana", "carla", "omar")


@dataclass(frozen=True)
class Mesh:
    """A served demo: its address, a token of each user, and a browser."""

    url: str
    tokens: dict[str, str]
    browser: Browser

    @contextmanager
    def looking(self, user: str | None, **options: object) -> Iterator[BrowserContext]:
        """Open the browser as a user, with nothing kept from before."""
        settings = {"viewport": WIDE, "color_scheme": "light", "reduced_motion": "reduce", **options}
        context = self.browser.new_context(base_url=self.url, **settings)
        if user:
            context.add_cookies([{"name": "thinmesh_session", "value": self.tokens[user], "url": self.url}])
        try:
            yield context
        finally:
            context.close()


@contextmanager
def demo() -> Iterator[Mesh]:
    """Make the demo's mesh anew, let its people do what makes pages worth looking at, and serve it."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "demo"
        subprocess.run([*COMMAND, "demo", "--keep", str(kept)], check=True, stdout=subprocess.DEVNULL)
        home = kept / "home"
        _live(home)
        tokens = {user: str(_json(home, "token", "new", user)["token"]) for user in USERS}
        with _served(home) as url, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            yield Mesh(url, tokens, browser)
            browser.close()


def _live(home: Path) -> None:
    """Let people do what makes pages worth looking at."""
    _json(home, "user", "add", "gus")
    why = "Compare delays with the age of planes, for the quarterly report"
    _json(home, "request", "planes", "--purpose", why, "--for", "P90D", "--as", "gus")
    for _ in range(3):
        _json(home, "query", SQL, "--as", "ana")


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
