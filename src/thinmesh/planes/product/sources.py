"""The files of a table: what was handed in, what is there, and where each belongs on `main`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from thinmesh.kernel.errors import Refused, Violation
from thinmesh.kernel.names import RESERVED, fault_of_name, legal_table, nearest
from thinmesh.kernel.product import Product

from .backend import Backends
from .loading import Source, reread
from .model import Upload

FORMATS = (".csv", ".csv.gz", ".csv.zst", ".parquet")


def by_table(uploads: Sequence[Upload], known: Sequence[str] = ()) -> dict[str, list[Upload]]:
    """Group uploads by the table each belongs to: `<table>.<format>` or `<table>/<any>.csv`.

    Raises Refused with every file whose name says no table or no format we take.
    """
    found: dict[str, list[Upload]] = {}
    faults = []
    for upload in uploads:
        table, fault = _table_of(upload.name)
        if fault:
            near = nearest(table, known)
            hint = f"; did you mean {near}?" if near and near != legal_table(table) else ""
            faults.append(Violation(fault + hint, "file_name", file=upload.name))
        else:
            found.setdefault(table, []).append(upload)
    for table, files in found.items():
        names = [upload.name for upload in files]
        faults += [
            Violation(f"{name} is handed in twice", "file_name", file=name, table=table)
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
    if faults:
        raise Refused(
            "Some files do not say which table they are.",
            help=f"Name each file <table> and one of {' '.join(FORMATS)}; more files of a table: <table>/<part>.csv.",
            violations=faults,
        )
    return found


def _table_of(name: str) -> tuple[str, str | None]:
    parts = Path(name).parts
    folder, file = (parts[-2] if len(parts) > 1 else ""), (parts[-1] if parts else "")
    stem = file.partition(".")[0]
    if not file.lower().endswith(FORMATS):
        return stem, f"{file!r} is not a {', '.join(FORMATS)} file"
    table = folder or stem
    fault = fault_of_name(table, "table")
    legal = legal_table(stem)
    if fault and not folder and legal:
        ending = next(ending for ending in reversed(FORMATS) if file.lower().endswith(ending))
        why = f" ({stem} is reserved)" if stem in RESERVED else ""
        fault = f"{file!r} names no table{why}: call it {legal}{ending}"
    return table, fault


def is_plain_csv(upload: Upload) -> bool:
    """Tell whether a file can be committed as it is."""
    return upload.name.lower().endswith(".csv")


def digest(path: Path) -> str:
    """Give the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fits_git(backends: Backends, uploads: Sequence[Upload]) -> bool:
    """Tell whether files may be committed by their kind and size."""
    return all(is_plain_csv(upload) and upload.path.stat().st_size <= backends.max_file for upload in uploads)


def csv_paths(paths: Mapping[str, object], folder: str, table: str) -> list[str]:
    """List the CSVs of a table among paths on `main`, in row order: `t.csv`, or `t/*.csv` naturally sorted."""
    own = f"{folder}/{table}.csv"
    inside = [path for path in paths if path.startswith(f"{folder}/{table}/") and path.endswith(".csv")]
    return ([own] if own in paths else []) + sorted(inside, key=_natural)


def _natural(path: str) -> list[tuple[int, str]]:
    """Sort `p2` before `p10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


def present_sources(backends: Backends, current: Product, table: str, folder: Path) -> tuple[Source, ...]:
    """Hand in a table's present data once more: the CSVs they came from where these are known, else the Parquet.

    The CSVs are copied into `folder`. What an inferred table lacks was never a column of it: only a contract grows.
    """
    state = current.tables[table]
    again = (
        reread(backends, table, file, folder / f"{table}-{number}.csv", state.in_git)
        for number, file in enumerate(state.files)
    )
    return tuple(
        replace(source, upload=replace(source.upload, present=not state.table.inferred))
        for source in again
        if source.upload
    )
