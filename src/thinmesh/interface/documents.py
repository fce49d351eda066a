"""Results of operations as JSON documents: the one rendering that HTTP, CLI and Python share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from pathlib import PurePath
from typing import Any

from thinmesh.kernel.clock import text_of_time

# Made once: a union that is made for each value costs more than the look at it.
_PLAIN, _OBJECTS, _LISTS = (str, int, float), (dict, Mapping), (list, tuple)


def document(value: Any) -> Any:
    """Give the JSON document of a result: dataclasses by their field names, or by their own `document()`."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, _OBJECTS):
        return {str(key): document(item) for key, item in value.items()}
    if isinstance(value, _LISTS):
        return [document(item) for item in value]
    return document(_plainer(value))


def _plainer(value: Any) -> Any:
    """Give what stands for a value that JSON does not know; what is in it may be of any kind."""
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(document(item) for item in value)
    own = getattr(value, "document", None)
    if callable(own):
        return own()
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, datetime):
        return text_of_time(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON document")


def encode(found: Any) -> bytes:
    """Write a result as compact JSON in UTF-8; lone surrogates (undecodable file names) stay escaped."""
    # The encoder walks in C, and asks for what it does not know.
    text = json.dumps(found, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plainer)
    return text.encode("utf-8", "backslashreplace")
