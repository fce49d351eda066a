"""Git objects, packs and requests as no stock client would make them, byte by byte (gitformat-pack(5))."""

from __future__ import annotations

import hashlib
import subprocess
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from tests.integration.git_mesh import git

NOWHERE = "0" * 40
KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
FILE, FOLDER, LINK, MODULE = "100644", "40000", "120000", "160000"
PERSON = b"Eve <eve@example.org>"
# Content of a path: the bytes of a file, (mode, object id) for anything else, or None where it goes.
Content = bytes | str | tuple[str, str] | None


class Forge:
    """A bare clone in which any object can be made, valid or not; a stock client pushes from it."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        git(path.parent, "clone", "--quiet", "--bare", url, str(path))
        self._objects = pygit2.Repository(str(path)).odb

    def git(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return git(self.path, *arguments, **options)

    def blob(self, content: bytes | str) -> str:
        return self._write(ObjectType.BLOB, content.encode() if isinstance(content, str) else content)

    def tree(self, entries: Iterable[tuple[str, bytes | str, str]]) -> str:
        """Write a tree of (mode, name, id) just as given."""
        return self._write(ObjectType.TREE, raw_tree(entries))

    def commit(
        self,
        tree: str,
        parents: Sequence[str] = (),
        *,
        message: bytes = b"Change",
        author: bytes = PERSON,
        date: bytes = b"1700000000 +0000",
        extra: bytes = b"",
    ) -> str:
        """Write a commit just as given; `extra` are lines after the committer's."""
        lines = [b"tree " + tree.encode(), *(b"parent " + parent.encode() for parent in parents)]
        lines += [b"author %s %s" % (author, date), b"committer %s %s" % (author, date)]
        return self.raw("commit", b"\n".join(lines) + b"\n" + extra + b"\n" + message + b"\n")

    def raw(self, kind: str, content: bytes) -> str:
        return self._write(ObjectType(KINDS[kind]), content)

    def edit(self, parent: str, changes: Mapping[bytes | str, Content], *parents: str, **options: bytes) -> str:
        """Commit changes of paths on top of a commit."""
        tree = self.edited(self.tree_of(parent), changes)
        return self.commit(tree, [parent, *parents], **options)

    def edited(self, tree: str, changes: Mapping[bytes | str, Content]) -> str:
        """Write a tree with some paths changed, in git's order, whatever their names are."""
        entries = {name: (mode, id) for mode, name, id in self.entries(tree)}
        below: dict[bytes, dict[bytes | str, Content]] = {}
        for path, content in changes.items():
            name, slash, rest = (path.encode() if isinstance(path, str) else path).partition(b"/")
            if slash:
                below.setdefault(name, {})[rest] = content
            elif content is None:
                entries.pop(name, None)
            else:
                entries[name] = content if isinstance(content, tuple) else (FILE, self.blob(content))
        for name, inside in below.items():
            mode, id = entries.get(name, ("", ""))
            made = self.edited(id if mode == FOLDER else "", inside)
            entries[name] = (FOLDER, made)
            if not self.entries(made):
                del entries[name]
        ordered = sorted(
            (name + b"/" if mode == FOLDER else name, mode, name, id) for name, (mode, id) in entries.items()
        )
        return self.tree((mode, name, id) for _, mode, name, id in ordered)

    def entries(self, tree: str) -> list[tuple[str, bytes, str]]:
        raw, found = self.read(tree) if tree else b"", []
        while raw:
            head, _, rest = raw.partition(b"\0")
            mode, _, name = head.partition(b" ")
            found.append((mode.decode(), name, rest[:20].hex()))
            raw = rest[20:]
        return found

    def at(self, commit: str, path: str) -> tuple[str, str]:
        """Give (mode, id) of what lies at a path."""
        mode, id = FOLDER, self.tree_of(commit)
        for name in path.encode().split(b"/"):
            mode, id = next((mode, id) for mode, found, id in self.entries(id) if found == name)
        return mode, id

    def tree_of(self, commit: str) -> str:
        return self.read(commit)[5:45].decode()

    def read(self, id: str) -> bytes:
        return self._objects.read(pygit2.Oid(hex=id))[1]

    def objects(self, *ids: str) -> list[bytes]:
        """Give objects as records of a pack, none of them a delta."""
        found = []
        for id in ids:
            kind, content = self._objects.read(pygit2.Oid(hex=id))
            found.append(record(int(kind), content))
        return found

    def news(self, new: str, old: str) -> list[str]:
        """List what one commit leads to and another does not."""
        return [line[:40] for line in self.git("rev-list", "--objects", new, f"^{old}").stdout.splitlines()]

    def _write(self, kind: ObjectType, content: bytes) -> str:
        return str(self._objects.write(kind, content))


def raw_tree(entries: Iterable[tuple[str, bytes | str, str]]) -> bytes:
    return b"".join(
        mode.encode() + b" " + (name.encode() if isinstance(name, str) else name) + b"\0" + bytes.fromhex(id)
        for mode, name, id in entries
    )


def id_of(kind: str, content: bytes) -> str:
    """Give the id of an object that is written nowhere."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content).hexdigest()


def record(kind: int, content: bytes, *, size: int | None = None, base: str = "") -> bytes:
    """Give one object of a pack; of a delta, `base` is the id of what it is laid upon."""
    return _head(kind, len(content) if size is None else size) + bytes.fromhex(base) + zlib.compress(content, 1)


def zeros(count: int, kind: int = 3) -> bytes:
    """Give a blob of so many zeros as one object of a pack, made in little memory."""
    packer, piece = zlib.compressobj(9), bytes(1 << 20)
    parts = [packer.compress(piece[: min(len(piece), count - start)]) for start in range(0, count, len(piece))]
    return _head(kind, count) + b"".join(parts) + packer.flush()


def zeros_id(count: int) -> str:
    digest, piece = hashlib.sha1(b"blob %d\0" % count), bytes(1 << 20)
    for start in range(0, count, len(piece)):
        digest.update(piece[: min(len(piece), count - start)])
    return digest.hexdigest()


def delta(source: int, target: int, copies: Iterable[tuple[int, int]]) -> bytes:
    """Give a delta that copies (offset, size) pieces of its base; sizes are of base and result."""
    made = _varint(source) + _varint(target)
    for offset, size in copies:
        made += b"\xff" + offset.to_bytes(4, "little") + size.to_bytes(3, "little")
    return made


def pack(records: Sequence[bytes], *, count: int | None = None, trailer: bytes = b"") -> bytes:
    body = b"PACK" + (2).to_bytes(4, "big") + (len(records) if count is None else count).to_bytes(4, "big")
    body += b"".join(records)
    return body + (trailer or hashlib.sha1(body).digest())


def packet(line: bytes) -> bytes:
    return b"%04x" % (len(line) + 4) + line


def commands(updates: Iterable[tuple[str, str, bytes | str]], abilities: str = "report-status side-band-64k") -> bytes:
    """Give the head of a push: (old, new, ref) of each command, and a flush."""
    made, first = [], True
    for old, new, ref in updates:
        line = f"{old} {new} ".encode() + (ref.encode() if isinstance(ref, str) else ref)
        made.append(packet(line + (b"\0 " + abilities.encode() if first else b"")))
        first = False
    return b"".join(made) + b"0000"


def _head(kind: int, size: int) -> bytes:
    """Give kind and size of an object in a pack: 4 bits, then 7 by 7."""
    made = [(kind << 4) | (size & 15)]
    size >>= 4
    while size:
        made[-1] |= 0x80
        made.append(size & 0x7F)
        size >>= 7
    return bytes(made)


def _varint(number: int) -> bytes:
    made = [number & 0x7F]
    while number := number >> 7:
        made[-1] |= 0x80
        made.append(number & 0x7F)
    return bytes(made)
