"""Stock git clients against the door: what is accepted, merged and refused."""

import re
import threading

import pytest

from tests.integration.git_mesh import Mesh, git


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    mesh = Mesh(tmp_path_factory.mktemp("mesh"))
    yield mesh
    mesh.stop()


@pytest.fixture
def mesh(tmp_path):
    mesh = Mesh(tmp_path)
    yield mesh
    mesh.stop()


@pytest.fixture
def clone(shared, request):
    """A fresh clone of the shared mesh, as a user who owns nothing there yet."""
    return shared.clone(request.node.name.replace("[", "-").replace("/", "-").rstrip("]")[:60])


FOR_MAIN = ("-c", "remote.origin.push=HEAD:refs/for/main")


def test_a_clone_shows_the_servers_files(clone):
    assert (clone.path / "README.md").read_text().startswith("# Data products")
    assert (clone.path / "data_catalog.csv").read_text() == "name,domain,owner,description,tables,access\n"


def test_push_to_main_moves_main(shared, clone):
    head = clone.write("d/pushed/t.csv", "a\n1\n").commit()
    clone.push("origin", "main")
    assert shared.data.tip() == head
    assert clone.head("origin/main") == head


def test_push_for_main_without_others_is_main_itself(mesh):
    clone = mesh.clone("clone", *FOR_MAIN)
    head = clone.write("d/p/t.csv", "a\n1\n").commit()
    clone.push()
    assert mesh.data.tip() == head
    assert clone.head("origin/main") == head
    assert "up to date" in clone.git("pull", "--ff-only").stdout.lower()


def test_push_for_main_is_merged_and_pull_fast_forwards(mesh):
    mine, theirs = mesh.clone("mine", *FOR_MAIN), mesh.clone("theirs", *FOR_MAIN)
    theirs.write("d/theirs/t.csv", "a\n1\n").commit()
    theirs.push()
    head = mine.write("d/mine/t.csv", "a\n2\n").commit()
    said = mine.push()
    assert "git pull" in said
    assert "error" not in said
    mine.git("pull", "--ff-only")
    assert mine.head() == mesh.data.tip() != head
    assert mine.head("HEAD^2") == head
    assert (mine.path / "d/theirs/t.csv").exists()
    again = mine.write("d/mine/t.csv", "a\n3\n").commit()
    mine.push()
    assert mesh.data.tip() == again


def test_a_push_behind_main_sends_only_what_is_new(mesh):
    """A clone that has not the commit that main is at is told which older ones the server has."""
    mine, theirs = mesh.clone("mine", *FOR_MAIN), mesh.clone("theirs", *FOR_MAIN)
    for turn in range(40):
        theirs.write("d/theirs/t.csv", f"a\n{turn}\n").commit()
        theirs.push()
        if turn in (1, 38):
            mine.git("pull")
        if turn in (1, 2, 38, 39):
            mine.write("d/mine/t.csv", f"a\n{turn}\n").commit()
            said = mine.push("--progress")
            # A commit, three folders and a file at the most.
            assert int(re.findall(r"Total (\d+) \(", said)[0]) <= 5, said
            mine.git("pull")


def test_pushes_on_from_where_the_clone_is_without_pulling(mesh):
    mine, theirs = mesh.clone("mine", *FOR_MAIN), mesh.clone("theirs", *FOR_MAIN)
    theirs.write("d/theirs/t.csv", "a\n1\n").commit()
    theirs.push()
    for turn in range(3):
        mine.write("d/mine/t.csv", f"a\n{turn}\n").commit()
        mine.push()
    files = mesh.data.files(mesh.data.tip(), "d")
    assert mesh.data.read(files["d/mine/t.csv"].id) == b"a\n2\n"
    assert "d/theirs/t.csv" in files


def test_one_file_changed_on_both_sides_is_refused_and_can_be_settled(mesh):
    mine, theirs = mesh.clone("mine", *FOR_MAIN), mesh.clone("theirs", *FOR_MAIN)
    theirs.write("d/p/t.csv", "a\n1\n").commit()
    theirs.push()
    tip = mesh.data.tip()
    mine.write("d/p/t.csv", "a\n2\n").commit()
    said = mine.push(fails=True)
    assert "refused: d/p/t.csv: this file also changed on main" in said
    assert "run git pull --no-rebase, settle it, and push again" in said
    assert mesh.data.tip() == tip
    assert "CONFLICT" in mine.git("pull", "--no-rebase", check=False).stdout
    mine.git("checkout", "--ours", "d/p/t.csv")
    mine.commit("Settle")
    mine.push()
    assert mesh.data.read(mesh.data.file(mesh.data.tip(), "d/p/t.csv").id) == b"a\n2\n"


def test_two_files_of_one_product_are_merged(mesh):
    mine, theirs = mesh.clone("mine", *FOR_MAIN), mesh.clone("theirs", *FOR_MAIN)
    theirs.write("d/p/one.csv", "a\n1\n").commit()
    theirs.push()
    mine.write("d/p/two.csv", "a\n2\n").commit()
    mine.push()
    assert {"d/p/one.csv", "d/p/two.csv"} <= set(mesh.data.files(mesh.data.tip()))


def test_a_merge_cannot_make_two_forms_of_one_table(mesh):
    mine, theirs = mesh.clone("mine", *FOR_MAIN), mesh.clone("theirs", *FOR_MAIN)
    theirs.write("d/p/t/one.csv", "a\n1\n").commit()
    theirs.push()
    mine.write("d/p/t.csv", "a\n2\n").commit()
    assert "refused: d/p/t.csv: a table is either t.csv or files in t/, not both" in mine.push(fails=True)


def test_a_push_behind_main_is_told_to_fetch_first(mesh):
    mine, theirs = mesh.clone("mine"), mesh.clone("theirs")
    theirs.write("d/theirs/t.csv", "a\n1\n").commit()
    theirs.push("origin", "main")
    mine.write("d/mine/t.csv", "a\n2\n").commit()
    assert "fetch first" in mine.push("origin", "main", fails=True)


def test_a_forced_push_is_refused(shared, clone):
    clone.write("d/forced/t.csv", "a\n1\n").commit()
    clone.push("origin", "main")
    tip = shared.data.tip()
    clone.git("reset", "--quiet", "--hard", "HEAD~1")
    clone.write("d/forced2/t.csv", "a\n1\n").commit()
    assert "would rewrite the history of main" in clone.push("--force", "origin", "main", fails=True)
    assert shared.data.tip() == tip


def test_a_history_of_its_own_is_refused(shared, clone):
    clone.git("checkout", "--quiet", "--orphan", "other")
    clone.git("rm", "--quiet", "-rf", ".")
    clone.write("d/orphan/t.csv", "a\n1\n").commit()
    for ref in ("refs/for/main", "refs/heads/main"):
        assert "nothing in common with main" in clone.push("--force", "origin", f"HEAD:{ref}", fails=True)


@pytest.mark.parametrize(
    "target", ["refs/heads/other", "refs/tags/v1", "refs/for/other", "refs/thinmesh/log", "refs/notes/x"]
)
def test_other_refs_are_refused(shared, clone, target):
    clone.write("d/elsewhere/t.csv", "a\n1\n").commit()
    assert f"refused: {target} cannot be pushed" in clone.push("origin", f"HEAD:{target}", fails=True)
    assert "refs/heads/main" in git(clone.path, "ls-remote", "origin").stdout
    assert target not in git(clone.path, "ls-remote", "origin").stdout


@pytest.mark.parametrize("target", ["main", "refs/for/main"])
def test_deletions_are_refused(shared, clone, target):
    tip = shared.data.tip()
    clone.push("origin", f":{target}", fails=True)
    assert shared.data.tip() == tip


def test_several_refs_at_once_are_refused(clone):
    clone.write("d/several/t.csv", "a\n1\n").commit()
    assert "One push goes to one ref" in clone.push("origin", "HEAD:refs/for/main", "HEAD:refs/heads/main", fails=True)


def test_an_annotated_tag_for_main_is_refused(clone):
    clone.write("d/tagged/t.csv", "a\n1\n").commit()
    clone.git("tag", "-a", "v1", "-m", "x")
    assert "is no commit" in clone.push("origin", "v1:refs/for/main", fails=True)


def test_foreign_folders_are_refused_in_every_commit(shared, request):
    bob, alice = shared.clone("bob", user="bob"), shared.clone("alice")
    bob.write("d/bobs/owner.txt", "bob").write("d/bobs/t.csv", "a\n1\n").commit()
    bob.push("origin", "HEAD:refs/for/main")
    alice.git("pull", "--quiet")
    tip = shared.data.tip()
    alice.write("d/bobs/t.csv", "a\nforeign\n").commit()
    assert "refused: d/bobs: d/bobs belongs to bob." in alice.push("origin", "HEAD:refs/for/main", fails=True)
    alice.git("revert", "--no-edit", "HEAD")
    alice.write("d/alices/t.csv", "a\n1\n").commit()
    assert "refused: d/bobs: d/bobs belongs to bob." in alice.push("origin", "HEAD:refs/for/main", fails=True)
    assert shared.data.tip() == tip


def test_a_merge_commit_cannot_smuggle(shared):
    carol, alice = shared.clone("carol", user="carol"), shared.clone("smuggler")
    carol.write("d/carols/owner.txt", "carol").write("d/carols/t.csv", "a\n1\n").commit()
    carol.push("origin", "HEAD:refs/for/main")
    alice.git("pull", "--quiet")
    alice.git("checkout", "--quiet", "-b", "side")
    alice.write("d/smuggled/t.csv", "a\n1\n").commit()
    alice.git("checkout", "--quiet", "main")
    alice.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
    alice.write("d/carols/t.csv", "a\nsmuggled\n").commit("Merge")
    alice.git("revert", "--no-edit", "-m", "1", "HEAD")
    assert "belongs to carol" in alice.push("origin", "HEAD:refs/for/main", fails=True)


def test_files_that_only_pass_through_are_refused(clone):
    clone.write("d/passing/t.csv", "a\nsecret\n").commit()
    clone.git("rm", "--quiet", "-r", "d/passing")
    clone.commit()
    assert "refused: d/passing: files were added and removed again" in clone.push("origin", "main", fails=True)


def test_everything_wrong_is_said_at_once(shared, clone):
    tip = shared.data.tip()
    clone.write("top.csv", "a\n").write("README.md", "mine").write("Bad/p/t.csv", "a\n").write(
        "d/w/.gitattributes", "*"
    )
    clone.write("d/w/t.csv", "a\n").write("d/w/t/x.csv", "a\n").write("d/w/select.csv", "a\n").write(
        "d/w/a/b/c.txt", "x"
    )
    clone.write("d/w/big.txt", b"x" * 1_100_000).write("d/w/big.csv", b"x" * 2_100_000).write("d/w/x.parquet", "PAR1")
    clone.write("d/w/esc\x1b[31m\u202e.csv", "a\n").write("d/w/notes.txt", "1").write("d/w/NOTES.txt", "2")
    (clone.path / "d/w/link.csv").symlink_to("/etc/passwd")
    clone.commit()
    lines = [line.removeprefix("remote: ").rstrip() for line in clone.push("origin", "main", fails=True).splitlines()]
    refused = [line for line in lines if line.startswith("refused: ")]
    assert refused == [
        "refused: Bad/p/t.csv: domain name 'Bad' must be small letters, digits and _, 63 at most, with a letter first: "
        "write bad",
        "refused: README.md: this file is written by the server; leave it as it is on main",
        "refused: d/w/.gitattributes: names that begin with a dot are not taken (.gitattributes, .gitmodules, .DS_Store, …)",  # noqa: E501
        "refused: d/w/a/b: a product has no folders below <domain>/<product>/<table>/",
        "refused: d/w/big.csv: 2.1 MB is more than git takes here (2.0 MB); hand it in with: thinmesh publish w big.csv",  # noqa: E501
        "refused: d/w/big.txt: 1.1 MB is too much for a file that is no table (1 MB)",
        "refused: d/w/esc\\x1b[31m\\u202e.csv: the name holds control, invisible or unreadable characters",
        "refused: d/w/link.csv: symbolic links are not taken; commit the file itself",
        "refused: d/w/notes.txt: some systems cannot tell this name from NOTES.txt",
        "refused: d/w/select.csv: table name 'select' is reserved: write t_select",
        "refused: d/w/t.csv: a table is either t.csv or files in t/, not both",
        "refused: d/w/x.parquet: not taken from git; hand it in with: thinmesh publish w x.parquet",
        "refused: top.csv: files lie in a product's folder: <domain>/<product>/<table>.csv",
    ]
    assert "Nothing was changed." in lines
    assert shared.data.tip() == tip
    assert list((shared.data.path / "objects").glob("tmp_objdir*")) == []


def test_a_misspelt_descriptor_is_refused_with_the_name_that_is_read(shared, clone):
    tip = shared.data.tip()
    for name in ("product.yaml", "contract.json", "notes.yaml", "readme.md"):
        clone.write(f"d/misspelt/{name}", "{}")
    clone.write("d/misspelt/t.csv", "a\n1\n").commit()
    said = clone.push("origin", "main", fails=True)
    assert "d/misspelt/product.yaml: this name is not read; name it product.json, written as JSON" in said
    assert "d/misspelt/contract.json: this name is not read; name it contract.yaml, an ODCS contract" in said
    assert "d/misspelt/readme.md: this name is not read; name it README.md" in said
    assert "notes.yaml" not in said
    assert shared.data.tip() == tip


def test_submodules_are_refused(clone):
    clone.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},d/p/sub")
    clone.git("commit", "--quiet", "-m", "x")
    assert "refused: d/p/sub: submodules are not taken" in clone.push("origin", "main", fails=True)


def test_an_executable_csv_is_a_csv(shared, clone):
    clone.write("d/executable/t.csv", "a\n1\n")
    (clone.path / "d/executable/t.csv").chmod(0o755)
    clone.commit()
    clone.push("origin", "main")
    assert "d/executable/t.csv" in shared.data.files(shared.data.tip(), "d/executable")


def test_products_and_tables_are_not_removed_or_moved(shared, clone):
    clone.write("d/kept/product.json", "{}").write("d/kept/one.csv", "a\n1\n").write(
        "d/kept/two.csv", "a\n2\n"
    ).commit()
    clone.push("origin", "main")
    clone.git("rm", "--quiet", "d/kept/two.csv")
    clone.commit()
    assert "refused: d/kept/two.csv: the table two cannot be removed" in clone.push("origin", "main", fails=True)
    clone.git("rm", "--quiet", "d/kept/product.json")
    clone.commit()
    assert "refused: d/kept/product.json: cannot be deleted" in clone.push("origin", "main", fails=True)
    clone.git("rm", "--quiet", "-r", "d/kept")
    clone.commit()
    assert "refused: d/kept: a product's folder cannot be deleted; use: thinmesh retire kept" in clone.push(
        "origin", "main", fails=True
    )
    clone.git("reset", "--quiet", "--hard", "origin/main")
    clone.git("mv", "d/kept", "d/moved")
    clone.commit()
    assert "refused: d/kept: a product does not move (to d/moved)" in clone.push("origin", "main", fails=True)


def test_a_table_may_change_from_one_file_to_several(shared, clone):
    clone.write("d/parted/t.csv", "a\n1\n").commit()
    clone.push("origin", "main")
    (clone.path / "d/parted/t").mkdir()
    clone.git("mv", "d/parted/t.csv", "d/parted/t/one.csv")
    clone.write("d/parted/t/two.csv", "a\n2\n").commit()
    clone.push("origin", "main")
    assert set(shared.data.files(shared.data.tip(), "d/parted")) == {"d/parted/t/one.csv", "d/parted/t/two.csv"}


def test_many_files_in_one_push(mesh):
    clone = mesh.clone()
    for number in range(10_000):
        clone.write(f"d{number % 10}/p{number % 1000}/t/{number}.csv", f"a\n{number}\n")
    clone.commit()
    clone.push("origin", "main")
    assert len(mesh.data.files(mesh.data.tip())) == 10_002


def test_racing_pushes_for_main_all_land_at_the_first_try(mesh):
    clones = [mesh.clone(f"racer{number}", *FOR_MAIN) for number in range(4)]
    faults = []

    def race(number, clone):
        try:
            for turn in range(5):
                clone.write(f"d/p{number}/t.csv", f"a\n{turn}\n").commit()
                clone.push()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=race, args=pair) for pair in enumerate(clones)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[0]
    files = mesh.data.files(mesh.data.tip(), "d")
    assert [mesh.data.read(files[f"d/p{number}/t.csv"].id) for number in range(4)] == [b"a\n4\n"] * 4
    clones[0].git("pull", "--ff-only")
    assert clones[0].head() == mesh.data.tip()
    assert len(mesh.handler.ended) == 20


def test_clones_without_blobs_and_shallow_ones_work(mesh):
    clone = mesh.clone()
    for number in range(20):
        clone.write(f"d/p{number}/t.csv", f"a\n{number}\n").commit()
    clone.push("origin", "main")
    partial = mesh.clone("partial", "--filter=blob:none", "--sparse")
    partial.git("sparse-checkout", "set", "d/p3")
    assert (partial.path / "d/p3/t.csv").read_text() == "a\n3\n"
    partial.write("d/p3/t.csv", "a\n4\n").commit()
    partial.push("origin", "HEAD:refs/for/main")
    assert mesh.data.tip() == partial.head()
    shallow = mesh.clone("shallow", "--depth=1")
    assert (shallow.path / "d/p3/t.csv").read_text() == "a\n4\n"
    shallow.write("d/p3/t.csv", "a\n5\n").commit()
    shallow.push("origin", "HEAD:refs/for/main")
    assert mesh.data.tip() == shallow.head()
