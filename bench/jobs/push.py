"""Push one small CSV with its checks, in a repository of 10 and of 2,000 product folders."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .. import mesh
from ..model import OURS, Goal, Job, Work

_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{who}_{what}": "bench@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@contextmanager
def served(folders: int, folder: Path) -> Iterator[Work]:
    """Push to a served home: rights, structure, descriptors and rows are judged, and the data is published.

    By the address that takes a push also where the catalog file was written meanwhile.
    """
    home = mesh.home_of(folder, folders)
    with mesh.served(home.path) as port:
        yield pushing(folder, f"http://127.0.0.1:{port}/git/data.git", home.token, "refs/for/main")


@contextmanager
def plain(folders: int, folder: Path) -> Iterator[Work]:
    """Push the same to `git http-backend` behind Python's own server: no hooks, objects and refs synced as ours are."""
    repository = mesh.home_of(folder, folders).path / "data.git"
    (repository / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tfsync = committed\n"
        "[http]\n\treceivepack = true\n[receive]\n\tautogc = false\n\tunpackLimit = 1\n\tfsckObjects = true\n"
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Backend, repository))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield pushing(folder, f"http://127.0.0.1:{server.server_port}", "none")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Backend(BaseHTTPRequestHandler):
    """CGI to git (RFC 3875)."""

    def __init__(self, repository: Path, *rest: object) -> None:
        self._repository = repository
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "bench",
            "GIT_PROJECT_ROOT": str(self._repository),
            "GIT_HTTP_EXPORT_ALL": "1",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env={**_ENVIRONMENT, **variables}, capture_output=True, check=True
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        self.send_response(200)
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def pushing(folder: Path, url: str, token: str, ref: str = "main") -> Work:
    """Give a work that pushes another CSV of the same product, and times the push alone."""
    clone = folder / "clone"
    header = f"Authorization: Basic {base64.b64encode(f'bench:{token}'.encode()).decode()}"
    settings = ["-c", f"http.extraHeader={header}", "-c", "protocol.version=2", "-c", "gc.auto=0"]

    def git(*arguments: str, where: Path = clone) -> None:
        done = subprocess.run(
            ["git", *settings, *arguments], cwd=where, env=_ENVIRONMENT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)

    shutil.rmtree(clone, ignore_errors=True)
    git("clone", "-q", url, str(clone), where=folder)
    numbers = itertools.count()

    def work() -> dict[str, float]:
        number = next(numbers)
        git("pull", "-q", "--no-rebase")
        rows = "".join(f"{row},{row * number}\n" for row in range(20))
        (clone / mesh.domain(3) / "product_000003" / "facts.csv").write_text(f"id,value\n{rows}")
        git("add", ".")
        git("commit", "-q", "-m", "Facts")
        began = time.perf_counter()
        git("push", "-q", "origin", f"main:{ref}")
        return {"seconds": time.perf_counter() - began}

    return work


def _job(folders: int) -> Job:
    return Job(
        key=f"push-{folders}",
        title=f"`git push` of one small CSV, {folders:,} product folders",
        sides={OURS: partial(served, folders), "floor": partial(plain, folders)},
        goals=(Goal("seconds", 1.5),),
        rounds=11,
        warm=2,
    )


JOBS = (_job(10), _job(2_000))
