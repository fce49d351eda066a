"""The app: the planes' routes, the git door, and one way of refusing."""

from __future__ import annotations

from functools import cache

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from thinmesh.interface.documents import encode
from thinmesh.interface.platform import GitBridge, Platform
from thinmesh.interface.web import Pages
from thinmesh.kernel.errors import MeshError

from . import exchange, identity, openapi, operations, product, query
from .body import BodyLimit
from .doorstep import App, Doorstep, request_id
from .express import Express
from .git import GitDoor
from .problems import internal, of_http_exception, of_validation, problem_response
from .rates import Rates
from .replies import JSON
from .uploads import Turns

# The longest thing that comes in one piece is an ODCS document of a wide product.
_BODY_LIMIT = 8 << 20


def create_app(platform: Platform, git: GitBridge | None = None) -> App:
    """Make the ASGI app over an open platform; `git` is the bridge to git, called for signed-in users."""
    made = api_of(platform)
    rates: Rates = made.state.rates
    api = BodyLimit(Express(platform, made), _BODY_LIMIT, exempt=product.UPLOADS)
    pages = Pages(platform, rates, made.state.turns, api)
    made.state.nothing = pages.nothing
    return Doorstep(GitDoor(platform, git, rates, pages) if git else pages, rates)


def api_of(platform: Platform | None) -> FastAPI:
    """Make the API alone; without a platform it can only tell its OpenAPI document."""
    api = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    api.state.platform = platform
    api.state.nothing = lambda _: None
    api.state.turns = Turns(platform.settings.query.workers if platform else 1)
    api.state.rates = Rates(platform.settings.server.rate_limit if platform else 1)
    for plane in (identity, product, query, exchange, operations):
        # Their routes themselves: an included router matches a request twice, through layers of its own.
        api.router.routes.extend(plane.router.routes)
    _add_documents(api)
    _add_errors(api)
    return api


def _add_documents(api: FastAPI) -> None:
    # Anybody may ask for them: they are written once.
    @cache
    def written(plane: str) -> bytes:
        return encode(openapi.of_plane(api, plane) if plane else openapi.document(api))

    @api.get("/openapi.json", include_in_schema=False)
    def whole() -> Response:
        return Response(written(""), media_type=JSON)

    for plane in openapi.PLANES:

        def of_plane(plane: str = plane) -> Response:
            return Response(written(plane), media_type=JSON)

        api.get(f"/{plane}/v1/openapi.json", include_in_schema=False)(of_plane)


def _add_errors(api: FastAPI) -> None:
    @api.exception_handler(MeshError)
    async def refused(request: Request, error: MeshError) -> Response:
        return problem_response(error, request_id(request.scope))

    @api.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        path = request.scope["path"]
        person: Response | None = api.state.nothing(request) if error.status_code == 404 else None
        if person is not None:
            return person
        headers = {"Allow": ", ".join(openapi.methods_at(api, path))} if error.status_code == 405 else None
        return problem_response(of_http_exception(error, path), request_id(request.scope), headers)

    @api.exception_handler(RequestValidationError)
    async def misfit(request: Request, error: RequestValidationError) -> Response:
        return problem_response(of_validation(error), request_id(request.scope))

    @api.exception_handler(Exception)
    async def unexpected(request: Request, _: Exception) -> Response:
        found = request_id(request.scope)
        return problem_response(internal(found), found)
