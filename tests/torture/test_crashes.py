"""kill -9 in the middle of everything that writes: what was acknowledged is there, the rest is whole or absent.

`make torture` draws more points, and a new seed; a failure tells the seed, and the same seed draws the same points.
"""

from __future__ import annotations

import os
from zlib import crc32

import pytest

from tests.torture.crashing import KINDS, Nursery, Story

SEED = int(os.environ.get("THINMESH_TORTURE_SEED", "1"))
POINTS = int(os.environ.get("THINMESH_TORTURE_POINTS", "22"))


@pytest.fixture(scope="module")
def nursery():
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_loses_nothing_that_was_acknowledged(kind, nursery, tmp_path, record_property):
    story = Story(tmp_path, nursery, seed=crc32(f"{SEED} {kind}".encode()))
    record_property("seed", SEED)
    hits = sum(story.step(kind) for _ in range(POINTS))
    record_property("held", ("crash points", hits, hits))
    assert hits > POINTS // 2, "the kills came too late to prove anything"
