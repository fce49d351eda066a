"""The process tree that runs statements: a template that has everything imported, and the workers it forks.

`python -I -m thinmesh.adapters.duckdb.query.worker OPTIONS`, standard input being its control socket. For each worker
the server sends one byte with a socket; the template forks, the child encloses itself, prepares a database and
answers on that socket. The template never meets a statement. A worker serves one user over one set of tables, and
is thrown away.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from . import channel, encode, sandbox
from .channel import Closed
from .evolution import Unreadable
from .screen import Unwelcome
from .session import Answer, Broken, Session

# Address space over DuckDB's own memory limit, which is not a hard one: Arrow buffers on their way out, and for each
# thread its stack (8 MB) and the arena that the C library reserves for it (64 MB, mostly untouched).
_OVERHEAD, _THREAD_OVERHEAD = 256 << 20, 80 << 20
# An error's text may hold values of any size (`error(…)`, a failed cast): the server reads so many characters.
_MOST_DETAIL = 8000
# Shorter pieces of an answer than this wait for more, or for its end.
_SHORT = 64 << 10


def main() -> None:
    """Fork a worker for every socket that comes, until the server is gone."""
    options = json.loads(sys.argv[1])
    control = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _warm()
    gc.collect()
    gc.freeze()
    template = os.getpid()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            sandbox.die_with_parent(template)
            control.close()
            _serve(socket.socket(fileno=descriptors[0]), options)
            os._exit(0)
        os.close(descriptors[0])


def _warm() -> None:
    """Run one statement in every format: a worker can import nothing any more once its files are fenced in.

    No thread may be left behind, or forking is unsafe; with `threads` 1, DuckDB starts none.
    """
    session = Session(64 << 20, 1, None, 0)
    sql = session.screen("WITH w AS (SELECT 1 AS a, 'é' AS b, now() AS c, [1.5] AS d) SELECT * FROM w -- warm").sql
    for format in ("json", "csv", "arrow", "parquet"):
        for parts in _pieces(session.query(sql, 1), format):
            b"".join(parts)
    session.explain("SELECT 1", analyze=False)
    session.connection.close()


def _serve(sock: socket.socket, options: dict[str, Any]) -> None:
    pidfd = os.pidfd_open(os.getpid())
    # A folder of its own: DuckDB's spill files have fixed names, and one user's rows are not for another.
    scratch = Path(options["scratch"], str(os.getpid())) if options["scratch"] else None
    if scratch:
        scratch.mkdir(0o700, exist_ok=True)
    walls = sandbox.enclose(
        sandbox.Allowance(
            options["memory"] + _OVERHEAD + _THREAD_OVERHEAD * options["threads"],
            options["files"],
            tuple(Path(path) for path in options["readable"]),
            scratch,
            options["scratch_bytes"],
        )
    )
    session = Session(
        options["memory"],
        options["threads"],
        scratch,
        options["scratch_bytes"],
        walled=walls["landlock"].startswith("on"),
    )
    told = {"walls": walls, "pid": os.getpid(), "duckdb": duckdb.__version__, "scratch": str(scratch or "")}
    payload = json.dumps(told).encode()
    socket.send_fds(sock, [channel.HEADER.pack(channel.READY, len(payload)) + payload], [pidfd])
    os.close(pidfd)
    try:
        while True:
            kind, message = channel.receive(sock)
            _answer(sock, session, kind, message)
    except (Closed, OSError):
        return


def _answer(sock: socket.socket, session: Session, kind: int, message: dict[str, Any]) -> None:
    try:
        if kind == channel.PARSE:
            found = session.screen(message["sql"])
            channel.send(sock, channel.PARSED, {name: getattr(found, name) for name in found.__slots__})
        elif kind == channel.BIND:
            session.bind(message)
        elif kind == channel.RUN:
            _run(sock, session, message)
    except Unwelcome as error:
        _fail(sock, "refused", error.detail, error.help)
    except duckdb.Error as error:
        _fail(sock, type(error).__name__, str(error), "")
    except Broken as error:
        _fail(sock, error.kind, error.detail, "")
    except Unreadable:
        _fail(sock, "missing", "", "")
    except (MemoryError, pa.ArrowMemoryError):
        _fail(sock, "OutOfMemoryException", "", "")
    except (Closed, ConnectionError):
        raise
    except Exception as error:
        # Our own fault; the text could tell about files, so only its kind goes out.
        _fail(sock, "internal", type(error).__name__, "")


def _fail(sock: socket.socket, kind: str, detail: str, help: str) -> None:
    channel.send(sock, channel.FAILED, {"kind": kind, "detail": detail[:_MOST_DETAIL], "help": help})


def _run(sock: socket.socket, session: Session, message: dict[str, Any]) -> None:
    """Run one statement and send columns, rows and the end.

    `message`: sql, tables (those it names), kind (select, explain, answer), analyze, format, limit, cpu (seconds it may
    take). The columns go out with the first rows, so that most errors come before any of the answer.
    """
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(_cpu_seconds() + message["cpu"]), hard))
    session.require((product, table) for product, table in message["tables"])
    sql = message["sql"]
    if message["kind"] == "explain":
        rows = session.explain(sql, message["analyze"])
        values = ", ".join(f"({encode.text(row[0])}, {encode.text(row[1])})" for row in rows)
        sql = f"SELECT * FROM (VALUES {values}) AS plan(explain_key, explain_value)"
    elif message["kind"] == "answer":
        sql = "SELECT * FROM mesh.answer.rows"
    _give(sock, session.query(sql, message["limit"]), message["format"])


def _give(sock: socket.socket, answer: Answer, format: str) -> None:
    """Send columns, rows and the end; what is short in one go, so that who waits for it wakes up once."""
    ready: list[memoryview] = []
    opened = False
    for parts in _pieces(answer, format):
        ready += [*([] if opened else _columns(answer)), *channel.frame(channel.DATA, *parts)]
        opened = True
        if sum(map(len, ready)) >= _SHORT:
            channel.send_parts(sock, ready)
    ready += [] if opened else _columns(answer)
    ready += channel.control(channel.DONE, {"rows": answer.rows, "truncated": answer.truncated})
    channel.send_parts(sock, ready)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _columns(answer: Answer) -> list[memoryview]:
    kinds = [encode.result_type(kind) for kind in answer.types]
    return channel.control(channel.COLUMNS, list(zip(answer.names, kinds, strict=True)))


def _pieces(answer: Answer, format: str) -> Iterator[list[memoryview]]:
    """Give the answer in pieces, each the parts of one frame."""
    if format == "arrow":
        return _arrow(answer)
    if format == "parquet":
        return _parquet(answer)
    return ([piece] for piece in (answer.csv() if format == "csv" else answer.json()))


def _arrow(answer: Answer) -> Iterator[list[memoryview]]:
    """Give an Arrow IPC stream, the very buffers of its batches; no type here needs dictionaries."""
    schema, batches = answer.batches()
    sink = _Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema) as writer:
        for batch in batches:
            writer.write_batch(batch.rename_columns(schema.names))
            yield sink.take()
    yield sink.take()


class _Sink:
    """A file that keeps what was written until it is taken: not copied, for Arrow's buffers stay as they are."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[memoryview] = []

    def write(self, data: bytes | pa.Buffer) -> int:
        self.parts.append(memoryview(data).cast("B"))
        return len(self.parts[-1])

    def take(self) -> list[memoryview]:
        taken, self.parts = self.parts, []
        return taken

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _parquet(answer: Answer) -> Iterator[list[memoryview]]:
    """Give a Parquet file; row groups of one batch, so that memory stays flat."""
    schema, batches = answer.batches()
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.rename_columns(schema.names))
            yield sink.take()
    yield sink.take()


if __name__ == "__main__":
    main()
