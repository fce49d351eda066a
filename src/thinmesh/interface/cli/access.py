"""`thinmesh request`, `requests`, `approve`, `deny`, `grants`, `revoke`."""

from __future__ import annotations

from typing import Any

import click

from . import output
from .door import Door, command

_LIMIT = click.option("--limit", type=click.IntRange(1, 1000), help="At most so many.")
_CURSOR = click.option("--cursor", help="`next` of the page before.")

_ASKED = ("id", "product", "for", "duration", "state", "expires", "purpose", "why")
_GRANTED = ("id", "product", "for", "state", "expires", "purpose")


@command("request")
@click.argument("product")
@click.option("--purpose", required=True, metavar="TEXT", help="What the data is needed for; the owners read it.")
@click.option(
    "--for", "duration", default="P30D", show_default=True, metavar="DURATION", help="For how long (ISO 8601)."
)
@click.option("--team", help="For a team of yours instead of yourself.")
def request_command(door: Door, product: str, purpose: str, duration: str, team: str | None) -> None:
    """Ask for the data of a closed product."""
    with door.session() as session:
        door.show(session.request(product, purpose, duration, team), lambda found: _asked(door, found))


def _asked(door: Door, found: Any) -> str:
    return f"{_access(found)}\nIts owners decide: {door.typed('approve ' + found['id'])}"


@command("requests")
@_LIMIT
@_CURSOR
def requests_command(door: Door, limit: int | None, cursor: str | None) -> None:
    """List the requests that you made or decide."""
    with door.session() as session:
        door.show(session.requests(limit, cursor), lambda found: _list(found, _ASKED, "No requests."))


@command("approve")
@click.argument("id")
def approve_command(door: Door, id: str) -> None:
    """Approve a request for access."""
    with door.session() as session:
        door.show(session.approve(id), _access)


@command("deny")
@click.argument("id")
@click.option("--why", required=True, metavar="TEXT", help="The reason; whoever asked reads it.")
def deny_command(door: Door, id: str, why: str) -> None:
    """Deny a request for access, and say why."""
    with door.session() as session:
        door.show(session.deny(id, why), _access)


@command("grants")
@click.argument("product", required=False)
@_LIMIT
@_CURSOR
def grants_command(door: Door, product: str | None, limit: int | None, cursor: str | None) -> None:
    """List the grants in force that you hold or decide."""
    with door.session() as session:
        door.show(session.grants(product, limit, cursor), lambda found: _list(found, _GRANTED, "No grants."))


@command("revoke")
@click.argument("id")
def revoke_command(door: Door, id: str) -> None:
    """Take a grant back, or withdraw a request."""
    with door.session() as session:
        door.show(session.revoke(id), _access)


def _access(found: Any) -> str:
    return output.facts(
        [
            ("id", found["id"]),
            ("product", found["product"]),
            ("for", _holder(found)),
            ("purpose", found.get("purpose")),
            ("duration", found.get("duration")),
            ("state", found["state"]),
            ("expires", found.get("expires")),
            ("why", found.get("why")),
        ]
    )


def _holder(found: Any) -> str:
    return f"team {found['team']} (asked by {found['user']})" if found.get("team") else str(found["user"])


def _list(found: Any, headers: tuple[str, ...], otherwise: str) -> str:
    rows = [[_holder(item) if name == "for" else item.get(name) for name in headers] for item in found["items"]]
    return output.listed(headers, rows, found.get("next"), otherwise)
