"""Rows of a JSON array, from record batches.

Not in SQL as CSV is: to plan the long expressions took a small statement 5 ms, and in bulk they were no faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

import pyarrow as pa

from . import encode

# 2^53: beyond it a JSON reader's double loses digits.
_EXACT = 9007199254740992
_NAMES = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}
_WORDS = {True: "true", False: "false", None: "null"}


def source(column: str, sql_type: str) -> str:
    """Write the expression whose values `write` takes; the bare column where it can be."""
    if sql_type in encode.INTEGERS or sql_type in ("BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR"):
        return column
    return encode.bare(column, sql_type)


def write(batch: pa.RecordBatch, types: Sequence[str]) -> bytes:
    """Write each row as `,[…]` and a newline; `types` are those of the statement's own columns."""
    columns = [_writer(kind)(batch.column(place).to_pylist()) for place, kind in enumerate(types)]
    return "".join([f",[{','.join(row)}]\n" for row in zip(*columns, strict=True)]).encode()


def _writer(sql_type: str) -> Callable[[list[Any]], Iterable[str]]:
    kind = encode.result_type(sql_type)
    if kind == "integer":
        return _integers
    if kind == "double":
        return _doubles if sql_type == "DOUBLE" else _floats
    return _booleans if kind == "boolean" else _texts


def _integers(values: list[int | str | None]) -> list[str]:
    """Write integers; those wider than 64 bits come as texts."""
    return ["null" if v is None else str(v) if -_EXACT <= int(v) <= _EXACT else f'"{v}"' for v in values]


def _doubles(values: list[float | None]) -> list[str]:
    return ["null" if v is None else repr(v) if isfinite(v) else _NAMES[repr(v)] for v in values]


def _floats(values: list[str | None]) -> list[str]:
    """Write floats, which come as texts: as doubles they would show digits they never had."""
    return ["null" if v is None else f'"{v}"' if v[-1].isalpha() else v for v in values]


def _booleans(values: list[bool | None]) -> list[str]:
    return [_WORDS[v] for v in values]


def _texts(values: list[str | None]) -> list[str]:
    return ["null" if v is None else encode_basestring(v) for v in values]
