"""The OpenAPI documents: one of everything, and one of each plane."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from . import schemas
from .descriptor import descriptor_schema

PLANES = ("identity", "product", "query", "exchange", "operations")
_REFERENCE = "#/components/schemas/"
_DESCRIPTION = (
    "Tokens come as `Authorization: Bearer …`. Lists take `limit` and `cursor` and give `items` and `next`. "
    "Errors are problem documents (RFC 9457). Replies may grow fields; clients must accept that."
)


def document(app: FastAPI) -> dict[str, Any]:
    """Give the document of everything, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    return app.openapi_schema


def of_plane(app: FastAPI, plane: str) -> dict[str, Any]:
    """Give the document of one plane, with the components it uses."""
    whole = document(app)
    prefix = f"/{plane}/v1/"
    paths = {path: item for path, item in whole["paths"].items() if path.startswith(prefix)}
    components = whole["components"]["schemas"]
    used = _closure(paths, components)
    return {
        **whole,
        "info": {**whole["info"], "title": f"{whole['info']['title']}: {plane}"},
        "paths": paths,
        "components": {**whole["components"], "schemas": {name: components[name] for name in sorted(used)}},
    }


def methods_at(app: FastAPI, path: str) -> list[str]:
    """Name the methods that an address takes; the framework names those of one of its routes only."""
    for template, item in document(app)["paths"].items():
        if re.fullmatch(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template)), path):
            methods = {method.upper() for method in item}
            return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
    return ["GET", "HEAD"]


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title="thinmesh", version=version("thinmesh"), description=_DESCRIPTION, routes=app.routes)
    components = found.setdefault("components", {}).setdefault("schemas", {})
    for model in (schemas.Problem, schemas.Result):
        shape = model.model_json_schema(ref_template=_REFERENCE + "{model}")
        components.update(shape.pop("$defs", {}))
        components[model.__name__] = shape
    components.update(_descriptor())
    for path in found["paths"].values():
        for operation in path.values():
            _without_framework_errors(operation)
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    return found


def _descriptor() -> dict[str, Any]:
    """Give the descriptor's schema as components: its own definitions are components beside it."""
    text = json.dumps({name: part for name, part in descriptor_schema().items() if name not in ("$schema", "$id")})
    found = json.loads(text.replace('"#/$defs/', f'"{_REFERENCE}Descriptor.'))
    parts = found.pop("$defs", {})
    return {"Descriptor": found, **{f"Descriptor.{name}": part for name, part in parts.items()}}


def _without_framework_errors(operation: dict[str, Any]) -> None:
    """Take out the framework's own 422: a request that does not fit is our 400."""
    refused = operation["responses"].get("422")
    if refused and "HTTPValidationError" in json.dumps(refused):
        del operation["responses"]["422"]


def _closure(found: Any, components: dict[str, Any]) -> set[str]:
    used: set[str] = set()
    pending = list(_references(found))
    while pending:
        name = pending.pop()
        if name in used or name not in components:
            continue
        used.add(name)
        pending.extend(_references(components[name]))
    return used


def _references(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        reference = found.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REFERENCE):
            yield reference.removeprefix(_REFERENCE)
        for item in found.values():
            yield from _references(item)
    elif isinstance(found, list):
        for item in found:
            yield from _references(item)
