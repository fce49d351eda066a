"""A platform home: the folder that holds everything, and the lock that says who works on it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import time
from pathlib import Path

from thinmesh.kernel.errors import NotFound, Refused, Temporary

# How long a command waits for another one to let go of the home (INTERFACE, *Platform home*), seconds.
WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.02
_LONGEST_SOCKET = 107


class Home:
    """The paths of a home, and its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None

    @property
    def settings(self) -> Path:
        """Give the settings file; its presence makes a folder a home."""
        return self.path / "thinmesh.toml"

    @property
    def data(self) -> Path:
        """Give the repository that people clone."""
        return self.path / "data.git"

    @property
    def log(self) -> Path:
        """Give the log, which no door serves."""
        return self.path / "log.git"

    @property
    def database(self) -> Path:
        """Give the SQLite file."""
        return self.path / "thinmesh.db"

    @property
    def lake(self) -> Path:
        """Give the warehouse folder."""
        return self.path / "lake"

    @property
    def keys(self) -> Path:
        """Give the folder of the signing key."""
        return self.path / "keys"

    @property
    def run(self) -> Path:
        """Give the folder of what lives only while something runs."""
        return self.path / "run"

    def socket(self, name: str) -> Path:
        """Give the path of a unix socket: in `run/`, or in $XDG_RUNTIME_DIR where that path is too long (unix(7))."""
        path = self.run / f"{name}.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET:
            return path
        runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return Path(runtime) / f"thinmesh-{digest}-{name}.sock"

    def create(self) -> None:
        """Make the folders, for this OS user alone. Raises Refused where there is a home already."""
        self._refuse_home()
        if self.path.exists() and not self.path.is_dir():
            raise Refused(f"{self.path} is a file.", help="Name a folder; nothing was changed.")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(PermissionError):  # a mounted volume may be somebody else's
                self.path.chmod(0o700)
            self.run.mkdir(mode=0o700, exist_ok=True)
            self.lake.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise Refused(
                f"{self.path} cannot be made a home: {error.strerror}.", help="Choose a folder you may write to."
            ) from error

    def begin(self, settings: str) -> None:
        """Begin to make the home, anew where an earlier making was killed; the caller holds the lock.

        Raises Refused where another made one meanwhile.
        """
        self._refuse_home()
        self._remove_unfinished()
        self._draft_of_settings().write_text(settings)

    def finish(self) -> None:
        """Make the home one, as the last step of its making: before that, it is a folder to throw away."""
        self._draft_of_settings().replace(self.settings)

    def _refuse_home(self) -> None:
        """Raise Refused where there is a home, or what was one: of a making that was killed the draft is there."""
        began = self._draft_of_settings().exists()
        if self.settings.exists() or (not began and (self.data.exists() or self.database.exists())):
            raise Refused(
                f"{self.path} is a platform home already.", help="Choose another folder; nothing was changed."
            )

    def _remove_unfinished(self) -> None:
        """Throw away what an earlier, killed making left; nobody has used it, or it would be a home."""
        for folder in (self.data, self.log, self.keys):
            shutil.rmtree(folder, ignore_errors=True)
        for file in self.path.glob("thinmesh.db*"):
            file.unlink()

    def _draft_of_settings(self) -> Path:
        return self.run / "thinmesh.toml.new"

    def require(self) -> None:
        """Raise NotFound where this is no home."""
        if not self.settings.is_file():
            raise NotFound(
                f"{self.path} is not a platform home.", help="Make one: thinmesh init DIR, or name one with --home."
            )

    def lock(self, exclusive: bool, wait: float = WAIT_SECONDS) -> None:
        """Take the home's lock, shared or exclusive, until `unlock` or the end of the process.

        Raises Temporary where another process holds it for longer than `wait` seconds, or the home cannot be written.
        """
        try:
            self.run.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Temporary(
                f"{self.run} cannot be written: {error.strerror}.",
                help=f"Make it writable: {self.writable_again(self.run)}.",
            ) from error
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    os.close(descriptor)
                    raise Temporary(
                        f"Another process works on {self.path}.",
                        help="Wait until it is done, or stop it, and try again.",
                    ) from None
                time.sleep(_POLL_SECONDS)
        self._lock = descriptor

    def unlock(self) -> None:
        """Let go of the home."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def writable_again(self, path: Path) -> str:
        """Give the command that lets this OS user write to a file or folder (the nearest one above that is there)."""
        there = next(each for each in (path, *path.parents) if each.exists())
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            return f"mount -o remount,rw {shlex.quote(str(_mount_of(there)))}"
        return f"chmod -R u+rwX {shlex.quote(str(there))}"


def _mount_of(path: Path) -> Path:
    """Give where a path's file system is mounted; a bind mount is one too, and looks like a folder (proc(5))."""
    mounts: set[str] = set()
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        mounts = {line.split(" ")[4].replace("\\040", " ") for line in lines}
    return next(each for each in (path, *path.parents) if str(each) in mounts or each.is_mount())
