"""Who is looking: a cookie that holds a token, for pages alone; the API takes no cookies.

Another site cannot make a browser act here: the cookie does not come along with what other sites post (SameSite), and
a request that changes something must come from a page of our own, by what the browser says of it (Fetch Metadata, or
Origin where an old browser lacks it).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from thinmesh.interface.http.rates import Rates
from thinmesh.interface.platform import Platform
from thinmesh.kernel.errors import NotAllowed, NotSignedIn
from thinmesh.kernel.policy import Principal

COOKIE = "thinmesh_session"
# A working day: the token that was signed in with may last for months, and a browser may be somebody else's.
SECONDS = 12 * 3600
_SAFE = frozenset({"GET", "HEAD"})


def caller_of(platform: Platform, rates: Rates, request: Request) -> Principal:
    """Tell who sent a request. Raises NotSignedIn, TooManyRequests, NotAllowed where another site made it."""
    require_own(request)
    token = request.cookies.get(COOKIE)
    if not token:
        raise NotSignedIn("Sign in to see this page.")
    try:
        found = platform.identity.authenticate(token, "web")
    except NotSignedIn as error:
        rates.failed(request.scope, error)
        raise
    rates.signed_in(found.user)
    return found


def require_own(request: Request) -> None:
    """Refuse what changes something and was made by another site's page. Raises NotAllowed."""
    if request.method in _SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        own = site == "same-origin"
    else:
        origin = request.headers.get("origin")
        own = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if not own:
        raise NotAllowed(
            "This request came from another site's page, or from no page at all.",
            help="Open the page here and try again; scripts use the API with a token.",
        )


def begin(response: Response, token: str, *, secure: bool) -> None:
    """Keep a token in the browser, out of the reach of scripts."""
    response.set_cookie(COOKIE, token, max_age=SECONDS, path="/", secure=secure, httponly=True, samesite="lax")


def end(response: Response, *, secure: bool) -> None:
    """Make the browser forget the token."""
    response.delete_cookie(COOKIE, path="/", secure=secure, httponly=True, samesite="lax")
