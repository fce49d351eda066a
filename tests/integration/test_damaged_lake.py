"""Data files and Iceberg metadata that are missing, cut short or scrawled over: doctor names one command that heals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pyiceberg.table import StaticTable

from tests.integration.keeping import Kept, made_home, picture, restored
from thinmesh.adapters.sql.pointers import SqlPointers
from thinmesh.kernel.errors import MeshError
from thinmesh.planes.operations.operations import Operations

WAREHOUSE, DATA, RESTORE = "thinmesh rebuild warehouse", "thinmesh rebuild data", "thinmesh restore FILE"


class Lake(Kept):
    """A kept home with its warehouse."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self.operations = Operations(self.platform, self.platform.tools)

    def pointed(self, name) -> str:
        """Give where the pointer of a product's table `t` leads."""
        with self.platform.database.read() as tx:
            return SqlPointers().all_locations(tx)[name]["t"]

    def metadata(self, name, part) -> Path:
        """Give one of the files that a pointer leads to."""
        document = Path(self.pointed(name).removeprefix("file://"))
        found = json.loads(document.read_bytes())
        if part == "document":
            return document
        listed = Path(found["snapshots"][-1]["manifest-list"].removeprefix("file://"))
        if part == "list":
            return listed
        return max(document.parent.glob("*-m0.avro"), key=lambda path: path.stat().st_mtime_ns)

    def other_engine(self, name) -> int:
        """Count the rows that a reader of Iceberg finds."""
        return StaticTable.from_metadata(self.pointed(name)).scan().to_arrow().num_rows

    def query(self, name) -> bytes:
        """Read everything of a table by SQL."""
        with_all = self.platform.queries.run(self.admin, f"SELECT * FROM {name}.t ORDER BY 1")
        return b"".join(with_all.chunks())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A home with a warehouse, its backup, and what it holds."""
    folder = tmp_path_factory.mktemp("lake")
    made_home(folder / "home").close()
    lake = Lake(folder / "home")
    lake.operations.rebuild(lake.admin, "warehouse")
    lake.operations.backup(lake.admin, folder / "backup", with_keys=True)
    assert lake.broken(deep=True) == {}
    before = picture(lake)
    lake.close()
    return folder, before


@pytest.fixture
def lake(world, tmp_path):
    # Iceberg metadata names absolute paths: the copy gets its own.
    shutil.copytree(world[0] / "home", tmp_path / "home")
    lake = Lake(tmp_path / "home")
    lake.operations.rebuild(lake.admin, "warehouse")
    yield lake
    lake.close()


def scrawled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle - 20 : middle + 20] = b"\xff" * 40
    path.write_bytes(content)


HARMS = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "scrawled": scrawled,
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("part", ["document", "list", "manifest"])
def test_damaged_iceberg_metadata_is_named_and_made_again(lake, world, part, harm, record_property):
    HARMS[harm](lake.metadata("orders", part))
    assert lake.broken() == {"projections_follow": WAREHOUSE}
    lake.operations.rebuild(lake.admin, "warehouse")
    assert lake.broken(deep=True) == {}
    assert lake.other_engine("orders") == 3
    assert picture(lake) == world[1]
    record_property("held", ("broken homes", 1, 1))


@pytest.mark.parametrize("part", ["document", "list", "manifest"])
def test_a_publication_after_the_damage_is_kept_and_told(lake, part, record_property):
    HARMS["cut"](lake.metadata("orders", part))
    lake.publish("orders", "id,name\n4,d\n5,e\n")
    lake.platform.warehouse.follow()
    if lake.broken():
        assert lake.broken() == {"projections_follow": WAREHOUSE}
        lake.operations.rebuild(lake.admin, "warehouse")
    assert lake.broken(deep=True) == {}
    assert lake.other_engine("orders") == 2
    record_property("held", ("broken homes", 1, 1))


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize(("name", "heals"), [("orders", DATA), ("people", RESTORE)])
def test_a_damaged_data_file_is_told_to_who_reads_it_and_healed(
    lake, world, name, heals, harm, tmp_path, record_property
):
    file = lake.files(name)[0]
    HARMS[harm](file)
    if name == "orders":
        with pytest.raises(MeshError) as raised:
            lake.query(name)
        assert "\n" not in raised.value.detail
        assert str(tmp_path) not in raised.value.detail
    assert lake.broken(deep=True)["data_files_whole"] == heals
    if heals == DATA:
        lake.operations.rebuild(lake.admin, "data")
        assert json.loads(lake.query(name))["row_count"] == 3
    else:
        lake.close()
        restored(world[0] / "backup", tmp_path / "restored")
        lake.__init__(tmp_path / "restored")
        lake.operations.rebuild(lake.admin, "warehouse")
    assert lake.broken(deep=True) == {}
    assert picture(lake) == world[1]
    record_property("held", ("broken homes", 1, 1))
