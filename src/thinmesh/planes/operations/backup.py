"""Write a backup: one file that a whole home can be made of again, while everything goes on.

What is copied when: the database first, as one consistent state. Then the log as it is by then, at or after that state;
`main` as the newest of its entries says; and the data files that its manifests name, which never change. A home made of
these catches up from the log as after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thinmesh.kernel.clock import text_of_time
from thinmesh.kernel.errors import Internal
from thinmesh.kernel.progress import Progress
from thinmesh.kernel.scratch import scratch_folder

from .backend import ArchiveWriter, Backends, Tools
from .model import BackedUp, BackupRecord
from .projections import require_on_log
from .reading import LogFacts, read_log
from .superseded import KEPT

FORMAT = 1
HEAD, MANIFEST = "backup.json", "manifest.json"
_MOST = 20  # missing or damaged files that are named; the result must fit a header of HTTP


@dataclass(slots=True)
class _Contents:
    """What went into the archive: (sha256, bytes) by name, and which data files were not as the log says."""

    archive: ArchiveWriter
    names: dict[str, tuple[str, int]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def add_file(self, name: str, path: Path) -> str:
        """Add a file; give its sha256."""
        self.names[name] = self.archive.add_file(name, path)
        return self.names[name][0]

    def move_in(self, name: str, path: Path) -> None:
        """Add a file of our own making, and free its space."""
        self.add_file(name, path)
        path.unlink()


def back_up(backends: Backends, tools: Tools, path: Path, with_keys: bool, progress: Progress) -> BackedUp:
    """Write a backup to a new file.

    Raises Refused where there is such a file, Temporary where the disk is full, Internal where the log or a repository
    is damaged. A data file that is missing or damaged is named in the result, and the rest is kept safe.
    """
    at = text_of_time(backends.clock())
    with scratch_folder(backends.scratch) as folder, tools.archives.create(path) as archive:
        contents = _Contents(archive)
        head = {"format": FORMAT, "thinmesh": tools.version, "at": at}
        archive.add(HEAD, _json(head))
        progress("copying the database", 0, 0)
        backends.database.backup(folder / "thinmesh.db")
        contents.move_in("thinmesh.db", folder / "thinmesh.db")
        require_on_log(backends)
        start = backends.data.tip()
        facts = _whole(read_log(backends.ledger.entries()))
        tips = {"log": facts.id, "data": facts.last.new if facts.last else start}
        _add_repositories(contents, tools, tips, folder, progress)
        _add_settings(contents, backends, with_keys)
        _add_data_files(contents, backends, tools, facts, progress)
        archive.add(MANIFEST, _json({**head, **_manifest(contents, facts, tips, with_keys)}))
    record = BackupRecord(at, facts.sequence, path.stat().st_size, with_keys)
    return _result(path, tools, record, facts, contents)


def _whole(facts: LogFacts) -> LogFacts:
    if facts.faults:
        raise Internal(f"The log is damaged: {facts.faults[0]}.", help="Run `thinmesh doctor`.")
    return facts


def _add_repositories(
    contents: _Contents, tools: Tools, tips: Mapping[str, str], folder: Path, progress: Progress
) -> None:
    progress("copying the log", 0, 0)
    if tips["log"]:
        tools.log_care.export(tips["log"], folder / "log.pack")
        contents.move_in("log.pack", folder / "log.pack")
    progress("copying the data repository", 0, 0)
    tools.data_care.export(tips["data"], folder / "data.pack")
    contents.move_in("data.pack", folder / "data.pack")


def _add_settings(contents: _Contents, backends: Backends, with_keys: bool) -> None:
    contents.add_file("thinmesh.toml", backends.layout.settings)
    for key in sorted(backends.layout.keys.glob("*.pem")) if with_keys else ():
        contents.add_file(f"keys/{key.name}", key)


def _add_data_files(contents: _Contents, backends: Backends, tools: Tools, facts: LogFacts, progress: Progress) -> None:
    with backends.database.read() as tx:
        derived = tools.store.derived(tx)
    since = backends.clock() - KEPT
    total = sum(file.bytes for file in facts.files.values())
    done = 0
    for path, file in sorted(facts.files.items()):
        progress("copying data files", done, total)
        done += file.bytes
        try:
            sha256 = contents.add_file(f"lake/{path}", backends.location.path(file))
        except FileNotFoundError:
            if facts.superseded.get(path, backends.clock()) > since:
                contents.missing.append(path)
            continue
        if sha256 not in (file.sha256, derived.get(path, (file.sha256, 0))[0]):
            contents.damaged.append(path)


def _manifest(contents: _Contents, facts: LogFacts, tips: Mapping[str, str], with_keys: bool) -> dict[str, Any]:
    return {
        "sequence": facts.sequence,
        "tips": dict(tips),
        "keys": with_keys,
        "missing": contents.missing,
        "contents": {name: {"sha256": sha256, "bytes": size} for name, (sha256, size) in contents.names.items()},
    }


def _result(path: Path, tools: Tools, record: BackupRecord, facts: LogFacts, contents: _Contents) -> BackedUp:
    return BackedUp(
        file=str(path),
        format=tools.archives.format,
        bytes=record.bytes,
        at=record.at,
        sequence=record.sequence,
        products=len(facts.latest),
        data_files=sum(name.startswith("lake/") for name in contents.names),
        keys=record.keys,
        missing=tuple(contents.missing[:_MOST]),
        damaged=tuple(contents.damaged[:_MOST]),
        missing_count=len(contents.missing),
        damaged_count=len(contents.damaged),
    )


def _json(found: Mapping[str, Any]) -> bytes:
    return json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n"
