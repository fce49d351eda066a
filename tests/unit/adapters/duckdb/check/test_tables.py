"""The rules over several rows, files and tables: keys, references, metrics, appends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thinmesh.kernel.contract import Column, Reference
from thinmesh.planes.product.model import CheckJob, TableInput

from .checking import CHECKER, check, check_files, counts, places, rows_of, table, uploads

KEYED = table("t", Column("a", "integer"), Column("b"), primary_key=("a", "b"))
CARRIERS = table("airlines", Column("carrier", required=True), Column("name"), primary_key=("carrier",))
FLIGHTS = table(
    "flights",
    Column("n", "integer"),
    Column("carrier"),
    references=(Reference(("carrier",), "", "airlines", ("carrier",)),),
)


def stored(folder, contract, data):
    """Stage a file, as data that are present before the check."""
    folder.mkdir(exist_ok=True)
    result = CHECKER.check(
        CheckJob((TableInput(contract.name, contract, uploads(folder, {f"{contract.name}.csv": data})),), folder)
    )
    assert result.ok
    return tuple(file.path for file in result.tables[0].files)


def both(folder, flights, airlines, **options):
    (folder / "staging").mkdir()
    files = {"flights": (FLIGHTS, flights), "airlines": (CARRIERS, airlines)}
    inputs = tuple(
        TableInput(name, one, uploads(folder, {f"{name}.csv": data}))
        for name, (one, data) in files.items()
        if data is not None
    )
    return CHECKER.check(CheckJob(inputs, folder / "staging", **options))


def test_a_composite_key_counts_rows_that_repeat_an_earlier_one():
    result = check(b"b,a\nx,1\ny,1\nx,1\nx,1\n,1\n", KEYED)
    assert counts(result) == {("primaryKey", "a, b"): 2, ("required", "b"): 1}
    assert places(result, "primaryKey") == [(4, 2), (5, 2)]


def test_unique_columns_and_sets_may_be_empty():
    t = table("t", Column("a", "integer", unique=True), Column("b"), Column("c"), unique=(("b", "c"),))
    assert counts(check(b"a,b,c\n1,x,\n1,x,\n,x,y\n,x,y\n", t)) == {("unique", "a"): 1, ("unique", "b, c"): 1}


def test_a_faulty_value_hides_no_repeated_key():
    result = check(b"a,b\n1,x\nz,x\n1,x\n", KEYED)
    assert counts(result) == {("type", "a"): 1, ("primaryKey", "a, b"): 1}


def test_each_file_of_a_table_is_reported_by_its_name():
    result = check_files({"t/a.csv": b"a,b\n1,x\n", "t/b.csv": b"a,b\n2,x\n1,x\nq,x\n"}, KEYED)
    assert [(one.rule, one.file, one.count) for one in result.violations] == [
        ("type", "t/b.csv", 1),
        ("primaryKey", "t/b.csv", 1),
    ]
    assert places(result, "primaryKey") == [(3, 1)]


def test_an_append_checks_new_keys_against_the_present_ones(tmp_path):
    present = stored(tmp_path / "old", KEYED, b"a,b\n1,x\n2,x\n")
    result = check_files({"t.csv": b"a,b\n3,x\n2,x\n"}, KEYED, present=present)
    assert counts(result) == {("primaryKey", "a, b"): 1}
    assert places(result, "primaryKey") == [(3, 1)]
    assert check_files({"t.csv": b"a,b\n3,x\n"}, KEYED, present=present).rows == 1


def test_present_files_of_an_earlier_contract_are_read_by_field_id(tmp_path):
    present = stored(tmp_path / "old", table("t", Column("a", "integer")), b"a\n1\n")
    wider = replace(KEYED, primary_key=(), columns=(*KEYED.columns[:1], replace(KEYED.columns[1], unique=True)))
    assert check_files({"t.csv": b"a,b\n1,x\n2,y\n"}, wider, present=present).ok


def test_references_are_judged_against_tables_of_the_same_publication(tmp_path):
    result = both(tmp_path, b"n,carrier\n1,AA\n2,ZZ\n3,\n4,ZZ\n", b"carrier,name\nAA,American\n")
    assert counts(result) == {("references", "carrier"): 2}
    assert places(result, "references") == [(3, 2), (5, 2)]
    assert '"ZZ" is not in airlines (carrier)' in result.violations[0].message


def test_references_are_judged_against_present_tables(tmp_path):
    others = ((CARRIERS, stored(tmp_path / "old", CARRIERS, b"carrier,name\nAA,American\n")),)
    assert both(tmp_path, b"n,carrier\n1,AA\n", None, others=others).ok
    assert counts(check(b"n,carrier\n1,AA\n2,BB\n", FLIGHTS, "flights.csv", others=others)) == {
        ("references", "carrier"): 1
    }


def test_a_reference_to_a_table_without_data_leads_nowhere():
    assert counts(check(b"n,carrier\n1,AA\n2,\n", FLIGHTS, "flights.csv")) == {("references", "carrier"): 1}


def test_replacing_a_table_must_not_leave_references_dangling(tmp_path):
    others = ((FLIGHTS, stored_flights(tmp_path)),)
    result = both(tmp_path, None, b"carrier,name\nBB,Other\n", others=others)
    (fault,) = result.violations
    assert (fault.rule, fault.table, fault.column, fault.count) == ("references", "flights", "carrier", 2)
    assert '"AA" is named by flights' in fault.message


def stored_flights(folder):
    plain = replace(FLIGHTS, references=())
    return stored(folder / "old", plain, b"n,carrier\n1,AA\n2,AA\n3,\n")


def test_references_across_products_are_measured_and_never_refuse(tmp_path):
    child = replace(FLIGHTS, references=(Reference(("carrier",), "airlines", "airlines", ("carrier",)),))
    foreign = {"airlines.airlines": (CARRIERS, stored(tmp_path / "old", CARRIERS, b"carrier,name\nAA,x\n"))}
    result = check(b"n,carrier\n1,AA\n2,ZZ\n", child, "flights.csv", foreign=foreign)
    assert result.ok
    assert [(one.rule, one.count) for one in result.measured] == [("references", 1)]
    unreadable = check(b"n,carrier\n1,AA\n", child, "flights.csv")
    assert unreadable.ok
    assert len(unreadable.not_checked) == 1


METRICS = [
    ({"metric": "rowCount", "mustBeGreaterThan": 5}, None, "rowCount"),
    ({"metric": "rowCount", "mustBe": 4}, None, None),
    ({"metric": "nullValues", "mustBe": 0}, "v", "nullValues"),
    ({"metric": "nullValues", "mustBeLessThan": 30, "unit": "percent"}, "v", None),
    ({"rule": "duplicateValues", "mustBeLessOrEqualTo": 0}, "v", "duplicateValues"),
    ({"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": ["a", "b"]}}, "v", None),
    ({"metric": "invalidValues", "mustBe": 0, "arguments": {"pattern": "^a$"}}, "v", "invalidValues"),
    ({"metric": "missingValues", "mustBeBetween": [2, 3], "arguments": {"missingValues": [None, "b"]}}, "v", None),
    ({"metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": ["n", "v"]}}, None, None),
]


@pytest.mark.parametrize(("rule", "column", "broken"), METRICS)
def test_library_metrics(rule, column, broken):
    quality = {"quality": (rule,)}
    t = table("t", Column("n", "integer"), Column("v", **(quality if column else {})), **({} if column else quality))
    result = check(b"n,v\n1,a\n2,a\n3,b\n4,\n", t)
    assert [one.rule for one in result.violations] == ([broken] if broken else [])


def test_a_warning_is_shown_and_does_not_refuse():
    t = table("t", Column("v", quality=({"metric": "nullValues", "mustBe": 0, "severity": "warning"},)))
    result = check(b"v\n\n", t)
    assert result.ok
    assert [one.rule for one in result.measured] == ["nullValues"]


def test_files_that_are_refused_leave_nothing_and_good_ones_are_described(tmp_path):
    result = both(tmp_path, b"n,carrier\n1,AA\n", b"carrier,name\nAA,x\n")
    staged = [file for one in result.tables for file in one.files]
    assert all(len(file.sha256) == 64 and file.path.stat().st_size == file.bytes and file.rows == 1 for file in staged)
    assert rows_of(result, 1) == [("AA", "x")]
