"""`/identity/v1`: teams, users, tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from . import schemas
from .auth import Caller, ThePlatform
from .idempotency import KEYED, KEYED_SECRET, KeyedRoute
from .replies import ALWAYS, PAGE, READ, WRITE, Cursor, Limit, answers, json_reply

router = APIRouter(prefix="/identity/v1", tags=["identity"], route_class=KeyedRoute)


@router.get("/whoami", responses=answers(*ALWAYS, _200=schemas.WhoAmI))
def whoami(platform: ThePlatform, caller: Caller) -> Response:
    """Tell who the caller is."""
    return json_reply(platform.identity.whoami(caller))


@router.get("/teams", responses=answers(*ALWAYS, _200=schemas.Teams))
def list_teams(platform: ThePlatform, caller: Caller, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """List the teams by name."""
    return json_reply(platform.identity.list_teams(caller, limit, cursor))


@router.post("/teams", dependencies=[KEYED], status_code=201, responses=answers(*WRITE, _201=schemas.Team))
def create_team(platform: ThePlatform, caller: Caller, team: schemas.NewTeam) -> Response:
    """Create a team; the caller leads it. A team that exists is let into further domains by its members."""
    return json_reply(platform.identity.create_team(caller, team.name, tuple(team.domains)), 201)


@router.post("/teams/{team}/members/{user}", dependencies=[KEYED], responses=answers(*WRITE, _200=schemas.Team))
def add_member(
    platform: ThePlatform,
    caller: Caller,
    team: str,
    user: str,
    lead: Annotated[bool, Query(description="As a lead, who adds and removes members.")] = False,
) -> Response:
    """Put a user into a team."""
    return json_reply(platform.identity.add_member(caller, team, user, lead))


@router.delete("/teams/{team}/members/{user}", dependencies=[KEYED], responses=answers(*WRITE, _200=schemas.Team))
def remove_member(platform: ThePlatform, caller: Caller, team: str, user: str) -> Response:
    """Take a user out of a team."""
    return json_reply(platform.identity.remove_member(caller, team, user))


@router.get("/users", responses=answers(*READ, _200=schemas.Users))
def list_users(platform: ThePlatform, caller: Caller, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
    """List the users by name."""
    return json_reply(platform.identity.list_users(caller, limit, cursor))


@router.post("/users", dependencies=[KEYED], status_code=201, responses=answers(*WRITE, _201=schemas.User))
def add_user(platform: ThePlatform, caller: Caller, user: schemas.NewUser) -> Response:
    """Add a user."""
    return json_reply(platform.identity.add_user(caller, user.name, tuple(user.teams), user.admin), 201)


@router.post("/users/{user}/links", dependencies=[KEYED], responses=answers(*WRITE, _200=schemas.LinkedUser))
def link_user(platform: ThePlatform, caller: Caller, user: str, link: schemas.Link) -> Response:
    """Make a person whom an OpenID provider vouches for sign in as this user."""
    return json_reply(platform.identity.link_user(caller, user, link.subject, link.issuer))


@router.get("/tokens", responses=answers(*READ, _200=schemas.Tokens))
def list_tokens(
    platform: ThePlatform,
    caller: Caller,
    user: Annotated[str | None, Query(max_length=127, description="Another user's; for administrators.")] = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Response:
    """List the caller's tokens, the newest first."""
    return json_reply(platform.identity.list_tokens(caller, user, limit, cursor))


@router.post("/tokens", dependencies=[KEYED_SECRET], status_code=201, responses=answers(*WRITE, _201=schemas.MadeToken))
def new_token(platform: ThePlatform, caller: Caller, token: schemas.NewToken) -> Response:
    """Make a token. Its text is in this reply only: with the same Idempotency-Key again 409 names the token made."""
    made = platform.identity.new_token(caller, token.user, token.expires, token.scope)
    return json_reply(made, 201)


@router.delete("/tokens/{id}", dependencies=[KEYED], responses=answers(*WRITE, _200=schemas.Token))
def revoke_token(platform: ThePlatform, caller: Caller, id: str) -> Response:
    """Revoke a token, at once and at every door."""
    return json_reply(platform.identity.revoke_token(caller, id))


@router.get("/jwks.json", responses=answers(429, 500, 503, _200=schemas.Keys))
def jwks(platform: ThePlatform) -> Response:
    """Give the public keys that tokens are signed with; no token is needed."""
    return json_reply(platform.identity.jwks(), headers={"Cache-Control": "max-age=300"})
