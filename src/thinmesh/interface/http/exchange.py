"""`/exchange/v1`: access requests, grants, and the feed of events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from . import schemas
from .auth import Caller, ThePlatform
from .idempotency import KEYED, KeyedRoute
from .replies import PAGE, READ, WRITE, Cursor, Limit, answers, json_reply

router = APIRouter(prefix="/exchange/v1", tags=["exchange"], route_class=KeyedRoute)

ProductFilter = Annotated[str | None, Query(max_length=100, description="Only of this product.")]
After = Annotated[str | None, Query(max_length=2000, description="`next` of the call before; left out: the beginning.")]


@router.post("/requests", dependencies=[KEYED], status_code=201, responses=answers(*WRITE, _201=schemas.AccessRequest))
def request_access(platform: ThePlatform, caller: Caller, wish: schemas.NewRequest) -> Response:
    """Ask the owning team for the data of a closed product."""
    made = platform.exchange.request(caller, wish.product, wish.purpose, wish.duration, wish.team)
    return json_reply(made, 201)


@router.get("/requests", responses=answers(*READ, _200=schemas.AccessRequests))
def list_requests(platform: ThePlatform, caller: Caller, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """List the caller's requests, and those that their teams decide."""
    return json_reply(platform.exchange.requests(caller, limit=limit, cursor=cursor))


@router.post("/requests/{id}/approve", dependencies=[KEYED], responses=answers(*WRITE, _200=schemas.AccessRequest))
def approve(platform: ThePlatform, caller: Caller, id: str) -> Response:
    """Approve a request: the grant is in force at every door when this replies."""
    return json_reply(platform.exchange.approve(caller, id))


@router.post("/requests/{id}/deny", dependencies=[KEYED], responses=answers(*WRITE, _200=schemas.AccessRequest))
def deny(platform: ThePlatform, caller: Caller, id: str, denial: schemas.Denial) -> Response:
    """Deny a request, with the reason."""
    return json_reply(platform.exchange.deny(caller, id, denial.why))


@router.get("/grants", responses=answers(*READ, _200=schemas.Grants))
def list_grants(
    platform: ThePlatform, caller: Caller, product: ProductFilter = None, limit: Limit = PAGE, cursor: Cursor = None
) -> Response:
    """List the grants that the caller holds or decides."""
    return json_reply(platform.exchange.grants(caller, product, limit=limit, cursor=cursor))


@router.delete("/grants/{id}", dependencies=[KEYED], responses=answers(*WRITE, _200=schemas.Grant))
def revoke(platform: ThePlatform, caller: Caller, id: str) -> Response:
    """Revoke a grant, at once and at every door."""
    return json_reply(platform.exchange.revoke(caller, id))


@router.get("/events", responses=answers(*READ, _200=schemas.Events))
def events(platform: ThePlatform, caller: Caller, after: After = None, limit: Limit = PAGE) -> Response:
    """Give what happened, oldest first, as CloudEvents; receipts of requests and grants go to both parties only."""
    return json_reply(platform.exchange.events(caller, after, limit))
