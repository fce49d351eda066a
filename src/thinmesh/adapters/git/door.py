"""The git door: one repository over HTTP, for those who fetch and those who push.

The caller is signed in before. Git runs with an environment of our making, so that nothing of the machine's or the
user's git settings counts. `start` before serving (it raises where the hooks would not be in force), `stop` after.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import structlog

from thinmesh.kernel.errors import Internal, MeshError, Temporary
from thinmesh.kernel.policy import Principal
from thinmesh.planes.product.push import PushContext, PushHandler

from .advertisement import HEADERS, Advertisement
from .client import REASONS, Receive, Request, Send, plain, read_head
from .data import GitDataRepository
from .hooks import hooks_in_place, self_test, write_hooks
from .http_backend import bridge
from .receiving import Receiver
from .settings import write_global_settings, write_settings

_log = structlog.get_logger("thinmesh.git")
# Each process packs with one thread; more at once than this only take memory from each other.
_AT_ONCE = 16
# One user's requests wait for each other, so that there is room for everybody else's.
_OF_ONE_USER = 4


class GitDoor:
    """Serves one data repository.

    `run` is the server's own folder for hooks and settings; `limit` the most that one push may send, in bytes.
    """

    def __init__(
        self,
        repository: GitDataRepository,
        handler: PushHandler,
        *,
        run: Path,
        fsync: bool = True,
        limit: int = 500 * 1024 * 1024,
    ) -> None:
        git = shutil.which("git")
        if git is None:
            raise Internal("There is no git on this machine's PATH.", help="Install git 2.31 or newer.")
        self._git = git
        self._repository = repository
        self._run = run
        self._fsync, self._limit = fsync, limit
        self._advertisement = Advertisement(repository)
        self._receiver = Receiver(git, repository, handler, fsync=fsync, limit=limit, at_once=_AT_ONCE)
        # Reading and pushing do not keep each other waiting.
        self._slots = {pushes: asyncio.Semaphore(_AT_ONCE) for pushes in (False, True)}
        # An entry goes when nobody holds or waits for it.
        self._turns: WeakValueDictionary[tuple[str, bool], asyncio.Semaphore] = WeakValueDictionary()

    def start(self) -> None:
        """Write hooks and settings anew, prove that they are in force, and make ready for pushes.

        Raises Temporary where they cannot be written, Internal where they are not in force. The caller holds the home
        exclusively: what killed processes left in the repository is cleared.
        """
        try:
            self._write()
        except OSError as error:
            raise Temporary(
                f"The git door stays shut: {error.filename} cannot be written ({error.strerror}).",
                help="See that its disk has room and is mounted for writing; `thinmesh doctor` names what is wrong.",
            ) from error
        self.self_test()
        self._advertisement.learn(self._git, self._environment())
        self._receiver.start()

    def _write(self) -> None:
        self._run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._repository.clear_locks()
        write_hooks(self._hook_folder)
        write_settings(self._repository.path, fsync=self._fsync, hooks=self._hook_folder, limit=self._limit)
        write_global_settings(self._run / "gitconfig", self._repository.path.resolve())

    def stop(self) -> None:
        """Wait for the pushes that are being judged, and judge no more."""
        self._receiver.stop()

    def self_test(self) -> None:
        """Prove that the hooks are ours and in force. Raises Internal."""
        self_test(self._repository.path, self._hook_folder, self._git, self._environment())

    async def serve(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, caller: Principal, path: str
    ) -> None:
        """Answer one request of a signed-in caller.

        `path` is what follows the repository's address: `/info/refs`, `/git-upload-pack` or `/git-receive-pack`.
        """
        request = read_head(scope, path)
        if isinstance(request, int):
            await plain(send, request, REASONS[request])
            return
        if request.pushes and not hooks_in_place(self._hook_folder):
            _log.error("a push was turned away: the hooks are not in place")
            await plain(send, 503, "Pushes are not possible now; tell the administrator to start `thinmesh up` again.")
            return
        if (request.service, request.pushes) == ("git-receive-pack", False):
            await self._advertise(send)
            return
        turn = self._turns.setdefault((caller.user, request.pushes), asyncio.Semaphore(_OF_ONE_USER))
        async with turn, self._slots[request.pushes]:
            await self._serve(request, receive, send, caller)

    async def _advertise(self, send: Send) -> None:
        try:
            body = await asyncio.to_thread(self._advertisement.body)
        except MeshError as error:
            await plain(send, error.status, f"{error.detail} {error.help}".strip())
            return
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": body})

    async def _serve(self, request: Request, receive: Receive, send: Send, caller: Principal) -> None:
        environment = self._environment()
        if request.pushes:
            offered = self._advertisement.offered
            await self._receiver.serve(request, receive, send, PushContext(caller), offered, environment)
        else:
            await bridge(self._git, request, environment, receive, send, self._run)

    @property
    def _hook_folder(self) -> Path:
        return self._run.resolve() / "hooks"

    def _environment(self) -> dict[str, str]:
        """Give the whole environment of git; no setting of the machine or the user gets in."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._run),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._run.resolve() / "gitconfig"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self._repository.path.resolve()),
        }
