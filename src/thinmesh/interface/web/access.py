"""`/requests`: ask for a closed product's data, decide, and take back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from thinmesh.kernel.errors import MeshError

from .visit import Page, Visit

_SHOWN = 100
# What a person may choose; any other duration can be asked for by the command.
DURATIONS = {"P30D": "30 days", "P90D": "90 days", "P180D": "half a year", "P1Y": "one year", "P2Y": "two years"}
_DONE = {
    "requested": "You asked for {product}. Its owners see it from now on.",
    "approved": "Approved: {user} can read {product} now.",
    "denied": "Denied, with your reason.",
    "revoked": "Taken back: nobody reads {product} by it any more.",
}


def listing(visit: Visit) -> Response:
    """Show what waits for the caller, and what the caller asked for."""
    found = visit.platform.exchange.requests(visit.caller, limit=_SHOWN, cursor=visit.given("cursor") or None)
    decides = {name: visit.platform.exchange.decides(visit.caller, name) for name in _names(found.items)}
    waiting: list[Mapping[str, Any]] = []
    mine: list[Mapping[str, Any]] = []
    others: list[Mapping[str, Any]] = []
    for each in found.items:
        owned = decides[each["product"]] and each["user"] != visit.caller.user
        if owned and each["state"] == "requested":
            waiting.append(each)
        else:
            (mine if _is_mine(visit, each) else others).append(each)
    return visit.page(
        "requests.html",
        waiting=waiting,
        mine=mine,
        others=others,
        decides=decides,
        next=found.next,
        said=_said(visit, found.items),
    )


def _said(visit: Visit, items: Sequence[Mapping[str, Any]]) -> str:
    """Say what was just done, as far as it is so: anybody may have written the address."""
    done = visit.given("done")
    for each in items:
        if each["id"] == visit.given("id") and each["state"] == done and done in _DONE:
            return _DONE[done].format(product=each["product"], user=each["team"] or each["user"])
    return ""


def form(visit: Visit) -> Response:
    """Show the form of a new request."""
    return _form(visit, visit.given("product"), {})


def ask(visit: Visit) -> Response:
    """Make a request."""
    product = visit.form.get("product", "")
    team = visit.form.get("team") or None
    try:
        made = visit.platform.exchange.request(
            visit.caller, product, visit.form.get("purpose", ""), visit.form.get("duration", "P30D"), team
        )
    except MeshError as error:
        return _form(visit, product, visit.form, error)
    return visit.go(_listing_after("requested", made.id))


def approve(visit: Visit) -> Response:
    """Approve a request."""
    made = visit.platform.exchange.approve(visit.caller, visit.path("id"))
    return visit.go(_listing_after("approved", made.id))


def deny(visit: Visit) -> Response:
    """Deny a request."""
    made = visit.platform.exchange.deny(visit.caller, visit.path("id"), visit.form.get("why", ""))
    return visit.go(_listing_after("denied", made.id))


def revoke(visit: Visit) -> Response:
    """Take a grant back, or withdraw a request."""
    made = visit.platform.exchange.revoke(visit.caller, visit.path("id"))
    return visit.go(_listing_after("revoked", made.id))


def _form(visit: Visit, product: str, typed: Mapping[str, str], error: MeshError | None = None) -> Response:
    shown = visit.platform.products.show(visit.caller, product) if product else None
    return visit.page(
        "request_new.html",
        error.status if error else 200,
        product=product,
        shown=shown,
        typed=typed,
        error=error,
        durations=DURATIONS,
    )


def _names(items: tuple[Mapping[str, Any], ...]) -> list[str]:
    return list(dict.fromkeys(each["product"] for each in items))


def _is_mine(visit: Visit, access: Mapping[str, Any]) -> bool:
    return access["user"] == visit.caller.user or (access["team"] is not None and access["team"] in visit.caller.teams)


def _listing_after(done: str, id: str) -> str:
    return f"/requests?{urlencode({'done': done, 'id': id})}"


PAGES = (
    Page("/requests", listing),
    Page("/requests/new", form),
    Page("/requests", ask, ("POST",)),
    Page("/requests/{id}/approve", approve, ("POST",)),
    Page("/requests/{id}/deny", deny, ("POST",)),
    Page("/requests/{id}/revoke", revoke, ("POST",)),
)
