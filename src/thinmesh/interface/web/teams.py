"""`/teams/{team}` and one's tokens: who works where, and what signs them in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from thinmesh.kernel.clock import text_of_time, utc_now
from thinmesh.kernel.errors import MeshError, NotAllowed
from thinmesh.kernel.policy import Action

from .visit import Page, Visit, segment

_SHOWN = 100
LIFETIMES = {"P1D": "a day", "P30D": "30 days", "P90D": "90 days", "P1Y": "a year"}
_SCOPES = {"read": "read only", "write": "read, publish, change"}


def listing(visit: Visit) -> Response:
    """List the teams."""
    found = visit.platform.identity.list_teams(visit.caller, _SHOWN, visit.given("cursor") or None)
    return visit.page("teams.html", found=found, error=None, typed={})


def create(visit: Visit) -> Response:
    """Make a team that the caller leads."""
    name, domains = visit.form.get("name", "").strip(), visit.form.get("domains", "").replace(",", " ").split()
    try:
        made = visit.platform.identity.create_team(visit.caller, name, domains)
    except MeshError as error:
        found = visit.platform.identity.list_teams(visit.caller, _SHOWN)
        return visit.page("teams.html", error.status, found=found, error=error, typed=visit.form)
    return visit.go(f"/teams/{segment(made.name)}")


def show(visit: Visit) -> Response:
    """Show a team: its people, domains and products."""
    return _team(visit)


def add(visit: Visit) -> Response:
    """Put a user into the team."""
    lead = bool(visit.form.get("lead"))
    return _change(visit, lambda team, user: visit.platform.identity.add_member(visit.caller, team, user, lead))


def remove(visit: Visit) -> Response:
    """Take a user out of the team."""
    return _change(visit, lambda team, user: visit.platform.identity.remove_member(visit.caller, team, user))


def tokens(visit: Visit) -> Response:
    """Show the caller's tokens."""
    return _tokens(visit)


def new_token(visit: Visit) -> Response:
    """Make a token; it is shown this once, and kept nowhere."""
    scope, lasting = visit.form.get("scope", "read"), visit.form.get("expires", "P90D")
    try:
        made = visit.platform.identity.new_token(visit.caller, expires=lasting, scope=scope)
    except MeshError as error:
        return _tokens(visit, error.status, error=error)
    return _tokens(visit, made=made)


def revoke_token(visit: Visit) -> Response:
    """Revoke a token of the caller's."""
    visit.platform.identity.revoke_token(visit.caller, visit.path("id"))
    return visit.go(f"/tokens?{urlencode({'done': 'revoked'})}")


def _team(visit: Visit, status: int = 200, error: MeshError | None = None) -> Response:
    team = visit.platform.identity.team(visit.caller, visit.path("team"))
    products = visit.platform.products.list(
        visit.caller, owner=team.name, limit=_SHOWN, cursor=visit.given("cursor") or None
    )
    return visit.page("team.html", status, team=team, products=products, manages=_manages(visit, team), error=error)


def _manages(visit: Visit, team: Any) -> bool:
    try:
        visit.platform.policy.require(visit.caller, Action.MANAGE_TEAM, team=team.name, leads=team.leads)
    except NotAllowed:
        return False
    return True


def _change(visit: Visit, act: Any) -> Response:
    team, user = visit.path("team"), visit.form.get("user", "").strip()
    try:
        act(team, user)
    except MeshError as error:
        return _team(visit, error.status, error)
    return visit.go(f"/teams/{segment(team)}")


def _tokens(visit: Visit, status: int = 200, **values: Any) -> Response:
    found = visit.platform.identity.list_tokens(visit.caller, limit=_SHOWN, cursor=visit.given("cursor") or None)
    now = text_of_time(utc_now())
    shown = {"made": None, "error": None, "found": found, "now": now, "lifetimes": LIFETIMES, "scopes": _SCOPES}
    return visit.page("tokens.html", status, **{**shown, **values})


PAGES = (
    Page("/teams", listing),
    Page("/teams", create, ("POST",)),
    Page("/teams/{team}", show),
    Page("/teams/{team}/members", add, ("POST",)),
    Page("/teams/{team}/members/remove", remove, ("POST",)),
    Page("/tokens", tokens),
    Page("/tokens", new_token, ("POST",)),
    Page("/tokens/{id}/revoke", revoke_token, ("POST",)),
)
