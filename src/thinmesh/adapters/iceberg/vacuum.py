"""What is still needed, and what nothing leads to any more."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from pyiceberg.manifest import read_manifest_list

from .files import LocalFiles
from .locations import path_of


def files(root: Path, product: str, table: str, present: str | None, before: float) -> set[str]:
    """Give the data files that the snapshots of a table lead to (`IcebergTables.files`)."""
    folder = root / product / table / "metadata"
    documents = {path for path in folder.glob("*.metadata.json") if path.stat().st_mtime >= before}
    if present:
        documents.add(path_of(present))
    io = LocalFiles()
    manifests = {
        manifest.manifest_path: manifest
        for path in documents
        for location in _lists(json.loads(path.read_bytes()))
        for manifest in read_manifest_list(io.new_input(location))
    }
    return {
        str(path_of(entry.data_file.file_path).relative_to(root))
        for manifest in manifests.values()
        for entry in manifest.fetch_manifest_entry(io, discard_deleted=True)
    }


def vacuum(root: Path, present: Collection[str], limit: float) -> int:
    """Remove metadata that no reader can need any more (`IcebergTables.vacuum`)."""
    current = {path_of(location) for location in present}
    removed = 0
    for folder in root.glob("*/*/metadata"):
        removed += _clear(folder, current & set(folder.glob("*.metadata.json")), limit)
    return removed


def _clear(folder: Path, current: Collection[Path], limit: float) -> int:
    """Clear one table's folder. A file changed after `limit` stays, and so does all that one of them leads to."""
    with os.scandir(folder) as found:
        ages = {folder / one.name: one.stat().st_mtime for one in found}
    old = {path for path, changed in ages.items() if changed < limit}
    if not old - set(current):
        return 0
    recent = [path for path in ages if path not in old and path.name.endswith(".metadata.json")]
    unneeded = old - _reached([*current, *recent])
    for path in unneeded:
        path.unlink(missing_ok=True)
    return len(unneeded)


def _reached(roots: Iterable[Path]) -> set[Path]:
    """Find every file that metadata documents lead to, through the documents before them too.

    A reader that began before the oldest root was written is at one of those.
    """
    documents: set[Path] = set()
    lists: set[str] = set()
    for path in roots:
        found = _document(path)
        documents.add(path)
        for older in (path_of(entry["metadata-file"]) for entry in found.get("metadata-log", ())):
            if older not in documents:
                documents.add(older)
                lists |= _lists(_document(older))
        lists |= _lists(found)
    return documents | {path_of(location) for location in lists} | _manifests(lists)


def _document(path: Path) -> dict[str, Any]:
    """Read a metadata document; an empty one where it is gone or was cut off by a crash."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _lists(document: dict[str, Any]) -> set[str]:
    return {snapshot["manifest-list"] for snapshot in document.get("snapshots", ())}


def _manifests(lists: Iterable[str]) -> set[Path]:
    io = LocalFiles()
    return {
        path_of(manifest.manifest_path)
        for location in lists
        if path_of(location).is_file()
        for manifest in read_manifest_list(io.new_input(location))
    }
