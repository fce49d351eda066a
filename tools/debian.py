"""Installs Debian packages that only tests need, where it may; where it may not, names the command.

    python tools/debian.py chromium=/usr/bin/chromium …

Each argument is a package and a file that is there once it is installed. Tests that lack one say so themselves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(wanted: list[str]) -> int:
    """Install what is missing."""
    pairs = [each.partition("=") for each in wanted]
    missing = [package for package, _, file in pairs if not Path(file).exists()]
    if not missing:
        return 0
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing]
    if os.geteuid() or not shutil.which("apt-get"):
        print(f"Some tests need more than this machine has: sudo {' '.join(command)}", file=sys.stderr)
        return 0
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    print(f"installing for the tests: {' '.join(missing)}", file=sys.stderr)
    for each in (["apt-get", "update", "--quiet"], command):
        done = subprocess.run(each, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            print(f"{' '.join(each)} failed; the tests that need it say so", file=sys.stderr)
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
