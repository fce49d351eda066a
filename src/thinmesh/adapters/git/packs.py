"""Write objects as one pack with its index (gitformat-pack(5)): two files to sync, where loose objects are two each."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import IO

from pygit2.enums import ObjectType

from thinmesh.kernel.durability import sync

Objects = Mapping[bytes, tuple[ObjectType, bytes]]  # by raw id

# zlib's fastest level: the upkeep packs anew, and better.
_FAST = 1
# Offsets of four bytes; the ledger's batches are far smaller.
_MOST = 1 << 31
# Kept: to start a thread, its starter waits for it to get the interpreter, behind all who have requests to answer.
_waiting = ThreadPoolExecutor(4, "thinmesh-sync")


def object_id(kind: ObjectType, content: bytes) -> bytes:
    """Give the raw id that git gives an object."""
    return hashlib.sha1(
        b"%s %d\0" % (kind.name.lower().encode(), len(content)) + content, usedforsecurity=False
    ).digest()


def write_pack(folder: Path, objects: Objects, *, fsync: bool) -> None:
    """Write objects as a pack into a repository's `objects/pack`; git sees all of them or none.

    Raises OSError; what was begun is removed then.
    """
    pack, places = _pack(objects)
    checksum = pack[-20:]
    index = _index(places, checksum)
    stem = folder / f"pack-{checksum.hex()}"
    # Git looks for the index first: it comes last.
    _write({stem.with_suffix(".pack"): pack, stem.with_suffix(".idx"): index}, fsync)
    if fsync:
        sync(folder)


def _pack(objects: Objects) -> tuple[bytes, list[tuple[bytes, int, int]]]:
    """Give the pack, and of each object its raw id, checksum and offset."""
    pieces = [b"PACK" + struct.pack(">II", 2, len(objects))]
    places = []
    offset = len(pieces[0])
    for id, (kind, content) in objects.items():
        piece = _head(kind, len(content)) + zlib.compress(content, _FAST)
        places.append((id, zlib.crc32(piece), offset))
        pieces.append(piece)
        offset += len(piece)
    if offset >= _MOST:
        raise OSError(f"{offset} bytes are too many for one pack")
    whole = b"".join(pieces)
    return whole + hashlib.sha1(whole, usedforsecurity=False).digest(), places


def _head(kind: ObjectType, size: int) -> bytes:
    """Write type and size: four bits of the size in the first byte, seven in each that follows."""
    found = bytearray()
    byte, size = int(kind) << 4 | size & 15, size >> 4
    while size:
        found.append(byte | 128)
        byte, size = size & 127, size >> 7
    found.append(byte)
    return bytes(found)


def _index(places: list[tuple[bytes, int, int]], checksum: bytes) -> bytes:
    """Write the index, version 2."""
    places = sorted(places)
    ids, checksums, offsets = zip(*places, strict=True)
    counts = [0] * 256
    for id in ids:
        counts[id[0]] += 1
    count = len(places)
    found = b"".join(
        (
            b"\377tOc" + struct.pack(">I", 2),
            struct.pack(">256I", *accumulate(counts)),
            *ids,
            struct.pack(f">{count}I", *checksums),
            struct.pack(f">{count}I", *offsets),
            checksum,
        )
    )
    return found + hashlib.sha1(found, usedforsecurity=False).digest()


def _write(files: Mapping[Path, bytes], fsync: bool) -> None:
    """Write files whole: all contents first, brought to the disk at once, then their names in this order."""
    # Git removes drafts of this name that a crash left (git-prune(1)), and takes none that ends in .idx for an index.
    drafts = {path: path.with_name(f"tmp_{path.stem}_{path.suffix[1:]}") for path in files}
    try:
        with ExitStack() as stack:
            opened = [stack.enter_context(_private(draft)) for draft in drafts.values()]
            for out, content in zip(opened, files.values(), strict=True):
                out.write(content)
                out.flush()
            if fsync:
                at_once(*[partial(os.fsync, out.fileno()) for out in opened])
        for path, draft in drafts.items():
            draft.replace(path)
    except BaseException:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
        raise


def _private(draft: Path) -> IO[bytes]:
    return os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o444), "wb")


def at_once(*waits: Callable[[], None]) -> None:
    """Do what waits for the disk, all at once: it takes several in little more time than one.

    All have come to their end when this returns, or raises what one of them raised.
    """
    others = [(wait, _waiting.submit(wait)) for wait in waits[1:]]
    faults = [_fault_of(waits[0])] if waits else []
    # What no thread took up yet is done here: one that waits for waits of its own never waits for a free thread.
    faults += [_fault_of(wait) if begun.cancel() else begun.exception() for wait, begun in others]
    for fault in faults:
        if fault is not None:
            raise fault


def _fault_of(wait: Callable[[], None]) -> BaseException | None:
    try:
        wait()
    except BaseException as fault:
        return fault
    return None
