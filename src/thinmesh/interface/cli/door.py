"""What every command has: `--json`, where to act, and who acts."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .output import ProgressLine, lines

if TYPE_CHECKING:
    from thinmesh.interface.client.discovery import Target
    from thinmesh.interface.client.session import Session

_Function = TypeVar("_Function", bound=Callable[..., Any])
_OPTIONS = ("as_json", "home", "url", "acting_as")


@dataclass(slots=True)
class Door:
    """One call of the command line."""

    as_json: bool = False
    home: str | None = None
    url: str | None = None
    acting_as: str | None = None

    def target(self) -> Target:
        """Find where to act."""
        from thinmesh.interface.client.discovery import discover

        for option, said in (("--home", self.home), ("--as", self.acting_as)):
            if self.url and said:
                raise click.UsageError(f"{option} is for a home, --url for a server; give one of them.")
        return discover(self.home, self.url, acting_as=self.acting_as)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session where to act."""
        session = self.target().session()
        try:
            yield session
        finally:
            session.close()

    def show(self, document: Any, people: Callable[[Any], str]) -> None:
        """Print a result: the JSON document, or what `people` makes of it, with nothing that a terminal obeys."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=not _takes_utf8()))
        else:
            text = people(document)
            if text:
                print(lines(text))

    def say(self, text: str) -> None:
        """Print a message that is no result."""
        print(lines(text), file=sys.stderr)

    def typed(self, words: str) -> str:
        """Write a command for the same place as this one, as it is to be typed."""
        where = (
            f"--home {shlex.quote(self.home)} " if self.home else f"--url {shlex.quote(self.url)} " if self.url else ""
        )
        return f"thinmesh {where}{words}"

    def progress(self) -> ProgressLine:
        """Give the line that shows progress on a terminal."""
        return ProgressLine(sys.stderr)


def _takes_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def command(name: str, *, acts: bool = True, **settings: Any) -> Callable[[_Function], click.Command]:
    """Make a command that gets the `Door` first. `acts`: it works on a home or a server."""

    def decorate(function: _Function) -> click.Command:
        @wraps(function)
        @click.pass_context
        def call(context: click.Context, /, **arguments: Any) -> Any:
            return function(_door(context, arguments), **arguments)

        made: click.Command = click.command(name, **settings)(call)  # type: ignore[no-untyped-call]
        made.params += options(acts=acts)
        return made

    return decorate


def group(name: str) -> Callable[[_Function], click.Group]:
    """Make a command of commands; the shared options may stand before the name of the inner one too."""

    def decorate(function: _Function) -> click.Group:
        made = click.group(name)(function)
        made.params += options(acts=True)
        return made

    return decorate


def options(*, acts: bool) -> list[click.Parameter]:
    """Give the options that commands share."""
    found: list[click.Parameter] = [
        click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout, and nothing else.")
    ]
    if acts:
        found += [
            click.Option(["--home"], metavar="DIR", help="Act on this platform home."),
            click.Option(["--url"], metavar="URL", help="Act on this server."),
            click.Option(["--as", "acting_as"], metavar="USER", help="On a home: act as this user."),
        ]
    return found


def _door(context: click.Context, arguments: dict[str, Any]) -> Door:
    """Take the shared options: those said after the command win over those before it."""
    said = {name: arguments.pop(name, None) or _said_before(context, name) for name in _OPTIONS}
    return Door(bool(said["as_json"]), said["home"], said["url"], said["acting_as"])


def _said_before(context: click.Context, name: str) -> Any:
    """Find an option that was given to a group the command is in, the nearest first."""
    found = None
    while context.parent and not found:
        context = context.parent
        found = context.params.get(name)
    return found
