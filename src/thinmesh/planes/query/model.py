"""The nouns of the query plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from thinmesh.kernel.contract import Column
from thinmesh.kernel.table_records import TableRecord

# The formats of an answer, and their media types (INTERFACE, *HTTP*).
FORMATS = {
    "json": "application/json",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
# JSON without a limit stops here (INTERFACE, *HTTP*).
JSON_ROWS = 10_000
MAX_SQL_BYTES = 1_000_000
# The query log keeps so much of a statement: enough for any that a person wrote.
LOGGED_CHARACTERS = 65_536


@dataclass(frozen=True, slots=True)
class TableName:
    """A table as a statement names it."""

    product: str
    table: str

    def __str__(self) -> str:
        return f"{self.product}.{self.table}"


@dataclass(frozen=True, slots=True)
class ReadableTable:
    """A table that the caller may read, at one publication: its columns with field ids, and its local Parquet files.

    No files: the table has no data yet. `publication` is None then.
    """

    product: str
    table: str
    columns: tuple[Column, ...]
    publication: str | None = None
    files: tuple[Path, ...] = ()
    primary_key: tuple[str, ...] = ()
    description: str | None = None

    @property
    def name(self) -> TableName:
        """Give the name that statements use."""
        return TableName(self.product, self.table)


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of an answer; `type` is from the fixed list (INTERFACE, *HTTP*)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the engine's own parser found in a statement.

    `kind` is `select`, `explain`, `show` (the tables) or `describe` (the one table of `tables`); `catalog` tells
    that information_schema is read. `columns` are the column names that occur, lower case. `masked` is the text
    with its literals replaced.
    """

    kind: str
    tables: tuple[TableName, ...] = ()
    columns: tuple[str, ...] = ()
    catalog: bool = False
    masked: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows that come from the index instead of the engine (`SHOW TABLES`, `DESCRIBE`); all texts."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """What a statement runs over: the tables it names, and every table the caller may see where it asks for them.

    `others` are further tables that this caller may read now: an engine may prepare them for the next statement.
    """

    tables: tuple[ReadableTable, ...] = ()
    visible: tuple[TableRecord, ...] | None = None
    answer: Answer | None = None
    others: tuple[ReadableTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """An entry of the query log.

    `state` is `running`, `done`, `failed`, `cancelled` or `interrupted` (the server ended). `sql` is the full text for
    its author and administrators, else the masked one. `seconds` counts from acceptance, waiting included.
    """

    id: str
    user: str
    door: str
    sql: str
    state: str
    started: str
    format: str = "json"
    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    error: str | None = None
    masked: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows of a table, as in a JSON answer."""

    columns: tuple[dict[str, str], ...]
    rows: tuple[tuple[object, ...], ...]
    row_count: int


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What a column holds: `distinct` and the quantiles are approximate, `top` are frequent values as texts.

    `min` and `max` are texts; `mean` and `q25`, `q50`, `q75` are of numeric columns, over finite values. `quantiles`
    are 21, from the least to the greatest value in steps of a twentieth, of numbers, and of dates and timestamps in
    seconds since 1970. `top_counts` tells how often each value of `top` occurs, for texts and booleans.
    """

    column: str
    type: str
    rows: int
    nulls: int
    distinct: int
    min: str | None
    max: str | None
    mean: float | None
    q25: float | None
    q50: float | None
    q75: float | None
    top: tuple[str, ...]
    quantiles: tuple[float, ...] = ()
    top_counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who read a product: how many statements, and the last day (YYYY-MM-DD)."""

    user: str
    statements: int
    latest: str


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a product was read in the last `days`, today included. `by_day` leaves out days without a statement.

    `readers` are those who read most, None for whoever may not know them by name.
    """

    days: int
    statements: int
    users: int
    by_day: Mapping[str, int]
    readers: tuple[Reader, ...] | None
