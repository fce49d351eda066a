"""`/`: find a product."""

from __future__ import annotations

from starlette.responses import Response

from .visit import Page, Visit

_SHOWN = 30


def find(visit: Visit) -> Response:
    """Show what the words find, or all products by name."""
    words, cursor = visit.given("q").strip(), visit.given("cursor") or None
    products = visit.platform.products
    if words:
        found = products.search(visit.caller, words, _SHOWN, cursor)
    else:
        filters = {name: visit.given(name) or None for name in ("domain", "owner", "tag")}
        found = products.list(visit.caller, limit=_SHOWN, cursor=cursor, **filters)
    template = "search_results.html" if visit.partial else "search.html"
    return visit.page(template, words=words, found=found)


PAGES = (Page("/", find),)
