"""A statement under way, as its caller holds it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from types import TracebackType

from thinmesh.kernel.errors import MeshError

from .backend import Outlet, Run
from .model import FORMATS, ResultColumn

# A grant that ends while an answer is read is noticed after so long.
_RECHECK_SECONDS = 1.0
# How a statement ended: the bytes given out, `done`, `failed` or `cancelled`, and the error.
Ending = Callable[[int, str, MeshError | None], None]


class Execution:
    """A running statement and its answer: read `chunks` to the end, or `close`. One thread reads.

    `columns` are known at once; `row_count`, `truncated` and `bytes` are right when everything was read. `recheck`
    raises once the caller may no longer read what is being read.
    """

    def __init__(self, run: Run, statement: str, format: str, ending: Ending, recheck: Callable[[], None]) -> None:
        self.statement = statement
        self.format = format
        self.media_type = FORMATS[format]
        self.bytes = 0
        self._run = run
        self._ending = ending
        self._recheck = recheck
        self._checked = time.monotonic()
        self._reading = self._read()

    @property
    def columns(self) -> tuple[ResultColumn, ...]:
        """Give the answer's columns."""
        return tuple(self._run.columns)

    @property
    def row_count(self) -> int:
        """Count the rows, at the end."""
        return self._run.rows

    @property
    def truncated(self) -> bool:
        """Tell, at the end, whether a limit cut the answer."""
        return self._run.truncated

    def chunks(self) -> Iterator[bytes]:
        """Give the document in its format, piece by piece. Raises MeshError where the statement fails midway."""
        return self._reading

    def pour(self, outlet: Outlet) -> None:
        """Move what is left of the document to an outlet, by the kernel; not for JSON. Raises MeshError as `chunks`."""
        with self._told():
            for size in self._run.pour(outlet):
                self._require_still()
                self.bytes += size

    def read(self) -> bytes:
        """Give the whole document."""
        with self:
            return b"".join(self._reading)

    def close(self) -> None:
        """End the statement; what was not taken is not computed. Twice does no harm."""
        self._run.stop("closed")
        # A generator that runs in another thread cannot be closed from here; it ends by itself, its worker is gone.
        with suppress(ValueError):
            self._reading.close()
            self._run.close()
        self._ending(self.bytes, "cancelled", None)

    def __enter__(self) -> Execution:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> Generator[bytes, None, None]:
        with self._told():
            for piece in self._document() if self.format == "json" else self._run.chunks():
                self._require_still()
                self.bytes += len(piece)
                yield piece

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell how the reading in the block ended."""
        state, error = "cancelled", None
        try:
            yield
            state = "done"
        except MeshError as failure:
            state, error = "failed", failure
            raise
        finally:
            self._ending(self.bytes, state, error)

    def _require_still(self) -> None:
        """End the statement where its reader may no longer read: answers can take hours."""
        if time.monotonic() - self._checked < _RECHECK_SECONDS:
            return
        try:
            self._recheck()
        except MeshError:
            self._run.stop("closed")
            raise
        self._checked = time.monotonic()

    def _document(self) -> Iterator[bytes]:
        """Put the rows into the JSON document of INTERFACE, *CLI* `query`."""
        columns = json.dumps([asdict(column) for column in self.columns], ensure_ascii=False)
        yield f'{{"columns": {columns}, "statement": {json.dumps(self.statement)}, "rows": ['.encode()
        first = True
        for piece in self._run.chunks():
            # Every row comes with a comma before it; the first one has none.
            yield piece[1:] if first else piece
            first = False
        yield f'], "row_count": {self.row_count}, "truncated": {json.dumps(self.truncated)}}}\n'.encode()
