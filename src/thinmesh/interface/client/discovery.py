"""Where a command acts: what was said, the environment, a home in this folder or above, what `login` stored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thinmesh.interface.sockets import reachable, running
from thinmesh.kernel.errors import Malformed, NotFound, NotSignedIn

if TYPE_CHECKING:
    from .session import Session

MARKER = "thinmesh.toml"


@dataclass(frozen=True, slots=True)
class Target:
    """A home or a server, and who acts there. `found` says where it was told, for messages."""

    found: str
    home: Path | None = None
    url: str | None = None
    token: str | None = None
    acting_as: str | None = None

    def session(self, door: str = "cli") -> Session:
        """Open a session: on a home through its `up` where one runs, else in this process."""
        if self.home is None:
            from .remote import RemoteSession
            from .transport import Transport

            return RemoteSession(Transport(self.url or "", self._signed()))
        socket = reachable(self.home)
        if socket is not None:
            from .remote import RemoteSession
            from .transport import Transport

            url = str(running(self.home).get("url") or "http://localhost")
            return RemoteSession(Transport(url, unix=socket, acting_as=self.acting_as))
        from .local import LocalSession

        return LocalSession(self.home, self.acting_as, door)

    def _signed(self) -> str:
        if not self.token:
            raise NotSignedIn(
                f"There is no token for {self.url}.", help=f"Run `thinmesh login {self.url}`, or set THINMESH_TOKEN."
            )
        return self.token


def discover(
    home: str | None = None,
    url: str | None = None,
    token: str | None = None,
    acting_as: str | None = None,
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Target:
    """Find where to act, by the first that is given: arguments, environment, a home here or above, `login`.

    Raises Malformed for contradicting ones, NotFound where there is nothing.
    """
    target = _told(home, url, token, acting_as, "said") or _environment(environment, acting_as)
    target = target or _around(folder or Path.cwd(), acting_as) or _stored(environment, token, acting_as)
    if target is None:
        raise NotFound(
            "There is no mesh here: no home in this folder or above, and no server signed in to.",
            help="Make a home with `thinmesh init DIR`, or sign in with `thinmesh login URL`.",
        )
    return target


def _told(home: str | None, url: str | None, token: str | None, acting_as: str | None, found: str) -> Target | None:
    if home and url:
        raise Malformed(f"Both a home and a URL are {found}.", help="Name one of them.")
    if home:
        return Target(found, home=_home(Path(home)), acting_as=acting_as)
    if url:
        _refuse_acting(acting_as)
        return Target(found, url=url.rstrip("/"), token=token or _token_for(url, os.environ))
    return None


def _environment(environment: Mapping[str, str], acting_as: str | None) -> Target | None:
    home, url = environment.get("THINMESH_HOME"), environment.get("THINMESH_URL")
    if home and url:
        raise Malformed("Both THINMESH_HOME and THINMESH_URL are set.", help="Unset one of them.")
    if home:
        return Target("THINMESH_HOME", home=_home(Path(home)), acting_as=acting_as)
    if url:
        _refuse_acting(acting_as)
        return Target("THINMESH_URL", url=url.rstrip("/"), token=_token_for(url, environment))
    return None


def _around(folder: Path, acting_as: str | None) -> Target | None:
    """Look for a home of this OS user here and above; one of somebody else is passed over, as git does."""
    for candidate in (folder, *folder.parents):
        marker = candidate / MARKER
        try:
            if marker.is_file() and marker.stat().st_uid == os.getuid():
                return Target(str(candidate), home=candidate, acting_as=acting_as)
        except OSError:
            continue
    return None


def _stored(environment: Mapping[str, str], token: str | None, acting_as: str | None) -> Target | None:
    from .credentials import Credentials

    stored = Credentials.of(environment)
    url = stored.default
    if url is None:
        return None
    _refuse_acting(acting_as)
    return Target("login", url=url, token=token or environment.get("THINMESH_TOKEN") or stored.token(url))


def _token_for(url: str, environment: Mapping[str, str]) -> str | None:
    given = environment.get("THINMESH_TOKEN")
    if given:
        return given.strip()
    from .credentials import Credentials

    return Credentials.of(environment).token(url)


def _home(path: Path) -> Path:
    if not (path / MARKER).is_file():
        raise NotFound(f"{path} is no platform home: it has no {MARKER}.", help=f"Make one: thinmesh init {path}")
    return path.resolve()


def _refuse_acting(acting_as: str | None) -> None:
    if acting_as:
        raise Malformed(
            "--as works on a home only; on a server the token says who acts.",
            help="Sign in as that user: thinmesh login URL",
        )
