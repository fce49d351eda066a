"""Stock `git http-backend` (CGI) behind ASGI, streaming both ways.

Only the smart protocol passes (gitprotocol-http(5)): `info/refs?service=…`, `git-upload-pack`, `git-receive-pack`.
A process whose client is gone is ended, unless a whole push has arrived: then it runs to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import structlog

from .request_body import Body, Unfit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_log = structlog.get_logger("thinmesh.git")
_SERVICES = ("git-upload-pack", "git-receive-pack")
_CHUNK = 64 * 1024
_MAX_HEAD = 64 * 1024
_MAX_COMPLAINT = 8 * 1024
# A client that sends nothing for so long is gone; so is one that takes longer for the whole of its request.
_IDLE_SECONDS = 120.0
_REQUEST_SECONDS = 1800.0
_END_SECONDS = 5.0


class _Gone(Exception):
    """The client went away before its request was whole."""


@dataclass(slots=True)
class Request:
    """One request to git: the CGI variables, whether it hands in a push, and its body, and whether that came whole."""

    service: str
    variables: dict[str, str]
    pushes: bool
    body: Body
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    # Whether the reply's head is on its way: git sends it before it has read anything.
    begun: bool = False


REASONS = {
    403: "This repository speaks git's smart protocol only; use git 1.6.6 or newer.",
    404: "There is no such address in this repository.",
    405: "This address does not take this method.",
}
# A small pack can unfold into anything (zlib, deltas that copy): memory in KiB and CPU in seconds, of each process.
# A reader maps all packs, so that its memory is not limited this way.
_LIMITS = {True: "ulimit -v 2097152; ulimit -t 600", False: "ulimit -t 1800"}


async def bridge(
    git: str, request: Request, environment: dict[str, str], receive: Receive, send: Send, folder: Path
) -> None:
    """Start git for a request, stream both ways, and leave no process behind."""
    process = await asyncio.create_subprocess_exec(
        *_limited(git, request.pushes),
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
    answering = asyncio.create_task(_answer(process.stdout, send, request))
    try:
        await _until_answered(feeding, answering)
    except _Gone:
        _log.info("a git client went away", service=request.service)
    except Unfit as error:
        answering.cancel()
        await asyncio.wait([answering])
        await _turn_away(send, request, str(error))
    finally:
        answered = answering.done() and not answering.cancelled() and answering.exception() is None
        feeding.cancel()
        answering.cancel()
        await asyncio.shield(_finish(process, (feeding, answering, complaint), request, answered))


def _limited(git: str, pushes: bool) -> tuple[str, ...]:
    """Give the command; the shell only sets limits, and nothing of the request is in its text."""
    return ("/bin/sh", "-c", f'{_LIMITS[pushes]}; exec "$0" http-backend', git)


def read_head(scope: MutableMapping[str, Any], path: str) -> Request | int:
    """Read what is asked for; a number is the status of a request that is none of git's smart protocol."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    services = query.get("service", [])
    if path == "/info/refs":
        service, method = (services[0] if len(services) == 1 else ""), "GET"
        if service not in _SERVICES:
            return 403
    else:
        service, method = path.removeprefix("/"), "POST"
        if service not in _SERVICES:
            return 404
    if scope["method"] != method:
        return 405
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    encoding = headers.get(b"content-encoding", "")
    pushes = (method, service) == ("POST", "git-receive-pack")
    variables = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": f"service={service}" if method == "GET" else "",
        "REMOTE_USER": "thinmesh",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.get(b"content-type", ""),
        # No CONTENT_LENGTH: git reads to the end then. With a length it spins where the end comes early (git 2.39,
        # http-backend.c, pipe_fixed_length); and what is in a compressed body has another length.
        "HTTP_GIT_PROTOCOL": headers.get(b"git-protocol", ""),
    }
    found = {name: value for name, value in variables.items() if value.isascii() and value.isprintable() and value}
    found.setdefault("QUERY_STRING", "")
    return Request(service, found, pushes, Body(encoding, pushes=pushes))


async def _feed(stdin: asyncio.StreamWriter, receive: Receive, request: Request) -> None:
    """Hand the body to git. Ends when a push has come whole; raises _Gone when the client goes earlier."""
    until = time.monotonic() + _REQUEST_SECONDS
    while not request.whole.is_set():
        try:
            message = await asyncio.wait_for(receive(), min(_IDLE_SECONDS, until - time.monotonic()))
        except TimeoutError as error:
            raise _Gone from error
        if message["type"] == "http.disconnect":
            raise _Gone
        # Git may have ended already, with its reason on the way out: what still comes is dropped. Of a closed pipe
        # uvloop says RuntimeError, where asyncio says ConnectionError.
        with contextlib.suppress(ConnectionError, RuntimeError):
            for piece in request.body.pieces(message.get("body", b"")):
                stdin.write(piece)
                await stdin.drain()
        if not message.get("more_body"):
            request.whole.set()
    stdin.close()
    if request.pushes:
        return
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _Gone


async def _answer(stdout: asyncio.StreamReader, send: Send, request: Request) -> None:
    """Pass git's reply on: CGI headers (RFC 3875, section 6), then the body in pieces."""
    status, headers = await _reply_head(stdout)
    if status == 0:
        await plain(send, 500, "git failed; the server's log says why.")
        return
    request.begun = True
    await _sent(send, {"type": "http.response.start", "status": status, "headers": headers})
    while piece := await stdout.read(_CHUNK):
        await _sent(send, {"type": "http.response.body", "body": piece, "more_body": True})
    await _sent(send, {"type": "http.response.body", "body": b"", "more_body": False})


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


async def _sent(send: Send, message: Message) -> None:
    """Send to the client, unless it takes nothing for too long."""
    try:
        await asyncio.wait_for(send(message), _IDLE_SECONDS)
    except TimeoutError as error:
        raise _Gone from error


async def plain(send: Send, status: int, text: str) -> None:
    """Answer in the form of which git shows the text to its user."""
    body = text.encode() + b"\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _turn_away(send: Send, request: Request, text: str) -> None:
    """Refuse a request before git has read it whole, in the form of which git shows the text to its user."""
    # Band 3 of the side band ends the talk with a fatal error (gitprotocol-pack(5)).
    line = b"\x03refused: " + text.encode() + b"\n"
    if not request.begun:
        headers = [(b"content-type", f"application/x-{request.service}-result".encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"%04x" % (len(line) + 4) + line + b"0000"})


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
    """Leave no process behind. A push that has come whole runs to its end, though nobody may read the reply."""
    assert process.stdin  # noqa: S101 - pipes
    assert process.stdout  # noqa: S101
    *streams, complaint = tasks
    # A stream has one reader at a time: those before are over now.
    await asyncio.gather(*streams, return_exceptions=True)
    if answered or (request.pushes and request.whole.is_set()):
        await _read_out(process.stdout)
    elif not await _cut_off(process, request):
        # The last of git's children to go closes the pipe.
        _signal(process, signal.SIGTERM)
        await asyncio.wait([complaint], timeout=_END_SECONDS)
        if not complaint.done():
            _signal(process, signal.SIGKILL)
    code = await process.wait()
    text = (await complaint).decode("utf-8", "replace").strip()
    if code > 0 or text:
        _log.info("git complained", service=request.service, code=code, text=text)


async def _cut_off(process: asyncio.subprocess.Process, request: Request) -> bool:
    """End a push by ending what is sent, and tell whether it ended: a signalled git leaves what came of the pack."""
    assert process.stdin  # noqa: S101 - pipes
    assert process.stdout  # noqa: S101
    process.stdin.close()
    if not request.pushes:
        return False
    try:
        await asyncio.wait_for(_read_out(process.stdout), _END_SECONDS)
    except TimeoutError:
        return False
    return True


async def _read_out(stdout: asyncio.StreamReader) -> None:
    while await stdout.read(_CHUNK):
        pass


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to git and its children; they are a process group of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
