"""The settings of `data.git` that stock git processes follow when they serve it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# A push may hold as much (DESIGN, *Push*: beyond it, `publish`).
_MAX_PUSH = 500 * 1024 * 1024

_SETTINGS = """\
# Written by thinmesh at every start; changes are lost.
[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	autocrlf = false
	logAllRefUpdates = false
	bigFileThreshold = 8m
	hooksPath = {hooks}
{fsync}[receive]
	procReceiveRefs = refs/for/main
	procReceiveRefs = refs/heads/main
	denyNonFastForwards = true
	denyDeletes = true
	denyDeleteCurrent = refuse
	fsckObjects = true
	maxInputSize = {limit}
	autogc = false
	unpackLimit = 1
	advertiseAtomic = false
	advertisePushOptions = false
	keepAlive = 5
	shallowUpdate = false
	updateServerInfo = false
[transfer]
	fsckObjects = true
	unpackLimit = 1
[uploadpack]
	allowFilter = true
	keepAlive = 5
[uploadpackfilter]
	allow = false
[uploadpackfilter "blob:none"]
	allow = true
[uploadpackfilter "blob:limit"]
	allow = true
[uploadpackfilter "tree"]
	allow = true
[http]
	receivepack = true
	uploadpack = true
	getanyfile = false
[gc]
	auto = 0
[maintenance]
	auto = false
[pack]
	threads = 1
	windowMemory = 128m
"""


def write_settings(path: Path, *, fsync: bool, hooks: Path | None = None, limit: int = _MAX_PUSH) -> None:
    """Write `config` of the repository anew, in one rename.

    `hooks` is the folder of the hooks; until it is set, nothing serves the repository. `limit` is the most that one
    push may send, in bytes.
    """
    text = _SETTINGS.format(
        hooks=_quoted(str(hooks or path / "hooks")),
        limit=limit,
        # `committed`: every object and reference that a commit makes (git-config, core.fsync; git 2.36).
        fsync="\tfsync = committed\n" if fsync else "\tfsync = none\n",
    )
    replace_file(path / "config", text.encode(), 0o600)


def write_global_settings(path: Path, repository: Path) -> None:
    """Write the file that serving git processes read in place of the user's: it trusts this repository alone."""
    replace_file(path, f"[safe]\n\tdirectory = {_quoted(str(repository))}\n".encode(), 0o600)


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole, or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            os.fchmod(out.fileno(), mode)
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
