"""Manifests: the lists of data files behind a snapshot.

A snapshot writes at most one manifest. Older ones are taken over as they are, except those that name a file which goes,
and the youngest ones once many of a size have gathered: the cost of an append grows with the logarithm of their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from pyiceberg.manifest import (
    DataFile,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    read_manifest_list,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema

from .files import LocalFiles

_CODEC: Final = "deflate"
# So many manifests of a size (1-15 files, 16-255, …) become one: few to list, and each entry is rewritten seldom.
_FAN = 16


@dataclass(frozen=True, slots=True)
class Change:
    """What a snapshot does: files that come and go, entries to write again for those that stay, manifests kept."""

    added: Sequence[DataFile]
    removed: Sequence[ManifestEntry] = ()
    rewritten: Sequence[ManifestEntry] = ()
    kept: Sequence[ManifestFile] = ()


def read_manifests(io: LocalFiles, manifest_list: str) -> list[ManifestFile]:
    """Read a snapshot's manifests that still name live files, youngest first."""
    return [one for one in read_manifest_list(io.new_input(manifest_list)) if _live(one)]


def read_through(io: LocalFiles, manifest_list: str) -> None:
    """Read every manifest behind a snapshot; raises whatever a missing or damaged one makes pyiceberg raise."""
    _entries(io, read_manifests(io, manifest_list))


def appending(io: LocalFiles, manifests: Sequence[ManifestFile], added: Sequence[DataFile]) -> Change:
    """Plan a snapshot to which files come and from which none goes."""
    merged = _gathered(manifests, len(added))
    return Change(added, (), _entries(io, merged), manifests[len(merged) :])


def replacing(
    io: LocalFiles, manifests: Sequence[ManifestFile], wanted: Iterable[str]
) -> tuple[Mapping[str, ManifestEntry], Change]:
    """Plan a snapshot of just the files at the locations `wanted`; give also the entries of those already there."""
    wanted = set(wanted)
    stay: dict[str, ManifestEntry] = {}
    removed: list[ManifestEntry] = []
    rewritten: list[ManifestEntry] = []
    kept = []
    for manifest in manifests:
        entries = _entries(io, [manifest])
        staying = [entry for entry in entries if entry.data_file.file_path in wanted]
        stay |= {entry.data_file.file_path: entry for entry in staying}
        if len(staying) == len(entries):
            kept.append(manifest)
        else:
            rewritten += staying
            removed += [entry for entry in entries if entry.data_file.file_path not in wanted]
    return stay, Change((), removed, rewritten, kept)


def write(io: LocalFiles, change: Change, schema: Schema, snapshot: int, location: str) -> list[ManifestFile]:
    """Write the manifest of a change, if it has one, and give all of the snapshot's."""
    if not (change.added or change.removed or change.rewritten):
        return list(change.kept)
    output = io.new_output(location)
    with write_manifest(2, UNPARTITIONED_PARTITION_SPEC, schema, output, snapshot, _CODEC) as writer:
        for file in change.added:
            writer.add(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, data_file=file))
        for entry in change.rewritten:
            writer.existing(entry)
        for entry in change.removed:
            writer.delete(entry)
    return [writer.to_manifest_file(), *change.kept]


def write_list(
    io: LocalFiles, manifests: list[ManifestFile], snapshot: int, parent: int | None, sequence: int, location: str
) -> None:
    """Write a snapshot's manifest list."""
    with write_manifest_list(2, io.new_output(location), snapshot, parent, sequence, _CODEC) as writer:
        writer.add_manifests(manifests)


def _entries(io: LocalFiles, manifests: Iterable[ManifestFile]) -> list[ManifestEntry]:
    return [entry for manifest in manifests for entry in manifest.fetch_manifest_entry(io)]


def _live(manifest: ManifestFile) -> int:
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)


def _gathered(manifests: Sequence[ManifestFile], added: int) -> Sequence[ManifestFile]:
    """Find the youngest manifests that the next one should take in, of its own size or smaller."""
    count, total = 0, added
    while True:
        alike = _alike(manifests[count:], _size(total))
        if len(alike) < _FAN - 1:
            return manifests[:count]
        count += len(alike)
        total += sum(_live(one) for one in alike)


def _alike(manifests: Sequence[ManifestFile], size: int) -> Sequence[ManifestFile]:
    return list(takewhile(lambda one: _size(_live(one)) <= size, manifests))


def _size(files: int) -> int:
    """Give the order of magnitude, to the base `_FAN`."""
    return (max(files, 1).bit_length() - 1) // (_FAN.bit_length() - 1)
