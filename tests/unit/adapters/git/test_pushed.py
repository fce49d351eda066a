import time

import pytest

from thinmesh.adapters.git.data import GitDataRepository
from thinmesh.adapters.git.pushed import Budget, read_push
from thinmesh.kernel.errors import Conflict, Refused, TooLarge
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.repository import Signature
from thinmesh.planes.product.push import FOR_MAIN, MAIN, NOWHERE, Push, PushContext, RefUpdate

ALICE = Signature("alice", "alice@example.org")


@pytest.fixture
def data(tmp_path):
    return GitDataRepository.create(tmp_path / "data.git", fsync=False)


def commit(data, parent, merged=None, message="Change", **files):
    edits = {
        path.replace("__", "/"): data.add(content) if content is not None else None for path, content in files.items()
    }
    return data.commit(parent, edits, ALICE, message, merged)


def read(data, new, ref=FOR_MAIN, old=NOWHERE, **limits):
    push = Push(PushContext(Principal("alice")), RefUpdate(old, new, ref), data)
    return read_push(push, data.tip(), Budget(**limits))


def test_tells_what_the_push_comes_to(data):
    first = commit(data, data.tip(), d__p__t=b"1", d__p__u=b"1")
    data.move(data.tip(), first)
    second = commit(data, first, message="Two\n\nbody", d__p__t=b"22")
    third = commit(data, second, d__q__v=b"333", d__p__u=None)
    found = read(data, third, MAIN, first)
    assert (found.base, found.tip) == (first, third)
    assert [(entry.id, entry.subject, entry.merge) for entry in found.commits] == [
        (second, "Two", False),
        (third, "Change", False),
    ]
    assert found.author == ALICE
    assert {path: (edit.old and edit.old.size, edit.new and edit.new.size) for path, edit in found.net.items()} == {
        "d/p/t": (1, 2),
        "d/p/u": (1, None),
        "d/q/v": (None, 3),
    }
    assert found.touched == {"d/p/t": second, "d/p/u": third, "d/q/v": third}
    assert set(found.before["d/p"]) == {"d/p/t", "d/p/u"}
    assert set(found.after["d/p"]) == {"d/p/t"}
    assert found.before["d/q"] == {}
    assert found.edits("d/p").keys() == {"d/p/t", "d/p/u"}


def test_sees_what_was_undone_on_the_way(data):
    base = data.tip()
    tip = commit(data, commit(data, base, d__p__t=b"secret", e__q__t=b"1"), d__p__t=None)
    found = read(data, tip)
    assert set(found.net) == {"e/q/t"}
    assert set(found.touched) == {"d/p/t", "e/q/t"}
    assert {entry.path for entry in found.entries} == {"d/p/t", "e/q/t"}


def test_what_a_merge_takes_from_main_is_not_the_pushs(data):
    base = data.tip()
    mine = commit(data, base, d__mine__t=b"1")
    theirs = commit(data, base, d__theirs__t=b"1")
    data.move(base, theirs)
    merge = commit(data, mine, merged=theirs, d__theirs__t=b"1")
    for ref, old in ((FOR_MAIN, NOWHERE), (MAIN, theirs)):
        found = read(data, merge, ref, old)
        assert found.base == theirs
        assert set(found.touched) == set(found.net) == {"d/mine/t"}


def test_what_a_merge_adds_of_its_own_is_the_pushs(data):
    base = data.tip()
    mine = commit(data, base, d__mine__t=b"1")
    theirs = commit(data, base, d__theirs__t=b"1")
    data.move(base, theirs)
    evil = commit(data, mine, merged=theirs, d__theirs__t=b"evil")
    undone = commit(data, evil, d__theirs__t=b"1")
    assert "d/theirs/t" in read(data, evil).net
    found = read(data, undone)
    assert "d/theirs/t" not in found.net
    assert "d/theirs/t" in found.touched


def test_wrong_clocks_do_not_hide_or_add_commits(data):
    """Commit times are the client's: far in the past here, and main's own a second ago."""
    base = data.tip()
    raw = data.handle().read(base)[1].decode()
    tree = raw.split("\n")[0]
    old = f"{tree}\nparent {base}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n"
    ancient = data._store.write(1, old.encode())
    tip = commit(data, ancient, d__p__t=b"1")
    data.move(base, commit(data, base, e__q__t=b"1"))
    found = read(data, tip)
    assert [entry.id for entry in found.commits] == [ancient, tip]
    assert set(found.touched) == {"d/p/t"}


def test_a_rewritten_history_is_refused(data):
    base = data.tip()
    data.move(base, commit(data, base, d__p__t=b"1"))
    other = commit(data, base, d__p__t=b"2")
    with pytest.raises(Refused, match="rewrite the history"):
        read(data, other, MAIN, data.tip())
    with pytest.raises(Conflict, match="meanwhile"):
        read(data, other, MAIN, base)
    assert read(data, other).base == base


def test_nothing_new_is_nothing(data):
    found = read(data, data.tip())
    assert (found.commits, found.touched, found.net) == ((), {}, {})


@pytest.mark.parametrize(
    "limit", [{"commits": 3}, {"paths": 3}, {"tree_bytes": 300}, {"largest_tree": 20}, {"seconds": 0.0}]
)
def test_more_than_the_budget_is_refused(data, limit):
    tip = data.tip()
    for number in range(4):
        tip = commit(data, tip, **{f"d__p__t{number}": b"1"})
    with pytest.raises(TooLarge):
        read(data, tip, **limit)


def write_tree(entries):
    """Write a tree object of entries that are in git's order."""
    return b"".join(b"%o %s\0%s" % (mode, name, id) for name, (mode, id) in entries.items())


def test_a_bomb_of_folders_costs_little(data):
    """A thousand names for one folder of a thousand names for one folder …: a billion paths in 100 kB."""
    handle = data.handle()
    below = handle.odb.write(3, b"x").raw
    mode = 0o100644
    for _ in range(6):
        tree = write_tree({b"n%d" % number: (mode, below) for number in sorted(range(1000), key=str)})
        below, mode = handle.odb.write(2, tree).raw, 0o040000
    raw = data.handle().read(data.tip())[1].split(b"\n", 1)[1]
    bomb = data._store.write(1, b"tree " + below.hex().encode() + b"\nparent " + data.tip().encode() + b"\n" + raw)
    start = time.monotonic()
    with pytest.raises(TooLarge):
        read(data, bomb)
    assert time.monotonic() - start < 60


def test_a_folder_nested_too_deep_is_named_and_not_read(data):
    found = read(data, commit(data, data.tip(), d__p__t__deep__deeper__x=b"1"))
    assert set(found.net) == {"d/p/t/deep"}


@pytest.mark.parametrize("mode", [0o120000, 0o160000, 0o100755, 0o020644])
def test_a_file_whose_mode_changes_alone_is_brought_in_again(data, mode):
    """In the commits of one push: its content has been seen then."""
    first = commit(data, data.tip(), p=b"/etc/passwd")
    blob = bytes.fromhex(data.file(first, "p").id)
    tree = data.handle().odb.write(2, write_tree({b"p": (mode, blob)})).raw
    head = f"tree {tree.hex()}\nparent {first}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n"
    found = read(data, data._store.write(1, head.encode()))
    assert [entry.file.mode for entry in found.entries] == [0o100644, mode]


def test_names_that_are_not_text_arrive_as_they_are(data):
    handle = data.handle()
    blob = handle.odb.write(3, b"x").raw
    tree = handle.odb.write(2, write_tree({b"\xff\n": (0o100644, blob)})).raw
    for name in (b"p", b"d"):
        tree = handle.odb.write(2, write_tree({name: (0o040000, tree)})).raw
    head = f"tree {tree.hex()}\nparent {data.tip()}\nauthor \xff <x> 1 +0000\ncommitter a <a> 1 +0000\n\n\xff\n"
    found = read(data, data._store.write(1, head.encode("latin-1")))
    assert "d/p/\udcff\n" in found.net
    assert found.commits[0].author.name == "\ufffd"
