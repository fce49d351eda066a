"""Data files that no publication names: what is left of publications that did not come about."""

from __future__ import annotations

import time
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .backend import Backends
from .projections import require_on_log
from .reading import named_files

# A file is stored before the log names it; no publication takes so long.
GRACE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A data file that nobody names; `age` counts from when it was written."""

    path: str
    bytes: int
    age: timedelta


def orphans(backends: Backends, named: Container[str]) -> list[Orphan]:
    """List the data files that are not in `named`, the oldest first."""
    found = []
    now = backends.clock()
    lived = timedelta(seconds=time.monotonic() - backends.began)
    for path in backends.location.paths():
        if path in named:
            continue
        try:
            facts = (backends.layout.lake / path).stat()
        except OSError:
            continue
        written = datetime.fromtimestamp(facts.st_mtime, UTC)
        # A clock that jumps forth ages nothing that was written since we started: it may belong to what is being made.
        age = min(now - written, max(backends.started - written, timedelta(0)) + lived)
        found.append(Orphan(path, facts.st_size, age))
    return sorted(found, key=lambda orphan: orphan.age, reverse=True)


def remove_orphans(backends: Backends, grace: timedelta = GRACE) -> int:
    """Remove data files older than `grace` that no entry of the log names; give how many.

    The log is read after the files are listed: what a publication named in between is kept. Raises Internal where the
    log lacks what was accepted: it would not name the files of that.
    """
    require_on_log(backends)
    old = {orphan.path for orphan in orphans(backends, frozenset()) if orphan.age > grace}
    for file in named_files(backends.ledger.entries()) if old else ():
        old.discard(file.path)
    for path in sorted(old):
        backends.location.remove(path)
    return len(old)
