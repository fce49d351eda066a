"""DuckDB's JDBC driver, which runs statements as a tool for analysts does; `Ask.java` prints the rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .java import Missing, artifact, cache_folder, jdk

ARTIFACT = "org.duckdb:duckdb_jdbc:1.5.5.0"
SHA256 = "de664e5f76d48ad71097acfb33063ffcbaf3c0dfa7f39bd1f947b2d193fe6e8e"
# DuckDB fetches its extension for HTTP by itself, from a place of its own; PyPI has the same file.
HTTPFS = "duckdb-extension-httpfs==1.5.5 --hash=sha256:84913dbe172ccb54368de2c4a020c38ca8b0e76f99df548f7fac37934cc7826f"
SOURCE = Path(__file__).with_name("Ask.java")


def ask(statements: str, folder: Path) -> list[str]:
    """Run statements, and give the rows of the last as JSON; `folder` is the home of who asks."""
    java, jar = jdk(), artifact(ARTIFACT, SHA256)
    done = subprocess.run(
        [java / "bin" / "java", f"-Duser.home={folder}", "-cp", jar, SOURCE],
        input=f"LOAD '{_extension()}'; {statements}",
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _extension() -> Path:
    found = cache_folder() / "duckdb-extensions-1.5.5"
    if not (found / "duckdb_extension_httpfs").exists():
        wanted = cache_folder() / f"httpfs-{os.getpid()}.txt"
        wanted.write_text(HTTPFS)
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--target",
            found,
        ]
        done = subprocess.run([*command, "-r", wanted], capture_output=True, text=True, check=False)
        wanted.unlink()
        if done.returncode:
            raise Missing(f"DuckDB's extension for HTTP did not come: {done.stderr[-300:]}")
    return found / "duckdb_extension_httpfs" / "extensions" / "v1.5.5" / "httpfs.duckdb_extension"
