"""Folders of the home for what one request brings or takes away."""

from __future__ import annotations

import tempfile
from pathlib import Path

from thinmesh.kernel.errors import Temporary


def make_folder(run: Path, prefix: str) -> Path:
    """Make a folder of a request's own in the home's `run`; the caller takes it away. Raises Temporary."""
    try:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=run))
    except OSError as error:
        raise Temporary(
            f"The home's folder {run.name} cannot be written: {error.strerror}.",
            help="Ask whoever runs the server to see that its disk has room and works; nothing was changed.",
        ) from error
