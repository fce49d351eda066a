"""A shorter way to the requests that come most: register, list, search, run a statement, list tables.

The same handlers answer, without FastAPI's routing and its reading of parameters, which cost more than the answers (ADR
0013). What is in any way special (a parameter that is not plain, a header that changes the meaning) goes the long way,
which is also the one that is documented and the one that refuses.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from thinmesh.interface.platform import Platform
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.page import DEFAULT_LIMIT, MAX_LIMIT

from . import product, query, schemas
from .auth import find_caller
from .body import Replay, media_type_of
from .doorstep import Receive, Scope, Send, request_id
from .problems import problem_response

Handler = Callable[[Request, Mapping[str, str]], Awaitable[Response]]

_SPECIAL = frozenset({b"if-match", b"idempotency-key"})
_FILTERS = frozenset({"domain", "owner", "tag"})
_PAGING = frozenset({"limit", "cursor"})
_JSON = frozenset({"", "application/json"})
_LONGEST = 100  # characters: what every parameter of these requests may have


class _Unusual(Exception):
    """The body of a request is for the long way to read, and to refuse."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


class Express:
    """Answers plain requests of some addresses; all others, and what goes wrong in an unknown way, are the app's."""

    def __init__(self, platform: Platform, app: FastAPI) -> None:
        self._platform = platform
        self._app = app
        self.state = app.state
        self._handlers: Mapping[tuple[str, str], tuple[Handler, frozenset[str]]] = {
            ("POST", "/product/v1/products"): (self._register, frozenset()),
            ("GET", "/product/v1/products"): (self._list, _FILTERS | _PAGING),
            ("POST", "/query/v1/statements"): (self._statement, frozenset()),
            ("GET", "/query/v1/tables"): (self._tables, _PAGING),
            ("GET", "/product/v1/search"): (self._search, frozenset({"q"}) | _FILTERS | _PAGING),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = self._handlers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        given = _plain(scope, found[1]) if found else None
        if found is None or given is None:
            await self._app(scope, receive, send)
            return
        scope = {**scope, "app": self._app}
        try:
            response = await found[0](Request(scope, receive), given)
        except _Unusual as found_out:
            await self._app(scope, Replay(found_out.body, receive), send)
            return
        except MeshError as error:
            response = problem_response(error, request_id(scope))
        await response(scope, receive, send)

    async def _register(self, request: Request, _: Mapping[str, str]) -> Response:
        return await product.register(request, self._platform, await find_caller(request))

    async def _statement(self, request: Request, _: Mapping[str, str]) -> Response:
        body = await request.body()
        if media_type_of(request) not in _JSON:
            raise _Unusual(body)
        caller = await find_caller(request)
        try:
            statement = schemas.NewStatement.model_validate(json.loads(body))
        except (ValidationError, ValueError, RecursionError):
            raise _Unusual(body) from None
        return await query.run(request, self._platform, caller, statement)

    async def _list(self, request: Request, given: Mapping[str, str]) -> Response:
        caller, filters = await find_caller(request), {name: given.get(name) for name in _FILTERS}
        return await run_in_threadpool(
            product.list_products, self._platform, caller, limit=_limit(given), cursor=given.get("cursor"), **filters
        )

    async def _tables(self, request: Request, given: Mapping[str, str]) -> Response:
        caller = await find_caller(request)
        return await run_in_threadpool(
            query.list_tables, self._platform, caller, limit=_limit(given), cursor=given.get("cursor")
        )

    async def _search(self, request: Request, given: Mapping[str, str]) -> Response:
        caller = await find_caller(request)
        return await run_in_threadpool(
            product.search,
            self._platform,
            caller,
            given.get("q", ""),
            domain=given.get("domain"),
            owner=given.get("owner"),
            tag=given.get("tag"),
            limit=_limit(given),
            cursor=given.get("cursor"),
        )


def _plain(scope: Scope, known: frozenset[str]) -> Mapping[str, str] | None:
    """Give the parameters of a request that has nothing special, or None."""
    if not _SPECIAL.isdisjoint(name for name, _ in scope["headers"]):
        return None
    query = scope.get("query_string", b"")
    if not query:
        return {} if "q" not in known else None
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        return None
    given = dict(pairs)
    if len(given) != len(pairs) or not known.issuperset(given) or ("q" in known and not given.get("q")):
        return None
    if any(len(value) > _LONGEST for value in given.values()) or not _is_page(given.get("limit", "1")):
        return None
    return given


def _is_page(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT


def _limit(given: Mapping[str, str]) -> int:
    return int(given.get("limit", DEFAULT_LIMIT))
