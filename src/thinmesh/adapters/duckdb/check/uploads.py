"""Which table a file is for: the file's name up to the first dot, or its folder (INTERFACE, *CLI*)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from thinmesh.kernel.errors import Refused, Violation
from thinmesh.kernel.names import fault_of_name, nearest
from thinmesh.planes.product.model import Upload

CSV_ENDINGS = (".csv", ".csv.gz", ".csv.zst")
ENDINGS = (*CSV_ENDINGS, ".parquet")
_HELP = (
    "Name files <table>.csv, <table>.csv.gz, <table>.csv.zst or <table>.parquet, or put several in a folder <table>/."
)


def ending(name: str) -> str | None:
    """Give the ending of a data file's name that says its format, or nothing where it is none we take."""
    return next((known for known in sorted(ENDINGS, key=len, reverse=True) if name.lower().endswith(known)), None)


def table_of(name: str) -> str:
    """Give the table that a file's name stands for: `<table>.csv`, or `<table>/<any>.csv`."""
    path = PurePosixPath(name)
    return path.parent.name if path.parent.name else path.name.split(".", 1)[0]


def group_uploads(uploads: Iterable[Upload], known: Sequence[str] = ()) -> dict[str, tuple[Upload, ...]]:
    """Group files by the table they are for, in the order of their names within a table.

    `known` are the table names of the contract; with none, every legal name is taken. A file in a folder
    whose own name is no known table while the file's is (`data/weather.csv`) counts by its own name.
    Raises Refused with every wrong name.
    """
    found: dict[str, list[Upload]] = {}
    faults = []
    for upload in uploads:
        table = _choose(upload.name, known)
        fault = _fault(upload.name, table, known)
        if fault:
            faults.append(Violation(fault, "file_name", file=upload.name))
        found.setdefault(table, []).append(upload)
    faults += _twice(found)
    if faults:
        raise Refused("; ".join(fault.message for fault in faults), help=_HELP, violations=faults)
    return {table: tuple(files) for table, files in found.items()}


def _choose(name: str, known: Sequence[str]) -> str:
    folder, own = table_of(name), PurePosixPath(name).name.split(".", 1)[0]
    return own if folder not in known and own in known else folder


def _fault(name: str, table: str, known: Sequence[str]) -> str | None:
    if ending(name) is None:
        return f"{name}: not a .csv, .csv.gz, .csv.zst or .parquet file"
    if known and table not in known:
        near = nearest(table, known)
        hint = f"; did you mean {near!r}?" if near else f"; the tables are {', '.join(known)}"
        return f"{name}: there is no table {table!r}{hint}"
    fault = fault_of_name(table, "table")
    return f"{name}: {fault}" if fault else None


def _twice(found: dict[str, list[Upload]]) -> list[Violation]:
    faults = []
    for table, files in found.items():
        names = [file.name for file in files]
        for name in sorted({name for name in names if names.count(name) > 1}):
            faults.append(Violation(f"{name}: given twice for table {table!r}", "file_name", file=name, table=table))
        plain = [file.name for file in files if len(PurePosixPath(file.name).parts) == 1]
        if len(plain) > 1:
            message = f"several files for table {table!r}: {', '.join(plain)}"
            faults.append(Violation(message, "file_name", file=plain[0], table=table))
    return faults
