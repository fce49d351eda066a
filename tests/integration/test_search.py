"""Search as people use it: slips, filters, counts, use, and pages that fit together while products come in."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.integration.keeping import Kept
from thinmesh.bootstrap import init_home, open_home
from thinmesh.interface.web.markup import marked
from thinmesh.planes.product.model import Sought
from thinmesh.planes.product.use import weigh_use
from thinmesh.planes.query.model import Statement

PRODUCTS = {
    "orders": {"domain": "sales", "description": "What customers bought", "tags": ["core"]},
    "order_lines": {"domain": "sales", "description": "The lines of each order", "access": "request"},
    "weather": {"domain": "climate", "description": "Wind and rain at airports", "tags": ["core", "sensors"]},
    "flights": {"domain": "aviation", "description": "Departures, with the weather at the airport"},
}


@pytest.fixture
def kept(tmp_path):
    init_home(tmp_path / "home")
    with closing(Kept(tmp_path / "home")) as kept:
        kept.platform.identity.create_team(kept.admin, "team", ["sales", "climate", "aviation"])
        for name, more in PRODUCTS.items():
            register(kept, name, **more)
        yield kept


def register(kept, name, **more):
    document = {"name": name, "domain": "sales", "description": "x", "owner": "team", **more}
    kept.platform.products.register(kept.admin, json.dumps(document).encode())


def search(kept, words="", limit=None, cursor=None, **more):
    return kept.platform.products.search(kept.admin, Sought(words, **more), limit, cursor)


def names(found):
    return [item["name"] for item in found.items]


def test_a_word_with_a_slip_is_mended_and_the_reply_says_so(kept):
    found = search(kept, "wether airport")
    assert names(found) == ["weather", "flights"] or names(found) == ["flights", "weather"]
    assert [(each.typed, each.meant) for each in found.corrected] == [("wether", "weather")]
    assert search(kept, "weather airport").corrected == ()


def test_what_is_there_is_never_mended(kept):
    register(kept, "wether", description="Castrated rams")
    found = search(kept, "wether")
    assert names(found) == ["wether"]
    assert found.corrected == ()


def test_a_change_is_found_at_once_and_its_new_words_are_known(kept):
    assert names(search(kept, "reimbursements")) == []
    register(kept, "orders", description="Reimbursements of customers", domain="sales")
    assert names(search(kept, "reimbursements")) == ["orders"]
    assert names(search(kept, "reimbursment")) == ["orders"]
    assert names(search(kept, "bought")) == []


def test_singular_plural_and_short_forms_are_one_word(kept):
    register(kept, "stock", tables={"t": {"columns": {"qty_on_hand": "integer", "companies": "string"}}})
    assert names(search(kept, "quantity ")) == ["stock"]
    assert names(search(kept, "company ")) == ["stock"]
    assert set(names(search(kept, "customer "))) == {"orders"}


def test_products_with_some_of_the_words_follow_those_with_all(kept):
    found = names(search(kept, "wind airport departures"))
    assert set(found) == {"weather", "flights"}


def test_filters_narrow_down_and_need_no_words(kept):
    assert names(search(kept, "order", access="request")) == ["order_lines"]
    assert names(search(kept, domain="sales")) == ["order_lines", "orders"]
    assert names(search(kept, "weather", domain="aviation")) == ["flights"]
    assert names(search(kept, "wind weather rain", domain="climate")) == ["weather"]
    assert names(search(kept, tag="core", owner="team")) == ["orders", "weather"]
    assert names(search(kept, "weather", tag="cor")) == []
    assert len(names(search(kept))) == 4


def test_facets_count_what_was_found(kept):
    found = search(kept, facets=True).facets
    assert {each.value: each.count for each in found["domain"]} == {"sales": 2, "climate": 1, "aviation": 1}
    assert {each.value: each.count for each in found["access"]} == {"open": 3, "request": 1}
    assert {each.value: each.count for each in found["tag"]} == {"core": 2, "sensors": 1}
    found = search(kept, "weather", facets=True, tag="core").facets
    assert {each.value: each.count for each in found["domain"]} == {"climate": 1}
    assert search(kept, "weather").facets is None


def test_a_retired_product_is_neither_found_nor_counted(kept):
    kept.platform.products.retire(kept.admin, "weather")
    assert names(search(kept, "wind")) == []
    assert {each.value: each.count for each in search(kept, facets=True).facets["tag"]} == {"core": 1}


@pytest.mark.parametrize("sort", ["relevance", "name", "newest"])
def test_pages_fit_together_while_products_come_in(kept, sort):
    whole = names(search(kept, "order weather", sort=sort))
    assert len(whole) == 4
    found, cursor = [], None
    for number in range(5):
        page = search(kept, "order weather", 1, cursor, sort=sort)
        found += names(page)
        # How well words fit depends a little on all products that have them: relevance is tried with others.
        text = "Nothing of the kind" if sort == "relevance" else "Order of the weather, order and weather"
        register(kept, f"aaa_{number}", description=text)
        if (cursor := page.next) is None:
            break
    assert sorted(found) == sorted(whole)


def test_what_is_read_more_comes_first_of_what_fits_as_well(kept):
    for name in ("alpha", "beta", "gamma"):
        register(kept, f"visits_{name}", description="Visits to the shop")
    assert names(search(kept, "visits"))[0] == "visits_alpha"
    read = Statement(
        "s1", "ann", "http", "select 1", "done", kept.platform.clock().isoformat(), tables=("visits_gamma.t",)
    )
    kept.platform.readers.record([read])
    assert weigh_use(kept.platform) == 1
    assert names(search(kept, "visits"))[0] == "visits_gamma"
    assert names(search(kept, "visits beta"))[0] == "visits_beta"


def test_a_home_of_an_older_release_knows_its_words_after_the_step(kept):
    path = kept.path
    kept.close()
    with closing(sqlite3.connect(path / "thinmesh.db")) as database, database:
        database.execute("DROP TABLE product_names")
        database.execute("DROP TABLE product_spellings")
        database.execute("DROP TABLE product_use")
        database.execute("DROP INDEX products_by_facets")
        database.execute("CREATE INDEX products_by_owner_of_domain ON products (domain, owner)")
        database.execute("UPDATE schema_versions SET version = 4 WHERE store = 'index'")
    platform = open_home(path)
    try:
        found = platform.products.search(platform.identity.principal_of_home(), Sought("wether", facets=True))
        assert "weather" in names(found)
        assert found.facets["domain"]
    finally:
        platform.close()


@pytest.mark.parametrize(
    "words", ['"', "?!", "NOT", "a AND", "name:", "(x", "*", "^x", "\x00", "🦆", "x" * 900, "' OR 1"]
)
def test_nothing_that_is_typed_is_a_fault(kept, words):
    assert names(search(kept, words)) in ([], ["order_lines"], ["weather"]) or words in ("a AND",)


def test_found_words_are_marked_and_nothing_else_is_html():
    text = marked("<b>Customers & orders</b> of the_customer", ["customer", "ORDER"])
    assert text == ("&lt;b&gt;<mark>Customers</mark> &amp; <mark>orders</mark>&lt;/b&gt; of the_<mark>customer</mark>")
    assert marked("<i>", []) == "&lt;i&gt;"
    assert marked("amp & lt <", ["amp", "lt"]) == "<mark>amp</mark> &amp; <mark>lt</mark> &lt;"
