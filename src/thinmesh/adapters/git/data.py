"""`data.git`: the repository that people clone and push to."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from thinmesh.kernel.durability import sync
from thinmesh.kernel.errors import Internal
from thinmesh.kernel.repository import File, Signature, StagedObject

from .settings import write_settings
from .store import SERVER_EMAIL, SERVER_NAME, Store, again, oid_of, translated
from .trees import FOLDER, Tree, edited_tree, parse_tree
from .welcome import CATALOG_HEADER, README

# zlib's fastest level: the upkeep packs anew, and better.
_FAST = 1
# Folders whose present tree is kept parsed, for the next change in them.
_REMEMBERED = 1_000
# What git takes for the end of a name or address (git's ident.c strips the same).
_CRUD = {**dict.fromkeys(range(32)), ord("<"): None, ord(">"): None}


class GitDataRepository:
    """The data repository in a bare repository (kernel/repository.py, `DataRepository`)."""

    def __init__(self, path: Path, *, fsync: bool = True, alternates: Sequence[Path] = ()) -> None:
        self._store = Store(path, fsync=fsync, alternates=alternates)
        self._fsync = fsync
        self._edited: dict[bytes, Tree] = {}
        # Git looks for objects in `objects/` alone.
        self._incoming = path / "incoming"
        self.path = path

    @classmethod
    def create(cls, path: Path, *, fsync: bool = True) -> GitDataRepository:
        """Make the repository with its first commit: the top-level README.md and the header of data_catalog.csv.

        Raises Conflict where something lies at the path.
        """
        Store.make(path)
        write_settings(path, fsync=fsync)
        made = cls(path, fsync=fsync)
        first = made._commit(
            None,
            {"README.md": made.add(README.encode()), "data_catalog.csv": made.add(CATALOG_HEADER.encode())},
            Signature(SERVER_NAME, SERVER_EMAIL),
            "Begin",
            (),
        )
        made._store.swing("", first)
        return made

    def with_objects(self, folder: Path) -> GitDataRepository:
        """Give a view that also finds the objects in a folder: those of a push that nobody accepted yet."""
        return GitDataRepository(self.path, fsync=False, alternates=(folder,))

    def close(self) -> None:
        """Let go of the files that this thread has open here."""
        self._store.close()

    def handle(self) -> pygit2.Repository:
        """Give this thread's own libgit2 handle."""
        return self._store.handle()

    def tip(self) -> str:
        """Give the commit that `main` is at. Raises Internal where it is at nothing that is here."""
        found = self._store.head()
        if not found:
            raise Internal(
                f"main of {self.path.name} is gone.",
                help="Run `thinmesh doctor` on the home; it names the command that heals it.",
            )
        return found

    def read(self, id: str) -> bytes:
        """Give a file's content by its object id. Raises KeyError where there is none."""
        return self._store.raw(id, ObjectType.BLOB)

    def copy(self, id: str, target: str) -> None:
        """Write a file's content to a path on disk, without a copy in Python's memory."""
        oid = oid_of(id)
        with translated(self.path, "read"):
            blob = self._store.handle()[oid]
            if not isinstance(blob, pygit2.Blob):
                raise KeyError(id)
            with Path(target).open("wb") as out, memoryview(blob) as content:
                out.write(content)

    def file(self, commit: str, path: str) -> File | None:
        """Find one file at a commit."""
        *folders, name = path.encode("utf-8", "surrogateescape").split(b"/")
        tree = self._folder(self._tree(commit), folders)
        mode, id = self._entries(tree).get(name, (FOLDER, b"")) if tree else (FOLDER, b"")
        return None if mode == FOLDER else self._file(mode, id)

    def files(self, commit: str, folder: str = "") -> Mapping[str, File]:
        """List the files under a folder, by full path from the repository's top."""
        names = folder.encode("utf-8", "surrogateescape").split(b"/") if folder else []
        tree = self._folder(self._tree(commit), names)
        return dict(self._below(tree, f"{folder}/" if folder else "")) if tree else {}

    def add(self, content: bytes) -> str:
        """Store a file's content and give its object id."""
        return self._store.write(ObjectType.BLOB, content)

    def together(self) -> AbstractContextManager[None]:
        """Make what this thread writes in the block durable at its end, all at once; nothing where it raises."""
        return self._store.together()

    def release(self) -> Callable[[], None]:
        """Give what makes durable what this thread wrote together up to now; any thread may call it, once."""
        return self._store.release()

    def stage(self, path: str) -> StagedObject:
        """Write the content of a file on disk as an object that is not in the repository yet: nobody can fetch it.

        No filter (line endings) touches it.
        """
        with translated(self.path, "written"):
            place = self._incoming / secrets.token_hex(8)
            place.mkdir(mode=0o700, parents=True)
            try:
                outside = pygit2.Odb()
                outside.add_backend(pygit2.OdbBackendLoose(str(place), _FAST, self._fsync), 1)
                return StagedObject(str(outside.write(ObjectType.BLOB, Path(path).read_bytes())), str(place))
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise

    def admit(self, staged: StagedObject) -> None:
        """Take a staged object into the repository: a rename; one that is there already is the same."""
        with translated(self.path, "written"):
            place = Path(staged.place, staged.id[:2], staged.id[2:])
            target = self.path / "objects" / staged.id[:2] / staged.id[2:]
            try:
                os.utime(target)  # one that no ref names yet is young again, and so not swept away now
            except FileNotFoundError:
                again(lambda: _move(place, target))
                if self._fsync:
                    for folder in (target.parent, target.parent.parent):
                        sync(folder)
        self.drop(staged)

    def drop(self, staged: StagedObject) -> None:
        """Remove a staged object that is not wanted; one that was admitted stays."""
        shutil.rmtree(staged.place, ignore_errors=True)

    def commit(
        self, parent: str, edits: Mapping[str, str | None], author: Signature, message: str, merged: str | None = None
    ) -> str:
        """Make a commit: `parent`'s tree with each path set to an object id, or removed (None).

        `merged` becomes the second parent. Only the folders on the way to an edit are written.
        """
        parents = (parent, merged) if merged else (parent,)
        return self._commit(self._tree(parent), edits, author, message, parents)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Tell whether `newer` descends from `older` (or is it)."""
        if older == newer:
            return True
        with translated(self.path, "read"):
            return bool(self._store.handle().descendant_of(oid_of(newer), oid_of(older)))

    def merge_base(self, one: str, other: str) -> str | None:
        """Give the best common ancestor of two commits, or nothing where they are unrelated."""
        with translated(self.path, "read"):
            try:
                found = self._store.handle().merge_base(oid_of(one), oid_of(other))
            except KeyError:
                return None
        return str(found) if found else None

    def move(self, old: str, new: str) -> None:
        """Move `main` from `old` to `new`, compare-and-swap. Raises Conflict where `main` is not at `old`."""
        # The log is on the disk already, and says where `main` is to be after a power failure.
        self._store.swing(old, new, durable=False)

    def reinstate(self, commit: str) -> bool:
        """Put a `main` that cannot be read, or is gone, at a commit; tell whether that is here."""
        return self._store.reinstate(commit)

    def clear_locks(self) -> list[str]:
        """Remove what killed processes left, and name it. Only for whoever holds the home exclusively."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        return self._store.clear_locks()

    def _commit(
        self,
        tree: bytes | None,
        edits: Mapping[str, str | None],
        author: Signature,
        message: str,
        parents: Sequence[str],
    ) -> str:
        new = edited_tree(tree, edits, self._editable, self._write_tree).hex()
        stamp = f"{int(time.time())} +0000"
        lines = [
            f"tree {new}",
            *(f"parent {parent}" for parent in parents),
            f"author {_ident(author)} {stamp}",
            f"committer {SERVER_NAME} <{SERVER_EMAIL}> {stamp}",
        ]
        text = "\n".join(lines) + "\n\n" + message.replace("\0", "").rstrip("\n") + "\n"
        return self._store.write(ObjectType.COMMIT, text.encode("utf-8", "replace"))

    def _tree(self, commit: str) -> bytes:
        raw = self._store.raw(commit, ObjectType.COMMIT)
        return bytes.fromhex(raw[5:45].decode())

    def _raw_tree(self, id: bytes) -> bytes:
        return self._store.raw(id.hex(), ObjectType.TREE)

    def _editable(self, id: bytes) -> Tree:
        """Give a tree that is the caller's own; most often the one that was written last of its folder."""
        found = self._edited.pop(id, None)
        if found is not None:
            return found
        with translated(self.path, "read"):
            return Tree.parse(self._raw_tree(id))

    def _write_tree(self, tree: Tree) -> bytes:
        id = bytes.fromhex(self._store.write(ObjectType.TREE, tree.raw()))
        self._edited[id] = tree
        if len(self._edited) > _REMEMBERED:
            self._edited.pop(next(iter(self._edited)), None)
        return id

    def _entries(self, id: bytes) -> Mapping[bytes, tuple[int, bytes]]:
        with translated(self.path, "read"):
            return parse_tree(self._raw_tree(id))

    def _folder(self, tree: bytes, names: Sequence[bytes]) -> bytes | None:
        for name in names:
            mode, tree = self._entries(tree).get(name, (0, b""))
            if mode != FOLDER:
                return None
        return tree

    def _below(self, tree: bytes, prefix: str) -> Iterator[tuple[str, File]]:
        for name, (mode, id) in self._entries(tree).items():
            if mode == FOLDER:
                yield from self._below(id, f"{prefix}{_text(name)}/")
            else:
                yield prefix + _text(name), self._file(mode, id)

    def _file(self, mode: int, id: bytes) -> File:
        return File(id.hex(), self._store.size(id.hex()), mode)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    source.replace(target)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _ident(who: Signature) -> str:
    """Write a name and address as git holds them; what git takes for punctuation is left out."""
    name, email = (part.translate(_CRUD).strip() or "unknown" for part in (who.name, who.email))
    return f"{name} <{email}>"
