"""What a caller may read, listed: as every product's own document says it, and at the cost of a page."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from tests.integration.keeping import Kept
from thinmesh.bootstrap import init_home
from thinmesh.kernel.policy import Action
from thinmesh.kernel.table_records import ColumnOutline, outlines, table_of_record
from thinmesh.planes.product.finding import facts, live_product
from thinmesh.planes.product.model import Snapshot

from .test_flat_statements import scanned

COLUMNS = [
    {"name": "id", "logicalType": "integer", "required": True, "unique": True, "description": "Ключ"},
    {"name": "amount", "logicalType": "number", "physicalType": "DECIMAL(12,2)", "classification": "personal"},
    {"name": "at", "logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}},
    {"name": "kind", "logicalType": "string", "physicalName": "Kind of it"},
    {"name": "parts", "logicalType": "array"},
    {"name": "local", "logicalType": "timestamp"},
    {"name": "share", "logicalType": "number", "physicalType": "double"},
]
# Their order in the descriptor is not that of their names.
TABLES = {
    "t": {"columns": COLUMNS, "primaryKey": ["id"], "description": 'What "was" sold'},
    "a": {"columns": {"id": "integer"}},
    "m": {"columns": {"x": "string", "y": "date"}, "unique": [["x", "y"]]},
}


@pytest.fixture(scope="module")
def statements() -> Iterator[set[str]]:
    """Every statement that is run on the database."""
    told, connect = set(), sqlite3.connect

    def connected(*arguments, **more):
        connection = connect(*arguments, **more)
        connection.set_trace_callback(told.add)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connected)
        yield told


@pytest.fixture(scope="module")
def kept(tmp_path_factory, statements) -> Iterator[Kept]:
    """A home with products of every kind, and callers who may read different ones."""
    path = tmp_path_factory.mktemp("readable") / "home"
    init_home(path)
    with closing(Kept(path)) as kept:
        identity, exchange = kept.platform.identity, kept.platform.exchange
        identity.create_team(kept.admin, "team", ["d"])
        for user in ("owner", "granted", "grouped", "lapsed", "stranger"):
            identity.add_user(kept.admin, user)
        identity.add_member(kept.admin, "team", "owner")
        identity.create_team(kept.admin, "guests", ["elsewhere"])
        identity.add_member(kept.admin, "guests", "grouped")
        for number in range(4):
            kept.register(f"open{number}", tables=TABLES)
            kept.register(f"closed{number}", access="request", tables=TABLES)
        kept.register("empty")
        kept.register("inferred")
        kept.publish("inferred", "a,b\n1,NA\n2,x\n")
        kept.publish("open1", "id\n1\n", table="a")
        kept.register("old", status="deprecated", tables=TABLES)
        kept.register("draft", status="draft", tables=TABLES)
        kept.register("gone", tables=TABLES)
        kept.platform.products.retire(kept.admin, "gone")
        for user, product, team in (("granted", "closed1", None), ("grouped", "closed2", "guests")):
            asked = exchange.request(caller(kept, user), product, "To see", team=team)
            exchange.approve(caller(kept, "owner"), asked.id)
        asked = exchange.request(caller(kept, "lapsed"), "closed1", "To see")
        exchange.approve(caller(kept, "owner"), asked.id)
        exchange.revoke(caller(kept, "owner"), asked.id)
        yield kept


def caller(kept, user):
    found = kept.platform.identity.principal_of_home(user)
    return replace(found, scope="write")


CALLERS = ("owner", "granted", "grouped", "lapsed", "stranger")


def by_documents(kept, who) -> list[Snapshot]:
    """Read every product's document, and ask the policy for each on its own."""
    backends = kept.platform
    found = []
    with backends.database.read() as tx:
        for name in backends.index.names(tx):
            product = live_product(backends, tx, name)
            if backends.policy.allows(who, Action.READ_DATA, facts(product)):
                found += [Snapshot(name, state.table, state.publication, ()) for state in product.tables.values()]
    return sorted(found, key=lambda one: (one.product, one.table.name))


def outline(column) -> ColumnOutline:
    return ColumnOutline(column.name, column.sql_type, column.result_type, column.required)


@pytest.mark.parametrize("user", CALLERS)
def test_the_index_says_what_the_documents_say(kept, user):
    who = caller(kept, user)
    wanted = by_documents(kept, who)
    reading = kept.platform.reading
    found = reading.readable(who)
    assert [Snapshot(one.product, table_of_record(one.read()), one.publication, ()) for one in found] == wanted
    assert [outlines(one.read()) for one in found] == [list(map(outline, one.table.columns)) for one in wanted]
    names = [(product, table) for product, tables in reading.names(who).items() for table in tables]
    assert sorted(names) == [(one.product, one.table.name) for one in wanted]
    assert [table for product, table in names if product == "open0"] in ([], list(TABLES))
    assert reading.described(who) == [(one.product, one.table.name, one.table.description) for one in wanted]
    for product in ("open0", "closed1", "closed3", "gone", "empty", "nothing", ""):
        part = [(one.product, one.table.name, one.table.description) for one in wanted if one.product == product]
        assert reading.described(who, product) == part


def test_callers_differ(kept):
    seen = {user: set(kept.platform.reading.names(caller(kept, user))) for user in CALLERS}
    always = {"open0", "open1", "open2", "open3", "inferred", "old", "draft"}
    assert seen["stranger"] == seen["lapsed"] == always
    assert seen["granted"] == always | {"closed1"}
    assert seen["grouped"] == always | {"closed2"}
    assert seen["owner"] == always | {f"closed{number}" for number in range(4)}


@pytest.mark.parametrize("user", CALLERS)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_pages_fit_together(kept, user, size):
    who = caller(kept, user)
    found, cursor = [], None
    while True:
        page = kept.platform.queries.tables(who, size, cursor)
        assert len(page.items) <= size
        found += [(item["product"], item["table"]) for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == [(one.product, one.table.name) for one in by_documents(kept, who)]


def test_a_token_that_may_only_publish_lists_nothing(kept):
    assert kept.platform.reading.readable(replace(caller(kept, "owner"), scope="publish:open0")) == []


def test_a_page_reads_no_table_from_end_to_end(kept, statements):
    who = caller(kept, "granted")
    statements.clear()
    assert len(kept.platform.reading.readable(who, 5, ("closed1", "m"))) == 5
    told = set(statements)
    assert any("json_each" in each for each in told)
    assert not any("document" in each for each in told)
    # The products are read along the index of their names, and no further than the page.
    assert scanned(kept, told) == set()
