"""`thinmesh init`, `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thinmesh.interface.documents import document
from thinmesh.interface.platform import bootstrap

from . import output
from .door import Door, command


@command("init", acts=False)
@click.argument("folder", metavar="[DIR]", default=".")
def init_command(door: Door, folder: str) -> None:
    """Make a platform home."""
    made = document(bootstrap().init_home(Path(folder)))
    door.show(made, _made)


def _made(found: Any) -> str:
    home = output.printable(found["home"])
    return (
        f"made the platform home {home}\n"
        f"administrator's token, shown this once (its user: admin):\n{found['admin_token']}\n"
        f"next: cd {home} && thinmesh team create TEAM --domain DOMAIN, and `thinmesh up` to serve it"
    )


@command("restore", acts=False)
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("folder", metavar="[DIR]", default=".")
def restore_command(door: Door, file: str, folder: str) -> None:
    """Make a platform home from a backup."""
    with door.progress():
        made = document(bootstrap().restore_home(Path(folder), Path(file)))
    door.show(made, _restored)


def _restored(found: Any) -> str:
    lines = [f"restored the platform home {output.printable(found['home'])}, as it was at {found['at']}"]
    if found.get("admin_token"):
        lines.append(f"administrator's token, shown this once (earlier ones are void):\n{found['admin_token']}")
    return "\n".join([*lines, *(f"note: {output.printable(note)}" for note in found.get("notes", ()))])
