"""One prepared, locked, in-memory DuckDB database: bound once to the tables of one user, and never to others.

Files are read by their open descriptors (`/proc/self/fd/N`): no path of the lake is known to the engine, so none can
stand in a plan or an error.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from thinmesh.kernel.table_records import outlines

from . import encode, evolution, json_rows, sandbox
from .screen import CATALOG_SCHEMA, Screened, screen

# Rows of one Arrow batch; large enough that DuckDB's own Arrow rate is reached, small enough for flat memory.
BATCH_ROWS = 65_536
_TEXT_BATCH_ROWS = 16_384
_CHUNK_ROWS = 2048
# Values that are written as text at once: as objects of Python they take a hundred bytes each.
_TEXT_CELLS = 1 << 18
# Of more columns the expressions of a CSV record take more memory than their values, and lie too deep for DuckDB.
_CSV_COLUMNS = 256


_LINE_BEFORE = "EXPLAIN"
_PLACE = re.compile(r"(\n\nLINE )(\d+)")
_ERROR = re.compile(r"((?:[A-Za-z]+ )+)Error: ")


class Broken(Exception):
    """The answer failed after it had begun: the kind of DuckDB's error (`ConversionException`), and its text."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail


class Session:
    """Prepare the database; then `screen`, `bind` once, `run`.

    `walled` tells that Landlock stands around this process: then nothing is bound that it does not fence in.
    """

    def __init__(
        self, memory: int, threads: int, scratch: Path | None, scratch_bytes: int, *, walled: bool = False
    ) -> None:
        self._walled = walled
        self._threads = threads
        self._scratch = scratch
        self._bound = False
        self._unreadable: set[tuple[str, str]] = set()
        # One thread until the files are fenced in: threads started later inherit the fence.
        self.connection = duckdb.connect(":memory:", config={"threads": 1, "async_threads": 0})
        folder = encode.text(str(scratch)) if scratch else "''"
        self.connection.execute(
            "ATTACH ':memory:' AS mesh; USE mesh; SET TimeZone = 'UTC'; SET python_enable_replacements = false;"
            "SET autoload_known_extensions = false; SET autoinstall_known_extensions = false;"
            f"SET memory_limit = '{memory}B'; SET temp_directory = {folder}; SET enable_progress_bar = false;"
            "SET parquet_metadata_cache = true; SET allow_community_extensions = false"
        )
        if scratch:
            self.connection.execute(f"SET max_temp_directory_size = '{scratch_bytes}B'")

    def screen(self, sql: str) -> Screened:
        """Judge a statement."""
        return screen(self.connection, sql)

    def bind(self, binding: Mapping[str, Any]) -> None:
        """Make the views of tables that one user may read, and lock the database.

        `binding`: `tables` [{product, table, columns [[id, name, type]], files}], `visible` {products, records} or null
        (of each table its product, and its record as in kernel/table_records.py), `answer` {columns, rows} or null.
        """
        if self._bound:
            raise RuntimeError("a session is bound once")
        self._bound = True
        opened: list[int] = []
        for table in binding["tables"]:
            try:
                opened += self._view(table)
            except (FileNotFoundError, evolution.Unreadable):
                # That is the matter of the statements that name it.
                self._unreadable.add((table["product"], table["table"]))
        if binding.get("visible") is not None:
            self._catalog(binding["visible"])
        if binding.get("answer"):
            self._answer(binding["answer"])
        if not sandbox.fence(opened, self._scratch) and self._walled:
            raise RuntimeError("the files could not be fenced in")
        allowed = ", ".join(f"'/proc/self/fd/{descriptor}'" for descriptor in opened)
        self.connection.execute(
            f"SET allowed_paths = [{allowed}]; SET enable_external_access = false; SET threads = {self._threads};"
            "SET lock_configuration = true"
        )

    def _view(self, table: Mapping[str, Any]) -> list[int]:
        schema, name = encode.quoted(table["product"]), encode.quoted(table["table"])
        columns = [tuple(column) for column in table["columns"]]
        opened = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in table["files"]]
        paths = [f"/proc/self/fd/{descriptor}" for descriptor in opened]
        rows = evolution.relation([(path, evolution.layout(path)) for path in paths], columns)
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS mesh.{schema}")
        self.connection.execute(f"CREATE VIEW mesh.{schema}.{name} AS {rows}")
        return opened

    def _catalog(self, visible: Mapping[str, Any]) -> None:
        """Fill the tables that stand for information_schema with what the caller may read."""
        where = f"mesh.{encode.quoted(CATALOG_SCHEMA)}"
        self.connection.execute(f"CREATE SCHEMA {where}")
        products, records = visible["products"], visible["records"]
        names = [record["name"] for record in records]
        mesh = "'mesh' AS table_catalog, table_schema, table_name"
        self._fill(f"{where}.schemata", {"schema_name": _texts(sorted(set(products)))}, "'mesh' AS catalog_name, *")
        self._fill(
            f"{where}.tables",
            {"table_schema": _texts(products), "table_name": _texts(names)},
            f"{mesh}, 'BASE TABLE' AS table_type",
        )
        columns = [column for record in records for column in outlines(record)]
        counts = [len(record["columns"]) for record in records]
        self._fill(
            f"{where}.columns",
            {
                "table_schema": _texts(_repeated(products, counts)),
                "table_name": _texts(_repeated(names, counts)),
                "column_name": _texts([column.name for column in columns]),
                "ordinal_position": _numbers([place for count in counts for place in range(1, count + 1)]),
                "is_nullable": _texts(["NO" if column.required else "YES" for column in columns]),
                "data_type": _texts(
                    ["JSON" if column.result_type == "json" else column.sql_type for column in columns]
                ),
            },
            f"{mesh}, column_name, ordinal_position, NULL::VARCHAR AS column_default, is_nullable, data_type",
        )

    def _answer(self, answer: Mapping[str, Any]) -> None:
        self.connection.execute("CREATE SCHEMA mesh.answer")
        columns = {name: _texts([row[place] for row in answer["rows"]]) for place, name in enumerate(answer["columns"])}
        self._fill("mesh.answer.rows", columns)

    def _fill(self, name: str, columns: Mapping[str, pa.Array], chosen: str = "*") -> None:
        """Make a table of expressions over columns; by Arrow, for DuckDB takes each value of a parameter by itself."""
        self.connection.from_arrow(pa.table(columns)).project(chosen).create(name)

    def explain(self, sql: str, analyze: bool) -> list[list[str]]:
        """Give the plan of a statement as rows of texts."""
        word = "EXPLAIN ANALYZE" if analyze else "EXPLAIN"
        return [list(map(str, row)) for row in self.connection.execute(f"{word} {sql}").fetchall()]

    def require(self, tables: Iterable[tuple[str, str]]) -> None:
        """Raise Unreadable where a file of one of these (product, table) could not be read."""
        if not self._unreadable.isdisjoint(tables):
            raise evolution.Unreadable

    def query(self, sql: str, limit: int | None) -> Answer:
        """Bind a statement that `screen` let through; nothing runs before the answer is read."""
        return Answer(self.connection, sql, limit)


class Answer:
    """The rows of one statement: `columns` [(name, DuckDB type)], then one of the streams, once."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, sql: str, limit: int | None) -> None:
        self._connection = connection
        self._sql = sql
        self._limit = limit
        relation = _placed(connection, sql, limit)
        self.names = list(relation.columns)
        self.types = [str(kind) for kind in relation.types]
        self._relation = relation
        self.rows = 0
        self.truncated = False

    def _reader(self, projection: str | None, batch_rows: int) -> pa.RecordBatchReader:
        relation = self._relation
        if projection:
            names = ", ".join(self._internal())
            relation = self._connection.sql(f"SELECT {projection} FROM ({self._sql}\n) AS answer({names})")
            if self._limit is not None:
                relation = relation.limit(self._limit + 1)
        return relation.to_arrow_reader(batch_rows)

    def _projection(self, expression: Callable[[str, str], str]) -> str | None:
        """Write the expressions of all columns; nothing where each is the column itself."""
        pairs = list(zip(self._internal(), self.types, strict=True))
        if all(expression(*pair) == pair[0] for pair in pairs):
            return None
        return ", ".join(f"{expression(*pair)} AS {pair[0]}" for pair in pairs)

    def _internal(self) -> list[str]:
        return [f"c{number}" for number in range(len(self.names))]

    def _cut(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        """Give the batches up to the limit, and end the reader: the connection is free for the next statement."""
        with reader:
            for batch in _batches(reader):
                room = batch.num_rows if self._limit is None else self._limit - self.rows
                if batch.num_rows > room:
                    self.truncated, batch = True, batch.slice(0, room)
                self.rows += batch.num_rows
                if batch.num_rows:
                    yield batch
                if self.truncated:
                    return

    def csv(self) -> Iterator[memoryview]:
        """Give the answer as CSV with a header."""
        yield memoryview(encode.csv_header(self.names))
        if len(self.names) > _CSV_COLUMNS:
            for batch in self._text_batches(encode.bare):
                yield memoryview(encode.csv_rows(batch))
            return
        for batch in self._cut(self._reader(encode.csv_row(self._internal(), self.types), _TEXT_BATCH_ROWS)):
            yield _text_of(batch.column(0))

    def json(self) -> Iterator[memoryview]:
        """Give the answer as the rows of a JSON array, each with a comma before."""
        for batch in self._text_batches(json_rows.source):
            yield memoryview(json_rows.write(batch, self.types))

    def _text_batches(self, expression: Callable[[str, str], str]) -> Iterator[pa.RecordBatch]:
        """Give the answer in batches to be written here, of fewer rows where they have many columns."""
        most = max(_TEXT_CELLS // len(self.names), 1)
        # DuckDB's own chunks are the least that its reader gives.
        rows = min(_TEXT_BATCH_ROWS, max(most, _CHUNK_ROWS))
        for batch in self._cut(self._reader(self._projection(expression), rows)):
            for begin in range(0, batch.num_rows, most):
                yield batch.slice(begin, most)

    def batches(self) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Give the answer as record batches of the fixed types, under the answer's own names."""
        reader = self._reader(self._projection(encode.plain), BATCH_ROWS)
        schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, self.names, strict=True)])
        return schema, self._cut(reader)


def _placed(connection: duckdb.DuckDBPyConnection, sql: str, limit: int | None) -> duckdb.DuckDBPyRelation:
    """Bind a statement. DuckDB leaves the place out of what it says of one that does not bind; EXPLAIN tells it."""
    try:
        return _limited(connection, sql, limit)
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        try:
            connection.execute(f"{_LINE_BEFORE}\n{sql}")
        except type(error) as placed:
            told = _PLACE.sub(lambda found: f"{found[1]}{int(found[2]) - 1}", str(placed))
            raise type(error)(told) from None
        raise


def _limited(connection: duckdb.DuckDBPyConnection, sql: str, limit: int | None) -> duckdb.DuckDBPyRelation:
    """Bind a statement with one row more than the limit, in one step: to bind it again costs half a millisecond.

    Names and types are the statement's own. DESCRIBE and SUMMARIZE take no LIMIT: they are bound twice.
    """
    if limit is None:
        return connection.sql(sql)
    try:
        return connection.sql(f"({sql}\n) LIMIT {limit + 1}")
    except duckdb.ParserException:
        return connection.sql(sql).limit(limit + 1)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Read batches. Arrow makes one error (OSError) of all that DuckDB raises meanwhile; raises Broken for it."""
    try:
        yield from reader
    except MemoryError:
        raise
    except (OSError, pa.ArrowException) as error:
        found = _ERROR.match(str(error))
        if not found:
            raise
        name = "".join(word if word == "IO" else word.capitalize() for word in found[1].split())
        raise Broken(f"{name}Exception", str(error)) from None


def _text_of(column: pa.Array) -> memoryview:
    """Give the bytes of all values of a text column, one after another, without copying."""
    _, offsets, data = column.buffers()
    whole = memoryview(offsets).cast("B")
    places = whole.cast("q") if pa.types.is_large_string(column.type) else whole.cast("i")
    return memoryview(data)[places[column.offset] : places[column.offset + len(column)]]


def _repeated(values: Sequence[str], counts: Sequence[int]) -> list[str]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def _texts(values: Sequence[str | None]) -> pa.Array:
    """Make a text column. `pa.array` would look for pandas, which is out of this process's reach."""
    written = [(value or "").encode("utf-8", "replace") for value in values]
    present = None
    if None in values:
        bits = "".join("0" if value is None else "1" for value in reversed(values))
        present = pa.py_buffer(int(bits, 2).to_bytes((len(values) + 7) // 8, "little"))
    ends = array("i", accumulate(map(len, written), initial=0))
    buffers = [present, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(written))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _numbers(values: Sequence[int]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values).tobytes())])
