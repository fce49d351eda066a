"""Answers of statements, streamed: an error before the first byte is a problem, after it the connection breaks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import structlog
from fastapi import Request
from fastapi.responses import Response

from thinmesh.kernel.errors import MeshError, NotFound, Unsupported
from thinmesh.planes.query.model import FORMATS

from .doorstep import Receive, Scope, Send, StreamBroken, request_id
from .outlet import DIRECT, ChunkOutlet

if TYPE_CHECKING:
    from thinmesh.planes.query.execution import Execution

STATEMENT_HEADER = "Thinmesh-Statement"
_log = structlog.get_logger("thinmesh.http")
# Statements wait for workers in threads of their own, so that they never keep other requests from theirs. There are
# more than the engine lets wait and run at once: whoever is one too many is told so, and never waits for a thread.
_limiters: dict[asyncio.AbstractEventLoop, anyio.CapacityLimiter] = {}
_THREADS = 512
# So many bytes of an answer are waited for before it begins. No rows wait for others: the engine's first batch is
# longer, or the whole answer.
_SHORT = 64 << 10


def format_of(accept: str | None, allowed: Mapping[str, str] = FORMATS, default: str = "json") -> str:
    """Choose the format by an Accept header (RFC 9110, 12.5.1). Raises Unsupported where none fits."""
    if not accept:
        return default
    for kind in _by_preference(accept):
        if kind in ("*/*", "application/*" if allowed[default].startswith("application/") else "text/*"):
            return default
        for name, media_type in allowed.items():
            if kind == media_type or (kind.endswith("/*") and media_type.startswith(kind[:-1])):
                return name
    raise Unsupported(f"No format fits Accept: {accept[:100]}.", help=f"Ask for one of: {', '.join(allowed.values())}.")


def _by_preference(accept: str) -> list[str]:
    found: list[tuple[float, str]] = []
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name == "q":
                quality = _number(value)
        if kind and quality > 0:
            found.append((-quality, kind))
    return [kind for _, kind in sorted(found, key=lambda pair: pair[0])]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


async def in_thread(work: Callable[[], Any]) -> Any:
    """Run what may wait for long, off the event loop and away from the threads of short requests."""
    loop = asyncio.get_running_loop()
    limiter = _limiters.setdefault(loop, anyio.CapacityLimiter(_THREADS))
    return await anyio.to_thread.run_sync(work, limiter=limiter)


async def answer(
    request: Request,
    start: Callable[[], Execution],
    cancel: Callable[[str], Any],
    id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Run a statement and give its answer, a long one streamed; a client that goes away ends it.

    `start` gives the execution once its first rows are there. `cancel` ends a statement by its id from another thread;
    before the first rows that takes an `id` chosen by the caller.
    """
    gone = asyncio.create_task(_gone(request.receive))
    work = asyncio.ensure_future(in_thread(lambda: _begin(start)))
    try:
        await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and id is not None:
            await in_thread(partial(_quietly, cancel, id))
        execution, first, whole = await work
    finally:
        gone.cancel()
    named = {STATEMENT_HEADER: execution.statement, **(headers or {})}
    if whole:
        return Response(first, 200, named, execution.media_type)
    return StatementResponse(execution, first, partial(_quietly, cancel, execution.statement), named)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _quietly(cancel: Callable[[str], Any], id: str) -> None:
    """Cancel what may not have begun, or have ended already."""
    with contextlib.suppress(NotFound):
        cancel(id)


def _begin(start: Callable[[], Execution]) -> tuple[Execution, bytes, bool]:
    """Run a statement and read its answer as far as it is short: what fails until then is a problem document.

    Gives the execution, the bytes read, and whether they are the whole answer; nothing is left running then.
    """
    execution = start()
    first = bytearray()
    try:
        for chunk in execution.chunks():
            first += chunk
            if len(first) >= _SHORT:
                return execution, bytes(first), False
    except BaseException:
        execution.close()
        raise
    execution.close()
    return execution, bytes(first), True


class StatementResponse(Response):
    """Streams an execution. Once started, a failure or a vanished client never looks like an end."""

    def __init__(
        self, execution: Execution, first: bytes, cancel: Callable[[], None], headers: Mapping[str, str]
    ) -> None:
        self._execution = execution
        self._first = first
        self._cancel = cancel
        super().__init__(None, 200, headers, execution.media_type)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        sending = asyncio.create_task(self._send(scope, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                await in_thread(self._cancel)
            await sending
        finally:
            gone.cancel()
            with anyio.CancelScope(shield=True):
                await in_thread(self._execution.close)

    async def _send(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        direct = scope.get("extensions", {}).get(DIRECT) if self._execution.format != "json" else None
        client = await direct() if direct else None
        try:
            if client is None:
                await self._relay(send)
            else:
                await in_thread(lambda: self._pour(client))
        except MeshError as error:
            why = error.detail
            _log.warning("answer broken off", request=request_id(scope), statement=self._execution.statement, why=why)
            raise StreamBroken from error
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _relay(self, send: Send) -> None:
        """Send piece by piece; the next one is read while one is sent."""
        chunk: bytes | None = self._first
        while chunk is not None:
            coming = asyncio.ensure_future(in_thread(self._next))
            try:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            finally:
                chunk = await coming

    def _pour(self, client: socket.socket) -> None:
        with ChunkOutlet(client, self._first) as outlet:
            self._execution.pour(outlet)

    def _next(self) -> bytes | None:
        return next(self._execution.chunks(), None)
