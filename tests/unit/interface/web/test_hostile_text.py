"""Whatever people write, a page keeps the shape that its template has: text never becomes markup."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from urllib.parse import urlsplit

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from thinmesh.interface.web.distribution import Bar, Distribution, Told
from thinmesh.interface.web.lineage_graph import graph_of
from thinmesh.interface.web.markup import readme
from thinmesh.interface.web.product import ColumnRow, TableCard
from thinmesh.interface.web.rendering import Rendering
from thinmesh.kernel.page import Page
from thinmesh.planes.product.model import Lineage, ProductView, Relative
from thinmesh.planes.query.model import Sample

PIECES = (
    "'",
    '"',
    "<",
    ">",
    "&",
    "/",
    "=",
    "`",
    "{{7*7}}",
    "{% x %}",
    "<script>alert(1)</script>",
    "<img src=x onerror=",
)
PIECES += (
    "javascript:alert(1)",
    "]]>",
    "<!--",
    "-->",
    "\u202e",
    "\u0000",
    "مرحبا",
    "😀",
    "[x](javascript:a)",
    "\n\n# ",
    "](",
    "<a href='",
)
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), min_size=1, max_size=8)
hostile = texts.map("".join).filter(bool)
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Shape(HTMLParser):
    """The tags of a page, with the names of their attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, tuple(name for name, _ in attributes)))
        self.links += [value or "" for name, value in attributes if name in ("href", "src", "action", "hx-get")]


def shape(text: str) -> Shape:
    found = Shape()
    found.feed(text)
    found.close()
    return found


@cache
def rendering() -> Rendering:
    return Rendering()


def page(template: str, **values) -> str:
    request = Request({"type": "http", "method": "GET", "path": "/products/x", "headers": [], "query_string": b""})
    response = rendering().response(request, template, caller=None, **values)
    return response.body.decode()


def columns(text: str) -> str:
    view = {"name": "t", "description": text, "publication": "p1", "inferred": False}
    spread = Distribution((Bar(0, 0, 1, 1),), (Told(text), Told(text, "always", "1 %")), "1 % empty")
    row = ColumnRow("c", "string", text, text, ("primary key",), (text,), spread)
    shown = ProductView({}, (), "o", {}, {}, {}, {}, (), {}, "e", "p1", "", "", "", {"read": True})
    table = TableCard(view, (row,), 1, open=True, measured=True)
    return page("product_columns.html", shown=shown, product={"name": "x"}, table=table)


def sample(text: str) -> str:
    found = Sample(({"name": "c", "type": "string"},), ((text,), (None,), (3,)), 3)
    table = TableCard({"name": "t"}, (), 1, open=True)
    return page("product_sample.html", table=table, sample=found)


def history(text: str) -> str:
    change = {"table": "t", "column": text, "what": "x", "kind": text, "text": text}
    item = {"sequence": 1, "at": "2026-01-01T00:00:00Z", "event": "changed", "user": text, "door": text}
    item |= {"commit": "a" * 40, "publication": None, "tables": [], "changes": [change] * 8}
    return page("product_history.html", name="x", history=Page((item,), text))


def lineage(text: str) -> str:
    found = Lineage("x", (Relative("x", 0, "d", "open", "active"), Relative("y", 1, text, text, text)), (("x", "y"),))
    return page("product_lineage.html", lineage=found, graph=graph_of(found))


@some
@given(hostile)
@example('"><script>alert(1)</script>')
def test_columns_keep_their_shape(text):
    assert shape(columns(text)).tags == shape(columns("plain")).tags


@some
@given(hostile)
def test_cells_keep_their_shape(text):
    assert shape(sample(text)).tags == shape(sample("plain")).tags


@some
@given(hostile)
def test_histories_keep_their_shape(text):
    assert shape(history(text)).tags == shape(history("plain")).tags


@some
@given(hostile)
def test_lineages_keep_their_shape(text):
    assert shape(lineage(text)).tags == shape(lineage("plain")).tags


@some
@given(hostile)
@example("[a](javascript:alert(1)) <img src=x onerror=alert(1)> ![a](https://evil.example/x.png)")
@example("<a href='java\nscript:alert(1)'>x</a>\n\n[x]: data:text/html,x\n[x]")
@example("<svg><script>1</script></svg><style>*{}</style><form action=/sign-out><button>x</button></form>")
def test_a_readme_is_text_and_links_alone(text):
    found = shape(str(readme(text)))
    assert {name for name, _ in found.tags} <= ALLOWED
    assert {attribute for _, names in found.tags for attribute in names} <= {"href", "title", "rel", "align", "start"}
    assert {urlsplit(link).scheme for link in found.links} <= {"http", "https", "mailto", ""}


def test_a_wide_table_is_looked_through_once_and_not_for_each_of_its_columns():
    class Watched(tuple):
        looks = 0

        def __bool__(self):
            Watched.looks += 1
            return False

    view = {"name": "t", "description": "", "publication": None, "inferred": False}
    shown = ProductView({}, (), "o", {}, {}, {}, {}, (), {}, "e", "p1", "", "", "", {"read": False})
    rows = [ColumnRow(f"c{number}", "string", "", "", (), Watched()) for number in range(500)]
    page("product_columns.html", shown=shown, product={"name": "x"}, table=TableCard(view, rows, 500, open=True))
    assert 500 <= Watched.looks <= 1500


ALLOWED = set(
    "a abbr b blockquote br code dd del details dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s strong sub summary "
    "sup table tbody td th thead tr ul".split()
) - {"h1", "h2"}


def test_headings_of_a_readme_stand_below_the_page_s():
    assert str(readme("# A\n\n## B\n\n###### C")) == "<h3>A</h3>\n<h4>B</h4>\n<h6>C</h6>\n"


def test_a_value_is_whole_for_who_cannot_see_it_cut_and_apart_from_its_share():
    value = "مطار الملك خالد الدولي, " * 4
    found = columns(value)
    assert f'title="{value}"' in found
    assert f"<bdi>{value}</bdi><span>&nbsp;1 %</span>" in found
