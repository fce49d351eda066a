"""What one registration costs does not grow with the number of products: no statement reads all rows of a table."""

import sqlite3
from contextlib import closing

import pytest

from tests.integration.keeping import Kept
from thinmesh.bootstrap import init_home

# What has one row for each product, or more. SQLite calls every look-up in a virtual table a scan.
GROWING = {"products", "product_tags", "product_tables", "product_history", "publications", "data_files", "cursors"}
TABLES = {"t": {"columns": {"id": "integer"}}}


@pytest.fixture
def traced(tmp_path, monkeypatch):
    """A home with a product, and the statements that are run on its database from now on."""
    init_home(tmp_path / "home")
    statements, connect = set(), sqlite3.connect

    def connected(*arguments, **more):
        connection = connect(*arguments, **more)
        connection.set_trace_callback(statements.add)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connected)
    with closing(Kept(tmp_path / "home")) as kept:
        kept.platform.identity.create_team(kept.admin, "team", ["d"])
        kept.register("first", tags=["a"], tables=TABLES)
        kept.platform.follow()
        statements.clear()
        yield kept, statements
    monkeypatch.undo()


def scanned(kept, statements):
    """Give the growing tables that any of the statements reads from end to end."""
    found = set()
    with closing(sqlite3.connect(kept.path / "thinmesh.db")) as database:
        for statement in statements:
            if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
                plan = [row[3].split() for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")]
                found |= {line[1] for line in plan if line[0] == "SCAN"}
    return found & GROWING


def test_registering_reads_no_table_from_end_to_end(traced):
    kept, statements = traced
    kept.register("orders", tags=["a", "b"], tables=TABLES)
    kept.register("orders", tags=["b"], description="Changed", tables=TABLES)
    kept.platform.catalog_file.follow()
    kept.platform.warehouse.follow()
    told = set(statements)
    assert any(each.startswith("DELETE FROM product_tags") for each in told)
    assert scanned(kept, told) == set()


def test_a_statement_that_reads_a_table_from_end_to_end_is_found(traced):
    kept, _ = traced
    assert scanned(kept, {"DELETE FROM product_tags WHERE tag || product = 'x'"}) == {"product_tags"}
