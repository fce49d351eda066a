"""`/sign-in/oidc` and its `/callback`: to the provider that vouches for people, and back with a session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from thinmesh.interface.http.problems import again
from thinmesh.kernel.directory import IssuedToken
from thinmesh.kernel.errors import Malformed, MeshError, NotSignedIn, Temporary
from thinmesh.kernel.vouching import RETURN, Provider, Vouched

from . import begun, session
from .visit import Site, local

# Sign-ins that wait for the provider: one that is slow holds up no more than these.
_WAITING = 50
_HEADERS = {"Cache-Control": "no-store"}
_SHOWN = 200  # characters of a cause, in the log
_log = structlog.get_logger("thinmesh.http")


class Vouching:
    """The two routes; there are none where no provider is set up."""

    def __init__(self, site: Site, ask: Callable[..., Response]) -> None:
        self._site = site
        self._ask = ask
        self._waiting = 0

    def routes(self) -> list[Route]:
        """Make the routes."""
        provider = self._site.platform.provider
        if provider is None:
            return []

        async def begin(request: Request) -> Response:
            return await self._answer(request, self._begin, provider)

        async def finish(request: Request) -> Response:
            response = await self._answer(request, self._finish, provider)
            begun.forget(response, request.query_params.get("state", ""), secure=self._site.secure)
            return response

        return [Route(begun.PATH, begin, methods=["GET"]), Route(RETURN, finish, methods=["GET"])]

    async def _answer(
        self, request: Request, answer: Callable[[Request, Provider], Awaitable[Response]], provider: Provider
    ) -> Response:
        """Answer, or tell on the page for signing in what is wrong: there people try again, or take a token."""
        next = "/"
        try:
            self._site.rates.anonymous(request.scope)
            next = self._next(request)
            if self._waiting >= _WAITING:
                raise Temporary(f"Too many people wait for {provider.host}.")
            self._waiting += 1
            try:
                return await answer(request, provider)
            except (NotSignedIn, Malformed) as error:
                self._site.rates.failed(request.scope, error)
                raise
            except Temporary as error:
                _log.warning("the provider failed", why=error.detail, cause=repr(error.__cause__ or "")[:_SHOWN])
                raise
            finally:
                self._waiting -= 1
        except MeshError as error:
            told = f"{error.detail} {error.help}"
            response = self._ask(self._site, request, error.status, next=next, told=told)
            response.headers.update(again(error))
            return response

    def _next(self, request: Request) -> str:
        """Give the page that the person wanted, before and after they were sent away."""
        found = self._kept(request)
        return local(found.next if found else request.query_params.get("next", "/"))

    async def _begin(self, request: Request, provider: Provider) -> Response:
        next = self._next(request)
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            # Another site must not sign anybody in, not even as themselves.
            return self._ask(self._site, request, next=next)
        made = begun.begin(next)
        response = RedirectResponse(await provider.question(made.asked), 303, _HEADERS)
        begun.keep(request, response, made, self._secret, secure=self._site.secure)
        return response

    async def _finish(self, request: Request, provider: Provider) -> Response:
        given = request.query_params
        found = self._kept(request)
        if found is None:
            raise Malformed(
                "This sign-in was not begun in this browser, or too long ago.", help="Begin it again from this page."
            )
        if "error" in given or not given.get("code"):
            raise Malformed(_refusal(given.get("error", ""), provider), help="Try again, or sign in with a token.")
        person = await provider.answer(found.asked, given["code"], given.get("iss"))
        made = await run_in_threadpool(self._enter, request, person, provider.host)
        response = RedirectResponse(local(found.next), 303, _HEADERS)
        session.begin(response, made.token, secure=self._site.secure)
        return response

    def _enter(self, request: Request, person: Vouched, host: str) -> IssuedToken:
        platform = self._site.platform
        made = platform.identity.sign_in_as(person)
        session.enter(platform, request, made.user, made.id, by=host)
        return made

    def _kept(self, request: Request) -> begun.Begun | None:
        state = request.query_params.get("state", "")
        return begun.kept(request, state, self._secret, secure=self._site.secure)

    @cached_property
    def _secret(self) -> bytes:
        return self._site.platform.identity.secret("sign-in by a provider")


def _refusal(error: str, provider: Provider) -> str:
    """Say why a provider sent somebody back without a code; anybody may have written the words in the address."""
    if error == "access_denied":
        return f"{provider.host} did not let you in, or you did not want to be."
    return f"{provider.host} could not sign you in."
