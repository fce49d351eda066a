"""A Parquet file of somebody else's, under check: its schema matched by name, widened only where nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import Violation
from thinmesh.planes.product.model import Upload

from . import lexical
from .connection import Connection, numbered, parquet
from .csv_source import tame
from .header import WIDEST, Header
from .quoting import identifier, literal
from .scan import Unreadable
from .survey import Found, Survey

_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_SMALL = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}
_WHOLE = _SMALL | {"BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"}
_TEXT = {"VARCHAR", "JSON", "UUID"}
_MOMENTS = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
# A double holds every whole number up to 2^53, and every decimal of up to 15 digits (IEEE 754).
_EXACT, _DIGITS = 2**53, 15
# The types with nanoseconds, of which whole microseconds are taken.
_FINER = {"TIMESTAMP": "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ_NS", "TIME": "TIME_NS"}
_FINE = "INT96 with digits below a microsecond"
_LONGEST = 38
# First bytes of a file, or of one whose footer is encrypted, which DuckDB refuses in its own words.
_MARKS = (b"PAR1", b"PARE")
_YEARS = {
    "DATE": "BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'",
    "TIMESTAMP": "BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'",
    "TIMESTAMP WITH TIME ZONE": (
        "BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00Z' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999Z'"
    ),
}


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what DuckDB says of a damaged Parquet file into Unreadable; a lack of memory passes."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.InterruptException):
        raise
    except duckdb.Error as error:
        if "No space left" in str(error):
            raise
        raise Unreadable("truncated", f"cannot be read as Parquet: {_first_line(error, path)}") from error


class ParquetSource:
    """One Parquet file under check, seen as a CSV file is: fields by name, texts and typed values."""

    doubtful = False

    def __init__(self, upload: Upload, work: Path, limit: int, connection: Connection) -> None:
        """Read the schema and the sizes from the footer. Raises Unreadable."""
        self.name, self.present = upload.name, upload.present
        self.path = path = tame(upload.path, work)
        self._relation = parquet([path])
        with upload.path.open("rb") as file:
            if file.read(4) not in _MARKS:
                raise Unreadable("file_format", "is no Parquet file; a CSV is named <table>.csv")
        self.size = upload.path.stat().st_size
        with readable(path):
            # Counted before anything else: a file of 30,000 columns takes minutes and gigabytes to be looked at.
            written = _written(connection, path)
            if len(written) > WIDEST:
                raise Unreadable("header", f"has {len(written)} columns, more than the {WIDEST} that are taken")
            described = connection.execute(f"DESCRIBE SELECT * FROM {self._relation}").fetchall()
            sizes = f"SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata({literal(str(path))})"
            unpacked = int(connection.execute(sizes).fetchone()[0])
            self.records = int(connection.execute(f"SELECT count(*) FROM {self._relation}").fetchone()[0])
        # Runs of equal values take no room in the file: a row counts as one byte at least.
        if limit and max(unpacked, self.records, self.size) > limit:
            raise Unreadable("too_large", f"holds more than the {limit} bytes that are taken")
        # DuckDB renames what differs in case alone; the header is what the file says.
        self._fields = [identifier(str(one[0])) for one in described]
        self.header = Header(tuple(name for name, _ in written), 0)
        self._types = [kind or str(one[1]).strip('"') for one, (_, kind) in zip(described, written, strict=True)]
        for n, kind in enumerate(self._types):
            if kind == "INT96":
                self._types[n] = _FINE if _is_fine(path, self.header.names[n]) else "TIMESTAMP"

    def read_exactly(self) -> None:
        """Do nothing: DuckDB's reader is exact for Parquet."""

    def structural(self, columns: Mapping[int, Column], table: str) -> list[Violation]:
        """Give the columns whose type in the file does not fit the contract, one violation each."""
        found = []
        for n, column in columns.items():
            if self._value(n, column) is None:
                says = (
                    f"column {column.name} holds {self._types[n]} in the file, and the contract says {column.sql_type}"
                )
                found.append(Violation(says, "type", self.name, table, column.name, self.records))
        return found

    def fitting(self, columns: Mapping[int, Column]) -> dict[int, Column]:
        """Give the fields whose type can be read as the contract's."""
        return {n: column for n, column in columns.items() if self._value(n, column) is not None}

    def view(self, columns: Mapping[int, Column], table: Table, *, record: bool = False) -> str:  # noqa: ARG002
        """Give the SQL of the mapped fields as c<n> (text) and v<n> (typed), with `record` (from 0) if wanted."""
        names = [name.strip('"') for name in self._fields]
        relation, number = numbered(self._relation, names) if record else (self._relation, "")
        selected = [f"{number} AS record"] if record else []
        for n in sorted(columns):
            field = self._fields[n]
            selected += [f"{self._text(n, field)} AS c{n}", f"{self._value(n, columns[n]) or 'NULL'} AS v{n}"]
        # A page that no rule needs is read all the same: it may be damaged.
        whole = " AND ".join(f"hash({self._fields[n]}) IS NOT NULL" for n in sorted(columns)) or "TRUE"
        return f"SELECT {', '.join(selected)} FROM {relation} WHERE {whole}"

    def lines(self, records: Sequence[int]) -> dict[int, int]:
        """Give the row numbers of records, from 1."""
        return {record: record + 1 for record in records}

    def survey(self, connection: Connection) -> Survey:
        """Give the kinds that the schema says, and count what is empty."""
        fields = list(zip(self._fields, self._types, strict=True))
        counts = ", ".join(f"count({field})" for field, _ in fields)
        wide = ", ".join(_wide(field) if kind in _WHOLE - _SMALL else "FALSE" for field, kind in fields)
        with readable(self.path):
            row = connection.execute(f"SELECT count(*), {counts}, {wide} FROM {self._relation}").fetchone()
        found = Survey(row[0])
        values, beyond = row[1 : len(fields) + 1], row[len(fields) + 1 :]
        for n, name in enumerate(self.header.names):
            if not values[n]:
                # Without a value it fits whatever type the column has or gets.
                self._types[n] = "NULL"
            kind = self._types[n]
            decimal = _DECIMAL.fullmatch(kind)
            digits = (int(decimal[1]), int(decimal[2])) if decimal else None
            one = Found(_kind(kind) if values[n] else None, row[0] - values[n], decimal=digits, wide=bool(beyond[n]))
            found.fields.setdefault(name, one)
        return found

    def _text(self, n: int, field: str) -> str:
        return f"to_json({field})::VARCHAR" if _nested(self._types[n]) else f"{field}::VARCHAR"

    def _value(self, n: int, column: Column) -> str | None:
        """Give the typed value of a field as SQL (NULL where it would lose something), or nothing if it never fits."""
        field, kind, wanted = self._fields[n], self._types[n], column.sql_type
        if kind == "NULL":
            return f"CAST(NULL AS {wanted})"
        if column.logical_type in ("object", "array"):
            fits = kind in _TEXT or _nested(kind)
            return lexical.value(column, self._text(n, field)) if fits else None
        if wanted == "VARCHAR":
            return f"{field}::VARCHAR" if kind in _TEXT or kind.startswith("ENUM") else None
        cast = f"TRY_CAST({field} AS {wanted})"
        if column.decimal or wanted in ("BIGINT", "DOUBLE"):
            return _number(field, kind, column, cast)
        if wanted in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
            fits = kind == wanted or kind == _FINER.get(wanted) or (wanted == "TIMESTAMP" and kind in _MOMENTS)
            exact = f" AND {field} = {cast}::{kind}" if kind == _FINER.get(wanted) else ""
            return f"CASE WHEN {cast} {_YEARS[wanted]}{exact} THEN {cast} END" if fits else None
        if kind == _FINER.get(wanted):
            return f"CASE WHEN {field} = {cast}::{kind} THEN {cast} END"
        return cast if kind == wanted else None


def _number(field: str, kind: str, column: Column, cast: str) -> str | None:
    decimal = _DECIMAL.fullmatch(kind)
    if column.decimal:
        if kind in _WHOLE:
            return cast
        return f"CASE WHEN {cast} = {field} THEN {cast} END" if decimal else None
    if column.sql_type == "BIGINT":
        return cast if kind in _WHOLE else None
    if kind in ("FLOAT", "DOUBLE") or kind in _SMALL or (decimal and int(decimal[1]) <= _DIGITS):
        return cast
    return f"CASE WHEN {field} BETWEEN -{_EXACT} AND {_EXACT} THEN {cast} END" if kind in _WHOLE else None


def _kind(kind: str) -> str:
    if kind in _WHOLE:
        return "integer"
    if kind in ("FLOAT", "DOUBLE") or _DECIMAL.fullmatch(kind):
        return "number"
    if kind in _MOMENTS:
        return "timestamp"
    simple = {"BOOLEAN": "boolean", "DATE": "date", "TIME": "time", "TIME_NS": "time"}
    simple |= {"TIMESTAMP WITH TIME ZONE": "zoned", "TIMESTAMPTZ_NS": "zoned"}
    if _nested(kind):
        return "array" if kind.endswith("]") else "object"
    return simple.get(kind, "string")


def _wide(field: str) -> str:
    return f"bool_or({field} NOT BETWEEN -{_EXACT} AND {_EXACT})"


def _written(connection: Connection, path: Path) -> list[tuple[str, str | None]]:
    """Give the names of a file's columns as they stand in it, and the types that DuckDB takes for others."""
    selected = "name, coalesce(num_children, 0), type, precision"
    rows = connection.execute(f"SELECT {selected} FROM parquet_schema({literal(str(path))}) OFFSET 1").fetchall()
    found: list[tuple[str, str | None]] = []
    inside = 0
    for name, children, kind, precision in rows:
        if not inside:
            # Decimals of more digits than DuckDB has become doubles.
            large = f"decimal of {precision} digits" if precision and precision > _LONGEST else None
            found.append((str(name), large or ("INT96" if kind == "INT96" else None)))
        inside = max(inside - 1, 0) + children
    return found


def _is_fine(path: Path, name: str) -> bool:
    """Tell whether a column of the old type INT96 has digits below a microsecond, which DuckDB drops."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    def moments(unit: str) -> Iterator[Any]:
        for batch in ParquetFile(path, coerce_int96_timestamp_unit=unit).iter_batches(columns=[name]):
            yield batch.column(0).drop_null().view(pyarrow.int64()).to_numpy(zero_copy_only=False)

    try:
        # Far years overflow as nanoseconds, and do so equally on both sides.
        pairs = zip(moments("ns"), moments("us"), strict=True)
        return any(bool((nanos != micros * 1000).any()) for nanos, micros in pairs)
    except (pyarrow.ArrowException, OSError) as error:
        raise Unreadable("truncated", f"cannot be read as Parquet: {_first_line(error, path)}") from error


def _nested(kind: str) -> bool:
    return kind.startswith(("STRUCT", "MAP", "UNION")) or kind.endswith("]")


def _first_line(error: Any, path: Path) -> str:
    # DuckDB's messages name the local path, which is not the sender's business: below, in quotes, or bare.
    said = str(error).splitlines()[0].replace(str(path), "the file")
    return re.sub(r"(?:file )?(?:'[^']*/[^']*'|\"[^\"]*/[^\"]*\")", "the file", said)[:200]
