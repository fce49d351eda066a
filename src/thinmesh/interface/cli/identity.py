"""`thinmesh whoami`, `team`, `user`, `token`."""

from __future__ import annotations

from typing import Any

import click

from thinmesh.interface.client.session import Session
from thinmesh.kernel.clock import text_of_time, utc_now
from thinmesh.kernel.errors import NotFound

from . import output
from .door import Door, command, group

_LIMIT = click.option("--limit", type=click.IntRange(1, 1000), help="At most so many.")
_CURSOR = click.option("--cursor", help="`next` of the page before.")


@command("whoami")
def whoami_command(door: Door) -> None:
    """Show who you are here."""
    with door.session() as session:
        door.show(session.whoami(), _person)


def _person(found: Any) -> str:
    return output.facts(
        [
            ("user", found["user"]),
            ("teams", found["teams"]),
            ("administrator", "yes" if found["admin"] else None),
            ("scope", found.get("scope")),
        ]
    )


# Teams ----------------------------------------------------------------------------------------------------------


@group("team")
def team_command(**_: object) -> None:
    """Create teams, and say who is in them."""


@command("create")
@click.argument("name")
@click.option("--domain", "domains", multiple=True, metavar="D", help="A domain it works in; may be repeated.")
def create_team(door: Door, name: str, domains: tuple[str, ...]) -> None:
    """Create a team that you lead, or let one that exists into your domain."""
    with door.session() as session:
        door.show(session.create_team(name, domains), _team)


@command("add-member")
@click.argument("team")
@click.argument("user")
@click.option("--lead", is_flag=True, help="As a lead, who adds and removes members.")
def add_member(door: Door, team: str, user: str, lead: bool) -> None:
    """Put a user into a team."""
    with door.session() as session:
        door.show(session.add_member(team, user, lead), _team)


@command("remove-member")
@click.argument("team")
@click.argument("user")
def remove_member(door: Door, team: str, user: str) -> None:
    """Take a user out of a team."""
    with door.session() as session:
        door.show(session.remove_member(team, user), _team)


@command("list")
@_LIMIT
@_CURSOR
def list_teams(door: Door, limit: int | None, cursor: str | None) -> None:
    """List the teams."""
    with door.session() as session:
        door.show(session.teams(limit, cursor), _teams)


def _team(found: Any) -> str:
    return output.facts([("team", found["name"]), ("domains", found["domains"]), ("members", _members(found))])


def _members(team: Any) -> list[str]:
    leads = set(team.get("leads", ()))
    return [f"{name} (lead)" if name in leads else name for name in team["members"]]


def _teams(found: Any) -> str:
    rows = [(team["name"], team["domains"], _members(team)) for team in found["items"]]
    return _listed(
        found, ("team", "domains", "members"), rows, "No teams yet. Create one: thinmesh team create NAME --domain D"
    )


team_command.add_command(create_team)
team_command.add_command(add_member)
team_command.add_command(remove_member)
team_command.add_command(list_teams)


# Users ----------------------------------------------------------------------------------------------------------


@group("user")
def user_command(**_: object) -> None:
    """Add and list users."""


@command("add")
@click.argument("name")
@click.option("--team", "teams", multiple=True, metavar="T", help="A team they are in; may be repeated.")
@click.option("--admin", is_flag=True, help="As an administrator.")
def add_user(door: Door, name: str, teams: tuple[str, ...], admin: bool) -> None:
    """Add a user; for administrators."""
    with door.session() as session:
        door.show(session.add_user(name, teams, admin), lambda found: _user(door, found))


@command("list")
@_LIMIT
@_CURSOR
def list_users(door: Door, limit: int | None, cursor: str | None) -> None:
    """List the users."""
    with door.session() as session:
        door.show(session.users(limit, cursor), _users)


@command("link")
@click.argument("name")
@click.argument("subject")
@click.option("--issuer", metavar="URL", help="Who vouches for them; else the provider of `oidc.issuer`.")
def link_user(door: Door, name: str, subject: str, issuer: str | None) -> None:
    """Let a person whom an OpenID provider vouches for sign in as a user; for administrators."""
    with door.session() as session:
        door.show(session.link_user(name, subject, issuer), _linked)


def _linked(found: Any) -> str:
    return output.facts([("user", found["name"]), ("subject", found["subject"]), ("vouched for by", found["issuer"])])


def _user(door: Door, found: Any) -> str:
    known = output.facts(
        [("user", found["name"]), ("teams", found["teams"]), ("administrator", "yes" if found["admin"] else None)]
    )
    name = output.printable(found["name"])
    # A server of an earlier release does not say whether the user is new.
    there = "" if found.get("created", True) else f"{name} is there already; nothing was changed.\n"
    return f"{there}{known}\nGive them a token: {door.typed(f'token new {name}')}"


def _users(found: Any) -> str:
    rows = [(user["name"], user["teams"], "yes" if user["admin"] else "") for user in found["items"]]
    return _listed(found, ("user", "teams", "administrator"), rows, "No users yet.")


user_command.add_command(add_user)
user_command.add_command(list_users)
user_command.add_command(link_user)


# Tokens ---------------------------------------------------------------------------------------------------------


@group("token")
def token_command(**_: object) -> None:
    """Make, list and revoke tokens."""


@command("new")
@click.argument("user", required=False)
@click.option("--expires", default="P90D", show_default=True, metavar="DURATION", help="How long it lasts (ISO 8601).")
@click.option("--scope", default="write", show_default=True, help="read, write, publish:PRODUCT or admin.")
def new_token(door: Door, user: str | None, expires: str, scope: str) -> None:
    """Make a token, for yourself where no user is named; it is shown this once.

    It ends with the token that you are signed in with at the latest, unless that is an administrator's.
    """
    with door.session() as session:
        found = session.new_token(user, expires, scope)
        _warn_of_no_product(door, session, scope)
    if found.get("shortened"):
        door.say(f"warning: it ends at {found['expires']}, with the token that you are signed in with.")
    if not door.as_json:
        # On stderr, so that the token alone can go to a file or another command.
        door.say(f"{found['id']}: {found['user']}, scope {found['scope']}, until {found['expires']}; shown this once:")
    door.show(found, lambda made: str(made["token"]))


def _warn_of_no_product(door: Door, session: Session, scope: str) -> None:
    """Say that a product is not there yet; making its token first is no mistake."""
    product = scope.removeprefix("publish:")
    if product == scope:
        return
    try:
        session.show(product)
    except NotFound as error:
        door.say(f"warning: {output.printable(error.detail)} {output.printable(error.help)}")


@command("list")
@click.argument("user", required=False)
@_LIMIT
@_CURSOR
def list_tokens(door: Door, user: str | None, limit: int | None, cursor: str | None) -> None:
    """List your tokens; an administrator may name another user."""
    with door.session() as session:
        door.show(session.tokens(user, limit, cursor), _tokens)


@command("revoke")
@click.argument("id")
def revoke_token(door: Door, id: str) -> None:
    """Revoke a token, at once and at every door."""
    with door.session() as session:
        door.show(session.revoke_token(id), lambda found: f"revoked {output.printable(found['id'])}")


def _tokens(found: Any) -> str:
    now = text_of_time(utc_now())
    rows = [
        (each["id"], each["scope"], each.get("created"), each["expires"], _token_state(each, now))
        for each in found["items"]
    ]
    return _listed(found, ("id", "scope", "created", "expires", "state"), rows, "No tokens.")


def _token_state(token: Any, now: str) -> str:
    if token.get("revoked"):
        return f"revoked {token['revoked']}"
    return "expired" if token["expires"] <= now else "in force"


token_command.add_command(new_token)
token_command.add_command(list_tokens)
token_command.add_command(revoke_token)


def _listed(found: Any, headers: tuple[str, ...], rows: list[Any], otherwise: str) -> str:
    return output.listed(headers, rows, found.get("next"), otherwise)
