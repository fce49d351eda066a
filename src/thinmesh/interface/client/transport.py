"""HTTP as the client speaks it: one connection over TCP, TLS or the home's socket, on the standard library alone.

`http.client` starts in a fifth of the time of larger clients, and a command makes one or two calls.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from thinmesh.interface.sockets import peer_user
from thinmesh.kernel.errors import MeshError, NotSignedIn, Temporary
from thinmesh.kernel.progress import Progress, no_progress

from .credentials import parts_of
from .files import FilePart
from .problems import document_of, error_of, error_of_stranger

# A statement may be silent for its whole time limit before its first row; a dead server is noticed by the
# connection, not by this.
_SECONDS = 3600
_CONNECT_SECONDS = 15
# Well below what servers and proxies keep an idle connection for, so that none is closed under a request.
_KEEP_SECONDS = 3
_CHUNK = 1 << 18
# No document or error of ours is near that long; what keeps coming is not read until the memory is full.
_LONGEST = 256 << 20
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    response: http.client.HTTPResponse

    def chunks(self) -> Iterator[bytes]:
        """Give the body piece by piece. Raises Temporary where it ends before its end."""
        try:
            while chunk := self.response.read1(_CHUNK):
                yield chunk
            if self.response.length:
                raise http.client.IncompleteRead(b"", self.response.length)
        except (http.client.HTTPException, OSError) as error:
            raise Temporary(
                "The answer broke off before its end; what came so far is not whole.",
                help="Run it again; the server's log says why it broke off.",
            ) from error

    def read(self) -> bytes:
        """Give the whole body of a document. Raises Malformed where it is longer than any of ours."""
        found = bytearray()
        for chunk in self.chunks():
            found += chunk
            if len(found) > _LONGEST:
                raise error_of_stranger(self.status, b"a document without end")
        return bytes(found)

    def json(self) -> dict[str, Any]:
        """Give the body as a JSON document. Raises Malformed where it is none: something else answers there."""
        body = self.read()
        found = document_of(body)
        if found is None:
            raise error_of_stranger(self.status, body)
        return found

    def require(self, *kinds: str) -> Reply:
        """Give itself. Raises Malformed where its body is of none of these media types."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in kinds:
            raise error_of_stranger(self.status, next(self.chunks(), b""))
        return self


class Transport:
    """Sends requests to one server. Not to be used from several threads at once."""

    def __init__(
        self, url: str, token: str | None = None, unix: Path | None = None, acting_as: str | None = None
    ) -> None:
        self._parts = parts_of(url)
        if token and not _TOKEN.fullmatch(token):
            # Said here, for an error about a header would show it, and be kept in a file.
            raise NotSignedIn(
                "What was given as the token is none: it holds blanks, line ends or letters beyond ASCII.",
                help="Give the token alone, as it was shown: THINMESH_TOKEN, or thinmesh login URL.",
            )
        self.url = url.strip().rstrip("/")
        self._token = token
        self._unix = unix
        self._acting_as = acting_as
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._used = 0.0

    def another(self) -> Transport:
        """Give another connection to the same server, for the same caller."""
        return Transport(self.url, self._token, self._unix, self._acting_as)

    def json(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Send a request with a JSON body, or none, and give the JSON reply. Raises what the server refused with."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        return self.send(method, path, content, headers, query).json()

    def send(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Send a request and give the reply once its headers are there.

        Raises the error that the server's problem document tells, Temporary where no server answers.
        """
        chosen = {"Accept": "application/json", **self._identity(), **(headers or {})}
        target = self._target(path, query or {})
        response = self._exchange(method, target, body, chosen)
        reply = Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response)
        if response.status >= 300:
            raise error_of(response.status, reply.read(), reply.headers.get("location"))
        return reply

    def upload(self, path: str, files: Sequence[FilePart], progress: Progress = no_progress, **query: Any) -> Any:
        """Send files as multipart/form-data, with flat memory, and give the JSON reply."""
        boundary = secrets.token_hex(16)
        parts = [(_part_head(boundary, file.name), file) for file in files]
        end = f"--{boundary}--\r\n".encode()
        length = sum(len(head) + file.path.stat().st_size + 2 for head, file in parts) + len(end)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(length),
        }
        body = _told(_multipart(parts, end), length, progress)
        return self.send("POST", path, body, headers, query).json()

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
            self._connection = self._response = None

    def _identity(self) -> dict[str, str]:
        if self._unix:
            return {"Thinmesh-As": self._acting_as} if self._acting_as else {}
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _target(self, path: str, query: Mapping[str, Any]) -> str:
        known = {name: _text(value) for name, value in query.items() if value is not None}
        return self._parts.path.rstrip("/") + path + (f"?{urlencode(known)}" if known else "")

    def _exchange(
        self, method: str, target: str, body: bytes | Iterator[bytes] | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        if self._stale():
            self.close()
        self._connection = connection = self._connection or self._connect()
        try:
            _request(connection, method, target, body, headers)
            self._response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unreachable(error) from error
        self._used = time.monotonic()
        return self._response

    def _stale(self) -> bool:
        """Tell whether the connection may not be used again: idle for long, or its last reply was left unread."""
        unread = self._response is not None and not self._response.isclosed()
        return unread or time.monotonic() - self._used > _KEEP_SECONDS

    def _unreachable(self, error: Exception) -> MeshError:
        if isinstance(error, ssl.SSLCertVerificationError):
            return NotSignedIn(
                f"The certificate of {self.url} is not trusted: {error.verify_message}.",
                help="If your company has its own authority, set SSL_CERT_FILE to its certificate.",
            )
        return Temporary(
            f"{self.url} does not answer: {error}.", help="Check the URL, and that `thinmesh up` runs there."
        )

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._unix:
            return _UnixConnection(self._unix)
        proxy = _proxy(self._parts.scheme, host)
        if self._parts.scheme == "http":
            found = http.client.HTTPConnection(host, port, timeout=_SECONDS)
        else:
            found = http.client.HTTPSConnection(*(proxy or (host, port)), timeout=_SECONDS)
            if proxy:
                found.set_tunnel(host, port or 443)
        return found


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the home's socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect, and make sure that the other end is ours: the folder of the socket may be shared."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_CONNECT_SECONDS)
        self.sock.connect(str(self._path))
        if peer_user(self.sock) != os.getuid():
            raise ConnectionRefusedError("the home's socket belongs to another user")
        self.sock.settimeout(_SECONDS)


def _request(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | Iterator[bytes] | None,
    headers: Mapping[str, str],
) -> None:
    try:
        connection.request(method, target, body, dict(headers))
    except (BrokenPipeError, ConnectionResetError):
        # The server refused early and has hung up: its reply says why, if it is still to be read.
        if body is None or connection.sock is None:
            raise


def multipart(parts: Mapping[str, bytes]) -> tuple[bytes, str]:
    """Give small parts as multipart/form-data: the body, and its content type."""
    boundary = secrets.token_hex(16)
    heads = (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"' for name in parts)
    body = b"".join(
        b"%b\r\n\r\n%b\r\n" % (head.encode(), part) for head, part in zip(heads, parts.values(), strict=True)
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _part_head(boundary: str, name: str) -> bytes:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode("utf-8", "surrogateescape")


def _multipart(parts: Sequence[tuple[bytes, FilePart]], end: bytes) -> Iterator[bytes]:
    for head, part in parts:
        yield head
        with part.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
        yield b"\r\n"
    yield end


def _told(chunks: Iterator[bytes], total: int, progress: Progress) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        progress("sending" if done < total else "checking", done, total)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _proxy(scheme: str, host: str) -> tuple[str, int] | None:
    """Give the proxy that the environment names for https (as curl reads it)."""
    url = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    if scheme != "https" or not url:
        return None
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = [name.strip().lstrip(".") for name in direct.split(",") if name.strip()]
    if "*" in names or any(host == name or host.endswith("." + name) for name in names):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    return (parts.hostname, parts.port or 8080) if parts.hostname else None
