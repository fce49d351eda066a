"""How a push and `main` come together: per product folder, file by file, as (base, ours, theirs)."""

from __future__ import annotations

from collections.abc import Mapping

from thinmesh.kernel.errors import Violation
from thinmesh.kernel.repository import File

from .push import PushedChange


def merged(ours: Mapping[str, File], change: PushedChange, folder: str) -> dict[str, File]:
    """Give the folder's files with the push laid over what `main` has."""
    files = dict(ours)
    for path, edit in change.edits(folder).items():
        if edit.new is None:
            files.pop(path, None)
        else:
            files[path] = edit.new
    return files


def news(ours: Mapping[str, File], change: PushedChange, folder: str) -> dict[str, str | None]:
    """Give what the push makes of the folder's files on `main`, by path: an object id, or nothing where one goes."""
    return {path: _id(edit.new) for path, edit in change.edits(folder).items() if _id(ours.get(path)) != _id(edit.new)}


def clashes(ours: Mapping[str, File], change: PushedChange, folder: str) -> list[Violation]:
    """Find the files that changed on both sides, differently."""
    text = "this file also changed on main since you pulled; run git pull --no-rebase, settle it, and push again"
    return [
        Violation(text, "clash", file=path)
        for path, edit in change.edits(folder).items()
        if _id(ours.get(path)) not in (_id(edit.old), _id(edit.new))
    ]


def _id(file: File | None) -> str | None:
    return file.id if file else None
