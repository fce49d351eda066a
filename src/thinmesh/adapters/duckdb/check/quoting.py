"""SQL text for names and values: the only two ways in which foreign text enters a statement of the check."""

from __future__ import annotations

from collections.abc import Iterable


def identifier(name: str) -> str:
    """Quote a name."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Quote a text."""
    return "'" + value.replace("'", "''") + "'"


def literals(values: Iterable[str]) -> str:
    """Quote texts, separated by commas."""
    return ", ".join(literal(value) for value in values)
