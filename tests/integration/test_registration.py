"""Registration on a real home: who gets a domain, and what a change leaves behind."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.integration.keeping import Kept
from thinmesh.bootstrap import init_home
from thinmesh.kernel.errors import NotAllowed, Refused
from thinmesh.planes.product.model import Upload


@pytest.fixture
def kept(tmp_path):
    init_home(tmp_path / "home")
    kept = Kept(tmp_path / "home")
    yield kept
    kept.close()


def person(kept, name):
    kept.platform.identity.add_user(kept.admin, name)
    return lambda: kept.platform.identity.authenticate(
        kept.platform.identity.new_token(kept.admin, name, scope="write").token
    )


def descriptor(name, domain, **more):
    return json.dumps({"name": name, "domain": domain, "description": "Orders", **more}).encode()


def test_an_unclaimed_domain_belongs_to_the_first_team_that_uses_it(kept):
    ann, eve = person(kept, "ann"), person(kept, "eve")
    kept.platform.identity.create_team(ann(), "shop")
    kept.platform.products.register(ann(), descriptor("orders", "sales"))
    assert kept.platform.identity.team(eve(), "shop").domains == ("sales",)
    with pytest.raises(NotAllowed, match="belongs to shop; you are not in it"):
        kept.platform.identity.create_team(eve(), "swamp", ["sales"])
    kept.platform.identity.create_team(eve(), "swamp")
    with pytest.raises(NotAllowed, match="belongs to shop"):
        kept.platform.products.register(eve(), descriptor("fakes", "sales", owner="swamp"))
    kept.platform.identity.create_team(ann(), "swamp", ["sales"])
    assert kept.platform.products.register(eve(), descriptor("returns", "sales")).created


def test_without_an_owner_the_domain_s_teams_decide_whether_the_caller_may(kept):
    ann, eve = person(kept, "ann"), person(kept, "eve")
    kept.platform.identity.create_team(ann(), "shop", ["sales"])
    for _ in ("in no team", "in another"):
        with pytest.raises(NotAllowed, match="none of your teams works in it"):
            kept.platform.products.register(eve(), descriptor("fakes", "sales"))
        with pytest.raises(NotAllowed):
            kept.platform.products.register(eve(), descriptor("fakes", "sales", owner="shop"))
        kept.platform.identity.create_team(eve(), "swamp")
    kept.platform.identity.create_team(ann(), "returns", ["sales"])
    with pytest.raises(Refused, match="Which team owns it: returns, shop"):
        kept.platform.products.register(ann(), descriptor("orders", "sales"))


def test_what_was_copied_to_judge_present_data_is_gone_afterwards(kept):
    kept.platform.identity.create_team(kept.admin, "team", ["d"])
    kept.register("inferred")
    kept.publish("inferred", "a,b\n1,x\n2,y\n")
    kept.platform.products.accept(kept.admin, "inferred")
    a = {"name": "a", "logicalType": "integer", "required": True}
    b = {"name": "b", "logicalType": "string", "required": True}
    kept.register("inferred", tables={"t": {"columns": [{**a, "unique": True}, b]}})
    impossible = {**b, "logicalTypeOptions": {"maxLength": 0}}
    with pytest.raises(Refused, match="violates the new contract"):
        kept.register("inferred", tables={"t": {"columns": [{**a, "unique": True}, impossible]}})
    assert list(kept.platform.scratch.iterdir()) == []


GROWING = {"id": {"name": "id", "logicalType": "integer", "required": True, "unique": True},
           "paid": {"name": "paid", "logicalType": "number"}}  # fmt: skip


@pytest.mark.parametrize("access", ["open", "request"], ids=["in-git", "in-the-lake"])
def test_a_rule_is_tightened_though_a_column_came_after_the_data(kept, access):
    kept.platform.identity.create_team(kept.admin, "team", ["d"])

    def describe(*columns):
        kept.register("bills", access=access, tables={"t": {"columns": list(columns)}})

    describe(*GROWING.values())
    kept.publish("bills", "id,paid\n1,5\n2,7\n")
    note = {"name": "note", "logicalType": "string"}
    describe(*GROWING.values(), note)
    at_most = {**GROWING["paid"], "logicalTypeOptions": {"maximum": 10}}
    describe(GROWING["id"], at_most, note, {"name": "seen", "logicalType": "date"})
    with pytest.raises(Refused) as refused:
        describe(GROWING["id"], {**at_most, "logicalTypeOptions": {"maximum": 6}}, note, {**note, "name": "seen"})
    assert "changes its type" in refused.value.violations[0].message
    seen = {"name": "seen", "logicalType": "date"}
    for tighter, why in (
        ([{**at_most, "logicalTypeOptions": {"maximum": 6}}, note, seen], "above the maximum 6"),
        ([at_most, {**note, "required": True}, seen], "lacks 'note'"),
        ([at_most, {**note, "quality": [{"metric": "nullValues", "mustBe": 0}]}, seen], "nullValues is 2"),
    ):
        with pytest.raises(Refused) as refused:
            describe(GROWING["id"], *tighter)
        assert [why in violation.message for violation in refused.value.violations] == [True]
    with pytest.raises(Refused, match="do not satisfy"):
        kept.publish("bills", "id,paid\n3,1\n")


def test_the_status_tells_since_when_the_home_is_open(kept):
    opened = kept.platform.started
    kept.platform.clock = lambda: opened + timedelta(minutes=5)
    assert kept.operations.status(kept.admin).uptime == 300


def test_what_somebody_was_not_allowed_to_do_to_a_product_is_in_the_audit(kept, tmp_path):
    eve = person(kept, "eve")
    kept.platform.identity.create_team(kept.admin, "team", ["d"])
    kept.register("orders")
    path = tmp_path / "t.csv"
    path.write_text("id\n1\n")
    products = kept.platform.products
    for attempt in (
        lambda: products.register(eve(), descriptor("orders", "d")),
        lambda: products.publish(eve(), "orders", [Upload("t.csv", path)]),
        lambda: products.accept(eve(), "orders"),
        lambda: products.retire(eve(), "orders"),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    told = [(each["user"], each["action"], each["object"], each["outcome"]) for each in
            kept.platform.audit.list(kept.admin).items if each["user"] == "eve"]  # fmt: skip
    assert told == [
        ("eve", f"product.{action}", "orders", "not_allowed") for action in ("retire", "accept", "publish", "register")
    ]


def rows(kept, name):
    with kept.platform.queries.run(kept.admin, f"select * from {name}.t", format="csv") as answer:
        return answer.read().decode().splitlines()[1:]


def test_a_column_that_widens_to_text_shows_what_was_written(kept):
    kept.platform.identity.create_team(kept.admin, "team", ["d"])
    kept.register("stepwise")
    kept.publish("stepwise", "k,a,b\n1,NA,TRUE\n3,1.50,false\n")
    kept.publish("stepwise", "k,a,b\n2,x,maybe\n", mode="append", file="t/more.csv")
    assert rows(kept, "stepwise") == ["1,NA,TRUE", "3,1.50,false", "2,x,maybe"]
    files = kept.platform.data.files(kept.platform.data.tip(), "d/stepwise")
    assert sorted(path for path in files if path.endswith(".csv")) == ["d/stepwise/t/p1.csv", "d/stepwise/t/p2.csv"]
    with kept.platform.database.read() as tx:
        sources = [file.source for file in kept.platform.index.product(tx, "stepwise").tables["t"].files]
    assert [kept.platform.data.read(id) for id in sources] == [
        b"k,a,b\n1,NA,TRUE\n3,1.50,false\n",
        b"k,a,b\n2,x,maybe\n",
    ]


def test_a_breaking_change_is_refused_with_who_reads_what_it_takes_away(kept):
    ann, eve = person(kept, "ann"), person(kept, "eve")
    kept.platform.identity.create_team(kept.admin, "team", ["d"])
    both = {"t": {"columns": {"id": "integer", "city_id": "string", "note": "string"}}}
    kept.register("places", tables=both)
    kept.publish("places", "id,city_id,note\n1,a,b\n")
    for who, text in ((ann, "select city_id from places.t"), (eve, "select id from places.t"), (ann, "select 1")):
        kept.platform.queries.run(who(), text).read()
    assert len(kept.platform.queries.statements(kept.admin).items) == 3  # the log is written behind the answers
    with pytest.raises(Refused) as raised:
        kept.register("places", tables={"t": {"columns": {"id": "integer"}}})
    told = {fault.column: fault.message.rpartition("(")[2] for fault in raised.value.violations}
    assert told == {
        "city_id": "city_id is read by ann)",
        "note": "no statement has read note in 90 days)",
    }


def test_a_descriptor_takes_the_place_of_a_contract_document(kept):
    kept.platform.identity.create_team(kept.admin, "team", ["d"])
    tables = {"t": {"columns": {"id": "integer"}}}
    kept.register("orders", tables=tables)
    kept.platform.products.register(kept.admin, kept.platform.products.contract(kept.admin, "orders").content)
    folder = "d/orders"
    assert f"{folder}/contract.yaml" in kept.platform.data.files(kept.platform.data.tip(), folder)
    kept.register("orders", tables={**tables, "u": {"columns": {"id": "integer"}}})
    assert set(kept.platform.data.files(kept.platform.data.tip(), folder)) == {f"{folder}/product.json"}
    kept.platform.follow()
    assert kept.broken() == {}
