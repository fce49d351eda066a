"""A push, as plain data, and the protocol by which the git door asks what to make of it.

The order of events, all inside one HTTP request of the client:

1. The door makes a `PushContext` for the signed-in caller; git unpacks what is sent into quarantine.
2. `PushHandler.check(push, say)`: objects can be read through `push.repository` (the quarantine included), nothing is
   visible to anybody. It judges everything: that nothing is missing (by reading the whole push, which nobody else
   does), `push_structure.structural_faults`, `rights_faults`, descriptors, compatibility, rows. It gives violations, or
   raises a MeshError: the client is shown every line, and nothing changed. Parquet staged here is kept by the handler
   under `push.context.id`.
3. The door moves the objects out of quarantine: they are in the repository now, and still no ref names them.
4. `PushHandler.land(push, say)`: takes the ledger's lease and gives the commit that `main` is at. For
   `refs/heads/main` that is the pushed commit or a Conflict; for `refs/for/main` a merge, where the pushed commit
   does not descend from the tip (see `GitDataRepository.merge`). A file that both sides changed is refused here, and
   `push_structure.folder_faults` judges what the merged folders come to.
5. `PushHandler.end(context)`: the request is over, whatever came of it; what was staged and not used can go. It comes
   after `check` and `land` have returned, exactly once, also where neither was called.

`check` and `land` are called from threads of the door, for different pushes at the same time.
`land` is called only for a push whose `check` found nothing, with the same update.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from thinmesh.kernel.errors import Violation
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.repository import DataRepository, File, Signature

MAIN, FOR_MAIN = "refs/heads/main", "refs/for/main"
NOWHERE = "0" * 40

# Tells the pushing client one line, at once. Never raises, also where the client is gone.
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PushContext:
    """Who pushes. `id` is new for each request."""

    caller: Principal
    id: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """What the client asks of one ref; a commit of zeros means that there is none."""

    old: str
    new: str
    ref: str


@dataclass(frozen=True, slots=True)
class Push:
    """One push that arrived: who, what, and a view of the repository in which its objects can be read."""

    context: PushContext
    update: RefUpdate
    repository: DataRepository


@dataclass(frozen=True, slots=True)
class Landing:
    """What came of a push: the commit that `main` is at now, and the one it was at before where that is known.

    `changed` is False where `main` had all of it already.
    """

    tip: str
    old: str = ""
    changed: bool = True


class PushHandler(Protocol):
    """Judges pushes and lands them."""

    def check(self, push: Push, say: Say) -> Sequence[Violation]:
        """Judge a push that nobody sees yet; give every fault found, or raise a MeshError."""

    def land(self, push: Push, say: Say) -> Landing:
        """Move `main` for a push that was found good. Raises a MeshError where that is not possible any more."""

    def end(self, context: PushContext) -> None:
        """Forget what was kept for a push."""


@dataclass(frozen=True, slots=True)
class PushedCommit:
    """A commit that the push brings; `merge` where it has more than one parent."""

    id: str
    author: Signature
    subject: str
    merge: bool


@dataclass(frozen=True, slots=True)
class PushedEntry:
    """A file (or link, or submodule) that a new commit brings into the history at a path, at the tip or on the way.

    Bytes of a path that are no UTF-8 are surrogate escapes. A folder nested too deep is given as itself.
    """

    path: str
    commit: str
    file: File


@dataclass(frozen=True, slots=True)
class Edit:
    """What a path is before and after the push, taken as a whole."""

    old: File | None
    new: File | None


@dataclass(frozen=True, slots=True)
class PushedChange:
    """What a push comes to.

    `base` is the old tip of `main`, or the merge base with it for `refs/for/main`; `tip` is the pushed commit. `net` is
    the difference between the two. `touched` names, for every path that any new commit changed, the first such
    commit, also where a later one undid it: rights are judged by it. `entries` are all files ever brought in.
    `twins` are pairs of names in one folder that some systems take for the same. `before` and `after` list the files of
    every touched product folder at `base` and `tip`, by folder and full path.
    """

    base: str
    tip: str
    commits: tuple[PushedCommit, ...] = ()
    touched: Mapping[str, str] = field(default_factory=dict)
    entries: tuple[PushedEntry, ...] = ()
    twins: tuple[tuple[str, str], ...] = ()
    net: Mapping[str, Edit] = field(default_factory=dict)
    before: Mapping[str, Mapping[str, File]] = field(default_factory=dict)
    after: Mapping[str, Mapping[str, File]] = field(default_factory=dict)
    # By folder: a push may touch 10^5 of them, and each must find its own without reading all others'.
    _edits: Mapping[str, Mapping[str, Edit]] = field(init=False, repr=False, compare=False)
    _brought: Mapping[str, Sequence[PushedEntry]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        edits: dict[str, dict[str, Edit]] = {}
        for path in sorted(self.net):
            edits.setdefault(folder_of(path), {})[path] = self.net[path]
        brought: dict[str, list[PushedEntry]] = {}
        for entry in self.entries:
            brought.setdefault(folder_of(entry.path), []).append(entry)
        object.__setattr__(self, "_edits", edits)
        object.__setattr__(self, "_brought", brought)

    @property
    def author(self) -> Signature | None:
        """Give the author of the newest commit that is no merge."""
        return next((commit.author for commit in reversed(self.commits) if not commit.merge), None)

    def folders(self) -> dict[str, list[str]]:
        """Group the touched paths by product folder (`<domain>/<product>`), sorted; other paths are left out."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.touched):
            folder = folder_of(path)
            if folder:
                found.setdefault(folder, []).append(path)
        return found

    def edits(self, folder: str) -> Mapping[str, Edit]:
        """Give what changed in one product folder, taken as a whole, by full path."""
        return self._edits.get(folder, {})

    def brought(self, folder: str) -> Sequence[PushedEntry]:
        """Give the files ever brought into one product folder."""
        return self._brought.get(folder, ())


def folder_of(path: str) -> str:
    """Give the product folder that a path lies in; empty where it lies in none."""
    domain, _, rest = path.partition("/")
    product, slash, _ = rest.partition("/")
    return f"{domain}/{product}" if slash else ""
