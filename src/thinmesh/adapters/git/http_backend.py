"""Stock `git http-backend` (CGI) behind ASGI, for whoever fetches: streaming both ways.

A process whose client is gone is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import structlog

from .client import Gone, Headers, Receive, Request, Send, Unfit, incoming, plain, sent

_log = structlog.get_logger("thinmesh.git")
_CHUNK = 64 * 1024
_MAX_HEAD = 64 * 1024
_MAX_COMPLAINT = 8 * 1024
_END_SECONDS = 5.0
# Seconds of CPU. A reader maps all packs, so that its memory is not limited this way.
_LIMITS = "ulimit -t 1800"


async def bridge(
    git: str, request: Request, environment: dict[str, str], receive: Receive, send: Send, folder: Path
) -> None:
    """Start git for a request, stream both ways, and leave no process behind."""
    process = await asyncio.create_subprocess_exec(
        # The shell only sets limits, and nothing of the request is in its text.
        *("/bin/sh", "-c", f'{_LIMITS}; exec "$0" http-backend', git),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environment, **request.variables},
        cwd=folder,
        start_new_session=True,
        limit=_CHUNK,
    )
    assert process.stdin  # noqa: S101 - pipes, made above
    assert process.stdout  # noqa: S101
    assert process.stderr  # noqa: S101
    complaint = asyncio.create_task(_complaint(process.stderr))
    feeding = asyncio.create_task(_feed(process.stdin, receive, request))
    begun = asyncio.Event()
    answering = asyncio.create_task(_answer(process.stdout, send, begun))
    try:
        await _until_answered(feeding, answering)
    except Gone:
        _log.info("a git client went away", service=request.service)
    except Unfit as error:
        answering.cancel()
        await asyncio.wait([answering])
        if begun.is_set():
            await sent(send, {"type": "http.response.body", "body": b""})
        else:
            await plain(send, 400, f"refused: {error}")
    finally:
        answered = answering.done() and not answering.cancelled() and answering.exception() is None
        feeding.cancel()
        answering.cancel()
        await asyncio.shield(_finish(process, (feeding, answering, complaint), request, answered))


async def _feed(stdin: asyncio.StreamWriter, receive: Receive, request: Request) -> None:
    """Hand the body to git, and watch for the client to go: raises Gone then."""
    async for piece in incoming(receive, request.encoding):
        await put(stdin, piece)
    stdin.close()
    while (await receive())["type"] != "http.disconnect":
        pass
    raise Gone


async def put(stdin: asyncio.StreamWriter, piece: bytes) -> None:
    """Hand a piece to a process; what comes after it has ended, with its reason on the way out, is dropped."""
    # Of a closed pipe uvloop says RuntimeError, where asyncio says ConnectionError.
    with contextlib.suppress(ConnectionError, RuntimeError):
        stdin.write(piece)
        await stdin.drain()


async def _answer(stdout: asyncio.StreamReader, send: Send, begun: asyncio.Event) -> None:
    """Pass git's reply on: CGI headers (RFC 3875, section 6), then the body in pieces."""
    status, headers = await _reply_head(stdout)
    begun.set()
    if status == 0:
        await plain(send, 500, "git failed; the server's log says why.")
        return
    await sent(send, {"type": "http.response.start", "status": status, "headers": headers})
    while piece := await stdout.read(_CHUNK):
        await sent(send, {"type": "http.response.body", "body": piece, "more_body": True})
    await sent(send, {"type": "http.response.body", "body": b"", "more_body": False})


async def _reply_head(stdout: asyncio.StreamReader) -> tuple[int, Headers]:
    status, length = 200, 0
    headers: Headers = []
    while line := await stdout.readline():
        length += len(line)
        text = line.rstrip(b"\r\n")
        if not text:
            return status, headers
        name, _, value = text.partition(b":")
        if name.lower() == b"status":
            status = int(value.split()[0])
        else:
            headers.append((name.lower(), value.strip()))
        if length > _MAX_HEAD:
            break
    return 0, []


async def _until_answered(feeding: asyncio.Task[None], answering: asyncio.Task[None]) -> None:
    """Wait for the reply's end, or for the first thing that goes wrong."""
    await asyncio.wait((feeding, answering), return_when=asyncio.FIRST_COMPLETED)
    if not answering.done():
        await feeding
    await answering


async def _complaint(stderr: asyncio.StreamReader) -> bytes:
    """Read what git complains of, to its end, and keep the beginning."""
    kept = b""
    while piece := await stderr.read(_CHUNK):
        kept = (kept + piece)[:_MAX_COMPLAINT]
    return kept


async def _finish(
    process: asyncio.subprocess.Process,
    tasks: tuple[asyncio.Task[None], asyncio.Task[None], asyncio.Task[bytes]],
    request: Request,
    answered: bool,
) -> None:
    """Leave no process behind."""
    *streams, complaint = tasks
    await asyncio.gather(*streams, return_exceptions=True)
    if not answered:
        # The last of git's children to go closes the pipe.
        _signal(process, signal.SIGTERM)
        await asyncio.wait([complaint], timeout=_END_SECONDS)
        if not complaint.done():
            _signal(process, signal.SIGKILL)
    code = await process.wait()
    text = (await complaint).decode("utf-8", "replace").strip()
    if code > 0 or text:
        _log.info("git complained", service=request.service, code=code, text=text)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to git and its children; they are a process group of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
