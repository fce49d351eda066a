"""Every error the mesh raises, as one tree.

    MeshError                     status  code                retry  exit
    ├── Malformed                 400     malformed                  1
    ├── NotSignedIn               401     not_signed_in              3
    ├── NotAllowed                403     not_allowed                3
    ├── NotFound                  404     not_found                  4
    ├── Conflict                  409     conflict                   1
    ├── Retired                   410     retired                    4
    ├── TooLarge                  413     too_large                  1
    ├── Unsupported               415     unsupported                1
    ├── Refused                   422     refused                    1
    ├── Locked                    423     locked              yes    5
    ├── TooManyRequests           429     too_many_requests   yes    5
    ├── Temporary                 503     temporary           yes    5
    └── Internal                  500     internal                   70

The statuses are numbers only: nothing here or in the planes knows HTTP. `problem()` is the one
rendering of an error (RFC 9457); every door prints that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

_EXIT_CODES = {401: 3, 403: 3, 404: 4, 410: 4, 423: 5, 429: 5, 503: 5, 500: 70}


@dataclass(frozen=True, slots=True)
class Example:
    """One place where a rule was broken.

    `line` is the physical line where the record begins (1-based); `value` is the text found there;
    `position` is the field's ordinal in a CSV record, or the character column in a document (1-based).
    """

    line: int | None
    value: str | None = None
    position: int | None = None

    def document(self) -> dict[str, Any]:
        """Render as the JSON of an example; `position` only where it is known."""
        found: dict[str, Any] = {"line": self.line, "value": self.value}
        if self.position is not None:
            found["position"] = self.position
        return found


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule broken in one column of one table (or one field of a document), with its exact count."""

    message: str
    rule: str
    file: str | None = None
    table: str | None = None
    column: str | None = None
    count: int = 1
    examples: tuple[Example, ...] = field(default=())
    # The message without any value of the data; left out where the message has none.
    plain: str | None = None

    def without_values(self) -> Violation:
        """Give what may be kept: values are shown to the submitter only, and stored nowhere."""
        return replace(self, message=self.plain or self.message, examples=(), plain=None)

    def document(self) -> dict[str, Any]:
        """Render as the JSON of a violation (INTERFACE, *Errors*)."""
        return {
            "file": self.file,
            "table": self.table,
            "column": self.column,
            "rule": self.rule,
            "message": self.message,
            "count": self.count,
            "examples": [example.document() for example in self.examples],
        }


class MeshError(Exception):
    """The base of every error; `detail` says what is wrong and where, `help` what to do now."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"
    status: ClassVar[int] = 500
    retry: ClassVar[bool] = False
    default_help: ClassVar[str] = "Report this with the time it happened; nothing of your input was lost."

    def __init__(self, detail: str, *, help: str = "", violations: Iterable[Violation] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.help = help or self.default_help
        self.violations = tuple(violations)

    def __str__(self) -> str:
        # What a traceback shows: whoever reads it wants to know what to do as well.
        return f"{self.detail}\n{self.help}"

    @property
    def exit_code(self) -> int:
        """Give the CLI exit code that belongs to the status (INTERFACE, *Errors*)."""
        return _EXIT_CODES.get(self.status, 1)

    def problem(self) -> dict[str, Any]:
        """Render as an RFC 9457 problem document."""
        return {
            "type": f"urn:thinmesh:error:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "retry": self.retry,
            "help": self.help,
            "violations": [violation.document() for violation in self.violations],
        }


class Malformed(MeshError):
    """The request cannot be read at all."""

    code, title, status = "malformed", "The request cannot be read", 400
    default_help = "Correct the request and send it again."


class NotSignedIn(MeshError):
    """No valid token came with the request."""

    code, title, status = "not_signed_in", "Sign in first", 401
    default_help = "Run `thinmesh login URL`, or send a token; an administrator can make one for you."


class NotAllowed(MeshError):
    """The caller is known, and may not do this."""

    code, title, status = "not_allowed", "Not allowed", 403
    default_help = "Ask a lead of the owning team, or an administrator."


class NotFound(MeshError):
    """What was named does not exist, or the caller may not know that it does."""

    code, title, status = "not_found", "Not found", 404
    default_help = "Check the name; `thinmesh list` shows what there is."


class Conflict(MeshError):
    """The request does not fit the present state."""

    code, title, status = "conflict", "This does not fit the present state", 409
    default_help = "Read the present state, and decide again."


class Retired(MeshError):
    """The product was retired; `successor` is the product to use instead, where one is named."""

    code, title, status = "retired", "Retired", 410
    default_help = "Use the successor, if one is named."

    def __init__(
        self, detail: str, *, help: str = "", violations: Iterable[Violation] = (), successor: str | None = None
    ) -> None:
        super().__init__(detail, help=help, violations=violations)
        self.successor = successor


class TooLarge(MeshError):
    """The input is larger than a limit."""

    code, title, status = "too_large", "Too large", 413
    default_help = "Send less at once."


class Unsupported(MeshError):
    """The media type or format is not one we take."""

    code, title, status = "unsupported", "Unsupported format", 415
    default_help = "Send one of the formats named."


class Refused(MeshError):
    """The input is wrong by our rules; nothing changed."""

    code, title, status = "refused", "Refused", 422
    default_help = "Correct what is listed and send it again; nothing was changed."


class Locked(MeshError):
    """Somebody else holds what is needed."""

    code, title, status, retry = "locked", "Locked", 423, True
    default_help = "Try again in a moment."


class TooManyRequests(MeshError):
    """The caller sends more than a limit allows."""

    code, title, status, retry = "too_many_requests", "Too many requests", 429, True
    default_help = "Wait a little and try again."


class Temporary(MeshError):
    """Something needed is not available now."""

    code, title, status, retry = "temporary", "Temporarily not available", 503, True
    default_help = "Try again in a moment; nothing was changed."


class Internal(MeshError):
    """Our fault."""
