"""Lives that deliver to a catalog and are killed at a line: run as a program, it forks each of them.

    python -m tests.torture.delivering HOME CATALOG SEED POINTS

It writes {"killed": …, "again": …, "faults": […]}: lives that the kill hit, products told once more for it, and what
was not as it must be.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.integration.stand_in_catalog import StandIn, rendered
from thinmesh.bootstrap import init_home, open_home
from thinmesh.planes.product.deliveries import Deliveries, Pace
from thinmesh.planes.product.records import Records

_TRACED = ("/product/deliveries.py", "/sql/deliveries.py", "/product/records.py", "/stand_in_catalog.py")
NAMES = [f"p{number}" for number in range(8)]


class Trace:
    """Counts the lines of what delivers, over all threads, and kills the process at one of them."""

    def __init__(self, last: int | None) -> None:
        self.count = 0
        self._last = last
        threading.settrace(self.call)
        sys.settrace(self.call)

    def call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self.line if frame.f_code.co_filename.endswith(_TRACED) else None

    def line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.count += 1
            if self.count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.line


def opened(home: Path, catalog: Path) -> tuple[Any, Deliveries, StandIn]:
    platform = open_home(home)
    with platform.database.write() as tx:
        platform.delivered.attach(tx, ["stand_in"])
    stand_in = StandIn(catalog)
    records = Records(platform.index, lambda: platform.teams)
    pace = Pace(chance=lambda: 0.0)
    return platform, Deliveries(stand_in, platform.database, platform.delivered, records, pace), stand_in


def change(home: Path, catalog: Path, chance: random.Random) -> None:
    """Change some products; nothing is delivered yet."""
    platform, _, _ = opened(home, catalog)
    admin = platform.identity.principal_of_home()
    for name in chance.sample(NAMES, 5):
        document = {"name": name, "domain": "sales", "owner": "shop", "description": str(chance.random())}
        platform.products.register(admin, json.dumps(document).encode())
    platform.close()


def deliver(home: Path, catalog: Path, last: int | None) -> int:
    """Deliver all there is, and give the number of lines that took."""
    _, deliveries, _ = opened(home, catalog)
    trace = Trace(last)
    while deliveries.follow(3):
        pass
    sys.settrace(None)
    return trace.count


def judge(home: Path, catalog: Path) -> list[str]:
    """Say what is not as it must be once everything is delivered."""
    platform, deliveries, stand_in = opened(home, catalog)
    while deliveries.follow():
        pass
    shown, told, faults = stand_in.shown(), stand_in.told(), []
    records = Records(platform.index, lambda: platform.teams)
    with platform.database.read() as tx:
        for name in platform.index.names(tx):
            record = records.of(tx, name)
            if json.loads(json.dumps(rendered(record))) != shown.get(name):
                faults.append(f"{name} is not shown as it is")
            sequences = [sequence for each, sequence in told if each == name]
            if sequences != sorted(sequences) or sequences[-1] != record.product.sequence:
                faults.append(f"{name} was told out of order: {sequences}")
        states = {each["state"] for each in platform.delivered.list(tx, None, None, None, 99, ("", ""))}
    if states - {"done"}:
        faults.append(f"states: {states}")
    platform.close()
    return faults


def life(act: Callable[[], Any]) -> tuple[bool, Any]:
    """Run something in a process of its own; tell whether it lived to the end, and what it gave."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, json.dumps(act()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False, None
    return True, json.loads(said)


def main(home: Path, catalog: Path, seed: int, points: int) -> dict[str, Any]:
    chance = random.Random(seed)
    life(lambda: found(home))
    killed, faults = 0, []
    life(lambda: change(home, catalog, chance))
    _, lines = life(lambda: deliver(home, catalog, None))
    for _ in range(points):
        chance.random()  # each fork would go on from the same state
        life(lambda: change(home, catalog, random.Random(chance.getrandbits(64))))
        lived, _ = life(lambda: deliver(home, catalog, chance.randint(1, lines)))
        killed += not lived
        faults += life(lambda: judge(home, catalog))[1]
    told = StandIn(catalog).told()
    return {"killed": killed, "again": len(told) - len(set(told)), "faults": faults}


def found(home: Path) -> None:
    init_home(home)
    platform = open_home(home)
    platform.identity.create_team(platform.identity.principal_of_home(), "shop", ["sales"])
    platform.close()


if __name__ == "__main__":
    outcome = main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    sys.stdout.write(json.dumps(outcome))
