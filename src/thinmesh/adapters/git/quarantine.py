"""Where a push lies until it is judged: a folder of objects that no ref and no reader of the repository leads to.

It lies in the repository's own object folder, under the name that git gives its own (git-receive-pack(1), *Quarantine
Environment*), so that what a killed server leaves is removed with the rest (store.py, `clear_locks`; git-prune(1)).
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path

from thinmesh.kernel.durability import sync

from .packs import at_once
from .processes import Process

# A small pack can unfold into anything (zlib, deltas that copy): memory in bytes and CPU in seconds, of each process.
_LIMITS = {resource.RLIMIT_AS: 2 << 30, resource.RLIMIT_CPU: 600}
# A pack of no objects is its head and checksum: git keeps none of these.
_EMPTY = 32
# The client is told what git writes to its stderr, as it comes.
Say = Callable[[bytes], None]


class Quarantine:
    """One push's folder; `environment` is that of the git processes that work in it."""

    def __init__(self, repository: Path, git: str, environment: Mapping[str, str]) -> None:
        self._repository = repository
        self._objects = repository / "objects"
        self._git = git
        self.folder = Path(tempfile.mkdtemp(prefix="tmp_objdir-incoming-", dir=self._objects))
        # Git works in the repository's folder: relative paths need no quoting.
        self._environment = {
            **environment,
            "GIT_DIR": ".",
            "GIT_OBJECT_DIRECTORY": f"objects/{self.folder.name}",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": "objects",
        }

    async def unpack(self, body: AsyncIterator[bytes], say: Say, *, limit: int, progress: bool) -> bool:
        """Have git check a pack, object by object, and write it here; tell whether it did.

        `limit` is the most that it may hold, in bytes. What git says goes to `say`. Raises what reading `body` raises.
        """
        (self.folder / "pack").mkdir(mode=0o700)
        # What is accepted is brought to the disk by `admit`; the rest need not be.
        command = [self._git, "-c", "core.fsync=none", "index-pack", "--stdin", "--fix-thin", "--strict"]
        command += [f"--max-input-size={limit}", *(["--show-resolving-progress"] if progress else [])]
        process = Process(command, self._environment, self._repository, reads=False)
        _limit(process.pid)
        feeding = asyncio.create_task(process.feed(body))
        telling = asyncio.create_task(_tell(process, say))
        try:
            await asyncio.wait((feeding, telling), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            await telling
            # What follows a pack is no part of a push; git does not look whether there is anything.
            return await process.wait() == 0 and await feeding
        finally:
            feeding.cancel()
            process.signal(signal.SIGKILL)
            await asyncio.shield(_ended(process, feeding, telling))

    def admit(self, *, fsync: bool) -> None:
        """Move what lies here into the repository; git looks for the index first, and so it comes last.

        Raises OSError.
        """
        found = sorted((self.folder / "pack").glob("pack-*"), key=_rank)
        if any(path.suffix == ".pack" and path.stat().st_size <= _EMPTY for path in found):
            return
        if fsync:
            at_once(*[partial(sync, path) for path in found])
        for path in found:
            path.replace(self._objects / "pack" / path.name)
        if fsync and found:
            sync(self._objects / "pack")

    def remove(self) -> None:
        """Remove what is left."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _limit(pid: int) -> None:
    """Limit a process that waits for its input: it has been given nothing to work on yet."""
    with contextlib.suppress(ProcessLookupError):  # it has ended
        for what, most in _LIMITS.items():
            resource.prlimit(pid, what, (most, most))


async def _ended(process: Process, *streams: asyncio.Task[bool] | asyncio.Task[None]) -> None:
    await asyncio.gather(*streams, return_exceptions=True)
    await process.wait()
    process.close()


async def _tell(process: Process, say: Say) -> None:
    while piece := await process.stderr():
        say(piece)


def _rank(path: Path) -> int:
    return (".pack", ".rev", ".idx").index(path.suffix)
