"""What must not be shown or stored: passwords in URLs, tokens, and the secrets of the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HIDDEN = "***"
_PATTERNS = (
    (re.compile(r"(?<=://)[^\s/@]+@"), ""),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), rf"\1 {_HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?"), _HIDDEN),  # a JSON Web Token
    (
        re.compile(r"(?i)\b((?:access_|api_?)?(?:token|key|secret|password)['\"]?\s*[=:]\s*['\"]?)[^\s&'\",;)]+"),
        rf"\1{_HIDDEN}",
    ),
)


def cleaned(text: str, secrets: Iterable[str] = (), longest: int = 500) -> str:
    """Give a message on one line, at most `longest` characters, without anything in it that opens a door."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, _HIDDEN)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
