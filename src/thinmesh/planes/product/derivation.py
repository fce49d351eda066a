"""Derive the data file of a CSV on `main` again: the same rows under the same field ids."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.errors import Internal
from thinmesh.kernel.product import DataFile, Product
from thinmesh.kernel.progress import no_progress

from .backend import Backends
from .model import CheckJob, TableInput, Upload


class Derivation:
    """Makes Parquet of CSVs that were checked and published before."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def derive(self, product: Product, table: str, file: DataFile, folder: Path) -> Path:
        """Make the Parquet of one file in `folder`.

        Raises Internal where the CSV is gone, or gives other rows than the log tells of.
        """
        where = f"{product.name}.{table}"
        staging = folder / "staging"
        staging.mkdir()
        source = folder / f"{table}.csv"
        try:
            self._backends.data.copy(file.source or "", str(source))
        except KeyError as error:
            raise _impossible(where, "its CSV is not in data.git any more") from error
        shape = shape_of(product.tables[table].table)
        upload = Upload(f"{table}.csv", source)
        job = CheckJob((TableInput(table, shape, (upload,)),), staging, max_bytes=self._backends.max_bytes)
        result = self._backends.checker.check(job, no_progress)
        if not result.ok:
            raise _impossible(where, f"its CSV breaks the rule {result.violations[0].rule} of the contract in force")
        made = result.tables[0].files[0]
        if made.rows != file.rows:
            raise _impossible(where, f"its CSV gives {made.rows} rows, and {file.rows} were published")
        return made.path


def shape_of(table: Table) -> Table:
    """Give what decides how a CSV's values are read, without the rules they were held against when it was published."""
    return replace(
        table,
        columns=tuple(_column_shape(column) for column in table.columns),
        primary_key=(),
        unique=(),
        references=(),
        quality=(),
        inferred=False,
    )


def _column_shape(column: Column) -> Column:
    options = {"timezone": True} if column.zoned else {}
    return replace(column, required=False, unique=False, options=options, quality=())


def _impossible(where: str, why: str) -> Internal:
    return Internal(f"{where} cannot be derived again: {why}.", help="Restore a backup: thinmesh restore FILE.")
