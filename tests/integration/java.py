"""Java for tests: a JDK that is here, and jars that Maven brings into a folder outside the repository, once."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

_JAVA = 21


class Missing(Exception):
    """Something that a test needs is not here."""


@contextmanager
def needed(what: str) -> Iterator[None]:
    """Skip and say why where something is missing that `what` needs; in CI that is a failure."""
    try:
        yield
    except Missing as error:
        if os.environ.get("CI"):
            pytest.fail(f"{what} did not run: {error}", pytrace=False)
        pytest.skip(f"{what} do not run here: {error}")


def cache_folder() -> Path:
    """Give the folder of what is fetched for tests, for each user one."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    found = Path(base) / "thinmesh-tests"
    found.mkdir(parents=True, exist_ok=True)
    return found


@cache
def jdk() -> Path:
    """Find a JDK that runs classes of Java 21."""
    places = [os.environ.get("JAVA_HOME"), *sorted(Path("/usr/lib/jvm").glob("*"), reverse=True)]
    found = shutil.which("javac")
    places.append(Path(found).resolve().parent.parent if found else None)
    for place in filter(None, places):
        javac = Path(place) / "bin" / "javac"
        if javac.exists():
            said = subprocess.run([javac, "-version"], capture_output=True, text=True, check=False).stdout
            version = re.search(r"javac (\d+)", said)
            if version and int(version[1]) >= _JAVA:
                return Path(place)
    raise Missing(f"no JDK {_JAVA} or newer in JAVA_HOME, /usr/lib/jvm or PATH")


@cache
def artifact(coordinates: str, sha256: str) -> Path:
    """Give a jar by its Maven coordinates, `group:name:version`, checked by its hash."""
    _, name, version = coordinates.split(":")
    path = cache_folder() / f"{name}-{version}.jar"
    if not path.exists():
        maven = shutil.which("mvn")
        if not maven:
            raise Missing(f"no mvn in PATH to bring {coordinates}")
        fetched = cache_folder() / f"fetched-{os.getpid()}"
        command = [maven, "-q", "-B", "dependency:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={fetched}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cache_folder())
        if done.returncode:
            raise Missing(f"mvn did not bring {coordinates}: {done.stdout[-300:]}")
        (fetched / path.name).replace(path)
        shutil.rmtree(fetched)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise Missing(f"{path} has the sha256 {found}, and not {sha256}")
    return path
