"""`/`: find a product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from thinmesh.planes.product.model import SORTS, Facets, Sought

from .visit import Page, Visit

_SHOWN = 30
_KINDS = {"domain": "Domain", "owner": "Owner", "tag": "Tag", "access": "Access", "status": "Status"}
_CALLED = {"open": "Open", "request": "On request"}
_FIRST = 8  # values of a kind; the others are folded away


def find(visit: Visit) -> Response:
    """Show what the words and filters find, or all products."""
    words = visit.given("q")
    chosen = {kind: value for kind in _KINDS if (value := visit.given(kind))}
    sort = visit.given("sort") if visit.given("sort") in SORTS else SORTS[0]
    sought = Sought(words, sort=sort, facets=True, **chosen)
    found = visit.platform.products.search(visit.caller, sought, _SHOWN, visit.given("cursor") or None)
    given = {"q": words.strip(), **chosen, "sort": "" if sort == SORTS[0] else sort}
    counts = (found.facets or {}).get("access", ())
    return visit.page(
        "search_results.html" if visit.partial else "search.html",
        words=words.strip(),
        marked=[*words.split(), *(each.meant for each in found.corrected)],
        found=found,
        total=sum(each.count for each in counts),
        exact=all(each.exact for each in counts),
        groups=_groups(found.facets or {}, chosen, given),
        chosen=[(_called(value), _address(given, **{kind: ""})) for kind, value in chosen.items()],
        kept={name: value for name, value in given.items() if value and name != "q"},
        sorts=_sorts(words, sort, given),
        everything=_address({"q": given["q"]}),
        more=_address(given, cursor=found.next) if found.next else None,
    )


def _groups(facets: Facets, chosen: Mapping[str, str], given: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give the kinds of values that tell finds apart, or that are chosen; each value with the address it leads to."""
    groups = []
    for kind, title in _KINDS.items():
        values = [
            {
                "called": _called(each.value),
                "count": f"{each.count:,}{'' if each.exact else '+'}",
                "chosen": chosen.get(kind) == each.value,
                "address": _address(given, **{kind: "" if chosen.get(kind) == each.value else each.value}),
            }
            for each in facets.get(kind, ())
        ]
        if len(values) > 1 or (values and kind in chosen):
            groups.append({"title": title, "first": values[:_FIRST], "others": values[_FIRST:]})
    return groups


def _sorts(words: str, sort: str, given: Mapping[str, str]) -> list[tuple[str, str, bool]]:
    """Give the orders: without words there is no relevance, and the first is the order by name."""
    orders = SORTS if words.strip() else SORTS[1:]
    now = sort if sort in orders else orders[0]
    return [(name, _address(given, sort="" if name == orders[0] else name), name == now) for name in orders]


def _called(value: str) -> str:
    return _CALLED.get(value, value)


def _address(given: Mapping[str, str], **changes: str) -> str:
    kept = {name: value for name, value in {**given, **changes}.items() if value}
    return f"/?{urlencode(kept)}" if kept else "/"


PAGES = (Page("/", find),)
