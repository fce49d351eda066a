"""The one rendering of errors over HTTP: every refusal, of ours or of the framework, is a problem document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from thinmesh.interface.documents import encode
from thinmesh.kernel.clock import duration
from thinmesh.kernel.errors import (
    Internal,
    Malformed,
    MeshError,
    NotFound,
    NotSignedIn,
    TooLarge,
    Unsupported,
    Violation,
)
from thinmesh.kernel.names import fault_of_shape, fault_of_user_shape, nearest

from . import schemas

MEDIA_TYPE = "application/problem+json"
# Long enough that a loop of retries does no harm, short enough that a person does not notice.
_RETRY_AFTER = "2"

_SHOWN = 200  # characters of an address; it may be as long as all headers together


class MethodNotAllowed(MeshError):
    """The address exists, and takes other methods. Only HTTP knows this refusal."""

    code, title, status = "method_not_allowed", "Method not allowed", 405
    default_help = "The reply's Allow header names the methods; /openapi.json lists every address."


class SignInWithPassword(NotSignedIn):
    """No valid token came to a door where the token may also be the password of basic auth."""


def problem_response(error: MeshError, request: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Render an error as RFC 9457 problem details; `request` is the request's id."""
    found = error.problem()
    if request:
        found["instance"] = f"urn:thinmesh:request:{request}"
    return Response(encode(found), error.status, {**_headers(error), **(headers or {})}, MEDIA_TYPE)


def _headers(error: MeshError) -> dict[str, str]:
    if error.status == 401:
        basic = isinstance(error, SignInWithPassword)
        return {"WWW-Authenticate": 'Basic realm="thinmesh", charset="UTF-8"' if basic else 'Bearer realm="thinmesh"'}
    return again(error)


def again(error: MeshError) -> dict[str, str]:
    """Give the header that says when to ask again, where that can help."""
    return {"Retry-After": _RETRY_AFTER} if error.retry else {}


def internal(request: str) -> Internal:
    """Give the error for what we did not expect: nothing of the inside, and an id to report."""
    return Internal(
        "Something unexpected happened while answering this request.",
        help=f"Report it with the request id {request}; the server's log has the details under it.",
    )


def of_http_exception(error: HTTPException, path: str) -> MeshError:
    """Give our error for one that the framework raised."""
    path = path[:_SHOWN]
    if error.status_code == 404:
        return NotFound(f"There is nothing at {path}.", help="GET /openapi.json lists every address.")
    if error.status_code == 405:
        return MethodNotAllowed(f"{path} does not take this method.")
    if error.status_code == 413:
        return TooLarge("The request's body is larger than this address takes.")
    if error.status_code == 415:
        return Unsupported(str(error.detail))
    return Malformed("The request's body cannot be read.", help="Send UTF-8 JSON with Content-Type: application/json.")


def of_validation(error: RequestValidationError) -> MeshError:
    """Give our error for a request that does not fit the address's parameters or body."""
    faults = error.errors()
    for fault in faults:
        if fault["type"] == "json_invalid":
            return _broken_json(str(error.body or ""), fault)
    violations = [_violation(fault) for fault in faults]
    first = violations[0]
    more = f" ({len(violations) - 1} more)" if len(violations) > 1 else ""
    told = f"{first.column}: {first.message}{more}"
    return Malformed(told if told.endswith("?") else f"{told}.", violations=violations)


def _broken_json(body: str, fault: Mapping[str, Any]) -> MeshError:
    position = int(fault["loc"][-1])
    line = body.count("\n", 0, position) + 1
    column = position - body.rfind("\n", 0, position)
    reason = fault.get("ctx", {}).get("error", "not JSON")
    return Malformed(f"The body is not JSON: line {line}, column {column}: {reason}.")


def _violation(fault: Mapping[str, Any]) -> Violation:
    where = [str(part) for part in fault["loc"]]
    place = ".".join(where[1:] if len(where) > 1 else where)
    return Violation(message=_message(fault), rule=str(fault["type"]), column=place)


def _message(fault: Mapping[str, Any]) -> str:
    """Say a fault in the words that the planes have for it; patterns and types are not for people."""
    kind, context, given = str(fault["type"]), fault.get("ctx") or {}, fault.get("input")
    if kind == "string_pattern_mismatch" and context.get("pattern") in _SHAPES:
        return _SHAPES[context["pattern"]](str(given)[:80])
    if kind in _WORDS:
        return _WORDS[kind]
    message = str(fault["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _fault_of_duration(text: str) -> str:
    try:
        duration(text)
    except MeshError as error:
        return error.detail.rstrip(".") + ("" if ": write" in error.detail else ": write it like P30D or PT12H")
    return f"{text!r} has a number of too many digits: write it like P30D or PT12H"


def _fault_of_scope(text: str) -> str:
    near = nearest(text, ("read", "write", "admin"))
    hint = f"did you mean {near}?" if near else "scopes are read, write, publish:PRODUCT and admin"
    return f"{text!r} is no scope; {hint}"


_SHAPES: Mapping[str, Callable[[str], str]] = {
    schemas.NAME_PATTERN: fault_of_shape,
    schemas.USER_PATTERN: fault_of_user_shape,
    schemas.DURATION_PATTERN: _fault_of_duration,
    schemas.SCOPE_PATTERN: _fault_of_scope,
}
_WORDS = {
    "missing": "is missing",
    "string_too_short": "is empty",
    "too_short": "is empty",
    "extra_forbidden": "is no field here",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
}
