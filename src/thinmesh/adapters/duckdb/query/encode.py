"""How rows leave the worker: as SQL projections, so that DuckDB's threads bring them to their types and write CSV.

Every result type is brought to one of the fixed list (INTERFACE, *HTTP*): what has no place there becomes text, nested
values become JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}
_WIDE_INTEGERS = {"BIGINT", "UBIGINT", "HUGEINT"}
_PLAIN = {
    "BOOLEAN": "boolean",
    "VARCHAR": "string",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "DOUBLE": "double",
    "FLOAT": "double",
    "JSON": "json",
    "BLOB": "binary",
}
# In JSON text: what comes before (whole texts, or single characters), then a number's name or the blank at the end.
_NAMED_NUMBER = r"""(?s)((?:"(?:[^"\\]|\\.)*"|[^"])*?)(NaN|-?Infinity| $)"""
# What has one of these is quoted in CSV.
_SPECIAL = re.compile('[,"\r\n]')
_NESTED = re.compile(r"(STRUCT|MAP|UNION|VARIANT)\b|.*\]$", re.DOTALL)


def quoted(name: str) -> str:
    """Write an identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Write a text literal."""
    return "'" + value.replace("'", "''") + "'"


def result_type(sql_type: str) -> str:
    """Give the type of the fixed list for a DuckDB type."""
    if sql_type in INTEGERS or sql_type in _WIDE_INTEGERS:
        return "integer"
    if sql_type.startswith("DECIMAL("):
        return sql_type.lower().replace(" ", "")
    if _NESTED.match(sql_type):
        return "json"
    return _PLAIN.get(sql_type, "string")


def plain(column: str, sql_type: str) -> str:
    """Write the expression that brings a column to its type of the fixed list, for Arrow and Parquet."""
    if sql_type in INTEGERS or sql_type == "UBIGINT":
        # Every integer of the mesh is a BIGINT; what does not fit one stays exact.
        return f"CAST({column} AS {'BIGINT' if sql_type in INTEGERS else 'DECIMAL(20,0)'})"
    if sql_type == "HUGEINT":
        return f"CAST({column} AS DECIMAL(38,0))"
    if sql_type == "FLOAT":
        return f"CAST({column} AS DOUBLE)"
    if sql_type.startswith("TIMESTAMP_"):
        return f"CAST({column} AS TIMESTAMP)"
    if sql_type == "JSON" or _NESTED.match(sql_type):
        return _json(column, sql_type)
    if sql_type in _PLAIN or sql_type == "BIGINT" or sql_type.startswith("DECIMAL("):
        return column
    return f"CAST({column} AS VARCHAR)"


def _moment(column: str, sql_type: str) -> str:
    """Write a date or time as ISO 8601, a moment with zone in UTC."""
    if sql_type == "TIMESTAMP WITH TIME ZONE":
        utc = f"CAST({column} AT TIME ZONE 'UTC' AS VARCHAR)"
        return f"CASE WHEN isfinite({column}) THEN replace({utc}, ' ', 'T') || 'Z' ELSE {utc} END"
    if sql_type.startswith("TIMESTAMP"):
        return f"replace(CAST({column} AS VARCHAR), ' ', 'T')"
    return f"CAST({column} AS VARCHAR)"


def _number(column: str) -> str:
    """Write a double so that it reads back the same; NaN and Infinity by their names in the mesh."""
    return (
        f"CASE WHEN isnan({column}) THEN 'NaN' WHEN isinf({column}) THEN CASE WHEN {column} > 0 THEN 'Infinity' "
        f"ELSE '-Infinity' END ELSE CAST({column} AS VARCHAR) END"
    )


def _json(column: str, sql_type: str) -> str:
    """Write a value as JSON text; numbers that JSON does not know become texts, as they are outside of JSON.

    A blank is put at the end, so that the last match is there, and never begins within a text.
    """
    found = f"CAST({column if sql_type == 'JSON' else f'to_json({column})'} AS VARCHAR)"
    named = f"left(regexp_replace({found} || ' ', {text(_NAMED_NUMBER)}, '\\1\"\\2\"', 'g'), -3)"
    return f"CASE WHEN contains({found}, 'NaN') OR contains({found}, 'Infinity') THEN {named} ELSE {found} END"


def bare(column: str, sql_type: str) -> str:
    """Write the expression of a value as text, not quoted in any way."""
    kind = result_type(sql_type)
    if kind == "double":
        return _number(column)
    if kind in ("timestamp", "timestamptz"):
        return _moment(column, sql_type)
    if kind == "binary":
        return f"to_base64({column})"
    if kind == "json":
        return _json(column, sql_type)
    return column if sql_type == "VARCHAR" else f"CAST({column} AS VARCHAR)"


def _csv_value(column: str, sql_type: str) -> str:
    found = bare(column, sql_type)
    if result_type(sql_type) not in ("string", "json"):
        return f"coalesce({found}, '')"
    special = " OR ".join(f"contains({found}, {mark})" for mark in ("','", "'\"'", "chr(10)", "chr(13)"))
    return (
        f"CASE WHEN {found} IS NULL THEN '' WHEN {found} = '' OR {special} "
        f"THEN '\"' || replace({found}, '\"', '\"\"') || '\"' ELSE {found} END"
    )


def csv_row(columns: Sequence[str], types: Sequence[str]) -> str:
    """Write the expression of one CSV record and a newline (RFC 4180; NULL is unquoted, the empty text quoted)."""
    values = " || ',' || ".join(_csv_value(column, kind) for column, kind in zip(columns, types, strict=True))
    return f"{values} || chr(10)"


def csv_rows(batch: pa.RecordBatch) -> bytes:
    """Write rows of texts that are not quoted yet as CSV records: what `csv_row` does, for many columns."""
    columns = [["" if value is None else _field(value) for value in column.to_pylist()] for column in batch.columns]
    return "".join([f"{','.join(row)}\n" for row in zip(*columns, strict=True)]).encode()


def csv_header(names: Sequence[str]) -> bytes:
    """Write the header record."""
    return (",".join(map(_field, names)) + "\n").encode("utf-8", "replace")


def _field(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if not value or _SPECIAL.search(value) else value
