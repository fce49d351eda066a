"""`/sign-in` and `/sign-out`: a token for a session, and back; the last page says what a provider still knows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from thinmesh.kernel.errors import MeshError, NotSignedIn, Temporary

from . import session
from .visit import Site, local, read_form
from .vouched import Vouching

# What was typed into a form whose session had ended comes along under these names, and is sent again afterwards.
TYPED = "typed."
_OUT = "/sign-out/done"
_PATIENCE = 2.0  # seconds to wait for what the provider names


def routes(site: Site) -> list[Route]:
    """Make the routes: the only pages that ask for no session."""

    def guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            try:
                session.require_own(request, secure=site.secure)
                return await answer(request)
            except MeshError as error:
                return site.error(request, error)

        return answered

    async def ask(request: Request) -> Response:
        return _ask(site, request, next=local(request.query_params.get("next", "/")))

    async def sign_in(request: Request) -> Response:
        form = await read_form(request)
        return await run_in_threadpool(_sign_in, site, request, form)

    async def sign_out(request: Request) -> Response:
        vouched = await run_in_threadpool(_end, site, request)
        response = RedirectResponse(_OUT if vouched and site.platform.provider else "/sign-in", 303)
        session.end(response, secure=site.secure)
        return response

    async def signed_out(request: Request) -> Response:
        if session.is_known(request):
            return RedirectResponse("/", 303)
        return site.rendering.response(request, "signed_out.html", caller=None, farewell=await _farewell(site))

    return [
        Route("/sign-in", guarded(ask), methods=["GET"]),
        Route("/sign-in", guarded(sign_in), methods=["POST"]),
        Route("/sign-out", guarded(sign_out), methods=["POST"]),
        Route(_OUT, guarded(signed_out), methods=["GET"]),
        *Vouching(site, _ask).routes(),
    ]


def _ask(site: Site, request: Request, status: int = 200, **values: object) -> Response:
    return site.rendering.response(
        request, "sign_in.html", status, **{"caller": None, "typed": {}, "told": "", "takes_files": False, **values}
    )


def _end(site: Site, request: Request) -> bool:
    """End the session for good where it is one of a provider's, and tell so; a token that was typed lives on."""
    with suppress(NotSignedIn):
        return site.platform.identity.end_session(session.caller_of(request))
    return False


async def _farewell(site: Site) -> str | None:
    """Give the address for signing out at the provider; a slow one keeps nobody from seeing that they are out here."""
    if site.platform.provider is not None:
        with suppress(Temporary, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                return await site.platform.provider.farewell()
    return None


def _sign_in(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    token, next = form.get("token", "").strip(), local(form.get("next", "/"))
    # Who has signed in by a provider in another tab goes on with that.
    token = token or request.cookies.get(session.cookie(secure=site.secure), "")
    typed = {name.removeprefix(TYPED): value for name, value in form.items() if name.startswith(TYPED)}
    takes_files = "takes_files" in form
    try:
        caller = site.platform.identity.authenticate(token, "web")
    except NotSignedIn as error:
        site.rates.failed(request.scope, error)
        return _ask(site, request, 401, next=next, typed=typed, told=error.detail, takes_files=takes_files)
    session.enter(site.platform, request, caller.user, caller.token or "", by="token")
    response: Response = RedirectResponse(next, 303)
    if typed:
        response = site.rendering.response(
            request, "resume.html", caller=caller, next=next, typed=typed, takes_files=takes_files
        )
    session.begin(response, token, secure=site.secure)
    return response
