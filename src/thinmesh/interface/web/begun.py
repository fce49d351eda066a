"""A sign-in by a provider that has begun: kept by the browser that began it, in a cookie that only we can write."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from thinmesh.kernel.vouching import Asked

PATH = "/sign-in/oidc"
SECONDS = 600  # that a person may take at the provider
_COOKIE = "thinmesh_oidc_"
# Whatever else is called so is not ours: other hosts of the domain may have set it.
_OURS = re.compile(rf"(?:__Host-)?{_COOKIE}[0-9a-f]{{8}}")
_AT_ONCE = 4  # tabs; of more that were left half-way the oldest are forgotten
_LONGEST = 1500  # characters of a cookie: all of them and the session's go along with each request, which takes 8 kB


@dataclass(frozen=True, slots=True)
class Begun:
    """What was asked of the provider, and the page to come back to."""

    asked: Asked
    next: str


def begin(next: str) -> Begun:
    """Make what ties the answer to the question; nobody can guess any of it."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Begun(Asked(state, nonce, verifier), next)


def keep(request: Request, response: Response, begun: Begun, secret: bytes, *, secure: bool) -> None:
    """Let the browser keep it: each tab its own, for a short while, and for our own pages alone."""
    old = [name for name in request.cookies if _OURS.fullmatch(name)]
    for name in old[: max(len(old) - _AT_ONCE + 1, 0)]:
        response.delete_cookie(name, path=_path(secure=secure), secure=secure, httponly=True, samesite="lax")
    asked = begun.asked
    value = _signed([asked.state, asked.nonce, asked.verifier, begun.next, int(time.time()) + SECONDS], secret)
    if len(value) > _LONGEST:
        value = _signed([asked.state, asked.nonce, asked.verifier, "/", int(time.time()) + SECONDS], secret)
    response.set_cookie(
        _name(asked.state, secure=secure),
        value,
        max_age=SECONDS,
        path=_path(secure=secure),
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def kept(
    request: Request, state: str, secret: bytes, *, secure: bool, clock: Callable[[], float] = time.time
) -> Begun | None:
    """Find what this browser began under a state; nothing where it began none, or too long ago."""
    payload, _, signature = request.cookies.get(_name(state, secure=secure), "").partition(".")
    if not hmac.compare_digest(_signature(payload, secret).encode(), signature.encode()):
        return None
    begun, nonce, verifier, next, until = json.loads(base64.urlsafe_b64decode(payload))
    if not hmac.compare_digest(begun.encode(), state.encode()) or clock() >= until:
        return None
    return Begun(Asked(begun, nonce, verifier), next)


def forget(response: Response, state: str, *, secure: bool) -> None:
    """Make the browser forget it: an answer counts once."""
    response.delete_cookie(
        _name(state, secure=secure), path=_path(secure=secure), secure=secure, httponly=True, samesite="lax"
    )


def _name(state: str, *, secure: bool) -> str:
    """Name the cookie of a state; over TLS so that no other host of the domain can set it.

    Else one that runs there could begin a sign-in of its own, and have it end in somebody else's browser.
    """
    name = _COOKIE + hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()[:8]
    return f"__Host-{name}" if secure else name


def _path(*, secure: bool) -> str:
    """Give the part of the site that it goes to; browsers take `__Host-` for all of it alone."""
    return "/" if secure else PATH


def _signed(fields: list[object], secret: bytes) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).decode()
    return f"{payload}.{_signature(payload, secret)}"


def _signature(payload: str, secret: bytes) -> str:
    return hmac.new(secret, payload.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
