"""What `login` stored: one token per server, in a file that only this OS user reads."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from thinmesh.kernel.errors import Malformed, Temporary

# A path goes into the first line of a request; a name may have letters beyond ASCII.
_PATH = re.compile(r"[\x21-\x7e]*")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


class Credentials:
    """The stored tokens, and the server that was signed in to last."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Credentials:
        """Find the file: in $XDG_CONFIG_HOME/thinmesh, else ~/.config/thinmesh."""
        base = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".config")
        return cls(Path(base) / "thinmesh" / "credentials.json")

    @property
    def path(self) -> Path:
        """Give the file's path."""
        return self._path

    @property
    def default(self) -> str | None:
        """Give the URL that was signed in to last."""
        found = self._read().get("default")
        return str(found) if found else None

    def token(self, url: str) -> str | None:
        """Give the token for a server, or nothing."""
        found = self._read().get("servers", {}).get(address(url))
        return str(found["token"]) if isinstance(found, dict) and found.get("token") else None

    def store(self, url: str, token: str) -> None:
        """Keep a token, and make its server the default. Raises Temporary where it cannot be written."""
        found = self._read()
        found.setdefault("servers", {})[address(url)] = {"token": token}
        found["default"] = address(url)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # mkstemp makes the file for this user alone, before anything is in it.
            handle, draft = tempfile.mkstemp(dir=self._path.parent, prefix=".credentials-")
            with os.fdopen(handle, "w") as file:
                json.dump(found, file, indent=2)
                file.write("\n")
            Path(draft).replace(self._path)
        except OSError as error:
            raise Temporary(f"{self._path} cannot be written: {error.strerror}.", help="Nothing was stored.") from error

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Malformed(
                f"{self._path} cannot be read: {error}.", help="Repair it, or remove it and sign in again."
            ) from error
        return found if isinstance(found, dict) else {}


def address(url: str) -> str:
    """Give the form of a server's URL under which it is stored: scheme, host, port, path."""
    parts = parts_of(url)
    usual = {"http": 80, "https": 443}[parts.scheme]
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    port = f":{parts.port}" if parts.port and parts.port != usual else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def parts_of(url: str) -> SplitResult:
    """Take a server's URL apart. Raises Malformed where it is none."""
    try:
        parts = urlsplit(url.strip())
        # What cannot be connected to is found here: a port that is no number, a name that no name server takes.
        named = parts.port != 0 and bool((parts.hostname or "").encode("idna"))
        known = named and parts.scheme in ("http", "https")
    except ValueError:
        known = False
    if not known or _BLANK.search(parts.netloc) or not _PATH.fullmatch(parts.path):
        raise Malformed(f"{url!r} is not the URL of a server.", help="Write it like https://mesh.example.org")
    return parts
