"""`log.git`: the ledger's log as a chain of commits with the empty tree; the message is the entry, byte for byte."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pygit2.enums import ObjectType

from thinmesh.kernel.errors import Conflict, Internal

from .store import SERVER_EMAIL, SERVER_NAME, Store, oid_of

_PARENT = b"parent "


class GitLogRepository:
    """The log in a bare repository that no door serves (kernel/repository.py, `LogRepository`)."""

    def __init__(self, path: Path, *, fsync: bool = True) -> None:
        self._store = Store(path, fsync=fsync)
        self.path = path

    @classmethod
    def create(cls, path: Path, *, fsync: bool = True) -> GitLogRepository:
        """Make an empty log. Raises Conflict where something lies at the path."""
        Store.make(path)
        return cls(path, fsync=fsync)

    def tip(self) -> str:
        """Give the id of the newest entry; empty where there is none."""
        return self._store.head()

    def append(self, after: str, entries: Sequence[bytes], *before: Callable[[], None]) -> Sequence[str]:
        """Append entries after the entry `after` and give their ids; durable when it returns, all or none.

        What must be done `before` is done beside the writing of the entries, before any of them can be read.
        """
        now = self.tip()
        if now != after:
            raise Conflict(f"The newest entry of the log is {now or 'none'}, not {after or 'none'}.")
        if not entries:
            return []
        with self._store.together():
            ids = self._written(after, entries)
            self._store.swing(after, ids[-1], self._store.release(), *before)
        return ids

    def _written(self, after: str, entries: Sequence[bytes]) -> Sequence[str]:
        tree = self._store.write(ObjectType.TREE, b"")
        stamp = f"{SERVER_NAME} <{SERVER_EMAIL}> {int(time.time())} +0000"
        ids: list[str] = []
        for entry in entries:
            parent = ids[-1] if ids else after
            head = f"tree {tree}\n" + (f"parent {parent}\n" if parent else "")
            text = f"{head}author {stamp}\ncommitter {stamp}\n\n".encode() + entry
            ids.append(self._store.write(ObjectType.COMMIT, text))
        return ids

    def read(self, after: str = "") -> Iterator[tuple[str, bytes]]:
        """Give (id, entry) of everything after the entry `after`, oldest first.

        Raises KeyError where `after` is no entry of this log.
        """
        for id in reversed(self._newer(after)):
            text = id.hex()
            yield text, _entry(self._raw(text))

    def newest(self) -> tuple[str, bytes] | None:
        """Give the newest entry as `read` does; None where there is none."""
        id = self.tip()
        return (id, _entry(self._raw(id))) if id else None

    def _newer(self, after: str) -> list[bytes]:
        """List what comes after an entry, newest first; packed ids, for a log may hold millions."""
        found: list[bytes] = []
        if after:
            oid_of(after)
        current = self.tip()
        while current != after:
            if not current:
                raise KeyError(after)
            found.append(bytes.fromhex(current))
            current = self._parent(current)
        return found

    def _parent(self, id: str) -> str:
        line = self._raw(id).split(b"\n", 2)[1]
        return line[len(_PARENT) :].decode() if line.startswith(_PARENT) else ""

    def _raw(self, id: str) -> bytes:
        try:
            return self._store.raw(id, ObjectType.COMMIT)
        except KeyError as error:
            raise Internal(
                f"{self.path.name} is damaged: the entry {id} is missing.",
                help="Restore a backup: thinmesh restore FILE.",
            ) from error

    def reinstate(self, id: str) -> bool:
        """Make an entry the newest where that cannot be read; tell whether the entry is here."""
        return self._store.reinstate(id)

    def clear_locks(self) -> list[str]:
        """Remove what killed processes left, and name it. Only for whoever holds the home exclusively."""
        return self._store.clear_locks()


def _entry(commit: bytes) -> bytes:
    return commit.split(b"\n\n", 1)[1]
