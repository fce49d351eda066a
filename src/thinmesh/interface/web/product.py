"""`/products/{product}`: everything that is known of a product, and pieces of it that come when they are looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from thinmesh.interface import ways
from thinmesh.interface.documents import encode
from thinmesh.kernel.directory import Team
from thinmesh.kernel.errors import NotAllowed, NotFound, Retired
from thinmesh.planes.product.model import ProductView
from thinmesh.planes.query.model import Usage

from .distribution import Distribution, distribution
from .lineage_graph import graph_of
from .visit import Page, Visit

_OPEN = 3  # tables whose columns are shown at once
_LISTED = 30  # tables that are named at once
_COLUMNS = 100  # of one table, shown at once
_PUBLICATIONS = 14
_HISTORY = 8
_MEMBERS = 12
_README = 6_000  # characters shown at once
_STANDARDS = frozenset({"odcs", "odps"})
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")
_LINKS = frozenset({"http", "https", "mailto"})
_EXACT = {"exclusiveMinimum": "above", "exclusiveMaximum": "below", "minimum": "at least", "maximum": "at most"}
_RULES = {
    **_EXACT,
    "minLength": "length at least",
    "maxLength": "length at most",
    "multipleOf": "a multiple of",
    "pattern": "like",
    "format": "format",
}


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """A column as the page lists it. `rules` are words; `spread` is None where nobody has measured, or may know."""

    name: str
    type: str
    description: str
    classification: str
    marks: tuple[str, ...]
    rules: tuple[str, ...]
    spread: Distribution | None = None


@dataclass(frozen=True, slots=True)
class TableCard:
    """A table as the page shows it: the first columns, or all; none where they come when it is opened."""

    view: Mapping[str, Any]
    columns: Sequence[ColumnRow]
    total: int
    open: bool
    measured: bool = False

    @property
    def told(self) -> bool:
        """Tell whether anything is said of any column beyond its name and type."""
        return any(column.description or column.marks or column.rules for column in self.columns)

    @property
    def rest(self) -> int:
        """Count the columns that are not shown."""
        return self.total - len(self.columns)

    @property
    def unmeasured(self) -> int:
        """Count the columns shown of which the values could not be measured, where others were."""
        return sum(column.spread is None for column in self.columns) if self.measured else 0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to read a table: lines to copy, and what they are written in."""

    key: str
    label: str
    lines: str


def show(visit: Visit) -> Response:
    """Show a product; a retired one as such, with its successor and history."""
    name = visit.path("product")
    platform, caller = visit.platform, visit.caller
    try:
        shown = platform.products.show(caller, name)
        usage = _usage(visit, name)
        lineage = platform.products.lineage(caller, name)
        publications = platform.products.publications(caller, name, _PUBLICATIONS).items
    except Retired as error:
        history = platform.products.history(caller, name, _HISTORY)
        return visit.page("product_retired.html", error.status, name=name, error=error, history=history)
    chosen = _chosen(shown, visit.given("table"))
    every = visit.given("tables") == "all"
    return visit.page(
        "product.html",
        shown=shown,
        product=shown.product,
        tables=_cards(shown, every=every),
        more_tables=0 if every else max(0, len(shown.tables) - _LISTED),
        chosen=chosen,
        ways=_ways(visit, name, chosen["name"]) if chosen else (),
        team=_team(visit, shown.owner),
        members=_MEMBERS,
        links=list(_links(shown.product["links"])),
        readme=_beginning(shown.readme),
        more_readme=len(shown.readme) > _README,
        lineage=lineage,
        graph=graph_of(lineage),
        usage=usage,
        days=_days(usage),
        publications=list(reversed(publications)),
        history=platform.products.history(caller, name, _HISTORY),
        waiting=[each for each in shown.conditions if each.state != "done"],
    )


def tables(visit: Visit) -> Response:
    """Show the tables that the page leaves out."""
    shown = visit.platform.products.show(visit.caller, visit.path("product"))
    return _piece(visit, "product_tables.html", shown, tables=_cards(shown, every=True)[_LISTED:])


def table(visit: Visit) -> Response:
    """Show a table: its first columns, or all."""
    shown, view = _table(visit)
    every = visit.given("columns") == "all" or not visit.partial
    return _piece(visit, "product_columns.html", shown, table=_card(shown, view, every=every))


def profile(visit: Visit) -> Response:
    """Show a table with what its columns hold. Raises NotAllowed for whoever may not read it."""
    shown, view = _table(visit)
    every = visit.given("columns") == "all"
    most = None if every else _COLUMNS
    measured = visit.platform.queries.profile(visit.caller, shown.product["name"], view["name"], most, partial=True)
    spreads = {one.column: distribution(one) for one in measured}
    return _piece(visit, "product_columns.html", shown, table=_card(shown, view, every=every, spreads=spreads))


def sample(visit: Visit) -> Response:
    """Show some rows of a table. Raises NotAllowed for whoever may not read it."""
    shown, view = _table(visit)
    found = visit.platform.queries.sample(visit.caller, shown.product["name"], view["name"])
    return _piece(visit, "product_sample.html", shown, table=_card(shown, view), sample=found)


def history(visit: Visit) -> Response:
    """Show what happened earlier."""
    name = visit.path("product")
    found = visit.platform.products.history(visit.caller, name, _HISTORY * 4, visit.given("cursor") or None)
    return _piece(visit, "product_history.html", None, name=name, history=found)


def readme(visit: Visit) -> Response:
    """Show the whole README."""
    shown = visit.platform.products.show(visit.caller, visit.path("product"))
    return _piece(visit, "product_readme.html", shown, readme=shown.readme, more_readme=False)


def document(visit: Visit) -> Response:
    """Give the product as a file: in the mesh's own words, or those of a standard."""
    name, kind = visit.path("product"), visit.path("document")
    products = visit.platform.products
    if kind == "product":
        # For people, who change it and register it again.
        found = json.loads(encode(products.show(visit.caller, name).product))
        content = json.dumps(found, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    elif kind in _STANDARDS:
        content = (products.contract if kind == "odcs" else products.odps)(visit.caller, name).content
    else:
        raise NotFound(f"There is no document {kind[:80]!r} of a product.")
    ending = "json" if content.lstrip()[:1] == b"{" else "yaml"
    file = "product.json" if kind == "product" else f"{name}.{kind}.{ending}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type=f"application/{ending}")


def _piece(visit: Visit, template: str, shown: ProductView | None, **values: Any) -> Response:
    """Answer with a piece of the page; with a page of its own where no script asked."""
    if shown is not None:
        values |= {"shown": shown, "product": shown.product}
    if visit.partial:
        return visit.page(template, **values)
    return visit.page("product_piece.html", piece=template, back=visit.path("product"), **values)


def _table(visit: Visit) -> tuple[ProductView, Mapping[str, Any]]:
    """Find the table that the address names. Raises NotFound."""
    product, name = visit.path("product"), visit.path("table")
    shown = visit.platform.products.show(visit.caller, product)
    view = next((each for each in shown.tables if each["name"] == name), None)
    return shown, view or visit.platform.products.table(visit.caller, product, name)


def _cards(shown: ProductView, *, every: bool) -> list[TableCard]:
    listed = shown.tables if every else shown.tables[:_LISTED]
    return [
        _card(shown, view) if place < _OPEN else TableCard(view, (), len(view["columns"]), open=False)
        for place, view in enumerate(listed)
    ]


def _card(
    shown: ProductView,
    view: Mapping[str, Any],
    *,
    every: bool = False,
    spreads: Mapping[str, Distribution] | None = None,
) -> TableCard:
    columns = view["columns"] if every else view["columns"][:_COLUMNS]
    declared = shown.product["tables"].get(view["name"], {}).get("columns", ())
    documents = {column["name"]: column for column in declared[: None if every else _COLUMNS]}
    keys = _keys(view)
    rows = [_row(keys, column, documents.get(column["name"], {}), spreads or {}) for column in columns]
    return TableCard(view, rows, len(view["columns"]), open=True, measured=spreads is not None)


def _row(
    keys: Mapping[str, Sequence[str]],
    column: Mapping[str, Any],
    document: Mapping[str, Any],
    spreads: Mapping[str, Distribution],
) -> ColumnRow:
    return ColumnRow(
        name=column["name"],
        type=column["type"],
        description=column["description"] or "",
        classification=column["classification"] or "",
        marks=tuple(_marks(keys.get(column["name"], ()), column)),
        rules=tuple(_rules(document)),
        spread=spreads.get(column["name"]),
    )


def _keys(view: Mapping[str, Any]) -> dict[str, list[str]]:
    """Name the keys that each column is in."""
    found: dict[str, list[str]] = {}
    for name in view["primaryKey"]:
        found.setdefault(name, []).append("primary key")
    for name in dict.fromkeys(columns[0] for columns in view["unique"] if len(columns) == 1):
        found.setdefault(name, []).append("unique")
    for reference in view["references"]:
        for name in reference["columns"]:
            found.setdefault(name, []).append(f"→ {reference['table']}")
    return found


def _marks(keys: Sequence[str], column: Mapping[str, Any]) -> Iterator[str]:
    """Name the keys that a column is in, and whether it may be empty."""
    if column["required"] and "primary key" not in keys:
        yield "required"
    yield from keys


def _rules(document: Mapping[str, Any]) -> Iterator[str]:
    """Say in words what a column's values must be."""
    options = document.get("logicalTypeOptions") or {}
    for option, word in _RULES.items():
        if options.get(option) is not None:
            yield f"{word} {str(options[option])[:80]}"
    if document.get("unique"):
        yield "unique"
    for rule in (document.get("quality") or ())[:8]:
        if isinstance(rule, Mapping):
            yield str(rule.get("name") or rule.get("description") or rule.get("metric") or rule.get("type"))[:80]


def _chosen(shown: ProductView, name: str) -> Mapping[str, Any] | None:
    """Give the table that lines to copy are for: the one named, else the first with data."""
    with_data = [view for view in shown.tables if view["publication"]]
    return next((view for view in with_data if view["name"] == name), with_data[0] if with_data else None)


def _ways(visit: Visit, product: str, table: str) -> tuple[Way, ...]:
    base, name = _base(visit), f"{product}.{table}"
    url = f"{base}/product/v1/products/{product}/tables/{table}/data"
    return (
        Way("sql", "SQL", ways.sql(name)),
        Way("python", "Python", ways.python(name, f'"{base}"').replace("; ", "\n")),
        Way("pandas", "pandas", ways.pandas(url).replace("; ", "\n")),
        Way("duckdb", "DuckDB", ways.duckdb(url, table)),
        Way("curl", "curl", ways.curl(url, f"{table}.csv")),
        Way("jdbc", "JDBC", ways.jdbc(url, base)),
    )


def _base(visit: Visit) -> str:
    """Give the URL that people reach the mesh at: as set, else as this browser does."""
    own = str(visit.platform.settings.server.url or "").rstrip("/")
    host = visit.request.headers.get("host", "")
    return own or f"{visit.request.url.scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"


def _team(visit: Visit, owner: str) -> Team | None:
    try:
        return visit.platform.identity.team(visit.caller, owner)
    except NotFound:  # an administrator may have named any owner
        return None


def _usage(visit: Visit, product: str) -> Usage | None:
    try:
        return visit.platform.queries.usage(visit.caller, product)
    except NotAllowed:  # a token that may only publish
        return None


def _days(usage: Usage | None) -> list[tuple[str, int]]:
    """Give every day of a usage, oldest first, with its statements."""
    if usage is None:
        return []
    today = datetime.now(UTC).date()
    days = [(today - timedelta(days=back)).isoformat() for back in reversed(range(usage.days))]
    return [(day, usage.by_day.get(day, 0)) for day in days]


def _links(found: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Give what the descriptor links to: label, text, and whether a browser may go there."""
    for label, value in found.items():
        text = str(value)
        try:
            safe = urlsplit(text).scheme in _LINKS
        except ValueError:
            safe = False
        yield label, text, safe


def _beginning(text: str) -> str:
    """Give the beginning of a long README, cut between two paragraphs where there are some."""
    if len(text) <= _README:
        return text
    return text[: max(text.rfind("\n\n", 0, _README), 0) or _README]


_AT = "/products/{product}"
PAGES = (
    Page(_AT, show),
    Page(f"{_AT}/tables", tables),
    Page(f"{_AT}/tables/{{table}}", table),
    Page(f"{_AT}/tables/{{table}}/profile", profile),
    Page(f"{_AT}/tables/{{table}}/sample", sample),
    Page(f"{_AT}/history", history),
    Page(f"{_AT}/readme", readme),
    Page(f"{_AT}/documents/{{document}}", document),
)
