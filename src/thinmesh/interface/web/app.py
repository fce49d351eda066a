"""The ASGI layer of the pages: what is a page's address is answered here, all else is the API's."""

from __future__ import annotations

import re

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from thinmesh.interface.http.body import Steady
from thinmesh.interface.http.doorstep import App, Receive, Scope, Send, request_id
from thinmesh.interface.http.problems import internal, of_http_exception
from thinmesh.interface.http.rates import Rates
from thinmesh.interface.http.uploads import Turns
from thinmesh.interface.platform import Platform
from thinmesh.kernel.errors import MeshError, NotFound, NotSignedIn

from . import access, assets, console, handing_in, product, search, session, signing_in, status, teams
from .visit import Page, Site, route

# The first step of every page's address. Git and the documents have others, and so have the API's planes but one.
_PAGES = re.compile(
    r"/(?:$|(?:assets|products|sign-in|sign-out|query(?!/v1(?:/|$))|teams|tokens|requests|status|new)(?:/|$))"
)
# The most of an unknown address that is repeated.
_SHOWN = 200
PAGES: tuple[Page, ...] = (
    *search.PAGES,
    *product.PAGES,
    *console.PAGES,
    *handing_in.PAGES,
    *access.PAGES,
    *teams.PAGES,
    *status.PAGES,
)


class Pages:
    """Answers the pages of a platform, and hands every other request on."""

    def __init__(self, platform: Platform, rates: Rates, turns: Turns, api: App) -> None:
        self._api = api
        site = Site(platform, rates)
        self._site = site
        self._pages = Starlette(
            routes=[assets.ROUTE, *signing_in.routes(site), *(route(site, page) for page in PAGES)],
            exception_handlers={Exception: _unexpected, 404: _unknown, 405: _unknown},
        )
        # Starlette would redirect an address with a slash too many to a host that the request names.
        self._pages.router.redirect_slashes = False
        self._pages.state.site = site
        self._pages.state.turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and _PAGES.match(scope["path"]):
            request, steady = Request(scope), Steady(receive, send)
            if scope["method"] != "GET":
                receive, send = steady.receive, steady.send
            try:
                session.arrive(self._site.platform, self._site.rates, request, secure=self._site.secure)
            except MeshError as error:
                await self._site.error(request, error)(scope, receive, send)
                return
            await self._pages(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    def nothing(self, request: Request) -> Response | None:
        """Answer a person who came to an address that neither page nor API has; None for a program."""
        if "text/html" not in request.headers.get("accept", ""):
            return None
        try:
            session.arrive(self._site.platform, self._site.rates, request, secure=self._site.secure)
        except MeshError as error:
            return self._site.error(request, error)
        return _nothing(self._site, request)


async def _unexpected(request: Request, _: Exception) -> Response:
    site: Site = request.app.state.site
    return site.error(request, internal(request_id(request.scope)))


async def _unknown(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    site: Site = request.app.state.site
    if error.status_code == 404:
        return _nothing(site, request)
    made = site.error(request, of_http_exception(error, request.url.path))
    made.headers.update(error.headers or {})
    return made


def _nothing(site: Site, request: Request) -> Response:
    told = NotFound(f"There is no page at {request.url.path[:_SHOWN]}.", help="Look at the address, or search for it.")
    try:
        return site.error(request, told, session.caller_of(request))
    except NotSignedIn:
        return site.error(request, told)
