"""Files of the local warehouse for pyiceberg: every one is on the disk when it is closed.

pyiceberg's own file systems are not used: they do not sync, take 0.3 s to import, and misread `#` in a path.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from pyiceberg.io import FileIO, InputFile, OutputFile

from thinmesh.kernel.durability import sync

from .locations import path_of


class LocalFiles(FileIO):  # type: ignore[misc,unused-ignore]
    """The local file system as pyiceberg wants it."""

    def new_input(self, location: str) -> LocalFile:
        """Name a file to read."""
        return LocalFile(location)

    def new_output(self, location: str) -> LocalFile:
        """Name a file to write."""
        return LocalFile(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Remove a file."""
        path_of(location if isinstance(location, str) else location.location).unlink()


class LocalFile(InputFile, OutputFile):  # type: ignore[misc,unused-ignore]
    """One file, to read or to write."""

    def __len__(self) -> int:
        return path_of(self.location).stat().st_size

    def exists(self) -> bool:
        """Tell whether it is there."""
        return path_of(self.location).is_file()

    def open(self, seekable: bool = True) -> io.BytesIO:  # noqa: ARG002
        """Read it whole: metadata is small, and everything in it is needed."""
        return io.BytesIO(path_of(self.location).read_bytes())

    def create(self, overwrite: bool = False) -> Durable:  # noqa: ARG002
        """Begin to write it. It is never written over: its name is new."""
        return Durable(path_of(self.location))

    def to_input_file(self) -> LocalFile:
        """Give the same file, to read."""
        return self


class Durable(io.BufferedWriter):
    """A new file that is on the disk once closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "xb"))

    def close(self) -> None:
        """Bring it to the disk."""
        try:
            if not self.closed:
                self.flush()
                os.fsync(self.fileno())
        finally:
            super().close()


def make_folder(folder: Path, root: Path) -> None:
    """Make a folder under `root` so that it survives power loss."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    while folder != root:
        folder = folder.parent
        sync(folder)
