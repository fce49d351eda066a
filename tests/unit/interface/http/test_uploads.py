"""How much of the disk an upload may take."""

import shutil

import pytest

from thinmesh.interface.http.uploads import _Room
from thinmesh.kernel.errors import Temporary, TooLarge


def test_no_upload_takes_the_reserve_of_the_disk_whatever_the_limit(tmp_path):
    room = _Room(tmp_path, 1 << 60)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(Temporary, match="left for uploads"):
        room.take(free)
    with pytest.raises(Temporary, match="left for uploads"):
        room.take(1, more=free)
    room.take(1)


def test_the_limit_holds_whatever_the_disk(tmp_path):
    room = _Room(tmp_path, 10)
    room.take(10)
    with pytest.raises(TooLarge):
        room.take(11, more=1)
