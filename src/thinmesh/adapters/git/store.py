"""A bare repository as `data.git` and `log.git` use it: a handle per thread, faults translated, one ref that moves.

libgit2 handles may not be used by two threads at once, so every thread opens its own (0.1 ms). The only ref is
`refs/heads/main`, and only the ledger moves it, under its lease.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pygit2
import structlog
from pygit2.enums import ObjectType

from thinmesh.kernel.durability import sync
from thinmesh.kernel.errors import Conflict, Internal, Temporary

from .packs import Objects, at_once, object_id, write_pack
from .tips import newest_entry

MAIN = "refs/heads/main"
SERVER_NAME, SERVER_EMAIL = "thinmesh", "thinmesh@thinmesh.invalid"
_Found = TypeVar("_Found")
_log = structlog.get_logger("thinmesh.git")

# How long a lock file of another process is respected. Nobody who plays by the rules makes one while we hold the
# lease: it is a leftover of a killed process, or the hand of an administrator, which is done in milliseconds.
_LOCK_SECONDS = 2.0
# What git and libgit2 make for a moment: locks (of refs, settings, packs), objects and packs half written, quarantined
# pushes (git-receive-pack(1), *Quarantine environment*), and the note that a pack must stay until its push has ended.
_LEFT = (
    "*.lock",
    "refs/**/*.lock",
    "gc.pid",
    "objects/*.lock",
    "objects/pack/*.lock",
    "objects/pack/*.keep",
    "objects/tmp_obj*",
    "objects/[0-9a-f][0-9a-f]/tmp_obj*",
    "objects/pack/tmp_*",
    "objects/pack/.tmp-*",
    "objects/pack/pack_git2_*",
)
_ASK_DOCTOR = "Run `thinmesh doctor` on the home; it names the command that heals it."
_ATTEMPTS = 4


@contextmanager
def translated(where: Path, doing: str) -> Iterator[None]:
    """Turn libgit2's faults into ours. KeyError (no such object) passes.

    Reading faults are Internal (the repository is damaged), writing faults Temporary (disk full, no rights).
    """
    try:
        yield
    except KeyError:
        raise
    except OSError as error:
        raise Temporary(
            f"{where.name} could not be {doing}: {error.strerror or error}.",
            help="See that its disk has room and works, then try again.",
        ) from error
    except (pygit2.GitError, ValueError) as error:
        # On a full disk libgit2 reports large objects as "no error" (tried).
        if doing == "written":
            raise Temporary(
                f"{where.name} could not be written: {error}.",
                help="See that its disk has room and works, then try again.",
            ) from error
        raise Internal(f"{where.name} could not be read: {error}.", help=_ASK_DOCTOR) from error


class _Here(threading.local):
    """What is one thread's own: its handle, and what it holds back (None: nothing is to be)."""

    repository: pygit2.Repository | None = None
    packs = 0
    held: dict[bytes, tuple[ObjectType, bytes]] | None = None


class Store:
    """A bare repository with one branch."""

    def __init__(self, path: Path, *, fsync: bool = True, alternates: Sequence[Path] = ()) -> None:
        self.path = path
        self._alternates = tuple(alternates)
        self._packs = path / "objects" / "pack"
        self._fsync = fsync
        self._here = _Here()
        # Commits and folders of the pack that was written last. The ledger goes on from these: to look for them anew,
        # libgit2 would read the index of every pack that came since the upkeep.
        self._written: Objects = {}
        self._swinging = threading.Lock()
        if fsync:
            # libgit2 has one switch per process: objects, refs and their folders are synced from now on.
            pygit2.settings.enable_fsync_gitdir(True)

    @staticmethod
    def make(path: Path) -> None:
        """Make an empty bare repository for this OS user alone. Raises Conflict where something lies at the path."""
        if path.exists() and any(path.iterdir()):
            raise Conflict(f"There is something at {path} already.", help="Choose another folder.")
        with translated(path, "written"):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            pygit2.init_repository(str(path), bare=True, initial_head="main")

    def handle(self) -> pygit2.Repository:
        """Give this thread's handle; it finds everything that was written."""
        if self._here.held:
            self._let_go()
        return self._opened()

    def _opened(self) -> pygit2.Repository:
        """Give this thread's handle; a new one where packs came or went.

        libgit2 never lets go of a pack that it opened: one that was packed anew would keep its place on the disk. A
        view of a push is short-lived, and its reader keeps the handle: it is never renewed.
        """
        here, packs = self._here, self._packs_changed()
        found = here.repository
        if found is None or (here.packs != packs and not self._alternates):
            self.close()
            with translated(self.path, "read"):
                found = pygit2.Repository(str(self.path))
                for folder in self._alternates:
                    found.odb.add_disk_alternate(str(folder))
            here.repository, here.packs = found, packs
        return found

    def close(self) -> None:
        """Free this thread's handle: it is part of a cycle, and would live until the collector comes."""
        found, self._here.repository = self._here.repository, None
        if found is not None:
            found.free()

    def _packs_changed(self) -> int:
        try:
            return self._packs.stat().st_mtime_ns
        except OSError:  # whoever reads from it says what is wrong
            return self._here.packs

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold what this thread writes in the block; at its end it becomes one pack, durably, or nothing.

        What is held is found by this thread alone. A block that raises drops what it holds.
        """
        here = self._here
        if here.held is not None:
            raise Internal("Writing together was begun inside itself.")
        here.held = {}
        try:
            yield
            if here.held:
                self._let_go()
        finally:
            here.held = None

    def release(self) -> Callable[[], None]:
        """Give what writes what this thread holds, from any thread; until it has, nobody finds that."""
        held, self._here.held = self._here.held, {}

        def write() -> None:
            if held:
                with translated(self.path, "written"):
                    write_pack(self._packs, held, fsync=self._fsync)
                self._written = {id: found for id, found in held.items() if found[0] != ObjectType.BLOB}

        return write

    def _let_go(self) -> None:
        """Write what is held."""
        self.release()()

    def head(self) -> str:
        """Give the commit that the branch is at; empty where there is none. Raises Internal where it is not here."""
        written = _raw(newest_entry(self.path))
        if written in self._written:
            return written.hex()
        with translated(self.path, "read"):
            handle = self._opened()
            try:
                found = handle.lookup_reference(MAIN).target
            except KeyError:
                return ""
            if found in handle.odb:
                return str(found)
        raise Internal(f"main of {self.path.name} is at {found}, which is missing.", help=_ASK_DOCTOR)

    def reinstate(self, commit: str) -> bool:
        """Put a branch that cannot be read, or is gone, at a commit; tell whether that is here.

        The caller holds the ledger's lease, and knows that the branch was there.
        """
        with translated(self.path, "written"):
            handle = self.handle()
            if pygit2.Oid(hex=commit) not in handle.odb:
                return False
            _log.warning("put a broken branch back", repository=self.path.name, commit=commit)
            (self.path / MAIN).unlink(missing_ok=True)
            handle.create_reference_direct(MAIN, pygit2.Oid(hex=commit), True)
        return True

    def raw(self, id: str, kind: ObjectType) -> bytes:
        """Give an object's bytes. Raises KeyError where there is none of this kind."""
        oid = oid_of(id)
        held = (self._here.held or {}).get(oid.raw) or self._written.get(oid.raw)
        if held is None:
            with translated(self.path, "read"):
                held = self._opened().odb.read(oid)
        found, content = held
        if found != kind:
            raise KeyError(id)
        return content

    def size(self, id: str) -> int:
        """Give the number of bytes of an object. Raises KeyError where there is none."""
        oid = oid_of(id)
        held = self._here.held.get(oid.raw) if self._here.held else None
        if held is not None:
            return len(held[1])
        with translated(self.path, "read"):
            _, size = self._opened().odb.read_header(oid)
        return int(size)

    def write(self, kind: ObjectType, content: bytes) -> str:
        """Store an object and give its id."""
        held = self._here.held
        if held is not None:
            id = object_id(kind, content)
            held[id] = (kind, content)
            return id.hex()
        with translated(self.path, "written"):
            return str(again(lambda: self._opened().odb.write(kind, content)))

    def swing(self, old: str, new: str, *before: Callable[[], None], durable: bool = True) -> None:
        """Move the branch from `old` (empty: it is born) to `new`, compare-and-swap.

        What must be on the disk `before` is written beside the draft of the ref, at once. The caller holds the ledger's
        lease, so that a lock file that stays is nobody's: it is removed, with a log line.
        Raises Conflict where the branch is not at `old`.
        """
        with self._swinging:
            self._wait_for_lock()
            with translated(self.path, "written"):
                self._swing(old, new, before, durable and self._fsync)

    def _swing(self, old: str, new: str, before: Sequence[Callable[[], None]], fsync: bool) -> None:
        """Write the ref as git does, by its lock file; libgit2 would keep every other thread waiting for the disk."""
        ref = self.path / MAIN
        draft = ref.with_name(ref.name + ".lock")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(descriptor, "w") as out:
                now = newest_entry(self.path)
                if now != old:
                    raise self._moved(now or "nothing", old)
                out.write(f"{new}\n")
                out.flush()
                if fsync:
                    before = (*before, partial(os.fsync, out.fileno()))
                at_once(*before)
            self._require(new)
            draft.replace(ref)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        if fsync:
            sync(ref.parent)

    def _require(self, id: str) -> None:
        """Raise Internal where there is no such object: a branch must not lead to nothing."""
        oid = oid_of(id)
        if oid.raw not in self._written and not self._opened().odb.exists(oid):
            raise Internal(f"{self.path.name} has no {id} to move main to.")

    def _moved(self, now: str, old: str) -> Conflict:
        return Conflict(
            f"main of {self.path.name} is at {now}, not at {old or 'nothing'}.", help="Read it again and retry."
        )

    def _wait_for_lock(self) -> None:
        """Wait for a lock file to go, and remove it where it only gets older."""
        lock = self.path / f"{MAIN}.lock"
        first = _inode(lock)
        if first is None:
            return
        age = max(0.0, time.time() - first[1] / 1e9)
        until = time.monotonic() + _LOCK_SECONDS - age
        while time.monotonic() < until and _inode(lock) == first:
            time.sleep(0.02)
        if _inode(lock) == first:
            _log.warning("removed a stale lock file", repository=self.path.name, lock=lock.name)
            lock.unlink(missing_ok=True)

    def clear_locks(self) -> list[str]:
        """Remove what killed processes left, lock files, quarantined pushes and drafts of packs, and name them.

        Only for whoever holds the home exclusively: git processes that outlived their server fail then, as they should.
        """
        left = [path for pattern in _LEFT for path in self.path.glob(pattern)]
        for path in left:
            _log.warning("removed what a killed process left", repository=self.path.name, file=path.name)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return [str(path.relative_to(self.path)) for path in left]


def again(write: Callable[[], _Found]) -> _Found:
    """Write an object, once more where its folder went: a git that packs removes those it has emptied.

    That falls between libgit2's making of the folder and its renaming of the file into it.
    """
    for _ in range(_ATTEMPTS):
        try:
            return write()
        except OSError:
            continue
    return write()


def oid_of(id: str) -> pygit2.Oid:
    """Read an object id. Raises KeyError where the text is none."""
    if len(id) != 40:
        raise KeyError(id)
    try:
        return pygit2.Oid(hex=id)
    except ValueError as error:
        raise KeyError(id) from error


def _raw(id: str) -> bytes:
    """Give an id as its bytes; none where the text is something else."""
    try:
        return bytes.fromhex(id)
    except ValueError:
        return b""


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
