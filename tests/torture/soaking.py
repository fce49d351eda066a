"""A served home whose clock leaps: run as a process; the clock's lead in seconds is a number in a file."""

from __future__ import annotations

import json
import mmap
import struct
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from thinmesh.bootstrap import open_home
from thinmesh.interface.http.app import create_app
from thinmesh.interface.http.server import serve


class Lead:
    """How far a clock is ahead, shared between processes."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)

    @property
    def seconds(self) -> float:
        """Give how far the clock is ahead."""
        found: tuple[float] = struct.unpack("d", self._shared[:])
        return found[0]

    def leap(self, by: timedelta) -> None:
        """Move the clock on."""
        self._shared[:] = struct.pack("d", self.seconds + by.total_seconds())

    def now(self) -> datetime:
        """Give the time by that clock."""
        return datetime.now(UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Count seconds by that clock: this machine did not sleep while it leapt."""
        return time.monotonic() + self.seconds

    def close(self) -> None:
        """Let go of the file."""
        self._shared.close()


def main(home: str, lead_file: str) -> None:
    """Serve as `up` does, by that clock; tells the URL on stdout."""
    lead = Lead(Path(lead_file))
    platform = open_home(Path(home), mode="serve", clock=lead.now, monotonic=lead.monotonic)
    platform.start()
    serve(platform, create_app(platform, platform.git_bridge), host="127.0.0.1", port=0, ready=tell)
    platform.close()


def tell(url: str) -> None:
    """Say where it serves."""
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
