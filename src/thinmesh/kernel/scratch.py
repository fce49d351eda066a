"""Folders of the home for what is in the making."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import Temporary


def make_folder(parent: Path, prefix: str = "") -> Path:
    """Make a folder of one's own in a folder of the home; the caller takes it away. Raises Temporary."""
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    except OSError as error:
        raise Temporary(
            f"The home's folder {parent.name} cannot be written: {error.strerror}.",
            help="See that its disk has room and works, then try again; nothing was changed.",
        ) from error


@contextmanager
def scratch_folder(parent: Path, prefix: str = "") -> Iterator[Path]:
    """Make a folder for files in the making, gone at the end whatever happens. Raises Temporary where none can be."""
    folder = make_folder(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
