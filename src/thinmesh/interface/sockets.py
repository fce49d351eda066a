"""Where a running `up` is met on its own machine: the socket and the note in the home's `run/`."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

# sun_path of Linux holds 108 bytes with the closing NUL (unix(7)).
_LONGEST = 107


def socket_path(home: Path) -> Path:
    """Give the path of the home's socket: in `run/`, or in $XDG_RUNTIME_DIR where that path is too long."""
    home = home.resolve()
    path = home / "run" / "thinmesh.sock"
    if len(os.fsencode(path)) <= _LONGEST:
        return path
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(runtime) / f"thinmesh-{digest}.sock"


def reachable(home: Path) -> Path | None:
    """Give the socket's path where somebody of this OS user answers on it, else nothing."""
    path = socket_path(home)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return None
        return path if peer_user(probe) == os.getuid() else None


def peer_user(connection: socket.socket) -> int:
    """Give the OS user id at the other end of a unix connection (SO_PEERCRED, unix(7))."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", found)[1]
    return user


def bind_socket(home: Path) -> socket.socket:
    """Bind the home's socket for its owner alone. The caller holds the home, so that an old one is stale."""
    path = socket_path(home)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener


def note_path(home: Path) -> Path:
    """Give the path of the note that a running `up` leaves."""
    return home / "run" / "up.json"


def running(home: Path) -> dict[str, Any]:
    """Read the note of a running `up`: `pid`, `url`; empty where there is none."""
    try:
        found = json.loads(note_path(home).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
