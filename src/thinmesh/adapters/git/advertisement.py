"""What a client that is about to push is told: where `main` is, what it may ask for, and what is here already.

Git leaves out of a push what it knows to be here. It can tell from `main` only while it has the commit that `main` is
at; once somebody else has moved it, git would send the whole history again, 50,000 objects in a mesh of 10,000
products. So commits that `main` came from are named as well, in the way that git names those of other repositories of
which it has the objects (`.have`; gitprotocol-pack(5), *Reference Discovery*). All of them can be fetched by whoever
may fetch `main`.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Mapping

import pygit2

from thinmesh.kernel.errors import Internal

from .client import Headers
from .data import GitDataRepository
from .store import MAIN

HEADERS: Headers = [
    (b"content-type", b"application/x-git-receive-pack-advertisement"),
    (b"cache-control", b"no-cache, max-age=0, must-revalidate"),
    (b"expires", b"Fri, 01 Jan 1980 00:00:00 GMT"),
    (b"pragma", b"no-cache"),
]
_FLUSH = b"0000"
# The newest are all named, beyond them one at each doubling: who is so far behind sends twice what is new at most.
_NEAR = 32
_FAR = 4_096

_Step = tuple[str, tuple[str, ...]]  # a commit, and what it merged


class Advertisement:
    """Written here: git would start four processes for the same lines."""

    def __init__(self, repository: GitDataRepository) -> None:
        self._repository = repository
        self._capabilities = b""
        # The way that `main` came, oldest first.
        self._way: list[_Step] = []
        self._lock = threading.Lock()

    def learn(self, git: str, environment: Mapping[str, str]) -> None:
        """Ask git what it takes, under the settings in force. Raises Internal where it does not say."""
        command = [git, "receive-pack", "--advertise-refs", str(self._repository.path.resolve())]
        found = subprocess.run(command, env=dict(environment), capture_output=True, timeout=30, check=False)
        line = found.stdout.split(b"\n", 1)[0]
        self._capabilities = line.partition(b"\0")[2]
        if found.returncode or b"report-status" not in self._capabilities.split():
            text = found.stderr.decode("utf-8", "replace").strip()[:200]
            raise Internal(f"The git door stays shut: git receive-pack cannot be executed here: {text}")

    @property
    def offered(self) -> frozenset[bytes]:
        """Give the names of the capabilities that a client may ask for."""
        return frozenset(each.partition(b"=")[0] for each in self._capabilities.split())

    def body(self) -> bytes:
        """Write the reply to `info/refs?service=git-receive-pack`. Raises Internal where `main` is gone."""
        tip = self._repository.tip()
        with self._lock:
            self._follow(tip)
            known = list(dict.fromkeys(self._known()))
        lines = [f"{tip} {MAIN}".encode() + b"\0" + self._capabilities]
        lines += [f"{id} .have".encode() for id in known if id != tip]
        return b"".join((_packet(b"# service=git-receive-pack"), _FLUSH, *map(_packet, lines), _FLUSH))

    def _follow(self, tip: str) -> None:
        """Bring the way up to a commit."""
        places = {id: place for place, (id, _) in enumerate(self._way[-_NEAR:], max(len(self._way) - _NEAR, 0))}
        handle = self._repository.handle()
        fresh: list[_Step] = []
        id = tip
        while id and id not in places and len(fresh) < _FAR:
            commit = handle[pygit2.Oid(hex=id)].peel(pygit2.Commit)
            first, *others = [str(parent) for parent in commit.parent_ids] or [""]
            fresh.append((id, tuple(others)))
            id = first
        kept = self._way[: places[id] + 1] if id in places else []
        self._way = [*kept, *reversed(fresh)][-_FAR:]

    def _known(self) -> Iterator[str]:
        """Give what is to be named, newest first."""
        for id, others in reversed(self._way[-_NEAR:]):
            yield id
            yield from others[:1]
        back = 2 * _NEAR
        while back <= len(self._way):
            yield self._way[-back][0]
            back *= 2


def _packet(line: bytes) -> bytes:
    return b"%04x%s\n" % (len(line) + 5, line)
