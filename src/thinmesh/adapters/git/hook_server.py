"""Answers the hooks of `data.git`, in the server process, over a unix socket of its own.

A hook sends one request (its form: `hook.py`) and is told what the `PushHandler` makes of the push. Every hook is
answered by a thread, because checks read, compute and wait; a few at a time, the others wait their turn. Whatever goes
wrong, the answer is no. What `check` did not find good in the same push is never landed, so that a `pre-receive` that
git passed over (it ignores one that is not executable) cannot open the door.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from thinmesh.kernel.errors import Internal, MeshError, NotAllowed, Refused
from thinmesh.planes.product.push import FOR_MAIN, MAIN, NOWHERE, Landing, Push, PushHandler, RefUpdate
from thinmesh.planes.product.push_messages import lines_of, lines_of_error, printable

from .context import LivePush, LivePushes
from .data import GitDataRepository

_log = structlog.get_logger("thinmesh.git")
# A request names refs and paths; git itself bounds neither.
_MAX_REQUEST = 1024 * 1024
# What is asked, context, quarantine, updates, and nothing after the last NUL.
_FIELDS = 5
_AT_ONCE = 16
_REQUEST_SECONDS = 30.0
# After accept(2) failed, for want of file descriptors.
_PAUSE = 0.1


class HookServer:
    """Listens for hooks. `path` must be short enough for a unix socket (107 bytes)."""

    def __init__(self, path: Path, repository: GitDataRepository, pushes: LivePushes, handler: PushHandler) -> None:
        self.path = path
        self._repository = repository
        self._pushes = pushes
        self._handler = handler
        self._listener: socket.socket | None = None
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._threads: set[threading.Thread] = set()

    def start(self) -> None:
        """Listen; a socket left by an earlier process is replaced (the caller holds the home)."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._listener = _bound(self.path)
        self._run(self._accept, self._listener)

    def stop(self, seconds: float = 130.0) -> None:
        """Take no more hooks, and wait for those being answered."""
        listener, self._listener = self._listener, None
        if listener:
            # `close` alone does not wake a thread that waits in accept(2).
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self.path.unlink(missing_ok=True)
        for thread in list(self._threads):
            thread.join(seconds)

    def _run(self, target: Callable[[socket.socket], None], connection: socket.socket) -> None:
        def body() -> None:
            try:
                target(connection)
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=body, name="hook", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            self._slots.acquire()
            try:
                connection, _ = listener.accept()
            except OSError as error:
                self._slots.release()
                if self._listener is None:
                    return
                _log.warning("a hook could not be taken", error=str(error))
                time.sleep(_PAUSE)
                continue
            self._run(self._answer, connection)

    def _answer(self, connection: socket.socket) -> None:
        talk = _Talk(connection)
        try:
            with connection:
                connection.settimeout(_REQUEST_SECONDS)
                talk.end(self._reply(talk))
        except (OSError, ValueError) as error:
            _log.warning("a hook could not be answered", error=str(error))
        finally:
            self._slots.release()

    def _reply(self, talk: _Talk) -> bool:
        """Answer the request, and tell whether all is well with it."""
        if _peer(talk.connection) != os.getuid():
            return False
        ask, context, quarantine, lines = talk.request()
        try:
            with self._pushes.serving(context) as live:
                updates = _updates(lines)
                if ask == "check":
                    return self._check(live, updates, quarantine, talk)
                return self._land(live, updates, talk)
        except MeshError as error:
            talk.say_all(lines_of_error(error))
        except Exception:
            id = secrets.token_hex(8)
            _log.exception("a push failed", request=id)
            talk.say_all(
                lines_of_error(Internal("Something unexpected happened.", help=f"Report it with the request id {id}."))
            )
        return False

    def _check(self, live: LivePush, updates: Sequence[RefUpdate], quarantine: str, talk: _Talk) -> bool:
        update = the_update(updates)
        view = self._repository.with_objects(self._quarantine(quarantine))
        try:
            violations = self._handler.check(Push(live.context, update, view), talk.say)
        finally:
            view.close()
        if violations:
            talk.say_all([*lines_of(violations), "Nothing was changed."])
            return False
        live.good.add(update)
        return True

    def _land(self, live: LivePush, updates: Sequence[RefUpdate], talk: _Talk) -> bool:
        update = the_update(updates)
        if update not in live.good:
            raise NotAllowed("This push was not checked.", help="Push again; if it stays so, tell the administrator.")
        live.good.discard(update)
        try:
            landing = self._handler.land(Push(live.context, update, self._repository), talk.say)
        except MeshError as error:
            talk.say_all(lines_of_error(error))
            talk.report([f"ng {update.ref} {_reason(error)}"])
            return False
        talk.report(_report(update, landing, talk))
        return True

    def _quarantine(self, text: str) -> Path:
        """Find the quarantine folder; it lies in the repository's own object folder, or we do not look at it."""
        path, objects = Path(text).resolve(), (self._repository.path / "objects").resolve()
        if path.parent != objects or not path.is_dir():
            raise NotAllowed("The push did not come in quarantine.")
        return path


def _updates(lines: str) -> list[RefUpdate]:
    """Read what a push asks for; a name with a line break in it comes in pieces."""
    found = [line.split(" ", 2) for line in lines.split("\n") if line]
    if any(len(update) != len(RefUpdate.__slots__) for update in found):
        raise Refused("A ref has a name that git does not take.", help="Push with: git push origin HEAD:refs/for/main")
    return [RefUpdate(*update) for update in found]


def _bound(path: Path) -> socket.socket:
    """Make a listening socket that only this OS user can connect to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise Internal(f"The socket for git's hooks cannot be made at {path}: {error}.") from error
    finally:
        os.umask(before)
    return listener


class _Talk:
    """The server's end of the talk with one hook."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def request(self) -> list[str]:
        """Read what is asked, the push's context, its quarantine, and its updates. Raises ValueError."""
        with self.connection.makefile("rb") as reader:
            found = reader.read(_MAX_REQUEST)
        fields = found.decode("utf-8", "surrogateescape").split("\0")
        if len(fields) != _FIELDS or fields.pop():
            raise ValueError("a hook's request was cut off")
        return fields

    def say(self, text: str) -> None:
        """Tell the client a line; where nobody listens any more, nothing happens."""
        try:
            self._send(f"say {printable(text)}")
        except OSError:
            return

    def say_all(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.say(line)

    def report(self, lines: Sequence[str]) -> None:
        """Tell git what came of a ref."""
        for line in lines:
            self._send(f"report {line}")

    def end(self, well: bool) -> None:
        self._send("end ok" if well else "end")

    def _send(self, line: str) -> None:
        with self._lock:
            self.connection.sendall(line.encode("utf-8", "replace") + b"\n")


def the_update(updates: Sequence[RefUpdate]) -> RefUpdate:
    """Give the one update that a push may ask for. Raises Refused for anything else, before anything is read."""
    for update in updates:
        if update.ref not in (MAIN, FOR_MAIN):
            raise Refused(
                f"{update.ref} cannot be pushed; this repository has the branch main and nothing else.",
                help="Push what you have with: git push origin HEAD:refs/for/main",
            )
        if update.new == NOWHERE:
            raise Refused(f"{update.ref} cannot be deleted.", help="To take a product off: thinmesh retire PRODUCT")
    if len(updates) != 1:
        raise Refused("One push goes to one ref.", help="Push either main, or HEAD:refs/for/main.")
    return updates[0]


def _report(update: RefUpdate, landing: Landing, talk: _Talk) -> list[str]:
    """Tell git what came of the ref; an id that the client has not would make it print an error."""
    merged = update.ref != MAIN and landing.tip != update.new
    if not landing.changed or merged:
        done = (
            "Merged with what came to main meanwhile."
            if landing.changed
            else "Nothing new: main has all of this already."
        )
        talk.say(f"{done} Bring it in with: git pull" if merged else done)
    if update.ref == MAIN:
        return [f"ok {MAIN}"]
    if merged:
        return [f"ok {update.ref}"]
    options = {"refname": MAIN, "old-oid": landing.old, "new-oid": landing.tip}
    return [f"ok {update.ref}", *(f"option {name} {value}" for name, value in options.items() if value)]


def _reason(error: MeshError) -> str:
    return "fetch first" if error.status == 409 else error.title.lower()


def _peer(connection: socket.socket) -> int:
    """Give the OS user id at the other end (SO_PEERCRED, unix(7))."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", found)[1]
    return user
