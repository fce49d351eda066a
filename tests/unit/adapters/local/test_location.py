"""The local folder for data files is a `Location`; what is removed leaves nothing behind, and disturbs nobody."""

import threading

from thinmesh.adapters.local.location import LocalLocation
from thinmesh.conformance.location import LocationConformance
from thinmesh.planes.product.model import StagedFile


class TestLocalLocation(LocationConformance):
    def open(self, place):
        return LocalLocation(place / "lake")


def staged(folder, name="staged"):
    path = folder / name
    path.write_bytes(b"x")
    return StagedFile("t.csv", path, 1, 1, "0" * 64)


def test_removing_the_last_file_removes_its_empty_folders(tmp_path):
    location = LocalLocation(tmp_path / "lake")
    one, other = (location.put("p", "t", staged(tmp_path), "c") for _ in range(2))
    beside = location.put("p", "u", staged(tmp_path), "c")
    location.remove(one.path)
    assert location.paths() == {other.path, beside.path}
    location.remove(other.path)
    assert not (tmp_path / "lake/p/t").exists()
    location.remove(beside.path)
    location.remove(beside.path)
    assert list((tmp_path / "lake").iterdir()) == []


def test_storing_beside_removing_always_finds_its_folder(tmp_path):
    location = LocalLocation(tmp_path / "lake")
    faults = []

    def come_and_go(number):
        try:
            for _ in range(200):
                location.remove(location.put("p", "t", staged(tmp_path, f"staged{number}"), "c").path)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=come_and_go, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
