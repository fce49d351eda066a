import shutil

import pytest

from thinmesh.adapters.git.care import GitCare, GitRepositories
from thinmesh.adapters.git.store import Store
from thinmesh.kernel.errors import Internal, Temporary

FULL = "fatal: sha1 file 'objects/pack/tmp_pack_a1B2c3' write error. Out of diskspace"


@pytest.fixture
def failing(tmp_path):
    """Make a git that leaves half of a pack, and dies with these words."""

    def made(words):
        script = tmp_path / "git"
        # As stock git is called here: git -C REPOSITORY …
        script.write_text(f'#!/bin/sh\ntouch "$2/objects/pack/tmp_pack_a1B2c3" && echo "{words}" >&2\nexit 128\n')
        script.chmod(0o755)
        return str(script)

    return made


@pytest.fixture
def repository(tmp_path):
    """Make a repository with two packs, and the draft of a third that is being written."""
    path = tmp_path / "some.git"
    Store.make(path)
    packs = path / "objects" / "pack"
    for name in ("pack-1.idx", "pack-2.idx", "tmp_pack-3_pack"):
        (packs / name).touch()
    return path


@pytest.mark.parametrize("step", ["tidy", "sweep"])
@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (FULL, Temporary, "The disk of the platform home is full."),
        ("fatal: write error: No space left on device", Temporary, "The disk of the platform home is full."),
        ("fatal: bad object HEAD", Internal, "git repack failed in some.git: fatal: bad object HEAD."),
    ],
    ids=["pack", "errno", "damage"],
)
def test_half_a_pack_does_not_stay_where_git_could_not_write_the_whole(failing, repository, step, words, error, told):
    with pytest.raises(error) as raised:
        getattr(GitCare(repository, failing(words)), step)()
    assert raised.value.detail == told
    left = sorted(path.name for path in (repository / "objects" / "pack").iterdir())
    assert left == ["pack-1.idx", "pack-2.idx", "tmp_pack-3_pack"]


def test_a_backup_is_not_called_damaged_where_the_disk_is_full(failing, repository, tmp_path):
    exported = tmp_path / "exported"
    exported.write_bytes(b"PACK")
    shutil.rmtree(repository)
    with pytest.raises(Temporary) as raised:
        GitRepositories(failing(FULL)).restore_data(repository, exported, "1" * 40)
    assert raised.value.detail == "The disk of the platform home is full."
