"""A home with teams, served by `thinmesh up` in a process of its own that can be killed; callers; and what is there."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq

from tests.integration.running import COMMAND, environment, free_port
from thinmesh.bootstrap import Platform, init_home, open_home
from thinmesh.kernel.ledger import Entry

PATIENCE = 60.0
COLUMNS = {"columns": {"marker": "string", "n": "integer"}}
TABLES = {"a": COLUMNS, "b": COLUMNS}


class Served:
    """A home whose teams all work in the domain `d`, and its server: up, killed, up again at the same address."""

    def __init__(self, folder: Path, teams: Sequence[str], users: Sequence[str] = ()) -> None:
        """Make the home; each team has one member of its own name, `users` are in none."""
        self.home = folder / "home"
        self.folder = folder
        self.tokens = {"admin": init_home(self.home).admin_token}
        self._process: subprocess.Popen[str] | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with self.opened() as platform:
            admin = platform.identity.principal_of_home()
            for team in teams:
                platform.identity.create_team(admin, team, ["d"])
            for user in (*teams, *users):
                platform.identity.add_user(admin, user)
                self.tokens[user] = platform.identity.new_token(admin, user).token
            for team in teams:
                platform.identity.add_member(admin, team, team)

    @contextmanager
    def opened(self) -> Iterator[Platform]:
        """Open the home while no server is up."""
        platform = open_home(self.home)
        try:
            yield platform
        finally:
            platform.close()

    def start(self) -> None:
        """Serve, in a process group of its own; returns when it is ready."""
        with (self.folder / "stderr.log").open("a") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "up", "--port", str(self.port)],
                env=environment(THINMESH_HOME=str(self.home)),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), (self.folder / "stderr.log").read_text()

    def kill(self) -> None:
        """End the server and all that it started as power loss does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._close()

    def stop(self) -> None:
        """End the server in peace."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(PATIENCE)
        self._close()
        assert code == 0, (self.folder / "stderr.log").read_text()

    def _close(self) -> None:
        process, self._process = self._process, None
        if process and process.stdout:
            process.stdout.close()

    @contextmanager
    def up(self) -> Iterator[None]:
        """Serve until the block ends."""
        self.start()
        try:
            yield
        except BaseException:
            self.kill()
            raise
        self.stop()

    def caller(self, user: str) -> httpx.Client:
        """Give a client of the API for one user."""
        headers = {"Authorization": f"Bearer {self.tokens[user]}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE)

    def clone(self, user: str, name: str = "") -> Clone:
        """Clone the data repository as a user does."""
        path = self.folder / f"clone-{name or user}"
        address = self.url.replace("http://", f"http://x:{self.tokens[user]}@") + "/git/data.git"
        clone = Clone(path, user)
        clone.git("clone", "--quiet", address, str(path), folder=self.folder)
        return clone


class Clone:
    """Somebody's clone, worked on with stock git."""

    def __init__(self, path: Path, user: str) -> None:
        self.path = path
        self._who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", user), ("EMAIL", f"{user}@example.org"))
        }

    def git(self, *arguments: str, folder: Path | None = None, fails: bool = False) -> str:
        """Run git; give what it said on both channels. Where it may fail, an empty text says that it did not."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder or self.path,
            env=environment(**self._who),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        said = done.stdout + done.stderr
        if fails:
            return said if done.returncode else ""
        assert done.returncode == 0, said
        return done.stdout

    def commit(self, folder: str, files: dict[str, str], message: str) -> None:
        """Write files into a folder and commit them."""
        (self.path / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (self.path / folder / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def remove(self) -> None:
        """Throw it away."""
        shutil.rmtree(self.path, ignore_errors=True)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run functions in threads of their own and give their results; the first exception is raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes soon."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def descriptor(name: str, owner: str, **more: Any) -> dict[str, Any]:
    """Describe a product of two tables that carry the marker of the publication they are of."""
    return {"name": name, "domain": "d", "description": f"About {name}", "owner": owner, "tables": TABLES, **more}


def csv_of(table: str, marker: str, rows: int) -> str:
    """Write a table's rows; each says which publication it belongs to. Tables differ in the order of their columns."""
    lines = [f"{marker},{n}" if table == "a" else f"{n},{marker}" for n in range(rows)]
    return "\n".join(["marker,n" if table == "a" else "n,marker", *lines]) + "\n"


def packed(text: str) -> bytes:
    """Compress a text to the same bytes each time."""
    return gzip.compress(text.encode(), compresslevel=1, mtime=0)


def counted(text: str) -> dict[str, int]:
    """Count the rows by marker in a CSV."""
    return dict(Counter(row["marker"] for row in csv.DictReader(io.StringIO(text))))


def content_of(file: bytes) -> str:
    """Give what the log calls a file's content."""
    return hashlib.sha256(file).hexdigest()


def published(entries: Sequence[Entry], table: str, markers: dict[str, str]) -> dict[str, list[str]]:
    """Give, by product, the markers of its publications in the order of the log, found by the content of one table."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        for change in entry.changes:
            if table in change.loads:
                [file] = change.loads[table].files
                found[change.product].append(markers.get(file.content, f"unknown content {file.content}"))
                assert change.publication == f"p{len(found[change.product])}", "publications are numbered without gaps"
    return dict(found)


def everywhere(platform: Platform) -> dict[str, dict[str, Any]]:
    """Say of every active product what each place tells: index, log, `main`, data files, catalog file."""
    platform.follow()
    told: dict[str, dict[str, Any]] = {}
    last = {change.product: change for entry in platform.ledger.entries() for change in entry.changes}
    catalog = platform.data.file(platform.data.tip(), "data_catalog.csv")
    rows = csv.DictReader(io.StringIO(bytes(platform.data.read(catalog.id)).decode() if catalog else ""))
    listed = {row["name"]: row for row in rows}
    with platform.database.read() as tx:
        for name in platform.index.names(tx):
            product = platform.index.product(tx, name)
            assert product is not None
            files = platform.data.files(platform.data.tip(), product.folder)
            told[name] = {
                "index": (product.owner, product.access, product.publication),
                "log": (last[name].owner, last[name].access),
                "catalog": (listed[name]["owner"], listed[name]["access"]) if name in listed else None,
                "lake": {table: _rows(platform, state.files) for table, state in product.tables.items()},
                "main": {
                    table: counted(bytes(platform.data.read(files[path].id)).decode())
                    for table in product.tables
                    if (path := f"{product.folder}/{table}.csv") in files
                },
                "document": json.loads(platform.data.read(files[f"{product.folder}/product.json"].id)),
            }
    assert set(listed) == set(told), "the catalog file lists what is active"
    return told


def sound(platform: Platform) -> None:
    """Require that `doctor` finds nothing broken, and that main is where the log says."""
    diagnosis = platform.operations.doctor(platform.identity.principal_of_home(), True)
    assert [each for each in diagnosis.findings if each.state == "broken"] == []
    *_, newest = platform.ledger.entries()
    assert newest.new == platform.data.tip()


def _rows(platform: Platform, files: Sequence[Any]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for file in files:
        found.update(pq.read_table(platform.location.path(file), columns=["marker"])["marker"].to_pylist())
    return dict(found)
