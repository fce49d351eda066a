"""Files of the person who calls: data files and the names they are sent under, and results written whole."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from thinmesh.kernel.errors import Malformed, Refused

ENDINGS = (".csv", ".csv.gz", ".csv.zst", ".parquet")


def parts_of(paths: Sequence[str | Path], product: str, tables: Collection[str] = ()) -> list[FilePart]:
    """Give each file the name that says its table: `<table>.csv`, or `<table>/<part>.csv` where several make one.

    A folder means all its data files, as one table of the folder's name. For a file in a folder the folder is only
    where it lies, unless a known table (or, before there are any, the product) bears the folder's name and none the
    file's. Raises Malformed for what is not there.
    """
    found: list[FilePart] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += [FilePart(f"{path.resolve().name}/{file.name}", file) for file in _inside(path)]
        elif path.is_file():
            found.append(FilePart(_name(path, product, tables), path))
        else:
            raise Malformed(f"There is no file {path}.", help="Name files that exist: <table>.csv and the like.")
    return found


@dataclass(frozen=True, slots=True)
class FilePart:
    """A data file: the name it is handed in under, and where it lies."""

    name: str
    path: Path


@contextmanager
def whole_file(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when it is whole; what is no plain file (a pipe) is written directly.

    `mode` are its permissions, less the umask. Raises Refused where it cannot be written.
    """
    import tempfile

    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}.", help="Choose another file.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        mask = os.umask(0)
        os.umask(mask)
        Path(draft).chmod(mode & ~mask)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _inside(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name.lower().endswith(ENDINGS))
    if not files:
        raise Malformed(f"{folder} holds no data file.", help=f"Data files end in {' '.join(ENDINGS)}.")
    return files


def _name(path: Path, product: str, tables: Collection[str]) -> str:
    stem, folder = path.name.partition(".")[0], path.absolute().parent.name
    known = tables or (product,)
    return f"{folder}/{path.name}" if stem not in known and folder in known else path.name
