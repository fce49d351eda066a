"""What the suites under fire share."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.torture.crashing import APART, MOUNT, Nursery


@pytest.fixture(scope="module")
def nursery():
    nursery = Nursery()
    yield nursery
    nursery.close()


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
