"""Folders for what is in the making: made in the home, or refused in words when the home cannot be written."""

import pytest

from thinmesh.kernel.errors import Temporary
from thinmesh.kernel.scratch import make_folder


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
