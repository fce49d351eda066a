"""What becomes of a push that came whole: it is judged in quarantine, admitted, and landed; or nothing of it stays.

Called from threads, for different pushes at the same time. Whatever goes wrong, the answer is no.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from thinmesh.kernel.errors import Internal, MeshError, Refused
from thinmesh.planes.product.push import (
    FOR_MAIN,
    MAIN,
    NOWHERE,
    Landing,
    Push,
    PushContext,
    PushHandler,
    RefUpdate,
    Say,
)
from thinmesh.planes.product.push_messages import lines_of, lines_of_error, printable

from .commands import Command
from .data import GitDataRepository
from .pushed import Incomplete
from .quarantine import Quarantine
from .store import translated

_log = structlog.get_logger("thinmesh.git")
# Git's own words for why a ref was not moved; its clients show them in brackets.
UNPACKER = b"unpacker error"
_DECLINED = b"pre-receive hook declined"
_MISSING = b"missing necessary objects"
_NOT_ADMITTED = b"unable to migrate objects to permanent storage"
_FAILED = b"refused"


class _No(Exception):
    """The ref does not move; the first argument is the reason that its line of the report gives."""


class Judge:
    """Judges pushes with a `PushHandler`, and lands them."""

    def __init__(self, repository: GitDataRepository, handler: PushHandler, *, fsync: bool) -> None:
        self._repository = repository
        self._handler = handler
        self._fsync = fsync

    def conclude(
        self, context: PushContext, commands: Sequence[Command], quarantine: Quarantine, tell: Callable[[bytes], None]
    ) -> list[bytes]:
        """Judge a push and land it. Gives the lines of its report but the first (gitprotocol-pack(5), *Report Status*).

        `tell` takes what the client is to be shown meanwhile, as lines.
        """

        def say(text: str) -> None:
            tell(printable(text).encode("utf-8", "replace") + b"\n")

        try:
            with _told(say, _DECLINED, _declined):
                update = the_update(commands)
                self._check(context, update, quarantine, say)
            with _told(say, _NOT_ADMITTED), translated(self._repository.path, "written"):
                quarantine.admit(fsync=self._fsync)
            with _told(say, _FAILED, _reason):
                landing = self._handler.land(Push(context, update, self._repository), say)
            return _report(update, landing, say)
        except _No as no:
            return refusals(commands, no.args[0])
        finally:
            # Threads live on, and what a handle has open would keep its place on the disk.
            self._repository.close()

    def _check(self, context: PushContext, update: RefUpdate, quarantine: Quarantine, say: Say) -> None:
        """Judge a push; raises where it is not to be. That nothing is missing is found by reading it (pushed.py)."""
        view = self._repository.with_objects(quarantine.folder)
        try:
            violations = self._handler.check(Push(context, update, view), say)
        finally:
            view.close()
        if violations:
            for line in (*lines_of(violations), "Nothing was changed."):
                say(line)
            raise _No(_DECLINED)


@contextmanager
def _told(say: Say, reason: bytes, reason_of: Callable[[MeshError], bytes] | None = None) -> Iterator[None]:
    """Tell the client of an error in its own words, and of an unforeseen one nothing but an id. Raises _No."""
    try:
        yield
    except _No:
        raise
    except MeshError as error:
        for line in lines_of_error(error):
            say(line)
        raise _No(reason_of(error) if reason_of else reason) from error
    except Exception as error:
        id = secrets.token_hex(8)
        _log.exception("a push failed", request=id)
        for line in lines_of_error(
            Internal("Something unexpected happened.", help=f"Report it with the request id {id}.")
        ):
            say(line)
        raise _No(reason) from error


def the_update(commands: Sequence[Command]) -> RefUpdate:
    """Give the one update that a push may ask for. Raises Refused for anything else, before anything is read."""
    updates = [RefUpdate(each.old, each.new, each.ref.decode("utf-8", "surrogateescape")) for each in commands]
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


def refusals(commands: Sequence[Command], reason: bytes) -> list[bytes]:
    """Report that no ref moved."""
    return [b"ng %s %s" % (command.ref, reason) for command in commands]


def _report(update: RefUpdate, landing: Landing, say: Say) -> list[bytes]:
    """Tell git what came of the ref; an id that the client has not would make it print an error."""
    merged = update.ref != MAIN and landing.tip != update.new
    if not landing.changed or merged:
        done = (
            "Merged with what came to main meanwhile."
            if landing.changed
            else "Nothing new: main has all of this already."
        )
        say(f"{done} Bring it in with: git pull" if merged else done)
    lines = [f"ok {update.ref}"]
    if update.ref != MAIN and not merged:
        options = {"refname": MAIN, "old-oid": landing.old, "new-oid": landing.tip}
        lines += [f"option {name} {value}" for name, value in options.items() if value]
    return [line.encode() for line in lines]


def _declined(error: MeshError) -> bytes:
    return _MISSING if isinstance(error, Incomplete) else _DECLINED


def _reason(error: MeshError) -> bytes:
    return b"fetch first" if error.status == 409 else error.title.lower().encode()
