"""The default location of data files: a folder of this machine."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from thinmesh.kernel.durability import sync
from thinmesh.kernel.errors import NotFound, Temporary
from thinmesh.kernel.product import DataFile
from thinmesh.planes.product.model import StagedFile

# Hardly twice in a row somebody removes a folder at the same moment.
_ATTEMPTS = 20


class LocalLocation:
    """Keeps `<product>/<table>/<random>.parquet` under one folder. Files are written once and never changed."""

    kind = "local"

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, product: str, table: str, staged: StagedFile, content: str, source: str | None = None) -> DataFile:
        """Take over a staged file, durably, under a path never used before; the staged file is gone after."""
        path = f"{product}/{table}/{secrets.token_hex(12)}.parquet"
        self._take_over(staged.path, self._root / path)
        return DataFile(path, staged.sha256, staged.rows, staged.bytes, content, source)

    def local(self, file: DataFile) -> Path:
        """Give a local path to read the file at. Raises NotFound where the file is missing."""
        path = self._root / file.path
        if not path.is_file():
            raise NotFound(f"The data file {file.path} is missing.", help="Run `thinmesh doctor`.")
        return path

    def put_back(self, file: DataFile, made: Path) -> None:
        """Put a file that was derived again where the log says it lies, durably; what is there is replaced."""
        self._take_over(made, self._root / file.path)

    def path(self, file: DataFile) -> Path:
        """Give the local path of a file, whether it is there or not."""
        return self._root / file.path

    def missing(self, file: DataFile) -> bool:
        """Tell whether the file is absent or has another size than the manifest says."""
        try:
            return (self._root / file.path).stat().st_size != file.bytes
        except OSError:
            return True

    def paths(self) -> set[str]:
        """List every data file, for vacuum and doctor."""
        return {str(path.relative_to(self._root)) for path in self._root.glob("*/*/*.parquet")}

    def remove(self, path: str) -> None:
        """Remove a data file that no publication names, and the folders that it leaves empty."""
        target = self._root / path
        target.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another file is in it
            for folder in (target.parent, target.parent.parent):
                folder.rmdir()

    def _take_over(self, made: Path, target: Path) -> None:
        """Move a file to its place, durably."""
        try:
            sync(made)
            new = _place(made, target)
            sync(target.parent)
            if new:
                for folder in target.relative_to(self._root).parents[1:]:
                    sync(self._root / folder)
        except OSError as error:
            raise Temporary(f"The data could not be stored: {error.strerror}.") from error


def _place(made: Path, target: Path) -> bool:
    """Move a file into its folder, which is made where it is not there; tell whether it was not."""
    new = False
    for left in reversed(range(_ATTEMPTS)):
        new = new or not target.parent.is_dir()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.replace(target)
            break
        except (FileNotFoundError, FileExistsError):
            # `remove` may take an empty folder away before the file is in it, or while `mkdir` looks at it.
            if not left:
                raise
    return new
