"""The JSON schemas of ODPS (`odps_schemas/`) judge a copy of what is in a document.

No general validator is asked: each fault needs its place in the author's file, and a member that the schema does not
know is reported where it lies deep, not refused. The schemas use a handful of keywords; a test holds both together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from .document_faults import Faults, Fields, Path

NEWEST = (1, 1)
_KINDS: Mapping[str, type] = {"string": str, "boolean": bool, "array": list, "object": dict}
_WORDS: Mapping[str, str] = {"string": "a text", "boolean": "true or false", "array": "a list", "object": "an object"}


def check_product(value: Mapping[str, Any], minor: int, faults: Faults) -> None:
    """Note everything in a whole product that the schema of version 1.`minor` refuses; report what it does not know.

    Members that a later version than the newest known one brings at the top are reported as well.
    """
    schema = _schema(min(minor, NEWEST[1]))
    _judge(schema, schema, value, (), faults, newer=minor > NEWEST[1])


@cache
def _schema(minor: int) -> Mapping[str, Any]:
    from importlib import resources

    file = resources.files("thinmesh.kernel").joinpath("odps_schemas", f"odps-1.{minor}.0.schema.json")
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def _judge(
    schema: Mapping[str, Any], rule: Mapping[str, Any], value: Any, path: Path, faults: Faults, *, newer: bool = False
) -> None:
    """Hold a value against its rule. It goes no deeper than the schema does, which has an end."""
    if faults.full:
        return
    what = "product"
    if "$ref" in rule:
        what = rule["$ref"].rpartition("/")[2]
        rule = schema["$defs"][what]
    kind = rule.get("type")
    if kind and not isinstance(value, _KINDS[kind]):
        if not faults.at(path):
            written = "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)[:40]
            faults.add(path, "odps", f"{_name(path)} must be {_WORDS[kind]}, not {written} (ODPS)")
    elif "enum" in rule and value not in rule["enum"]:
        if not faults.at(path) and not newer:
            faults.add(path, "odps", f"{str(value)[:40]!r} is not one of {', '.join(rule['enum'])} (ODPS)")
    elif kind == "object":
        _judge_object(schema, rule, value, path, faults, what, newer)
    elif kind == "array":
        for at, each in enumerate(value):
            _judge(schema, rule["items"], each, (*path, at), faults)


def _judge_object(
    schema: Mapping[str, Any],
    rule: Mapping[str, Any],
    value: Mapping[str, Any],
    path: Path,
    faults: Faults,
    what: str,
    newer: bool,
) -> None:
    known = rule["properties"]
    fields = Fields(value, path, faults)
    for name in rule.get("required", ()):
        if name not in value:
            faults.add(path, "missing", f"{name!r} is missing (ODPS)", of_key=True)
    if path or newer:
        fields.report_unknown(known, f"an ODPS {what}")
    else:
        fields.refuse_unknown(known, "an ODPS product")
    for name, each in known.items():
        if name in value:
            _judge(schema, each, value[name], (*path, name), faults, newer=newer and name == "apiVersion")


def _name(path: Path) -> str:
    if not path:
        return "this"
    return f"an item of {path[-2]!r}" if isinstance(path[-1], int) else repr(path[-1])
