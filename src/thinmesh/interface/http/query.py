"""`/query/v1`, and the data of single tables: statements, their state, and what may be asked about."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from thinmesh.kernel.errors import MeshError
from thinmesh.planes.query.model import FORMATS

from . import schemas
from .auth import PASSWORD, Caller, DataCaller, ThePlatform
from .body import JsonRoute
from .doorstep import request_id, wants_head
from .problems import problem_response
from .replies import PAGE, READ, WRITE, Cursor, Limit, answers, bytes_answer, json_reply
from .statements import STATEMENT_HEADER, answer, format_of, in_thread

router = APIRouter(tags=["query"], route_class=JsonRoute)
_DATA_FORMATS = {name: FORMATS[name] for name in ("csv", "parquet")}
_HEADER = {STATEMENT_HEADER: "The statement's id."}


def _statement_answers() -> dict[int | str, dict[str, Any]]:
    ok = bytes_answer("The answer, streamed.", *FORMATS.values(), headers=_HEADER)
    ok["content"]["application/json"] = {"schema": {"$ref": "#/components/schemas/Result"}}
    return {**answers(*WRITE), 200: ok}


@router.post("/query/v1/statements", responses=_statement_answers())
async def run(request: Request, platform: ThePlatform, caller: Caller, statement: schemas.NewStatement) -> Response:
    """Run one read-only statement and stream its answer, in the format that Accept names. Hanging up cancels it."""
    chosen = format_of(request.headers.get("accept"))
    id, fresh = statement.id or secrets.token_hex(8), statement.id is None
    try:
        return await answer(
            request,
            lambda: platform.queries.run(caller, statement.sql, id, statement.limit, chosen, fresh),
            partial(platform.queries.cancel, caller),
            id,
        )
    except MeshError as error:
        return problem_response(error, request_id(request.scope), {STATEMENT_HEADER: id})


@router.get("/query/v1/statements", responses=answers(*READ, _200=schemas.Statements))
def list_statements(platform: ThePlatform, caller: Caller, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """List the caller's statements, the newest first; for administrators everybody's."""
    return json_reply(platform.queries.statements(caller, limit, cursor))


@router.get("/query/v1/statements/{id}", responses=answers(*READ, _200=schemas.Statement))
def show_statement(platform: ThePlatform, caller: Caller, id: str) -> Response:
    """Show a statement and its state."""
    return json_reply(platform.queries.statement(caller, id))


@router.delete("/query/v1/statements/{id}", responses=answers(*WRITE, _200=schemas.Statement))
def cancel(platform: ThePlatform, caller: Caller, id: str) -> Response:
    """Cancel a statement; one that has ended stays as it ended."""
    return json_reply(platform.queries.cancel(caller, id))


@router.get("/query/v1/tables", responses=answers(*READ, _200=schemas.Records))
def list_tables(platform: ThePlatform, caller: Caller, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """List the tables that the caller may read."""
    return json_reply(platform.queries.tables(caller, limit, cursor))


@router.get("/product/v1/products/{product}/tables/{table}/sample", responses=answers(*READ, _200=schemas.Sample))
async def sample(platform: ThePlatform, caller: Caller, product: str, table: str) -> Response:
    """Give some rows of a table."""
    return json_reply(await in_thread(lambda: platform.queries.sample(caller, product, table)))


@router.get("/product/v1/products/{product}/tables/{table}/profile", responses=answers(*READ, _200=schemas.Profile))
async def profile(platform: ThePlatform, caller: Caller, product: str, table: str) -> Response:
    """Give figures for each column of a table: nulls, distinct values, range, mean, quantiles."""
    return json_reply({"columns": await in_thread(lambda: platform.queries.profile(caller, product, table))})


@router.get(
    "/product/v1/products/{product}/tables/{table}/data",
    dependencies=[PASSWORD],
    responses={**answers(*READ, 415), 200: bytes_answer("The table.", *_DATA_FORMATS.values(), headers=_HEADER)},
)
async def data(
    request: Request,
    platform: ThePlatform,
    caller: DataCaller,
    product: str,
    table: str,
    format: Annotated[Literal["csv", "parquet"] | None, Query(description="Goes before Accept.")] = None,
) -> Response:
    """Give a whole table as CSV or Parquet: for pandas, Excel, R. The token may be the password of basic auth."""
    chosen = format or format_of(request.headers.get("accept"), _DATA_FORMATS, "csv")
    name = {"Content-Disposition": f'attachment; filename="{table}.{chosen}"'}
    if wants_head(request.scope):
        await in_thread(lambda: platform.queries.sample(caller, product, table))
        found = Response(None, 200, name, FORMATS[chosen])
        # Its length is not known before it is made.
        del found.headers["content-length"]
        return found
    cancel = partial(platform.queries.cancel, caller)
    return await answer(request, lambda: platform.queries.data(caller, product, table, chosen), cancel, headers=name)
