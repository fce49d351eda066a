"""The newest entry of a log, read from its ref alone: commands that only read need no git library for that."""

from __future__ import annotations

from pathlib import Path

_REF = "refs/heads/main"


def newest_entry(log: Path) -> str:
    """Give the id that the log's branch is at; empty where it has none (gitrepository-layout(5))."""
    try:
        return (log / _REF).read_text("ascii", "replace").strip()
    except OSError:
        return _packed(log)


def _packed(log: Path) -> str:
    try:
        lines = (log / "packed-refs").read_text("ascii", "replace").splitlines()
    except OSError:
        return ""
    return next((line.split(" ", 1)[0] for line in lines if line.endswith(f" {_REF}")), "")
