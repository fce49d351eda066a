"""`make bench`: the product beside its floor, in one run, interleaved; medians and ratios.

Usage: python -m bench [--rows N] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .jobs import Mesh, Row, check, publish, query, register, write_orders


def main() -> None:
    """Run every job and print the table."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {options.rows:,} rows, {options.rounds} rounds")
    print(f"{'job':<44}{'ours':>10}{'floor':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory(prefix="thinmesh-bench-") as folder:
        orders = write_orders(Path(folder) / "orders.csv", options.rows)
        mesh = Mesh(Path(folder) / "home")
        try:
            for row in (check(orders), publish(mesh, orders), query(mesh), register(mesh, Path(folder) / "floor.git")):
                print(_measured(row, options.rounds), flush=True)
        finally:
            mesh.close()


def _measured(row: Row, rounds: int) -> str:
    """Run both sides in turn, after one round that warms caches and is not counted."""
    ours, floor = [], []
    for number in range(rounds + 1):
        one, other = _seconds(row.ours), _seconds(row.floor)
        if number:
            ours.append(one)
            floor.append(other)
    left, right = statistics.median(ours), statistics.median(floor)
    return f"{row.name:<44}{left:>9.3f}s{right:>9.3f}s{left / right:>7.2f}x"


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
