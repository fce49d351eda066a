"""What a statement may be. Whole attacks are in tests/integration/test_query_sandbox.py."""

from contextlib import suppress

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thinmesh.adapters.duckdb.query.screen import Unwelcome, screen

CONNECTION = duckdb.connect(config={"threads": 1, "async_threads": 0})


def screened(sql):
    return screen(CONNECTION, sql)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1", []),
        ("SELECT * FROM a.b", [("a", "b")]),
        ('SELECT * FROM MESH."A".B', [("a", "b")]),
        ("SELECT * FROM a.b JOIN a.c USING (x) WHERE EXISTS (FROM d.e)", [("a", "b"), ("a", "c"), ("d", "e")]),
        ("WITH b AS (SELECT 1) SELECT * FROM b, a.b", [("a", "b")]),
        ("SELECT * FROM a.b UNION SELECT * FROM a.b", [("a", "b")]),
        ("SELECT (SELECT max(x) FROM (SELECT * FROM a.b))", [("a", "b")]),
        ("SUMMARIZE a.b", [("a", "b")]),
    ],
)
def test_every_table_is_found(sql, tables):
    assert sorted(screened(sql).tables) == tables


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SHOW TABLES", "show"),
        ("show all tables;", "show"),
        ("SHOW TABLES FROM a", "show"),
        ("DESCRIBE a.b", "describe"),
        ("DESCRIBE SELECT x FROM a.b", "select"),
        ("DESCRIBE SELECT * FROM a.b WHERE x", "select"),
        ("DESCRIBE SELECT * EXCLUDE (x) FROM a.b", "select"),
        ("-- why\nEXPLAIN SELECT 1", "explain"),
        ("EXPLAIN ANALYZE SELECT 1", "explain"),
        ("TABLE a.b", "select"),
    ],
)
def test_the_kind_is_known(sql, kind):
    assert screened(sql).kind == kind


def test_a_bare_name_is_helped():
    with pytest.raises(Unwelcome) as failure:
        screened("SELECT * FROM orders")
    assert "product.table" in failure.value.help


@pytest.mark.parametrize("name", ["a." + "x" * 300, "x" * 300 + ".a", "mesh.a." + "x" * 300])
def test_a_name_longer_than_any_is_none(name):
    with pytest.raises(Unwelcome) as failure:
        screened(f"SELECT * FROM {name}")
    assert len(failure.value.detail) < 300


def test_a_kind_that_python_does_not_know_is_refused():
    with pytest.raises(Unwelcome, match="UPDATE does not run"):
        screened("UPDATE EXTENSIONS")


def test_reading_the_catalog_rewrites_the_statement_and_nothing_else():
    found = screened("SELECT t.table_name FROM information_schema.tables t WHERE t.table_name LIKE 'a%'")
    assert found.catalog
    assert found.tables == []
    assert "information_schema." not in found.sql
    assert "LIKE" in found.sql or "~~" in found.sql


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40), st.integers(0, 10**12))
@example("it's", 5)
def test_literals_never_stand_in_the_masked_text(secret, number):
    quoted = "'zq" + secret.replace("'", "''") + "qz'"
    masked = screened(f"SELECT * FROM a.b WHERE x = {quoted} AND y > {number}77 -- zq {secret!r} qz").masked
    assert "zq" not in masked
    assert "77" not in masked
    assert masked.startswith("SELECT * FROM a.b WHERE x = ? AND y > ?")


WORDS = st.sampled_from(
    """SELECT FROM WITH AS ( ) , ; a.b mesh.a.b c * 1 'x' "q" EXPLAIN ANALYZE DESCRIBE SHOW TABLES VALUES UNION ALL JOIN
    ON WHERE COPY TO read_csv('x') getenv('x') INSERT INTO -- /* */ $$ $1 ? :x [ ] { } lambda x: PIVOT LIMIT""".split()
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.lists(WORDS, max_size=14).map(" ".join), st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    )
)
def test_nothing_but_a_refusal_comes_of_nonsense(sql):
    with suppress(Unwelcome, duckdb.Error):
        found = screened(sql)
        assert found.kind in ("select", "explain", "show", "describe")
        assert "read_csv" not in sql or "'read_csv" in sql or "--" in sql or "/*" in sql or "$$" in sql
