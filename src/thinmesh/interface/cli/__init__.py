"""The command line: parse, call one operation, render. Commands are loaded when they are called."""

from __future__ import annotations

import os
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code (INTERFACE, *CLI*)."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        from thinmesh import __version__

        print(f"thinmesh {__version__}")
        return
    try:
        from .app import run

        code = run(arguments)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        # Where the interrupt fell into an import, Python would end by the signal instead of by this code.
        os._exit(code)
    sys.exit(code)
