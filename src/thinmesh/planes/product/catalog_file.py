"""`data_catalog.csv` on `main`: follows the log when a product is registered, changed or retired."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.ledger import Actor, Draft
from thinmesh.kernel.repository import Signature

from .backend import Backends

PATH = "data_catalog.csv"
COLUMNS = ("name", "domain", "owner", "description", "tables", "access")
# What a terminal obeys, or shows in another order than it is in: control characters, line and paragraph separators,
# and those of the bidirectional algorithm (UAX #9). Joiners stay; letters of some scripts and emoji need them.
_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
SERVER = Actor("thinmesh", "server")
SERVER_SIGNATURE = Signature("thinmesh", "thinmesh@thinmesh.invalid")


class CatalogFile:
    """Keeps the catalog file. One commit takes in everything since the last one."""

    name = "catalog_file"

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def follow(self) -> int:
        """Bring the file up to date; give 1 where it changed."""
        with self._backends.database.read() as tx:
            latest = self._backends.index.described_since(tx, self._cursor(tx))
            if latest is None:
                return 0
            content = self.content(tx)
        # Written before, so that nobody waits for it; what is registered meanwhile comes with the next one.
        id = self._backends.data.add(content)
        return int(self._backends.ledger.submit(lambda tx, tip: self._put(tx, tip, latest, id)) is not None)

    def content(self, tx: Transaction) -> bytes:
        """Write the file as it should be."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self._backends.index.catalog(tx):
            writer.writerow([_cell(row, column) for column in COLUMNS])
        return text.getvalue().encode()

    def _cursor(self, tx: Transaction) -> int:
        return self._backends.index.position(tx, self.name)

    def _put(self, tx: Transaction, tip: str, latest: int, id: str) -> Draft | None:
        if self._cursor(tx) >= latest:
            return None
        self._backends.index.move_position(tx, self.name, latest)
        present = self._backends.data.file(tip, PATH)
        if present and present.id == id:
            return None
        return Draft(SERVER, (), "Update the catalog file", SERVER_SIGNATURE, {PATH: id})


def _cell(row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(value)
    return _UNPRINTED.sub(" ", str(value)).strip()
