"""How many requests are taken of one user, and of one address whose caller is not known.

Token buckets in memory, for this shape serves from one process. Who is signed in is never refused for what others
send from the same address: a failed sign-in costs the address, and a valid token asks nothing of it.
"""

from __future__ import annotations

import ipaddress
import math
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from thinmesh.kernel.errors import MeshError, TooManyRequests

if TYPE_CHECKING:
    from .doorstep import App, Receive, Scope, Send

# After a pause so many seconds' worth of requests may come at once: a page, a script or a build asks in bursts.
_BURST_SECONDS = 10
# Of nobody in particular fewer are taken: they only ask for documents, or fail.
_UNKNOWN_PART = 10
_REMEMBERED = 10_000
SHOWN = 200  # characters of a path in the log; it may be as long as all headers together
_TOLD_SECONDS = 60  # the log tells of one flood so often, and not of each request
_PORT = re.compile(r"^(?:\[([^\]]*)\]|([0-9.]+))(?::[0-9]+)?$")
_log = structlog.get_logger("thinmesh.http")


class Buckets:
    """Buckets of one size, by name: each fills with `rate` requests per second, up to 10 seconds' worth."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = rate * _BURST_SECONDS
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, name: str) -> bool:
        """Take one request out of a bucket; tell whether there was one."""
        now = self._clock()
        with self._lock:
            left, then = self._left.get(name, (self._most, now))
            left = min(left + (now - then) * self._rate, self._most)
            taken = left >= 1
            self._left[name] = (left - taken, now)
            if len(self._left) > _REMEMBERED:
                self._forget(now)
        return taken

    def _forget(self, now: float) -> None:
        """Drop what is as good as full; of too many that are not, the ones that came first."""
        kept = [(name, state) for name, state in self._left.items() if now - state[1] < _BURST_SECONDS]
        self._left = dict(kept[-_REMEMBERED // 2 :])


class Rates:
    """The limits of one server; `rate` is in requests per second of one user."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._users = Buckets(rate, clock)
        self._unknown = Buckets(max(rate / _UNKNOWN_PART, 1), clock)
        self._clock = clock
        self._told: dict[str, float] = {}

    def signed_in(self, user: str) -> None:
        """Count a request of a user. Raises TooManyRequests."""
        if not self._users.take(user):
            self._tell(user=user)
            raise TooManyRequests(f"{user} sends more requests than this server takes.")

    def anonymous(self, scope: Scope) -> None:
        """Count a request without a caller. Raises TooManyRequests."""
        address = address_of(scope)
        if not self._unknown.take(address):
            self._tell(address=address)
            raise TooManyRequests("This address sends more requests without a token than this server takes.")

    def failed(self, scope: Scope, error: MeshError) -> None:
        """Count a sign-in that failed, and log it. Raises TooManyRequests."""
        address = address_of(scope)
        if not self._unknown.take(address):
            self._tell(address=address)
            raise TooManyRequests("This address has tried too many tokens that are not valid.") from error
        _log.info("sign-in refused", address=address, path=scope["path"][:SHOWN], why=error.detail)

    def _tell(self, **who: str) -> None:
        """Log who sends too much."""
        now, name = self._clock(), str(who)
        if now - self._told.get(name, -math.inf) < _TOLD_SECONDS:
            return
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told[name] = now
        _log.info("too many requests", **who)


def address_of(scope: Scope) -> str:
    """Give the address that a request counts for: of IPv6 the network of 64 bits, which one customer has.

    Some proxies add the caller's port, which is another one on each connection, or write IPv4 within IPv6, where all of
    it would be one network.
    """
    host: str = (scope.get("client") or ("",))[0]
    if ":" not in host:
        return host
    bare = _PORT.sub(r"\1\2", host).partition("%")[0]
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv4Address):
        return bare
    return str(found.ipv4_mapped or ipaddress.ip_network((bare, 64), strict=False))


class BehindProxy:
    """Takes the caller's address from the proxy right before this server, and from nobody before that.

    A proxy adds the address it sees at the end of `X-Forwarded-For`; all that stands before it anybody may have sent.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        told = next((value for name, value in reversed(scope["headers"]) if name == b"x-forwarded-for"), b"")
        last = told.decode("latin-1").rpartition(",")[2].strip()
        await self._app({**scope, "client": (last, 0)} if last else scope, receive, send)
