"""`thinmesh demo`: three teams, five products, one analyst, on every flight that left New York in 2013.

It runs the same commands that people type, each in a process of its own, against a server of its own; git is the
stock client. Nothing in the product knows of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import click

from thinmesh.kernel.errors import Internal, Refused

from . import demo_story as story
from .door import Door, command
from .output import printable

_THINMESH = (sys.executable, "-m", "thinmesh.interface.cli")
_SECONDS = 60


@command("demo", acts=False)
@click.option("--keep", metavar="DIR", help="Keep the home and the people's folders in a new folder.")
def demo_command(door: Door, keep: str | None) -> None:
    """Show the mesh at work on real data, in a home of its own."""
    if shutil.which("git") is None:
        raise Refused("There is no git on this machine.", help="Install git, then run the demo again.")
    with _folder(keep) as folder:
        stage = Stage(folder, quiet=door.as_json)
        try:
            story.play(stage)
        finally:
            stage.close()
    home = str(folder / "home") if keep else None
    door.show({"home": home, "steps": stage.steps, "seconds": round(stage.seconds, 1)}, lambda _: _ending(stage, home))


def _ending(stage: Stage, home: str | None) -> str:
    lines = ["", f"{len(stage.steps)} steps in {stage.seconds:.1f} s:"]
    lines += [f"  {step['seconds']:5.1f} s  {step['step']}" for step in stage.steps]
    if home:
        lines += ["", "Open it again:", f"  {_program()} --home {shlex.quote(home)} up"]
    else:
        lines += ["", "To keep the home and look around:", f"  {_program()} demo --keep DIR"]
    return "\n".join(lines)


def _program() -> str:
    """Name this program so that a shell finds it: `make demo` runs one that is on no path."""
    if shutil.which("thinmesh"):
        return "thinmesh"
    if os.access(sys.argv[0], os.X_OK):
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m thinmesh.interface.cli"


@contextlib.contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    """Give the folder to work in: a temporary one, or the one to keep, which must be new or empty."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="thinmesh-demo-") as found:
            yield Path(found)
        return
    folder = Path(keep).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is there already, and not empty.", help="Name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


@dataclass
class Stage:
    """The folder, the server, and the people of the demo; it prints what they type and what comes back."""

    folder: Path
    quiet: bool = False
    steps: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    url: str = ""
    _server: subprocess.Popen[str] | None = None
    _step: float = 0.0

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Do one step of the story, and take its time."""
        self.say(f"\n== {title}")
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self.seconds += took
        self.steps.append({"step": title, "seconds": round(took, 2)})

    def say(self, text: str) -> None:
        """Print a line for the audience."""
        if not self.quiet:
            print(text, flush=True)

    def data(self, table: str) -> Path:
        """Write a table of the shipped data to the stage's folder, as it was compressed, and give its path."""
        target = self.folder / "data" / f"{table}.csv.zst"
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            source = resources.files(__package__).joinpath("demo_data", f"{table}.csv.zst")
            target.write_bytes(source.read_bytes())
        return target

    def person(self, name: str) -> Person:
        """Give a person with a home folder of their own."""
        place = self.folder / "people" / name
        place.mkdir(parents=True, exist_ok=True)
        return Person(self, name, place)

    def serve(self) -> None:
        """Start the server on a free port, and wait until it is ready."""
        self.say(f"admin $ thinmesh --home {self.folder / 'home'} up --port 0 &")
        log = (self.folder / "server.log").open("w")
        with log:
            self._server = subprocess.Popen(
                [*_THINMESH, "--home", str(self.folder / "home"), "up", "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_environment(self.folder),
            )
        line = self._server.stdout.readline() if self._server.stdout else ""
        if not line:
            raise Internal("The demo's server did not start.", help=f"See {self.folder / 'server.log'}.")
        self.url = json.loads(line)["url"]
        self.say(f"        {self.url}")

    def close(self) -> None:
        """Stop the server."""
        if self._server:
            self._server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(20)
            if self._server.poll() is None:
                self._server.kill()
            if self._server.stdout:
                self._server.stdout.close()


@dataclass(frozen=True)
class Person:
    """Somebody who types commands in a folder of their own; their sign-in and git settings are theirs alone."""

    stage: Stage
    name: str
    place: Path

    def thinmesh(self, *arguments: str, fails: int = 0, show: bool = True, lines: int = 12) -> dict[str, Any]:
        """Run a command of the CLI twice over its two faces: shown as people see it, given back as JSON."""
        done = self._run([*_THINMESH, *arguments, "--json"], shown=["thinmesh", *arguments], fails=fails)
        found: dict[str, Any] = json.loads(done.stdout)
        if show:
            self._print(_summary(found), lines)
        return found

    def shown(self, *arguments: str, lines: int = 14) -> None:
        """Run a command of the CLI and print what people see."""
        self._print(self._run([*_THINMESH, *arguments], shown=["thinmesh", *arguments]).stdout, lines)

    def sign_in(self, token: str) -> None:
        """Sign in, for the CLI and for git."""
        arguments = [*_THINMESH, "login", self.stage.url, "--token-stdin"]
        self._run(arguments, shown=["thinmesh", "login", self.stage.url], sends=token)

    def git(self, *arguments: str, fails: int = 0, lines: int = 12, at: str = "") -> None:
        """Run the stock git client."""
        done = self._run(["git", *arguments], shown=["git", *arguments], fails=fails, at=at)
        self._print(done.stderr + done.stdout, lines)

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file."""
        target = self.place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def _run(
        self, command: Sequence[str], *, shown: Sequence[str], fails: int = 0, sends: str = "", at: str = ""
    ) -> subprocess.CompletedProcess[str]:
        self.stage.say(f"{self.name} $ {_written(shown, self.stage.folder)}")
        done = subprocess.run(
            command,
            cwd=self.place / at,
            env=_environment(self.place),
            input=sends,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != fails:
            said = (done.stdout + done.stderr).strip()
            raise Internal(
                f"The demo stopped: {_written(shown, self.stage.folder)} ended with {done.returncode}: {said}"
            )
        return done

    def _print(self, text: str, most: int) -> None:
        found = [line.removeprefix("remote: ").rstrip() for line in text.splitlines() if line.strip()]
        for line in found[:most]:
            self.stage.say("    " + printable(line))
        if len(found) > most:
            self.stage.say(f"    … {len(found) - most} more lines")


def _environment(home: Path) -> dict[str, str]:
    """Give the environment of a person with this home folder: nothing of the real user's settings gets in."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR") if name in os.environ}
    who = home.name
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": who,
        "GIT_AUTHOR_EMAIL": f"{who}@example.org",
        "GIT_COMMITTER_NAME": who,
        "GIT_COMMITTER_EMAIL": f"{who}@example.org",
    }


def _written(command: Sequence[str], folder: Path) -> str:
    """Write a command as it was typed, with the long paths of the stage cut short."""
    return " ".join(shlex.quote(part.replace(f"{folder}/", "")) for part in command)


def _summary(found: dict[str, Any]) -> str:
    """Say the gist of a JSON reply in a line or a few."""
    if "code" in found:
        lines = [f"{found['code']}: {found['detail']}", f"help: {found['help']}"]
        lines += [f"{v['file']}: {v['message']} (x{v['count']})" for v in found.get("violations", [])]
        return "\n".join(lines)
    if "publication" in found:
        counts = ", ".join(f"{name} {count['rows']:,} rows" for name, count in found["tables"].items())
        return f"{found['publication']}: {counts}"
    if isinstance(found.get("product"), dict):
        done = "registered" if found["created"] else "changed" if found["changed"] else "unchanged"
        return f"{done} {found['product']['name']}, owned by {found['product']['owner']}"
    return ", ".join(f"{name} {value}" for name, value in found.items() if name not in ("token",) and value)
