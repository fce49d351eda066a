"""A search that very many products match: those with the words in their name come first, and pages fit together."""

import json

import pytest

from thinmesh.adapters.sql.index import SqlProductIndex
from thinmesh.adapters.sql.schema import migrate
from thinmesh.bootstrap import init_home, open_home
from thinmesh.planes.product.model import Sought

PRODUCTS = {
    "orders": "What customers bought",
    "order_lines": "The lines of orders",
    "alpha": "Made from orders",
    "beta": "Made from orders",
    "gamma": "Orders again",
    "weather": "Wind and rain",
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    yield from opened(tmp_path_factory.mktemp("search") / "home")


@pytest.fixture
def own(tmp_path):
    yield from opened(tmp_path / "home")


def opened(home):
    init_home(home)
    platform = open_home(home)
    caller = platform.identity.principal_of_home()
    platform.identity.create_team(caller, "shop", ["sales"])
    for name, description in PRODUCTS.items():
        register(platform, name, description)
    yield platform
    platform.close()


def register(platform, name, description):
    document = {"name": name, "domain": "sales", "description": description}
    platform.products.register(platform.identity.principal_of_home(), json.dumps(document).encode())


def names(platform, words, most, limit=100, offset=0, **narrow):
    index = SqlProductIndex(lambda _: b"", most=most)
    with platform.database.read() as tx:
        return [found["name"] for found in index.search(tx, Sought(words, **narrow), limit, offset, None).items]


def test_few_are_ranked_and_many_have_the_names_first(platform):
    assert set(names(platform, "order", 100)) == PRODUCTS.keys() - {"weather"}
    many = names(platform, "order", 4)
    assert set(many[:2]) == {"orders", "order_lines"}
    assert many[2:] == ["gamma", "beta", "alpha"]


def test_a_name_that_the_word_begins_comes_with_those_that_have_it(own):
    register(own, "orderly_notes", "Nothing of them")
    assert set(names(own, "order", 4)[:3]) == {"orders", "order_lines", "orderly_notes"}


@pytest.mark.parametrize("narrow", [{"domain": "sales"}, {"owner": "shop"}, {"access": "open"}])
@pytest.mark.parametrize("most", [1, 4])
def test_many_come_in_the_same_order_where_a_filter_keeps_them_all(platform, most, narrow):
    assert names(platform, "order", most, **narrow) == names(platform, "order", most)


def test_the_name_counts_of_a_product_that_changed_and_not_of_one_that_is_retired(own):
    register(own, "orders", "Nothing else has this: quartz")
    assert set(names(own, "order", 3)[:2]) == {"orders", "order_lines"}
    own.products.retire(own.identity.principal_of_home(), "order_lines")
    assert names(own, "order", 3) == ["orders", "gamma", "beta", "alpha"]


def test_a_home_of_an_older_release_finds_by_names_as_a_new_one(own):
    many = names(own, "order", 4)
    with own.database.write() as tx:
        tx.execute("DROP TABLE product_names")
        tx.execute("UPDATE schema_versions SET version = 5 WHERE store = 'index'")
    assert migrate(own.database) == ["index 6"]
    assert names(own, "order", 4) == many


def test_more_names_than_are_ranked_come_the_newest_first(platform):
    assert names(platform, "order", 1) == ["gamma", "beta", "alpha", "order_lines", "orders"]


@pytest.mark.parametrize("most", [1, 4, 100])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_fit_together(platform, most, size):
    whole = names(platform, "order", most)
    pages = [names(platform, "order", most, size, offset) for offset in range(0, len(whole) + size, size)]
    assert [name for page in pages for name in page] == whole
