"""Errors of DuckDB as people see them."""

import duckdb
import pytest

from thinmesh.adapters.duckdb.query.report import clean, refusal
from thinmesh.adapters.duckdb.query.session import Session
from thinmesh.planes.query.model import Parsed, TableName

PARSED = Parsed("select", (TableName("shop", "orders"),))


def test_the_statement_is_not_echoed_and_nearest_names_become_help():
    error = refusal(
        {
            "kind": "BinderException",
            "detail": 'Binder Error: Referenced column "pric" not found in FROM clause!\n'
            'Candidate bindings: "price"\n\nLINE 2: SELECT pric\n               ^',
            "help": "",
        },
        PARSED,
    )
    assert error.status == 422
    assert error.detail.startswith('Referenced column "pric" not found')
    assert error.detail.endswith("(line 2)")
    assert "SELECT" not in error.detail
    assert '"price"' in error.help


@pytest.mark.parametrize(
    "detail",
    [
        'IO Error: Could not read "/srv/mesh/lake/shop/orders/8f.parquet": corrupt',
        "Invalid Input Error: No magic bytes found at end of file '/proc/self/fd/7'",
        'Permission Error: Cannot access file "/proc/self/fd/12" - disabled',
        "IO Error: /srv/mesh/lake/x.parquet is broken",
    ],
)
def test_paths_are_left_out(detail):
    assert "/" not in clean(detail)


def test_arithmetic_is_no_path():
    assert (
        clean("Binder Error: No function matches '/(VARCHAR, INTEGER)'") == "No function matches '/(VARCHAR, INTEGER)'"
    )


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("ParserException", 422),
        ("ConversionException", 422),
        ("OutOfMemoryException", 422),
        ("missing", 503),
        ("InternalException", 500),
        ("internal", 500),
    ],
)
def test_every_kind_has_its_status(kind, status):
    assert refusal({"kind": kind, "detail": "X Error: y", "help": ""}, PARSED).status == status


def test_system_tables_are_not_suggested():
    error = refusal(
        {"kind": "CatalogException", "detail": 'Catalog Error: no x!\nDid you mean "pg_attrdef"?', "help": ""}, PARSED
    )
    assert "pg_" not in error.detail + error.help


def test_depth_is_said_in_words_that_help():
    detail = 'Parser Error: Max expression depth limit of 1000 exceeded. Use "SET max_expression_depth TO x" to …'
    error = refusal({"kind": "ParserException", "detail": detail, "help": ""}, PARSED)
    assert "nested too deeply" in error.detail
    assert "SET" not in error.detail + error.help


@pytest.mark.parametrize("begin", ["Candidate bindings: ", 'Did you mean "', ""])
def test_no_text_is_long_however_long_its_values(begin):
    error = refusal({"kind": "InvalidInputException", "detail": begin + "x" * 100_000 + '"', "help": ""}, PARSED)
    assert len(error.detail + error.help) < 5000


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT nothing", (1, 8, "at nothing")),
        ("SELECT 1 AS one\nFROM range(3)\n  WHERE tw = 1", (3, 9, "at tw")),
        ("EXPLAIN SELECT nothing", (1, 16, "at nothing")),
        ("SELECT 'é€😀', nothing", (1, 15, "at nothing")),
        ("\tSELECT nothing", (1, 9, "at nothing")),
        ("SELECT 1\nFROM", (2, 1, "at FROM")),
        ("SELECT nofunction(1)", (1, 8, "at nofunction(1)")),
        ("EXPLAIN\nSELECT nothing", None),
        ("  \t SELEC 1", (1, 5, "at SELEC")),
        ("SELECT\tnothing", (1, 8, "at nothing")),
        (f"SELECT {'1 + ' * 60}nothing {' + 2' * 60}", (1, 248, "at nothing")),
    ],
    ids=range(11),
)
def test_a_fault_is_shown_at_its_place_where_that_is_sure(sql, place):
    session = Session(64 << 20, 1, None, 0)
    with pytest.raises(duckdb.Error) as refused:
        session.query(session.screen(sql).sql, 1)
    found = refusal({"kind": type(refused.value).__name__, "detail": str(refused.value), "help": ""}, None, sql)
    told = [(each.examples[0].line, each.examples[0].position, each.message) for each in found.violations]
    assert told == ([place] if place else [])
    session.connection.close()
