"""The git door against faults and hostile clients: what it must not let through, leave behind, or stop for."""

import base64
import gzip
import os
import signal
import socket
import subprocess
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.git_mesh import GIT_CLIENT, Mesh, MovingHandler, git
from thinmesh.adapters.git.hooks import self_test
from thinmesh.kernel.errors import Internal

SIGNED_IN = {"Authorization": "Basic " + base64.b64encode(b"alice:secret").decode()}


@pytest.fixture
def mesh(tmp_path):
    mesh = Mesh(tmp_path)
    yield mesh
    mesh.stop()


def until(condition, seconds=60):
    """Wait for a condition, and give what it gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        threading.Event().wait(0.01)
    return found


def ask(mesh, method, path, body=None, headers=None):
    url = urlsplit(mesh.url)
    connection = HTTPConnection(url.hostname, url.port, timeout=60)
    try:
        connection.request(method, url.path + path, body, {**SIGNED_IN, **(headers or {})})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def git_processes(mesh):
    """List the processes that serve this mesh's repository."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"GIT_PROJECT_ROOT={mesh.data.path}\0".encode() in environment:
            found.append(folder.name)
    return found


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/info/refs", 403),
        ("GET", "/info/refs?service=git-upload-archive", 403),
        ("GET", "/info/refs?service=git-upload-pack&service=git-receive-pack", 403),
        ("GET", "/HEAD", 404),
        ("GET", "/config", 404),
        ("GET", "/objects/info/packs", 404),
        ("GET", "/../log.git/HEAD", 404),
        ("GET", "/git-upload-pack", 405),
        ("POST", "/info/refs?service=git-upload-pack", 405),
        ("PUT", "/git-receive-pack", 405),
        ("POST", "/git-upload-archive", 404),
    ],
)
def test_only_the_smart_protocol_passes(mesh, method, path, status):
    assert ask(mesh, method, path)[0] == status


def test_a_body_of_another_type_is_refused(mesh):
    assert ask(mesh, "POST", "/git-upload-pack", b"0000", {"Content-Type": "text/plain"})[0] == 415


def test_a_compressed_request_is_read(mesh):
    body = gzip.compress(b"0014command=ls-refs\n00010009peel\n0000")
    headers = {
        "Content-Type": "application/x-git-upload-pack-request",
        "Content-Encoding": "gzip",
        "Git-Protocol": "version=2",
    }
    status, reply = ask(mesh, "POST", "/git-upload-pack", body, headers)
    assert status == 200
    assert mesh.data.tip().encode() + b" refs/heads/main" in reply


def test_garbage_breaks_nothing(mesh):
    headers = {"Content-Type": "application/x-git-receive-pack-request"}
    for body in (b"", b"zzzz", os.urandom(10_000), b"0000", b"ffff" + b"\0" * 100):
        ask(mesh, "POST", "/git-receive-pack", body, headers)
    mesh.clone()
    until(lambda: not git_processes(mesh))


def test_a_push_to_the_folder_itself_is_refused(mesh):
    clone, tip = mesh.clone(), mesh.data.tip()
    clone.write("d/p/t.csv", "a\n1\n").commit()
    for ref in ("refs/heads/main", "refs/for/main"):
        assert "over HTTP only" in clone.push(str(mesh.data.path), f"HEAD:{ref}", fails=True)
    assert mesh.data.tip() == tip


def test_a_large_push_streams(mesh):
    """Above http.postBuffer (1 MB) git asks first with an empty push, then sends in chunks."""
    clone = mesh.clone()
    clone.write("d/p/t.csv", os.urandom(1_900_000)).write("d/p/u.csv", os.urandom(1_900_000)).commit()
    clone.push("origin", "HEAD:refs/for/main")
    assert mesh.data.tip() == clone.head()
    assert len(mesh.handler.ended) == 1


def test_only_filters_that_cost_little_are_taken(mesh):
    mesh.clone("treeless", "--filter=tree:0")
    mesh.clone("small", "--filter=blob:limit=1k")
    with pytest.raises(AssertionError, match="filter"):
        mesh.clone("sparse", "--filter=sparse:oid=HEAD:README.md")


@pytest.mark.parametrize("name", ["pre-receive", "proc-receive"])
@pytest.mark.parametrize("fault", ["missing", "changed", "not executable"])
def test_a_hook_out_of_force_shuts_the_door(mesh, name, fault):
    clone, tip = mesh.clone(), mesh.data.tip()
    clone.write("d/p/t.csv", "a\n1\n").commit()
    break_hook(mesh.folder / "run" / "hooks" / name, fault)
    assert "503" in clone.push("origin", "HEAD:refs/for/main", fails=True)
    assert mesh.data.tip() == tip
    assert mesh.handler.asked == []


def break_hook(hook, fault):
    if fault == "missing":
        hook.unlink()
    elif fault == "changed":
        hook.write_text("#!/bin/sh\nexit 0\n")
    else:
        hook.chmod(0o600)


@pytest.mark.parametrize("name", ["pre-receive", "proc-receive"])
@pytest.mark.parametrize("fault", ["missing", "changed", "not executable"])
def test_the_self_test_finds_a_broken_hook(mesh, name, fault):
    mesh.door.self_test()
    break_hook(mesh.folder / "run" / "hooks" / name, fault)
    with pytest.raises(Internal, match=name):
        mesh.door.self_test()


def test_the_self_test_finds_hooks_that_are_not_in_force(mesh):
    git(mesh.data.path, "config", "core.hooksPath", "/dev/null")
    with pytest.raises(Internal, match=r"core\.hooksPath"):
        mesh.door.self_test()


def test_the_self_test_finds_hooks_that_cannot_run(mesh):
    """As on a file system mounted noexec: there the system refuses to run what is marked executable."""
    with pytest.raises(Internal, match="cannot be executed"):
        self_test(mesh.data.path, mesh.folder / "run" / "hooks", "/nonexistent/git", {"PATH": "/usr/bin:/bin"})


def test_a_client_that_goes_away_leaves_nothing_behind(mesh):
    url = urlsplit(mesh.url)
    head = (
        f"POST {url.path}/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: {SIGNED_IN['Authorization']}\r\n"
        "Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 100000\r\n\r\n"
    )
    with socket.create_connection((url.hostname, url.port)) as connection:
        command = f"{'0' * 40} {'1' * 40} refs/for/main\0 report-status side-band-64k"
        connection.sendall(head.encode() + f"{len(command) + 4:04x}{command}0000PACK".encode())
        until(lambda: git_processes(mesh))
    until(lambda: not git_processes(mesh))
    until(lambda: len(mesh.handler.ended) == 1)
    assert list((mesh.data.path / "objects").glob("tmp_objdir*")) == []


class Waiting(MovingHandler):
    """Waits in `check` until it is let go."""

    def __init__(self, data):
        super().__init__(data)
        self.entered, self.go = threading.Event(), threading.Event()

    def check(self, push, say):
        say("checking")
        self.entered.set()
        assert self.go.wait(120)
        return super().check(push, say)


def test_a_push_that_came_whole_is_finished_without_its_client(tmp_path):
    mesh = Mesh(tmp_path, handler=Waiting)
    try:
        clone = mesh.clone()
        head = clone.write("d/p/t.csv", "a\n1\n").commit()
        command = ["git", "push", "-q", "origin", "HEAD:refs/for/main"]
        client = subprocess.Popen(command, cwd=clone.path, stderr=subprocess.DEVNULL, start_new_session=True)
        assert mesh.handler.entered.wait(60)
        os.killpg(client.pid, signal.SIGKILL)
        client.wait()
        mesh.handler.go.set()
        until(lambda: mesh.handler.ended)
        assert mesh.data.tip() == head
        until(lambda: not git_processes(mesh))
    finally:
        mesh.handler.go.set()
        mesh.stop()


class Failing(MovingHandler):
    """Breaks where no error was foreseen."""

    def check(self, push, say):
        raise RuntimeError("secret detail")


def test_an_unforeseen_fault_refuses_and_tells_nothing_of_the_inside(tmp_path):
    mesh = Mesh(tmp_path, handler=Failing)
    try:
        clone, tip = mesh.clone(), mesh.data.tip()
        clone.write("d/p/t.csv", "a\n1\n").commit()
        said = clone.push("origin", "main", fails=True)
        assert "Something unexpected happened" in said
        assert "secret detail" not in said
        assert mesh.data.tip() == tip
    finally:
        mesh.stop()


def test_a_push_above_the_limit_is_refused(tmp_path):
    mesh = Mesh(tmp_path, limit=100_000)
    try:
        clone, tip = mesh.clone(), mesh.data.tip()
        clone.write("d/p/t.csv", os.urandom(200_000)).commit()
        clone.push("origin", "main", fails=True)
        assert mesh.data.tip() == tip
        until(lambda: not list((mesh.data.path / "objects").glob("tmp_objdir*")))
    finally:
        mesh.stop()


def test_git_settings_of_the_machine_do_not_count(tmp_path, monkeypatch):
    trap = tmp_path / "trap"
    trap.write_text(
        "[receive]\n\tdenyCurrentBranch = refuse\n[core]\n\thooksPath = /dev/null\n[http]\n\treceivepack = false\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(trap))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    mesh = Mesh(tmp_path / "a home with blanks, 'quotes' and \"more\"")
    try:
        clone = mesh.clone()
        head = clone.write("d/p/t.csv", "a\n1\n").commit()
        clone.push("origin", "HEAD:refs/for/main")
        assert mesh.data.tip() == head
    finally:
        mesh.stop()


def test_a_restart_takes_over_a_stale_lock(mesh):
    (mesh.data.path / "refs/heads/main.lock").touch()
    os.utime(mesh.data.path / "refs/heads/main.lock", (1, 1))
    mesh.door.stop()
    mesh.door.start()
    clone = mesh.clone()
    head = clone.write("d/p/t.csv", "a\n1\n").commit()
    clone.push("origin", "HEAD:refs/for/main")
    assert mesh.data.tip() == head


class Slow(MovingHandler):
    """Judges alice's pushes until the test lets them go, and counts how many it judges at once."""

    def __init__(self, data):
        super().__init__(data)
        self.go, self.judged = threading.Event(), 0
        self.counting = threading.Lock()

    def check(self, push, say):
        if push.context.caller.user == "alice":
            with self.counting:
                self.judged += 1
            self.go.wait(300)
        return super().check(push, say)


def test_one_user_s_pushes_leave_room_for_the_others(tmp_path):
    mesh = Mesh(tmp_path, handler=Slow)
    clients = []
    try:
        for number in range(20):
            clone = mesh.clone(f"alice{number}")
            clone.write(f"d/a{number}/t.csv", "a\n1\n").commit()
            command = ["git", "push", "-q", "origin", "HEAD:refs/for/main"]
            clients.append(subprocess.Popen(command, cwd=clone.path, env=GIT_CLIENT, stderr=subprocess.DEVNULL))
        until(lambda: mesh.handler.judged == 4)
        bob = mesh.clone("bob", user="bob")
        head = bob.write("d/b/t.csv", "a\n1\n").commit()
        bob.push("origin", "HEAD:refs/for/main")
        assert mesh.data.tip() == head
        assert mesh.handler.judged == 4
        mesh.handler.go.set()
        assert [client.wait(300) for client in clients] == [0] * 20
    finally:
        mesh.handler.go.set()
        for client in clients:
            client.kill()
            client.wait()
        mesh.stop()
