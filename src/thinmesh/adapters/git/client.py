"""The client at the other end of one git request: what it asks for, what it sends, and what it is told.

Only the smart protocol passes (gitprotocol-http(5)): `info/refs?service=…`, `git-upload-pack`, `git-receive-pack`.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_SERVICES = ("git-upload-pack", "git-receive-pack")
# A client that sends nothing for so long is gone; so is one that takes longer for the whole of its request.
_IDLE_SECONDS = 120.0
_REQUEST_SECONDS = 1800.0
# What a small request unfolds into comes in pieces of this size.
_PIECE = 64 * 1024
# `wbits` of zlib for the format of RFC 1952.
_GZIP = 31

REASONS = {
    403: "This repository speaks git's smart protocol only; use git 1.6.6 or newer.",
    404: "There is no such address in this repository.",
    405: "This address does not take this method.",
}


class Gone(Exception):
    """The client went away before its request was whole, or takes nothing any more."""


class Unfit(Exception):
    """The request is none that is served; the text says why, to the client."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the service asked for, whether it hands in a push, its headers, and its CGI variables for git."""

    service: str
    pushes: bool
    kind: str
    encoding: str
    variables: dict[str, str]


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
    kind = headers.get(b"content-type", "")
    variables = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": f"service={service}" if method == "GET" else "",
        "REMOTE_USER": "thinmesh",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": kind,
        # No CONTENT_LENGTH: git reads to the end then. With a length it spins where the end comes early (git 2.39,
        # http-backend.c, pipe_fixed_length); and what is in a compressed body has another length.
        "HTTP_GIT_PROTOCOL": headers.get(b"git-protocol", ""),
    }
    found = {name: value for name, value in variables.items() if value.isascii() and value.isprintable() and value}
    found.setdefault("QUERY_STRING", "")
    pushes = (method, service) == ("POST", "git-receive-pack")
    return Request(service, pushes, kind, headers.get(b"content-encoding", ""), found)


async def incoming(receive: Receive, encoding: str) -> AsyncIterator[bytes]:
    """Give the body of a request as it comes, decompressed in small pieces. Raises Gone and Unfit."""
    inflater = zlib.decompressobj(_GZIP) if encoding in ("gzip", "x-gzip") else None
    until = time.monotonic() + _REQUEST_SECONDS
    more = True
    while more:
        try:
            message = await asyncio.wait_for(receive(), min(_IDLE_SECONDS, until - time.monotonic()))
        except TimeoutError as error:
            raise Gone from error
        if message["type"] == "http.disconnect":
            raise Gone
        data = message.get("body", b"")
        for piece in _inflated(inflater, data) if inflater else (data,):
            yield piece
        more = message.get("more_body", False)


def _inflated(inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while data and not inflater.eof:
        try:
            piece = inflater.decompress(data, _PIECE)
        except zlib.error as error:
            raise Unfit("The compressed request cannot be read.") from error
        data = inflater.unconsumed_tail
        yield piece


async def sent(send: Send, message: Message) -> None:
    """Send to the client. Raises Gone where it takes nothing for too long."""
    try:
        await asyncio.wait_for(send(message), _IDLE_SECONDS)
    except TimeoutError as error:
        raise Gone from error


async def plain(send: Send, status: int, text: str) -> None:
    """Answer in the form of which git shows the text to its user."""
    body = text.encode() + b"\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
