"""`thinmesh status`, `doctor`, `rebuild`, `backup`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import output
from .door import Door, command


@command("status")
def status_command(door: Door) -> None:
    """Report how the platform is doing."""
    with door.session() as session:
        door.show(session.status(), _status)


@command("doctor")
@click.option("--deep", is_flag=True, help="Read every object and data file.")
def doctor_command(door: Door, deep: bool) -> int:
    """Find and name every broken invariant."""
    with door.session() as session:
        found = session.doctor(deep)
    door.show(found, _diagnosis)
    return 0 if found["ok"] else 1


@command("rebuild")
@click.argument("projection", required=False)
def rebuild_command(door: Door, projection: str | None) -> int:
    """Build what is derived again from the sources of truth."""
    with door.session() as session, door.progress() as progress:
        found = session.rebuild(projection, progress)
    door.show(found, _rebuilt)
    return 5 if found["failed"] else 0


@command("backup")
@click.argument("file")
@click.option("--with-keys", is_flag=True, help="With the signing key: tokens stay valid on the restored home.")
def backup_command(door: Door, file: str, with_keys: bool) -> None:
    """Write a backup of the platform to a file."""
    with door.session() as session, door.progress() as progress:
        found = session.backup(Path(file), with_keys, progress)
    door.show(found, _backed_up)


def _status(found: Any) -> str:
    counts, disk, backup = found["counts"], found["disk"], found["last_backup"]
    known = output.facts(
        [
            ("version", found["version"]),
            ("up for", output.span(found["uptime"]) if found["uptime"] else None),
            ("products", _counted(counts, "products", "retired", "tables", "publications")),
            ("open data", f"{output.plural(counts['rows'], 'row')}, {output.size(counts['bytes'])}"),
            ("people", _counted(counts, "users", "teams")),
            ("log", f"{found['log']['sequence']:,} entries, tip {str(found['log']['tip'])[:12]}"),
            ("disk", f"{output.size(disk['free'])} free of {output.size(disk['total'])}"),
            *_engine(found["workers"]),
            ("backup", f"{backup['at']}, {output.size(backup['bytes'])}" if backup else "none yet"),
        ]
    )
    rows = [(each["name"], each["sequence"], each["lag"], each["error"]) for each in found["projections"]]
    return f"{known}\n\n{output.table(('projection', 'at entry', 'behind', 'error'), rows, right=(1, 2))}"


def _engine(found: Any) -> list[tuple[str, Any]]:
    """Draw what the engine tells; another engine may tell less."""
    sandbox = found.get("sandbox") or {}
    off = [f"{name} {state}" for name, state in sandbox.items() if not str(state).startswith("on")]
    memory = f", {output.size(found['memory'])} a statement" if found.get("memory") else ""
    return [
        ("engine", f"{found.get('engine', '')} {found.get('version', '')}{memory}"),
        ("workers", _counted(found.get("workers") or {}, *(found.get("workers") or {}))),
        ("statements", _counted(found.get("queue") or {}, *(found.get("queue") or {}))),
        ("sandbox", ", ".join(off) or ("on" if sandbox else None)),
    ]


def _counted(counts: Any, *names: str) -> str:
    return ", ".join(f"{counts[name]:,} {_noun(name, counts[name])}" for name in names if name in counts)


def _noun(name: str, count: int) -> str:
    """Write the name of a count as a noun; the names are plurals, or words like `retired`."""
    words = name.replace("_", " ")
    if count != 1 or not words.endswith("s"):
        return words
    return f"{words[:-3]}y" if words.endswith("ies") else words[:-1]


def _rebuilt(found: Any) -> str:
    rows = [(name, _counted(counts, *counts)) for name, counts in found["rebuilt"].items()]
    failed = [f"failed: {output.printable(each)}" for each in found["failed"]]
    return "\n".join([output.table(("projection", "built again"), rows), *failed])


def _backed_up(found: Any) -> str:
    return output.facts(
        [
            ("backup", found["file"]),
            ("size", output.size(found["bytes"])),
            ("at", f"{found['at']}, entry {found['sequence']:,} of the log"),
            ("holds", _counted(found, "products", "data_files")),
            ("signing key", "in it" if found["keys"] else "not in it: tokens will be void on the restored home"),
            ("missing", _files(found, "missing")),
            ("damaged", _files(found, "damaged")),
        ]
    )


def _files(found: Any, which: str) -> list[str]:
    more = found[f"{which}_count"] - len(found[which])
    return [*found[which], *([f"and {more:,} more"] if more > 0 else [])]


def _diagnosis(found: Any) -> str:
    rows = [(each["state"], each["invariant"], each["detail"], each["heal"]) for each in found["findings"]]
    verdict = "ok: nothing is broken" if found["ok"] else "broken: see above"
    return output.table(("state", "invariant", "detail", "what heals it"), rows) + f"\n{verdict}"
