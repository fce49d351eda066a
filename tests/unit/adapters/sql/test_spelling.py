"""Words with a slip in them find what was meant."""

from contextlib import closing

import pytest

from thinmesh.adapters.sql.schema import STORES, migrate
from thinmesh.adapters.sql.spelling import distance, learn, meant
from thinmesh.adapters.sql.sqlite import SqliteDatabase

WORDS = (
    "customer customers order orders weather whether quality warehouse maintenance policy rate pneumonoultra öffnung"
)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with closing(SqliteDatabase(tmp_path_factory.mktemp("spelling") / "x.db")) as database:
        migrate(database, {"index": STORES["index"]})
        with database.write() as tx:
            learn(tx, WORDS.split())
            learn(tx, WORDS.split())
        yield database


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("custmer", "customer"),  # one left out
        ("custoomers", "customers"),  # one too many
        ("cusotmer", "customer"),  # two swapped
        ("kustomer", "customer"),  # another one, at the beginning
        ("ordre", "order"),
        ("wether", "weather"),
        ("maintainance", "maintenance"),  # two slips in a long word
        ("warehuose", "warehouse"),
        ("polciy", "policy"),
        ("offnung", "offnung"),  # accents do not count
    ],
)
def test_a_slip_finds_the_word(database, typed, first):
    with database.read() as tx:
        assert first in meant(tx, typed, begun=False)


@pytest.mark.parametrize("typed", ["xustomrq", "odres2", "rat", "ordq", "ratxyz", ""])
def test_what_is_too_far_or_too_short_is_nothing(database, typed):
    with database.read() as tx:
        assert meant(tx, typed, begun=False) == []


def test_the_beginning_of_a_word_may_have_a_slip(database):
    with database.read() as tx:
        assert meant(tx, "warehosu", begun=True) == ["warehouse"]
        assert meant(tx, "maintean", begun=True) == ["maintenance"]


@pytest.mark.parametrize(
    ("one", "other", "away"),
    [("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abc", "xbc", 1), ("abcd", "badc", 2), ("abc", "xyz", 3)],
)
def test_the_distance_counts_slips(one, other, away):
    assert distance(one, other, 2) == distance(other, one, 2) == away
