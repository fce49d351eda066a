"""One page of a list, and the cursor of the next one."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Malformed

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `next` is the cursor of the following page, None at the end."""

    items: tuple[Mapping[str, Any], ...]
    next: str | None = None


def checked_limit(limit: int | None) -> int:
    """Give the page size asked for, or the default. Raises Malformed outside 1..1000."""
    if limit is None:
        return DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise Malformed(
            f"limit {limit} is not between 1 and {MAX_LIMIT}.", help=f"Ask for at most {MAX_LIMIT} at once."
        )
    return limit


def cursor_of(position: Any) -> str:
    """Write a position in a list (any JSON value) as an opaque cursor."""
    return base64.urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).decode().rstrip("=")


def position_of(cursor: str | None, kind: type = object) -> Any:
    """Read a cursor back; None for the beginning. Raises Malformed where it is not one of ours, of that kind."""
    if not cursor:
        return None
    try:
        # Ours are short; a long one could nest deeper than the parser can go.
        found = json.loads(base64.urlsafe_b64decode(cursor[:1000] + "=" * (-len(cursor[:1000]) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _no_cursor() from error
    if not isinstance(found, kind):
        raise _no_cursor()
    return found


def texts_of(cursor: str | None, count: int) -> list[str] | None:
    """Read a cursor of so many texts back; None for the beginning. Raises Malformed where it is another one."""
    found: list[str] | None = position_of(cursor, list)
    if found is not None and (len(found) != count or not all(isinstance(text, str) for text in found)):
        raise _no_cursor()
    return found


def numbers_of(cursor: str | None, count: int) -> list[int] | None:
    """Read a cursor of so many numbers back; None for the beginning. Raises Malformed where it is another one."""
    found: list[int] | None = position_of(cursor, list)
    # The database knows no larger ones.
    if found is not None and (
        len(found) != count or not all(type(each) is int and 0 <= each < 2**62 for each in found)
    ):
        raise _no_cursor()
    return found


def _no_cursor() -> Malformed:
    return Malformed("This cursor is not one of ours.", help="Start the list again without a cursor.")
