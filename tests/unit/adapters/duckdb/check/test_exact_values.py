"""Numbers compare as the numbers they are: bounds, steps, lists of values, references."""

from __future__ import annotations

from decimal import Decimal, localcontext

import duckdb
import pytest

from thinmesh.adapters.duckdb.check import lexical
from thinmesh.kernel.contract import Column, Reference
from thinmesh.planes.product.model import CheckJob, TableInput

from .checking import CHECKER, check, counts, table, uploads


def verdict(column, value):
    return [rule for rule, _ in counts(check(f"a\n{value}\n".encode(), table("t", column)))]


def number(decimal=None, kind="number", **options):
    return Column("a", kind, physical_type=decimal and f"DECIMAL({decimal})", options=options)


BOUNDS = [
    (number("20,2", maximum=1e17), "100000000000000000.00", []),
    (number("20,2", maximum=1e17), "100000000000000000.01", ["maximum"]),
    (number("3,3", minimum=0), "-0.5", ["minimum"]),
    (number("3,3", minimum=0), "0", []),
    (number("4,2", exclusiveMaximum=1.005), "1.00", []),
    (number("4,2", exclusiveMaximum=1.005), "1.01", ["exclusiveMaximum"]),
    (number("4,2", maximum=1e300), "99.99", []),
    (number("4,2", minimum=1e300), "99.99", ["minimum"]),
    (number("38,0", maximum=10**38), "9" * 38, []),
    (number(kind="integer", minimum=2**53 + 1), str(2**53), ["minimum"]),
    (number(kind="integer", minimum=10**30), "1", ["minimum"]),
    (number(kind="integer", minimum=1.5), "1", ["minimum"]),
    (number(minimum=0.1), "0.1", []),
    (number(minimum=0), "NaN", ["minimum"]),
    (number(exclusiveMinimum=0), "NaN", ["exclusiveMinimum"]),
    (number(maximum=5), "NaN", ["maximum"]),
]


@pytest.mark.parametrize(("column", "value", "broken"), BOUNDS)
def test_bounds_hold_to_the_last_digit(column, value, broken):
    assert verdict(column, value) == broken


STEPS = [
    (number(multipleOf=1), "1000000000000.5", False),
    (number(multipleOf=1), "4503599627370495.5", False),
    (number(multipleOf=2), "1e20", True),
    (number(multipleOf=2), "NaN", False),
    (number(multipleOf=2), "Infinity", False),
    (number(multipleOf=0.1), "0.3", True),
    (number(multipleOf=0.1), "100000.1", True),
    (number(multipleOf=0.1), "NaN", False),
    (number(multipleOf=0.1), "0.30000001", False),
    (number(kind="integer", multipleOf=1.5), "9000000000000000001", False),
    (number(kind="integer", multipleOf=1.5), "9000000000000000003", True),
    (number(kind="integer", multipleOf=10**30), "0", True),
    (number(kind="integer", multipleOf=10**30), "10", False),
    (number("10,2", multipleOf=0.05), "99999999.95", True),
    (number("10,2", multipleOf=0.015), "0.03", True),
    (number("10,2", multipleOf=0.015), "0.02", False),
]


@pytest.mark.parametrize(("column", "value", "fits"), STEPS)
def test_steps_are_taken_exactly(column, value, fits):
    assert verdict(column, value) == ([] if fits else ["multipleOf"])


def test_an_exponent_fits_where_the_number_does():
    for digits, text in (("4,2", "150e-2"), ("3,3", "125e-3"), ("18,6", "123456789012345678e-6")):
        assert verdict(number(digits), text) == []
    assert verdict(number("4,2"), "15000e-2") == ["precision"]
    assert verdict(number("4,2"), "1505e-3") == ["precision"]


EXPONENTS = [
    "e-2147483648",
    "e-40",
    "E-38",
    "e-37",
    "e-20",
    "e-3",
    "E-2",
    "e-1",
    "e0",
    "e+1",
    "E2",
    "e19",
    "e36",
    "E37",
    "e38",
    "e40",
]
MANTISSAS = ["0", "1", "-1.5", ".5", "5.", "15", "150", "-0.0015", "12345678901234567890", "9" * 38, "1" + "0" * 38]


@pytest.mark.parametrize("digits", ["38,38", "38,37", "38,20", "38,2", "38,0", "18,6", "4,2"])
def test_an_exponent_is_taken_exactly_where_its_digits_fit(digits):
    """A number with an exponent is judged as the same number written without one."""
    precision, scale = map(int, digits.split(","))
    texts = [mantissa + exponent for mantissa in MANTISSAS for exponent in EXPONENTS]
    given = ", ".join(f"('{text}')" for text in texts)
    typed = lexical.value(number(digits), "t")
    found = dict(duckdb.sql(f"SELECT t, {typed} FROM (VALUES {given}) AS given(t)").fetchall())
    with localcontext(prec=100):
        for text in texts:
            exact = Decimal(text)
            places = -int(exact.as_tuple().exponent)
            fits = places <= scale and abs(exact) < Decimal(10) ** (precision - scale)
            assert found[text] == (exact if fits else None), text


LISTS = [
    (number(), [1, 2.0], ["1", "2.00"], ["3", "NaN"]),
    (number("5,2"), [1.5, "x"], ["1.5", "1.50"], ["1.51"]),
    (number("5,2"), [1.567], [], ["1.57"]),
    (number(kind="integer"), [1.0, 2.5], ["1", "01"], ["2", "3"]),
    (number(kind="boolean"), [True], ["TRUE", "true"], ["false"]),
    (number(kind="timestamp"), ["2020-01-01T00:00:00"], ["2020-01-01 00:00:00"], ["2020-01-01T00:00:01"]),
    (number(kind="string"), [1, "x"], ["1", "x"], ["01"]),
]


@pytest.mark.parametrize(("column", "valid", "good", "bad"), LISTS)
def test_a_metric_compares_values_of_the_column_s_type(column, valid, good, bad):
    rule = {"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": valid}}
    judged = Column("a", column.logical_type, physical_type=column.physical_type, quality=(rule,))
    assert all(verdict(judged, value) == [] for value in good)
    assert all(verdict(judged, value) == ["invalidValues"] for value in bad)


def test_missing_values_are_of_the_column_s_type():
    rule = {"metric": "missingValues", "mustBe": 0, "arguments": {"missingValues": [None, -1, "N/A"]}}
    assert verdict(Column("a", "number", quality=(rule,)), "-1.0") == ["missingValues"]


REFERENCES = [
    (number("10,1"), "1.5", number("10,2"), "1.50", True),
    (number("10,1"), "1.5", number("10,2"), "1.51", False),
    (number(kind="integer"), "1", number(), "1.0", True),
    (number(kind="integer"), str(2**53 + 1), number(), str(2**53), False),
    (number(kind="integer"), "2", number("38,37"), "2", True),
    (number("38,0"), "9" * 38, number("38,37"), "2", False),
    (number("4,2"), "0.1", number(), "0.1", True),
]


@pytest.mark.parametrize(("child", "value", "parent", "there", "found"), REFERENCES)
def test_a_reference_compares_numbers_across_types(tmp_path, child, value, parent, there, found):
    refers = table("t", child, references=(Reference(("a",), "", "p", ("a",)),))
    files = uploads(tmp_path, {"t.csv": f"a\n{value}\n".encode(), "p.csv": f"a\n{there}\n".encode()})
    inputs = (TableInput("t", refers, files[:1]), TableInput("p", table("p", parent), files[1:]))
    assert counts(CHECKER.check(CheckJob(inputs, None))) == ({} if found else {("references", "a"): 1})


def test_a_column_may_be_called_as_duckdb_calls_its_row_numbers():
    t = table("t", Column("file_row_number", "integer", required=True, unique=True), Column("b"))
    result = check(b"file_row_number,b\n1,x\n2,y\n1,z\n", t)
    assert [(one.rule, one.examples[0].line) for one in result.violations] == [("unique", 4)]
    assert check(b"file_row_number,b\n1,x\n2,y\n", t).ok
