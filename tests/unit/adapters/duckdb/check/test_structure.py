"""Files whose bytes are wrong: every fault is found with its place, and hides no other."""

from __future__ import annotations

import gzip

import pytest
import zstandard

from thinmesh.kernel.contract import Column

from .checking import check, counts, places, rows_of, table

T = table(
    "t",
    Column("id", "integer", required=True),
    Column("name", "string"),
    Column("x", "number", options={"minimum": 0}),
)
HEAD = b"id,name,x\n"
MANY = HEAD + b"".join(b"%d,a,1\n" % n for n in range(40_000))


def test_empty_is_null_and_quoted_empty_is_the_empty_text():
    result = check(HEAD + b'1,,\n2,"",0\n', T)
    assert result.ok
    assert rows_of(result) == [(1, None, None), (2, "", 0.0)]


def test_every_kind_of_ragged_record_is_counted_and_hides_nothing():
    result = check(HEAD + b"1,a,1\n2,b\n3,c,3,4\n4,d,4,\n\n6,f,zz\n", T)
    assert counts(result) == {("ragged", None): 3, ("empty_line", None): 1, ("type", "x"): 1}
    assert places(result, "ragged") == [(3, None), (4, None), (5, None)]
    ragged = next(one for one in result.violations if one.rule == "ragged")
    assert ragged.message == '"2,b" does not have as many fields as the header (3)'
    assert [one.value for one in ragged.examples] == ["2,b", "3,c,3,4", "4,d,4,"]
    assert places(result, "type") == [(7, 3)]


def test_a_separator_too_many_and_one_too_few_do_not_cancel_out():
    assert counts(check(HEAD + b"1,a,1,\n2,b\n3,c,w\n", T)) == {("ragged", None): 2, ("type", "x"): 1}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("head", [b"id,name,x", b'"id","name","x"', b'x,"id",name'])
def test_mark_line_ends_quotes_and_order_of_the_header_are_free(mark, end, head):
    first = b"1,a,2" if head.startswith((b"id", b'"id')) else b"2,1,a"
    result = check(mark + head + end + first + end, T)
    assert result.ok
    assert rows_of(result) == [(1, "a", 2.0)]


def test_mixed_line_ends_are_taken():
    result = check(b"id,name,x\r\n1,a,1\n2,b,2\r\n3,c,3", T)
    assert [row[0] for row in rows_of(result)] == [1, 2, 3]


def test_latin_1_and_nul_are_placed_in_their_column_and_the_rest_is_judged():
    result = check(HEAD + b"1,Z\xfcrich,1\n2,a\0b,-2\n", T)
    assert counts(result) == {("encoding", "name"): 1, ("nul", "name"): 1, ("minimum", "x"): 1}
    assert places(result, "encoding") == [(2, 2)]
    assert places(result, "nul") == [(3, 2)]


def test_a_lost_quote_hides_one_line_only():
    data = HEAD + b'1,a"b,1\n2,"a"b,1\n3,"a ""q"" b",1\n4,"open,1\n5,e,1\n6,f,w\n'
    result = check(data, T)
    assert counts(result) == {("quoting", None): 3, ("type", "x"): 1}
    assert places(result, "quoting") == [(2, None), (3, None), (5, None)]
    assert places(result, "type") == [(7, 3)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_are_physical_where_fields_span_lines(end):
    data = end.join([b"id,name,x", b'1,"a', b"b", b'c",1', b"2,b,w", b'2,"x', b'y",3', b"9,a,-1", b""])
    result = check(data, T)
    assert places(result, "type") == [(5, 3)]
    assert places(result, "minimum") == [(8, 3)]
    assert rows_of(check(data.replace(b"w", b"1").replace(b"-1", b"1"), T))[0] == (
        1,
        "a" + end.decode() + "b" + end.decode() + "c",
        1.0,
    )


def test_a_lone_carriage_return_is_a_fault_of_its_line():
    result = check(HEAD + b'1,a\rb,1\n2,"a\rb",w\n', T)
    assert counts(result) == {("line_end", None): 1, ("type", "x"): 1}


@pytest.mark.parametrize(
    ("data", "rule", "word"),
    [
        (b"", "header", "empty"),
        (b"id,name,x\r1,a,1\r", "header", "CR"),
        (b"id;name;x\n1;a;1\n", "header", "semicolon"),
        (b"id\tname\tx\n1\ta\t1\n", "header", "tab"),
        (b"id|name|x\n1|a|1\n", "header", "pipe"),
        ("id,name,x\n1,a,1\n".encode("utf-16"), "encoding", "UTF-16"),
    ],
)
def test_a_file_that_is_no_csv_is_said_to_be_what_it_is(data, rule, word):
    (fault,) = check(data, T).violations
    assert fault.rule == rule
    assert word in fault.message


def test_all_faults_of_the_header_come_together_and_the_known_columns_are_judged():
    result = check(b"id,nmae,x,x\n1,a,w,3\n", T)
    assert counts(result) == {
        ("unknown_column", "nmae"): 1,
        ("duplicate_column", "x"): 1,
        ("missing_column", "name"): 1,
        ("type", "x"): 1,
    }
    unknown = next(one for one in result.violations if one.rule == "unknown_column")
    assert "did you mean 'name'" in unknown.message
    assert '{"name": "nmae", "logicalType": "string"}' in unknown.message
    missing = next(one for one in result.violations if one.rule == "missing_column")
    assert "renaming a column breaks consumers; keep name" in missing.message


def test_the_line_to_add_for_a_header_that_is_no_name_maps_it():
    (fault,) = check(b"id,name,x,Unit Price\n1,a,1,2\n", T).violations
    assert '{"name": "unit_price", "physicalName": "Unit Price", "logicalType": "string"}' in fault.message


def test_fields_of_100_kb_and_of_3_mb_come_back_whole():
    short, long = "y" * 100_000, "z\n" * 1_500_000
    result = check(HEAD + f'1,{short},1\n2,"{long}",2\n3,c,3\n'.encode(), T)
    assert rows_of(result) == [(1, short, 1.0), (2, long, 2.0), (3, "c", 3.0)]


def test_a_long_value_is_shortened_in_the_report():
    (fault,) = check(HEAD + b"1,a," + b"7x" * 50_000 + b"\n", T).violations
    assert len(fault.message) < 200
    assert len(fault.examples[0].value or "") < 300


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_files_are_read_to_their_end_mark(ending):
    packed = gzip.compress(MANY) if ending == "gz" else zstandard.ZstdCompressor().compress(MANY)
    name = f"t.csv.{ending}"
    assert check(packed, T, name).rows == 40_000
    assert check(packed + packed.replace(packed, b""), T, name).ok
    for broken in (packed[:-9], packed[: len(packed) // 2], packed + b"garbage"):
        assert counts(check(broken, T, name)) == {("truncated", None): 1}


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.zst", "t.parquet"])
@pytest.mark.parametrize("content", [MANY, b"id"], ids=["many", "short"])
def test_a_plain_csv_under_another_name_is_told_its_own(name, content):
    (fault,) = check(content, T, name).violations
    assert fault.rule == "file_format"
    assert "named <table>.csv" in fault.message


def test_several_members_are_one_file():
    data = gzip.compress(HEAD + b"1,a,1\n") + gzip.compress(b"2,b,2\n")
    assert check(data, T, "t.csv.gz").rows == 2
    frame = zstandard.ZstdCompressor().compress
    assert check(frame(HEAD + b"1,a,1\n") + frame(b"2,b,2\n"), T, "t.csv.zst").rows == 2


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_more_than_the_limit_is_refused_before_it_is_written(ending):
    packed = gzip.compress(MANY) if ending == "gz" else zstandard.ZstdCompressor().compress(MANY)
    assert counts(check(packed, T, f"t.csv.{ending}", max_bytes=100_000)) == {("too_large", None): 1}
    assert counts(check(MANY, T, max_bytes=100_000)) == {("too_large", None): 1}


def test_a_bomb_is_refused():
    compressor = zstandard.ZstdCompressor().compressobj()
    block = HEAD + b"1,a,1\n" * 500_000
    packed = b"".join(compressor.compress(block) for _ in range(120)) + compressor.flush()
    assert counts(check(packed, T, "t.csv.zst")) == {("too_large", None): 1}


def test_an_endless_line_is_refused():
    assert counts(check(HEAD + b"a" * (20 << 20), T)) == {("too_large", None): 1}


def test_a_late_misfit_is_found():
    result = check(MANY[:-2] + b"w\n39999,b,-1\n", T)
    assert counts(result) == {("type", "x"): 1, ("minimum", "x"): 1}
    assert places(result, "type") == [(40_001, 3)]


def test_blank_lines_of_a_single_column_are_empty_values():
    result = check(b"a\n1\n\n3\n", table("t", Column("a", "integer")))
    assert rows_of(result) == [(1,), (None,), (3,)]


def test_the_verdict_alone_is_the_same_as_with_staging():
    for data in (MANY, HEAD + b"1,a,w\n2,b\n,c,-1\n"):
        assert check(data, T, stage=False).violations == check(data, T).violations


def test_a_file_name_with_wildcards_is_one_file():
    result = check(HEAD + b"1,a,1\n", T, "t[*].csv")
    assert rows_of(result) == [(1, "a", 1.0)]


def test_one_violation_per_table_column_and_rule():
    t = table("t", Column("a", "integer", unique=True), unique=(("a",),))
    assert counts(check(b"a,x,x,,\n1,,,,\n1,,,,\n", t)) == {
        ("unknown_column", "x"): 2,
        ("header", None): 2,
        ("unique", "a"): 1,
    }
    twice = check(b"a,x,x,,\n1,,,,\n1,,,,\n", t)
    assert len(twice.violations) == 3


def test_two_metrics_of_one_kind_are_one_violation():
    rules = ({"metric": "nullValues", "mustBe": 0}, {"metric": "nullValues", "mustBeLessThan": 1})
    (found,) = check(b"a,b\n,1\n,1\n", table("t", Column("a", quality=rules), Column("b"))).violations
    assert (found.rule, found.count) == ("nullValues", 2)
    assert "must be 0" in found.message
    assert "must be less than 1" in found.message


def test_a_quoted_empty_text_is_a_record():
    t = table("t", Column("a"), Column("b"))
    assert counts(check(b'a,b\n""\n\n1,2\n', t)) == {("ragged", None): 1, ("empty_line", None): 1}


def test_the_column_s_own_name_is_a_header_too():
    t = table("t", Column("total_amt", physical_name="Total Amt"), Column("x", physical_name="total_amt"))
    assert counts(check(b"total_amt,b\n1,2\n", t)) == {("unknown_column", "b"): 1, ("missing_column", "total_amt"): 1}
    assert counts(check(b"Total Amt,x,total_amt\n1,2,3\n", t)) == {("duplicate_column", "x"): 1}
    assert check(b"b\n1\n", table("t", Column("b", physical_name="B b"))).ok


def test_a_header_that_differs_in_case_names_the_column():
    (unknown, _) = check(b"TOTALLY\n1\n", table("t", Column("totally"), Column("b"))).violations[:2]
    assert "did you mean 'totally'" in unknown.message


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        ("a,b\n1,2\n".encode("utf-16"), "t.csv", "UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "t.csv", "UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-be"), "t.csv", "UTF-16"),
        ("a,b\n1,2\n".encode("utf-32"), "t.csv", "UTF-32"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "t.csv", ".csv.gz"),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), "t.csv.gz", "compressed twice"),
        (b"PK\x03\x04rest\n", "t.csv", "ZIP"),
        (b"PAR1rest\n", "t.csv", "Parquet"),
    ],
    # Names of their own: bytes in a test's name differ between two workers as soon as they hold the time.
    ids=["utf-16", "utf-16-le", "utf-16-be", "utf-32", "gzip", "gzip-twice", "zip", "parquet"],
)
def test_another_format_is_named(data, name, says):
    (found,) = check(data, table("t", Column("a"), Column("b")), name).violations
    assert says in found.message


def test_options_that_no_check_knows_are_named():
    t = table(
        "t", Column("a", "integer", options={"minmum": 1}), Column("d", "date", options={"minimum": "01.02.2020"})
    )
    result = check(b"a,d\n1,2020-01-01\n", t)
    assert [text.split(":")[0] for text in result.not_checked] == ["t.a", "t.d"]
    assert "minmum" in result.not_checked[0]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"# exported 2026-01-05\nid,name\n1,a\n2,b\n", "line 1, which looks"),
        (b"# exported, by hand; again\r\n# for us\r\nid,name,sum\r\n1,a,2\r\n", "lines 1 to 2, which look"),
        (b"# exported\n\nid,name\n", "lines 1 to 2, which look"),
        (b"Sales of May\nid,name\n1,a\n", "line 1, which looks"),
        (b"Sales of May\n\nid,name\n1,a\n", "lines 1 to 2, which look"),
        (b"sep=,\nid,name,sum\n1,a,2\n", "line 1, which looks"),
    ],
)
@pytest.mark.parametrize("contract", [None, table("t", Column("id", "integer"), Column("name"))])
def test_a_comment_or_a_title_above_the_header_is_the_one_fault(data, lines, contract):
    [fault] = check(data, contract).violations
    assert fault.message == (
        f"the file does not begin with the names of the columns: remove {lines} like a comment or a title"
    )


@pytest.mark.parametrize(
    "data", [b"#,name\n1,a\n", b"# of rows\n1\n2\n", b"full name\nDoe\nSmith\n", b'"a, b"\n1\n', b"# a,b\n"]
)
def test_a_header_that_only_begins_like_a_comment_is_one(data):
    assert check(data, None).ok


def test_one_line_too_wide_below_a_single_column_is_its_own_fault():
    [fault] = check(b"full name\nDoe\nSmith, John\n", None).violations
    assert (fault.rule, fault.examples[0].line) == ("ragged", 3)
