"""Hooks that refuse every push which does not come by the git door, and the proof that they are the ones in force.

The door itself runs no hook: these stand in the way of a stock git that is given the repository's path.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from thinmesh.kernel.errors import Internal

from .settings import replace_file

NAMES = ("pre-receive", "proc-receive")
_REFS = ("refs/for/main", "refs/heads/main")
_TEXT = b"""\
#!/bin/sh
echo 'refused: this repository takes pushes over HTTP only, from the address it is cloned from' >&2
exit 1
"""


def write_hooks(folder: Path) -> None:
    """Write the hooks anew; anything else in the folder goes, for git would run it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for found in folder.iterdir():
        if found.name not in NAMES:
            found.unlink()
    for name in NAMES:
        replace_file(folder / name, _TEXT, 0o700)


def hooks_in_place(folder: Path) -> bool:
    """Tell whether git would run the hooks, and they are ours: it passes over one that is missing or not executable."""
    return all(os.access(folder / name, os.X_OK) and (folder / name).read_bytes() == _TEXT for name in NAMES)


def self_test(repository: Path, folder: Path, git: str, environment: dict[str, str]) -> None:
    """Prove that the hooks are ours, are the ones in force, can be executed, and refuse.

    Raises Internal with what is wrong; the git door must stay shut then.
    """
    for name in NAMES:
        path = folder / name
        if not path.is_file() or path.read_bytes() != _TEXT:
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
