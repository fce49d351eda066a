"""Read what a push brings, as plain data (`PushedChange`), with bounded work however it is made up.

Trees are compared from their raw bytes: only folders that differ are read, names are bytes until they are known to be
text, and no object is read before its size is known.

What is read this way tells too whether all that the push leads to is there. What `main` leads to is. Of a new commit,
each folder and file is either as in one of its parents, and there if that is whole, or it is looked up here, under the
kind that it is named as; each parent is in `main` or looked at the same way. `git rev-list --objects` finds no more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

import pygit2
from pygit2.enums import ObjectType, SortMode

from thinmesh.kernel.errors import Conflict, Refused, TooLarge
from thinmesh.kernel.repository import File, Signature
from thinmesh.planes.product.push import MAIN, Edit, Push, PushedChange, PushedCommit, PushedEntry, RefUpdate, folder_of
from thinmesh.planes.product.push_names import twins

from .data import GitDataRepository
from .trees import FOLDER, Entry, parse_tree

# Bytes of trees that are kept parsed, where they take some eight times as much.
_KEPT = 32 * 1024 * 1024
# Slashes before a name in `<domain>/<product>/<table>/`: a folder there is refused, unread.
_DEEPEST = 3
_SMALLER = "Push less at once, or hand the data in with: thinmesh publish PRODUCT FILE"
_IDENT = re.compile(rb"(.*?) ?<([^>]*)>", re.DOTALL)


class Incomplete(Refused):
    """Something that a push leads to is nowhere, or is none of what it should be."""


@dataclass(slots=True)
class Budget:
    """What reading one push may cost: commits, changed paths over all commits, tree bytes, seconds."""

    commits: int = 2_000
    paths: int = 200_000
    tree_bytes: int = 512 * 1024 * 1024
    seconds: float = 60.0
    largest_tree: int = 16 * 1024 * 1024
    largest_commit: int = 1024 * 1024
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    def commit(self) -> None:
        """Pay for a commit. Raises TooLarge."""
        self.commits -= 1
        if self.commits < 0:
            raise TooLarge("The push brings more commits than are read at once.", help="Squash them, and push again.")

    def path(self) -> None:
        """Pay for a changed path. Raises TooLarge."""
        self.paths -= 1
        if self.paths < 0:
            raise TooLarge("The push changes more files than are read at once.", help=_SMALLER)

    def tree(self, size: int) -> None:
        """Pay for a tree. Raises TooLarge."""
        self.tree_bytes -= size
        if self.tree_bytes < 0 or size > self.largest_tree or time.monotonic() > self._end:
            raise TooLarge("The push takes too much to read.", help=_SMALLER)


@dataclass(frozen=True, slots=True)
class _Difference:
    path: bytes
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True, slots=True)
class _Commit:
    id: str
    tree: bytes
    parents: tuple[str, ...]
    author: Signature
    subject: str


def read_push(push: Push, tip: str, budget: Budget | None = None) -> PushedChange:
    """Read a push against `main` as it is at `tip`.

    Raises Incomplete where something that it leads to is missing, Refused where it rewrites history or shares none,
    TooLarge where it is more than is read at once.
    """
    data = push.repository
    if not isinstance(data, GitDataRepository):
        raise TypeError("a push is read from git")
    return _Reader(data, budget or Budget()).read(push, tip)


class _Reader:
    def __init__(self, data: GitDataRepository, budget: Budget) -> None:
        self._data = data
        self._handle = data.handle()
        self._budget = budget
        self._trees: dict[bytes, tuple[int, dict[bytes, Entry]]] = {}
        self._kept = 0
        self._twins: dict[tuple[str, str], None] = {}

    def read(self, push: Push, tip: str) -> PushedChange:
        new = push.update.new
        self._require_commit(new)
        base = self._base(push.update, tip)
        commits = [self._commit(id) for id in self._new(new, tip)]
        touched: dict[str, str] = {}
        # The same content under another mode is another thing: a file that becomes a link keeps its id.
        entries: dict[tuple[str, Entry], PushedEntry] = {}
        net = list(self._difference(self._tree_of(base), self._tree_of(new)))
        for id, changes in (*((commit.id, self._changes_of(commit)) for commit in commits), (new, net)):
            for change in changes:
                path = _text(change.path)
                touched.setdefault(path, id)
                if change.new and (path, change.new) not in entries:
                    entries[path, change.new] = PushedEntry(path, id, self._file(change.new))
        folders = sorted({folder for folder in map(folder_of, touched) if folder})
        return PushedChange(
            base=base,
            tip=new,
            commits=tuple(PushedCommit(c.id, c.author, c.subject, len(c.parents) > 1) for c in commits),
            touched=touched,
            entries=tuple(entries.values()),
            twins=tuple(self._twins),
            net={_text(c.path): Edit(self._optional(c.old), self._optional(c.new)) for c in net},
            before={folder: self._files(base, folder) for folder in folders},
            after={folder: self._files(new, folder) for folder in folders},
        )

    def _require_commit(self, id: str) -> None:
        if self._header(bytes.fromhex(id))[0] != ObjectType.COMMIT:
            raise Refused("What was pushed is no commit.", help="Push a branch: git push origin HEAD:refs/for/main")

    def _base(self, update: RefUpdate, tip: str) -> str:
        """Find what the push is compared with; a push to `main` must build on its tip."""
        if update.ref == MAIN and update.old != tip:
            raise Conflict("Somebody else pushed to main meanwhile.", help="Run git pull --no-rebase, then push again.")
        base = self._data.merge_base(tip, update.new)
        if base is None:
            raise Refused(
                "The pushed history has nothing in common with main.",
                help="Clone the repository, copy your folders into the clone, commit and push.",
            )
        if update.ref == MAIN and base != tip:
            raise Refused(
                "The push would rewrite the history of main.", help="Run git pull --rebase, then push without --force."
            )
        return base

    def _new(self, new: str, tip: str) -> list[str]:
        """List the commits that `main` does not have, oldest first.

        The walk goes by commit times, which clients set: wrong ones make it give too much, never too little; what
        `main` has is taken out again.
        """
        walk = self._handle.walk(new, SortMode.TOPOLOGICAL)
        walk.hide(tip)
        found = []
        try:
            for commit in walk:
                self._budget.commit()
                found.append(str(commit.id))
        except KeyError as error:
            raise _incomplete("a commit") from error
        return [id for id in reversed(found) if not self._data.is_ancestor(id, tip)]

    def _commit(self, id: str) -> _Commit:
        """Read a commit as git does: a line `parent` after the parents names none, and would hide what it changes."""
        size = self._size(bytes.fromhex(id), ObjectType.COMMIT)
        if size > self._budget.largest_commit:
            raise TooLarge(
                f"The commit {id[:12]} has a message of {size} bytes.", help="Shorten it with git rebase -i."
            )
        _, raw = self._handle.odb.read(pygit2.Oid(hex=id))
        head, _, message = raw.partition(b"\n\n")
        lines = head.split(b"\n")
        return _Commit(
            id,
            bytes.fromhex(lines[0][5:].decode("ascii")),
            tuple(line[7:].decode("ascii") for line in takewhile(lambda line: line.startswith(b"parent "), lines[1:])),
            _signature(next((line[7:] for line in lines if line.startswith(b"author ")), b"")),
            message.strip().split(b"\n")[0][:200].decode("utf-8", "replace"),
        )

    def _changes_of(self, commit: _Commit) -> Iterator[_Difference]:
        """Give what a commit changed; of a merge, what is as in none of its parents."""
        if len(commit.parents) < 2:
            parent = self._tree_of(commit.parents[0]) if commit.parents else None
            yield from self._difference(parent, commit.tree)
            return
        first, *others = [
            {change.path: change for change in self._difference(self._tree_of(parent), commit.tree)}
            for parent in commit.parents
        ]
        yield from (change for path, change in first.items() if all(path in other for other in others))

    def _difference(self, old: bytes | None, new: bytes | None, prefix: bytes = b"") -> Iterator[_Difference]:
        if old == new:
            return
        before, after = self._entries(old), self._entries(new)
        if after.keys() - before.keys():
            self._find_twins(prefix, before, after)
        deep = prefix.count(b"/") >= _DEEPEST
        for name in sorted({name for name, _ in before.items() ^ after.items()}):
            was, now = before.get(name), after.get(name)
            folders = [entry[1] if entry and entry[0] == FOLDER and not deep else None for entry in (was, now)]
            if any(folders):
                yield from self._difference(folders[0], folders[1], prefix + name + b"/")
            files = [None if folder else entry for folder, entry in zip(folders, (was, now), strict=True)]
            if any(files):
                self._budget.path()
                yield _Difference(prefix + name, files[0], files[1])

    def _find_twins(self, prefix: bytes, before: Mapping[bytes, Entry], after: Mapping[bytes, Entry]) -> None:
        names = [_text(name) for name in after]
        for one, other in twins(names, {_text(name) for name in after.keys() - before.keys()}):
            self._twins[_text(prefix) + one, _text(prefix) + other] = None

    def _entries(self, tree: bytes | None) -> dict[bytes, Entry]:
        if tree is None:
            return {}
        if tree in self._trees:
            return self._trees[tree][1]
        size = self._size(tree, ObjectType.TREE)
        self._budget.tree(size)
        try:
            found = parse_tree(self._handle.odb.read(pygit2.Oid(raw=tree))[1])
        except ValueError as error:
            raise Refused("A folder in the push cannot be read.", help="Run git fsck in your clone.") from error
        self._keep(tree, size, found)
        return found

    def _size(self, id: bytes, kind: ObjectType) -> int:
        """Give the size of an object, in bytes. Raises Incomplete where there is none of this kind."""
        found, size = self._header(id)
        if found != kind:
            raise _incomplete(id.hex())
        return size

    def _header(self, id: bytes) -> tuple[ObjectType, int]:
        try:
            kind, size = self._handle.odb.read_header(pygit2.Oid(raw=id))
        except KeyError as error:
            raise _incomplete(id.hex()) from error
        return kind, size

    def _keep(self, tree: bytes, size: int, entries: dict[bytes, Entry]) -> None:
        """Keep a tree for the commit after, and let the oldest go: many versions of a large one do not fit."""
        while self._trees and self._kept + size > _KEPT:
            self._kept -= self._trees.pop(next(iter(self._trees)))[0]
        self._trees[tree] = size, entries
        self._kept += size

    def _tree_of(self, commit: str) -> bytes:
        return self._commit(commit).tree

    def _file(self, entry: Entry) -> File:
        mode, id = entry
        # A submodule's commit lies elsewhere, and a folder nested too deep is not looked into.
        size = self._size(id, ObjectType.BLOB) if mode & 0o170000 in (0o100000, 0o120000) else 0
        return File(id.hex(), size, mode)

    def _optional(self, entry: Entry | None) -> File | None:
        return self._file(entry) if entry else None

    def _files(self, commit: str, folder: str) -> dict[str, File]:
        """List the files of a product folder, through the budget: the pushed side is not trusted."""
        tree: bytes | None = self._tree_of(commit)
        for name in folder.encode("utf-8", "surrogateescape").split(b"/"):
            mode, id = self._entries(tree).get(name, (0, b""))
            tree = id if mode == FOLDER else None
        prefix = folder.encode("utf-8", "surrogateescape") + b"/"
        return {_text(path): self._file(entry) for path, entry in self._below(tree, prefix)}

    def _below(self, tree: bytes | None, prefix: bytes) -> Iterator[tuple[bytes, Entry]]:
        for name, entry in self._entries(tree).items():
            if entry[0] == FOLDER and prefix.count(b"/") < _DEEPEST:
                yield from self._below(entry[1], prefix + name + b"/")
            else:
                self._budget.path()
                yield prefix + name, entry


def _incomplete(what: str) -> Incomplete:
    return Incomplete(
        f"The push leads to something that is missing: {what}.",
        help="Run git fsck in your clone, and push again.",
    )


def _signature(line: bytes) -> Signature:
    found = _IDENT.match(line)
    name, email = (part[:200].decode("utf-8", "replace") for part in found.groups()) if found else ("unknown", "")
    return Signature(name.strip() or "unknown", email.strip())


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
