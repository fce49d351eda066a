"""`data_catalog.csv` on `main`: follows the log when a product is registered, changed or retired.

Only the lines of products that changed are made; what remains for each product is to join, hash and compress its line,
which is done outside the interpreter. A process makes the file whole once, and whenever the file on `main` is not the
one that it made last: another process wrote it, or it is to be made anew.
"""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.ledger import Actor, Draft
from thinmesh.kernel.repository import Signature

from .backend import Backends

PATH = "data_catalog.csv"
COLUMNS = ("name", "domain", "owner", "description", "tables", "access")
_HEADING = f"{','.join(COLUMNS)}\n".encode()
# What a terminal obeys, or shows in another order than it is in: control characters, line and paragraph separators,
# and those of the bidirectional algorithm (UAX #9). Joiners stay; letters of some scripts and emoji need them.
_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
SERVER = Actor("thinmesh", "server")
SERVER_SIGNATURE = Signature("thinmesh", "thinmesh@thinmesh.invalid")


@dataclass(slots=True)
class _Made:
    """The file as this process made it last, or found it: its lines by product, of the index at `sequence`, its id."""

    lines: dict[str, bytes]
    sequence: int
    id: str = ""


class CatalogFile:
    """Keeps the catalog file. One commit takes in everything since the last one."""

    name = "catalog_file"

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._following = threading.Lock()
        self._made: _Made | None = None

    def follow(self) -> int:
        """Bring the file up to date; give 1 where it changed."""
        with self._following:
            with self._backends.database.read() as tx:
                position = self._cursor(tx)
                latest = self._backends.index.described_since(tx, position)
                if latest is None:
                    return 0
                made = self._next(tx, position, latest)
            # Written before, so that nobody waits for it; what is registered meanwhile comes with the next one.
            with self._backends.data.together():
                made.id = self._backends.data.add(_whole(made.lines))
            changed = self._backends.ledger.submit(lambda tx, tip: self._put(tx, tip, made)) is not None
            self._made = made
            return int(changed)

    def prepare(self) -> None:
        """Make the lines beforehand where the file is as it should be: the next change then makes its own alone."""
        with self._following:
            with self._backends.database.read() as tx:
                position = self._cursor(tx)
                if self._made or self._backends.index.described_since(tx, position) is not None:
                    return
                lines = _lines(self._backends.index.catalog(tx))
            present = self._present(self._backends.data.tip())
            if present and self._backends.data.read(present) == _whole(lines):
                self._made = _Made(lines, position, present)

    def content(self, tx: Transaction) -> bytes:
        """Write the file as it should be."""
        return _whole(_lines(self._backends.index.catalog(tx)))

    def _next(self, tx: Transaction, position: int, latest: int) -> _Made:
        """Make the lines as they should be, from those made last where these are the file's."""
        # Taken out: one that does not come to its end has changed the lines, and is not built on.
        made, self._made = self._made, None
        if made is None or made.sequence != position or made.id != self._present(self._backends.data.tip()):
            return _Made(_lines(self._backends.index.catalog(tx)), latest)
        for name in self._backends.index.described(tx, position):
            made.lines.pop(name, None)
        made.lines.update(_lines(self._backends.index.catalog(tx, position)))
        return _Made(made.lines, latest)

    def _cursor(self, tx: Transaction) -> int:
        return self._backends.index.position(tx, self.name)

    def _put(self, tx: Transaction, tip: str, made: _Made) -> Draft | None:
        if self._cursor(tx) >= made.sequence:
            return None
        self._backends.index.move_position(tx, self.name, made.sequence)
        if self._present(tip) == made.id:
            return None
        return Draft(SERVER, (), "Update the catalog file", SERVER_SIGNATURE, {PATH: made.id})

    def _present(self, tip: str) -> str:
        """Give the object id of the file at a commit; empty where there is none."""
        file = self._backends.data.file(tip, PATH)
        return file.id if file else ""


class _Encoder:
    """What a csv writer takes for a file: it hands on each line, encoded."""

    def write(self, line: str) -> bytes:
        return line.encode()


def _whole(lines: Mapping[str, bytes]) -> bytes:
    """Join the lines of products, by name, under their heading."""
    return b"".join([_HEADING, *(lines[name] for name in sorted(lines))])


def _lines(rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    writer: Any = csv.writer(_Encoder(), lineterminator="\n")
    return {row["name"]: writer.writerow([_cell(row, column) for column in COLUMNS]) for row in rows}


def _cell(row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(value)
    return _UNPRINTED.sub(" ", str(value)).strip()
