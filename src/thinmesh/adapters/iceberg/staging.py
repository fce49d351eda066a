"""From a table's files to Iceberg metadata: schema, manifests, snapshot, and the document that a pointer names."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyiceberg.manifest import DataFile as IcebergFile
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.serializers import FromInputFile
from pyiceberg.table.metadata import TableMetadata, TableMetadataV2
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotSummaryCollector,
    Summary,
    update_snapshot_summaries,
)
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    RemovePropertiesUpdate,
    RemoveSchemasUpdate,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableUpdate,
    update_table_metadata,
)

from thinmesh.kernel.contract import Table
from thinmesh.kernel.durability import sync
from thinmesh.kernel.product import DataFile

from . import manifests
from .files import LocalFiles, make_folder
from .locations import location_of, path_of
from .manifests import Change
from .parquet import describe, full_columns
from .schemas import first_schema, next_schema

# What a table remembers: enough for a query that began some publications ago, and the same cost for ever.
_SNAPSHOTS = 10
_PROPERTIES = {
    "write.metadata.previous-versions-max": str(_SNAPSHOTS),
    # The data files are the ledger's: no engine may delete them.
    "gc.enabled": "false",
}
# Which files a snapshot is made of, in order: tells an append without reading manifests.
_FILES = "thinmesh.files"


class Staging:
    """Stages one table."""

    def __init__(self, root: Path, product: str, table: Table) -> None:
        self._root = root
        self._table = table
        self._folder = root / product / table.name
        self._io = LocalFiles()

    def stage(self, files: Sequence[DataFile], previous: str | None, properties: Mapping[str, str], anew: bool) -> str:
        """Write what is new and give the location of the table's metadata (`IcebergTables.stage`)."""
        if previous and not previous.startswith(f"{location_of(self._folder)}/"):
            previous = None  # of a home that was moved
        present = self._read(previous) if previous and not anew else None
        make_folder(self._folder / "metadata", self._root)
        staged = self._continued(present, files, previous, properties) if present else None
        if staged is None:
            staged = self._begun(files, previous, properties)
        if staged is present and previous:
            return previous
        location = self._new(f"{_version(previous):05d}-{uuid.uuid4()}.metadata.json")
        with self._io.new_output(location).create() as stream:
            stream.write(staged.model_dump_json(exclude_none=True).encode())
        sync(self._folder / "metadata")
        return location

    def _read(self, previous: str) -> TableMetadata | None:
        """Read the present metadata; nothing where it is gone or damaged: the table is begun anew."""
        try:
            return FromInputFile.table_metadata(self._io.new_input(previous))
        except (FileNotFoundError, ValueError):
            return None

    def _continued(
        self, present: TableMetadata, files: Sequence[DataFile], previous: str | None, properties: Mapping[str, str]
    ) -> TableMetadata | None:
        """Give the metadata after `present`: that itself where nothing is new, None where a new table is needed."""
        current = present.current_snapshot()
        summary = {**properties, _FILES: _fingerprint(files)}
        told = current.summary.additional_properties if current and current.summary else {}
        change = None
        if properties and any(told.get(name) != value for name, value in summary.items()):
            try:
                change = self._change(current, files)
            except FileNotFoundError:
                return None  # a manifest is gone
        coming = change.added if change else ()
        schema = next_schema(self._table, present.schema(), _full(coming) if coming else None)
        if schema is None:
            return None
        updates = [*_schema_updates(present.schema(), schema), *self._property_updates(present.properties)]
        if change:
            snapshot = self._snapshot(present, change, schema, summary)
            updates += [*_snapshot_updates(snapshot), *_expiry(present, snapshot)]
        return update_table_metadata(present, tuple(updates), metadata_location=previous) if updates else present

    def _begun(self, files: Sequence[DataFile], previous: str | None, properties: Mapping[str, str]) -> TableMetadata:
        """Give the metadata of a new table behind the same name."""
        added = [self._describe(file) for file in files] if properties else []
        schema = first_schema(self._table, _full(added) if added else None)
        fresh = self._fresh(schema)
        updates = [*self._property_updates({})]
        if properties:
            summary = {**properties, _FILES: _fingerprint(files)}
            snapshot = self._snapshot(fresh, Change(added), schema, summary)
            updates += _snapshot_updates(snapshot)
        # Naming the table before this one keeps its metadata from vacuum while a reader may be at it.
        return update_table_metadata(fresh, tuple(updates), metadata_location=previous)

    def _fresh(self, schema: Schema) -> TableMetadata:
        """Give the metadata of a table without data."""
        return TableMetadataV2.model_validate(
            {
                "location": location_of(self._folder),
                "last-column-id": max(self._table.last_id, schema.highest_field_id),
                "schemas": [schema],
                "current-schema-id": schema.schema_id,
                "partition-specs": [UNPARTITIONED_PARTITION_SPEC],
                "last-partition-id": UNPARTITIONED_PARTITION_SPEC.last_assigned_field_id,
                "sort-orders": [UNSORTED_SORT_ORDER],
            }
        )

    def _change(self, current: Snapshot | None, files: Sequence[DataFile]) -> Change:
        """Find out what comes and goes since a snapshot."""
        if current is None:
            return Change([self._describe(file) for file in files])
        present = manifests.read_manifests(self._io, current.manifest_list)
        told = current.summary.additional_properties if current.summary else {}
        count = int(told.get("total-data-files", "0"))
        if count <= len(files) and told.get(_FILES) == _fingerprint(files[:count]):
            return manifests.appending(self._io, present, [self._describe(file) for file in files[count:]])
        wanted = {location_of(self._root / file.path): file for file in files}
        stay, change = manifests.replacing(self._io, present, wanted)
        added = [self._describe(file) for location, file in wanted.items() if location not in stay]
        return Change(added, change.removed, change.rewritten, change.kept)

    def _describe(self, file: DataFile) -> IcebergFile:
        return describe(self._root / file.path, file.rows, self._table)

    def _snapshot(
        self, present: TableMetadata, change: Change, schema: Schema, properties: Mapping[str, str]
    ) -> Snapshot:
        """Write a snapshot's manifests and give the snapshot."""
        id = present.new_snapshot_id()
        parent = present.current_snapshot()
        parent_id = parent.snapshot_id if parent else None
        unique = uuid.uuid4()
        location = self._new(f"snap-{id}-{unique}.avro")
        listed = manifests.write(self._io, change, schema, id, self._new(f"{unique}-m0.avro"))
        sequence = present.next_sequence_number()
        manifests.write_list(self._io, listed, id, parent_id, sequence, location)
        return Snapshot.model_validate(
            {
                "snapshot-id": id,
                "parent-snapshot-id": parent_id,
                "sequence-number": sequence,
                # A clock that was set back must not bring the snapshots out of order.
                "timestamp-ms": max(int(time.time() * 1000), present.last_updated_ms if parent else 0),
                "manifest-list": location,
                "summary": _summary(change, parent, properties),
                "schema-id": schema.schema_id,
            }
        )

    def _property_updates(self, present: Mapping[str, str]) -> list[TableUpdate]:
        wanted = dict(_PROPERTIES)
        if self._table.description:
            wanted["comment"] = self._table.description
        changed = {name: value for name, value in wanted.items() if present.get(name) != value}
        gone = [name for name in present if name not in wanted]
        updates: list[TableUpdate] = [SetPropertiesUpdate(updates=changed)] if changed else []
        return [*updates, RemovePropertiesUpdate(removals=gone)] if gone else updates

    def _new(self, name: str) -> str:
        return location_of(self._folder / "metadata" / name)


def _fingerprint(files: Sequence[DataFile]) -> str:
    return hashlib.sha256("\n".join(file.path for file in files).encode()).hexdigest()


def _full(files: Sequence[IcebergFile]) -> set[int]:
    """Give the field ids without a null in any of the files."""
    return set.intersection(*(full_columns(file) for file in files))


def _version(previous: str | None) -> int:
    """Give the number that the name of the next metadata file begins with."""
    digits = path_of(previous).name.partition("-")[0] if previous else ""
    return int(digits) + 1 if digits.isdecimal() else 0


def _schema_updates(present: Schema, schema: Schema) -> list[TableUpdate]:
    if schema is present:
        return []
    return [AddSchemaUpdate(schema=schema), SetCurrentSchemaUpdate.model_validate({"schema-id": schema.schema_id})]


def _snapshot_updates(snapshot: Snapshot) -> list[TableUpdate]:
    branch = {"ref-name": MAIN_BRANCH, "type": SnapshotRefType.BRANCH, "snapshot-id": snapshot.snapshot_id}
    return [AddSnapshotUpdate(snapshot=snapshot), SetSnapshotRefUpdate.model_validate(branch)]


def _expiry(present: TableMetadata, snapshot: Snapshot) -> list[TableUpdate]:
    """Forget the oldest snapshots, and the schemas that only they had."""
    ordered = sorted(present.snapshots, key=lambda one: one.sequence_number or 0)
    expired, kept = ordered[: 1 - _SNAPSHOTS], [*ordered[1 - _SNAPSHOTS :], snapshot]
    if not expired:
        return []
    used = {one.schema_id for one in kept} | {present.current_schema_id}
    unused = [schema.schema_id for schema in present.schemas if schema.schema_id not in used]
    ids = [one.snapshot_id for one in expired]
    updates: list[TableUpdate] = [RemoveSnapshotsUpdate.model_validate({"snapshot-ids": ids})]
    return [*updates, RemoveSchemasUpdate.model_validate({"schema-ids": unused})] if unused else updates


def _summary(change: Change, parent: Snapshot | None, properties: Mapping[str, str]) -> Summary:
    collector = SnapshotSummaryCollector()
    for file in change.added:
        collector.metrics.add_file(file)
    for entry in change.removed:
        collector.metrics.remove_file(entry.data_file)
    operation = Operation.OVERWRITE if change.removed else Operation.APPEND
    summary = Summary(operation=operation, **collector.build(), **properties)
    return update_snapshot_summaries(summary, parent.summary if parent else None)
