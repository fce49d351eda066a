"""The server is killed while a push is judged or landed: nothing of it moves, and the next server takes it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.git_mesh import GIT_CLIENT, Clone, Mesh, git
from tests.integration.test_git_door import git_processes, until

SERVER = """
import sys, threading
from pathlib import Path
from tests.integration.git_mesh import Mesh, MovingHandler

class Stuck(MovingHandler):
    def check(self, push, say):
        return self.stop_at("check") or super().check(push, say)

    def land(self, push, say):
        self.stop_at("land")
        return super().land(push, say)

    def stop_at(self, name):
        if name == sys.argv[2]:
            print("stuck", flush=True)
            threading.Event().wait()

print(Mesh(Path(sys.argv[1]), handler=Stuck).url, flush=True)
threading.Event().wait()  # a Python whose main thread has ended begins no work in others
"""


@pytest.mark.parametrize("where", ["check", "land"])
def test_a_killed_server_moves_nothing_and_the_next_one_takes_the_push(tmp_path, where):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SERVER, str(tmp_path), where]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        git(tmp_path, "clone", "--quiet", url, "clone")
        clone = Clone(tmp_path / "clone")
        before = clone.head()
        head = clone.write("d/p/t.csv", "a\n1\n").commit()
        client = subprocess.Popen(
            ["git", "push", "origin", "HEAD:refs/for/main"], cwd=clone.path, env=GIT_CLIENT, stderr=subprocess.PIPE
        )
        assert server.stdout.readline().strip() == "stuck"
        os.kill(server.pid, signal.SIGKILL)
        client.communicate(timeout=60)
        assert client.returncode != 0
    mesh = Mesh(tmp_path)
    try:
        until(lambda: not git_processes(mesh))
        assert mesh.data.tip() == before
        clone.git("remote", "set-url", "origin", mesh.url)
        clone.push("origin", "HEAD:refs/for/main")
        assert mesh.data.tip() == head
        assert not list((mesh.data.path / "objects").glob("tmp_objdir*"))
    finally:
        mesh.stop()
