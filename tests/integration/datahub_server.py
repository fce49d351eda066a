"""DataHub's own server classes (`io.acryl:datahub-auth-api`), in a process that judges proposals: `Validate.java`.

Needs Maven, which brings the jar, and a JDK that runs classes of Java 21.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .java import artifact, cache_folder, jdk, needed

ARTIFACT = "io.acryl:datahub-auth-api:1.7.0.1rc1"
SHA256 = "10531dc5ec802371571eee8de9f09a4468735013eb3ed1535cb99494d95b971a"
SOURCE = Path(__file__).with_name("datahub_validator") / "Validate.java"


class ServerClasses:
    """The running process."""

    def __init__(self) -> None:
        java, jar = jdk(), artifact(ARTIFACT, SHA256)
        classes = _compiled(java, jar)
        limits = ("-Xmx600m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        self._process = subprocess.Popen(
            [java / "bin" / "java", *limits, "-cp", f"{classes}{os.pathsep}{jar}", "Validate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def close(self) -> None:
        self._process.stdin.close()
        self._process.terminate()  # it may still be starting
        self._process.wait(60)
        self._process.stdout.close()

    def judge(self, proposal: Mapping[str, Any], stored: Any = None) -> tuple[Sequence[str], Any]:
        """Give what is wrong with a proposal, and the aspect as it would be stored."""
        return self.judge_all([(proposal, stored)])[0]

    def judge_all(self, asked: Iterable[tuple[Mapping[str, Any], Any]]) -> list[tuple[Sequence[str], Any]]:
        lines = [json.dumps({"proposal": proposal, "stored": stored}) + "\n" for proposal, stored in asked]
        writer = threading.Thread(target=self._write, args=(lines,))
        writer.start()
        told = [self._read() for _ in lines]
        writer.join()
        return [(each["faults"], each.get("aspect")) for each in told]

    def _write(self, lines: Sequence[str]) -> None:
        self._process.stdin.writelines(lines)
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        for line in self._process.stdout:
            if line.startswith("{"):  # its libraries print at their start
                found: dict[str, Any] = json.loads(line)
                return found
        raise AssertionError(f"the process ended with {self._process.wait()}")


def server_classes() -> Iterator[ServerClasses]:
    """Run the process for a fixture; where that cannot be, skip and say why, and fail in CI."""
    with needed("DataHub's server classes"):
        found = ServerClasses()
    yield found
    found.close()


def _compiled(java: Path, jar: Path) -> Path:
    source = hashlib.sha256(SOURCE.read_bytes() + str(java).encode()).hexdigest()[:16]
    path = cache_folder() / f"validate-{source}"
    if not path.exists():
        made = cache_folder() / f"{path.name}-{os.getpid()}"
        command = [java / "bin" / "javac", "-proc:none", "-nowarn", "-cp", str(jar), "-d", str(made), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        try:
            made.rename(path)
        except OSError:  # another worker was faster
            shutil.rmtree(made)
    return path
