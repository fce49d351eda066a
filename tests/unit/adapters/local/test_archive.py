import contextlib
import fcntl
import io
import os
import tarfile

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinmesh.adapters.local.archive import TarZstd, _header, _parsed
from thinmesh.kernel.errors import Locked, Refused

LONG = f"lake/{'a' * 63}/{'b' * 63}/{'c' * 24}.parquet"


def written(path, files):
    with TarZstd().create(path) as archive:
        for name, content in files.items():
            archive.add(name, content)
    return path


def read(path):
    with TarZstd().open(path) as members:
        return {member.name: b"".join(member.chunks()) for member in members}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 3_000_000])
def test_what_was_written_is_read(tmp_path, size):
    (tmp_path / "file").write_bytes(os.urandom(size))
    with TarZstd().create(tmp_path / "archive") as archive:
        archive.add("first", b"1")
        archive.add_file(LONG, tmp_path / "file")
        archive.add("last", b"")
    assert read(tmp_path / "archive") == {"first": b"1", LONG: (tmp_path / "file").read_bytes(), "last": b""}


def test_stock_tar_reads_it(tmp_path):
    path = written(tmp_path / "archive", {"first": b"1", LONG: b"x" * 1000})
    plain = io.BytesIO(zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read())
    with tarfile.open(fileobj=plain) as found:
        assert found.getnames() == ["first", LONG]
        assert found.extractfile(LONG).read() == b"x" * 1000


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 1 << 50])
def test_sizes_beyond_octal_are_written_as_others_write_them(size):
    assert _parsed(_header("big", size)) == ("big", size)
    assert tarfile.TarInfo.frombuf(_header("big", size), "utf-8", "strict").size == size


def test_members_may_be_passed_over(tmp_path):
    path = written(tmp_path / "archive", {"a": b"1" * 5000, "b": b"2"})
    with TarZstd().open(path) as members:
        assert [member.name for member in members] == ["a", "b"]


def test_a_file_that_is_there_stays(tmp_path):
    path = written(tmp_path / "archive", {"a": b"1"})
    with pytest.raises(Refused):
        written(path, {"a": b"2"})
    archiving = TarZstd().create(tmp_path / "other")
    archiving.__enter__().add("a", b"2")
    (tmp_path / "other").write_text("came meanwhile")
    with pytest.raises(Refused):
        archiving.__exit__(None, None, None)
    assert read(path) == {"a": b"1"}
    assert (tmp_path / "other").read_text() == "came meanwhile"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["archive", "other"]


def test_what_a_killed_process_left_is_taken_over_and_a_living_one_is_left_alone(tmp_path):
    draft = tmp_path / ".archive.part"
    draft.write_bytes(b"x" * 10_000)
    assert read(written(tmp_path / "archive", {"a": b"1"})) == {"a": b"1"}
    (tmp_path / "archive").unlink()
    with draft.open("wb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        with pytest.raises(Locked):
            written(tmp_path / "archive", {"a": b"1"})
    assert not (tmp_path / "archive").exists()


def compressed(path, plain):
    path.write_bytes(zstandard.ZstdCompressor().compress(plain))
    return path


def info(**fields):
    found = tarfile.TarInfo("x")
    for name, value in fields.items():
        setattr(found, name, value)
    return found.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"x" * 10_000,
        info(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        info(type=tarfile.LNKTYPE, linkname="y"),
        info(type=tarfile.DIRTYPE),
        info(type=tarfile.CHRTYPE),
        info(type=tarfile.XHDTYPE, size=1 << 40),
        info(size=1 << 40),
        info(size=1 << 62),
        _header("x", 10),
        _header("x", 10).replace(b"0000600", b"0000777"),
    ],
    ids=range(11),
)
def test_what_is_not_ours_is_refused_without_being_held_in_memory(tmp_path, plain):
    with pytest.raises(Refused):
        read(compressed(tmp_path / "archive", plain))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000), st.booleans())
def test_no_input_is_read_as_anything_else_than_an_archive(tmp_path, content, wrap):
    path = tmp_path / "archive"
    if wrap:
        compressed(path, content)
    else:
        path.write_bytes(content)
    with contextlib.suppress(Refused):
        read(path)
