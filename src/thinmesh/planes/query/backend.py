"""What the query plane needs of others, as Protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from thinmesh.kernel.policy import Principal
from thinmesh.kernel.table_records import TableRecord

from .model import Binding, Parsed, ReadableTable, ResultColumn, Statement, TableName


class TableCatalog(Protocol):
    """The tables of the mesh, as one caller may see them."""

    def resolve(self, caller: Principal, names: Sequence[TableName]) -> Sequence[ReadableTable]:
        """Give the tables named, in order, all of one consistent state; others of their products may follow.

        Names are matched as written in lower case. Raises NotFound (with the nearest name), Retired, or NotAllowed
        for a table whose data the caller may not read.
        """

    def readable(
        self, caller: Principal, limit: int | None = None, after: Sequence[str] = ("", "")
    ) -> Sequence[TableRecord]:
        """Give the tables whose data the caller may read, by product and table name: `limit` after those two names."""

    def described(self, caller: Principal, product: str | None = None) -> Sequence[tuple[str, str, str | None]]:
        """Give (product, table, description) of every table that `readable` gives, in its order; or of one product's.

        Quick in a large mesh.
        """

    def names(self, caller: Principal) -> Mapping[str, Sequence[str]]:
        """Give the names of the tables that `readable` gives, by product, and nothing more: quick in a large mesh."""

    def describe(self, caller: Principal, name: TableName) -> ReadableTable:
        """Give a table's columns to any signed-in user (metadata, no files). Raises NotFound with the nearest name."""

    def names_readers(self, caller: Principal, product: str) -> bool:
        """Tell whether the caller may know by name who reads a product. Raises NotFound, Retired, NotAllowed."""


@dataclass(frozen=True, slots=True)
class Job:
    """One statement for an engine.

    `limit` caps the rows. `seconds` caps the time, waiting for a free worker included; while the reader of the answer
    does not take it the clock stands, but the engine ends the statement of one who stalls. `resolve` is asked once,
    with what the parser found, for the tables to run over; it raises where the caller may not.
    """

    user: str
    sql: str
    format: str
    limit: int | None
    seconds: float
    resolve: Callable[[Parsed], Binding]


class Outlet(Protocol):
    """Where the kernel can move an answer's bytes to, past this process. One thread uses it."""

    def begin(self, size: int) -> None:
        """Announce `size` bytes."""

    def fill(self, source: int, most: int) -> int:
        """Take some bytes, at most so many, from a descriptor; gives how many, none at its end. Raises OSError."""

    def flush(self, size: int, stopped: Callable[[], bool]) -> bool:
        """Pass on what was taken, and what came before; False where nobody takes it, or `stopped` meanwhile."""


class Run(Protocol):
    """One statement in an engine. Only `stop` may be called from other threads than the one that reads."""

    @property
    def parsed(self) -> Parsed | None:
        """What the parser found, once known."""

    @property
    def binding(self) -> Binding | None:
        """What the statement runs over, once resolved."""

    @property
    def columns(self) -> Sequence[ResultColumn]:
        """The answer's columns, once open."""

    @property
    def rows(self) -> int:
        """Count the rows of the answer, at its end."""

    @property
    def truncated(self) -> bool:
        """Tell, at the end, whether the limit cut the answer."""

    def open(self) -> None:
        """Wait for a worker, parse, resolve, start, and wait for the first rows.

        Raises Refused for what the engine refuses, TooManyRequests where the queue is full, Temporary where the
        statement was stopped, and what `resolve` raises.
        """

    def chunks(self) -> Iterator[bytes]:
        """Give the answer in the job's format, with flat memory; a JSON answer is its rows only, comma-separated.

        Closing the iterator early ends the statement. Raises as `open` does.
        """

    def pour(self, outlet: Outlet) -> Iterator[int]:
        """Move what `chunks` has not given to an outlet; gives the number of bytes as they go. Raises as `chunks`."""

    def close(self) -> None:
        """Give back what the statement holds, read to its end or not; for the thread that reads."""

    def stop(self, reason: str) -> None:
        """End the statement at once, wherever it is.

        `reason` is `cancelled` or `closed` (its reader gets Conflict), `stopping` or `stalled` (Temporary), or `late`
        (Refused).
        """


class Engine(Protocol):
    """Runs statements of people who are not trusted. Safe to use from several threads."""

    def submit(self, job: Job) -> Run:
        """Take a statement; nothing runs before `open`."""

    def sample(self, table: ReadableTable, rows: int) -> str:
        """Write the statement that gives some rows of a table."""

    def profile(self, table: ReadableTable) -> str:
        """Write the statement that gives one row per column, with the fields of ColumnProfile; `top` a JSON list."""

    def data(self, table: ReadableTable) -> str:
        """Write the statement that gives a whole table."""

    def report(self) -> Mapping[str, Any]:
        """Tell the engine's version, its workers, and which walls around them are in force (for doctor and status)."""

    def close(self) -> None:
        """End every statement and worker."""


class StatementLog(Protocol):
    """Who asked what, when. Keyed by user and id."""

    def record(self, statements: Sequence[Statement]) -> None:
        """Write entries, over earlier ones of the same user and id. `sql` holds the full text here."""

    def find(self, user: str | None, id: str) -> Statement | None:
        """Find an entry of a user; of anybody, the newest, where the user is None."""

    def list(self, user: str | None, limit: int, before: Sequence[str] | None) -> Sequence[Statement]:
        """Give entries of a user (None: all), newest first, after the position (`started`, `user`, `id`)."""

    def usage(self, product: str, since: str) -> tuple[Sequence[tuple[str, int]], Sequence[tuple[str, int, str]]]:
        """Give the statements that read a product since a day, by day, and by user with their last day, most first.

        Samples and profiles do not count.
        """

    def interrupted(self) -> None:
        """Mark what was running when the server ended."""
