"""DataHub's stand-in of the tests in a process of its own, which takes everything without judging it."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from tests.integration.datahub_stand_in import StandIn, patched


@contextmanager
def stand_in() -> Iterator[tuple[str, Callable[[], None]]]:
    """Run it, and give its URL, and a call that empties it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    url = ours.recv()

    def clear() -> None:
        ours.send("clear")
        ours.recv()

    yield url, clear
    ours.send("end")
    process.join()


def _serve(line: Connection) -> None:
    with StandIn(judge=_taken, strict=False) as service:
        line.send(service.url)
        while line.recv() == "clear":
            service.store.clear()
            line.send("cleared")


def _taken(proposal: Mapping[str, Any], stored: Any) -> tuple[Sequence[str], Any]:
    value = json.loads(proposal["aspect"]["value"])
    return (), patched(value, stored) if proposal["changeType"] == "PATCH" else value
