"""What the suites under fire share."""

from __future__ import annotations

import os
import subprocess

import pytest

from .besieged import World, besieged
from .crashing import APART, MOUNT, Nursery


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


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Give a served mesh to attack; it is checked as a whole when all attacks are over."""
    with besieged(tmp_path_factory.mktemp("besieged")) as world:
        yield world


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Count each test on the besieged mesh as one attack, which held if the test passed."""
    if not isinstance(getattr(item, "funcargs", {}).get("world"), World):
        return (yield)
    held = 0
    try:
        result = yield
        held = 1
        return result
    finally:
        item.user_properties.append(("held", ("push attacks", 1, held)))
