"""One request for a page: who makes it, what they typed, and the ways to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, cast
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from thinmesh.interface.http.doorstep import request_id
from thinmesh.interface.http.problems import again, problem_response
from thinmesh.interface.http.rates import Rates
from thinmesh.interface.http.uploads import in_turn, texts_beside_files, uploads
from thinmesh.interface.platform import Platform
from thinmesh.kernel.errors import Malformed, MeshError, NotSignedIn, TooLarge
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.progress import Progress, no_progress
from thinmesh.planes.product.model import Upload

from . import session
from .rendering import Rendering

# What a person types into one form; a README or a descriptor is the longest.
_FORM_BYTES = 4 << 20
# What anybody may make us hold in memory: a long text typed in a session that has ended since, and little more.
_STRANGERS_BYTES = 256 << 10
_FIELDS = 500
_FILES = "file"  # the field of files


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a signed-in person.

    `form` holds what they typed, nothing where nothing was sent; `files` what they handed in, gone after the answer.
    """

    site: Site
    request: Request
    caller: Principal
    form: Mapping[str, str]
    files: Sequence[Upload] = ()
    progress: Progress = no_progress

    @property
    def platform(self) -> Platform:
        """Give the platform."""
        return self.site.platform

    @property
    def partial(self) -> bool:
        """Tell whether the page is there already, and asks for a piece of itself."""
        return "hx-request" in self.request.headers

    def given(self, name: str, default: str = "") -> str:
        """Give a parameter of the address."""
        return self.request.query_params.get(name, default)

    def path(self, name: str) -> str:
        """Give a part of the address's path."""
        found: str = self.request.path_params[name]
        return found

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """Answer with a page."""
        return self.site.rendering.response(self.request, template, status, caller=self.caller, **values)

    def go(self, address: str) -> Response:
        """Send the browser on, after something was done: a reload does not do it again."""
        return Response(headers={"HX-Redirect": address}) if self.partial else RedirectResponse(address, 303)


@dataclass(frozen=True, slots=True)
class Page:
    """An address and what answers it for whoever is signed in: a coroutine, or a function in a thread of its own.

    `takes_files` makes it one that files are handed in to: it is asked first, and raises for who may not. What a
    page's own script asks for (`for_script`) is refused with problem documents instead of pages.
    """

    path: str
    answer: Callable[[Visit], Response | Awaitable[Response]]
    methods: Sequence[str] = ("GET",)
    takes_files: Callable[[Visit], None] | None = None
    for_script: bool = False


class Site:
    """What all pages share."""

    def __init__(self, platform: Platform, rates: Rates) -> None:
        self.platform = platform
        self.rates = rates
        provider = platform.provider
        self.rendering = Rendering(provider.host if provider else "")

    @property
    def secure(self) -> bool:
        """Tell whether people reach the server over TLS, so that the cookie must not go any other way."""
        return str(self.platform.settings.server.url or "").startswith("https:")

    def error(self, request: Request, error: MeshError, caller: Principal | None = None) -> Response:
        """Answer with a page that says what is wrong, and what to do now."""
        response = self.rendering.response(request, "error.html", error.status, caller=caller, error=error)
        response.headers.update(again(error))
        return response

    def sign_in(
        self, request: Request, error: NotSignedIn, form: Mapping[str, str], *, takes_files: bool = False
    ) -> Response:
        """Ask to sign in, and keep what was typed: it is sent again afterwards."""
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        told = error.detail if session.cookie(secure=self.secure) in request.cookies else ""
        return self.rendering.response(
            request,
            "sign_in.html",
            error.status,
            caller=None,
            next=back,
            typed=form,
            told=told,
            takes_files=takes_files,
        )


def route(site: Site, page: Page) -> Route:
    """Make the route of a page."""

    async def answer(request: Request) -> Response:
        form: dict[str, str] = {}
        caller: Principal | None = None
        try:
            session.require_own(request, secure=site.secure)
            if page.takes_files is None:
                form.update(await read_form(request))
            caller = session.caller_of(request)
            return await _answered(page, Visit(site, request, caller, form), form)
        except MeshError as error:
            if page.for_script:
                return problem_response(error, request_id(request.scope))
            if isinstance(error, NotSignedIn):
                return await _asked_to_sign_in(site, page, request, error, form)
            return site.error(request, error, caller)

    return Route(page.path, answer, methods=list(page.methods))


async def _asked_to_sign_in(
    site: Site, page: Page, request: Request, error: NotSignedIn, form: Mapping[str, str]
) -> Response:
    if page.takes_files is None:
        return site.sign_in(request, error, form)
    # Files are chosen again; a form whose texts cannot be kept is still one to sign in for.
    if session.is_known(request):
        # Who was let in, and is not any more: the request was read already, and has what a stranger may not send.
        form = form if sum(map(len, [*form, *form.values()])) <= _STRANGERS_BYTES else {}
    else:
        with suppress(MeshError):
            form = await texts_beside_files(request, _STRANGERS_BYTES)
    typed = {name: value for name, value in form.items() if name != _FILES}  # a field where none was chosen
    return site.sign_in(request, error, typed, takes_files=True)


async def _answered(page: Page, visit: Visit, texts: dict[str, str]) -> Response:
    """Answer; `texts` takes what is typed beside files, and holds it if that comes to nothing."""
    if iscoroutinefunction(page.answer):
        made: Response = await page.answer(visit)
        return made
    answer = cast("Callable[[Visit], Response]", page.answer)
    if page.takes_files is None:
        return await run_in_threadpool(answer, visit)
    return await _with_files(visit, answer, page.takes_files, texts)


async def _with_files(
    visit: Visit, answer: Callable[[Visit], Response], require: Callable[[Visit], None], texts: dict[str, str]
) -> Response:
    """Take the files, then answer once it is the caller's turn: what is checked takes turns with all other checks."""
    async with uploads(visit.request, visit.platform, visit.caller, partial(require, visit), texts) as files:
        given = replace(visit, form=texts, files=files)
        answered: Response = await in_turn(
            visit.request, visit.caller, lambda told: answer(replace(given, progress=told))
        )
        return answered


async def read_form(request: Request) -> Mapping[str, str]:
    """Read what was typed: texts alone. Raises Malformed, TooLarge."""
    if request.method in {"GET", "HEAD"}:
        return {}
    if "transfer-encoding" in request.headers:
        # No browser sends a form so; nobody may fill the memory with one that does not end.
        raise Malformed("What the form sent does not say its length.", help="Send it from the page.")
    most = _FORM_BYTES if session.is_known(request) else _STRANGERS_BYTES
    if int(request.headers.get("content-length") or 0) > most:
        raise TooLarge("More was typed than a form takes.", help="Use the command line or the API for long texts.")
    try:
        form: FormData = await request.form(max_files=0, max_fields=_FIELDS)
    except MeshError:
        raise
    except Exception as error:  # whatever the parser makes of a broken body
        raise Malformed("What the form sent cannot be read.", help="Reload the page and try again.") from error
    return {name: value for name, value in form.items() if not isinstance(value, UploadFile)}


def local(address: str) -> str:
    """Give an address of our own pages as it is, and the start page for any other: links may carry anything."""
    # Browsers take a backslash for a slash, and leave tabs and line ends out; two slashes begin a host.
    own = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if own else "/"


def segment(text: str) -> str:
    """Write a text as one step of an address."""
    return quote(text, safe="")
