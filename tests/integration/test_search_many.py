"""A search that very many products match: those with the words in their name come first, and pages fit together."""

import json

import pytest

from thinmesh.adapters.sql.index import SqlProductIndex
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
    home = tmp_path_factory.mktemp("search") / "home"
    init_home(home)
    platform = open_home(home)
    caller = platform.identity.principal_of_home()
    platform.identity.create_team(caller, "shop", ["sales"])
    for name, description in PRODUCTS.items():
        document = {"name": name, "domain": "sales", "description": description}
        platform.products.register(caller, json.dumps(document).encode())
    yield platform
    platform.close()


def names(platform, words, most, limit=100, offset=0):
    index = SqlProductIndex(lambda _: b"", most=most)
    with platform.database.read() as tx:
        return [found["name"] for found in index.search(tx, Sought(words), limit, offset, None).items]


def test_few_are_ranked_and_many_have_the_names_first(platform):
    assert set(names(platform, "order", 100)) == PRODUCTS.keys() - {"weather"}
    many = names(platform, "order", 4)
    assert set(many[:2]) == {"orders", "order_lines"}
    assert many[2:] == ["gamma", "beta", "alpha"]


def test_more_names_than_are_ranked_come_the_newest_first(platform):
    assert names(platform, "order", 1) == ["gamma", "beta", "alpha", "order_lines", "orders"]


@pytest.mark.parametrize("most", [1, 4, 100])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_fit_together(platform, most, size):
    whole = names(platform, "order", most)
    pages = [names(platform, "order", most, size, offset) for offset in range(0, len(whole) + size, size)]
    assert [name for page in pages for name in page] == whole
