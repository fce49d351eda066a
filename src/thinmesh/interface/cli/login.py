"""`thinmesh login`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from thinmesh.interface.client.credentials import Credentials, address
from thinmesh.interface.client.remote import RemoteSession
from thinmesh.interface.client.transport import Transport
from thinmesh.kernel.errors import NotSignedIn, Temporary

from . import output
from .door import Door, command


@command("login", acts=False)
@click.argument("server", metavar="URL")
@click.option("--token-stdin", is_flag=True, help="Read the token from stdin.")
@click.option("--no-git", is_flag=True, help="Leave git's settings alone.")
def login_command(door: Door, server: str, token_stdin: bool, no_git: bool) -> None:
    """Sign in to a server, and let git sign in too.

    The token comes from stdin (--token-stdin), THINMESH_TOKEN, or is asked for; never from the command line,
    which other users of this machine can see.
    """
    where = address(server)
    token = _token(token_stdin)
    session = RemoteSession(Transport(where, token))
    try:
        found = session.whoami()
    finally:
        session.close()
    stored = Credentials.of()
    stored.store(where, token)
    door.say(f"the token is stored in {stored.path}, readable by you alone")
    if not no_git:
        _teach_git(where)
        door.say(f"git signs in to {where} with it, through `thinmesh git-credential` (see git config --global)")
    door.show(found, lambda person: _signed_in(where, person))


def _signed_in(where: str, person: Any) -> str:
    teams = ", ".join(map(output.printable, person["teams"])) or "no team yet"
    return f"signed in to {where} as {output.printable(person['user'])} ({teams})"


def _token(from_stdin: bool) -> str:
    found = sys.stdin.read() if from_stdin else os.environ.get("THINMESH_TOKEN") or _asked()
    if not found.strip():
        raise NotSignedIn("No token was given.", help="Pipe it in with --token-stdin, or set THINMESH_TOKEN.")
    return found.strip()


def _asked() -> str:
    """Ask the person at the terminal; where there is none, there is nobody to ask."""
    if not sys.stdin.isatty():
        return ""
    return str(click.prompt("token", hide_input=True, err=True, default="", show_default=False))


def _teach_git(url: str) -> None:
    """Make this program git's credential helper for one URL, and the only one: an empty first value resets the list."""
    if shutil.which("git") is None:
        raise Temporary("git is not installed.", help="Install git, or sign in with --no-git; the token is stored.")
    name = f"credential.{url}.helper"
    _git("--replace-all", name, "")
    _git("--add", name, f"!{_program()} git-credential")


def _program() -> str:
    script = Path(sys.argv[0])
    if script.name == "thinmesh" and script.is_file():
        return shlex.quote(str(script.resolve()))
    return f"{shlex.quote(sys.executable)} -m thinmesh.interface.cli"


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", "config", "--global", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Temporary(
            f"git's settings could not be written: {done.stderr.strip()}.",
            help="Repair them, or sign in with --no-git; the token is stored.",
        )
