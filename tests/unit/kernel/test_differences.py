"""What a history tells of two versions of a product."""

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.differences import of_descriptors, of_tables
from thinmesh.kernel.product import Descriptor

VALUES = {"owner": "sky", "access": "open", "version": "1.0.0", "status": "active", "readme": ""}


def descriptor(**more):
    return Descriptor("wind", "aviation", more.pop("description", "About wind"), **more)


def texts(found):
    return [(each["kind"], each["text"]) for each in found]


def test_the_same_again_has_no_differences():
    same = descriptor(tags=("a",), inputs=("x",), slo={"freshness": "P1D"}, retention="P1Y")
    assert of_descriptors(VALUES, same, VALUES, same) == []
    table = Table("t", (Column("a"),))
    assert of_tables({"t": table}, {"t": table}) == []


def test_what_owners_change_is_told_in_words():
    old = descriptor(tags=("a", "b"), inputs=("x",), slo={"freshness": "P1D"})
    new = descriptor(
        description="Wind", tags=("b", "c"), inputs=(), slo={"freshness": "PT1H"}, deprecated={"successor": "air"}
    )
    found = of_descriptors(VALUES, old, {**VALUES, "access": "request", "version": "2.0.0", "readme": "R"}, new)
    assert texts(found) == [
        ("breaking", "access open becomes request"),
        ("compatible", "version 1.0.0 becomes 2.0.0"),
        ("compatible", "the README is another one"),
        ("compatible", "the description is another one"),
        ("compatible", "the tag c is new"),
        ("compatible", "the tag a is dropped"),
        ("compatible", "the input x is dropped"),
        ("compatible", "the promised freshness P1D becomes PT1H"),
        ("compatible", "the product is deprecated"),
    ]


def test_tables_tell_columns_types_and_rules_the_breaking_ones_first():
    old = Table("t", (Column("a", "integer"), Column("b", "string", options={"maxLength": 9})))
    new = Table("t", (Column("a", "string"), Column("b", "string", options={"maxLength": 5}), Column("c", "date")))
    found = of_tables({"t": old}, {"t": new, "u": new})
    assert [(each["kind"], each["table"], each["column"], each["what"]) for each in found] == [
        ("breaking", "t", "a", "type"),
        ("tightened", "t", "b", "maxLength"),
        ("compatible", "t", "c", "column_added"),
        ("compatible", "u", None, "table_added"),
    ]


def test_thousands_of_differences_are_counted_and_long_ones_cut():
    old = Table("t", (Column("a"),))
    many = Table("t", (Column("a"), *(Column(f"c{number}") for number in range(1_000))))
    found = of_tables({"t": old}, {"t": many})
    assert len(found) == 201
    assert found[-1]["text"] == "and 800 more differences"
    renamed = Table("t", (Column("a", physical_name="x" * 5_000),))
    assert all(len(each["text"]) <= 200 for each in of_tables({"t": old}, {"t": renamed}))
