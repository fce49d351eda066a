"""The home itself: settings, database, keys, people, hooks, walls, locks, clock, disk."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from thinmesh.kernel.errors import MeshError
from thinmesh.planes.operations.maintenance import unfinished

from .scene import RESTORE, Fault, Scene, warning

_LOCK_SECONDS = 60.0
_SKEW = timedelta(minutes=5)
# Below these a publication of ordinary size may not fit; below the second nothing does.
_LITTLE, _NOTHING = 1 << 30, 64 << 20
_STAGING_SECONDS = 86_400.0


def settings_readable(scene: Scene) -> Iterator[Fault]:
    """Require that thinmesh.toml can be read, and says nothing that we do not know."""
    try:
        scene.tools.settings()
    except MeshError as error:
        yield Fault(error.detail, f"edit {scene.backends.layout.settings}")


def database_whole(scene: Scene) -> Iterator[Fault]:
    """Require that the database's own structure is sound."""
    for line in scene.backends.database.faults():
        yield Fault(f"thinmesh.db: {line}", RESTORE)


def audit_unbroken(scene: Scene) -> Iterator[Fault]:
    """Require that no entry of the audit was edited or removed."""
    broken = scene.backends.audit.broken_at()
    if broken is not None:
        yield Fault(f"the audit was changed at entry {broken}", RESTORE)


def home_writable(scene: Scene) -> Iterator[Fault]:
    """Require that this OS user may write to every part of the home, and its disk is mounted for writing."""
    layout = scene.backends.layout
    for path in (layout.path, layout.data, layout.log, layout.lake, layout.run, layout.database):
        if path.exists() and not os.access(path, os.W_OK):
            yield Fault(f"{path} cannot be written; changes will be refused", layout.writable_again(path))


def keys_private(scene: Scene) -> Iterator[Fault]:
    """Require that the signing key is there, and only the home's owner can read it, the database and the home."""
    layout = scene.backends.layout
    if not any(layout.keys.glob("*.pem")):
        yield Fault(f"there is no signing key in {layout.keys}: no token is valid", RESTORE)
    private = [layout.keys, *layout.keys.glob("*"), layout.database, *layout.settings.parent.glob("thinmesh.db-*")]
    for path in private:
        mode = _mode(path)
        if mode & 0o077:
            right = "700" if path.is_dir() else "600"
            yield Fault(f"{path} can be read by others (mode {mode:o}, not {right})", f"chmod {right} {path}")
    if _mode(layout.path) & 0o007:
        yield warning(f"other users of this machine can look into {layout.path}", f"chmod 700 {layout.path}")


def somebody_administers(scene: Scene) -> Iterator[Fault]:
    """Require that there is an administrator."""
    with scene.backends.database.read() as tx:
        if not scene.tools.store.administrators(tx):
            yield Fault("there is no administrator", "thinmesh user add NAME --admin (on the home)")


def owners_exist(scene: Scene) -> Iterator[Fault]:
    """Require that every product's owner is a team that exists."""
    with scene.backends.database.read() as tx:
        missing = scene.tools.store.ownerless(tx)
    for product, owner in missing:
        yield Fault(f"{product} belongs to the team {owner}, which does not exist", f"thinmesh team create {owner}")


def hooks_in_force(scene: Scene) -> Iterator[Fault]:
    """Require that, while the git door is open, its hooks are ours, and git runs them."""
    try:
        if scene.tools.hooks:
            scene.tools.hooks()
    except MeshError as error:
        yield Fault(error.detail, "thinmesh up")


def queries_sandboxed(scene: Scene) -> Iterator[Fault]:
    """Require that the walls around query workers stand."""
    for wall, state in dict(scene.tools.engine().get("sandbox", {})).items():
        if not str(state).startswith("on"):
            yield warning(f"the wall {wall} around query workers is not up: {state}")


def no_stale_locks(scene: Scene) -> Iterator[Fault]:
    """Require that no lock file or half-made file of a killed process is left."""
    for care in (scene.tools.data_care, scene.tools.log_care):
        for path in care.stale_locks(_LOCK_SECONDS):
            yield Fault(f"{path} was left by a process that is gone", f"rm {path}")
    left = [path for path in unfinished(scene.backends) if _age(path) > _STAGING_SECONDS]
    if left:
        yield warning(f"{len(left)} folders of unfinished work are in {scene.backends.layout.run}", "thinmesh up")


def clock_sane(scene: Scene) -> Iterator[Fault]:
    """Require that no entry of the log is from the future."""
    newest = scene.log.newest_time
    if newest and newest > scene.now + _SKEW:
        yield warning(f"the log has an entry of {newest.isoformat()}, and this machine's clock is behind that", "date")


def disk_has_room(scene: Scene) -> Iterator[Fault]:
    """Require that the home's disk has room."""
    free = shutil.disk_usage(scene.backends.layout.path).free
    if free < _NOTHING:
        yield Fault(f"the disk of the home has only {free} bytes free; changes will be refused", "df -h")
    elif free < _LITTLE:
        yield warning(f"the disk of the home has only {free} bytes free", "df -h")


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
