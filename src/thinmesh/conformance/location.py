"""What every `Location` (planes/product/backend.py) must do. Subclass it in a test module and say how one is opened.

    class TestLocal(LocationConformance):
        def open(self, place):
            return LocalLocation(place / "lake")

Every method starting with `test_` is run by pytest, with an empty folder as `tmp_path`.
"""
# ruff: noqa: S101

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from thinmesh.kernel.errors import NotFound
from thinmesh.kernel.product import DataFile
from thinmesh.planes.product.backend import Location
from thinmesh.planes.product.model import StagedFile


class LocationConformance:
    """The suite. `open` is called again on the same place where a location must outlive its process."""

    def open(self, place: Path) -> Location:
        """Open the location kept at a place (a folder), made where there is none."""
        raise NotImplementedError

    def test_a_file_is_taken_over_whole_and_read_back(self, tmp_path: Path) -> None:
        """The staged file is gone, the manifest says what was staged, and the bytes are the same."""
        location = self.open(tmp_path)
        staged = _staged(tmp_path, b"some rows")
        file = location.put("orders", "t", staged, "c0ffee", "b10b")
        assert not staged.path.exists()
        assert (file.sha256, file.rows, file.bytes) == (staged.sha256, 7, 9)
        assert (file.content, file.source) == ("c0ffee", "b10b")
        assert location.local(file).read_bytes() == b"some rows"
        assert not location.missing(file)

    def test_no_path_is_used_twice(self, tmp_path: Path) -> None:
        """Not for the same content of the same table either, and not by writers side by side."""
        location = self.open(tmp_path)
        staged = [_staged(tmp_path, b"same", f"s{number}") for number in range(20)]
        with ThreadPoolExecutor(8) as pool:
            files = list(pool.map(lambda each: location.put("orders", "t", each, "c"), staged))
        assert len({file.path for file in files}) == 20
        assert location.paths() == {file.path for file in files}

    def test_another_process_finds_what_was_stored(self, tmp_path: Path) -> None:
        """A manifest alone leads to the file."""
        file = self.open(tmp_path).put("orders", "t", _staged(tmp_path, b"rows"), "c")
        later = self.open(tmp_path)
        assert later.local(file).read_bytes() == b"rows"
        assert later.paths() == {file.path}

    def test_what_is_not_there_is_told_and_not_made(self, tmp_path: Path) -> None:
        """Also where there is something of another size."""
        location = self.open(tmp_path)
        file = location.put("orders", "t", _staged(tmp_path, b"rows"), "c")
        stranger = DataFile("orders/t/none.parquet", file.sha256, 1, 4, "c", None)
        assert location.missing(stranger)
        assert _not_found(lambda: location.local(stranger))
        assert location.missing(DataFile(file.path, file.sha256, file.rows, 5, "c", None))

    def test_what_is_removed_is_gone_and_the_rest_stays(self, tmp_path: Path) -> None:
        """Removing twice does no harm."""
        location = self.open(tmp_path)
        one, other = (location.put("orders", "t", _staged(tmp_path, text), "c") for text in (b"one", b"other"))
        for _ in range(2):
            location.remove(one.path)
        assert location.missing(one)
        assert location.paths() == {other.path}
        assert location.local(other).read_bytes() == b"other"


def _not_found(call: Callable[[], object]) -> bool:
    try:
        call()
    except NotFound:
        return True
    return False


def _staged(place: Path, content: bytes, name: str = "staged") -> StagedFile:
    path = place / f"{name}.parquet"
    path.write_bytes(content)
    return StagedFile("t.csv", path, hashlib.sha256(content).hexdigest(), 7, len(content))
