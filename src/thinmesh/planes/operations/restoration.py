"""Make a home from a backup. No platform runs on it; nothing of the backup is believed before it is verified."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinmesh.kernel.durability import sync
from thinmesh.kernel.errors import Internal, Refused, Temporary
from thinmesh.kernel.progress import Progress, no_progress

from .backend import Archives, Member, Repositories
from .backup import FORMAT, HEAD, MANIFEST
from .model import Restored

# The only places that a backup may fill; every other name is refused, whatever it tries.
_PLACES = re.compile(
    r"backup\.json|manifest\.json|thinmesh\.toml|thinmesh\.db|data\.pack|log\.pack|keys/[a-z][a-z0-9_]*\.pem"
    r"|lake/[a-z][a-z0-9_]{0,62}/[a-z][a-z0-9_]{0,62}/[0-9a-f]{1,64}\.parquet"
)
_REQUIRED = ("thinmesh.toml", "thinmesh.db", "data.pack")
# Far above what a million data files need; what is read into memory whole must have an end.
_LONGEST = {HEAD: 64 << 10, MANIFEST: 512 << 20}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a restoration works with, joined by bootstrap.

    `awaken` opens a home that lacks nothing but life: brings its database to this release, lets the index catch up with
    the log, and, where it is told that there are no keys, makes new ones and gives a new administrator's token.
    """

    archives: Archives
    repositories: Repositories
    awaken: Callable[[Path, bool], str | None]


def restore(file: Path, home: Path, parts: Parts, progress: Progress = no_progress) -> Restored:
    """Make a home in a new or empty folder.

    Raises Refused where the folder holds something, or the backup is damaged, incomplete, or of a newer release;
    then nothing is left behind.
    """
    with _staged(home) as stage:
        digests = _unpacked(parts.archives, file, stage, progress)
        manifest = _verified(stage, digests)
        progress("making the repositories", 0, 0)
        _make_repositories(stage, manifest, parts.repositories)
        for folder in ("run", "lake", "keys"):
            (stage / folder).mkdir(mode=0o700, exist_ok=True)
        keys = any((stage / "keys").iterdir())
        progress("catching up with the log", 0, 0)
        token = _awakened(stage, keys, parts)
    notes = () if keys else ("The backup held no keys: every token must be made again.",)
    data_files = sum(name.startswith("lake/") for name in digests)
    return Restored(str(home.resolve()), manifest["at"], manifest["sequence"], data_files, keys, token, notes)


@contextmanager
def _staged(home: Path) -> Iterator[Path]:
    """Give a folder to build the home in, which becomes `home` in one step at the end; or goes, with all in it."""
    home = home.resolve()
    new = _require_empty(home)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(dir=home.parent if new else home, prefix=f".{home.name}.restoring-"))
    except OSError as error:
        raise Refused(
            f"{home} cannot be made a home: {error.strerror}.", help="Choose a folder you may write to."
        ) from error
    try:
        yield stage
        os.sync()  # thousands of files, with one call
        _take_place(stage, home, new)
    except OSError as error:
        raise Temporary(f"The home could not be restored: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _require_empty(home: Path) -> bool:
    """Tell whether the folder is still to be made. Raises Refused where there is something."""
    if not home.exists():
        return True
    if not home.is_dir() or any(home.iterdir()):
        raise Refused(
            f"{home} is not an empty folder.",
            help="Name a new folder: thinmesh restore FILE DIR. A running home is never restored over.",
        )
    return False


def _take_place(stage: Path, home: Path, new: bool) -> None:
    if new:
        stage.rename(home)
    else:
        with suppress(PermissionError):  # a mounted volume may be somebody else's
            home.chmod(0o700)
        # The settings make a folder a home: they come last.
        for path in sorted(stage.iterdir(), key=lambda path: path.name == "thinmesh.toml"):
            path.rename(home / path.name)
    for folder in (home, home.parent):
        sync(folder)


def _unpacked(archives: Archives, file: Path, stage: Path, progress: Progress) -> dict[str, tuple[str, int]]:
    """Write the members to their places; give (sha256, bytes) by name."""
    digests: dict[str, tuple[str, int]] = {}
    done = 0
    with archives.open(file) as members:
        for member in members:
            progress("reading the backup", done, 0)
            _refuse_stranger(member, digests)
            digests[member.name] = (_written(member, stage / member.name), member.size)
            done += member.size
            if len(digests) == 1:
                _refuse_format(member, stage)
    return digests


def _refuse_stranger(member: Member, digests: Mapping[str, object]) -> None:
    if not _PLACES.fullmatch(member.name):
        raise _damaged(f"it holds {member.name[:100]!r}, which is no part of a home")
    if member.name in digests:
        raise _damaged(f"it holds {member.name} twice")
    if member.size > _LONGEST.get(member.name, member.size):
        raise _damaged(f"its {member.name} is too long")


def _refuse_format(member: Member, stage: Path) -> None:
    """Judge the first member, before anything else is read."""
    if member.name != HEAD:
        raise _damaged(f"it does not begin with {HEAD}")
    head = _parsed(stage / HEAD)
    found = head.get("format")
    if not isinstance(found, int) or found < 1:
        raise _damaged("it does not say its format")
    if found > FORMAT:
        raise Refused(
            f"The backup was made by a newer release (thinmesh {str(head.get('thinmesh'))[:40]}, format {found}).",
            help="Restore it with that release or a later one; nothing was restored.",
        )


def _written(member: Member, target: Path) -> str:
    digest = hashlib.sha256()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        for chunk in member.chunks():
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _verified(stage: Path, digests: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    """Hold what was written against the manifest, which comes last, and take it away."""
    if MANIFEST not in digests:
        raise _damaged("it ends before its manifest")
    manifest = _parsed(stage / MANIFEST)
    try:
        told = {name: (each["sha256"], each["bytes"]) for name, each in manifest["contents"].items()}
        complete = {"at": str, "sequence": int, "tips": dict, "keys": bool}
        sound = all(isinstance(manifest[name], kind) for name, kind in complete.items())
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged("its manifest is not one") from error
    found = {name: digest for name, digest in digests.items() if name not in (HEAD, MANIFEST)}
    wrong = sorted(name for name in told.keys() | found.keys() if told.get(name) != found.get(name))
    missing = [name for name in _REQUIRED if name not in found]
    if wrong or missing or not sound:
        raise _damaged(f"{(wrong or missing or [MANIFEST])[0]} is not what the manifest says")
    for name in (HEAD, MANIFEST):
        (stage / name).unlink()
    return manifest


def _make_repositories(stage: Path, manifest: Mapping[str, Any], repositories: Repositories) -> None:
    tips = {name: str(manifest["tips"].get(name, "")) for name in ("log", "data")}
    log = stage / "log.pack"
    if log.exists() != bool(tips["log"]):
        raise _damaged("it does not hold the log that it names")
    repositories.restore_data(stage / "data.git", stage / "data.pack", tips["data"])
    repositories.restore_log(stage / "log.git", log if tips["log"] else None, tips["log"])


def _awakened(stage: Path, keys: bool, parts: Parts) -> str | None:
    try:
        return parts.awaken(stage, keys)
    except (Internal, KeyError, ValueError) as error:
        said = error.detail if isinstance(error, Internal) else error
        raise _damaged(f"its database and its log do not belong together ({said})") from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _damaged(f"its {path.name} is no JSON") from error
    if not isinstance(found, dict):
        raise _damaged(f"its {path.name} is no JSON object")
    return found


def _damaged(why: str) -> Refused:
    return Refused(f"The backup file is damaged: {why}.", help="Use another backup; nothing was restored.")
