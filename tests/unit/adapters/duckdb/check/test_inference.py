"""Tables without a contract: types from all rows, null tokens, legal names, widening, suggested keys."""

from __future__ import annotations

import pytest
from pyarrow import parquet as pq

from thinmesh.adapters.duckdb.check.rules import custom
from thinmesh.kernel.contract import Column, Table

from .checking import check, check_files, counts, rows_of, table


def types(result):
    return {column.name: column.sql_type for column in result.tables[0].table.columns}


def test_types_come_from_all_values():
    head = b"i,n,b,d,t,s,z,w\n"
    row = b"1,1.5,true,2013-01-01,10:30:00,2013-01-01T00:00:00,2013-01-01T00:00:00Z,x\n"
    result = check(head + row * 3, None)
    assert types(result) == {
        "i": "BIGINT",
        "n": "DOUBLE",
        "b": "BOOLEAN",
        "d": "DATE",
        "t": "TIME",
        "s": "TIMESTAMP",
        "z": "TIMESTAMP WITH TIME ZONE",
        "w": "VARCHAR",
    }
    assert [column.id for column in result.tables[0].table.columns] == list(range(1, 9))
    assert result.tables[0].table.inferred


def test_a_misfit_after_row_30000_counts():
    lines = "".join(f"{n},{n},{n}\n" for n in range(30_500))
    result = check(("a,b,c\n" + lines + "1.5,x,1\n").encode(), None)
    assert types(result) == {"a": "DOUBLE", "b": "VARCHAR", "c": "BIGINT"}
    assert rows_of(result)[-1] == (1.5, "x", 1)


def test_codes_stay_text():
    result = check(b"zip,tel,id,long,x\n01234,+41,1,1234567890123456789,007.5\n99999,44,2,1,1\n", None)
    assert types(result) == {"zip": "VARCHAR", "tel": "VARCHAR", "id": "BIGINT", "long": "VARCHAR", "x": "VARCHAR"}


def test_null_tokens_count_only_beside_values_that_are_no_text():
    result = check(b"n,country,only\nNA,NA,NA\n1,DE,\n-,n/a,NA\n", None)
    assert rows_of(result) == [(None, "NA", "NA"), (1, "DE", None), (None, "n/a", "NA")]
    n, country, _ = result.tables[0].table.columns
    assert custom(n, "null") == ["NA", "-"]
    assert custom(country, "null") is None
    assert (n.required, country.required) == (False, True)


def test_the_inferred_contract_reads_its_own_file():
    data = b"n,country\nNA,NA\n1,DE\n"
    first = check(data, None)
    again = check(data, first.tables[0].table)
    assert rows_of(again) == rows_of(first)
    assert again.tables[0].widened == ()


def test_headers_become_legal_names():
    result = check("Temp (°C),Temp (°C) ,2nd,select\n1,2,3,4\n".encode(), None)
    columns = result.tables[0].table.columns
    assert [column.name for column in columns] == ["temp_c", "temp_c_2", "_2nd", "select"]
    assert [column.header for column in columns] == ["Temp (°C)", "Temp (°C) ", "2nd", "select"]
    assert rows_of(result) == [(1, 2, 3, 4)]


def test_headers_of_other_letters_become_plain_names_and_stay_known():
    result = check("Größe,السعر,名前\n1,2,3\n".encode(), None)
    columns = result.tables[0].table.columns
    assert [column.name for column in columns] == ["groesse", "column_1", "column_2"]
    assert [column.header for column in columns] == ["Größe", "السعر", "名前"]
    assert [column.description for column in columns] == [None, "السعر", "名前"]


def test_a_column_keeps_the_name_that_it_got_when_names_were_made_otherwise():
    known = Table("t", (Column("gr_e", "integer", physical_name="Größe", required=True),), inferred=True)
    result = check("Größe,Größe 2\n1,2\n".encode(), known)
    assert [column.name for column in result.tables[0].table.columns] == ["gr_e", "groesse_2"]


def test_a_header_without_a_name_or_with_one_twice_is_refused():
    assert counts(check(b",a,a\n1,2,3\n", None)) == {("header", None): 1, ("duplicate_column", "a"): 1}


def test_a_header_that_is_not_utf8_is_refused():
    assert ("encoding", None) in counts(check("id,n\xe4me\n1,a\n".encode("latin-1"), None))


def test_structural_faults_are_found_without_a_contract():
    assert counts(check(b"a,b\n1,2\n3\n4,5\n", None)) == {("ragged", None): 1}


def test_keys_are_only_suggested():
    result = check(b"id,kind,x\n1,a,1.5\n2,a,2.5\n3,b,3.5\n", None)
    assert result.tables[0].suggested_keys == ("id",)
    assert result.tables[0].table.primary_key == ()


def test_a_late_repetition_suggests_no_key():
    lines = "".join(f"{n}\n" for n in range(5000))
    assert check(("id\n" + lines + "7\n").encode(), None).tables[0].suggested_keys == ()


def test_a_later_publication_widens_and_says_so():
    first = check(b"a,b,c,e\n1,1,x,\n", None).tables[0].table
    assert custom(first.columns[3], "provisional") is True
    later = check(b"a,b,c,e,f\n1.5,007,,2013-01-01,new\n", first)
    assert later.ok
    assert types(later) == {"a": "DOUBLE", "b": "VARCHAR", "c": "VARCHAR", "e": "DATE", "f": "VARCHAR"}
    assert later.tables[0].widened == (
        "a: integer became number",
        "b: integer became string",
        "c: may be empty now",
        "e: takes its first type, date",
        "f: new column (string)",
    )
    assert [column.id for column in later.tables[0].table.columns] == [1, 2, 3, 4, 5]


def test_a_narrower_publication_changes_nothing():
    first = check(b"a,b\n1.5,x\n", None).tables[0].table
    later = check(b"a,b\n1,2\n", first)
    assert later.tables[0].table == first
    assert rows_of(later) == [(1.0, "2")]


def test_a_lost_column_is_refused_also_of_a_provisional_table():
    first = check(b"a,b\n1,x\n", None).tables[0].table
    assert counts(check(b"a\n1\n", first)) == {("missing_column", "b"): 1}


def test_an_append_that_widens_writes_the_present_files_again(tmp_path):
    first = check(b"a,b\n1,x\n2,y\n", None)
    present = [file.path for file in first.tables[0].files]
    later = check_files({"t.csv": b"a,b,c\n1.5,z,1\n"}, first.tables[0].table, present=present)
    (restaged,) = later.tables[0].restaged
    assert restaged.rows == 2
    from pyarrow import parquet

    assert parquet.read_table(restaged.path).to_pylist() == [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": "y"}]
    assert later.tables[0].table.columns[2].required is False


def test_a_contract_is_never_widened():
    t = table("t", Column("a", "integer"))
    assert counts(check(b"a\n1.5\n", t)) == {("type", "a"): 1}


def test_a_header_alone_gives_provisional_columns():
    result = check(b"a,b\n", None)
    assert result.ok
    assert types(result) == {"a": "VARCHAR", "b": "VARCHAR"}
    assert not any(column.required for column in result.tables[0].table.columns)


@pytest.mark.parametrize("data", [b"\n\xff\n", b"\n\x00", b"\nabc\n", b"\r\n1\r\n"])
def test_a_file_that_begins_with_an_empty_line_names_no_columns(data):
    result = check(data, None)
    assert counts(result) == {("header", None): 1}
    assert "begins with an empty line" in result.violations[0].message


def test_every_field_of_a_wide_file_is_judged_by_itself():
    cells = ["1", "1.5", "true", "x", "NA", "", "2013-01-01"]
    names = ",".join(f"c{n}" for n in range(700))
    rows = [",".join(cells[n % 7] for n in range(700)) for _ in range(3)]
    # One misfit in a field of every kind, beyond the part of the file that a first guess looks at.
    late = ",".join("x" if n >= 693 else cells[n % 7] for n in range(700))
    result = check("\n".join([names, *rows * 300, late, ""]).encode(), None)
    kinds = ["BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "VARCHAR", "VARCHAR", "DATE"]
    expected = {f"c{n}": "VARCHAR" if n >= 693 else kinds[n % 7] for n in range(700)}
    assert (types(result), result.rows) == (expected, 901)


def test_null_tokens_alone_are_no_type_yet():
    late = check(("a,b\n" + "NA,x\n" * 2100 + "7,x\n").encode(), None)
    assert types(late) == {"a": "BIGINT", "b": "VARCHAR"}
    apart = check_files({"t/a.csv": b"k,a\n1,NA\n", "t/b.csv": b"k,a\n2,7\n"}, None)
    assert types(apart)["a"] == "BIGINT"
    assert rows_of(apart) == [(1, None), (2, 7)]
    assert not apart.tables[0].table.column("a").required


def test_a_file_of_null_tokens_widens_no_type():
    for value, kind in ((b"7", "BIGINT"), (b"2020-01-01", "DATE"), (b"x", "VARCHAR")):
        first = check(b"k,a\n1," + value + b"\n", None)
        again = check(b"k,a\n2,NA\n", first.tables[0].table)
        assert types(again)["a"] == kind
        assert rows_of(again)[0][1] == ("NA" if kind == "VARCHAR" else None)


def test_tokens_become_nulls_where_their_column_takes_its_first_type():
    first = check(b"k,a\n1,NA\n", None)
    assert custom(first.tables[0].table.column("a"), "provisional") == ["NA"]
    again = check_files(
        {"t.csv": b"k,a\n2,7\n"}, first.tables[0].table, present=[file.path for file in first.tables[0].files]
    )
    assert types(again)["a"] == "BIGINT"
    assert custom(again.tables[0].table.column("a"), "null") == ["NA"]
    assert pq.read_table(again.tables[0].restaged[0].path).column("a").to_pylist() == [None]


def test_numbers_that_a_double_cannot_keep_are_texts():
    head = "frac,long,tiny,mixed,short,small,zero\n"
    body = "1234567890.123456789,0.1234567890123456789012,1e-400,9007199254740993,1.5,0.000000000000000000123,0e-400\n"
    assert types(check((head + body + "1,1,1,0.5,2,0.5,0.5\n").encode(), None)) == {
        **dict.fromkeys(("frac", "long", "tiny", "mixed"), "VARCHAR"),
        **dict.fromkeys(("short", "small", "zero"), "DOUBLE"),
    }


def test_large_integers_do_not_become_doubles():
    first = check(b"a\n9007199254740993\n", None)
    present = [file.path for file in first.tables[0].files]
    again = check_files({"t.csv": b"a\n1.5\n"}, first.tables[0].table, present=present)
    assert types(again)["a"] == "VARCHAR"
    assert pq.read_table(again.tables[0].restaged[0].path).column("a").to_pylist() == ["9007199254740993"]
    files = {"t/a.csv": b"a\n9007199254740993\n", "t/b.csv": b"a\n1.5\n"}
    assert types(check_files(files, None)) == {"a": "VARCHAR"}


def test_an_inferred_product_takes_its_own_export():
    first = check(b"k,Total Amt\n1,2\n", None)
    again = check(b"k,total_amt\n1,2\n", first.tables[0].table)
    assert again.tables[0].widened == ()
    assert rows_of(again) == [(1, 2)]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"1,alice,2024-01-01\n2,bob,2024-01-02\n", "1"),
        (b"2013,a,517\n2013,b,533\n", "517"),
        (b"alice,2024-01-01\nbob,2024-01-02\n", "2024-01-01"),
        (b"x,2024-01-01T10:00:00Z\ny,2024-01-01T11:00:00Z\n", "2024-01-01T10:00:00Z"),
        (b"a,-1.5\nb,7\n", "-1.5"),
        (b"1,alice\n", "1"),
    ],
)
def test_a_first_line_that_may_be_data_is_doubted_and_taken(data, value):
    result = check(data, None)
    assert result.ok
    [doubt] = result.tables[0].doubts
    assert f'"{value}" in it looks like a value' in doubt
    assert check(data, result.tables[0].table).tables[0].doubts == ()


@pytest.mark.parametrize(
    "data",
    [
        b"id,name\n1,a\n",
        b"country,2020,2021\nDE,1,2\n",
        b"country,2020-01-22,2020-01-23\nDE,1,2\n",
        b"2024\nspring\n",
        b"code,1\nx,y\n",
        b'"",a\n',
    ],
)
def test_a_header_of_names_is_not_doubted(data):
    assert [one.doubts for one in check(data, None).tables] in ([()], [])
