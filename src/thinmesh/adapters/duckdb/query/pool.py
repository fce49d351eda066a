"""The server's side of the workers: keep some ready, hand them out, kill them.

A worker is blank (prepared, unseen by anybody), or belongs to one user once it has met a statement; bound ones
are kept a while for the next statement of that user over the very same files.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from thinmesh.kernel.errors import Temporary
from thinmesh.kernel.scratch import make_folder

from . import channel
from .channel import Closed

# How long a bound worker waits for its user's next statement; its memory is of use to others.
_KEEP_SECONDS = 60.0
_START_SECONDS = 30.0
# How far a worker may be ahead of its reader, where net.core.wmem_max allows that much.
_SEND_BUFFER = 4 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """What a worker may use: memory of one statement (bytes), threads, and a folder to spill into, if any."""

    memory: int
    threads: int
    readable: tuple[Path, ...]
    scratch: Path | None = None
    scratch_bytes: int = 0
    files: int = 65_536

    def text(self) -> str:
        """Write as the template's argument."""
        return json.dumps(
            {
                "memory": self.memory,
                "threads": self.threads,
                "files": self.files,
                "readable": [str(path) for path in self.readable],
                "scratch": str(self.scratch) if self.scratch else None,
                "scratch_bytes": self.scratch_bytes,
            }
        )


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process. `user` is who it belongs to, `key` what it is bound to; both empty while it is blank."""

    sock: socket.socket
    user: str = ""
    key: str = ""
    pid: int = 0
    walls: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    idle_since: float = 0.0
    scratch: str = ""
    _pidfd: int = -1
    _dead: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ready(self) -> None:
        """Wait until the worker is prepared. Raises Closed where it never was."""
        if self._pidfd >= 0:
            return
        self.sock.settimeout(_START_SECONDS)
        try:
            first, descriptors, _, _ = socket.recv_fds(self.sock, channel.HEADER.size, 1)
            if descriptors:
                self._pidfd = descriptors[0]
            if len(first) < channel.HEADER.size:
                raise Closed
            _, length = channel.HEADER.unpack(first)
            told = json.loads(channel.receive_exactly(self.sock, length))
        except OSError as error:
            raise Closed from error
        self.sock.settimeout(None)
        self.pid, self.walls, self.version = told["pid"], told["walls"], told["duckdb"]
        self.scratch = told["scratch"]

    def kill(self) -> None:
        """End the process at once; who reads from it sees the end of the stream. Safe from any thread, and twice."""
        with self._lock:
            if self._dead:
                return
            self._dead = True
            if self._pidfd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                os.close(self._pidfd)
            # Not closed here: another thread may be reading, and the descriptor's number could be given away.
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    @property
    def alive(self) -> bool:
        """Tell whether nobody killed it, and it has not hung up."""
        if self._dead:
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


class Pool:
    """Keep `spare` blank workers, and at most `keep` idle bound ones. Safe to use from several threads."""

    def __init__(self, options: Options, spare: int, keep: int) -> None:
        self._options = _apart(options)
        self._spare = spare
        self._keep = keep
        self._lock = threading.Lock()
        self._blank: deque[Worker] = deque()
        self._idle: list[Worker] = []
        self._template: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._closed = False
        self.started = 0

    def blank(self) -> Worker:
        """Give a prepared worker that nobody used. Raises Temporary where none can be started."""
        for _ in range(self._spare + 3):
            with self._lock:
                self._bury()
                worker = self._blank.popleft() if self._blank else self._spawn()
                self._refill()
            with contextlib.suppress(Closed):
                worker.ready()
                if worker.alive:
                    return worker
            self._discard(worker)
        raise Temporary("No query worker could be started.", help="Try again; if it stays so, run: thinmesh doctor")

    def idle(self, user: str, key: str | None = None) -> Worker | None:
        """Take an idle worker of a user: the one bound to `key`, or any."""
        with self._lock:
            self._bury()
            for worker in reversed(self._idle):
                if worker.user == user and (key is None or worker.key == key):
                    self._idle.remove(worker)
                    if worker.alive:
                        return worker
                    self._discard(worker)
        return None

    def give_back(self, worker: Worker) -> None:
        """Keep a worker for its user's next statement; it must have finished the last one cleanly."""
        worker.idle_since = time.monotonic()
        with self._lock:
            self._idle.append(worker)
            while self._idle and (self._closed or len(self._idle) > self._keep):
                self._discard(self._idle.pop(0))

    def discard(self, worker: Worker) -> None:
        """End a worker for good; only its reader may call this."""
        self._discard(worker)

    def sweep(self) -> None:
        """End idle workers whose time is over."""
        now = time.monotonic()
        with self._lock:
            for worker in [one for one in self._idle if now - one.idle_since > _KEEP_SECONDS]:
                self._idle.remove(worker)
                self._discard(worker)

    def warm(self) -> None:
        """Start the template and the spare workers, so that the first statement does not wait."""
        with self._lock:
            self._refill()

    def counts(self) -> dict[str, int]:
        """Count blank and idle workers, and all ever started."""
        with self._lock:
            return {"blank": len(self._blank), "idle": len(self._idle), "started": self.started}

    def close(self) -> None:
        """End the template and every worker that is not in use."""
        with self._lock:
            self._closed = True
            for worker in [*self._blank, *self._idle]:
                self._discard(worker)
            self._blank.clear()
            self._idle.clear()
            self._stop_template()
        if self._options.scratch:
            shutil.rmtree(self._options.scratch, ignore_errors=True)

    def _bury(self) -> None:
        """Forget the workers of a template that is dead: they are, or are about to be."""
        if self._template is not None and self._template.poll() is not None:
            for worker in [*self._blank, *self._idle]:
                self._discard(worker)
            self._blank.clear()
            self._idle.clear()

    def _discard(self, worker: Worker) -> None:
        worker.kill()
        worker.sock.close()
        if worker.scratch:
            shutil.rmtree(worker.scratch, ignore_errors=True)

    def _refill(self) -> None:
        while not self._closed and len(self._blank) < self._spare:
            self._blank.append(self._spawn())

    def _spawn(self) -> Worker:
        """Ask the template for a worker; start the template where there is none, or it died."""
        for attempt in range(2):
            ours, theirs = socket.socketpair()
            with theirs:
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
                try:
                    socket.send_fds(self._ensure_template(), [b"w"], [theirs.fileno()])
                except OSError:
                    ours.close()
                    self._stop_template()
                    if attempt:
                        break
                    continue
            self.started += 1
            return Worker(ours)
        raise Temporary("No query worker could be started.", help="Try again; if it stays so, run: thinmesh doctor")

    def _ensure_template(self) -> socket.socket:
        if self._closed:
            raise Temporary("The query engine is closed.")
        if self._control is not None and self._template is not None and self._template.poll() is None:
            return self._control
        self._stop_template()
        ours, theirs = socket.socketpair()
        # Its working folder is gone once it runs: nothing can ever be put there.
        with theirs, tempfile.TemporaryDirectory(prefix="thinmesh-query-") as folder:
            self._template = subprocess.Popen(
                [sys.executable, "-I", "-m", "thinmesh.adapters.duckdb.query.worker", self._options.text()],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=_environment(),
                start_new_session=True,
                close_fds=True,
            )
        self._control = ours
        return ours

    def _stop_template(self) -> None:
        """Close the control socket: the template ends by itself, its workers with it."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._template is not None:
            self._template.kill()
            self._template.wait()
            self._template = None


def _environment() -> dict[str, str]:
    """Give the whole environment of a worker: nothing of the server's but where its own libraries lie.

    One thread for numpy's BLAS and none for Arrow's allocator, because the template forks. The C library takes the
    buffers of a long answer's batches from memory that it has (blocks of up to 4 MB, with up to 64 MB kept free): to
    fetch each from the kernel anew costs an eighth of the processor time of such an answer.
    """
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return kept | {
        "OPENBLAS_NUM_THREADS": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }


def _apart(options: Options) -> Options:
    """Give the pool a scratch folder of its own: several commands may ask a home at the same time."""
    if options.scratch is None:
        return options
    return replace(options, scratch=make_folder(options.scratch))
