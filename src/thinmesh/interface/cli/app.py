"""The commands by name, loaded when called; and what every failure becomes."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from thinmesh import __version__
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.names import nearest

from . import failures
from .door import options

# name: (module, what it does). The text is the command's own first line; a test compares them, so that help
# need not load every command.
COMMANDS: dict[str, tuple[str, str]] = {
    "accept": ("product", "Make the inferred tables of a product its contract."),
    "approve": ("access", "Approve a request for access."),
    "backup": ("operations", "Write a backup of the platform to a file."),
    "catalog": ("catalog", "Follow how products reach the catalogs outside the mesh."),
    "check": ("data", "Check data files against a contract, and change nothing."),
    "demo": ("demo", "Show the mesh at work on real data, in a home of its own."),
    "deny": ("access", "Deny a request for access, and say why."),
    "doctor": ("operations", "Find and name every broken invariant."),
    "git-credential": ("credential", "Answer git's questions for the token of a server."),
    "grants": ("access", "List the grants in force that you hold or decide."),
    "history": ("product", "List what happened to a product."),
    "init": ("home", "Make a platform home."),
    "list": ("product", "List the data products."),
    "login": ("login", "Sign in to a server, and let git sign in too."),
    "publish": ("data", "Publish data files as one atomic load."),
    "query": ("query", "Run one read-only SQL statement."),
    "rebuild": ("operations", "Build what is derived again from the sources of truth."),
    "register": ("product", "Register a data product, or change its descriptor."),
    "request": ("access", "Ask for the data of a closed product."),
    "requests": ("access", "List the requests that you made or decide."),
    "restore": ("home", "Make a platform home from a backup."),
    "retire": ("product", "Retire a product; its name stays taken."),
    "revoke": ("access", "Take a grant back, or withdraw a request."),
    "search": ("product", "Find data products by words."),
    "show": ("product", "Show a product, and how to read it."),
    "status": ("operations", "Report how the platform is doing."),
    "team": ("identity", "Create teams, and say who is in them."),
    "token": ("identity", "Make, list and revoke tokens."),
    "up": ("up", "Serve the platform home until stopped."),
    "user": ("identity", "Add and list users."),
    "version": ("version", "Print the version."),
    "whoami": ("identity", "Show who you are here."),
}
HIDDEN = frozenset({"git-credential"})


class LazyGroup(click.Group):
    """Knows its commands by name, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name the commands."""
        return sorted(name for name in COMMANDS if _exists(name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command."""
        if cmd_name not in COMMANDS or not _exists(cmd_name):
            return None
        module = importlib.import_module(f"{__package__}.{COMMANDS[cmd_name][0]}")
        found = getattr(module, cmd_name.replace("-", "_") + "_command")
        return found if isinstance(found, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = nearest(args[0], self.list_commands(ctx))
            raise click.UsageError(
                f"There is no command {args[0]!r}." + (f" Did you mean {near}?" if near else ""), ctx
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a reader of our output that has seen enough is no error."""
        try:
            found = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Python would complain once more while flushing at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            rows = [(name, COMMANDS[name][1]) for name in self.list_commands(ctx) if name not in HIDDEN]
            formatter.write_dl(rows)


def _exists(name: str) -> bool:
    return importlib.util.find_spec(f"{__package__}.{COMMANDS[name][0]}") is not None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="thinmesh", message="%(prog)s %(version)s")
def app(**_: object) -> None:
    """Work with a self-serve data mesh: data products with contracts, found and read with SQL.

    A command acts on the home or server named by --home or --url, else by THINMESH_HOME or THINMESH_URL, else on
    the home in this folder or above, else on the server that you signed in to.
    """


app.params.extend(options(acts=True))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code."""
    as_json = "--json" in arguments
    try:
        code = app.main(list(arguments), prog_name="thinmesh", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        # Its message is the whole help text of the group.
        print(error.format_message(), file=sys.stderr)
        return 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "thinmesh"
        return failures.usage(error.format_message(), f"See: {path} --help", as_json=as_json)
    except (KeyboardInterrupt, click.Abort, EOFError):
        return failures.interrupted(as_json=as_json)
    except MeshError as error:
        return failures.report(error, as_json=as_json)
    except click.ClickException as error:
        return failures.usage(error.format_message(), "See: thinmesh --help", as_json=as_json)
    except Exception as error:
        return failures.unexpected(error, as_json=as_json)
