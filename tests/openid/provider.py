"""A real OpenID provider for tests: `oidc-provider`, by Node, fetched once into a cache by its hashes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json")


def missing(why: str) -> None:
    """Skip what cannot run here, and say why; where all must run, fail."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def installed() -> Path:
    """Give a folder with the package and all it needs; fetched at the first use, each file held against its hash."""
    if not shutil.which("node") or not shutil.which("npm"):
        missing("Node is not installed: apt-get install nodejs npm")
    digest = hashlib.sha256((_HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thinmesh-tests"
    found = cache / f"openid-provider-{digest}"
    if not found.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as draft:
            _fetch(Path(draft))
            try:
                Path(draft).rename(found)
                Path(draft).mkdir()  # for the block to remove
            except OSError:
                assert found.exists()  # another test process was first
    return found


def _fetch(folder: Path) -> None:
    for name in _FILES:
        shutil.copy(_HERE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        missing(f"npm cannot fetch the OpenID provider: {done.stderr[-500:]}")


class RealProvider:
    """The provider as a process: its issuer is known first, for its clients name addresses that depend on it."""

    def __init__(self) -> None:
        folder = installed()
        # Node looks for packages beside the file that asks for them.
        script = folder / f"start-{hashlib.sha256((_HERE / 'start.mjs').read_bytes()).hexdigest()[:8]}.mjs"
        if not script.exists():
            draft = script.with_suffix(f".{os.getpid()}")
            shutil.copy(_HERE / "start.mjs", draft)
            draft.rename(script)
        self._process = subprocess.Popen(
            ["node", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.issuer: str = json.loads(self._line())["issuer"]

    def serve(self, clients: Sequence[Mapping[str, Any]], claims: Mapping[str, Mapping[str, Any]]) -> None:
        """Serve these clients, and people with these claims."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"clients": clients, "claims": claims}) + "\n")
        self._process.stdin.flush()
        assert self._line() == "serving\n"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __enter__(self) -> RealProvider:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
