"""The database of the embedded shape: SQLite in WAL mode, through the standard library alone.

Readers take a connection from a pool and never wait for the writer. There is one writing connection per
process; over processes SQLite's own lock lets one in at a time, and the operating system gives it up
when a process dies. A block must not be left waiting (`await`) for something outside the database.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import cast

from thinmesh.kernel.database import Parameters, Row
from thinmesh.kernel.durability import sync
from thinmesh.kernel.errors import Internal, Malformed, Temporary

WAIT = 10.0  # seconds that a writer waits for another one (kernel/database.py)
_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit survives power loss
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",  # KiB
    "PRAGMA journal_size_limit = 67108864",  # the WAL shrinks back after a long reader
    # Pages in the WAL at which a commit brings them into the file itself, with two waits for the disk: 16 MB, for most
    # were brought there by `settle`.
    "PRAGMA wal_autocheckpoint = 4000",
)
_NONE: Parameters = {}


class SqliteTransaction:
    """One open transaction on one connection.

    SQLite undoes a whole transaction by itself where the disk is full or fails. From then on every statement
    of the block is refused, and so is its end: none may run, and be kept, on its own.
    """

    __slots__ = ("_connection", "_fault", "open", "writes")

    def __init__(self, connection: sqlite3.Connection, writes: bool) -> None:
        self._connection = connection
        self._fault: BaseException | None = None
        self.writes = writes
        self.open = True

    def execute(self, sql: str, parameters: Parameters = _NONE) -> int:
        """Run one statement and give the number of rows it changed."""
        return self._run(sql, parameters).rowcount

    def execute_many(self, sql: str, parameters: Sequence[Parameters]) -> None:
        """Run one statement for each set of parameters."""
        self.require_open()
        try:
            self._connection.executemany(sql, parameters)
        except _FAULTS as error:
            raise self._failed(error) from error

    def one(self, sql: str, parameters: Parameters = _NONE) -> Row | None:
        """Give the first row, or nothing."""
        cursor = self._run(sql, parameters)
        try:
            return cast("Row | None", cursor.fetchone())
        except _FAULTS as error:
            raise self._failed(error) from error

    def all(self, sql: str, parameters: Parameters = _NONE) -> list[Row]:
        """Give all rows."""
        cursor = self._run(sql, parameters)
        try:
            return cast("list[Row]", cursor.fetchall())
        except _FAULTS as error:
            raise self._failed(error) from error

    def require_open(self) -> None:
        """Raise what undid the transaction, or Internal after its block."""
        if not self.open:
            raise self._fault or Internal("A transaction was used after its end.")

    def _run(self, sql: str, parameters: Parameters) -> sqlite3.Cursor:
        if not self.open:
            self.require_open()
        try:
            return self._connection.execute(sql, parameters)
        except _FAULTS as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> BaseException:
        explained = _explained(error)
        if not self._connection.in_transaction:
            self.open = False
            self._fault = explained
        return explained


class SqliteDatabase:
    """A SQLite file as a `Database` (kernel/database.py). The file is made where there is none, for its owner only."""

    def __init__(self, path: Path | str, wait: float = WAIT) -> None:
        self.path = Path(path)
        self._wait = wait
        self._readers: deque[sqlite3.Connection] = deque()
        self._writer: sqlite3.Connection | None = None
        self._writing = threading.Lock()
        self._here = threading.local()  # the transaction this thread is in
        self._closed = False

    def read(self) -> AbstractContextManager[SqliteTransaction]:
        """Open a transaction that reads one consistent state.

        Inside another block of the same thread it joins that one: a writer sees what it wrote.
        """
        present: SqliteTransaction | None = getattr(self._here, "transaction", None)
        if present is not None and present.open:
            return _Joined(present)
        return _Reading(self)

    @contextmanager
    def write(self, *, logged: bool = False) -> Iterator[SqliteTransaction]:
        """Open the one writing transaction; durable when the block ends, undone when the block raises.

        With `logged` its end does not wait for the disk (kernel/database.py).
        Raises Temporary where another writer holds the database for longer than 10 s, or the disk is full;
        Internal inside another write of the same thread, which could never end.
        """
        outer: SqliteTransaction | None = getattr(self._here, "transaction", None)
        if outer is not None and outer.open and outer.writes:
            raise Internal("A write was begun inside another write of the same thread.")
        started = time.monotonic()
        if not self._writing.acquire(timeout=self._wait):
            raise Temporary(_BUSY[0], help=_BUSY[1])
        try:
            connection = self._begin_writing(self._wait - (time.monotonic() - started), logged)
            transaction = SqliteTransaction(connection, writes=True)
            self._here.transaction = transaction
            try:
                yield transaction
                transaction.require_open()
                _run(connection, "COMMIT")
            except BaseException:
                self._undo(connection)
                raise
            finally:
                transaction.open = False
                self._here.transaction = outer
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close every connection. Readers still at work close theirs when they end."""
        self._closed = True
        while self._readers:
            self._readers.pop().close()
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def settle(self) -> None:
        """Bring into the file what the write-ahead file holds, as far as no reader stands before it; nobody waits."""
        connection = self._reader()
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except _FAULTS as error:
            connection.close()
            raise _explained(error) from error
        self._give_back(connection)

    def backup(self, target: Path | str) -> None:
        """Copy the database as it stands to `target`, online: one consistent state, writers go on.

        The copy is durable when this returns, and readable by its owner only. Raises Temporary where the disk is full.
        """
        target = Path(target)
        draft = target.with_name(target.name + ".part")
        try:
            draft.unlink(missing_ok=True)
            self._copy(draft)
            sync(draft)
            draft.replace(target)
            sync(target.parent)
        except _FAULTS as error:
            draft.unlink(missing_ok=True)
            raise _explained(error) from error

    def faults(self) -> list[str]:
        """List what SQLite finds broken in the file: structure, and references; for `doctor`."""
        with self.read() as tx:
            found = [str(row[0]) for row in cast("list[tuple[str]]", tx.all("PRAGMA quick_check"))]
            dangling = tx.all("PRAGMA foreign_key_check")
        structure = [] if found == ["ok"] else found
        return structure + [f"a row of {row['table']} refers to a missing row of {row['parent']}" for row in dangling]

    def _copy(self, target: Path) -> None:
        """Copy everything into a new file; in one step, or a busy writer would start it over and over."""
        _make_private(target)
        with closing(self._connect()) as source, closing(sqlite3.connect(target, isolation_level=None)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it

    def _connect(self) -> sqlite3.Connection:
        """Open a connection. Any thread may use it; one at a time does."""
        try:
            _make_private(self.path)
            connection = sqlite3.connect(
                self.path, timeout=self._wait, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            connection.row_factory = sqlite3.Row
            for setting in _SETTINGS:
                connection.execute(setting)
        except _FAULTS as error:
            raise _explained(error) from error
        return connection

    def _begin_writing(self, wait: float, logged: bool) -> sqlite3.Connection:
        if self._closed:
            raise Temporary("The database is closed: this process is stopping.")
        if self._writer is None:
            self._writer = self._connect()
        _run(self._writer, f"PRAGMA busy_timeout = {max(1, int(wait * 1000))}")
        # NORMAL leaves the write-ahead file to a later sync: whole commits may be lost, always the newest ones.
        _run(self._writer, f"PRAGMA synchronous = {'NORMAL' if logged else 'FULL'}")
        _run(self._writer, "BEGIN IMMEDIATE")
        return self._writer

    def _undo(self, connection: sqlite3.Connection) -> None:
        """Roll back; SQLite may have done so itself (full disk), and the error that led here matters more."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
            self._writer = None

    def _reader(self) -> sqlite3.Connection:
        if self._closed:
            raise Temporary("The database is closed: this process is stopping.")
        try:
            return self._readers.pop()
        except IndexError:
            return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._readers.append(connection)


class _Reading:
    """A reading block. A class of its own: entering a generator would cost as much as the read."""

    __slots__ = ("_connection", "_database", "_outer", "_transaction")

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def __enter__(self) -> SqliteTransaction:
        database = self._database
        self._connection = connection = database._reader()
        try:
            connection.execute("BEGIN")
        except BaseException as error:
            connection.close()
            raise _explained(error) from error
        self._transaction = SqliteTransaction(connection, writes=False)
        database._here.transaction = self._transaction
        return self._transaction

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._transaction.open = False
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            self._connection.close()  # nothing was written: a new connection takes its place
            return
        self._database._give_back(self._connection)


class _Joined:
    """A block inside another block of the same thread."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: SqliteTransaction) -> None:
        self._transaction = transaction

    def __enter__(self) -> SqliteTransaction:
        return self._transaction

    def __exit__(self, *_: object) -> None:
        return None


# A text that is no Unicode, or an integer beyond 64 bits, came from outside and cannot be stored.
_FAULTS = (sqlite3.Error, UnicodeEncodeError, OverflowError, OSError)


def _run(connection: sqlite3.Connection, sql: str) -> None:
    try:
        connection.execute(sql)
    except _FAULTS as error:
        raise _explained(error) from error


_BUSY = (
    "The database is held by another writer.",
    "Try again in a moment; nothing was changed. `thinmesh status` shows what runs on this home.",
)
_DAMAGED = (
    "The database file of the platform home is damaged.",
    "Stop what runs on the home, and restore the newest backup into a new folder: thinmesh restore FILE DIR.",
)
# What SQLite's primary result codes mean to the user, and what to do (https://sqlite.org/rescode.html).
_TEMPORARY = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: (
        "The disk of the platform home is full.",
        "Free some space there, then try again; nothing was changed.",
    ),
    sqlite3.SQLITE_READONLY: (
        "The database of the platform home cannot be written.",
        "Check who owns thinmesh.db and its folder, and that the disk is mounted for writing.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "The database of the platform home cannot be opened.",
        "Check that thinmesh.db and its folder are there and belong to you, and the limit of open files.",
    ),
    sqlite3.SQLITE_IOERR: (
        "The disk of the platform home failed to read or write.",
        "Check the disk and its free space, then try again; `thinmesh doctor` checks what is there.",
    ),
    sqlite3.SQLITE_NOMEM: ("There is not enough memory for the database.", ""),
}


def _explained(error: BaseException) -> BaseException:
    """Give the error of ours that says the same, and what to do."""
    if isinstance(error, (UnicodeEncodeError, OverflowError)):
        return Malformed("A text that is not valid Unicode, or a number beyond 64 bits, cannot be stored.")
    if isinstance(error, OSError):
        return Temporary(f"The database's disk failed: {error.strerror}.")
    if not isinstance(error, sqlite3.Error):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    found = _TEMPORARY.get(primary) if primary is not None else None
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Internal(_DAMAGED[0], help=_DAMAGED[1])
    if found:
        return Temporary(found[0], help=found[1])
    return Internal(f"The database refused a statement: {error}.")


def _make_private(path: Path) -> None:
    """Make the file with mode 0600 where there is none; SQLite gives the files beside it the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
