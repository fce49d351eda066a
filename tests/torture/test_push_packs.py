"""Attacks by how a push is packed and sent: broken objects, broken packs, bombs, odd requests. Sent by hand."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
import zlib
from tempfile import NamedTemporaryFile

import pytest

from tests.integration.git_mesh import git

from .besieged import FOR_MAIN, MAIN, PATIENCE, descriptor
from .forging import (
    FILE,
    FOLDER,
    KINDS,
    NOWHERE,
    commands,
    delta,
    id_of,
    pack,
    packet,
    raw_tree,
    record,
    zeros,
    zeros_id,
)

# The full sizes are for `make torture`.
LONG = "THINMESH_TORTURE_SEED" in os.environ
README = "south/own/README.md"
MEGA = 1024 * 1024


def refuse(world, commit, packed, *said, ref=FOR_MAIN, left=()):
    """Send a push that must be refused for one of the reasons said, and leave nothing."""
    before = world.state()
    status, reply = world.send_commit(commit, packed, ref)
    assert any(each.encode() in reply for each in said), (status, reply[:2000])
    assert b"\nok refs/" not in reply.replace(b"0013", b"\n")
    world.unharmed(before, commit, *left)


# Objects -----------------------------------------------------------------------------------------------------------


def whole(world, commit):
    """Pack what a commit brings, none of it as a delta."""
    return pack(world.forge.objects(*world.forge.news(commit, world.tip())))


def raw_commit(world, *lines, message=b"x"):
    tree = world.forge.tree_of(world.tip())
    head = [b"tree " + tree.encode(), b"parent " + world.tip().encode(), *lines]
    return world.forge.raw("commit", b"\n".join(head) + b"\n\n" + message)


WHO = b"Eve <eve@example.org> 1700000000 +0000"


def with_tree(world, entries):
    """Put a tree of just these entries in the place of the product's folder."""
    return world.edit({"south/own": (FOLDER, world.forge.tree(entries))})


def blob(world):
    return world.forge.blob("id,name\n1,x\n")


OBJECTS = {
    "tree-unsorted": (lambda w: with_tree(w, [(FILE, "b", blob(w)), (FILE, "a", blob(w))]), "treeNotSorted"),
    "tree-with-a-name-twice": (lambda w: with_tree(w, [(FILE, "a", blob(w))] * 2), "duplicateEntries"),
    "tree-with-file-and-folder-of-one-name": (
        lambda w: with_tree(w, [(FILE, "a", blob(w)), (FOLDER, "a", w.forge.tree([(FILE, "b", blob(w))]))]),
        "duplicateEntries",
    ),
    "author-missing": (lambda w: raw_commit(w, b"committer " + WHO), "missingAuthor"),
    "author-twice": (lambda w: raw_commit(w, *[b"author " + WHO] * 2, b"committer " + WHO), "multipleAuthors"),
    "committer-missing": (lambda w: raw_commit(w, b"author " + WHO), "missingCommitter"),
    "date-not-a-number": (
        lambda w: raw_commit(w, b"author Eve <e@x> yesterday +0000", b"committer " + WHO),
        "badDate",
    ),
    "date-overflowing": (
        lambda w: raw_commit(w, b"author Eve <e@x> 99999999999999999999999 +0000", b"committer " + WHO),
        "badDateOverflow",
    ),
    "zone-of-letters": (lambda w: raw_commit(w, b"author Eve <e@x> 1 zone", b"committer " + WHO), "badTimezone"),
    "author-with-a-newline": (
        lambda w: raw_commit(w, b"author Eve <e@x\n> 1 +0000", b"committer " + WHO),
        "missingEmail",
        "badEmail",
        "missingSpace",
    ),
    "author-without-an-address": (lambda w: raw_commit(w, b"author Eve 1 +0000", b"committer " + WHO), "missingEmail"),
    "zero-in-the-head": (
        lambda w: raw_commit(w, b"author Eve\0 <e@x> 1 +0000", b"committer " + WHO),
        "nulInHeader",
    ),
    "second-tree-line": (
        lambda w: w.edit({"north/orders/README.md": "x"}, extra=b"tree " + w.forge.tree(()).encode() + b"\n"),
        "refused: north/orders",
    ),
    "parent-missing": (
        lambda w: w.forge.commit(w.forge.tree_of(w.tip()), [w.tip(), "1" * 40]),
        "missing necessary objects",
        "did not receive expected object",
    ),
    "message-of-megabytes": (
        lambda w: w.edit({README: "m"}, message=b"m" * (2 * MEGA)),
        "refused: The commit",
    ),
    "message-of-zeros": (
        lambda w: w.edit({"north/orders/README.md": "x"}, message=b"\0" * 99),
        "refused: north",
        "nulInCommit",
    ),
    "name-of-the-author-of-megabytes": (
        lambda w: w.edit({README: "m"}, author=b"n" * (2 * MEGA) + b" <eve@example.org>"),
        "refused: The commit",
    ),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_no_bad_object_comes_in(world, name):
    make, *said = OBJECTS[name]
    commit = make(world)
    news = [world.tip()]
    listed = world.forge.git("rev-list", "--objects", commit, f"^{news[0]}", check=False).stdout
    ids = [line[:40] for line in listed.splitlines()] or reached(world, commit)
    refuse(world, commit, pack(world.forge.objects(*ids)), *said)


def reached(world, commit):
    """Give a commit and its tree, where git cannot list what it leads to."""
    return [commit, world.forge.tree_of(commit)]


def with_raw_folder(world, tree):
    """Give a commit and the records of all it brings, with `south/own` as this tree."""
    forge, tip = world.forge, world.tip()
    south = raw_tree(
        (m, n, id_of("tree", tree) if n == b"own" else i) for m, n, i in forge.entries(forge.at(tip, "south")[1])
    )
    top = raw_tree(
        (m, n, id_of("tree", south) if n == b"south" else i) for m, n, i in forge.entries(forge.tree_of(tip))
    )
    text = b"tree %s\nparent %s\nauthor %s\ncommitter %s\n\nx" % (id_of("tree", top).encode(), tip.encode(), WHO, WHO)
    return id_of("commit", text), [record(2, tree), record(2, south), record(2, top), record(1, text)]


def test_an_entry_of_zeros_is_refused(world):
    commit, records = with_raw_folder(world, raw_tree([(FILE, "t.csv", NOWHERE)]))
    refuse(world, commit, pack(records), "nullSha1", "did not receive", "missing necessary")


@pytest.mark.parametrize(
    ("name", "tree", "said"),
    [
        ("empty-name", raw_tree([(FILE, "", "1" * 40)]), "empty"),
        ("cut-off", raw_tree([(FILE, "t.csv", "1" * 40)])[:-5], "tree"),
        ("mode-of-letters", b"rwx t.csv\0" + bytes(20), "tree"),
        ("garbage", b"\xff" * 100, "tree"),
    ],
)
def test_a_tree_that_is_none_is_refused(world, name, tree, said):
    commit, records = with_raw_folder(world, tree)
    refuse(world, commit, pack(records), said)


def test_a_file_that_is_not_sent_is_refused(world):
    commit, records = with_raw_folder(world, raw_tree([(FILE, "t.csv", "1" * 40)]))
    refuse(world, commit, pack(records), "did not receive", "missing necessary")


def test_what_lies_in_the_repository_without_its_file_is_refused(world):
    """Nothing leads to it: that it is there does not tell that what it leads to is."""
    commit = world.edit({README: "hollow\n"})
    file = world.forge.at(commit, README)[1]
    known = [id for id in world.forge.news(commit, world.tip()) if id != file]
    with NamedTemporaryFile() as packed:
        packed.write(pack(world.forge.objects(*known)))
        packed.seek(0)
        git(world.data, "unpack-objects", "-q", stdin=packed)
    before = world.state()
    _, reply = world.send_commit(commit, pack([]))
    assert b"ng refs/for/main missing necessary objects" in reply, reply
    assert f"The push leads to something that is missing: {file}.".encode() in reply, reply
    world.unharmed(before)


def test_a_commit_that_is_a_file_is_refused(world):
    content = b"no commit"
    refuse(
        world, id_of("blob", content), pack([record(3, content)]), "refused: What was pushed is no commit.", "cannot"
    )


def test_a_tag_of_a_tag_is_refused(world):
    tag = b"object %s\ntype %s\ntag t\ntagger Eve <e@x> 1 +0000\n\nx"
    commit = world.edit({README: "tagged\n"})
    inner = tag % (commit.encode(), b"commit")
    outer = tag % (id_of("tag", inner).encode(), b"tag")
    records = [*world.forge.objects(*world.forge.news(commit, world.tip())), record(4, inner), record(4, outer)]
    refuse(world, id_of("tag", outer), pack(records), "refused: What was pushed is no commit.")


def test_a_tree_for_a_commit_is_refused(world):
    commit, records = with_raw_folder(world, raw_tree([(FILE, "t.csv", blob(world))]))
    text = b"tree %s\nparent %s\nauthor %s\ncommitter %s\n\nx" % (commit.encode(), world.tip().encode(), WHO, WHO)
    outer = id_of("commit", text)
    refuse(
        world, outer, pack([*records, record(1, text), record(3, b"id,name\n1,x\n")]), "not a tree", "error", "fatal"
    )


# Packs -------------------------------------------------------------------------------------------------------------


def harmless(world):
    commit = world.edit({README: "# packed\n"})
    return commit, world.forge.objects(*world.forge.news(commit, world.tip()))


def broken(world):
    """Give a record whose content does not unfold."""
    return bytes([0x30 | 10]) + b"no zlib at all"


PACKS = {
    "cut-off": lambda records, w: pack(records)[:-30],
    "cut-off-in-the-head": lambda records, w: pack(records)[:7],
    "nothing": lambda records, w: b"",
    "garbage": lambda records, w: bytes(range(256)) * 40,
    "wrong-checksum": lambda records, w: pack(records, trailer=b"\0" * 20),
    "too-many-announced": lambda records, w: pack(records, count=len(records) + 5),
    "too-few-announced": lambda records, w: pack(records, count=len(records) - 1),
    "four-billion-announced": lambda records, w: pack(records, count=2**32 - 1),
    "unknown-version": lambda records, w: pack(records).replace(b"PACK\0\0\0\x02", b"PACK\0\0\0\x09"),
    "unknown-kind": lambda records, w: pack([*records, record(5, b"x")]),
    "trash-for-zlib": lambda records, w: pack([*records, broken(w)]),
    "longer-than-announced": lambda records, w: pack([*records, record(3, b"x" * 100, size=10)]),
    "shorter-than-announced": lambda records, w: pack([*records, record(3, b"x", size=1000)]),
    "size-of-exabytes": lambda records, w: pack([*records, record(3, b"x", size=2**62)]),
    "base-missing": lambda records, w: pack([*records, record(7, delta(9, 9, [(0, 9)]), base="1" * 40)]),
    "base-that-is-itself": lambda records, w: pack(
        [*records, record(7, delta(12, 12, [(0, 12)]), base=id_of("blob", b"x" * 12))]
    ),
    "delta-beyond-its-base": lambda records, w: pack(
        [*records, record(3, b"0123456789ab"), record(7, delta(12, 99, [(0, 99)]), base=id_of("blob", b"0123456789ab"))]
    ),
    "delta-of-the-wrong-size": lambda records, w: pack(
        [
            *records,
            record(3, b"0123456789ab"),
            record(7, delta(12, 9999, [(0, 5)]), base=id_of("blob", b"0123456789ab")),
        ]
    ),
    "objects-left-out": lambda records, w: pack(records[:1]),
}


@pytest.mark.parametrize("name", PACKS)
def test_no_broken_pack_comes_in(world, name):
    commit, records = harmless(world)
    refuse(world, commit, PACKS[name](records, world), "unpack ", "ng refs/for/main", "fatal")


def test_objects_that_nothing_leads_to_do_not_stay_of_a_refused_push(world):
    commit = world.edit({"north/orders/README.md": "x\n"})
    stowaway = b"stowed away " * 100
    packed = pack([*world.forge.objects(*world.forge.news(commit, world.tip())), record(3, stowaway)])
    refuse(world, commit, packed, "refused: north/orders", left=[id_of("blob", stowaway)])


# Bombs ---------------------------------------------------------------------------------------------------------------


def heavy_push(world, commit, packed, *said, seconds=240, left=()):
    """Send a push that is made to cost much; a neighbour must not notice, and it must end."""
    start = time.monotonic()
    with world.neighbour():
        refuse(world, commit, packed, *said, left=left)
    assert time.monotonic() - start < seconds


def zero_file(world, path, size):
    """Commit a file of zeros under a path, and give the commit with records of what it brings."""
    commit = world.edit({path: (FILE, zeros_id(size))})
    ids = reached_folders(world, commit, path)
    return commit, [*world.forge.objects(*ids), zeros(size)]


def reached_folders(world, commit, path):
    yield commit
    yield world.forge.tree_of(commit)
    parts = path.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        yield world.forge.at(commit, "/".join(parts[:depth]))[1]


SIZE = (1200 if LONG else 300) * MEGA


@pytest.mark.parametrize("path", ["south/own/t.csv", README, "south/own/product.json"])
def test_a_bomb_of_zeros_is_refused_by_its_size(world, path):
    commit, records = zero_file(world, path, SIZE)
    heavy_push(world, commit, pack(records), f"refused: {path}: ", left=[zeros_id(SIZE)])


@pytest.mark.parametrize("path", ["south/own/product.json", "south/own/contract.yaml", "south/own/t.csv"])
def test_a_bomb_that_a_later_commit_takes_away_is_not_read(world, path):
    first, records = zero_file(world, path, SIZE)
    commit = world.forge.commit(world.forge.tree_of(world.tip()), [first])
    heavy_push(world, commit, pack([*records, *world.forge.objects(commit)]), f"refused: {path}: ")


def test_a_bomb_with_the_mode_of_a_device_is_not_read(world):
    commit, records = zero_file(world, "south/own/u.csv", SIZE)
    commit = world.forge.edit(commit, {"south/own/u.csv": ("140644", zeros_id(SIZE))})
    records += world.forge.objects(*reached_folders(world, commit, "south/own/u.csv"))
    heavy_push(world, commit, pack(records), "refused: south/own/u.csv: ")


def test_a_chain_of_deltas_that_unfold_ends(world):
    """Each is a few bytes, and copies its base 16 times; the last would be a terabyte."""
    size = MEGA
    base = os.urandom(16) * (size // 16)
    commit, records = harmless(world)
    records.append(record(3, base))
    under = id_of("blob", base)
    for _ in range(5):
        records.append(record(7, delta(size, 16 * size, [(0, min(size, 0xFFFFFF))] * 16), base=under))
        size, under = 16 * size, "1" * 40
    heavy_push(world, commit, pack(records), "unpack ", "fatal")


def test_a_delta_that_unfolds_to_gigabytes_ends(world):
    base, times = b"z" * 0xFFFFFF, 400
    commit, records = harmless(world)
    bomb = record(7, delta(len(base), len(base) * times, [(0, len(base))] * times), base=id_of("blob", base))
    heavy_push(world, commit, pack([*records, record(3, base), bomb]), "unpack ", "fatal")


def test_a_file_list_of_gigabytes_ends(world):
    """A tree that unfolds from a few bytes."""
    size = 200 * MEGA
    commit, records = harmless(world)
    heavy_push(world, commit, pack([*records, zeros(size, KINDS["tree"])]), "unpack ", "fatal", "error")


def names(count, width=6):
    return [f"f{number:0{width}}" for number in range(count)]


def test_a_folder_of_a_hundred_thousand_files_ends(world):
    count = 100_000 if LONG else 30_000
    file = blob(world)
    tree = world.forge.tree((FILE, f"{name}.txt", file) for name in names(count))
    commit = world.edit({"south/own": (FOLDER, tree)})
    heavy_push(world, commit, whole(world, commit), "refused: south/own", "refused: The push changes more files")


def test_more_files_than_are_read_at_once_are_refused(world):
    file = blob(world)
    tree = world.forge.tree((FILE, f"{name}.txt", file) for name in names(250_000 if LONG else 210_000))
    commit = world.edit({"south/own": (FOLDER, tree)})
    heavy_push(world, commit, whole(world, commit), "refused: The push changes more files")


def test_many_versions_of_a_large_folder_do_not_fill_the_memory(world):
    """Every version is a few bytes of delta, and millions of names when it is read."""
    file, tip = blob(world), world.tip()
    entries = [(FILE, f"{name}.txt", file) for name in names(60_000)]
    other, versions, parent = world.forge.blob("other\n"), 30 if LONG else 8, tip
    commits, before = [], world.memory()
    for number in range(versions):
        entries[number] = (FILE, entries[number][1], other)
        parent = world.forge.edit(parent, {"south/own": (FOLDER, world.forge.tree(entries))})
        commits.append(parent)
    state = world.state()
    with world.neighbour():
        done = world.push("eve", f"{parent}:{FOR_MAIN}")
    assert "refused: south/own" in done.stderr
    world.unharmed(state, *commits[:1])
    assert world.memory() - before < 800 * MEGA


def test_ten_thousand_folders_end(world):
    """New products by their rows alone, of which the last has a fault."""
    count = 10_000 if LONG else 400
    document = {name: descriptor(name, "south") for name in names(count, 5)}
    changes = {f"south/{name}/product.json": text for name, text in document.items()}
    commit = world.edit({**changes, f"south/{names(count, 5)[-1]}/product.json": "{"})
    state = world.state()
    with world.neighbour():
        done = world.push("eve", f"{commit}:{FOR_MAIN}")
    assert "refused: " in done.stderr
    world.unharmed(state, commit)


def test_ten_thousand_domains_end(world):
    commit = world.edit({f"{name}/{name}/t.bin/x/y": "x" for name in names(10_000 if LONG else 400)})
    heavy_push(world, commit, whole(world, commit), "refused: f000000/f000000/t.bin")


def test_ten_thousand_commits_are_refused(world):
    forge, parent = world.forge, world.tip()
    tree = forge.edited(forge.tree_of(parent), {README: "many\n"})
    for number in range(10_000 if LONG else 2_500):
        parent = forge.commit(tree, [parent], message=b"%d" % number)
    state = world.state()
    with world.neighbour():
        done = world.push("eve", f"{parent}:{FOR_MAIN}")
    assert "refused: The push brings more commits than are read at once." in done.stderr
    world.unharmed(state, parent)


def test_a_merge_of_hundreds_of_parents_is_judged(world):
    forge, tip = world.forge, world.tip()
    sides = [forge.edit(tip, {README: f"{number}\n"}) for number in range(300)]
    sides.append(forge.edit(tip, {"north/orders/README.md": "x\n"}))
    commit = forge.commit(forge.tree_of(tip), [tip, *sides])
    heavy_push(world, commit, whole(world, commit), "refused: north/orders")


# Requests ------------------------------------------------------------------------------------------------------------


def test_thousands_of_commands_are_refused_at_once(world):
    """Git would start a process for each, to look for a commit that is not there."""
    before = world.state()
    updates = [(NOWHERE, f"{number:040x}", f"refs/heads/b{number}") for number in range(1, 10_001)]
    start = time.monotonic()
    status, reply = world.send(commands(updates), pack([]))
    assert (status, b"refused: One push goes to one ref" in reply) == (200, True), reply
    assert time.monotonic() - start < PATIENCE
    world.unharmed(before)


def test_a_compressed_push_of_endless_commands_is_refused_at_once(world):
    before = world.state()
    line = packet(f"{NOWHERE} {'1' * 40} refs/heads/x".encode())
    body = gzip.compress(line * (3_000_000 if LONG else 300_000), 9)
    status, reply = world.send(body, headers={"Content-Encoding": "gzip"})
    assert b"refused: One push goes to one ref" in reply, (status, reply)
    world.unharmed(before)


def test_a_compressed_push_is_read_and_judged(world):
    commit = world.edit({"north/orders/README.md": "x\n"})
    before = world.state()
    body = gzip.compress(commands([(NOWHERE, commit, FOR_MAIN)]) + whole(world, commit))
    _, reply = world.send(body, headers={"Content-Encoding": "gzip"})
    assert b"refused: north/orders" in reply
    world.unharmed(before, commit)


def test_a_compressed_bomb_after_the_commands_ends(world):
    commit = world.edit({README: "x\n"})
    before = world.state()
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(commands([(NOWHERE, commit, FOR_MAIN)]) + whole(world, commit))]
    parts += [packer.compress(bytes(MEGA)) for _ in range(3_000 if LONG else 300)]
    with world.neighbour():
        status, reply = world.send(b"".join(parts) + packer.flush(), headers={"Content-Encoding": "gzip"})
    assert b"unpack " in reply or b"fatal" in reply, (status, reply)
    world.unharmed(before, commit)


def test_trash_for_a_compressed_request_is_refused(world):
    before = world.state()
    _, reply = world.send(b"\x1f\x8bno gzip at all", headers={"Content-Encoding": "gzip"})
    assert b"refused: The compressed request cannot be read." in reply
    world.unharmed(before)


def test_a_compressed_fetch_that_unfolds_without_end_is_refused(world):
    """Wants and haves are kept in memory, all of them."""
    before = world.state()
    body = packet(b"command=fetch") + b"0001" + packet(f"have {'1' * 40}\n".encode()) * 1_000_000
    headers = {
        "Content-Type": "application/x-git-upload-pack-request",
        "Content-Encoding": "gzip",
        "Git-Protocol": "version=2",
    }
    with world.neighbour():
        status, reply = world.ask("POST", "/git/data.git/git-upload-pack", gzip.compress(body), headers)
    assert b"PACK" not in reply, (status, reply[:200])
    world.unharmed(before)


HEADS = {
    "length-beyond-the-limit": b"ffff" + b"x" * 70_000,
    "length-of-letters": b"wxyz" + b"x" * 100,
    "length-too-small": b"0003",
    "no-flush": commands([(NOWHERE, "1" * 40, FOR_MAIN)])[:-4],
    "ids-of-letters": packet(b"z" * 40 + b" " + b"y" * 40 + b" refs/for/main\0report-status") + b"0000",
    "ids-too-short": packet(b"00 11 refs/for/main\0report-status") + b"0000",
    "nothing-at-all": b"",
    "flush-alone": b"0000",
    "another-hash": commands([(NOWHERE, "1" * 40, FOR_MAIN)], "report-status object-format=sha256"),
    "certificate": packet(b"push-cert\0report-status") + packet(b"certificate version 0.1\n") + b"0000",
    "options": commands([(NOWHERE, "1" * 40, FOR_MAIN)], "report-status push-options")
    + packet(b"ci.skip")
    + packet(b"x" * 60_000)
    + b"0000",
}


@pytest.mark.parametrize("name", HEADS)
def test_no_odd_head_of_a_push_does_harm(world, name):
    before = world.state()
    _, reply = world.send(HEADS[name], pack([]))
    assert b"ok refs/" not in reply
    world.unharmed(before)


@pytest.mark.parametrize(
    "version", ["version=0", "version=1", "version=2", "version=99", "version=2:x=\u2603", "a" * 4000]
)
def test_no_version_of_the_protocol_goes_round_the_checks(world, version):
    commit = world.edit({"north/orders/README.md": "x\n"})
    before = world.state()
    head = commands([(NOWHERE, commit, FOR_MAIN)])
    headers = {"Git-Protocol": version.encode().decode("latin-1")}
    _, reply = world.send(head, whole(world, commit), headers)
    assert b"refused: north/orders" in reply
    world.unharmed(before, commit)


def test_a_shallow_push_is_refused(world):
    """The client says that its history ends at a commit whose parent it does not send."""
    forge, tip = world.forge, world.tip()
    missing = forge.commit(forge.tree_of(tip), [tip], message=b"Not sent")
    commit = forge.edit(missing, {README: "shallow\n"})
    before = world.state()
    ids = [id for id in forge.news(commit, tip) if id != missing]
    head = packet(f"shallow {commit}".encode()) + commands([(NOWHERE, commit, FOR_MAIN)])
    _, reply = world.send(head, pack(forge.objects(*ids)))
    assert b"shallow" in reply or b"missing necessary" in reply, reply
    world.unharmed(before, commit)


def test_a_body_that_never_ends_keeps_nobody_waiting(world):
    """Several chunked pushes of one user that go on for ever, one byte at a time."""
    before = world.state()
    over = threading.Event()
    host, _, port = world.host.partition(":")
    password = world.password("eve")["Authorization"]
    head = (
        f"POST /git/data.git/git-receive-pack HTTP/1.1\r\nHost: {world.host}\r\nAuthorization: {password}\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()

    def drip():
        with socket.create_connection((host, int(port))) as connection:
            start = commands([(NOWHERE, "1" * 40, FOR_MAIN)])
            connection.sendall(head + b"%x\r\n" % len(start) + start + b"\r\n")
            while not over.wait(0.2):
                connection.sendall(b"1\r\nP\r\n")

    threads = [threading.Thread(target=drip) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        with world.neighbour():
            commit = world.forge.edit(world.tip(), {"north/orders/README.md": "meanwhile\n"})
            done = world.push("ada", f"{commit}:{FOR_MAIN}")
            assert done.returncode == 0, done.stderr
    finally:
        over.set()
        for thread in threads:
            thread.join()
    world.nothing_left()
    world.quiet(before)


def test_a_push_whose_client_goes_away_leaves_nothing(world):
    before = world.state()
    commit = world.edit({README: "gone\n"})
    packed = whole(world, commit)
    body = commands([(world.tip(), commit, MAIN)]) + packed
    host, _, port = world.host.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        password = world.password("eve")["Authorization"]
        connection.sendall(
            f"POST /git/data.git/git-receive-pack HTTP/1.1\r\nHost: {world.host}\r\nAuthorization: {password}\r\n"
            f"Content-Type: application/x-git-receive-pack-request\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body[:-10]
        )
        world.unpacking()
    world.nothing_left()
    world.unharmed(before, commit)
    assert git(world.data, "rev-parse", "main").stdout.strip() == before.main
