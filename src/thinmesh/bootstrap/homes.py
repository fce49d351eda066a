"""Homes: made, opened, restored."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thinmesh.adapters.local.home import Home
from thinmesh.adapters.sql.sqlite import WAIT
from thinmesh.kernel.clock import Clock, utc_now
from thinmesh.kernel.errors import Internal
from thinmesh.kernel.settings import load_settings, settings_file

from .platform import Platform
from .sandbox import QuerySandbox

if TYPE_CHECKING:
    from thinmesh.kernel.progress import Progress
    from thinmesh.planes.operations.model import Restored
    from thinmesh.planes.product.model import Checked, Upload


@dataclass(frozen=True, slots=True)
class NewHome:
    """What `init` made; the token is shown this once."""

    home: str
    admin_token: str


def init_home(path: Path) -> NewHome:
    """Make a platform home, with an administrator and their token. Raises Refused where there is one already."""
    from thinmesh.adapters.git.data import GitDataRepository
    from thinmesh.adapters.git.log import GitLogRepository
    from thinmesh.adapters.sql.schema import migrate

    home = Home(path)
    home.create()
    home.lock(exclusive=True)
    home.begin(settings_file())
    GitDataRepository.create(home.data)
    GitLogRepository.create(home.log)
    platform = Platform(home.path, load_settings(None, os.environ))
    try:
        migrate(platform.database)
        token = platform.identity.initialise().token
    finally:
        platform.close()
    home.finish()
    home.unlock()
    return NewHome(str(home.path), token)


def open_home(
    path: Path,
    *,
    mode: str = "write",
    clock: Clock = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
    patience: float = WAIT,
) -> Platform:
    """Open a home to `read` it (shared with other readers), to `write`, or to `serve` it (both alone).

    `patience` is how many seconds work waits for a program that holds the database.
    Raises NotFound where it is no home, Temporary where somebody else has it.
    """
    home = Home(path)
    home.require()
    _require_database(home)
    settings = load_settings(home.settings, os.environ)
    platform = Platform(home.path, settings, mode, clock, monotonic, patience)
    platform.layout.lock(exclusive=mode != "read", wait=10.0 if mode != "serve" else 0.0)
    try:
        _make_current(platform, mode)
    except BaseException:
        platform.close()
        raise
    return platform


def _require_database(home: Home) -> None:
    """Raise Internal where the database is gone: an empty one in its place would have no user, and hide the loss."""
    path = home.database
    if not path.is_file() or not path.stat().st_size:
        raise Internal(
            f"The home has no database: {path} is {'empty' if path.is_file() else 'missing'}.",
            help="Restore the newest backup into a new folder: thinmesh restore FILE DIR.",
        )


def _make_current(platform: Platform, mode: str) -> None:
    """Bring the database to this release, and finish what a crash cut off.

    Readers go on from the index where that cannot be finished: `doctor` must be able to say what is wrong.
    """
    from thinmesh.adapters.git.tips import newest_entry
    from thinmesh.adapters.sql.versions import is_current

    if not is_current(platform.database):
        from thinmesh.adapters.sql.schema import check_current, migrate

        (check_current if mode == "read" else migrate)(platform.database)
    with platform.database.read() as tx:
        behind = platform.index.cursor(tx)[0] != newest_entry(platform.layout.log)
    if mode == "serve":
        from thinmesh.planes.operations.maintenance import remove_unfinished

        platform.log.clear_locks()
        platform.data.clear_locks()
        remove_unfinished(platform)  # the home is ours alone: nobody works there
        shutil.rmtree(platform.scratch_of_queries, ignore_errors=True)
    try:
        if behind or mode == "serve":
            platform.ledger.recover()
    except Internal:
        if mode != "read":
            raise


def check_standalone(
    contract: bytes, uploads: Sequence[Upload], progress: Progress, *, file: str = "contract.yaml"
) -> Checked:
    """Check files against a contract document, which messages call `file`, without a platform."""
    from thinmesh.adapters.duckdb.check.checker import DuckdbChecker
    from thinmesh.planes.product.standalone import check

    return check(DuckdbChecker(), _sandbox_over, contract, uploads, progress, file=file)


@contextmanager
def _sandbox_over(folder: Path) -> Iterator[QuerySandbox]:
    """Open a sandbox that reads one folder, with the limits of a home that sets none."""
    from thinmesh.adapters.duckdb.query.engine import DuckdbEngine

    limits = load_settings(None, {}).query
    engine = DuckdbEngine(workers=1, memory=limits.memory, lake=folder, spare=0)
    try:
        yield QuerySandbox(engine, limits.timeout)
    finally:
        engine.close()


def restore_home(path: Path, backup: Path) -> Restored:
    """Make a home from a backup. Raises Refused where the folder is not empty, or the backup is damaged."""
    from thinmesh.adapters.git.care import GitRepositories
    from thinmesh.adapters.local.archive import TarZstd
    from thinmesh.planes.operations.restoration import Parts, restore

    return restore(backup, path, Parts(TarZstd(), GitRepositories(), _awaken))


def _awaken(path: Path, keys: bool) -> str | None:
    """Bring a restored home to life; make new keys where it has none, and give the new administrator's token."""
    from thinmesh.adapters.sql.schema import migrate

    platform = Platform(path, load_settings(Home(path).settings, os.environ))
    try:
        migrate(platform.database)
        platform.ledger.recover()
        with platform.database.write() as tx:
            # Its metadata files are derived, and in no backup.
            platform.warehouse.clear(tx)
        return None if keys else platform.identity.initialise().token
    finally:
        platform.close()
