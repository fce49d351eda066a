"""`thinmesh version`."""

from __future__ import annotations

from thinmesh import __version__

from .door import Door, command


@command("version", acts=False)
def version_command(door: Door) -> None:
    """Print the version."""
    door.show({"version": __version__}, lambda found: f"thinmesh {found['version']}")
