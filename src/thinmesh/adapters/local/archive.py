"""Backup files: a tar (POSIX.1-1988, `ustar`) in one Zstandard frame with a checksum; `tar --zstd` reads them.

The headers are written and read here and not by `tarfile`, which keeps an extended header of any size that a hostile
file announces in memory, and follows links. Ours are regular files with short names, and nothing else is taken.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from thinmesh.kernel.durability import sync
from thinmesh.kernel.errors import Locked, NotFound, Refused, Temporary

_BLOCK = 512
_CHUNK = 1 << 20
_PREFIX, _NAME = 155, 100  # bytes of the two name fields
_OCTAL = 8**11  # sizes from here on are written in binary, as GNU tar and Python's tarfile do
_MAGIC = b"ustar\x0000"
# A frame may ask its reader for this much memory at most; our own ask for some megabytes.
_WINDOW = 1 << 27
_LEVEL = 1  # Parquet and packs are compressed already


class TarZstd:
    """Writes and reads backup files (planes/operations/backend.py, `Archives`)."""

    format = "tar+zstd"

    @contextmanager
    def create(self, path: Path) -> Iterator[_Writer]:
        """Write a new file, readable by its owner only; it appears whole and durable at the end, or not at all."""
        _refuse_present(path)
        draft = path.with_name(f".{path.name}.part")
        descriptor = _claim(draft)
        try:
            with os.fdopen(descriptor, "wb") as file:
                try:
                    with _compressed(file) as out:
                        yield _Writer(out)
                        out.write(bytes(2 * _BLOCK))
                    file.flush()
                    os.fsync(file.fileno())
                    _publish(draft, path)
                finally:
                    draft.unlink(missing_ok=True)
            sync(path.parent)
        except FileExistsError as error:
            raise _present(path) from error
        except OSError as error:
            raise Temporary(f"The backup could not be written: {error.strerror or error}.") from error

    @contextmanager
    def open(self, path: Path) -> Iterator[Iterator[_Member]]:
        """Read a file from its beginning, with flat memory."""
        import zstandard

        try:
            file = path.open("rb")
        except OSError as error:
            raise NotFound(f"{path} cannot be read: {error.strerror}.", help="Name a backup file.") from error
        with file:
            plain = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(file, closefd=False)
            yield _members(_Source(plain, zstandard.ZstdError))


class _Writer:
    """An archive in the making."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def add(self, name: str, content: bytes) -> str:
        """Add a small file; give its sha256."""
        self._out.write(_header(name, len(content)))
        self._out.write(content)
        self._out.write(bytes(-len(content) % _BLOCK))
        return hashlib.sha256(content).hexdigest()

    def add_file(self, name: str, path: Path) -> tuple[str, int]:
        """Add a file with flat memory; give its (sha256, bytes)."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            size = left = os.fstat(file.fileno()).st_size
            self._out.write(_header(name, size))
            while left:
                chunk = file.read(min(left, _CHUNK))
                if not chunk:
                    raise Temporary(f"{path.name} became shorter while it was copied.")
                digest.update(chunk)
                self._out.write(chunk)
                left -= len(chunk)
        self._out.write(bytes(-size % _BLOCK))
        return digest.hexdigest(), size


class _Source:
    """The decompressed bytes, whose every fault is a damaged backup."""

    def __init__(self, plain: Any, fault: type[Exception]) -> None:
        self._plain = plain
        self._fault = fault

    def read(self, size: int) -> bytes:
        """Read exactly so many bytes."""
        found = self.some(size)
        while len(found) < size:
            more = self.some(size - len(found))
            if not more:
                _damaged("it ends too early")
            found += more
        return found

    def some(self, size: int) -> bytes:
        """Read up to so many bytes; none at the end."""
        try:
            return bytes(self._plain.read(size))
        except self._fault as error:
            _damaged(str(error), error)
        except OSError as error:
            raise Temporary(f"The backup could not be read: {error.strerror}.") from error


class _Member:
    """One file of an archive being read."""

    def __init__(self, name: str, size: int, source: _Source) -> None:
        self.name = name
        self.size = size
        self._left = size
        self._source = source

    def chunks(self) -> Iterator[bytes]:
        """Read it, once, before the next member."""
        while self._left:
            chunk = self._source.read(min(self._left, _CHUNK))
            self._left -= len(chunk)
            yield chunk

    def skip(self) -> None:
        """Read to the beginning of the next member."""
        for _ in self.chunks():
            pass
        self._source.read(-self.size % _BLOCK)


def _members(source: _Source) -> Iterator[_Member]:
    while True:
        block = source.read(_BLOCK)
        if block == bytes(_BLOCK):
            break
        member = _Member(*_parsed(block), source)
        yield member
        member.skip()
    while source.some(_CHUNK):  # to the frame's end, where its checksum is
        pass


def _header(name: str, size: int) -> bytes:
    prefix, short = _split(name.encode())
    length = b"%011o\0" % size if size < _OCTAL else b"\x80" + size.to_bytes(11, "big")
    fields = [short.ljust(_NAME, b"\0"), b"0000600\0", b"0000000\0", b"0000000\0", length, b"00000000000\0", b" " * 8]
    fields += [b"0", bytes(100), _MAGIC, bytes(64), b"0000000\0", b"0000000\0", prefix.ljust(_PREFIX, b"\0"), bytes(12)]
    block = b"".join(fields)
    return block.replace(b" " * 8, b"%06o\0 " % sum(block), 1)


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Share a name out to the two fields, at a slash."""
    if len(name) <= _NAME:
        return b"", name
    cut = name.find(b"/", len(name) - _NAME - 1)
    if not 0 < cut <= _PREFIX:
        raise Refused(f"The name of {name.decode()} is too long for a backup.")
    return name[:cut], name[cut + 1 :]


def _parsed(block: bytes) -> tuple[str, int]:
    """Read a header: (name, size). Only what `_header` writes is taken."""
    size = block[124:136]
    try:
        told = int(block[148:154], 8)
        length = int.from_bytes(size[1:], "big") if size[0] == 0x80 else int(size[:11], 8)
        parts = [part.rstrip(b"\0").decode() for part in (block[345:500], block[:100])]
    except ValueError as error:
        _damaged("it is no archive of ours", error)
    if told != sum(block[:148] + b" " * 8 + block[156:]) or block[156:157] != b"0" or not 0 <= length < 1 << 63:
        _damaged("it is no archive of ours")
    return "/".join(filter(None, parts)), length


@contextmanager
def _compressed(file: IO[bytes]) -> Iterator[IO[bytes]]:
    import zstandard

    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with compressor.stream_writer(file, closefd=False) as out:
        yield out


def _claim(draft: Path) -> int:
    """Open a draft that nobody else writes, also where a killed process left one."""
    while True:
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Refused(
                f"No file can be made in {draft.parent}: {error.strerror}.", help="Choose a folder you may write to."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == draft.stat().st_ino:
                os.ftruncate(descriptor, 0)
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise Locked("Another backup is being written to this file.") from error
        except FileNotFoundError:
            pass
        os.close(descriptor)  # it became the other one's finished file, or went


def _publish(draft: Path, path: Path) -> None:
    """Give the file its name; a link, unlike a rename, never takes the place of another file."""
    try:
        os.link(draft, path)
    except (PermissionError, NotImplementedError):  # a file system without links
        _refuse_present(path)
        draft.rename(path)


def _refuse_present(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise _present(path)


def _present(path: Path) -> Refused:
    return Refused(f"{path} is there already.", help="A backup never takes the place of a file: choose a new name.")


def _damaged(why: str, error: BaseException | None = None) -> NoReturn:
    raise Refused(f"The backup file is damaged: {why}.", help="Use another backup; nothing was restored.") from error
