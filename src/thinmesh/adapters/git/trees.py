"""Git trees as plain data: parsing them, and writing a tree with some paths changed, touching no other folder."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from thinmesh.kernel.errors import Internal

FOLDER = 0o040000
REGULAR = 0o100644
# A tree is a row of `mode name NUL id` (gitformat-pack has no chapter on it; git's tree-walk.c has the reader).
_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{20})", re.DOTALL)

Entry = tuple[int, bytes]  # mode, raw id


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


class Tree:
    """A tree to be edited: its entries as git writes them, in git's order (folders sort as if `/` were at their end).

    It is changed in place, and written by joining what is there: a folder of thousands costs some microseconds.
    """

    __slots__ = ("_keys", "_lines")

    def __init__(self, keys: list[bytes], lines: list[bytes]) -> None:
        self._keys = keys
        self._lines = lines

    @classmethod
    def parse(cls, raw: bytes) -> Tree:
        """Read a tree object. Raises ValueError where it is malformed."""
        entries = sorted(parse_tree(raw).items(), key=_order)
        return cls([_order(entry) for entry in entries], [_line(*entry) for entry in entries])

    def __len__(self) -> int:
        return len(self._keys)

    def raw(self) -> bytes:
        """Write the tree object."""
        return b"".join(self._lines)

    def get(self, name: bytes) -> Entry | None:
        """Find an entry, whatever it is."""
        for key in (name, name + b"/"):
            place = bisect_left(self._keys, key)
            if place < len(self._keys) and self._keys[place] == key:
                line = self._lines[place]
                return int(line[: line.index(b" ")], 8), line[-20:]
        return None

    def set(self, name: bytes, entry: Entry) -> None:
        """Put an entry in, over one of the same name and kind."""
        key, line = _order((name, entry)), _line(name, entry)
        place = bisect_left(self._keys, key)
        if place < len(self._keys) and self._keys[place] == key:
            self._lines[place] = line
        else:
            self._keys.insert(place, key)
            self._lines.insert(place, line)

    def remove(self, name: bytes, entry: Entry) -> None:
        """Take out the entry that `get` gave."""
        place = bisect_left(self._keys, _order((name, entry)))
        del self._keys[place], self._lines[place]


def _order(item: tuple[bytes, Entry]) -> bytes:
    name, (mode, _) = item
    return name + b"/" if mode == FOLDER else name


def _line(name: bytes, entry: Entry) -> bytes:
    return b"%o %s\0%s" % (entry[0], name, entry[1])


@dataclass(slots=True)
class _Edits:
    files: dict[bytes, str | None] = field(default_factory=dict)
    folders: dict[bytes, _Edits] = field(default_factory=dict)


def edited_tree(
    tree: bytes | None,
    edits: Mapping[str, str | None],
    read: Callable[[bytes], Tree],
    write: Callable[[Tree], bytes],
) -> bytes:
    """Write a tree with each path set to an object id, or removed (None), and give its raw id.

    `tree` is the raw id of the tree before. `read` and `write` give and take trees by raw id; what `read` gives is
    changed. Only folders on the way to an edit are read and written; a folder left empty goes.
    """
    return _apply(tree, _grouped(edits.items()), read, write) or write(Tree([], []))


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
    id: bytes | None, edits: _Edits, read: Callable[[bytes], Tree], write: Callable[[Tree], bytes]
) -> bytes | None:
    tree = read(id) if id else Tree([], [])
    for name, file in edits.files.items():
        _put_file(tree, name, file)
    for name, below in edits.folders.items():
        before = tree.get(name)
        if before and before[0] != FOLDER:
            raise Internal(f"{name.decode()} is a file; a folder cannot take its place.")
        after = _apply(before[1] if before else None, below, read, write)
        if after is not None:
            tree.set(name, (FOLDER, after))
        elif before:
            tree.remove(name, before)
    return write(tree) if len(tree) else None


def _put_file(tree: Tree, name: bytes, id: str | None) -> None:
    before = tree.get(name)
    folder = before is not None and before[0] == FOLDER
    if id is None:
        if before and not folder:
            tree.remove(name, before)
        return
    if folder:
        raise Internal(f"{name.decode()} is a folder; a file cannot take its place.")
    if before and before[0] != REGULAR:
        tree.remove(name, before)
    tree.set(name, (REGULAR, bytes.fromhex(id)))
