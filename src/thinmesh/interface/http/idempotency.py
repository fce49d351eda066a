"""`Idempotency-Key`: a write that comes again with the same key gets the reply of the first one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from thinmesh.kernel.errors import Conflict
from thinmesh.kernel.idempotency import StoredReply
from thinmesh.kernel.policy import Principal
from thinmesh.planes.product.model import Upload

from .auth import find_caller, platform_of
from .body import JsonRoute
from .replies import JSON, etag_header

_WRITES = frozenset({"POST", "PUT", "DELETE"})
_HEADER = "Idempotency-Key"


async def _documented(
    key: Annotated[
        str | None,
        Header(
            alias=_HEADER,
            min_length=1,
            max_length=200,
            description="The same request again with the same key has the effect of once; kept 7 days.",
        ),
    ] = None,
) -> None:
    """Tell OpenAPI about the header."""


KEYED = Depends(_documented)
# For uploads: the header is told in OpenAPI, and the handler itself calls `once`.
KEYED_UPLOAD = Depends(_documented, use_cache=False)


async def _secret(_: Annotated[None, KEYED]) -> None:
    """Mark a route."""


# For replies that hold a secret: only the id of what was made is kept.
KEYED_SECRET = Depends(_secret)


class KeyedRoute(JsonRoute):
    """A route whose writes take the header. Uploads do it themselves: their body is not in memory."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the handler, with the key judged before it where it is a write with a key."""
        handle = super().get_route_handler()
        secret = KEYED_SECRET in self.dependencies
        if not (secret or KEYED in self.dependencies) or not _WRITES & (self.methods or set()):
            return handle

        async def keyed(request: Request) -> Response:
            if _HEADER not in request.headers:
                return await handle(request)
            await find_caller(request)
            body = await request.body()
            return await once(request, hashlib.sha256(body).digest(), lambda: handle(request), secret=secret)

        return keyed


async def once(
    request: Request, content: bytes, act: Callable[[], Awaitable[Response]], *, secret: bool = False
) -> Response:
    """Answer a write: from what is kept under its key, else by acting; `content` is a digest of its body.

    The caller must be signed in. Raises Conflict for another request with the same key, and for a reply with a
    `secret`: it was shown once, and is kept nowhere.
    """
    key = request.headers.get(_HEADER)
    if not key:
        return await act()
    replies, caller = platform_of(request).replies, await find_caller(request)
    kept = await run_in_threadpool(replies.reserve, caller.user, key, _fingerprint(request, caller, content))
    if kept is not None and secret:
        raise _shown_once(kept)
    if kept is not None:
        return Response(kept.body, kept.status, _etag_of(kept), JSON)
    response: Response | None = None
    try:
        response = await act()
        return response
    finally:
        if response is not None and response.status_code < 400:
            body = bytes(response.body).decode()
            reply = StoredReply(response.status_code, _without_secret(body) if secret else body)
            await run_in_threadpool(replies.keep, caller.user, key, reply)
        else:
            await run_in_threadpool(replies.release, caller.user, key)


def _etag_of(kept: StoredReply) -> dict[str, str]:
    """Give the header that came with a reply about a descriptor: it is in the body, too."""
    etag = json.loads(kept.body).get("etag")
    return etag_header(etag) if etag else {}


def _without_secret(body: str) -> str:
    return json.dumps({"id": json.loads(body)["id"]})


def _shown_once(kept: StoredReply) -> Conflict:
    id = json.loads(kept.body)["id"]
    return Conflict(
        f"A token was made with this key already, and shown once: {id}.",
        help=f"If it is lost, revoke it and make another with a new key: thinmesh token revoke {id}",
    )


def digest_of(files: Sequence[Upload]) -> bytes:
    """Give one digest over the names and bytes of files."""
    whole = hashlib.sha256()
    for upload in files:
        with upload.path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        whole.update(hashlib.sha256(upload.name.encode("utf-8", "surrogateescape")).digest() + content)
    return whole.digest()


def _fingerprint(request: Request, caller: Principal, content: bytes) -> bytes:
    """Give what must be the same; the scope too, so that a narrower token never gets a wider one's reply."""
    # Not by `request.url`, which is put together with the Host header.
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    return f"{request.method} {path}?{query} {caller.scope}".encode() + b"\0" + content
