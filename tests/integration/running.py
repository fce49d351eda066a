"""A real home, and a real server on it, for tests of the doors."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "thinmesh.interface.cli"]
# Seconds after which what has not ended hangs: far more than anything takes on a busy machine.
PATIENCE = 300


def environment(**more: str) -> dict[str, str]:
    """Give an environment in which nothing of this machine's settings shows."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", **more}


def cli(
    *arguments: str, home: Path | None = None, stdin: str | None = None, folder: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run one command line as a user does."""
    where = {"THINMESH_HOME": str(home)} if home else {}
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        input=stdin,
        cwd=folder,
        env=environment(**where, **more),
        timeout=PATIENCE,
        check=False,
    )


def cli_json(*arguments: str, code: int = 0, **more: Any) -> Any:
    """Run one command line with --json and give its document; stdout must hold nothing else."""
    done = cli(*arguments, "--json", **more)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def make_home(folder: Path) -> tuple[Path, str]:
    """Make a home and give it with the administrator's token."""
    made = cli_json("init", str(folder / "home"))
    return Path(made["home"]), made["admin_token"]


@contextmanager
def up(home: Path, *arguments: str) -> Iterator[str]:
    """Serve a home until the block ends; gives the URL. The server must end in peace."""
    with (home / "run" / "stderr.log").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, "up", *(("--port", "0") if "--port" not in arguments else ()), *arguments],
            env=environment(THINMESH_HOME=str(home)),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (home / "run" / "stderr.log").read_text()
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        code = process.wait(PATIENCE)
        if process.stdout:
            process.stdout.close()
    assert code == 0, (home / "run" / "stderr.log").read_text()


def register(home: Path, name: str, **more: Any) -> Any:
    """Register a product on a home."""
    descriptor = {"name": name, "domain": "aviation", "description": f"About {name}", **more}
    return cli_json("register", "-", home=home, stdin=json.dumps(descriptor))


def write_csv(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a CSV file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


# Below those that Linux gives to whoever asks for any (32768 and up), and never the same twice: between finding a port
# and listening on it, a connection or a server of another test would take one of those.
_PORTS = iter(random.SystemRandom().sample(range(20_000, 32_000), 12_000))


def free_port() -> int:
    """Find a port that nobody listens on, and that nobody is given before it is used."""
    for port in _PORTS:
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def vouched_by(home: Path, issuer: str, client: str, secret: str) -> str:
    """Let a provider sign people in to a home, and give the URL that it must be served at."""
    port = free_port()
    (home / "secret").write_text(secret)
    file = home / "thinmesh.toml"
    text = file.read_text()
    for key, value in {
        "port": port,
        "url": f"http://127.0.0.1:{port}",
        "issuer": issuer,
        "client_id": client,
        "client_secret_file": "secret",
    }.items():
        text = re.sub(rf"^#{key} = .*$", f"{key} = {json.dumps(value)}", text, flags=re.MULTILINE)
    file.write_text(text)
    return f"http://127.0.0.1:{port}"
