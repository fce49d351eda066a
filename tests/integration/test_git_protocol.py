"""What a client that speaks the protocol by hand is told of its push, byte by byte (gitprotocol-pack(5))."""

import subprocess
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.integration.git_mesh import GIT_CLIENT, Mesh
from tests.integration.test_git_door import SIGNED_IN, Waiting, ask
from thinmesh.adapters.git import receiving

NOWHERE = "0" * 40
KIND = {"Content-Type": "application/x-git-receive-pack-request"}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    mesh = Mesh(tmp_path_factory.mktemp("protocol"))
    yield mesh
    mesh.stop()


@pytest.fixture
def clone(mesh, request):
    return mesh.clone(request.node.name.translate(str.maketrans("[]", "__")))


def packet(line):
    return b"%04x" % (len(line) + 4) + line


def command(old, new, ref, asked):
    return packet(f"{old} {new} {ref}\0 {asked}".encode())


def packed(clone, *revisions):
    """Pack what some revisions lead to."""
    done = subprocess.run(
        ["git", "pack-objects", "--revs", "--stdout", "-q"],
        cwd=clone.path,
        env=GIT_CLIENT,
        input="\n".join(revisions).encode() + b"\n",
        capture_output=True,
        check=True,
    )
    return done.stdout


def push(mesh, body, headers=KIND):
    status, reply = ask(mesh, "POST", "/git-receive-pack", body, headers)
    assert not list((mesh.data.path / "objects").glob("tmp_objdir*"))
    return status, reply


def bands(reply):
    """Take the side band apart: what was shown, and the report; the reply ends in a flush."""
    shown, report = b"", b""
    while (length := int(reply[:4], 16)) != 0:
        band, text = reply[4], reply[5:length]
        shown, report = (shown + text, report) if band == 2 else (shown, report + text)
        reply = reply[length:]
    assert reply == b"0000"
    return shown, report


def a_push(mesh, clone, name, asked, ref="refs/for/main"):
    """Make a change of a product of its own, and give the pushed commit and the body of the push."""
    tip = mesh.data.tip()
    head = clone.write(f"d/{name}/t.csv", "a\n1\n").commit()
    return head, command(NOWHERE if "for" in ref else tip, head, ref, asked) + b"0000" + packed(clone, head, f"^{tip}")


def test_a_report_of_the_second_version_names_the_ref_that_moved(mesh, clone):
    old = mesh.data.tip()
    head, body = a_push(mesh, clone, "second", "report-status-v2 side-band-64k")
    status, reply = push(mesh, body)
    assert status == 200
    lines = [b"unpack ok\n", b"ok refs/for/main\n", b"option refname refs/heads/main\n"]
    lines += [b"option old-oid %s\n" % old.encode(), b"option new-oid %s\n" % head.encode()]
    assert bands(reply)[1] == b"".join(map(packet, lines)) + b"0000"
    assert mesh.data.tip() == head


def test_a_report_of_the_first_version_names_the_ref_that_was_pushed(mesh, clone):
    head, body = a_push(mesh, clone, "first", "report-status side-band-64k")
    _, reply = push(mesh, body)
    assert bands(reply)[1] == packet(b"unpack ok\n") + packet(b"ok refs/for/main\n") + b"0000"
    assert mesh.data.tip() == head


def test_without_a_side_band_the_report_comes_bare(mesh, clone):
    head, body = a_push(mesh, clone, "bare", "report-status")
    assert push(mesh, body) == (200, packet(b"unpack ok\n") + packet(b"ok refs/for/main\n") + b"0000")
    assert mesh.data.tip() == head


def test_who_asks_for_no_report_gets_none(mesh, clone):
    head, body = a_push(mesh, clone, "none", "side-band-64k quiet")
    assert push(mesh, body) == (200, b"0000")
    assert mesh.data.tip() == head


def test_a_refusal_is_reported_in_git_s_words(mesh, clone):
    tip = mesh.data.tip()
    _, body = a_push(mesh, clone, "refused", "report-status side-band-64k", "refs/heads/other")
    shown, report = bands(push(mesh, body)[1])
    assert shown.startswith(b"refused: refs/heads/other cannot be pushed")
    refusal = packet(b"ng refs/heads/other pre-receive hook declined\n")
    assert report == packet(b"unpack ok\n") + refusal + b"0000"
    assert mesh.data.tip() == tip


def test_a_deletion_needs_no_pack(mesh):
    body = command(mesh.data.tip(), NOWHERE, "refs/heads/main", "report-status side-band-64k delete-refs") + b"0000"
    shown, report = bands(push(mesh, body)[1])
    assert shown.startswith(b"refused: refs/heads/main cannot be deleted")
    assert packet(b"ng refs/heads/main pre-receive hook declined\n") in report


def test_a_broken_pack_is_reported_as_git_does(mesh, clone):
    _, body = a_push(mesh, clone, "broken", "report-status side-band-64k")
    shown, report = bands(push(mesh, body[:-30])[1])
    assert b"fatal: " in shown
    assert packet(b"unpack index-pack abnormal exit\n") + packet(b"ng refs/for/main unpacker error\n") in report


def test_what_follows_the_pack_is_refused(mesh, clone):
    tip = mesh.data.tip()
    _, body = a_push(mesh, clone, "followed", "report-status side-band-64k")
    _, report = bands(push(mesh, body + b"x" * 1_000_000)[1])
    assert packet(b"ng refs/for/main unpacker error\n") in report
    assert mesh.data.tip() == tip


def test_a_pack_without_what_it_leads_to_is_refused(mesh, clone):
    """The folder is in the repository's objects and in no commit, and the file in it is not."""
    tip = mesh.data.tip()
    head = clone.write("d/hollow/t.csv", "hollow\n1\n").commit()
    listed = clone.git("rev-list", "--objects", head, f"^{tip}").stdout.splitlines()
    ids = [line.split()[0] for line in listed if not line.endswith("t.csv")]
    whole = subprocess.run(
        ["git", "pack-objects", "--stdout", "-q"],
        cwd=clone.path,
        env=GIT_CLIENT,
        input="\n".join(ids).encode() + b"\n",
        capture_output=True,
        check=True,
    ).stdout
    target = mesh.data.path
    subprocess.run(["git", "unpack-objects", "-q"], cwd=target, env=GIT_CLIENT, input=whole, check=True)
    nothing = packed(clone, head, f"^{head}")
    body = command(NOWHERE, head, "refs/for/main", "report-status side-band-64k") + b"0000" + nothing
    _, report = bands(push(mesh, body)[1])
    assert report == packet(b"unpack ok\n") + packet(b"ng refs/for/main missing necessary objects\n") + b"0000"
    assert mesh.data.tip() == tip


def test_an_empty_pack_leaves_no_pack(mesh, clone):
    packs = sorted((mesh.data.path / "objects/pack").iterdir())
    head = clone.head()
    body = command(NOWHERE, head, "refs/for/main", "report-status side-band-64k") + b"0000"
    _, report = bands(push(mesh, body + packed(clone, head, f"^{head}"))[1])
    assert packet(b"ok refs/for/main\n") in report
    assert sorted((mesh.data.path / "objects/pack").iterdir()) == packs


@pytest.mark.parametrize(
    "body",
    [b"", b"00", b"zzzz", packet(b"no command") + b"0000", packet(b"0 0 refs/heads/main") + b"0000", b"0100" + b"x"],
)
def test_what_is_no_push_is_told_so(mesh, body):
    status, reply = push(mesh, body)
    assert status == 400
    assert reply.startswith(b"refused: ")


def test_who_reads_a_side_band_is_told_there(mesh):
    one = command(NOWHERE, "1" * 40, "refs/for/main", "side-band-64k")
    status, reply = push(mesh, one + packet(b"no command") + b"0000")
    assert status == 200
    assert reply[4:5] == b"\x03"
    assert b"refused: A line of the push is no command" in reply


def test_an_empty_push_is_answered_with_nothing(mesh):
    assert push(mesh, b"0000") == (200, b"")


def test_another_type_of_content_is_no_push(mesh):
    assert push(mesh, b"0000", {"Content-Type": "text/plain"})[0] == 415


def test_the_connection_is_kept_alive_while_a_push_is_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(receiving, "_KEEPALIVE_SECONDS", 0.02)
    mesh = Mesh(tmp_path, handler=Waiting)
    try:
        _, body = a_push(mesh, mesh.clone(), "slow", "report-status side-band-64k")
        url = urlsplit(mesh.url)
        with closing(HTTPConnection(url.hostname, url.port, timeout=60)) as connection:
            connection.request("POST", f"{url.path}/git-receive-pack", body, {**SIGNED_IN, **KIND})
            reply, said = connection.getresponse(), b""
            while b"0005\x01" not in said:
                piece = reply.read1()
                assert piece, said
                said += piece
            mesh.handler.go.set()
            assert packet(b"ok refs/for/main\n") in bands(said + reply.read())[1]
    finally:
        mesh.handler.go.set()
        mesh.stop()
