"""What the mesh needs of a relational database. SQLite when embedded; PostgreSQL beyond one machine.

SQL is written in the subset both share, with `:name` parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = Mapping[str, Any]
Parameters = Mapping[str, Any]


class Transaction(Protocol):
    """One transaction: every statement in it sees one state."""

    def execute(self, sql: str, parameters: Parameters = ...) -> int:
        """Run one statement and give the number of rows it changed."""

    def execute_many(self, sql: str, parameters: Sequence[Parameters]) -> None:
        """Run one statement for each set of parameters."""

    def one(self, sql: str, parameters: Parameters = ...) -> Row | None:
        """Give the first row, or nothing."""

    def all(self, sql: str, parameters: Parameters = ...) -> list[Row]:
        """Give all rows."""


class Database(Protocol):
    """Opens transactions. Safe to use from several threads."""

    def read(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that reads one consistent state."""

    def write(self, *, logged: bool = False) -> AbstractContextManager[Transaction]:
        """Open the one writing transaction; it is durable when the block ends, undone when the block raises.

        With `logged` the log holds durably what is written here, or what it is made from: a power failure may undo it,
        together with nothing but others like it, and it is done again. Whatever is written durably later makes it
        durable too.
        Raises Temporary where another writer holds the database for longer than 10 s, or the disk is full.
        """

    def close(self) -> None:
        """Close every connection."""
