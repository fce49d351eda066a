"""Takes the pictures of the pages that README and docs show: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from browsing import PHONE, SQL, Mesh, demo
from playwright.sync_api import Page

TARGET = Path(__file__).parent.parent / "docs" / "screenshots"


def main() -> int:
    """Take every picture."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with demo() as mesh:
        _take_all(mesh)
    return 0


def _take_all(mesh: Mesh) -> None:
    with _looking(mesh, "ana") as page:
        page.goto("/?q=new+yrok")
        _take(page, "search")
        page.goto("/products/flights")
        _take(page, "product")
    with _looking(mesh, "ana", color_scheme="dark") as page:
        page.goto("/products/flights")
        page.locator("main table").first.scroll_into_view_if_needed()
        page.evaluate("window.scrollBy(0, 420)")
        _take(page, "product-dark")
    with _looking(mesh, "ana") as page:
        page.goto(f"/query?sql={quote(SQL)}")
        page.wait_for_load_state("networkidle")
        page.get_by_role("button", name="Run").click()
        page.locator("#status", has_text="rows").wait_for()
        _take(page, "console")
    with _looking(mesh, "carla") as page:
        page.goto("/requests")
        _take(page, "requests")
        page.goto("/teams/carriers_team")
        _take(page, "team")
    with _looking(mesh, "omar") as page, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Bike Trips.csv"
        rows = [f"{n},2024-05-{1 + n % 28:02d}T08:{n % 60:02d}:00,{n % 40 + 3},Central {n % 5}" for n in range(500)]
        path.write_text("\n".join(["Trip Id,Start,Minutes,Station", *rows]) + "\n")
        page.goto("/new")
        page.locator("#files").set_input_files(path)
        page.get_by_role("textbox", name="Name of minutes").wait_for()
        page.get_by_label("Description", exact=True).fill("Trips of the city bikes, one row each")
        _take(page, "new-product")
    with _looking(mesh, "ana", viewport=PHONE, device_scale_factor=2) as page:
        page.goto("/products/weather")
        _take(page, "product-phone")


@contextmanager
def _looking(mesh: Mesh, user: str, **options: object) -> Iterator[Page]:
    with mesh.looking(user, **options) as context:
        yield context.new_page()


def _take(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    page.screenshot(path=TARGET / f"{name}.png")
    print(f"docs/screenshots/{name}.png")


if __name__ == "__main__":
    sys.exit(main())
