"""A served mesh under attack by people who hold a token, and what must be the same after each attack as before."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.integration.git_mesh import GIT_CLIENT, git
from tests.integration.keeping import Kept
from tests.integration.running import cli_json, make_home, up

from .forging import Content, Forge, commands, packet

MAIN, FOR_MAIN = "refs/heads/main", "refs/for/main"
COLUMNS = {"columns": {"id": "integer", "name": "string"}}
CLOSED = {"access": "request"}
# By name: (domain, owner, more of the descriptor, the CSV of its table `t`).
PRODUCTS: Mapping[str, tuple[str, str, Mapping[str, object], str]] = {
    "orders": ("north", "alpha", {"tables": {"t": COLUMNS}}, "id,name\n1,a\n"),
    "patients": ("north", "alpha", CLOSED, ""),
    "own": ("south", "evil", {"tables": {"t": COLUMNS}}, "id,name\n1,a\n"),
    "own_closed": ("south", "evil", CLOSED, ""),
    "own_other": ("south", "evil", {}, ""),
    "gone": ("south", "evil", {}, ""),
}
# By name: whose, for how long, and the scope.
TOKENS = {
    "ada": ("ada", "P1D", "write"),
    "eve": ("eve", "P1D", "write"),
    "bob": ("bob", "P1D", "read"),
    "eve_reads": ("eve", "P1D", "read"),
    "eve_publishes": ("eve", "P1D", "publish:own"),
    "eve_revoked": ("eve", "P1D", "write"),
    "eve_expired": ("eve", "PT1S", "write"),
}
# Longer than a neighbour's small request may take while somebody attacks; a busy machine alone takes some seconds.
PATIENCE = 30.0


@dataclass(frozen=True)
class State:
    """What no refused push may change, and how long the server's log is."""

    main: str
    log: str
    refs: str
    objects: frozenset[str]
    told: int


class World:
    """A home, its server, and a forge for pushes."""

    def __init__(self, folder: Path, home: Path, url: str, tokens: Mapping[str, str]) -> None:
        self.folder, self.home, self.url, self.tokens = folder, home, url, tokens
        self.host = urlsplit(url).netloc
        self.data = home / "data.git"
        self.forge = Forge(folder / "forge.git", self.address("eve"))

    # What is there ----------------------------------------------------------------------------------------------

    def address(self, who: str) -> str:
        return self.url.replace("http://", f"http://x:{self.tokens[who]}@") + "/git/data.git"

    def tip(self) -> str:
        """Give the commit that `main` is at once it rests, which the forge has too."""
        self.settle()
        tip = git(self.data, "rev-parse", "main").stdout.strip()
        if self.forge.git("cat-file", "-e", tip, check=False).returncode:
            self.forge.git("fetch", "--quiet", self.address("eve"), "main")
        return tip

    def edit(self, changes: Mapping[bytes | str, Content], *parents: str, **options: bytes) -> str:
        """Commit changes on top of `main`."""
        return self.forge.edit(self.tip(), changes, *parents, **options)

    def state(self) -> State:
        self.settle()
        listed = git(self.data, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--unordered").stdout
        return State(
            self.tip(),
            git(self.home / "log.git", "for-each-ref").stdout,
            git(self.data, "for-each-ref").stdout,
            frozenset(listed.split()),
            self._log.stat().st_size,
        )

    def settle(self) -> None:
        """Wait until the server has written to `main` what it owes it: the catalog file follows what was taken."""
        until = time.monotonic() + 60
        while self._owed():
            assert time.monotonic() < until, "the catalog file does not follow"
            time.sleep(0.05)

    def _owed(self) -> int:
        status, reply = self.ask("GET", "/operations/v1/status", headers=self.bearer("bob"))
        assert status == 200, reply
        [lag] = [each["lag"] for each in json.loads(reply)["projections"] if each["name"] == "catalog_file"]
        return int(lag)

    @property
    def _log(self) -> Path:
        return self.home / "run" / "stderr.log"

    def memory(self) -> int:
        """Give the most memory that the server ever had, in bytes."""
        note = next(path for path in (self.home / "run").glob("*.json") if "pid" in path.read_text())
        status = Path(f"/proc/{json.loads(note.read_text())['pid']}/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])

    # What is done to it -----------------------------------------------------------------------------------------

    def push(
        self, who: str, *refspecs: str, options: Sequence[str] = (), url: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Push with a stock client from the forge."""
        command = ["git", "push", *options, url or self.address(who), *refspecs]
        return subprocess.run(
            command,
            cwd=self.forge.path,
            env={**GIT_CLIENT, **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=300,
            check=False,
        )

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        who: str = "eve",
        timeout: float = 300,
    ) -> tuple[int, bytes]:
        """Send one request of no stock client."""
        connection = http.client.HTTPConnection(self.host, timeout=timeout)
        try:
            connection.request(method, path, body, {**self.password(who), **(headers or {})})
            with contextlib.suppress(ConnectionError):
                reply = connection.getresponse()
                return reply.status, reply.read()
            return 0, b""
        finally:
            connection.close()

    def password(self, who: str) -> dict[str, str]:
        text = base64.b64encode(f"x:{self.tokens[who]}".encode()).decode()
        return {"Authorization": f"Basic {text}"}

    def bearer(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[who]}"}

    def send(
        self, head: bytes, packed: bytes = b"", headers: Mapping[str, str] | None = None, who: str = "eve"
    ) -> tuple[int, bytes]:
        """Push by hand: commands and a pack, just as given."""
        kind = {"Content-Type": "application/x-git-receive-pack-request"}
        return self.ask("POST", "/git/data.git/git-receive-pack", head + packed, {**kind, **(headers or {})}, who)

    def send_commit(self, commit: str, packed: bytes, ref: str = FOR_MAIN) -> tuple[int, bytes]:
        """Push a commit by hand, in a pack of our own making."""
        old = self.tip() if ref == MAIN else "0" * 40
        return self.send(commands([(old, commit, ref)]), packed)

    # What holds after it ----------------------------------------------------------------------------------------

    def unharmed(self, before: State, *ids: str) -> None:
        """Require that a refused push changed nothing, left nothing, and hurt nobody."""
        self.lively()
        after = self.state()
        assert (after.main, after.log, after.refs) == (before.main, before.log, before.refs)
        assert not after.objects - before.objects, "objects of a refused push are in the store"
        self.nothing_left()
        self.quiet(before)
        for id in ids:
            assert not self.fetches(id), f"{id} of a refused push can be fetched"

    def unpacking(self) -> None:
        """Wait until the server has begun to unpack a push that was not sent to its end."""
        until = time.monotonic() + 60
        while not any(self.data.glob("objects/*incoming*")):
            assert time.monotonic() < until, "the push is not taken up"
            time.sleep(0.02)

    def nothing_left(self) -> None:
        """Require that no quarantine and no half-written pack is left, once git's children had time to end."""
        until = time.monotonic() + PATIENCE
        while left := [*self.data.glob("objects/*incoming*"), *self.data.glob("objects/pack/tmp_*")]:
            assert time.monotonic() < until, left
            time.sleep(0.05)

    def catalog_with(self, name: str) -> str:
        """Give the catalog file once it tells of a product; `main` then rests."""
        until = time.monotonic() + 30
        while f"\n{name},".encode() not in (found := self.forge.read(self.forge.at(self.tip(), "data_catalog.csv")[1])):
            assert time.monotonic() < until, found
            time.sleep(0.1)
        return found.decode()

    def newest_entry(self) -> Mapping[str, Mapping[str, str]]:
        """Give what the log says of the newest change."""
        found: Mapping[str, Mapping[str, str]] = json.loads(
            git(self.home / "log.git", "log", "-1", "--all", "--format=%B").stdout
        )
        return found

    def quiet(self, before: State) -> None:
        """Require that the server's log tells of no fault of its own."""
        with self._log.open("rb") as log:
            log.seek(before.told)
            told = log.read().decode("utf-8", "replace")
        assert "Traceback" not in told, told
        assert "a push failed" not in told, told

    def fetches(self, id: str) -> bool:
        """Tell whether an object can be had by its id: protocol v2 serves whatever is in the store."""
        body = packet(b"command=fetch") + b"0001" + packet(f"want {id}".encode()) + packet(b"done") + b"0000"
        headers = {"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"}
        _, reply = self.ask("POST", "/git/data.git/git-upload-pack", body, headers, "bob")
        return b"packfile" in reply

    def lively(self) -> float:
        """Require that the server answers another user soon; give the seconds it took."""
        start = time.monotonic()
        headers = self.bearer("bob")
        status, reply = self.ask("GET", "/product/v1/products?limit=1", headers=headers, timeout=PATIENCE)
        assert status == 200, reply
        return time.monotonic() - start

    @contextmanager
    def neighbour(self) -> Iterator[None]:
        """Let another user ask all the time, and require that each answer comes soon."""
        over, faults = threading.Event(), []

        def ask() -> None:
            while not over.wait(0.1):
                try:
                    self.lively()
                except (AssertionError, OSError) as fault:
                    faults.append(fault)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        assert not faults, faults[0]

    def sound(self) -> None:
        """Require that doctor and git find nothing wrong with the home."""
        found = cli_json("doctor", "--deep", home=self.home)
        assert found["ok"], found
        for repository in ("data.git", "log.git"):
            done = git(self.home / repository, "fsck", "--full", "--no-dangling", check=False)
            assert done.returncode == 0, done.stderr
            assert "error" not in done.stderr, done.stderr


def furnish(home: Path) -> dict[str, str]:
    """Make teams, products with data, and tokens; give the tokens by their name."""
    kept = Kept(home)
    identity = kept.platform.identity
    for team, domain, user in (("alpha", "north", "ada"), ("evil", "south", "eve")):
        identity.create_team(kept.admin, team, [domain])
        identity.add_user(kept.admin, user, [team])
    identity.add_user(kept.admin, "bob")
    identity.create_team(kept.admin, "neutral", ["east"])
    for name, (domain, owner, more, text) in PRODUCTS.items():
        kept.register(name, domain=domain, owner=owner, **more)
        if text:
            kept.publish(name, text)
    kept.platform.products.retire(kept.admin, "gone")
    tokens = {name: identity.new_token(kept.admin, *wanted) for name, wanted in TOKENS.items()}
    identity.revoke_token(kept.admin, tokens["eve_revoked"].id)
    kept.platform.follow()
    kept.close()
    return {name: token.token for name, token in tokens.items()}


@contextmanager
def besieged(folder: Path) -> Iterator[World]:
    """Serve a furnished home; after all attacks it must be sound."""
    home, _ = make_home(folder)
    tokens = furnish(home)
    with up(home) as url:
        world = World(folder, home, url, tokens)
        yield world
        world.sound()


def descriptor(name: str, domain: str, **more: object) -> str:
    return json.dumps({"name": name, "domain": domain, "description": f"About {name}", **more})
