"""`thinmesh check --contract`: the check without a platform."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thinmesh.interface.client.files import parts_of
from thinmesh.interface.documents import document
from thinmesh.interface.platform import bootstrap
from thinmesh.kernel.documents import bare_contract
from thinmesh.kernel.errors import Malformed
from thinmesh.kernel.progress import Progress
from thinmesh.planes.product.model import Upload


def check_files(contract: Path, files: Sequence[str], progress: Progress) -> Any:
    """Check files against a contract document and give the verdict's document."""
    try:
        content = contract.read_bytes()
    except OSError as error:
        raise Malformed(f"{contract} cannot be read: {error.strerror}.", help="Name an ODCS document.") from error
    tables = bare_contract(content, file=str(contract)).tables
    uploads = [Upload(part.name, part.path) for part in parts_of(files, "", tables)]
    return document(bootstrap().check_standalone(content, uploads, progress, file=str(contract)))
