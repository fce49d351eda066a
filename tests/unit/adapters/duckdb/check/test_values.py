"""What a value of each type may look like, and the rules one row alone can break."""

from __future__ import annotations

import datetime as dt
import decimal
import math

import pytest

from thinmesh.kernel.contract import Column

from .checking import check, counts, rows_of, table

UTC = dt.UTC

GOOD = [
    (
        Column("v", "integer"),
        {"0": 0, "-0": 0, "007": 7, "9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63)},
    ),
    (
        Column("v", "number"),
        {".5": 0.5, "5.": 5.0, "-1e5": -1e5, "1E-3": 1e-3, "1e+2": 100.0, "Infinity": math.inf, "-Infinity": -math.inf},
    ),
    (
        Column("v", "number", physical_type="DECIMAL(6,2)"),
        {
            "1.25": decimal.Decimal("1.25"),
            "-9999.99": decimal.Decimal("-9999.99"),
            ".5": decimal.Decimal("0.50"),
            "1.5e3": decimal.Decimal("1500.00"),
            "12e-2": decimal.Decimal("0.12"),
        },
    ),
    (Column("v", "boolean"), {"true": True, "FALSE": False, "True": True}),
    (
        Column("v", "date"),
        {"2013-01-31": dt.date(2013, 1, 31), "0001-01-01": dt.date(1, 1, 1), "2012-02-29": dt.date(2012, 2, 29)},
    ),
    (Column("v", "time"), {"10:30": dt.time(10, 30), "23:59:59.123456": dt.time(23, 59, 59, 123456)}),
    (
        Column("v", "timestamp"),
        {
            "2013-01-01T10:30:00": dt.datetime.fromisoformat("2013-01-01T10:30"),
            "2013-01-01 10:30:00.5": dt.datetime.fromisoformat("2013-01-01T10:30:00.5"),
        },
    ),
    (
        Column("v", "timestamp", options={"timezone": True}),
        {
            "2013-01-01T10:30:00Z": dt.datetime(2013, 1, 1, 10, 30, tzinfo=UTC),
            "2013-01-01 10:30:00+05:30": dt.datetime(2013, 1, 1, 5, 0, tzinfo=UTC),
        },
    ),
    (Column("v", "object"), {'{"a": [1, 2.5e3, null]}': '{"a": [1, 2.5e3, null]}'}),
    (Column("v", "array"), {'[1, "x,]", {}]': '[1, "x,]", {}]'}),
    (Column("v", "string"), {" a ": " a ", "NA": "NA", "é\u2028": "é\u2028"}),
]
# One line per type.
BAD = [
    (Column("v", "integer"), ["1.7", "1.0", " 1", "1 ", "+1", "1_000", "0x1F", "1e3", "9223372036854775808", "abc", "٣", "-", "1,0", "NaN"]),  # noqa: E501
    (Column("v", "number"), ["1_000", " 1", "1 ", "+1", ".", "-", "1e", "inf", "nan", "NAN", "infinity", "1e400", "0x10", "1,5", "1d", "1\n"]),  # noqa: E501
    (Column("v", "number", physical_type="DECIMAL(6,2)"), ["1.257", "1.250", "10000", "1.2575e1", "1e-3", "99999.9", "NaN", "1_0", " 1", "x"]),  # noqa: E501
    (Column("v", "boolean"), ["yes", "1", "0", "t", "T", " true", "on", "ja"]),
    (Column("v", "date"), ["2013-1-1", "2013/01/01", "20130101", "2013-02-30", "01.02.2013", "2013-01-01 ", "0000-01-01", "infinity", "2013-01-01T00:00:00", "epoch"]),  # noqa: E501
    (Column("v", "time"), ["24:00:00", "1:02:03", "10:30:00.1234567", "23:59:60", "10", "10:30Z"]),
    (Column("v", "timestamp"), ["2013-01-01", "2013-01-01T10:30:00Z", "2013-01-01T10:30:00+01:00", "2013-01-01  10:30:00", "2013-01-01T10:30:00.1234567", "2013-01-01T24:00:00", "2013-02-30T00:00:00", "2013-01-01t10:00:00", "0000-01-01T00:00:00"]),  # noqa: E501
    (Column("v", "timestamp", options={"timezone": True}), ["2013-01-01T10:30:00", "2013-01-01T10:30:00z", "2013-01-01T10:30:00+0530", "2013-01-01T10:30:00+25:00", "2013-01-01T10:30:00 Z", "2013-01-01", "0001-01-01T00:00:00+05:00"]),  # noqa: E501
    (Column("v", "object"), ["[1]", "{", '{"a": NaN}', '{"a": 1,}', "x", "1", "{'a': 1}", ""]),
    (Column("v", "array"), ["{}", "[1,]", "[Infinity]", "[1] x"]),
]  # fmt: skip


def csv_of(values):
    return (
        b"n,v\n" + "".join(f'{n},"{value.replace(chr(34), chr(34) * 2)}"\n' for n, value in enumerate(values)).encode()
    )


def contract(column):
    return table("t", Column("n", "integer"), column)


@pytest.mark.parametrize(("column", "values"), GOOD)
def test_a_value_of_the_right_form_comes_back_exactly(column, values):
    result = check(csv_of(values), contract(column))
    assert counts(result) == {}
    assert [row[1] for row in rows_of(result)] == list(values.values())


@pytest.mark.parametrize(("column", "values"), BAD)
def test_a_value_of_another_form_is_a_violation_and_never_mended(column, values):
    result = check(csv_of(values), contract(column))
    assert sum(one.count for one in result.violations) == len(values)
    assert {one.rule for one in result.violations} <= {"type", "precision"}
    alone = [value for value in values if check(csv_of([value]), contract(column), stage=False).ok]
    assert alone == []


def test_not_a_number_is_a_number():
    assert math.isnan(rows_of(check(csv_of(["NaN"]), contract(Column("v", "number"))))[0][1])


def test_a_quoted_empty_text_is_no_number():
    assert counts(check(b'n,v\n1,""\n', contract(Column("v", "integer")))) == {("type", "v"): 1}


def test_null_tokens_of_the_table_mean_null_in_every_column():
    t = table("t", Column("n", "integer"), Column("v", "string", required=True), null=("NA", "-"))
    assert counts(check(b"n,v\nNA,x\n-,NA\n", t)) == {("required", "v"): 1}


RULES = [
    (Column("v", "integer", options={"minimum": 3}), ["3", "2", "1"], "minimum", 2),
    (Column("v", "integer", options={"maximum": 3.5}), ["3", "4"], "maximum", 1),
    (Column("v", "integer", options={"exclusiveMinimum": 3}), ["3", "4"], "exclusiveMinimum", 1),
    (Column("v", "number", options={"exclusiveMaximum": 3}), ["3", "2.99"], "exclusiveMaximum", 1),
    (Column("v", "integer", options={"maximum": 3, "exclusiveMaximum": True}), ["3", "2"], "maximum", 1),
    (Column("v", "date", options={"minimum": "2013-01-02"}), ["2013-01-01", "2013-01-02"], "minimum", 1),
    (Column("v", "integer", options={"multipleOf": 5}), ["0", "5", "-10", "7"], "multipleOf", 1),
    (Column("v", "number", options={"multipleOf": 0.01}), ["1.13", "0.07", "1.131", "4.35"], "multipleOf", 1),
    (Column("v", "string", options={"minLength": 2}), ["", "é", "ab"], "minLength", 2),
    (Column("v", "string", options={"maxLength": 2}), ["éé", "abc"], "maxLength", 1),
    (Column("v", "string", options={"pattern": "b+"}), ["abc", "ac", "it's"], "pattern", 2),
    (Column("v", "string", options={"format": "email"}), ["a@b.org", "a@b", "a b@c.org"], "format", 2),
    (Column("v", "string", options={"format": "uuid"}), ["123e4567-e89b-12d3-a456-426614174000", "123"], "format", 1),
    (Column("v", "integer", options={"format": "i8"}), ["127", "128"], "format", 1),
    (Column("v", "string", options={"enum": ["a", "it's"]}), ["a", "it's", "A"], "enum", 1),
    (Column("v", "string", extra={"enum": [{"value": "a"}, {"value": "b"}]}), ["a", "b", "c"], "enum", 1),
    (Column("v", "integer", options={"enum": [1, 2]}), ["1", "2", "3"], "enum", 1),
    (Column("v", "boolean", options={"enum": [True]}), ["TRUE", "false"], "enum", 1),
    (Column("v", "array", options={"maxItems": 1}), ["[1]", "[1, 2]"], "maxItems", 1),
    (Column("v", "array", options={"uniqueItems": True}), ["[1, 2]", "[1, 1]"], "uniqueItems", 1),
    (Column("v", "object", options={"minProperties": 1}), ["{}", '{"a": 1}'], "minProperties", 1),
]


@pytest.mark.parametrize(
    ("column", "values", "rule", "count"), RULES, ids=[one[2] + "-" + one[0].logical_type for one in RULES]
)
def test_each_rule_counts_what_breaks_it(column, values, rule, count):
    result = check(csv_of(values), contract(column))
    assert counts(result) == {(rule, "v"): count}


def test_a_value_of_no_type_is_judged_by_no_other_rule():
    t = contract(Column("v", "integer", options={"minimum": 5, "enum": [7]}))
    assert counts(check(csv_of(["x", "7"]), t)) == {("type", "v"): 1}


def test_messages_are_for_people():
    column = Column("v", "integer", options={"maximum": 1987})
    messages = [one.message for one in check(csv_of(["abc", "1.7", "2000"]), contract(column)).violations]
    assert messages == ['"abc" is not an integer', '"2000" is above the maximum 1987']


def test_at_most_ten_examples_and_the_exact_count():
    (fault,) = check(csv_of(["x"] * 25), contract(Column("v", "integer"))).violations
    assert fault.count == 25
    assert [(one.line, one.position) for one in fault.examples] == [(n, 2) for n in range(2, 12)]


def test_rules_that_are_not_for_us_are_named():
    column = Column(
        "v", "date", options={"format": "dd/MM/yyyy"}, quality=({"type": "text", "description": "is sound"},)
    )
    t = table("t", Column("n", "integer"), column, quality=({"type": "sql", "query": "select 1", "name": "one"},))
    assert check(b"n,v\n", t).not_checked == (
        "t.v: format dd/MM/yyyy",
        "t.v: quality text is sound",
        "t: quality sql one",
    )


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("integer", ["9223372036854775808"], '"9223372036854775808" is out of range: an integer is from '),
        ("integer", ["-" + "9" * 300], "is out of range: an integer is from -9223372036854775808 to "),
        ("integer", ["x", "9223372036854775808"], '"x" is not an integer from -9223372036854775808 to '),
        ("integer", ["9" * 20] * 11, "is not an integer from -9223372036854775808 to 9223372036854775807"),
        ("number", ["1e400"], '"1e400" is out of range: a number is from -1.7976931348623157e308 to '),
        ("number", ["1e"], '"1e" is not a number'),
    ],
)
def test_a_number_that_its_type_has_no_room_for_is_told_the_range(kind, values, message):
    [fault] = check(("n\n" + "\n".join(values) + "\n").encode(), table("t", Column("n", kind))).violations
    assert (fault.rule, fault.count) == ("type", len(values))
    assert message in fault.message
    assert (" from " in fault.message) == (" from " in message)
