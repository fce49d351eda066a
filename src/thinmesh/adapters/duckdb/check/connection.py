"""The check's own DuckDB: in memory, bounded, spilling into the work folder, without extensions or network."""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from thinmesh.kernel.errors import Refused, Temporary

from .quoting import literal

Connection = Any
# DuckDB numbers rows for less than a window does, by a column of this name, which a file may have itself.
_NUMBER = "file_row_number"


class Connections:
    """Gives each check a database of its own, which may use `memory` bytes and `threads`.

    With `spare`, the next one is prepared in the background: to open and close one takes as long as a small check.
    """

    def __init__(self, memory: int, threads: int, *, spare: bool) -> None:
        self._settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{max(memory, 64 << 20) >> 20}MiB",
            "threads": max(threads, 1),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._spare = spare
        self._renewing: set[threading.Thread] = set()
        # One at most; a deque is taken from and put to by any thread.
        self._ready: deque[Connection] = deque(maxlen=1)

    @contextmanager
    def connect(self, work: Path) -> Iterator[Connection]:
        """Open a database that nobody has used, and that spills into `work`."""
        connection = self._taken()
        try:
            connection.execute(f"SET temp_directory = {literal(str(work / 'spill'))}")
            yield connection
        finally:
            if self._spare:
                thread = threading.Thread(target=self._renew, args=(connection,), name="check-spare")
                self._renewing.add(thread)
                thread.start()
            else:
                connection.close()

    def close(self) -> None:
        """Prepare nothing any more, and close what is ready."""
        self._spare = False
        for thread in list(self._renewing):
            thread.join()
        while self._ready:
            self._ready.pop().close()

    def _taken(self) -> Connection:
        try:
            return self._ready.pop()
        except IndexError:
            return self._opened()

    def _opened(self) -> Connection:
        connection = duckdb.connect(":memory:", config=self._settings)
        # In a Python without a script file (a notebook, a child process) DuckDB draws its progress on the output.
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        return connection

    def _renew(self, used: Connection) -> None:
        used.close()
        if self._spare and not self._ready:
            self._ready.append(self._opened())
        self._renewing.discard(threading.current_thread())


@contextmanager
def temporary_faults() -> Iterator[None]:
    """Turn what the machine lacks (disk, memory, time) into Temporary; everything else passes.

    Raises Refused where a check needs more than its own memory: another try would, too.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        if "max_temp_directory_size" in str(error):
            raise _disk_full() from error
        raise Refused(
            "The check needs more memory than it may use.",
            help="Send fewer or smaller files at once, divide a table of thousands of columns, or raise query.memory.",
        ) from error
    except MemoryError as error:
        raise Temporary(
            "The machine has too little memory for the check.", help="Try again when less is going on."
        ) from error
    except duckdb.InterruptException as error:
        raise Temporary("the check was stopped before its end") from error
    except (OSError, duckdb.IOException) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if full or "No space left" in str(error) or "File too large" in str(error):
            raise _disk_full() from error
        raise


def _disk_full() -> Temporary:
    return Temporary("the disk is full", help="Make room on the disk of the home, then try again.")


def numbered(relation: str, names: Iterable[str]) -> tuple[str, str]:
    """Give a Parquet relation that numbers its rows from 0, and the SQL of that number; `names` are its columns."""
    if any(name.lower() == _NUMBER for name in names):
        return relation, "row_number() OVER () - 1"
    return relation[:-1] + f", {_NUMBER} = true)", _NUMBER


def parquet(paths: list[Path] | tuple[Path, ...], **options: str) -> str:
    """Give the relation of Parquet files. Their paths are the platform's own and hold no wildcards."""
    listed = ", ".join(literal(str(path)) for path in paths)
    # A folder named key=value would add a column of that name.
    extra = "".join(f", {name} = {value}" for name, value in {"hive_partitioning": "false", **options}.items())
    return f"read_parquet([{listed}]{extra})"
