"""Git trees as plain data: parsing them, and writing a tree with some paths changed, touching no other folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from thinmesh.kernel.errors import Internal

FOLDER = 0o040000
REGULAR = 0o100644
# A tree is a row of `mode name NUL id` (gitformat-pack has no chapter on it; git's tree-walk.c has the reader).
_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{20})", re.DOTALL)

Entry = tuple[int, bytes]  # mode, raw id
Entries = Mapping[bytes, Entry]


def parse_tree(raw: bytes) -> dict[bytes, Entry]:
    """Read a tree object. Raises ValueError where it is malformed or names an entry twice."""
    found: dict[bytes, Entry] = {}
    length = count = 0
    for mode, name, id in _ENTRY.findall(raw):
        found[name] = (int(mode, 8), id)
        length += len(mode) + len(name) + 22
        count += 1
    if length != len(raw) or count != len(found):
        raise ValueError("malformed tree")
    return found


def write_tree(entries: Entries) -> bytes:
    """Write a tree object, in git's order (folders sort as if their name ended in a slash)."""
    ordered = sorted(entries.items(), key=lambda item: item[0] + b"/" if item[1][0] == FOLDER else item[0])
    return b"".join(b"%o %s\0%s" % (mode, name, id) for name, (mode, id) in ordered)


@dataclass(slots=True)
class _Edits:
    files: dict[bytes, str | None] = field(default_factory=dict)
    folders: dict[bytes, _Edits] = field(default_factory=dict)


def edited_tree(
    tree: bytes | None,
    edits: Mapping[str, str | None],
    read: Callable[[bytes], bytes],
    write: Callable[[bytes], bytes],
) -> bytes:
    """Write a tree with each path set to an object id, or removed (None), and give its raw id.

    `tree` is the raw id of the tree before; `read` and `write` give and take raw trees by raw id. Only folders on the
    way to an edit are read and written; a folder left empty goes.
    """
    return _apply(tree, _grouped(edits.items()), read, write) or write(b"")


def _grouped(edits: Iterable[tuple[str, str | None]]) -> _Edits:
    top = _Edits()
    for path, id in edits:
        *folders, name = path.encode().split(b"/")
        here = top
        for folder in folders:
            here = here.folders.setdefault(folder, _Edits())
        here.files[name] = id
    return top


def _apply(
    tree: bytes | None, edits: _Edits, read: Callable[[bytes], bytes], write: Callable[[bytes], bytes]
) -> bytes | None:
    entries = parse_tree(read(tree)) if tree else {}
    for name, id in edits.files.items():
        if id is not None:
            if entries.get(name, (REGULAR, b""))[0] == FOLDER:
                raise Internal(f"{name.decode()} is a folder; a file cannot take its place.")
            entries[name] = (REGULAR, bytes.fromhex(id))
        elif entries.get(name, (FOLDER, b""))[0] != FOLDER:
            del entries[name]
    for name, below in edits.folders.items():
        mode, before = entries.get(name, (FOLDER, None))
        if mode != FOLDER:
            raise Internal(f"{name.decode()} is a file; a folder cannot take its place.")
        after = _apply(before, below, read, write)
        if after is not None:
            entries[name] = (FOLDER, after)
        else:
            entries.pop(name, None)
    return write(write_tree(entries)) if entries else None
