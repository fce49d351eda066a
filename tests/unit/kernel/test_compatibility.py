"""What a changed contract means to those who read the data."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.kernel.compatibility import compare
from thinmesh.kernel.contract import LOGICAL_TYPES, Column, Reference, Table, with_ids

ID = Column("id", "integer", required=True)
PRICE = Column("price", "number", physical_type="DECIMAL(10,2)")
NAME = Column("name")
ORDERS = Table("orders", (ID, PRICE, NAME), primary_key=("id",))


def of(*columns, **members):
    return Table("orders", columns, **members)


def verdicts(old, new):
    found = compare({old.name: old}, {new.name: new})
    return {
        kind: [(change.column, change.what) for change in getattr(found, kind)]
        for kind in ("compatible", "breaking", "tightened")
        if getattr(found, kind)
    }


def column_to(old, **members):
    """Compare a table of one column with itself, the column changed."""
    return verdicts(of(old), of(replace(old, **members)))


# What goes through ---------------------------------------------------------------------------------------------------


def test_a_new_table_and_a_new_column_are_compatible():
    found = compare(
        {"orders": ORDERS}, {"orders": replace(ORDERS, columns=(*ORDERS.columns, Column("note"))), "b": of(ID)}
    )
    assert [(change.table, change.column) for change in found.compatible] == [("orders", "note"), ("b", None)]
    assert not found.breaking
    assert not found.tightened


def test_a_higher_precision_is_compatible_and_another_scale_is_not():
    assert column_to(PRICE, physical_type="DECIMAL(12,2)") == {"compatible": [("price", "precision")]}
    for other in ("DECIMAL(12,3)", "DECIMAL(9,2)", "DECIMAL(12,1)", None):
        assert column_to(PRICE, physical_type=other) == {"breaking": [("price", "type")]}


@pytest.mark.parametrize(
    ("column", "loose", "tight"),
    [
        (ID, {"minimum": 1}, {"minimum": 2}),
        (ID, {"maximum": 2}, {"maximum": 1}),
        (ID, {"exclusiveMinimum": -1.5}, {"exclusiveMinimum": 0}),
        (ID, {"exclusiveMaximum": 5}, {"exclusiveMaximum": 4}),
        (ID, {}, {"multipleOf": 5}),
        (NAME, {"minLength": 1}, {"minLength": 2}),
        (NAME, {"maxLength": 9}, {"maxLength": 8}),
        (NAME, {}, {"pattern": "^a"}),
        (NAME, {}, {"format": "uuid"}),
        (NAME, {"enum": ["a", "b"]}, {"enum": ["a"]}),
        (NAME, {}, {"enum": ["a"]}),
        (Column("at", "date"), {"minimum": "2020-01-01"}, {"minimum": "2021-01-01"}),
    ],
)
def test_a_looser_rule_is_compatible_and_a_tighter_one_is_for_the_data_to_judge(column, loose, tight):
    loose_one, tight_one = replace(column, options=loose), replace(column, options=tight)
    (rule,) = {*loose, *tight}
    assert verdicts(of(tight_one), of(loose_one)) == {"compatible": [(column.name, rule)]}
    assert verdicts(of(loose_one), of(tight_one)) == {"tightened": [(column.name, rule)]}


def test_another_pattern_is_for_the_data_to_judge():
    assert column_to(replace(NAME, options={"pattern": "a"}), options={"pattern": "b"}) == {
        "tightened": [("name", "pattern")]
    }


def test_texts_for_people_change_nothing():
    new = replace(ORDERS, description="All orders", columns=(ID, PRICE, replace(NAME, description="As given")))
    assert verdicts(ORDERS, new) == {}


def test_a_classification_is_compatible():
    assert column_to(NAME, classification="personal") == {"compatible": [("name", "classification")]}


def test_columns_may_change_places():
    assert verdicts(ORDERS, replace(ORDERS, columns=(NAME, ID, PRICE))) == {}


def test_a_deprecation_is_compatible():
    assert verdicts(ORDERS, replace(ORDERS, deprecated={"successor": "orders_2"})) == {
        "compatible": [(None, "deprecated")]
    }


# What breaks ---------------------------------------------------------------------------------------------------------


def test_a_removed_table_breaks():
    found = compare({"orders": ORDERS}, {})
    assert [(change.table, change.what) for change in found.breaking] == [("orders", "table_removed")]


def test_a_removed_column_breaks_and_a_like_one_is_offered_as_its_new_name():
    found = compare({"orders": ORDERS}, {"orders": replace(ORDERS, columns=(ID, replace(PRICE, name="prices"), NAME))})
    (change,) = found.breaking
    assert (change.column, change.what) == ("price", "column_removed")
    assert change.text == "the column price is removed (renamed to prices?)"


def test_an_unlike_column_is_not_offered():
    found = compare({"orders": ORDERS}, {"orders": replace(ORDERS, columns=(ID, PRICE, Column("zip")))})
    assert found.breaking[0].text == "the column name is removed"


@pytest.mark.parametrize("old", LOGICAL_TYPES)
@pytest.mark.parametrize("new", LOGICAL_TYPES)
def test_another_type_breaks(old, new):
    expected = {} if old == new else {"breaking": [("c", "type")]}
    assert column_to(Column("c", old), logical_type=new) == expected


def test_a_time_zone_is_another_type():
    assert column_to(Column("c", "timestamp"), options={"timezone": True}) == {"breaking": [("c", "type")]}


def test_dropped_promises_break_and_new_ones_are_for_the_data_to_judge():
    for loose, strict, what in (
        (of(NAME), of(replace(NAME, required=True)), ("name", "required")),
        (of(NAME), of(replace(NAME, unique=True)), ("name", "unique")),
        (of(ID, NAME), of(ID, NAME, unique=(("id", "name"),)), (None, "unique")),
    ):
        assert verdicts(strict, loose) == {"breaking": [what]}
        assert verdicts(loose, strict) == {"tightened": [what]}


def test_a_new_required_column_is_for_the_data_to_judge():
    found = verdicts(of(ID), of(ID, replace(NAME, required=True)))
    assert found == {"compatible": [("name", "column_added")], "tightened": [("name", "required")]}


def test_a_dropped_or_another_primary_key_breaks_and_is_said_once():
    keyed = of(ID, NAME, primary_key=("id",))
    assert verdicts(keyed, of(ID, NAME)) == {"breaking": [(None, "primary_key")]}
    other = verdicts(keyed, of(ID, NAME, primary_key=("name",)))
    assert other["breaking"] == [(None, "primary_key")]


def test_a_new_primary_key_is_for_the_data_to_judge():
    assert verdicts(of(NAME), of(NAME, primary_key=("name",))) == {
        "compatible": [(None, "primary_key")],
        "tightened": [("name", "required"), ("name", "unique")],
    }


def test_a_key_that_asks_for_nothing_new_is_compatible():
    held = replace(NAME, required=True, unique=True)
    assert verdicts(of(held), of(held, primary_key=("name",))) == {"compatible": [(None, "primary_key")]}


def test_the_order_of_a_key_means_nothing():
    assert verdicts(of(ID, NAME, primary_key=("id", "name")), of(ID, NAME, primary_key=("name", "id"))) == {}


def test_references_inside_the_product_are_promises_and_those_across_are_not():
    inside, across = Reference(("id",), "", "customers", ("id",)), Reference(("id",), "crm", "customers", ("id",))
    assert verdicts(of(ID, references=(inside,)), of(ID)) == {"breaking": [(None, "reference")]}
    assert verdicts(of(ID), of(ID, references=(inside,))) == {"tightened": [(None, "reference")]}
    assert verdicts(of(ID), of(ID, references=(across,))) == verdicts(of(ID, references=(across,)), of(ID)) == {}


def test_a_new_quality_rule_is_for_the_data_to_judge_and_a_dropped_one_is_compatible():
    ruled = of(ID, quality=({"metric": "rowCount", "mustBeGreaterThan": 0},))
    assert verdicts(of(ID), ruled) == {"tightened": [(None, "quality")]}
    assert verdicts(ruled, of(ID)) == {"compatible": [(None, "quality")]}


def test_what_changes_how_files_are_read_is_for_the_data_to_judge():
    assert column_to(NAME, physical_name="Name") == {"tightened": [("name", "header")]}
    assert verdicts(of(NAME), of(NAME, null=("NA",))) == {"tightened": [(None, "null_tokens")]}


# What holds for all --------------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "c", "d"])
options = st.one_of(
    st.builds(lambda low: {"minimum": low}, st.integers(-5, 5)),
    st.builds(lambda high: {"maximum": high}, st.floats(-5, 5)),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers(0, 3), min_size=1, unique=True)),
    st.just({}),
)
columns = st.builds(
    Column,
    names,
    st.sampled_from(["integer", "string", "number"]),
    physical_type=st.sampled_from([None, "DECIMAL(5,2)", "DECIMAL(7,2)"]),
    required=st.booleans(),
    unique=st.booleans(),
    options=options,
)


@st.composite
def tables(draw):
    found = draw(st.lists(columns, min_size=1, max_size=4, unique_by=lambda column: column.name))
    names_of = st.sampled_from([column.name for column in found])
    key = st.lists(names_of, min_size=1, unique=True).map(tuple)
    return of(*found, primary_key=draw(st.one_of(st.just(()), key)), unique=tuple(draw(st.lists(key, max_size=2))))


@given(tables())
def test_nothing_changed_is_nothing_said(table):
    assert compare({"orders": table}, {"orders": table}).empty
    assert compare({"orders": table}, {"orders": with_ids(table)}).empty


@given(tables(), columns)
def test_an_added_column_that_may_be_empty_never_breaks(table, column):
    column = replace(column, name="new", required=False, unique=False)
    found = compare({"orders": table}, {"orders": replace(table, columns=(*table.columns, column))})
    assert [change.what for change in found.compatible] == ["column_added"]
    assert not found.breaking
    assert not found.tightened


@given(tables(), tables())
def test_what_is_tightened_one_way_is_not_tightened_the_other(one, other):
    there, back = compare({"t": one}, {"t": other}), compare({"t": other}, {"t": one})
    directed = {"minimum", "maximum", "required", "unique"}
    forward = {(change.column, change.what, change.text) for change in there.tightened if change.what in directed}
    backward = {(change.column, change.what, change.text) for change in back.tightened if change.what in directed}
    assert not {key[:2] for key in forward if key[0]} & {key[:2] for key in backward if key[0]}
    assert there.empty == back.empty


@given(tables(), tables())
def test_every_change_names_its_table_and_says_what_it_is(one, other):
    found = compare({"orders": one}, {"orders": other})
    for change in (*found.compatible, *found.breaking, *found.tightened):
        assert change.table == "orders"
        assert change.what
        assert change.text


def test_of_many_renamed_columns_the_first_are_told_from_what_they_became():
    old, new = ([Column(f"{word}_{number}") for number in range(400)] for word in ("speed", "speeds"))
    texts = [change.text for change in compare({"orders": of(*old)}, {"orders": of(*new)}).breaking]
    assert len(texts) == 400
    assert [" (renamed to speeds_" in text for text in texts] == [True] * 20 + [False] * 380
