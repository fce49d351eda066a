"""No secret shows where others may look: in the arguments and environments of processes, in logs, in files."""

import base64
import os
import re
import stat
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.running import COMMAND, cli_json, environment, make_home, up

# The parts of a token that nobody may have: its signature; the rest is no secret once the token is over.
JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}")


class Watch:
    """Reads, again and again, the arguments and environments of all processes of this user that work for a home."""

    def __init__(self, home):
        self.mark = str(home).encode()
        self.seen = {}
        self.samples = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)

    def saw(self, part):
        return any(part in content for content in list(self.seen.values()))

    def _watch(self):
        while not self._stop.wait(0.002):
            self.samples += 1
            for folder in Path("/proc").glob("[0-9]*"):
                if int(folder.name) != os.getpid():
                    self._read(folder)

    def _read(self, folder):
        try:
            found = {name: (folder / name).read_bytes() for name in ("cmdline", "environ")}
        except OSError:
            return
        if any(self.mark in content for content in found.values()):
            self.seen[folder.name] = self.seen.get(folder.name, b"") + b"".join(found.values())


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Live a day on a mesh: tokens made, used, refused and revoked, a push, statements, and closed data asked for."""
    folder = tmp_path_factory.mktemp("secrets")
    home, admin = make_home(folder)
    errors = []
    secrets = [admin, cli_json("user", "add", "ann", home=home) and cli_json("token", "new", "ann", home=home)["token"]]
    with up(home) as url, Watch(home) as watch:
        secrets += lived(folder, url, secrets, errors)
        # Git's processes are short: on a busy machine the watch may not have looked while one was there.
        end = time.monotonic() + 60
        while not watch.saw(b"http-backend") and time.monotonic() < end:
            asked = f"{url}/git/data.git/info/refs?service=git-upload-pack"
            assert httpx.get(asked, auth=("x", secrets[1]), timeout=60).status_code == 200
    return home, folder, secrets, watch, errors


def lived(folder, url, secrets, errors):
    admin, ann = secrets

    def keep_error(reply):
        if reply.status_code >= 400:
            errors.append((reply.status_code, reply.read() + str(reply.headers).encode()))

    signed_in = {"Authorization": f"Bearer {ann}"}
    with httpx.Client(base_url=url, timeout=60, headers=signed_in, event_hooks={"response": [keep_error]}) as client:
        made = client.post("/identity/v1/tokens", json={}).json()
        client.post("/identity/v1/teams", json={"name": "meteo", "domains": ["aviation"]})
        closed = {"name": "wages", "domain": "aviation", "description": "Wages", "access": "request"}
        client.post("/product/v1/products", json=closed)
        client.post("/product/v1/products/wages/publications", files={"file": ("wages.csv", b"a\n1\n")})
        client.post("/query/v1/statements", json={"sql": "select * from wages.wages"})
        client.post("/query/v1/statements", json={"sql": f"select '{made['token']}' from nowhere.at_all"})
        client.get("/product/v1/products/wages/tables/wages/data", headers={"Authorization": f"Bearer {admin}"})
        client.get("/identity/v1/whoami", headers={"Authorization": f"Bearer {made['token']}x"})
        client.get("/git/data.git/info/refs?service=git-upload-pack", auth=("x", f"{made['token']}x"))
        client.get(f"/product/v1/products/{made['token']}")
        client.get("/product/v1/products", params={"cursor": made["token"], "limit": ann})
        client.post("/identity/v1/tokens", json={"user": admin, "scope": ann})
        client.post("/product/v1/products", content=f"{{{ann}", headers={"Content-Type": "application/json"})
        client.delete(f"/identity/v1/tokens/{made['id']}")
        client.get("/identity/v1/whoami", headers={"Authorization": f"Bearer {made['token']}"})
    person = folder / "person"
    person.mkdir()
    own = {**environment(), "HOME": str(person), "XDG_CONFIG_HOME": str(person / "config")}
    for command, given in [
        ([*COMMAND, "login", url, "--token-stdin"], ann),
        ([*COMMAND, "whoami", "--url", url], ""),
        (["git", "clone", "-q", f"{url}/git/data.git", str(person / "data")], ""),
    ]:
        done = subprocess.run(command, env=own, input=given, text=True, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert not JWT.search((done.stdout + done.stderr).encode())
    push = person / "data" / "aviation" / "levels"
    push.mkdir(parents=True)
    (push / "levels.csv").write_text("a\n1\n")
    (push / "product.json").write_text('{"name": "levels", "domain": "aviation", "description": "Levels"}')
    git = ["git", "-C", str(person / "data"), "-c", "user.name=ann", "-c", "user.email=ann@example.org"]
    for arguments in (["add", "."], ["commit", "-qm", "Levels"], ["push", "-q", "origin", "HEAD:refs/for/main"]):
        done = subprocess.run([*git, *arguments], env=own, text=True, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    return [made["token"]]


def shown(content, secrets):
    """Name what of the secrets is in a content."""
    signatures = [secret.rpartition(".")[2].encode() for secret in secrets]
    return [each[:8] for each in signatures if each in content]


def test_no_process_shows_a_token_to_others(session, record_property):
    _, _, secrets, watch, _ = session
    assert watch.samples > 10
    assert watch.saw(b"http-backend"), "the watch saw no git at work"
    for content in watch.seen.values():
        assert not shown(content, secrets)
        assert b"PRIVATE KEY" not in content
    record_property("held", ("processes searched for secrets", len(watch.seen), len(watch.seen)))


def test_no_error_tells_a_token(session):
    """Nor does one repeat what somebody put into the wrong place: who shows an error around shows no token."""
    _, _, secrets, _, errors = session
    assert {status for status, _ in errors} >= {400, 401, 403, 404}
    for status, text in errors:
        assert not shown(text, secrets), (status, text)
        assert not JWT.search(text), (status, text)


def test_no_log_holds_a_token(session):
    home, _, secrets, _, _ = session
    logs = [path for path in home.rglob("*") if path.suffix in (".log", ".txt") or path.parent.name == "run"]
    text = b"".join(path.read_bytes() for path in logs if path.is_file())
    assert b"sign-in refused" in text
    assert not shown(text, secrets)
    assert not JWT.search(text)
    assert b"PRIVATE KEY" not in text


def test_no_file_but_the_key_holds_a_secret(session):
    """Tokens are kept nowhere; a statement that its author wrote one into is the author's, and masked for others."""
    home, _, secrets, _, _ = session
    key = (home / "keys" / "token.pem").read_bytes().splitlines()[5]
    numbers = base64.b64decode(key)
    for path in home.rglob("*"):
        if not path.is_file() or path.parent.name == "keys":
            continue
        content = path.read_bytes()
        assert key not in content, path
        assert numbers not in content, path
        assert not shown(content, secrets[:2]), path


def test_what_is_the_owner_s_is_the_owner_s_alone(session):
    home = session[0]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "keys" / "token.pem").stat().st_mode) == 0o600


def test_what_login_stores_is_its_user_s_alone(session):
    folder, secrets = session[1], session[2]
    holders = [path for path in (folder / "person").rglob("*") if path.is_file() and shown(path.read_bytes(), secrets)]
    assert holders
    for path in holders:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_an_open_umask_opens_nothing(tmp_path):
    """Folders are made for their owner, whatever the umask of who runs the command is."""
    command = ["/bin/sh", "-c", 'umask 000; exec "$0" "$@"', *COMMAND, "init", str(tmp_path / "home"), "--json"]
    subprocess.run(command, env=environment(), capture_output=True, timeout=300, check=True)
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home" / "keys" / "token.pem").stat().st_mode) == 0o600
