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
        door.show(session.status(), _report)


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
def rebuild_command(door: Door, projection: str | None) -> None:
    """Build what is derived again from the sources of truth."""
    with door.session() as session, door.progress() as progress:
        found = session.rebuild(projection, progress)
    door.show(found, _report)


@command("backup")
@click.argument("file")
@click.option("--with-keys", is_flag=True, help="With the signing key: tokens stay valid on the restored home.")
def backup_command(door: Door, file: str, with_keys: bool) -> None:
    """Write a backup of the platform to a file."""
    with door.session() as session, door.progress() as progress:
        found = session.backup(Path(file), with_keys, progress)
    door.show(found, _report)


def _report(found: Any, indent: str = "") -> str:
    lines = []
    for name, value in found.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{output.printable(name)}", _report(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{indent}{output.printable(name)}")
            lines += [
                f"{indent}  " + ", ".join(f"{key} {output.printable(each[key])}" for key in each) for each in value
            ]
        else:
            shown = ", ".join(map(output.printable, value)) if isinstance(value, list) else output.printable(value)
            lines.append(f"{indent}{output.printable(name)}: {shown or '-'}")
    return "\n".join(lines)


def _diagnosis(found: Any) -> str:
    rows = [(each["state"], each["invariant"], each["detail"], each["heal"]) for each in found["findings"]]
    verdict = "ok: nothing is broken" if found["ok"] else "broken: see above"
    return output.table(("state", "invariant", "detail", "what heals it"), rows) + f"\n{verdict}"
