"""Iceberg tables of the local warehouse: staged metadata, and what may be cleared away. Moves no pointer.

This is the one place that works below pyiceberg's catalog interface, which can only commit one table at a time
(DESIGN, *Publish to the warehouse*). pyiceberg is imported when it is needed: it takes 0.4 s.

Locations in Iceberg metadata are absolute (spec, *File System Operations*; readers resolve a relative one against their
own folder). A home that was moved therefore gets new tables: whatever lies outside `base` is never continued.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from thinmesh.kernel.contract import Table
from thinmesh.kernel.errors import NotFound, Temporary
from thinmesh.kernel.product import DataFile

from .locations import location_of, path_of


class IcebergTables:
    """Stages Iceberg tables beside their data files: `<root>/<product>/<table>/metadata/`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    @property
    def base(self) -> str:
        """Give what every location in this warehouse begins with."""
        return f"{location_of(self._root)}/"

    def stage(
        self,
        product: str,
        table: Table,
        files: Sequence[DataFile],
        previous: str | None,
        properties: Mapping[str, str],
        anew: bool = False,
    ) -> str:
        """Write a table's present state as Iceberg metadata and give its location; durable when this returns.

        `previous` is the location that the table's pointer holds now; it is given back where it says all this already.
        `properties` tell the publication in the snapshot's summary; empty where the table has no data yet. `anew` makes
        a new table behind the same name, whatever the old one says.

        Raises NotFound where a data file is missing or cannot be read under the contract, Temporary where the disk
        fails.
        """
        from .staging import Staging

        try:
            return Staging(self._root, product, table).stage(files, previous, properties, anew)
        except OSError as error:
            raise Temporary(f"The Iceberg metadata could not be written: {error.strerror or error}.") from error

    def told(self, location: str) -> Mapping[str, str]:
        """Give what the present snapshot at a location tells of its publication; nothing where there is no data yet.

        Raises NotFound where the metadata, or a manifest that it leads to, is missing or damaged.
        """
        from .files import LocalFiles
        from .manifests import read_through

        try:
            found: dict[str, Any] = json.loads(path_of(location).read_bytes())
            present = {one["snapshot-id"]: one for one in found.get("snapshots", ())}
            if not present:
                return {}
            snapshot = present[found["current-snapshot-id"]]
            read_through(LocalFiles(), snapshot["manifest-list"])
            return cast("Mapping[str, str]", snapshot["summary"])
        except Exception as error:  # there is no end to what a reader of damaged Avro raises
            raise NotFound(
                f"The Iceberg metadata at {location} is missing or damaged.",
                help="Run `thinmesh rebuild warehouse`; it is made again from the ledger.",
            ) from error

    def files(self, product: str, table: str, present: str | None, before: float) -> set[str]:
        """Give the data files, by path under the root, that the snapshots of a table lead to.

        Its snapshots are those of the metadata at `present`, and of what was written since `before` (seconds since
        1970). Raises NotFound where metadata is missing or damaged.
        """
        from .vacuum import files

        try:
            return files(self._root, product, table, present, before)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotFound(
                f"The Iceberg metadata of {product}.{table} is missing or damaged.",
                help="Run `thinmesh rebuild warehouse`; it is made again from the ledger.",
            ) from error

    def vacuum(self, present: Collection[str], before: float) -> int:
        """Remove metadata that no reader can need any more, and give the number of files.

        `present` are the locations of all pointers. Kept is what they lead to, and what the metadata written since
        `before` (seconds since 1970) led to; a query must have begun since. Raises Temporary where the disk fails.
        """
        from .vacuum import vacuum

        try:
            return vacuum(self._root, present, before)
        except OSError as error:
            raise Temporary(f"The Iceberg metadata could not be cleared: {error.strerror or error}.") from error
