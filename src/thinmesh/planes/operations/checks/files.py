"""The data files, and files that nobody names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from thinmesh.kernel.product import DataFile
from thinmesh.planes.operations.orphans import GRACE, orphans
from thinmesh.planes.operations.projections import digest
from thinmesh.planes.operations.superseded import KEPT

from .scene import RESTORE, Fault, Scene, warning


def data_files_whole(scene: Scene) -> Iterator[Fault]:
    """Require that every data file of a present table is there, with its size; deep: with its content."""
    with scene.backends.database.read() as tx:
        derived = scene.tools.store.derived(tx)
    for product in scene.products:
        for table, state in product.tables.items():
            for file in state.files:
                wrong = _fault_of(scene, file, derived.get(file.path))
                if wrong:
                    heal = "thinmesh rebuild data" if file.source else RESTORE
                    yield Fault(f"{product.name}.{table}: {file.path} {wrong}", heal)


def superseded_files_kept(scene: Scene) -> Iterator[Fault]:
    """Require that data files of publications are there that were superseded lately. Derived ones do not count."""
    present = {file.path for product in scene.products for state in product.tables.values() for file in state.files}
    since = scene.now - KEPT
    superseded = [scene.log.files[path] for path, at in scene.log.superseded.items() if at > since]
    lost = [file.path for file in superseded if file.path not in present and not file.source and _size(scene, file) < 0]
    if lost:
        yield warning(f"{len(lost)} data files of superseded publications are gone, such as {lost[0]}", RESTORE)


def no_orphan_files(scene: Scene) -> Iterator[Fault]:
    """Require that no data file lies in the lake that no publication names."""
    found = [orphan for orphan in orphans(scene.backends, scene.log.files) if orphan.age > 2 * GRACE]
    if found:
        size = sum(orphan.bytes for orphan in found)
        told = f"{len(found)} data files ({size} bytes), such as {found[0].path}, belong to no publication"
        yield warning(f"{told}; the oldest is {max(orphan.age for orphan in found).days} days old", "thinmesh up")


def _fault_of(scene: Scene, file: DataFile, derived: tuple[str, int] | None) -> str:
    size = _size(scene, file)
    if size < 0:
        return "is missing"
    if size not in (file.bytes, derived[1] if derived else file.bytes):
        return f"has {size} bytes, not {file.bytes}"
    expected = (file.sha256, derived[0] if derived else file.sha256)
    if scene.deep and digest(_path(scene, file)) not in expected:
        return "is damaged: its sha256 is not what the log says"
    return ""


def _size(scene: Scene, file: DataFile) -> int:
    """Give a file's size in bytes; -1 where it is missing."""
    try:
        return _path(scene, file).stat().st_size
    except OSError:
        return -1


def _path(scene: Scene, file: DataFile) -> Path:
    return scene.backends.location.path(file)
