"""JSON, parsed by the standard library, and looked at again for places only where something is wrong."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from .document_faults import Places, SyntaxFault

_TOKEN = re.compile(
    r"(?P<open>[{\[])|(?P<close>[}\]])|(?P<comma>,)|(?P<colon>:)"
    r'|(?P<string>"(?:[^"\\]|\\.)*")|(?P<atom>[^\s,:{}\[\]"]+)',
    re.DOTALL,
)


def load_json(text: str) -> tuple[Any, bool]:
    """Read JSON, and tell whether a member was named twice somewhere.

    Raises SyntaxFault with the place; NaN, Infinity and numbers beyond a double's range are such faults too.
    """
    repeated = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        found = dict(pairs)
        repeated = repeated or len(found) != len(pairs)
        return found

    try:
        return json.loads(text, object_pairs_hook=members, parse_constant=_refuse, parse_float=_finite), repeated
    except json.JSONDecodeError as error:
        raise SyntaxFault(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise SyntaxFault("it is nested too deeply", 1, 1) from None
    except ValueError as error:
        raise _unfit(text, str(error)) from None


def json_places(text: str) -> Places:
    """Find where every value and member of valid JSON stands, and which members are named twice."""
    places = Places(text)
    path: list[Any] = []
    objects: list[bool] = []
    key_next = False
    for token in _TOKEN.finditer(text):
        kind, at = token.lastgroup, token.start()
        if kind == "close":
            objects.pop()
            path.pop()
            key_next = False
        elif kind == "comma":
            key_next = objects[-1]
            if not key_next:
                path[-1] += 1
        elif kind == "colon":
            key_next = False
        elif key_next:
            path[-1] = json.loads(token[0])
            places.put_key(tuple(path), at)
            key_next = False
        else:
            places.put(tuple(path), at)
            if kind == "open":
                key_next = token[0] == "{"
                objects.append(key_next)
                path.append("" if key_next else 0)
    return places


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _refuse(text: str) -> Any:
    raise ValueError(text)


def _unfit(text: str, number: str) -> SyntaxFault:
    """Place a number that JSON or a double does not hold."""
    shown = number if len(number) <= 40 else f"{number[:40]}…"
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "atom" and (token[0] == number or len(token[0]) > 4300):
            line, column = Places(text).line_and_column(token.start())
            shown = token[0] if len(token[0]) <= 40 else f"{token[0][:40]}…"
            return SyntaxFault(f"{shown} is not a number that can be kept", line, column)
    return SyntaxFault(f"{shown} is not a number that can be kept", 1, 1)
