"""Starts: a server at 10,000 products, and the two commands that people type most."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .. import mesh
from ..model import OURS, Goal, Job, Work


@contextmanager
def server(folder: Path) -> Iterator[Work]:
    """Start a server, until it says that it is ready."""
    home = mesh.home_of(folder, 10_000)

    def work() -> dict[str, float]:
        began = time.perf_counter()
        with mesh.starting(home.path) as process:
            mesh.ready(process)
            seconds = time.perf_counter() - began
        return {"seconds": seconds}

    yield work


@contextmanager
def command(arguments: tuple[str, ...], folder: Path) -> Iterator[Work]:
    """Run a command on a home with some products."""
    home = mesh.home_of(folder, 10)
    yield _run([*mesh.COMMAND, *arguments], {"THINMESH_HOME": str(home.path)})


@contextmanager
def python(_: Path) -> Iterator[Work]:
    """Start and end the interpreter."""
    yield _run([sys.executable, "-c", "pass"], {})


def _run(arguments: list[str], more: dict[str, str]) -> Work:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | more

    def work() -> None:
        subprocess.run(arguments, env=environment, stdout=subprocess.DEVNULL, check=True)

    return work


def _command(key: str, title: str, limit: float, *arguments: str) -> Job:
    return Job(
        key=key,
        title=title,
        sides={OURS: partial(command, arguments), "floor": python},
        goals=(Goal("seconds", limit),),
        rounds=21,
        warm=2,
    )


JOBS = (
    Job(
        key="start",
        title="start of a server at 10,000 products, until it is ready",
        sides={OURS: server},
        goals=(Goal("seconds", 1.5, against=None),),
    ),
    _command("version", "`thinmesh --version` beside `python -c pass`", 4, "--version"),
    _command("list-command", "`thinmesh list` on a home beside `python -c pass`", 12, "list"),
)
