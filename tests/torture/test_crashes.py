"""kill -9 in the middle of everything that writes: what was acknowledged is there, the rest is whole or absent.

`make torture` draws more points, and a new seed; a failure tells the seed, and the same seed draws the same points.
"""

from __future__ import annotations

import os
import subprocess
from zlib import crc32

import pytest

from tests.torture.crashing import APART, KINDS, MOUNT, Nursery, Story

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


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A nursery on a file system of 256 MB, and the folder where that is."""
    disk = tmp_path_factory.mktemp("disk")
    tried = subprocess.run([*APART, MOUNT, str(disk), "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        reason = f"no file system can be mounted here: {tried.stderr.strip()}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    nursery = Nursery(disk)
    yield nursery, disk
    nursery.close()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "push"])
def test_a_full_disk_refuses_or_does_and_harms_nothing(kind, small_disk, record_property):
    nursery, disk = small_disk
    story = Story(disk / kind, nursery, seed=crc32(f"{SEED} disk {kind}".encode()))
    refused = sum(story.full_disk(kind) for _ in range(max(POINTS // 2, 8)))
    record_property("held", ("full-disk points", refused, refused))
