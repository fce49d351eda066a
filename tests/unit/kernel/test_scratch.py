"""Folders for what is in the making: made in the home, or refused in words when the home cannot be written."""

import pytest

from thinmesh.kernel.errors import Temporary
from thinmesh.kernel.scratch import make_folder, scratch_folder


def test_each_is_a_folder_of_its_own(tmp_path):
    made = {make_folder(tmp_path, "upload-") for _ in range(3)}
    assert {each.name[:7] for each in made} == {"upload-"}
    assert len(made) == 3


def test_a_home_that_cannot_be_written_is_said_to_be_without_its_path(tmp_path):
    (tmp_path / "run").write_text("a file is in its place")
    with pytest.raises(Temporary) as refused:
        make_folder(tmp_path / "run", "upload-")
    assert "run cannot be written" in refused.value.detail
    assert str(tmp_path) not in refused.value.detail


def test_one_for_a_while_is_gone_whatever_happens_and_seen_by_nobody_else(tmp_path):
    staging = tmp_path / "run" / "staging"

    def fail():
        with scratch_folder(staging) as folder:
            (folder / "half").write_text("half")
            assert [each.stat().st_mode & 0o777 for each in (folder, staging)] == [0o700, 0o700]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(staging.iterdir()) == []
