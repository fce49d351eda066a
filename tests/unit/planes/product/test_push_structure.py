import pytest

from thinmesh.adapters.duckdb.check.checker import DuckdbChecker
from thinmesh.kernel.errors import Refused
from thinmesh.kernel.repository import File
from thinmesh.planes.product.model import CheckJob, TableInput, Upload
from thinmesh.planes.product.push import Edit, PushedChange, PushedEntry, folder_of
from thinmesh.planes.product.push_structure import folder_faults, rights_faults, structural_faults
from thinmesh.planes.product.pushing import within

MAX_FILE = 50_000_000


def change_of(before, after):
    """A push of one commit, from one state of the repository to another."""
    net = {
        path: Edit(before.get(path), after.get(path))
        for path in {*before, *after}
        if before.get(path) != after.get(path)
    }
    folders = {folder_of(path) for path in net} - {""}

    def inside(files, folder):
        return {path: file for path, file in files.items() if folder_of(path) == folder}

    return PushedChange(
        base="b",
        tip="c",
        touched=dict.fromkeys(net, "c0ffee"),
        entries=tuple(PushedEntry(path, "c", edit.new) for path, edit in net.items() if edit.new),
        net=net,
        before={folder: inside(before, folder) for folder in folders},
        after={folder: inside(after, folder) for folder in folders},
    )


def files(*paths, size=10, mode=0o100644):
    return {path: File(f"id of {path.rpartition('/')[2]}", size, mode) for path in paths}


def rules(before, after):
    return [(fault.file, fault.rule) for fault in structural_faults(change_of(before, after), MAX_FILE)]


def test_a_new_product_is_fine():
    assert rules({}, files("d/p/product.json", "d/p/t.csv", "d/p/u/1.csv", "d/p/README.md")) == []


def test_files_that_are_no_tables_are_small_and_tables_fit_the_limit():
    assert rules({}, files("d/p/t.csv", size=MAX_FILE)) == []
    assert rules({}, files("d/p/t.csv", size=MAX_FILE + 1)) == [("d/p/t.csv", "max_file")]
    for name in ("README.md", "product.json", "contract.yaml", "notes.txt", "pictures/map.png"):
        assert rules({}, files(f"d/p/{name}", size=1024 * 1024)) == []
        assert rules({}, files(f"d/p/{name}", size=1024 * 1024 + 1)) == [(f"d/p/{name}", "max_file")]


def test_only_plain_files_are_taken():
    assert rules({}, files("d/p/t.csv", mode=0o100755)) == []
    assert rules({}, files("d/p/t.csv", mode=0o120000)) == [("d/p/t.csv", "symlink")]
    assert rules({}, files("d/p/t", mode=0o160000)) == [("d/p/t", "submodule")]
    assert rules({}, files("README.md", mode=0o120000)) == [("README.md", "symlink"), ("README.md", "server_file")]


def test_what_is_there_may_change_and_other_files_may_go():
    before = files("d/p/product.json", "d/p/t.csv", "d/p/notes.txt")
    assert rules(before, {**before, **{"d/p/t.csv": File("other", 5)}}) == []
    assert rules(before, files("d/p/product.json", "d/p/t.csv")) == []


def test_a_table_stays_while_it_has_a_file():
    before = files("d/p/t/1.csv", "d/p/t/2.csv")
    assert rules(before, files("d/p/t/1.csv")) == []
    assert rules(before, files("d/p/t.csv")) == []
    assert rules(before, files("d/p/u.csv")) == [("d/p/t/1.csv", "deleted"), ("d/p/t/2.csv", "deleted")]


def test_a_product_is_not_deleted_or_moved():
    before = files("d/p/product.json", "d/p/t.csv")
    assert rules(before, files("d/p/t.csv")) == [("d/p/product.json", "deleted")]
    assert rules(before, {}) == [("d/p", "deleted")]
    assert rules(before, files("e/p/product.json", "e/p/t.csv")) == [("d/p", "moved")]


def test_other_folders_are_not_judged():
    before = files("d/p/t.csv", "d/q/t.csv", "d/q/t/old.csv")
    assert rules(before, {**before, **files("d/p/u.csv")}) == []


def test_the_servers_files_are_the_servers():
    before = files("README.md", "data_catalog.csv")
    assert rules(before, {"README.md": File("mine", 3), "data_catalog.csv": before["data_catalog.csv"]}) == [
        ("README.md", "server_file")
    ]
    assert rules(before, files("README.md")) == [("data_catalog.csv", "server_file")]


def test_a_folder_is_judged_after_a_merge_too():
    assert folder_faults(["d/p/t.csv", "d/p/u/1.csv", "d/p/README.md"]) == []
    assert [fault.rule for fault in folder_faults(["d/p/t.csv", "d/p/t/1.csv"])] == ["two_forms"]
    assert [fault.rule for fault in folder_faults(["d/p/notes", "d/p/Notes"])] == ["twin"]
    assert [fault.rule for fault in folder_faults(["d/p/t/a.csv", "d/p/t/A.csv", "d/q/t/b.csv"])] == ["twin"]


def test_rights_are_asked_for_every_touched_folder_once():
    change = PushedChange("b", "c", touched={"d/p/t.csv": "1" * 40, "d/q/x": "2" * 40, "d/p/a": "3" * 40, "top": "4"})
    asked = []

    def refusal(folder, paths):
        asked.append((folder, tuple(paths)))
        return "d/q belongs to others." if folder == "d/q" else None

    found = rights_faults(change, refusal)
    assert asked == [("d/p", ("d/p/a", "d/p/t.csv")), ("d/q", ("d/q/x",))]
    assert [(fault.file, fault.message) for fault in found] == [("d/q", "d/q belongs to others. (commit 222222222222)")]


def test_a_push_is_checked_for_its_time_and_no_longer(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    job = CheckJob(tables=(TableInput("t", None, (Upload("t.csv", path),)),))
    assert DuckdbChecker().check(job, within(60.0)).ok
    with pytest.raises(Refused, match="use `thinmesh publish`"):
        DuckdbChecker().check(job, within(-1.0))
