"""How replies are written, and how they are told in OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header, Query
from fastapi.responses import Response
from pydantic import BaseModel

from thinmesh.interface.documents import encode
from thinmesh.kernel.page import DEFAULT_LIMIT, MAX_LIMIT

from . import problems

JSON = "application/json"
_DOCUMENTS = frozenset({JSON, "application/yaml", "application/ld+json"})

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at once.")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=200, description="The ETag the change was made from, or * where any will do."),
]
PAGE = DEFAULT_LIMIT

_REASONS = {
    400: "The request cannot be read.",
    401: "No valid token.",
    403: "The caller may not do this.",
    404: "There is no such thing.",
    409: "It does not fit the present state.",
    410: "The product was retired.",
    413: "The input is larger than a limit.",
    415: "The media type or format is not one we take.",
    422: "The input is wrong by our rules; nothing changed.",
    423: "Somebody else holds what is needed; try again.",
    429: "Too many requests; try again later.",
    500: "Our fault.",
    503: "Temporarily not available; try again.",
}
ALWAYS = (400, 401, 403, 429, 500, 503)
READ = (*ALWAYS, 404, 410)
WRITE = (*READ, 409, 413, 415, 422, 423)


def json_reply(result: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Render a result of an operation as a JSON reply."""
    return Response(encode(result), status, dict(headers or {}), JSON)


def etag_header(etag: str) -> dict[str, str]:
    """Give the header that tells a descriptor's version."""
    return {"ETag": f'"{etag}"'}


def version_of(if_match: str | None) -> str | None:
    """Read an If-Match header. A weak tag counts as well: proxies that compress replies make tags weak."""
    return if_match.strip().removeprefix("W/").strip('"') if if_match else None


def answers(*refusals: int, **ok: type[BaseModel] | None) -> dict[int | str, dict[str, Any]]:
    """Give the `responses` of an operation: `_200=Model` for each answer (None: no body), and the refusals."""
    found: dict[int | str, dict[str, Any]] = {}
    for name, model in ok.items():
        found[int(name[1:])] = {"model": model} if model else {"description": "Done."}
    for status in sorted(refusals):
        found[status] = {
            "description": _REASONS[status],
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found


def bytes_answer(description: str, *media_types: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Give the documentation of an answer that is a file of one of several media types."""
    found: dict[str, Any] = {
        "description": description,
        "content": {kind: {"schema": {"type": "object" if kind in _DOCUMENTS else "string"}} for kind in media_types},
    }
    if headers:
        found["headers"] = {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    return found
