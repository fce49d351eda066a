"""A second index, made from the log alone in a database of its own: to compare with the platform's, and replace it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from thinmesh.kernel.database import Database, Transaction
from thinmesh.kernel.ledger import Entry
from thinmesh.kernel.scratch import scratch_folder

from .index import SqlProductIndex
from .index_schema import PROJECTION_TABLES
from .schema import STORES, migrate
from .spelling import SPELLING_FILL
from .sqlite import SqliteDatabase

_BATCH = 1000  # log entries in one transaction
_ROWS = 500  # rows copied at once
# How the rows of each table are brought into an order that both sides share.
_OF_PRODUCT = {
    "products": "SELECT name AS of_product, * FROM products ORDER BY name",
    "product_tags": "SELECT product AS of_product, * FROM product_tags ORDER BY product, tag",
    "product_inputs": "SELECT product AS of_product, * FROM product_inputs ORDER BY product, position",
    "product_tables": "SELECT product AS of_product, * FROM product_tables ORDER BY product, name",
    "data_files": "SELECT product AS of_product, * FROM data_files ORDER BY product, table_name, position",
    "publications": "SELECT product AS of_product, * FROM publications ORDER BY product, number",
    "product_history": "SELECT product AS of_product, * FROM product_history ORDER BY product, sequence",
    "product_words": """SELECT COALESCE(p.name, '') AS of_product, w.* FROM product_words w
        LEFT JOIN products p ON p.rowid = w.rowid ORDER BY w.rowid""",
    "product_names": """SELECT COALESCE(p.name, '') AS of_product, w.* FROM product_names w
        LEFT JOIN products p ON p.rowid = w.rowid ORDER BY w.rowid""",
}
# What each table is to whoever reads the finding.
_WORDS = {
    "product_tags": "tags",
    "product_inputs": "inputs",
    "product_tables": "tables",
    "data_files": "data files",
    "product_history": "history",
    "product_words": "search words",
    "product_names": "search words of the name",
}


class SqlIndexReplica:
    """An index in a scratch database (planes/operations/backend.py, `IndexReplica`)."""

    def __init__(self, database: Database, read: Callable[[str], bytes]) -> None:
        self._database = database
        self._index = SqlProductIndex(read)
        migrate(database, {"index": STORES["index"]})

    @property
    def cursor(self) -> tuple[str, int]:
        """Give (id, sequence) of the last entry taken in."""
        with self._database.read() as tx:
            return self._index.cursor(tx)

    def follow(self, entries: Iterable[Entry]) -> int:
        """Take in further entries; give how many."""
        count = 0
        source = iter(entries)
        while batch := list(islice(source, _BATCH)):
            with self._database.write() as tx:
                for entry in batch:
                    self._index.apply(tx, entry)
                self._index.move_cursor(tx, batch[-1].id, batch[-1].sequence)
            count += len(batch)
        return count

    def differences(self, tx: Transaction) -> list[str]:
        """Say in which products, and in what, the platform's index differs from this one."""
        found: dict[str, list[str]] = {}
        with self._database.read() as own:
            for table in PROJECTION_TABLES:
                expected, present = _digests(own, table), _digests(tx, table)
                for product in sorted(expected.keys() | present.keys()):
                    if expected.get(product) != present.get(product):
                        found.setdefault(product, []).append(_WORDS.get(table, table))
        return [f"{product or 'a product that is not there'} ({', '.join(what)})" for product, what in found.items()]

    def install(self, tx: Transaction) -> dict[str, int]:
        """Put the content of this one in place of the platform's index; give the rows by table."""
        index = SqlProductIndex(_unread)
        index.clear(tx)
        with self._database.read() as own:
            counts = {table: _copy(own, tx, table) for table in PROJECTION_TABLES}
            index.move_cursor(tx, *self._index.cursor(own))
        for statement in SPELLING_FILL:
            tx.execute(statement)
        return counts


@contextmanager
def open_replica(folder: Path, read: Callable[[str], bytes]) -> Iterator[SqlIndexReplica]:
    """Make an empty replica in a folder of its own under `folder`, gone at the end."""
    with scratch_folder(folder, "index-") as place:
        database = SqliteDatabase(place / "index.db")
        try:
            yield SqlIndexReplica(database, read)
        finally:
            database.close()


def _digests(tx: Transaction, table: str) -> dict[str, bytes]:
    """Give a digest of each product's rows."""
    found: dict[str, hashlib._Hash] = {}
    for row in tx.all(_OF_PRODUCT[table]):
        values = tuple(row)
        found.setdefault(str(values[0]), hashlib.sha256()).update(repr(values).encode("utf-8", "replace"))
    return {product: digest.digest() for product, digest in found.items()}


def _copy(source: Transaction, target: Transaction, table: str) -> int:
    """Copy a table with its rowids, some rows at a time."""
    last, count = 0, 0
    while True:
        rows = source.all(
            f"SELECT rowid AS rowid, * FROM {table} WHERE rowid > :last ORDER BY rowid LIMIT {_ROWS}", {"last": last}
        )
        if not rows:
            return count
        columns = list(rows[0].keys())
        names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
        target.execute_many(f"INSERT INTO {table} ({names}) VALUES ({values})", [dict(row) for row in rows])
        last, count = rows[-1]["rowid"], count + len(rows)


def _unread(id: str) -> bytes:
    raise KeyError(id)
