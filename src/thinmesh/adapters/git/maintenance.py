"""Keep a bare repository small and quick, at the lowest priority, beside everything else that goes on.

Not `git gc`: that packs refs, and takes the lock that the ledger moves `main` under. Nothing younger than a day is
removed, for objects are written before any ref names them.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import structlog

from thinmesh.kernel.errors import Temporary

_log = structlog.get_logger("thinmesh.git")
# Every lookup asks each pack in turn, and a clone reads every loose object on its own.
_MANY_LOOSE = 1_000
_MANY_PACKS = 30
_GRACE = "1.day.ago"
_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What a repository is made of: loose objects (estimated from one folder of 256, as git does) and packs."""

    loose: int
    packs: int

    @property
    def due(self) -> bool:
        """Tell whether packing again is worth its while."""
        return self.loose > _MANY_LOOSE or self.packs > _MANY_PACKS


def upkeep(repository: Path) -> Upkeep:
    """Look at what a repository is made of, without reading it."""
    objects = repository / "objects"
    # Object ids are evenly spread; 4 of 256 folders are enough to judge by.
    sample = [objects / name for name in ("17", "5a", "9c", "e3")]
    loose = sum(1 for folder in sample if folder.is_dir() for _ in folder.iterdir()) * 64
    packs = sum(1 for _ in (objects / "pack").glob("*.pack"))
    return Upkeep(loose, packs)


def maintain(repository: Path, *, whole: bool = False) -> bool:
    """Pack a repository where that is due; tell whether it was.

    `whole` packs everything anew with a bitmap (for quick clones) and drops what no ref reaches, a day old or more;
    otherwise only what is loose, and small packs, are packed together. Raises Temporary where git could not.
    """
    if not whole and not upkeep(repository).due:
        return False
    if whole:
        _git(repository, "repack", "-a", "-d", "-l", "-q", "--write-bitmap-index", f"--unpack-unreachable={_GRACE}")
        _git(repository, "prune", f"--expire={_GRACE}")
    else:
        _git(repository, "repack", "-d", "-l", "-q", "--geometric=2")
    _git(repository, "commit-graph", "write", "--reachable")
    _git(repository, "prune-packed", "-q")
    _log.info("packed", repository=repository.name, whole=whole)
    return True


def _git(repository: Path, *arguments: str) -> None:
    """Run git on a repository, with nothing of the machine's or the user's settings, at the lowest priority."""
    git, nice = shutil.which("git"), shutil.which("nice")
    if git is None:
        raise Temporary("There is no git on this machine's PATH.", help="Install git 2.36 or newer.")
    environment = {
        "PATH": str(Path(git).parent),
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "pack.threads",
        "GIT_CONFIG_VALUE_0": "1",
    }
    command = [*([nice, "-n", "19"] if nice else []), git, "-C", str(repository), *arguments]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Temporary(f"{repository.name} could not be packed: {error}.") from error
    if done.returncode:
        raise Temporary(f"{repository.name} could not be packed: {done.stderr.strip()[:300]}.")
