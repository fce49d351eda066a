"""Waits for the disk that run at once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest

from thinmesh.adapters.git.packs import at_once


def test_waits_that_wait_for_others_all_end():
    """More of them at the same time than there are threads for."""
    done = []

    def wait(depth):
        at_once(*[partial(wait, depth - 1)] * 3) if depth else done.append(1)

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(wait, [4] * 8))
    assert len(done) == 8 * 3**4


def test_waits_run_beside_each_other():
    together = Barrier(3)
    at_once(*[partial(together.wait, 60)] * 3)
    assert not together.broken


def test_a_wait_that_fails_is_told_when_all_have_ended():
    done = []

    def fail():
        raise OSError("the disk is full")

    for waits in ([fail, partial(done.append, 1)], [partial(done.append, 1), fail], [fail]):
        with pytest.raises(OSError, match="full"):
            at_once(*waits)
    assert len(done) == 2
