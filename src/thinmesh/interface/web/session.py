"""Who is looking: a cookie that holds a token, for pages alone; the API takes no cookies.

Another site cannot make a browser act here: the cookie does not come along with what other sites post (SameSite), and
a request that changes something must come from a page of our own, by what the browser says of it (Fetch Metadata, or
Origin where an old browser lacks it).
"""

from __future__ import annotations

import structlog
from starlette.requests import Request
from starlette.responses import Response

from thinmesh.interface.http.doorstep import VISITOR_STATE
from thinmesh.interface.http.rates import Rates, address_of
from thinmesh.interface.platform import Platform
from thinmesh.kernel.errors import NotAllowed, NotSignedIn
from thinmesh.kernel.policy import Principal

_NAME = "thinmesh_session"
# A working day: the token that was signed in with may last for months, and a browser may be somebody else's.
SECONDS = 12 * 3600
_SAFE = frozenset({"GET", "HEAD"})
_REFUSAL = "thinmesh_stranger"
_log = structlog.get_logger("thinmesh.http")


def cookie(*, secure: bool) -> str:
    """Name the cookie; over TLS so that no other host of the domain, and no page without TLS, can set it."""
    return f"__Host-{_NAME}" if secure else _NAME


def arrive(platform: Platform, rates: Rates, request: Request, *, secure: bool) -> None:
    """Find out who sends a request, and count it: theirs, or their address's. Raises TooManyRequests.

    Every request for a page or a part of one comes through here: the doorstep counts no request with a cookie, whatever
    is in it.
    """
    token = request.cookies.get(cookie(secure=secure))
    if not token:
        setattr(request.state, _REFUSAL, NotSignedIn("Sign in to see this page."))
        if "cookie" in request.headers or "authorization" in request.headers:
            rates.anonymous(request.scope)
        return
    try:
        found = platform.identity.authenticate(token, "web")
    except NotSignedIn as error:
        setattr(request.state, _REFUSAL, error)
        rates.failed(request.scope, error)
        return
    rates.signed_in(found.user)
    setattr(request.state, VISITOR_STATE, found)


def caller_of(request: Request) -> Principal:
    """Tell who was found to send a request. Raises NotSignedIn."""
    found: Principal | None = getattr(request.state, VISITOR_STATE, None)
    if found is None:
        refusal: NotSignedIn = getattr(request.state, _REFUSAL)
        raise refusal
    return found


def is_known(request: Request) -> bool:
    """Tell whether somebody who is signed in sent a request."""
    return getattr(request.state, VISITOR_STATE, None) is not None


def require_own(request: Request, *, secure: bool) -> None:
    """Refuse what changes something and was made by another site's page. Raises NotAllowed.

    Over TLS a page without it is another site's: whoever is on the way may have written that.
    """
    if request.method in _SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        own = site == "same-origin"
    else:
        # Whole, as browsers write it: `null`, or one that no browser sends, is nobody's own.
        host = request.headers.get("host")
        schemes = ("https",) if secure else ("http", "https")
        own = bool(host) and request.headers.get("origin") in [f"{scheme}://{host}" for scheme in schemes]
    if not own:
        raise NotAllowed(
            "This request came from another site's page, or from no page at all.",
            help="Open the page here and try again; scripts use the API with a token.",
        )


def enter(platform: Platform, request: Request, user: str, token: str, *, by: str) -> None:
    """Log that somebody signed in, by what, and end the session that this browser had of a provider until then.

    `token` is the new one's id.
    """
    if is_known(request) and caller_of(request).token != token:
        platform.identity.end_session(caller_of(request))
    _log.info("signed in", user=user, token=token, address=address_of(request.scope), by=by)


def begin(response: Response, token: str, *, secure: bool) -> None:
    """Keep a token in the browser, out of the reach of scripts."""
    response.set_cookie(
        cookie(secure=secure), token, max_age=SECONDS, path="/", secure=secure, httponly=True, samesite="lax"
    )


def end(response: Response, *, secure: bool) -> None:
    """Make the browser forget the token."""
    response.delete_cookie(cookie(secure=secure), path="/", secure=secure, httponly=True, samesite="lax")
