"""Who is made from whom, and what a history tells, on a real home."""

from __future__ import annotations

import pytest

from tests.integration.keeping import Kept
from thinmesh.adapters.sql.replica import open_replica
from thinmesh.bootstrap import init_home, open_home
from thinmesh.kernel.errors import NotFound, Retired


@pytest.fixture
def kept(tmp_path):
    init_home(tmp_path / "home")
    kept = Kept(tmp_path / "home")
    kept.platform.identity.create_team(kept.admin, "team", ["d"])
    yield kept
    kept.close()


def steps(found):
    return {each.name: each.steps for each in found.relatives}


def test_lineage_goes_two_steps_each_way(kept):
    kept.register("far_source")
    kept.register("source", inputs=["far_source"])
    kept.register("near", inputs=["source.t", "missing"])
    kept.register("middle", inputs=["near", "near.t"])
    kept.register("after", inputs=["middle"])
    kept.register("far_after", inputs=["after"])
    kept.register("beyond", inputs=["far_after"])
    found = kept.platform.products.lineage(kept.admin, "middle")
    assert steps(found) == {"middle": 0, "near": -1, "source": -2, "missing": -2, "after": 1, "far_after": 2}
    assert {each.name: each.status for each in found.relatives}["missing"] == "unknown"
    assert set(found.edges) == {
        ("near", "middle"),
        ("source", "near"),
        ("missing", "near"),
        ("middle", "after"),
        ("after", "far_after"),
    }
    assert not found.more


def test_a_circle_ends(kept):
    kept.register("hen", inputs=["egg", "hen"])
    kept.register("egg", inputs=["hen"])
    found = kept.platform.products.lineage(kept.admin, "hen")
    assert steps(found) == {"hen": 0, "egg": -1}
    assert set(found.edges) == {("egg", "hen"), ("hen", "egg"), ("hen", "hen")}


def test_a_source_of_many_shows_some_and_says_that_there_are_more(kept):
    kept.register("source")
    for number in range(15):
        kept.register(f"user_{number:02d}", inputs=["source"])
    found = kept.platform.products.lineage(kept.admin, "source")
    assert len(found.relatives) == 13
    assert found.more == {1}
    shown = kept.platform.products.show(kept.admin, "source")
    assert len(shown.lineage["outputs"]) == 15


def test_outputs_follow_changes_and_leave_retired_ones_out(kept):
    products = kept.platform.products
    kept.register("source")
    kept.register("one", inputs=["source"])
    kept.register("two", inputs=["source.t"])
    assert products.show(kept.admin, "source").lineage == {"inputs": [], "outputs": ["one", "two"]}
    kept.register("one", inputs=[])
    products.retire(kept.admin, "two")
    assert products.show(kept.admin, "source").lineage == {"inputs": [], "outputs": []}
    with pytest.raises(Retired):
        products.lineage(kept.admin, "two")
    with pytest.raises(NotFound):
        products.lineage(kept.admin, "three")


def test_a_history_tells_what_changed_in_the_contract(kept):
    columns = {"a": "integer"}
    kept.register("wind", tables={"t": {"columns": columns}})
    kept.register("wind", tables={"t": {"columns": {**columns, "b": "string"}}}, version="1.1.0", tags=["air"])
    newest, first = kept.platform.products.history(kept.admin, "wind").items
    assert first["changes"] == []
    assert [(each["table"], each["kind"], each["text"]) for each in newest["changes"]] == [
        (None, "compatible", "version 1.0.0 becomes 1.1.0"),
        (None, "compatible", "the tag air is new"),
        ("t", "compatible", "the column b is new"),
    ]


def test_a_first_publication_tells_the_tables_it_brought(kept):
    kept.register("wind")
    kept.publish("wind", "a\n1\n")
    kept.publish("wind", "a\n2.5\n")
    widened, first, _ = kept.platform.products.history(kept.admin, "wind").items
    assert [each["text"] for each in first["changes"]] == ["the table t is new"]
    assert [(each["kind"], each["column"], each["what"]) for each in widened["changes"]] == [("breaking", "a", "type")]


def test_a_retired_product_names_its_successor(kept):
    kept.register("old")
    kept.register("new")
    kept.platform.products.retire(kept.admin, "old", "new")
    with pytest.raises(Retired) as caught:
        kept.platform.products.show(kept.admin, "old")
    assert caught.value.successor == "new"


# What the steps of the index after the second have made, undone.
BACK_TO_2 = (
    "DROP TABLE product_names",
    "DROP TABLE product_inputs",
    "UPDATE product_history SET details = '{\"tables\": []}'",
    "ALTER TABLE products DROP COLUMN odps",
    "DROP TABLE product_spellings",
    "DROP TABLE product_use",
    "DROP INDEX products_by_facets",
    "CREATE INDEX products_by_owner_of_domain ON products (domain, owner)",
)


def test_an_index_of_an_older_release_is_made_anew_when_the_home_is_opened(kept, tmp_path):
    kept.register("source")
    kept.register("wind", inputs=["source"], tables={"t": {"columns": {"a": "integer"}}})
    kept.publish("wind", "a\n1\n")
    kept.register("wind", inputs=["source"], tables={"t": {"columns": {"a": "integer", "b": "string"}}})
    with kept.platform.database.write() as tx:
        for statement in BACK_TO_2:
            tx.execute(statement)
        tx.execute("UPDATE schema_versions SET version = 2 WHERE store = 'index'")
    kept.close()
    opened = open_home(kept.path)
    try:
        with open_replica(tmp_path / "replica", opened.data.read) as replica:
            replica.follow(opened.ledger.entries(""))
            with opened.database.read() as tx:
                assert replica.differences(tx) == []
        shown = opened.products.show(kept.admin, "wind")
        assert (shown.publication, shown.lineage["inputs"]) == ("p1", ["source"])
        assert opened.products.history(kept.admin, "wind").items[0]["changes"]
    finally:
        opened.close()
