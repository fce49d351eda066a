"""Problem documents back into errors: what a server refused is the same error as what a home refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from thinmesh.kernel import errors
from thinmesh.kernel.errors import Example, Internal, MeshError, Temporary, Violation


def error_of(status: int, body: bytes, location: str | None = None) -> MeshError:
    """Give the error that a reply tells; of a proxy's reply, which is no problem document, as well as may be.

    `location` is where a redirect leads: it is told and never followed, for the token would go along.
    """
    found = document_of(body)
    if found is None or "code" not in found:
        return error_of_stranger(status, body, location)
    try:
        kind = _known().get(str(found["code"])) or _by_status(int(found.get("status", status)))
        return kind(
            str(found.get("detail", "")),
            help=str(found.get("help", "")),
            violations=[_violation(each) for each in found.get("violations") or ()],
        )
    except (AttributeError, TypeError, ValueError):
        return error_of_stranger(status, body, location)


def document_of(body: bytes) -> dict[str, Any] | None:
    """Give the JSON object that a body is, or nothing where it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def error_of_stranger(status: int, body: bytes, location: str | None = None) -> MeshError:
    """Give the error for a reply that is not one of ours: a proxy's, a page to sign in on, another program's."""
    text = " ".join(body[:200].decode("utf-8", "replace").split())
    if location:
        return _by_status(status)(
            f"The server answered {status} and leads to {location[:200]}; the token does not follow it there.",
            help="If that is the server of your mesh, name its address.",
        )
    return _by_status(status)(
        f"The server answered {status}, not as thinmesh does: {text or 'nothing more'}.",
        help="Check the URL, and what stands between this machine and the server.",
    )


def _known() -> Mapping[str, type[MeshError]]:
    return {kind.code: kind for kind in _subclasses(MeshError)}


def _subclasses(kind: type[MeshError]) -> Iterator[type[MeshError]]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each


def _by_status(status: int) -> type[MeshError]:
    """Give the class nearest to a code that this release does not know."""
    for kind in _known().values():
        if kind.status == status:
            return kind
    return Temporary if status in (502, 504) else Internal if status >= 500 else errors.Malformed


def _violation(found: Mapping[str, Any]) -> Violation:
    return Violation(
        message=str(found.get("message", "")),
        rule=str(found.get("rule", "")),
        file=found.get("file"),
        table=found.get("table"),
        column=found.get("column"),
        count=int(found.get("count", 1)),
        examples=tuple(
            Example(_number(each.get("line")), each.get("value"), _number(each.get("position")))
            for each in found.get("examples") or ()
        ),
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
