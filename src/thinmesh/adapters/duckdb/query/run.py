"""One statement's way through the engine: wait, be judged, be bound, run, stream, and give everything back."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import Conflict, MeshError, Refused, Temporary
from thinmesh.kernel.table_records import TableRecord
from thinmesh.planes.query.backend import Job, Outlet
from thinmesh.planes.query.model import Binding, Parsed, ResultColumn, TableName

from . import channel
from .channel import Closed
from .pool import Worker
from .queue import Ticket
from .report import OUT_OF_MEMORY, refusal

if TYPE_CHECKING:
    from .engine import DuckdbEngine

_Portion = TypeVar("_Portion")

# A reader may leave an answer lie for so long at once, and for so long in sum beyond what it would take to read all it
# took at so many bytes per second: a worker is held by who reads, not by who has gone away or hardly moves.
_STALL_SECONDS = 60.0
_SLOWEST_BYTES = 64 << 10
# What one pause may add for bytes that were taken: they may lie in the buffers of two systems (measured: 13 MB) while
# the reader reads them, and nothing of that is seen here.
_BUFFERED_BYTES = 16 << 20
# However steadily it reads, an answer that does not end holds a worker no longer.
_LONGEST_SECONDS = 6 * 3600.0


class DuckdbRun:
    """One statement in the engine."""

    def __init__(self, engine: DuckdbEngine, job: Job) -> None:
        self.parsed: Parsed | None = None
        self.binding: Binding | None = None
        self.columns: Sequence[ResultColumn] = ()
        self.rows = 0
        self.truncated = False
        self._engine = engine
        self._job = job
        self._ticket = Ticket(job.user)
        self._worker: Worker | None = None
        self._reason = ""
        self._lock = threading.Lock()
        self._clock = engine.clock
        self._began = self._clock()
        # Time spent waiting for the engine, and since when (None: the reader is busy elsewhere, since `_paused`).
        self._spent = 0.0
        self._waiting: float | None = self._began
        self._paused = self._began
        # What the reader took so far: bytes, and seconds in which the engine waited for it.
        self._taken = 0
        self._stalled = 0.0
        # What is still to come of the frame under way; the worker has sent its first frame when `open` returns.
        self._frame: tuple[int, int] | None = None
        self._over = False
        # The worker has nothing of the statement under way: it can serve its user again, whatever comes.
        self._quiet = False

    def open(self) -> None:
        """Wait for a slot, parse, resolve, start, and wait for the first rows."""
        self._engine.enrol(self)
        try:
            deadline = self._began + self._job.seconds
            if not self._engine.queue.enter(self._ticket, lambda: bool(self._reason), deadline):
                raise self._stopped() if self._reason else self._unserved()
            verdict = self._judge()
            self.parsed = _parsed(verdict)
            self.binding = self._job.resolve(self.parsed)
            self._start(verdict, self.binding)
            self._frame = self._next()
        except BaseException:
            self._end(clean=self._quiet)
            raise
        self._pause()

    def chunks(self) -> Iterator[bytes]:
        """Give the answer's bytes as they come."""

        def take(most: int) -> tuple[bytes, int]:
            piece = self._sock().recv(min(most, channel.PIECE))
            return piece, len(piece)

        return self._portions(lambda _: None, take)

    def pour(self, outlet: Outlet) -> Iterator[int]:
        """Have the kernel move what is left of the answer's bytes; give their number as they go."""
        source = self._copy()

        def take(most: int) -> tuple[int, int]:
            size = outlet.fill(source, most)
            return size, size

        try:
            self._flush(outlet, 0)
            for size in self._portions(outlet.begin, take):
                self._flush(outlet, size)
                yield size
        finally:
            os.close(source)
            self._end(clean=False)

    def stop(self, reason: str) -> None:
        """End the statement at once; safe from any thread."""
        with self._lock:
            if self._over:
                return
            self._reason = self._reason or reason
            worker = self._worker
        if worker is not None:
            worker.kill()
        self._engine.queue.wake()

    def close(self) -> None:
        """Give back what the statement holds; for the thread that reads."""
        self._end(clean=False)

    def judge(self, now: float) -> None:
        """Stop the statement where its time, or its reader's, is over."""
        waiting = self._waiting
        if waiting is not None and self._spent + now - waiting > self._job.seconds:
            self.stop("late")
        elif waiting is None and self._is_stalled(now):
            self.stop("stalled")
            self._end(clean=False)

    def _is_stalled(self, now: float) -> bool:
        pause = now - self._paused
        return (
            pause > _STALL_SECONDS + min(self._taken, _BUFFERED_BYTES) / _SLOWEST_BYTES
            or self._stalled + pause > _STALL_SECONDS + self._taken / _SLOWEST_BYTES
            or now - self._began > _LONGEST_SECONDS
        )

    def _judge(self) -> dict[str, Any]:
        """Have the statement judged by DuckDB's parser, in a worker of this user."""
        verdict = self._engine.known(self._job.user, self._job.sql)
        if verdict is None:
            worker = self._engine.pool.idle(self._job.user) or self._engine.pool.blank()
            self._take(worker)
            self._send(channel.PARSE, {"sql": self._job.sql})
            verdict = self._expect(channel.PARSED)
            self._engine.learn(self._job.user, self._job.sql, verdict)
        return verdict

    def _start(self, verdict: dict[str, Any], binding: Binding) -> None:
        """Run on a worker that has the statement's tables: one of this user with the same, or a fresh one."""
        key, message = _bound(binding)
        pool, have = self._engine.pool, self._worker
        if have is None or have.key not in ("", key):
            found = pool.idle(self._job.user, key) or pool.blank()
            if have is not None:
                pool.give_back(have)
            self._take(found)
            have = found
        self._quiet = False
        if not have.key:
            self._send_parts(channel.frame(channel.BIND, memoryview(message)))
            have.key = key
        kind = "answer" if binding.answer else "explain" if verdict["kind"] == "explain" else "select"
        self._send(
            channel.RUN,
            {
                "sql": verdict["sql"],
                "tables": [[table.product, table.table] for table in binding.tables],
                "kind": kind,
                "analyze": verdict["analyze"],
                "format": self._job.format,
                "limit": self._job.limit,
                "cpu": (self._job.seconds + 5) * self._engine.threads,
            },
        )
        self.columns = [ResultColumn(name, kind) for name, kind in self._expect(channel.COLUMNS)]

    def _take(self, worker: Worker) -> None:
        """Own a worker; from now on `stop` kills it."""
        worker.user = self._job.user
        self._engine.met(worker)
        with self._lock:
            self._worker = worker
            stopped = bool(self._reason)
        if stopped:
            worker.kill()

    def _sock(self) -> socket.socket:
        worker = self._worker
        if worker is None:
            raise self._stopped()
        return worker.sock

    def _send(self, kind: int, message: Any) -> None:
        self._send_parts(channel.control(kind, message))

    def _send_parts(self, parts: list[memoryview]) -> None:
        try:
            channel.send_parts(self._sock(), parts)
        except OSError:
            raise self._stopped() from None

    def _expect(self, wanted: int) -> Any:
        try:
            kind, message = channel.receive(self._sock())
        except (Closed, OSError, ValueError):
            raise self._stopped() from None
        self._quiet = wanted == channel.PARSED
        if kind == channel.FAILED:
            # What a parser took to its end is not all given back: the next statement would be refused for it.
            self._quiet = self._quiet and message["kind"] not in OUT_OF_MEMORY
            raise self._failed(message)
        if kind != wanted:
            self._quiet = False
            raise self._stopped()
        return message

    def _next(self) -> tuple[int, int]:
        """Wait for the next piece of the answer: (DATA, length), or (DONE, 0)."""
        try:
            kind, length = channel.receive_header(self._sock())
            if kind == channel.DATA:
                return kind, length
            message = json.loads(channel.receive_exactly(self._sock(), length))
        except (Closed, OSError, ValueError):
            raise self._stopped() from None
        if kind == channel.FAILED:
            raise self._failed(message)
        if kind != channel.DONE:
            raise self._stopped()
        self.rows, self.truncated = message["rows"], message["truncated"]
        return kind, 0

    def _length(self) -> int | None:
        """Give what is to come of the frame under way, or of the next one; nothing at the end of the answer."""
        kind, length = self._frame or self._next()
        self._frame = None
        return length if kind == channel.DATA else None

    def _portions(
        self, begin: Callable[[int], None], take: Callable[[int], tuple[_Portion, int]]
    ) -> Iterator[_Portion]:
        """Take what is left of the answer; the clock stands while a portion is with the reader.

        `begin` is told the length of each frame, or of what is left of it. `take` gives a portion of at most so many
        bytes, and its length.
        """
        clean = False
        try:
            while True:
                self._resume()
                length = self._length()
                if length is None:
                    clean = True
                    return
                if length:
                    begin(length)
                while length:
                    portion, size = self._took(take, length)
                    length -= size
                    self._frame = (channel.DATA, length) if length else None
                    self._taken += size
                    self._pause()
                    yield portion
                    self._resume()
        finally:
            self._end(clean)

    def _took(self, take: Callable[[int], tuple[_Portion, int]], most: int) -> tuple[_Portion, int]:
        try:
            portion, size = take(most)
        except OSError:
            raise self._stopped() from None
        if not size:
            raise self._stopped()
        return portion, size

    def _copy(self) -> int:
        """Copy the worker's descriptor: whoever ends the statement meanwhile must not free its number under us."""
        with self._lock:
            if self._worker is None:
                raise self._stopped()
            return os.dup(self._worker.sock.fileno())

    def _flush(self, outlet: Outlet, size: int) -> None:
        if not outlet.flush(size, lambda: self._over or bool(self._reason)):
            self.stop("closed")
            raise self._stopped()

    def _pause(self) -> None:
        now = self._clock()
        if self._waiting is not None:
            self._spent += now - self._waiting
        self._paused, self._waiting = now, None
        self._ticket.paused = now

    def _resume(self) -> None:
        if self._waiting is None:
            self._ticket.paused = None
            self._waiting = self._clock()
            self._stalled += self._waiting - self._paused

    def _failed(self, message: Mapping[str, Any]) -> MeshError:
        return refusal(message, self.parsed, self._job.sql)

    def _unserved(self) -> Temporary:
        """Say why no worker was free: often the caller's own answers, which are read slowly, hold them."""
        held = self._engine.queue.held(self._job.user)
        own = f"Your own statements and downloads hold {held}: wait for one to end, or cancel it."
        return Temporary(
            f"No worker was free within {self._job.seconds:g} s.",
            help=own if held else "Try again when less is going on.",
        )

    def _stopped(self) -> MeshError:
        """Say why the worker is gone."""
        if self._reason == "late":
            return Refused(
                f"The statement took longer than {self._job.seconds:g} s, so it was stopped.",
                help="Filter or aggregate earlier, or ask for a higher query.timeout.",
            )
        if self._reason == "stalled":
            return Temporary("The answer was not taken for too long, so the statement was stopped.")
        if self._reason == "stopping":
            return Temporary("The server is stopping.", help="Send the statement again when it is back.")
        if self._reason:
            return Conflict("The statement was cancelled.", help="Send it again if it is still wanted.")
        return Refused(
            f"The statement took its worker down: most likely it needs more than {self._engine.memory >> 20} MB.",
            help="Filter or aggregate earlier, select fewer columns, or ask for a higher query.memory.",
        )

    def _end(self, clean: bool) -> None:
        with self._lock:
            if self._over:
                return
            self._over = True
            worker, self._worker = self._worker, None
            clean = clean and not self._reason
        if worker is not None:
            if clean:
                self._engine.pool.give_back(worker)
            else:
                self._engine.pool.discard(worker)
        self._engine.queue.leave(self._ticket)
        self._engine.dismiss(self)


def _parsed(verdict: Mapping[str, Any]) -> Parsed:
    tables = tuple(TableName(product, table) for product, table in verdict["tables"])
    return Parsed(verdict["kind"], tables, tuple(verdict["columns"]), verdict["catalog"], verdict["masked"])


def _bound(binding: Binding) -> tuple[str, bytes]:
    """Give what a worker is bound to, and its digest: equal digests mean the same views over the same files."""
    tables = [
        {
            "product": table.product,
            "table": table.table,
            "columns": [[column.id, column.name, _kind(column)] for column in table.columns],
            "files": [str(path) for path in table.files],
        }
        for table in sorted((*binding.tables, *binding.others), key=lambda one: (one.product, one.table))
    ]
    answer = {"columns": binding.answer.columns, "rows": binding.answer.rows} if binding.answer else None
    visible = "null" if binding.visible is None else _seen(binding.visible)
    members = json.dumps({"tables": tables, "answer": answer}, ensure_ascii=False)
    message = f'{members[:-1]}, "visible": {visible}}}'.encode("utf-8", "surrogatepass")
    return hashlib.sha256(message).hexdigest(), message


def _seen(tables: Sequence[TableRecord]) -> str:
    """Write thousands of records as one text: they are JSON already, and the worker reads them."""
    products = json.dumps([table.product for table in tables])
    return f'{{"products": {products}, "records": [{",".join(table.text for table in tables)}]}}'


def _kind(column: Column) -> str:
    return "JSON" if column.logical_type in ("object", "array") else column.sql_type
