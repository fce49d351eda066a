"""Run the sides of a job in turn, each in a process of its own, and watch the whole process tree from outside."""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from .model import Job, Side, Unavailable

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")
_EVERY = 0.02


class Broken(RuntimeError):
    """A side that failed; the text is its traceback."""


def measure(job: Job) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Run a job; give the medians by side and figure, and why sides are missing.

    Figures of every side: `seconds` of one round, `cpu` seconds of its process tree, `rss` its peak in MB (10^6
    bytes). Rounds of the sides alternate, so that a slow minute of the machine meets them all.
    """
    rounds: dict[str, list[dict[str, float]]] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        runners = {}
        for name, side in job.sides.items():
            try:
                runners[name] = stack.enter_context(_runner(side))
            except Unavailable as error:
                missing[name] = str(error)
        for number in range(job.warm + job.rounds):
            for name, runner in runners.items():
                if name in job.once and number != job.warm:
                    continue
                figures = runner.round()
                if number >= job.warm:
                    rounds.setdefault(name, []).append(figures)
    return {name: _medians(each) for name, each in rounds.items()}, missing


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {figure: statistics.median(each[figure] for each in rounds) for figure in rounds[0]}


class _Runner:
    """A side's process, from outside."""

    def __init__(self, pid: int, pipe: Connection) -> None:
        self._pid = pid
        self._pipe = pipe

    def round(self) -> dict[str, float]:
        """Run one round and add what its process tree used."""
        before = _cpu(self._pid)
        with _Peak(self._pid) as peak:
            self._pipe.send("round")
            figures = _answer(self._pipe)
        return {**figures, "cpu": _cpu(self._pid) - before, "rss": peak.bytes / 1e6}


@contextmanager
def _runner(side: Side) -> Iterator[_Runner]:
    # Spawned: a fork would count the bench's own memory, and carry its threads' locks.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(side, theirs))
    process.start()
    theirs.close()
    try:
        _answer(ours)
        yield _Runner(process.pid or 0, ours)
        ours.send("end")
        _answer(ours)
    finally:
        ours.close()
        process.join(30)
        if process.is_alive():
            process.kill()
            process.join()


def _answer(pipe: Connection) -> dict[str, float]:
    try:
        kind, content = pipe.recv()
    except EOFError:
        raise Broken("the side's process ended") from None
    if kind == "missing":
        raise Unavailable(content)
    if kind == "broken":
        raise Broken(content)
    return dict(content)


def _serve(side: Side, pipe: Connection) -> None:
    """Prepare the side, then run a round for each word that comes."""
    with tempfile.TemporaryDirectory(prefix="thinmesh-bench-") as folder:
        try:
            with side(Path(folder)) as work:
                pipe.send(("ready", {}))
                while pipe.recv() == "round":
                    gc.collect()
                    began = time.perf_counter()
                    figures: Mapping[str, float] = work() or {}
                    pipe.send(("done", {"seconds": time.perf_counter() - began, **figures}))
            pipe.send(("ended", {}))
        except Unavailable as error:
            pipe.send(("missing", str(error)))
        except BaseException:
            pipe.send(("broken", traceback.format_exc()))


class _Peak:
    """The peak of the resident memory of a process tree, sampled."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, sum(_resident(pid) for pid in _tree(self._pid)))
            if self._end.wait(_EVERY):
                return


def _tree(root: int) -> list[int]:
    """List a process and its descendants."""
    found = [root]
    for pid in found:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _cpu(root: int) -> float:
    """Sum the CPU seconds of a process tree, with those of children that ended."""
    total = 0
    for pid in _tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(each) for each in fields[11:15])
    return total / _TICK
