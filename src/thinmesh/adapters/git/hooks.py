"""Put the hooks in place, and prove that they are the ones in force."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from thinmesh.kernel.errors import Internal

from .settings import replace_file

NAMES = ("pre-receive", "proc-receive")
_REFS = ("refs/for/main", "refs/heads/main")
_SOURCE = Path(__file__).with_name("hook.py")
# Linux reads 255 bytes of a `#!` line (execve(2)), older ones 127, and splits it at the first blank.
_LONGEST = 127


def write_hooks(folder: Path, python: str = sys.executable) -> None:
    """Write the hooks anew, to be run by `python`; anything else in the folder goes, for git would run it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for found in folder.iterdir():
        if found.name not in NAMES:
            found.unlink()
    for name in NAMES:
        replace_file(folder / name, _text(python), 0o700)


def hooks_in_place(folder: Path) -> bool:
    """Tell whether git would run the hooks: it passes over one that is missing or not executable."""
    return all(os.access(folder / name, os.X_OK) for name in NAMES)


def in_force(folder: Path) -> dict[str, str]:
    """Give an environment in which git runs the hooks, whatever has become of the repository's settings meanwhile."""
    settings = [("core.hooksPath", str(folder)), *(("receive.procReceiveRefs", ref) for ref in _REFS)]
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def self_test(repository: Path, folder: Path, git: str, environment: dict[str, str]) -> None:
    """Prove that the hooks are ours, are the ones in force, can be executed, and refuse without a context.

    Raises Internal with what is wrong; the git door must stay shut then.
    """
    for name in NAMES:
        path = folder / name
        if not path.is_file() or path.read_bytes() != _text(sys.executable):
            raise _fault(f"the hook {name} is missing or was changed")
        if not os.access(path, os.X_OK):
            raise _fault(f"the hook {name} is not executable, and git would pass over it")
    settings = {"core.hooksPath": [str(folder)], "receive.procReceiveRefs": list(_REFS)}
    for key, expected in settings.items():
        found = _run([git, "-C", str(repository), "config", "--get-all", key], environment).stdout.splitlines()
        if found != expected:
            raise _fault(f"the setting {key} in {repository.name}/config is {found or 'missing'}")
    tried = _run([str(folder / "pre-receive")], environment)
    if tried.returncode != 1 or not tried.stderr.startswith("refused: "):
        raise _fault(f"the hook pre-receive cannot be executed here: {tried.stderr.strip()[:200]}")


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _fault(f"{Path(command[0]).name} cannot be executed: {error}") from error


def _fault(what: str) -> Internal:
    return Internal(
        f"The git door stays shut: {what}.", help="Start `thinmesh up` again; it writes the hooks and settings anew."
    )


def _text(python: str) -> bytes:
    return _first_line(python).encode() + _SOURCE.read_bytes()


def _first_line(python: str) -> str:
    line = f"#!{python} -IS\n"
    if len(os.fsencode(line)) <= _LONGEST and not any(blank in python for blank in " \t"):
        return line
    # A line that is a no-op string to Python, and starts Python to the shell.
    quoted = python.replace('"', '\\"')
    return f"#!/bin/sh\n'''exec' \"{quoted}\" -IS \"$0\" \"$@\"\n' '''\n"
