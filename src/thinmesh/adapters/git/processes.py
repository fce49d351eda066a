"""Git processes beside the event loop, fed and read without blocking it.

They are started by `subprocess`, which shares the server's memory with the child until that runs git; uvloop's own way
copies the page tables of a large server first: 17 ms where this takes one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import IO

CHUNK = 64 * 1024


class Process:
    """A process group with pipes for its stdin, its stderr and, where it is read, its stdout."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, *, reads: bool) -> None:
        self._process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if reads else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        self.pid = self._process.pid
        for pipe in self._pipes():
            os.set_blocking(pipe.fileno(), False)

    async def stdout(self) -> bytes:
        """Read a piece of what it answers; nothing is the end."""
        return await _read(self._process.stdout)

    async def stderr(self) -> bytes:
        """Read a piece of what it complains of; nothing is the end."""
        return await _read(self._process.stderr)

    async def feed(self, body: AsyncIterator[bytes]) -> bool:
        """Hand it its input; tell whether it took all of that, or ended before."""
        assert self._process.stdin  # noqa: S101 - a pipe
        try:
            async for piece in body:
                await _write(self._process.stdin.fileno(), piece)
        except BrokenPipeError:
            return False
        self._process.stdin.close()
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its children, unless it was waited for: its number may be another's by then."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    async def wait(self) -> int:
        """Wait for its end, and give its exit code."""
        code = self._process.poll()
        return await asyncio.to_thread(self._process.wait) if code is None else code

    def close(self) -> None:
        """Let go of its pipes, once it has ended and nobody works with them any more."""
        for pipe in self._pipes():
            pipe.close()

    def _pipes(self) -> list[IO[bytes]]:
        return [pipe for pipe in (self._process.stdin, self._process.stdout, self._process.stderr) if pipe]


# Not `connect_read_pipe`: uvloop's transports close the descriptor below the file that owns it, which then closes what
# has got that number meanwhile.


async def _read(pipe: IO[bytes] | None) -> bytes:
    assert pipe  # noqa: S101 - asked for
    loop, descriptor = asyncio.get_running_loop(), pipe.fileno()
    while True:
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:
            ready = asyncio.Event()
            loop.add_reader(descriptor, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(descriptor)


async def _write(descriptor: int, data: bytes) -> None:
    loop, left = asyncio.get_running_loop(), memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            ready = asyncio.Event()
            loop.add_writer(descriptor, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_writer(descriptor)
