"""Run the command line: `python -m thinmesh.interface.cli`."""

from . import main

main()
