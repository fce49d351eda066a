"""How Iceberg metadata names the files of the local warehouse."""

from __future__ import annotations

import re
from pathlib import Path

_SCHEME = "file://"
# Readers take a location's text apart in different ways (`#`, `?`, `%20`): a scheme only where all agree.
_PLAIN = re.compile(r"[\w./~+@=,-]*", re.ASCII)


def location_of(path: Path) -> str:
    """Write a path as Iceberg metadata names it: a `file://` URI, or bare where it holds unusual characters."""
    text = str(path)
    return f"{_SCHEME}{text}" if _PLAIN.fullmatch(text) else text


def path_of(location: str) -> Path:
    """Read back what `location_of` wrote."""
    return Path(location.removeprefix(_SCHEME))
