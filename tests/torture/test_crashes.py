"""kill -9 in the middle of everything that writes: what was acknowledged is there, the rest is whole or absent.

`make torture` draws more points, and a new seed; a failure tells the seed, and the same seed draws the same points.
"""

from __future__ import annotations

import os
from zlib import crc32

import pytest

from tests.torture.crashing import KINDS, Story

SEED = int(os.environ.get("THINMESH_TORTURE_SEED", "1"))
POINTS = int(os.environ.get("THINMESH_TORTURE_POINTS", "22"))
# Whether every combination is tried, or those that stand for the others.
LONG = POINTS > 22


@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_loses_nothing_that_was_acknowledged(kind, nursery, tmp_path, record_property):
    story = Story(tmp_path, nursery, seed=crc32(f"{SEED} {kind}".encode()))
    record_property("seed", SEED)
    hits = sum(story.step(kind) for _ in range(POINTS))
    assert story.asked()
    record_property("held", ("crash points", hits, hits))
    assert hits > POINTS // 2, "the kills came too late to prove anything"


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_refuses_or_does_and_harms_nothing(kind, small_disk, tmp_path, record_property):
    nursery, disk = small_disk
    story = Story(disk / kind, nursery, seed=crc32(f"{SEED} disk {kind}".encode()), outside=tmp_path)
    # There is something to tidy up only where something was superseded before each point.
    points = 4 if kind == "vacuum" and not LONG else max(POINTS // 2, 8)
    refused = sum(story.full_disk(kind, number, points) for number in range(points))
    assert refused, "the disk was never full"
    record_property("held", ("full-disk points", refused, refused))


def test_a_full_disk_restores_a_backup_whole_or_not_at_all(small_disk, tmp_path, record_property):
    nursery, disk = small_disk
    story = Story(disk / "backed-up", nursery, seed=crc32(f"{SEED} disk restore".encode()), outside=tmp_path)
    refused = story.restored(disk / "restored", points=POINTS if LONG else 4)
    assert refused, "the disk was never full"
    record_property("held", ("full-disk points", refused, refused))


@pytest.mark.parametrize("kind", ["publish_git", "publish_lake"])
def test_a_disk_that_is_full_in_the_middle_of_a_data_file_keeps_no_half_of_it(
    kind, small_disk, tmp_path, record_property
):
    nursery, disk = small_disk
    story = Story(disk / f"data-{kind}", nursery, seed=crc32(f"{SEED} data {kind}".encode()), outside=tmp_path)
    points = POINTS if LONG else 4
    refused = sum(story.full_disk_in_data(kind) for _ in range(points))
    assert refused, "the disk was never full"
    record_property("held", ("full-disk points", refused, refused))


@pytest.mark.parametrize("part", ["", "data.git", "log.git", "lake", "run"])
def test_a_read_only_folder_refuses_or_does_and_doctor_names_the_way_out(part, small_disk, tmp_path, record_property):
    nursery, disk = small_disk
    story = Story(disk / f"shut-{part}", nursery, seed=crc32(f"{SEED} shut {part}".encode()), outside=tmp_path)
    kinds = KINDS if LONG else ["register", "publish_git", "publish_lake", "push", "grant"]
    refused = [kind for kind in kinds if story.read_only(kind, part)]
    assert set(refused) >= ({"register", "publish_git"} if part != "lake" else {"publish_lake"})
    assert story.mend(part) == [f"mount -o remount,rw {(story.home / part).resolve()}"]
    record_property("held", ("read-only points", len(kinds) + 1, len(kinds) + 1))
