"""A process that has everything imported and forks lives: each does one thing on a home, and may be killed in it.

Reads one JSON command per line from stdin, answers with one JSON line on stdout. A life is a process group of its own;
its end comes by SIGKILL to the whole group, at the n-th line of the code that writes, or after some seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import thinmesh

# Where a line can stand between two steps of a change; parsers and models write nothing.
WRITING = tuple(
    str(Path(thinmesh.__file__).parent / part)
    for part in (
        "adapters/",
        "kernel/ledger.py",
        "kernel/audit.py",
        "planes/exchange/operations.py",
        "planes/operations/",
        "planes/product/",
    )
)
# Longer than any life takes; one that lasts longer hangs, and that is a fault.
PATIENCE = 90.0


class Lines:
    """Counts lines of the writing code over all threads, and kills the group at the `fatal` one (0: at none)."""

    def __init__(self, fatal: int) -> None:
        self.count = 0
        self.counting = True
        self._fatal = fatal
        self._writes: dict[str, bool] = {}

    def watch(self) -> None:
        """Watch this thread and those that start from now on."""
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:
        path = frame.f_code.co_filename
        writes = self._writes.get(path)
        if writes is None:
            writes = self._writes[path] = path.startswith(WRITING)
        return self._line if writes else None

    def _line(self, _frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line" and self.counting:
            self.count += 1
            if self.count == self._fatal:
                os.killpg(0, signal.SIGKILL)
        return self._line


def text_of(rows: list[list[Any]]) -> str:
    """Write rows as the CSV of the table."""
    return "id,name\n" + "".join(f"{id},{name}\n" for id, name in rows)


def live(command: dict[str, Any]) -> dict[str, Any]:
    """Fork a life, wait for its end, and tell what it said before."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        _live_and_die(command, writing)
    os.close(writing)
    said, killed = _listen(reading, child, command.get("seconds"))
    os.close(reading)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    found = [json.loads(line) for line in said.splitlines() if line.endswith(b"}")]
    return {"killed": killed or os.WIFSIGNALED(status), "code": os.waitstatus_to_exitcode(status), "said": found}


def _live_and_die(command: dict[str, Any], writing: int) -> None:
    from tests.torture.lives import LIVES

    code = 1
    try:
        lines = Lines(command.get("line", 0))
        with os.fdopen(writing, "w") as told:

            def tell(**said: Any) -> None:
                told.write(json.dumps(said, default=str) + "\n")
                told.flush()

            LIVES[command["life"]](command, lines, tell)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _listen(reading: int, child: int, seconds: float | None) -> tuple[bytes, bool]:
    """Read until the life has closed its end; kill it when its time is over."""
    said = b""
    end = time.monotonic() + (PATIENCE if seconds is None else seconds)
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.killpg(child, signal.SIGKILL)
            if seconds is None:
                raise TimeoutError(f"a life has not ended after {PATIENCE} s")
            return said, True
        piece = os.read(reading, 65536)
        if not piece:
            return said, False
        said += piece


def main() -> None:
    """Serve commands until stdin ends."""
    import tests.torture.lives  # noqa: F401  (everything is imported once, here)

    for line in _commands():
        sys.stdout.write(json.dumps(live(line)) + "\n")
        sys.stdout.flush()


def _commands() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


if __name__ == "__main__":
    main()
