"""`thinmesh catalog`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from . import output
from .door import Door, command, group

_REASONS = 3  # that are named
_NONE = "No catalog outside the mesh is set up; docs/catalogs.md says how to."


@group("catalog")
def catalog_command(**_: object) -> None:
    """Follow how products reach the catalogs outside the mesh."""


@command("status")
@click.argument("product", required=False)
@click.option("--state", type=click.Choice(["done", "pending", "failed"]), help="Only those.")
@click.option("--limit", type=click.IntRange(1, 1000), help="At most so many.")
@click.option("--cursor", help="`next` of the page before.")
def status(door: Door, product: str | None, state: str | None, limit: int | None, cursor: str | None) -> None:
    """Show which products the catalogs have, which are on their way, and which they refuse."""
    with door.session() as session:
        door.show(session.catalogs(product, state, limit, cursor), lambda found: _states(door, found, state))


@command("retry")
@click.argument("product", required=False)
def retry(door: Door, product: str | None) -> None:
    """Send again at once what failed or waits; of one product, or all."""
    with door.session() as session:
        door.show(session.retry_catalogs(product), lambda found: _retried(door, found))


for _inner in (status, retry):
    catalog_command.add_command(_inner)


def _states(door: Door, found: Any, state: str | None) -> str:
    if not found["catalogs"]:
        return _NONE
    asked = {each["catalog"]: each["retry"] for each in found["catalogs"]}
    rows = [
        (
            each["product"],
            each["catalog"],
            each["state"],
            each["attempts"] or "",
            each["since"],
            _next(each, asked.get(each["catalog"])),
            each["error"],
        )
        for each in found["items"]
    ]
    headers = ("product", "catalog", "state", "attempts", "since", "next attempt", "error")
    listed = output.listed(headers, rows, found["next"], "No products.")
    return f"{_summary(found)}\n\n{listed}{_way_out(door, found, state)}"


def _way_out(door: Door, found: Any, state: str | None) -> str:
    """Say once what several products are refused for, and what to do when it is mended: below, where it is seen."""
    failed = [(each["catalog"], each["error"]) for each in found["items"] if each["state"] == "failed"]
    shared = [(catalog, why, count) for (catalog, why), count in Counter(failed).most_common(_REASONS) if count > 1]
    lines = [f"{catalog} refuses {count:,} of these for one reason: {why}" for catalog, why, count in shared]
    if failed:
        again = door.typed("catalog retry")
        lines.append(f"What is refused is sent again when the product changes; to send all of it now: {again}")
    if state is None and found["next"] and sum(each["failed"] for each in found["catalogs"]) > len(failed):
        lines.append(f"All that is refused: {door.typed('catalog status --state failed')}")
    return "".join(f"\n{output.printable(line)}" for line in ["", *lines]) if lines else ""


def _next(item: Any, asked: str | None) -> str:
    """Say when a product is tried again: not before its catalog is asked again, where that does not answer."""
    if item["state"] != "pending":
        return ""
    return max(item["retry"] or "", asked or "") or "soon"


def _summary(found: Any) -> str:
    return output.facts([(each["catalog"], _told(each)) for each in found["catalogs"]])


def _told(catalog: Any) -> str:
    counts = ", ".join(f"{catalog[state]:,} {state}" for state in ("done", "pending", "failed"))
    silent = f"; no answer since {catalog['since']}, asked again at {catalog['retry']}: {catalog['error']}"
    return output.printable(counts + (silent if catalog["since"] else ""))


def _retried(door: Door, found: Any) -> str:
    if not found["catalogs"]:
        return _NONE
    return f"{_put_back(door, found)}\n{_summary(found)}\nFollow it: {door.typed('catalog status')}"


def _put_back(door: Door, found: Any) -> str:
    """Say what was put back and what comes next, or why there was nothing."""
    count, states = found["retried"], {each["state"] for each in found["items"]}
    if count:
        what = "1 product that was refused or waited" if count == 1 else f"{count:,} that were refused or waited"
        comes = "It is" if count == 1 else "They are"
        return f"Put back: {what}. {comes} sent at once, and by themselves again where a catalog does not answer."
    if "pending" in states:
        return "Nothing to put back: what is pending was not tried yet, and is sent by itself."
    compared = door.typed("rebuild catalogs")
    return f"Nothing to put back: nothing was refused, and nothing waits. If a catalog shows something else: {compared}"
