"""A strict walk over the avro schemas inside acryl-datahub: what its own `validate()` lets pass is a fault here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

_URN = re.compile(r"urn:li:([a-zA-Z]+):(.+)", re.DOTALL)
_PLAIN = {"string": str, "boolean": bool, "bytes": str, "int": int, "long": int, "float": (int, float),
          "double": (int, float)}  # fmt: skip


@cache
def schemas() -> Mapping[str, Any]:
    """Every named schema, by its full name without the `pegasus2avro` of the Python package."""
    import datahub.metadata

    found: dict[str, Any] = {}
    for path in sorted((Path(datahub.metadata.__file__).parent / "schemas").glob("*.avsc")):
        whole = json.loads(path.read_text())
        _collect(whole, "", found)
        # Only a schema's own file says all of it; where others repeat it, they leave the annotations out.
        found[_name(whole["name"], whole.get("namespace", ""))] = whole
    return found


def _name(name: str, space: str) -> str:
    full = name if "." in name else f"{space}.{name}"
    return full.replace("com.linkedin.pegasus2avro.", "com.linkedin.")


def _collect(schema: Any, space: str, found: dict[str, Any]) -> None:
    if isinstance(schema, list):
        for each in schema:
            _collect(each, space, found)
    elif isinstance(schema, dict):
        space = schema.get("namespace", space)
        if schema.get("type") in ("record", "enum", "fixed"):
            found.setdefault(_name(schema["name"], space), {**schema, "namespace": space})
        for field in schema.get("fields", ()):
            _collect(field["type"], space, found)
        for inside in ("items", "values", "type"):
            if isinstance(schema.get(inside), dict | list):
                _collect(schema[inside], space, found)


@cache
def aspects() -> Mapping[str, Any]:
    return {each["Aspect"]["name"]: each for each in schemas().values() if "Aspect" in each}


@cache
def entities() -> Mapping[str, frozenset[str]]:
    """The aspects that each entity may have."""
    keys = (each["Aspect"] for each in schemas().values() if "keyForEntity" in each.get("Aspect", {}))
    return {each["keyForEntity"]: frozenset(each["entityAspects"]) for each in keys}


def faults_of(entity: str, urn: str, aspect: str, value: Any) -> list[str]:
    """What is wrong with a whole aspect."""
    found = _URN.fullmatch(urn)
    if not found or found[1] != entity:
        return [f"{urn} is no {entity}"]
    if aspect not in entities().get(entity, ()):
        return [f"{aspect} is no aspect of {entity}"]
    return list(_walk(aspects()[aspect], value, aspects()[aspect]["namespace"], aspect))


def _walk(schema: Any, value: Any, space: str, path: str) -> Iterator[str]:
    if isinstance(schema, list):
        yield from _union(schema, value, space, path)
        return
    if isinstance(schema, str) and schema not in (*_PLAIN, "null"):
        schema = schemas()[_name(schema, space)]
    kind = schema if isinstance(schema, str) else schema["type"]
    space = space if isinstance(schema, str) else schema.get("namespace", space)
    if isinstance(kind, dict | list):
        yield from _walk(kind, value, space, path)
    elif kind == "record":
        yield from _record(schema, value, space, path)
    elif kind == "array":
        yield from _items(schema["items"], value, list, space, path)
    elif kind == "map":
        yield from _items(schema["values"], value, dict, space, path)
    elif kind == "enum":
        if value not in schema["symbols"]:
            yield f"{path}: {value!r} is none of {schema['symbols'][:5]}"
    elif kind == "null":
        if value is not None:
            yield f"{path}: {value!r} is not null"
    elif not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: {value!r} is no {kind}"


def _record(schema: Any, value: Any, space: str, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no record"
        return
    fields = {each["name"]: each for each in schema["fields"]}
    yield from (f"{path}: {name} is no field of {schema['name']}" for name in value if name not in fields)
    for name, field in fields.items():
        if name in value:
            yield from _walk(field["type"], value[name], space, f"{path}.{name}")
            yield from _urns(field, value[name], f"{path}.{name}")
        elif "default" not in field:
            yield f"{path}: {name} is missing"


def _items(inner: Any, value: Any, kind: type, space: str, path: str) -> Iterator[str]:
    if not isinstance(value, kind):
        yield f"{path}: {value!r} is no {kind.__name__}"
        return
    for key, each in value.items() if kind is dict else enumerate(value):
        yield from _walk(inner, each, space, f"{path}[{key}]")


def _union(schema: list[Any], value: Any, space: str, path: str) -> Iterator[str]:
    """An optional value stands for itself; one of several kinds is a map of the kind's name."""
    others = [each for each in schema if each != "null"]
    if len(others) < len(schema) and value is None:
        yield f"{path}: null where the server's models leave the field out"
    elif len(others) == 1:
        yield from _walk(others[0], value, space, path)
    elif not isinstance(value, dict) or len(value) != 1:
        yield f"{path}: {value!r} does not say of what kind it is"
    else:
        ((named, inside),) = value.items()
        kinds = {_name(_kind(each), space) if _kind(each) not in _PLAIN else _kind(each): each for each in others}
        if named not in kinds:
            yield f"{path}: {named} is none of {sorted(kinds)[:5]}"
        else:
            yield from _walk(kinds[named], inside, space, path)


def _kind(schema: Any) -> str:
    return schema if isinstance(schema, str) else schema.get("name", schema["type"])


def _urns(field: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    """A field for URNs takes nothing else, and only those of the entities it names."""
    if "Urn" not in field:
        return
    allowed = field.get("entityTypes") or ()
    for each in value if isinstance(value, list) else [value]:
        found = _URN.fullmatch(each) if isinstance(each, str) else None
        if each is not None and (not found or (allowed and found[1] not in allowed)):
            yield f"{path}: {each!r} is no URN of {allowed}"
