"""Folders of the home for what is in the making."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .errors import Temporary


def make_folder(parent: Path, prefix: str = "") -> Path:
    """Make a folder of one's own in a folder of the home; the caller takes it away. Raises Temporary."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    except OSError as error:
        raise Temporary(
            f"The home's folder {parent.name} cannot be written: {error.strerror}.",
            help="See that its disk has room and works, then try again; nothing was changed.",
        ) from error
