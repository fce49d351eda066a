"""A repository seen from below, by stock git: examined, copied whole, made from a copy, and tidied.

Copies are packs (gitformat-pack(5)) of everything that one commit leads to: git finds each object on the way, so that
a copy is complete or is not made, and reading it back proves the id of each. Nothing of the user's git settings counts.
"""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from thinmesh.kernel.errors import Internal, MeshError, Refused, Temporary

from .settings import write_settings
from .store import Store

# Objects are written before any ref names them; a change that takes longer than this is none.
_GRACE = "1.day.ago"
# Git asks each pack in turn, newest first.
_MANY_PACKS = 50
_MOST = 50  # lines of complaint that are kept
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    # The home is ours, whoever owns its files (git-config(1), safe.directory; read from the environment too).
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}
# One thread and no search for deltas: a copy must not take a small machine from its users.
_PACK = ["-c", "pack.threads=1", "-c", "pack.compression=1"]
_NICE = ["nice", "-n", "19"]
_SYNCED = ["-c", "core.fsync=committed,loose-object,pack,pack-metadata"]
# How git says that nothing more can be written (csum-file.c, write_error; errno(3)).
_FULL = ("Out of diskspace", os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
# What git names the packs and indexes that it writes; the ledger's own drafts are named `tmp_pack-…`.
_DRAFTS = ("tmp_pack_*", "tmp_idx_*", "tmp_rev_*", "tmp_bitmap_*", ".tmp-*")


class GitCare:
    """One repository (planes/operations/backend.py, `RepositoryCare`)."""

    def __init__(self, path: Path, git: str = "git") -> None:
        self.path = path
        self._git = git

    def faults(self, deep: bool = False) -> list[str]:
        """List missing or unreadable objects; `deep` reads the content of every one."""
        how = [] if deep else ["--connectivity-only"]
        found = self._run(["fsck", *how, "--no-dangling", "--no-progress", "--no-reflogs"], optional=True)
        lines = [line for line in (found.stdout + found.stderr).decode("utf-8", "replace").splitlines() if line]
        if found.returncode == 0:
            return []
        return lines[:_MOST] or [f"git fsck ended with {found.returncode}"]

    def history(self, tip: str) -> set[str]:
        """List every path that a commit up to this one changed; a merge only where it is like none of its parents."""
        # No paths are asked for: git would leave out side branches that came to nothing (git-log(1), simplification).
        found = self._run(["log", "-c", "--format=", "--name-only", "--no-renames", "-z", tip]).stdout
        return {path.decode("utf-8", "surrogateescape") for path in set(found.split(b"\0"))}

    def holds(self, tip: str) -> bool:
        """Tell whether a commit and everything that it leads to is there."""
        return self._run(["rev-list", "--objects", "--quiet", tip, "--"], optional=True).returncode == 0

    def export(self, tip: str, target: Path) -> None:
        """Write everything that a commit leads to, as one pack. Raises Internal where something is missing."""
        command = ["pack-objects", "--revs", "--stdout", "-q", "--window=0", "--delta-base-offset"]
        with target.open("xb") as out:
            found = self._run(command, options=_PACK, input=f"{tip}\n".encode(), output=out, optional=True)
        if found.returncode != 0:
            target.unlink(missing_ok=True)
            _require_room(found)
            raise Internal(
                f"{self.path.name} cannot be copied: {_complaint(found)}.",
                help="Run `thinmesh doctor`; it may be damaged.",
            )

    def tidy(self) -> int:
        """Pack what lies loose and join small packs, in steps that cost what is new; give how much was there.

        Nothing is removed that is in no pack: what a change in the making has written is safe.
        """
        loose = sum(1 for _ in self.path.glob("objects/[0-9a-f][0-9a-f]/*"))
        before = self._packs()
        if not loose and before <= 1:
            return 0
        self._repack(["-d", "-l", "-q", "--geometric=2"])
        return loose + max(0, before - self._packs())

    def relieve(self) -> int:
        """Tidy where there are so many packs that every look-up feels it; every batch of the ledger makes one."""
        return self.tidy() if self._packs() > _MANY_PACKS else 0

    def _packs(self) -> int:
        return sum(1 for _ in self.path.glob("objects/pack/*.idx"))

    def sweep(self) -> int:
        """Pack everything that a ref leads to anew, with a bitmap for quick clones, and drop the rest once a day old.

        Gives how many bytes that freed. Not `git gc`: it packs refs, and takes the lock that `main` moves under.
        """
        before = self._bytes()
        keep = [f"--unpack-unreachable={_GRACE}"]
        self._repack(["-a", "-d", "-l", "-q", "--write-bitmap-index", *keep], idle=True)
        self._run(["prune", f"--expire={_GRACE}"], idle=True)
        return max(before - self._bytes(), 0)

    def _repack(self, arguments: Sequence[str], idle: bool = False) -> None:
        """Make packs anew. Where git fails, what it has half written goes: the disk may be full of just that."""
        before = self._drafts()
        try:
            self._run(["repack", *arguments], options=[*_PACK, *_SYNCED], idle=idle)
        except MeshError:
            for draft in self._drafts() - before:
                draft.unlink(missing_ok=True)
            raise

    def _drafts(self) -> set[Path]:
        return {path for name in _DRAFTS for path in (self.path / "objects" / "pack").glob(name)}

    def _bytes(self) -> int:
        return sum(_size(path) for path in self.path.glob("objects/**/*"))

    def stale_locks(self, seconds: float) -> list[Path]:
        """List lock files that are older, so that no living git holds them."""
        until = time.time() - seconds
        names = ["*.lock", "refs/**/*.lock", "objects/*.lock", "objects/pack/*.lock", "gc.pid"]
        found = {path for name in names for path in self.path.glob(name)}
        return sorted(path for path in found if _changed(path) < until)

    def _run(
        self,
        arguments: Sequence[str],
        options: Sequence[str] = (),
        input: bytes | None = None,
        output: IO[bytes] | int = subprocess.PIPE,
        optional: bool = False,
        idle: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git here, at the lowest priority where `idle`.

        Raises Temporary where the disk is full, Internal where it fails otherwise, unless `optional`.
        """
        environment = {"PATH": os.environ.get("PATH", os.defpath), **_ENVIRONMENT}
        try:
            found = subprocess.run(
                [*(_NICE if idle else []), self._git, "-C", str(self.path), *options, *arguments],
                input=b"" if input is None else input,
                stdout=output,
                stderr=subprocess.PIPE,
                env=environment,
                check=False,
            )
        except OSError as error:
            raise Temporary(
                f"git cannot be run: {error.strerror}.", help="Install git, and see that it is on PATH."
            ) from error
        if found.returncode != 0 and not optional:
            _require_room(found)
            raise Internal(f"git {arguments[0]} failed in {self.path.name}: {_complaint(found)}.")
        return found


class GitRepositories:
    """Makes repositories from packs (planes/operations/backend.py, `Repositories`)."""

    def __init__(self, git: str = "git", *, fsync: bool = True) -> None:
        self._git = git
        self._fsync = fsync

    def restore_data(self, path: Path, exported: Path, tip: str) -> None:
        """Make the data repository. Raises Refused where the pack is not whole, Temporary on a full disk."""
        Store.make(path)
        write_settings(path, fsync=self._fsync)
        self._fill(path, exported, tip)

    def restore_log(self, path: Path, exported: Path | None, tip: str) -> None:
        """Make the log; an empty one where there was nothing to export."""
        Store.make(path)
        if exported is not None:
            self._fill(path, exported, tip)

    def _fill(self, path: Path, exported: Path, tip: str) -> None:
        pack = path / "objects" / "pack" / "restored.pack"
        exported.replace(pack)
        care = GitCare(path, self._git)
        try:
            # It names the pack by what is in it, as git does.
            told = care._run(["index-pack", str(pack)], options=_SYNCED).stdout.split()
            for ending in ("pack", "idx"):
                (pack.parent / f"restored.{ending}").rename(pack.parent / f"pack-{told[-1].decode()}.{ending}")
            (pack.parent / "restored.rev").unlink(missing_ok=True)
            Store(path, fsync=self._fsync).swing("", tip)
            faults = care.faults()
        except Temporary:
            raise
        except (MeshError, KeyError, OSError, ValueError) as error:
            raise _unusable(path, error.detail if isinstance(error, MeshError) else str(error)) from error
        if faults:
            raise _unusable(path, faults[0])


def _unusable(path: Path, why: str) -> Refused:
    return Refused(
        f"The backup file is damaged: its {path.name} is not whole ({why}).",
        help="Use another backup; nothing was restored.",
    )


def _require_room(found: subprocess.CompletedProcess[bytes]) -> None:
    """Raise Temporary where a git that failed says that the disk is full."""
    if any(each.encode() in found.stderr for each in _FULL):
        raise Temporary("The disk of the platform home is full.", help="Free some space there, then try again.")


def _complaint(found: subprocess.CompletedProcess[bytes]) -> str:
    lines = found.stderr.decode("utf-8", "replace").strip().splitlines()
    return (lines[0] if lines else f"it ended with {found.returncode}").rstrip(".")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
