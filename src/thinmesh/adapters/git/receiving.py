"""`POST git-receive-pack`: what `git receive-pack` does for a push over HTTP, in this process but for git's checks.

The head of a push names one ref; the pack after it goes through `git index-pack` into quarantine, is judged and landed
(judging.py), and the reply tells the client, line by line while it waits, and at last what came of the ref
(gitprotocol-pack(5), *Packfile Data* and *Report Status*; gitprotocol-http(5), *Smart Service git-receive-pack*).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from thinmesh.kernel.errors import MeshError
from thinmesh.planes.product.push import PushContext, PushHandler
from thinmesh.planes.product.push_messages import lines_of_error

from .client import Gone, Headers, Receive, Request, Send, Unfit, incoming, plain, sent
from .commands import Head
from .data import GitDataRepository
from .judging import UNPACKER, Judge, refusals
from .quarantine import Quarantine
from .store import translated

_log = structlog.get_logger("thinmesh.git")
_KIND = "application/x-git-receive-pack-request"
_HEADERS: Headers = [
    (b"expires", b"Fri, 01 Jan 1980 00:00:00 GMT"),
    (b"pragma", b"no-cache"),
    (b"cache-control", b"no-cache, max-age=0, must-revalidate"),
    (b"content-type", b"application/x-git-receive-pack-result"),
]
_FLUSH = b"0000"
_SHALLOW = b"help: where history is missing, as in a shallow clone, run git fetch --unshallow and push again\n"
# Bands of side-band-64k: the report, what people read, and a fault that ends the talk. A line of it holds so much.
_REPORT, _TOLD, _FATAL = b"\x01", b"\x02", b"\x03"
_MOST = 65_515
# While nothing is told, the client and what lies between must not take the connection for dead.
_KEEPALIVE_SECONDS = 5.0
_Found = TypeVar("_Found")


class Receiver:
    """Takes pushes. `limit` is the most that one may send, in bytes; `environment` that of git's processes."""

    def __init__(
        self, git: str, repository: GitDataRepository, handler: PushHandler, *, fsync: bool, limit: int, at_once: int
    ) -> None:
        self._git = git
        self._repository = repository
        self._handler = handler
        self._judge = Judge(repository, handler, fsync=fsync)
        self._limit = limit
        self._at_once = at_once
        self._threads: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Make ready to judge pushes."""
        self._threads = ThreadPoolExecutor(self._at_once, thread_name_prefix="push")

    def stop(self) -> None:
        """Wait for the pushes that are being judged, and judge no more."""
        threads, self._threads = self._threads, None
        if threads:
            threads.shutdown()

    async def serve(
        self,
        request: Request,
        receive: Receive,
        send: Send,
        context: PushContext,
        offered: frozenset[bytes],
        environment: Mapping[str, str],
    ) -> None:
        """Take one push. `offered` are the names of the capabilities that the client may ask for."""
        if request.kind != _KIND:
            await plain(send, 415, f"A push has the content type {_KIND}.")
            return
        head = Head(offered)
        reply = _Reply(send, head)
        try:
            body = await _read_head(head, incoming(receive, request.encoding))
            if not head.commands:  # before a large push, git asks with an empty one whether it is signed in
                await reply.end()
                return
            await self._take(head, body, reply, context, environment)
        except Gone:
            _log.info("a git client went away", service=request.service)
        except Unfit as error:
            await reply.turn_away(f"refused: {error}")
        except MeshError as error:
            await reply.turn_away("\n".join(lines_of_error(error)))

    async def _take(
        self,
        head: Head,
        body: AsyncIterator[bytes],
        reply: _Reply,
        context: PushContext,
        environment: Mapping[str, str],
    ) -> None:
        with translated(self._repository.path, "written"):
            quarantine = Quarantine(self._repository.path, self._git, environment)
        telling = asyncio.create_task(reply.tell_all())
        try:
            unpacked = head.deletes or await self._unpack(quarantine, head, body, reply, context)
            reply.whole = True
            if unpacked:
                lines = [b"unpack ok", *await self._in_thread(self._conclude, context, head, quarantine, reply.tell)]
            else:
                if head.shallow:
                    reply.tell(_SHALLOW)
                lines = [b"unpack index-pack abnormal exit", *refusals(head.commands, UNPACKER)]
            reply.tell(b"")
            await telling
        finally:
            telling.cancel()
        await reply.report(lines)

    async def _unpack(
        self, quarantine: Quarantine, head: Head, body: AsyncIterator[bytes], reply: _Reply, context: PushContext
    ) -> bool:
        """Unpack a push, and leave nothing of it where that fails."""
        unpacked = False
        try:
            progress = b"quiet" not in head.capabilities
            with translated(self._repository.path, "written"):
                unpacked = await quarantine.unpack(body, reply.tell, limit=self._limit, progress=progress)
        finally:
            if not unpacked:
                await self._in_thread(self._leave, context, quarantine)
        return unpacked

    def _conclude(
        self, context: PushContext, head: Head, quarantine: Quarantine, tell: Callable[[bytes], None]
    ) -> list[bytes]:
        try:
            return self._judge.conclude(context, head.commands, quarantine, tell)
        finally:
            self._leave(context, quarantine)

    def _leave(self, context: PushContext, quarantine: Quarantine) -> None:
        quarantine.remove()
        self._handler.end(context)

    async def _in_thread(self, work: Callable[..., _Found], *arguments: object) -> _Found:
        """Do work in a thread, to its end: also where nobody waits for it any more."""
        return await asyncio.shield(
            asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))
        )


class _Reply:
    """What the client is told. `whole` once its request is: before, it may not read yet."""

    def __init__(self, send: Send, head: Head) -> None:
        self._send = send
        self._head = head
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[bytes] = asyncio.Queue()
        self._begun = False
        self.whole = False

    def tell(self, text: bytes) -> None:
        """Show the client's user some text, from any thread; nothing ends the telling."""
        self._loop.call_soon_threadsafe(self._told.put_nowait, text)

    async def tell_all(self) -> None:
        """Send what is told, as it comes, until the telling ends. Raises Gone."""
        while True:
            try:
                text = await asyncio.wait_for(self._told.get(), _KEEPALIVE_SECONDS)
            except TimeoutError:
                if self.whole and self._banded:
                    await self._write(_packet(_REPORT))
                continue
            if not text:
                return
            if self._banded:
                await self._write(b"".join(_bands(_TOLD, text)))

    async def report(self, lines: list[bytes]) -> None:
        """Tell git what came of each ref, and end the reply."""
        understood = [_packet(line + b"\n") for line in self._understood(lines)]
        report = b"".join((*understood, _FLUSH)) if understood else b""
        await self.end(b"".join(_bands(_REPORT, report)) + _FLUSH if self._banded else report)

    def _understood(self, lines: list[bytes]) -> list[bytes]:
        """Leave out what the client would not understand."""
        if b"report-status-v2" in self._head.capabilities:
            return lines
        if b"report-status" in self._head.capabilities:
            return [line for line in lines if not line.startswith(b"option ")]
        return []

    async def turn_away(self, text: str) -> None:
        """Refuse a request that cannot be served, in the form of which git shows the text to its user."""
        if self._banded or self._begun:
            await self.end(b"".join(_bands(_FATAL, text.encode() + b"\n")) + _FLUSH)
        else:
            await plain(self._send, 400, text)

    async def end(self, data: bytes = b"") -> None:
        await self._write(data, more=False)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        if not self._begun:
            self._begun = True
            await sent(self._send, {"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await sent(self._send, {"type": "http.response.body", "body": data, "more_body": more})

    @property
    def _banded(self) -> bool:
        return b"side-band-64k" in self._head.capabilities


async def _read_head(head: Head, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Read the head of a push, and give what follows it. Raises Unfit where it is none."""
    async for piece in body:
        rest = head.feed(piece)
        if head.done:
            return _after(rest, body)
    raise Unfit("The request ends before its commands do.")


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in rest:
        yield piece


def _packet(line: bytes) -> bytes:
    return b"%04x%s" % (len(line) + 4, line)


def _bands(band: bytes, data: bytes) -> list[bytes]:
    return [_packet(band + data[start : start + _MOST]) for start in range(0, len(data), _MOST)]
