"""What the ledger needs of git: the data repository that people push to, and the log that nobody serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class File:
    """A file at one commit: its object id, size in bytes, and git mode (0o100644, 0o120000, …)."""

    id: str
    size: int
    mode: int = 0o100644


@dataclass(frozen=True, slots=True)
class Signature:
    """Who a commit is by."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class StagedObject:
    """An object on its way into the repository: its id, and where it waits."""

    id: str
    place: str


class DataRepository(Protocol):
    """`data.git`. Commits made here are invisible until `move`. Object ids are hexadecimal text."""

    def tip(self) -> str:
        """Give the commit that `main` is at. Raises Internal where it is at nothing that is here."""

    def read(self, id: str) -> bytes:
        """Give a file's content by its object id. Raises KeyError where there is none."""

    def copy(self, id: str, target: str) -> None:
        """Write a file's content to a path on disk, with flat memory."""

    def file(self, commit: str, path: str) -> File | None:
        """Find one file at a commit."""

    def files(self, commit: str, folder: str = "") -> Mapping[str, File]:
        """List the files under a folder, by full path from the repository's top."""

    def add(self, content: bytes) -> str:
        """Store a file's content and give its object id."""

    def together(self) -> AbstractContextManager[None]:
        """Make what this thread adds and commits in the block durable at its end, all at once; nothing where it raises.

        Before its end only this thread may find it.
        """

    def release(self) -> Callable[[], None]:
        """Give what makes durable what this thread added and committed in such a block up to now.

        It may be called from any thread; until it was, nobody finds that.
        """

    def stage(self, path: str) -> StagedObject:
        """Write the content of a file on disk as an object that is not in the repository yet: nobody can fetch it."""

    def admit(self, staged: StagedObject) -> None:
        """Take a staged object into the repository, quickly; one that is there already is the same."""

    def drop(self, staged: StagedObject) -> None:
        """Remove a staged object that is not wanted; one that was admitted stays."""

    def commit(
        self, parent: str, edits: Mapping[str, str | None], author: Signature, message: str, merged: str | None = None
    ) -> str:
        """Make a commit: `parent`'s tree with each path set to an object id, or removed (None).

        `merged` becomes the second parent. Costs stay flat as folders grow (only touched trees are written).
        """

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Tell whether `newer` descends from `older` (or is it)."""

    def move(self, old: str, new: str) -> None:
        """Move `main` from `old` to `new`, compare-and-swap; a power failure may undo it, as the log says what it was.

        Raises Conflict where `main` is not at `old`, Temporary where the ref is locked or the disk full.
        """

    def reinstate(self, commit: str) -> bool:
        """Put a `main` that cannot be read, or is gone, at a commit; tell whether that is here."""


class LogRepository(Protocol):
    """`log.git`: an append-only list of entries, each one commit whose message is the entry."""

    def tip(self) -> str:
        """Give the id of the newest entry; empty where there is none. Raises Internal where it cannot be read."""

    def append(self, after: str, entries: Sequence[bytes], *before: Callable[[], None]) -> Sequence[str]:
        """Append entries after the entry `after` and give their ids; durable when it returns, all or none.

        What must be done `before` is done beside the writing of the entries, before any of them can be read; where
        it raises, nothing is appended. Raises Conflict where `after` is not the newest.
        """

    def read(self, after: str = "") -> Iterator[tuple[str, bytes]]:
        """Give (id, entry) of everything after the entry `after`, oldest first; all of it for the empty text.

        Raises KeyError where `after` is no entry of this log.
        """

    def newest(self) -> tuple[str, bytes] | None:
        """Give the newest entry as `read` does; None where there is none."""

    def reinstate(self, id: str) -> bool:
        """Make an entry the newest where that cannot be read; tell whether the entry is here."""
