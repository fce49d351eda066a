"""Writes docs/page-report.md: what pages weigh, how long they take and what axe-core says (`make page-report`)."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import axe_core_python
from browsing import PHONE, WIDE, Mesh, demo
from playwright.sync_api import Page, Request

TARGET = Path(__file__).parent.parent / "docs" / "page-report.md"
AXE = Path(axe_core_python.__file__).with_name("axe.min.js").read_text()
VISITS = 7
# Each page as the people who have most to see there; nobody is a stranger.
PAGES = (
    ("/", "ana"),
    ("/?q=new+yrok", "ana"),
    ("/products/flights", "ana"),
    ("/products/weather", "omar"),
    ("/query", "ana"),
    ("/new", "omar"),
    ("/requests", "carla"),
    ("/requests/new?product=planes", "omar"),
    ("/teams", "carla"),
    ("/teams/carriers_team", "carla"),
    ("/tokens", "ana"),
    ("/status", "ana"),
    ("/sign-in", None),
)
LOOKS = ({"viewport": WIDE}, {"viewport": WIDE, "color_scheme": "dark"}, {"viewport": PHONE})
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
WAIT = "(t => t.responseStart - t.requestStart)(performance.getEntriesByType('navigation')[0])"
HEAD = """# What pages weigh, take, and leave to be wished

Written by `make page-report`: the demo's mesh, served on the same machine, in Chromium {browser}. A first visit has
nothing kept; a second one comes right after it. Bytes are as transferred, headers included, until nothing more is asked
for. *Answer* is from the request of the page to its first byte, *paint* until something is seen (first contentful
paint): medians of {visits} first visits. axe-core {axe} looks at each page light, dark, and at 390 pixels: rules that
hold in every look, faults found in any, and what it leaves for people to judge.

| page | first visit, kB | second, kB | answer, ms | paint, ms | rules that hold | faults | left to judge |
|---|--:|--:|--:|--:|--:|--:|--:|
"""


@dataclass(frozen=True)
class Look:
    """What one first visit and the one after it took; bytes and milliseconds."""

    first: int
    second: int
    answer: float
    paint: float


def main() -> int:
    """Visit every page, and write the report; gives 1 where axe-core finds a fault."""
    with demo() as mesh:
        rows, faults = [], []
        for path, user in PAGES:
            found = _judge(mesh, path, user)
            faults += found["violations"]
            rows.append(_row(path, _times(mesh, path, user), found))
            print(rows[-1])
        head = HEAD.format(browser=mesh.browser.version.split(".")[0], visits=VISITS, axe=AXE[8:14].strip())
    TARGET.write_text(head + "\n".join(rows) + "\n")
    print(*faults, sep="\n", file=sys.stderr)
    return 1 if faults else 0


def _times(mesh: Mesh, path: str, user: str | None) -> Look:
    looks = [_visit(mesh, path, user) for _ in range(VISITS)]
    return Look(
        first=max(each.first for each in looks),
        second=max(each.second for each in looks),
        answer=statistics.median(each.answer for each in looks),
        paint=statistics.median(each.paint for each in looks),
    )


def _visit(mesh: Mesh, path: str, user: str | None) -> Look:
    with mesh.looking(user) as context:
        page = context.new_page()
        first = _transferred(page, path)
        answer, paint = page.evaluate(WAIT), page.evaluate(PAINT)
        return Look(first, _transferred(context.new_page(), path), answer, paint)


def _transferred(page: Page, path: str) -> int:
    done: list[Request] = []
    page.on("requestfinished", lambda request: done.append(request))
    page.goto(path)
    page.wait_for_load_state("networkidle")
    sizes = [request.sizes() for request in done if request.url.startswith("http")]
    return sum(each["responseBodySize"] + each["responseHeadersSize"] for each in sizes)


def _judge(mesh: Mesh, path: str, user: str | None) -> dict[str, set[str]]:
    """Ask axe-core in every look; gives the ids of rules by what came of them."""
    found: dict[str, set[str]] = {"passes": set(), "violations": set(), "incomplete": set()}
    for look in LOOKS:
        with mesh.looking(user, **look) as context:
            page = context.new_page()
            page.goto(path)
            page.wait_for_load_state("networkidle")
            page.evaluate(AXE)
            result = page.evaluate("axe.run()")
            for kind, rules in found.items():
                rules |= {rule["id"] for rule in result[kind]}
    found["passes"] -= found["violations"] | found["incomplete"]
    return found


def _row(path: str, look: Look, found: dict[str, set[str]]) -> str:
    left = ", ".join(sorted(found["incomplete"])) or "none"
    faults = ", ".join(sorted(found["violations"])) or "none"
    sizes = f"{look.first / 1000:.1f} | {look.second / 1000:.1f} | {look.answer:.1f} | {look.paint:.0f}"
    return f"| `{path}` | {sizes} | {len(found['passes'])} | {faults} | {left} |"


if __name__ == "__main__":
    sys.exit(main())
