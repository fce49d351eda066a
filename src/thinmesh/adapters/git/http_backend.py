"""Stock `git http-backend` (CGI) behind ASGI, for whoever fetches: streaming both ways.

A process whose client is gone is ended.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import structlog

from .client import Gone, Headers, Receive, Request, Send, Unfit, incoming, plain, sent
from .processes import Process

_log = structlog.get_logger("thinmesh.git")
_MAX_HEAD = 64 * 1024
_END = b"\r\n\r\n"
_MAX_COMPLAINT = 8 * 1024
_END_SECONDS = 5.0
# Seconds of CPU. A reader maps all packs, so that its memory is not limited this way.
_LIMITS = "ulimit -t 1800"


async def bridge(
    git: str, request: Request, environment: dict[str, str], receive: Receive, send: Send, folder: Path
) -> None:
    """Start git for a request, stream both ways, and leave no process behind."""
    # The shell only sets limits, and nothing of the request is in its text.
    command = ("/bin/sh", "-c", f'{_LIMITS}; exec "$0" http-backend', git)
    process = Process(command, {**environment, **request.variables}, folder, reads=True)
    complaint = asyncio.create_task(_complaint(process))
    feeding = asyncio.create_task(_feed(process, receive, request))
    begun = asyncio.Event()
    answering = asyncio.create_task(_answer(process, send, begun))
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


async def _feed(process: Process, receive: Receive, request: Request) -> None:
    """Hand the body to git, and watch for the client to go: raises Gone then."""
    await process.feed(incoming(receive, request.encoding))
    while (await receive())["type"] != "http.disconnect":
        pass
    raise Gone


async def _answer(process: Process, send: Send, begun: asyncio.Event) -> None:
    """Pass git's reply on: CGI headers (RFC 3875, section 6), then the body in pieces."""
    head = b""
    while _END not in head and len(head) < _MAX_HEAD and (piece := await process.stdout()):
        head += piece
    head, end, body = head.partition(_END)
    begun.set()
    if not end:
        await plain(send, 500, "git failed; the server's log says why.")
        return
    status, headers = _reply_head(head)
    await sent(send, {"type": "http.response.start", "status": status, "headers": headers})
    while body or (body := await process.stdout()):
        await sent(send, {"type": "http.response.body", "body": body, "more_body": True})
        body = b""
    await sent(send, {"type": "http.response.body", "body": b"", "more_body": False})


def _reply_head(head: bytes) -> tuple[int, Headers]:
    status = 200
    headers: Headers = []
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"status":
            status = int(value.split()[0])
        else:
            headers.append((name.lower(), value.strip()))
    return status, headers


async def _until_answered(feeding: asyncio.Task[None], answering: asyncio.Task[None]) -> None:
    """Wait for the reply's end, or for the first thing that goes wrong."""
    await asyncio.wait((feeding, answering), return_when=asyncio.FIRST_COMPLETED)
    if not answering.done():
        await feeding
    await answering


async def _complaint(process: Process) -> bytes:
    """Read what git complains of, to its end, and keep the beginning."""
    kept = b""
    while piece := await process.stderr():
        kept = (kept + piece)[:_MAX_COMPLAINT]
    return kept


async def _finish(
    process: Process,
    tasks: tuple[asyncio.Task[None], asyncio.Task[None], asyncio.Task[bytes]],
    request: Request,
    answered: bool,
) -> None:
    """Leave no process behind."""
    *streams, complaint = tasks
    await asyncio.gather(*streams, return_exceptions=True)
    if not answered:
        # The last of git's children to go closes the pipe.
        process.signal(signal.SIGTERM)
        await asyncio.wait([complaint], timeout=_END_SECONDS)
        if not complaint.done():
            process.signal(signal.SIGKILL)
    text = (await complaint).decode("utf-8", "replace").strip()
    code = await process.wait()
    process.close()
    if code > 0 or text:
        _log.info("git complained", service=request.service, code=code, text=text)
