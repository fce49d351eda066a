"""Where a push lies until it is judged: a folder of objects that no ref and no reader of the repository leads to.

It lies in the repository's own object folder, under the name that git gives its own (git-receive-pack(1), *Quarantine
Environment*), so that what a killed server leaves is removed with the rest (store.py, `clear_locks`; git-prune(1)).
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path

from thinmesh.kernel.durability import sync

from .http_backend import put
from .packs import at_once

_CHUNK = 64 * 1024
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
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            cwd=self._repository,
            start_new_session=True,
            limit=_CHUNK,
        )
        assert process.stdin  # noqa: S101 - pipes, made above
        assert process.stderr  # noqa: S101
        _limit(process.pid)
        feeding = asyncio.create_task(_feed(process.stdin, body))
        telling = asyncio.create_task(_tell(process.stderr, say))
        try:
            await asyncio.wait((feeding, telling), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            await telling
            return await process.wait() == 0
        finally:
            feeding.cancel()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(asyncio.gather(feeding, telling, process.wait(), return_exceptions=True))

    def connecting(self, commit: str) -> subprocess.Popen[bytes]:
        """Begin to look whether all that a commit leads to is here, as git does for a push (git-receive-pack(1))."""
        command = [self._git, "rev-list", "--objects", "--stdin", "--not", "--all", "--quiet", "--alternate-refs"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self._environment,
            cwd=self._repository,
            start_new_session=True,
        )
        _limit(process.pid)
        assert process.stdin  # noqa: S101 - a pipe, made above
        with process.stdin as stdin, contextlib.suppress(BrokenPipeError):
            stdin.write(f"{commit}\n".encode())
        process.stdin = None  # or `communicate` flushes it
        return process

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


async def _feed(stdin: asyncio.StreamWriter, body: AsyncIterator[bytes]) -> None:
    async for piece in body:
        await put(stdin, piece)
    stdin.close()


async def _tell(stderr: asyncio.StreamReader, say: Say) -> None:
    while piece := await stderr.read(_CHUNK):
        say(piece)


def _rank(path: Path) -> int:
    return (".pack", ".rev", ".idx").index(path.suffix)
