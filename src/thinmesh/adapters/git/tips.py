"""Where a branch is, read from its ref alone: commands that only read need no git library for that."""

from __future__ import annotations

from pathlib import Path

_REF = "refs/heads/main"


def newest_entry(repository: Path) -> str:
    """Give the id that `main` is at; empty where it is not born (gitrepository-layout(5))."""
    try:
        return (repository / _REF).read_text("ascii", "replace").strip()
    except OSError:
        return _packed(repository)


def _packed(repository: Path) -> str:
    try:
        lines = (repository / "packed-refs").read_text("ascii", "replace").splitlines()
    except OSError:
        return ""
    return next((line.split(" ", 1)[0] for line in lines if line.endswith(f" {_REF}")), "")
