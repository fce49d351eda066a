"""`/sign-in` and `/sign-out`: a token for a session, and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from thinmesh.kernel.errors import MeshError, NotSignedIn

from . import session
from .visit import Site, local, read_form
from .vouched import Vouching

# What was typed into a form whose session had ended comes along under these names, and is sent again afterwards.
TYPED = "typed."


def routes(site: Site) -> list[Route]:
    """Make the routes: the only pages that ask for no session."""

    def guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            try:
                session.require_own(request)
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
        await run_in_threadpool(_end, site, request)
        response = RedirectResponse("/sign-in", 303)
        session.end(response, secure=site.secure)
        return response

    return [
        Route("/sign-in", guarded(ask), methods=["GET"]),
        Route("/sign-in", guarded(sign_in), methods=["POST"]),
        Route("/sign-out", guarded(sign_out), methods=["POST"]),
        *Vouching(site, _ask).routes(),
    ]


def _ask(site: Site, request: Request, status: int = 200, **values: object) -> Response:
    return site.rendering.response(
        request, "sign_in.html", status, **{"caller": None, "typed": {}, "told": "", **values}
    )


def _end(site: Site, request: Request) -> None:
    """End the session for good where it is one of a provider's; a token that was typed lives on elsewhere."""
    with suppress(NotSignedIn):
        site.platform.identity.end_session(session.caller_of(request))


def _sign_in(site: Site, request: Request, form: Mapping[str, str]) -> Response:
    token, next = form.get("token", "").strip(), local(form.get("next", "/"))
    # Who has signed in by a provider in another tab goes on with that.
    token = token or request.cookies.get(session.cookie(secure=site.secure), "")
    typed = {name.removeprefix(TYPED): value for name, value in form.items() if name.startswith(TYPED)}
    try:
        caller = site.platform.identity.authenticate(token, "web")
    except NotSignedIn as error:
        site.rates.failed(request.scope, error)
        return _ask(site, request, 401, next=next, typed=typed, told=error.detail)
    response: Response = RedirectResponse(next, 303)
    if typed:
        response = site.rendering.response(request, "resume.html", caller=caller, next=next, typed=typed)
    session.begin(response, token, secure=site.secure)
    return response
