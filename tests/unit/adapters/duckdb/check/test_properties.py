"""Random tables against an independent reading in plain Python."""

from __future__ import annotations

import csv
import io
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinmesh.kernel.contract import Column

from .checking import check, check_files, counts, places, rows_of, table

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
SPIKY = st.text(st.sampled_from('ab,"\n\r é'), max_size=8)


@QUICK
@given(
    rows=st.lists(st.tuples(TEXT | SPIKY, TEXT | SPIKY, st.integers(-(2**63), 2**63 - 1)), max_size=30),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_what_python_writes_comes_back_exactly(rows, end, quoting):
    if quoting == csv.QUOTE_MINIMAL:
        # Python leaves a lone carriage return unquoted, which RFC 4180 does not know.
        rows = [(a.replace("\r", ""), b.replace("\r", ""), n) for a, b, n in rows]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=quoting)
    writer.writerow(["a", "b", "n"])
    writer.writerows(rows)
    t = table("t", Column("a"), Column("b"), Column("n", "integer"))
    result = check(out.getvalue().encode(), t)
    # Python writes the empty text unquoted when it quotes as little as it can: that is NULL here.
    empty = None if quoting == csv.QUOTE_MINIMAL else ""
    assert counts(result) == {}
    assert rows_of(result) == [(a or empty, b or empty, n) for a, b, n in rows]


FIELDS = st.sampled_from(["1", "5", "007", "-3", "x", "1.5", "", "12345678901234567890", "+1", " 1"])
NAMES = st.sampled_from(["a", "bb", "", "ccc", '"a,b"', '"two\nlines"', '"q""q"', '"\n\n"'])
GOOD_LINES = st.tuples(FIELDS, NAMES, FIELDS).map(",".join)
RAGGED = st.sampled_from(["1", "1,a", "1,a,1,1", "1,a,1,", ",,,,"])
STRAY = st.sampled_from(['1,a"b,2', '1,"a"b,2', '1, "a",2'])


def expected(lines):
    """Judge each record by its text alone; lines are counted as an editor counts them."""
    found, line, seen = {}, 2, set()
    ids = []

    def note(rule, column, at, position):
        found.setdefault((rule, column), []).append((at, position))

    for kind, text in lines:
        if kind == "good":
            id, name, x = next(csv.reader(io.StringIO(text, newline=""), strict=True))
            quoted = text.split(",", 1)[1].startswith('"')
            if not id:
                note("required", "id", line, 1)
            for at, (column, value) in enumerate((("id", id), ("name", name), ("x", x)), 1):
                whole = re.fullmatch(r"-?[0-9]+", value) is not None and -(2**63) <= int(value) < 2**63
                if column != "name" and value and not whole:
                    note("type", column, line, at)
                elif column == "x" and value and int(value) < 0:
                    note("minimum", "x", line, at)
                elif column == "id" and value:
                    ids.append((int(value), line))
            if (name or quoted) and len(name) > 3:
                note("maxLength", "name", line, 2)
        else:
            note(kind, None, line, None)
        line += text.count("\n") + 1
    for id, at in ids:
        if id in seen:
            note("unique", "id", at, 1)
        seen.add(id)
    return found


@QUICK
@given(
    st.lists(
        GOOD_LINES.map(lambda text: ("good", text))
        | RAGGED.map(lambda text: ("ragged", text))
        | STRAY.map(lambda text: ("quoting", text))
        | st.just(("empty_line", "")),
        max_size=40,
    ),
    st.sampled_from(["\n", "\r\n"]),
)
def test_planted_faults_are_counted_and_placed_exactly(lines, end):
    t = table(
        "t",
        Column("id", "integer", required=True, unique=True),
        Column("name", options={"maxLength": 3}),
        Column("x", "integer", options={"minimum": 0}),
    )
    data = "id,name,x" + end + "".join(text + end for _, text in lines)
    result = check(data.encode(), t)
    wanted = expected(lines)
    assert counts(result) == {key: len(found) for key, found in wanted.items()}
    for rule in {rule for rule, _ in wanted}:
        all_places = sorted(place for (name, _), found in wanted.items() if name == rule for place in found[:10])
        assert sorted(places(result, rule)) == all_places


@QUICK
@given(st.lists(st.lists(st.integers(0, 30), max_size=20), min_size=1, max_size=4))
def test_repeated_keys_are_counted_over_all_files(files):
    t = table("t", Column("id", "integer"), primary_key=("id",))
    data = {f"t/{n}.csv": b"id\n" + b"".join(b"%d\n" % one for one in ids) for n, ids in enumerate(files)}
    result = check_files(data, t)
    every = [one for ids in files for one in ids]
    assert sum(one.count for one in result.violations) == len(every) - len(set(every))


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_give_a_verdict(data):
    t = table("t", Column("id", "integer"), Column("name"))
    for name in ("t.csv", "t.csv.gz", "t.csv.zst", "t.parquet"):
        check(data, t, name, stage=False)
    result = check(b"id,name\n" + data, t, stage=False)
    assert result.ok == (not result.violations)


@QUICK
@given(
    st.lists(
        st.tuples(st.none() | st.integers(-(10**17), 10**17), st.none() | st.dates(), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_inference_gives_values_back(rows):
    lines = [",".join(("" if n is None else str(n), "NA" if d is None else d.isoformat(), str(b))) for n, d, b in rows]
    result = check(("n,d,b\n" + "\n".join(lines) + "\n").encode(), None)
    found = rows_of(result)
    assert [row[2] for row in found] == [b for _, _, b in rows]
    assert [row[0] for row in found] == [n for n, _, _ in rows]
    if any(d for _, d, _ in rows):
        assert [row[1] for row in found] == [d for _, d, _ in rows]
    column = result.tables[0].table.columns[0]
    assert column.logical_type == ("integer" if any(n is not None for n, _, _ in rows) else "string")
    assert column.required == all(n is not None for n, _, _ in rows)
