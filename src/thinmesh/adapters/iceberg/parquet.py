"""Data files as Iceberg manifests describe them, with the statistics by which other engines skip files.

The statistics are taken from the Parquet footer in their raw form: Python has no value for an infinite timestamp.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyarrow import ArrowException, DataType
from pyarrow.parquet import ColumnChunkMetaData, FileMetaData, Statistics, read_metadata
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record
from pyiceberg.types import DecimalType, PrimitiveType, StringType

from thinmesh.kernel.contract import Table
from thinmesh.kernel.errors import NotFound

from .locations import location_of
from .schemas import iceberg_type

# What a reader may find in a file where the schema has this type (Iceberg, *Schema Evolution*).
_READABLE = {
    "long": {"int64", "int32"},
    "double": {"double", "float"},
    "boolean": {"bool"},
    "date": {"date32[day]"},
    "time": {"time64[us]"},
    "timestamp": {"timestamp[us]"},
    "timestamptz": {"timestamp[us, tz=UTC]"},
    "string": {"string", "large_string"},
}
# The length of text bounds that Iceberg's own writers keep (`write.metadata.metrics.default`).
_BOUND = 16
_SURROGATES = range(0xD800, 0xE000)


def describe(path: Path, rows: int, table: Table) -> DataFile:
    """Describe a data file of a table. `rows` is what the ledger says; its bytes differ where it was derived again.

    Raises NotFound where the file is missing, damaged, or cannot be read under the table's contract.
    """
    try:
        size = path.stat().st_size
        footer = read_metadata(path)
    except FileNotFoundError as error:
        raise _unusable(path, "is missing") from error
    except ArrowException as error:
        raise _unusable(path, "is damaged") from error
    if footer.num_rows != rows:
        raise _unusable(path, f"has {footer.num_rows} rows, where the ledger says {rows}")
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location_of(path),
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=footer.num_rows,
        file_size_in_bytes=size,
        **_statistics(footer, _columns(path, footer, table)),
    )


def full_columns(file: DataFile) -> set[int]:
    """Give the field ids that the file has a value for in every row."""
    return {id for id, nulls in file.null_value_counts.items() if nulls == 0}


def _unusable(path: Path, why: str) -> NotFound:
    name = "/".join(path.parts[-3:])
    return NotFound(f"The data file {name} {why}.", help="Run `thinmesh doctor`; it says how to get the file back.")


def _columns(path: Path, footer: FileMetaData, table: Table) -> dict[int, tuple[int, PrimitiveType]]:
    """Find the table's columns in a file: position to (field id, type)."""
    types = {column.id: iceberg_type(column) for column in table.columns}
    found = {}
    for position, field in enumerate(footer.schema.to_arrow_schema()):
        id = int((field.metadata or {}).get(b"PARQUET:field_id", 0))
        if not id:
            raise _unusable(path, f"has no field id for the column {field.name}")
        if id not in types:
            continue  # dropped from the contract since
        if not _readable(field.type, types[id]):
            raise _unusable(path, f"has {field.type} in the column {field.name}, where {types[id]} is expected")
        found[position] = (id, types[id])
    return found


def _readable(found: DataType, wanted: PrimitiveType) -> bool:
    if isinstance(wanted, DecimalType):
        decimal = str(found).startswith("decimal128")
        return decimal and found.scale == wanted.scale and found.precision <= wanted.precision
    return str(found) in _READABLE[str(wanted)]


def _statistics(footer: FileMetaData, columns: dict[int, tuple[int, PrimitiveType]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {} for name in ("column_sizes", "value_counts", "null_value_counts", "lower_bounds", "upper_bounds")
    }
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    for position, (id, kind) in columns.items():
        chunks = [group.column(position) for group in groups]
        found["column_sizes"][id] = sum(chunk.total_compressed_size for chunk in chunks)
        found["value_counts"][id] = sum(chunk.num_values for chunk in chunks)
        statistics = [chunk.statistics for chunk in chunks if chunk.num_values]
        if all(one is not None and one.has_null_count for one in statistics):
            found["null_value_counts"][id] = sum(one.null_count for one in statistics)
            _add_bounds(found, id, kind, [one for one in statistics if one.num_values])
    if groups:
        found["split_offsets"] = sorted(_start(group.column(0)) for group in groups)
    return found


def _start(chunk: ColumnChunkMetaData) -> int:
    if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
        return int(min(chunk.dictionary_page_offset, chunk.data_page_offset))
    return int(chunk.data_page_offset)


def _add_bounds(found: dict[str, Any], id: int, kind: PrimitiveType, statistics: list[Statistics]) -> None:
    """Add the smallest and the largest value, where every row group with values has them."""
    if not statistics or any(one.min_raw is None or one.max_raw is None for one in statistics):
        return
    try:
        low = min(_value(one.min_raw, kind) for one in statistics)
        high = max(_value(one.max_raw, kind) for one in statistics)
    except UnicodeDecodeError:
        return  # a bound that its writer cut within a character
    found["lower_bounds"][id] = _bytes(low[:_BOUND] if isinstance(low, str) else low, kind)
    upper = _text_above(high) if isinstance(high, str) else high
    if upper is not None:
        found["upper_bounds"][id] = _bytes(upper, kind)


def _value(raw: Any, kind: PrimitiveType) -> Any:
    """Read a raw Parquet value in the order of its type; a decimal as its unscaled integer."""
    if isinstance(raw, bytes):
        if isinstance(kind, DecimalType):
            return int.from_bytes(raw, "big", signed=True)
        if isinstance(kind, StringType):
            return raw.decode()
    return raw


def _bytes(value: Any, kind: PrimitiveType) -> bytes:
    """Write a value as Iceberg's bounds do (spec, appendix D)."""
    if isinstance(kind, DecimalType):
        return int(value).to_bytes(int(value).bit_length() // 8 + 1, "big", signed=True)
    return bytes(to_bytes(kind, value))


def _text_above(text: str) -> str | None:
    """Give a short text that no text beginning like `text` comes after; None where there is none."""
    if len(text) <= _BOUND:
        return text
    for last in range(_BOUND - 1, -1, -1):
        following = ord(text[last]) + 1
        if following in _SURROGATES:
            following = _SURROGATES.stop
        if following <= 0x10FFFF:
            return text[:last] + chr(following)
    return None
