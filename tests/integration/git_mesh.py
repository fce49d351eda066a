"""A data repository behind uvicorn, with a handler that judges structure and moves `main`, and stock git clients."""

import asyncio
import base64
import os
import socket
import subprocess
import threading

import uvicorn

from thinmesh.adapters.git.data import GitDataRepository
from thinmesh.adapters.git.door import GitDoor
from thinmesh.adapters.git.pushed import read_push
from thinmesh.kernel.errors import Conflict, Refused
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.repository import Signature
from thinmesh.planes.product.push import MAIN, Landing
from thinmesh.planes.product.push_merge import clashes
from thinmesh.planes.product.push_structure import folder_faults, rights_faults, structural_faults

GIT_CLIENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Alice",
    "GIT_AUTHOR_EMAIL": "alice@example.org",
    "GIT_COMMITTER_NAME": "Alice",
    "GIT_COMMITTER_EMAIL": "alice@example.org",
}


class MovingHandler:
    """Judges structure and ownership, and moves `main` without a ledger."""

    def __init__(self, data):
        self.data = data
        self.lease = threading.Lock()
        self.ended = []
        self.asked = []
        self.changes = {}

    def check(self, push, say):
        self.asked.append(push.update)
        change = self.changes[push.context.id] = read_push(push, self.data.tip())
        return [
            *structural_faults(change, max_file=2_000_000),
            *rights_faults(change, lambda folder, paths: self.refusal(push.context.caller, folder)),
        ]

    def refusal(self, caller, folder):
        """A product belongs to the user named in its `owner.txt`, as main has it."""
        found = self.data.file(self.data.tip(), f"{folder}/owner.txt")
        owner = self.data.read(found.id).decode().strip() if found else caller.user
        return None if owner == caller.user else f"{folder} belongs to {owner}."

    def land(self, push, say):
        with self.lease:
            tip, new = self.data.tip(), push.update.new
            if push.update.ref == MAIN and tip != push.update.old:
                raise Conflict("main has moved.", help="git pull, then push again.")
            if not self.data.is_ancestor(tip, new):
                new = self.merged(tip, new, self.changes[push.context.id])
            self.data.move(tip, new)
            return Landing(new, tip)

    def merged(self, tip, new, change):
        edits, faults = {}, []
        for folder in change.folders():
            faults += clashes(self.data.files(tip, folder), change, folder)
            edits |= {path: edit.new.id if edit.new else None for path, edit in change.edits(folder).items()}
        if faults:
            raise Refused("Others changed the same files.", violations=faults)
        faults = folder_faults({**self.data.files(tip, "d"), **edits})
        if faults:
            raise Refused("The merge does not fit together.", violations=faults)
        return self.data.commit(tip, edits, Signature("alice", "alice@example.org"), "Merge", merged=new)

    def end(self, context):
        self.ended.append(context.id)


class Mesh:
    """The server, in a thread."""

    def __init__(self, folder, handler=MovingHandler, **settings):
        self.folder = folder
        path = folder / "data.git"
        self.data = (GitDataRepository if path.exists() else GitDataRepository.create)(path, fsync=False)
        self.handler = handler(self.data)
        self.door = GitDoor(self.data, self.handler, run=folder / "run", fsync=False, **settings)
        self.door.start()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://alice:secret@127.0.0.1:{self._listener.getsockname()[1]}/git/data.git"
        config = uvicorn.Config(self._app, interface="asgi3", lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve([self._listener])))
        self._thread.start()

    def stop(self):
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self.door.stop()

    async def _app(self, scope, receive, send):
        headers = dict(scope["headers"])
        kind, _, credentials = headers.get(b"authorization", b"").partition(b" ")
        if kind != b"Basic" or not base64.b64decode(credentials).endswith(b":secret"):
            await send(
                {"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b'Basic realm="git"')]}
            )
            await send({"type": "http.response.body", "body": b""})
            return
        user = base64.b64decode(credentials).split(b":")[0].decode()
        path = scope["path"].removeprefix("/git/data.git")
        await self.door.serve(scope, receive, send, Principal(user, door="git", teams=frozenset({user})), path)

    def clone(self, name="clone", *options, user="alice"):
        target = self.folder / name
        url = self.url.replace("alice:", f"{user}:")
        git(self.folder, "clone", "--quiet", *options, url, str(target))
        return Clone(target)


class Clone:
    """A clone, and what people do in one."""

    def __init__(self, path):
        self.path = path

    def git(self, *arguments, **options):
        return git(self.path, *arguments, **options)

    def write(self, path, content):
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def commit(self, message="Change", *, date=None):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.head()

    def head(self, name="HEAD"):
        return self.git("rev-parse", name).stdout.strip()

    def push(self, *arguments, fails=False):
        """Push, and give what the server said."""
        done = self.git("push", *arguments, check=False)
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr


def git(folder, *arguments, check=True, **options):
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**GIT_CLIENT, **options.pop("env", {})},
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )
    assert not check or done.returncode == 0, done.stderr
    return done
