"""Programs beside which the product is measured, each in an environment of its own, outside the repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .model import Unavailable


def tools(*requirements: str) -> Path:
    """Install pinned packages into an environment kept for the next run; give its folder of programs.

    Raises Unavailable with what the installer said.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "thinmesh-bench"
    folder = cache / hashlib.sha256(repr((sys.version_info, requirements)).encode()).hexdigest()[:16]
    if not (folder / ".ready").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        shutil.rmtree(folder, ignore_errors=True)
        _run(uv, "venv", "--python", sys.executable, str(folder))
        _run(uv, "pip", "install", "--compile-bytecode", "--python", str(folder / "bin" / "python"), *requirements)
        (folder / ".ready").touch()
    return folder / "bin"


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise Unavailable(f"cannot be installed: {' '.join(str(said).split())[-300:]}") from error
