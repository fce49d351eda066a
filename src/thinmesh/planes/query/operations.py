"""The verbs of the query plane."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from thinmesh.kernel.clock import Clock, text_of_time, utc_now
from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import (
    Conflict,
    Malformed,
    MeshError,
    NotAllowed,
    NotFound,
    Refused,
    Retired,
    TooLarge,
    Unsupported,
)
from thinmesh.kernel.page import Page, checked_limit, cursor_of, texts_of
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.table_records import TableRecord, outlines

from .backend import Engine, Job, Run, StatementLog, TableCatalog
from .execution import Execution
from .model import (
    FORMATS,
    JSON_ROWS,
    LOGGED_CHARACTERS,
    MAX_SQL_BYTES,
    Answer,
    Binding,
    ColumnProfile,
    Parsed,
    ReadableTable,
    Reader,
    Sample,
    Statement,
    TableName,
    Usage,
)
from .recorder import Recorder

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_SAMPLE_ROWS = 20
# Columns that one statement profiles: of more, DuckDB's plan alone takes hundreds of megabytes.
_PROFILED = 25
# Profiles of tables as published are kept, so that who looks at a page again does not wait.
_PROFILES = 200
_PROFILE_COLUMNS, _PROFILE_CHARACTERS = 500, 100_000  # one with more is measured each time
_READERS = 20  # named in one answer
# How long readers have to see that their statement was stopped, when the server ends.
_CLOSE_SECONDS = 5.0
# A whole table may take its reader as long as it needs; a stalled one is ended by the engine.
_DATA_SECONDS = 6 * 3600.0


class Queries:
    """Run statements over the tables that a caller may read, and keep the query log.

    `seconds` caps a statement's time, waiting for a worker included. `again` gives a caller as they are now, and raises
    NotSignedIn where they may not come in any more: an answer can take longer than a token lasts.
    """

    def __init__(
        self,
        engine: Engine,
        catalog: TableCatalog,
        log: StatementLog,
        *,
        seconds: float = 60.0,
        clock: Clock = utc_now,
        again: Callable[[Principal], Principal] = lambda caller: caller,
    ) -> None:
        self._engine = engine
        self._catalog = catalog
        self._log = log
        self._seconds = seconds
        self._clock = clock
        self._again = again
        self._recorder = Recorder(log)
        self._live: dict[tuple[str, str], tuple[Statement, Run, float]] = {}
        self._profiles: OrderedDict[tuple[str | None, ...], tuple[ColumnProfile, ...]] = OrderedDict()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        log.interrupted()

    def run(
        self,
        caller: Principal,
        sql: str,
        id: str | None = None,
        limit: int | None = None,
        format: str = "json",
        fresh: bool = False,
    ) -> Execution:
        """Run one reading statement; returns when its first rows are there.

        `id`, chosen by the caller, lets another call cancel it; one drawn at random is `fresh`, and not looked for in
        the log. `limit` caps the rows; JSON without one stops at 10,000. Raises Malformed, TooLarge, Unsupported,
        Conflict (an id used before), Refused, NotFound, NotAllowed, TooManyRequests, Temporary.
        """
        _check_request(sql, id, limit, format)
        _may_query(caller)
        if limit is None and format == "json":
            limit = JSON_ROWS
        job = Job(caller.user, sql, format, limit, self._seconds, lambda parsed: self._bind(caller, parsed))
        return self._execute(caller, job, sql, id, fresh=fresh)

    def sample(self, caller: Principal, product: str, table: str) -> Sample:
        """Give the first rows of a table. Raises NotFound, NotAllowed."""
        found = self._table(caller, product, table)
        execution = self._over(caller, found, "sample", self._engine.sample(found, _SAMPLE_ROWS), "json", self._seconds)
        document = json.loads(execution.read())
        return Sample(tuple(document["columns"]), tuple(map(tuple, document["rows"])), document["row_count"])

    def profile(
        self, caller: Principal, product: str, table: str, most: int | None = None, *, partial: bool = False
    ) -> tuple[ColumnProfile, ...]:
        """Give counts, extremes, quantiles and frequent values of each column, or of the first `most`.

        It is measured once for each publication; who gets it again is in the query log all the same. A table of many
        columns takes several statements, all within the time of one; `partial` leaves out columns for which time or
        memory did not suffice, as long as there are others. Raises NotFound, NotAllowed, Refused.
        """
        found = self._table(caller, product, table)
        columns = found.columns[:most]
        key = (found.product, found.table, found.publication, *(column.name for column in columns))
        with self._lock:
            kept = self._profiles.get(key)
            if kept is not None:
                self._profiles.move_to_end(key)
        if kept is not None:
            self._recorder.add(self._seen_again(caller, found, len(kept)))
            return kept
        made = self._measured(caller, found, columns, partial=partial)
        if len(made) == len(columns):
            self._keep(key, made)
        return made

    def usage(self, caller: Principal, product: str, days: int = 30) -> Usage:
        """Tell how much a product was read lately; by whom, to its owners and administrators. Raises NotFound, Retired.

        Samples and profiles do not count.
        """
        _may_query(caller)
        named = self._catalog.names_readers(caller, product)
        since = text_of_time(self._clock() - timedelta(days=days - 1))[:10]
        by_day, readers = self._log.usage(product, since)
        return Usage(
            days=days,
            statements=sum(count for _, count in by_day),
            users=len(readers),
            by_day=dict(by_day),
            readers=tuple(Reader(*each) for each in readers[:_READERS]) if named else None,
        )

    def data(self, caller: Principal, product: str, table: str, format: str = "csv") -> Execution:
        """Give a whole table as CSV, Parquet or Arrow. Raises NotFound, NotAllowed, Unsupported."""
        if format not in FORMATS or format == "json":
            raise Unsupported(f"Table data does not come as {format!r}.", help="Ask for csv, parquet or arrow.")
        found = self._table(caller, product, table)
        return self._over(caller, found, "data", self._engine.data(found), format, _DATA_SECONDS)

    def tables(self, caller: Principal, limit: int | None = None, cursor: str | None = None) -> Page:
        """List the tables whose data the caller may read: product, table, description, publication, columns."""
        size, after = checked_limit(limit), texts_of(cursor, 2)
        found = self._catalog.readable(caller, size + 1, after or ("", ""))
        last = found[size - 1] if len(found) > size else None
        return Page(tuple(map(_listed, found[:size])), cursor_of([last.product, last.name]) if last else None)

    def names(self, caller: Principal) -> Mapping[str, Sequence[str]]:
        """Give the names of all tables whose data the caller may read, by product. Raises NotAllowed."""
        _may_query(caller)
        return self._catalog.names(caller)

    def statement(self, caller: Principal, id: str) -> Statement:
        """Give an entry of the query log: one's own; of anybody to an administrator. Raises NotFound, NotAllowed."""
        return self._find(caller, id)[0]

    def statements(
        self, caller: Principal, limit: int | None = None, cursor: str | None = None, *, own: bool = False
    ) -> Page:
        """List the query log, newest first: one's own entries; everybody's to an administrator. Raises NotAllowed.

        `own` keeps an administrator to their own as well.
        """
        _may_query(caller)
        size = checked_limit(limit)
        self._recorder.flush()
        whose = None if caller.administers and not own else caller.user
        found = list(self._log.list(whose, size + 1, texts_of(cursor, 3)))
        rest = len(found) > size
        found = found[:size]
        position = cursor_of([found[-1].started, found[-1].user, found[-1].id]) if rest else None
        return Page(tuple(_shown(one) for one in found), position)

    def cancel(self, caller: Principal, id: str) -> Statement:
        """End a running statement: one's own; anybody's by an administrator. One that has ended stays as it is.

        Raises NotFound, NotAllowed.
        """
        entry, run = self._find(caller, id)
        if run is not None:
            run.stop("cancelled")
        return entry

    def close(self) -> None:
        """End what runs, and write the log."""
        with self._idle:
            for _, run, _ in self._live.values():
                run.stop("stopping")
            self._idle.wait_for(lambda: not self._live, _CLOSE_SECONDS)
        self._recorder.close()

    def _table(self, caller: Principal, product: str, table: str) -> ReadableTable:
        _may_query(caller)
        return self._catalog.resolve(caller, [TableName(product.lower(), table.lower())])[0]

    def _measured(
        self, caller: Principal, table: ReadableTable, columns: Sequence[Column], *, partial: bool
    ) -> tuple[ColumnProfile, ...]:
        """Profile columns of a table, so many by one statement that it needs little memory."""
        end = time.monotonic() + self._seconds
        made: list[ColumnProfile] = []
        refusal: Refused | None = None
        for first in range(0, len(columns), _PROFILED):
            left = end - time.monotonic()
            try:
                if left <= 0:
                    raise _no_time(self._seconds)
                sql = self._engine.profile(replace(table, columns=tuple(columns[first : first + _PROFILED])))
                made += _profiles(json.loads(self._over(caller, table, "profile", sql, "json", left).read()))
            except Refused as error:
                refusal = error if time.monotonic() < end else _no_time(self._seconds)
                if not partial:
                    raise refusal from None
        if refusal is not None and not made:
            raise refusal
        return tuple(made)

    def _keep(self, key: tuple[str | None, ...], profile: tuple[ColumnProfile, ...]) -> None:
        characters = sum(
            len(value) for column in profile for value in (*column.top, column.min or "", column.max or "")
        )
        if len(profile) > _PROFILE_COLUMNS or characters > _PROFILE_CHARACTERS:
            return
        with self._lock:
            self._profiles[key] = profile
            while len(self._profiles) > _PROFILES:
                self._profiles.popitem(last=False)

    def _seen_again(self, caller: Principal, table: ReadableTable, rows: int) -> Statement:
        """Make the log's entry for a profile that was not measured again."""
        now = text_of_time(self._clock())
        entry = _entry(caller, f"s{secrets.token_hex(10)}", f"profile {table.name}", "json", now)
        return replace(entry, state="done", tables=(str(table.name),), rows=rows)

    def _over(
        self, caller: Principal, table: ReadableTable, what: str, sql: str, format: str, seconds: float
    ) -> Execution:
        """Run a statement that we wrote over one table; the log says what it was for."""
        job = Job(caller.user, sql, format, None, seconds, lambda _: Binding((table,)))
        return self._execute(caller, job, f"{what} {table.name}", None)

    def _execute(self, caller: Principal, job: Job, text: str, id: str | None, fresh: bool = True) -> Execution:
        run = self._engine.submit(job)
        entry = _entry(caller, id or f"s{secrets.token_hex(10)}", text, job.format, text_of_time(self._clock()))
        key = (entry.user, entry.id)
        self._reserve(entry, run, fresh=fresh or id is None)
        self._recorder.add(entry)
        execution = Execution(
            run,
            entry.id,
            job.format,
            lambda size, state, error: self._ended(key, run, size, state, error),
            lambda: self._require_grants(caller, run),
        )
        try:
            run.open()
        except BaseException as error:
            self._ended(key, run, 0, "failed", error if isinstance(error, MeshError) else None)
            raise
        return execution

    def _reserve(self, entry: Statement, run: Run, *, fresh: bool) -> None:
        """Take a statement's id. Raises Conflict where it was used before.

        The log is looked at last: a statement of the same id that ends meanwhile would else be written over there.
        """
        key = (entry.user, entry.id)
        with self._lock:
            if key in self._live:
                raise _id_taken(entry.id)
            self._live[key] = (entry, run, time.monotonic())
        try:
            if not fresh:
                self._require_unused(entry)
        except BaseException:
            with self._idle:
                del self._live[key]
                self._idle.notify_all()
            raise

    def _require_unused(self, entry: Statement) -> None:
        self._recorder.flush()
        if self._log.find(entry.user, entry.id):
            raise _id_taken(entry.id)

    def _require_grants(self, caller: Principal, run: Run) -> None:
        """Raise where token, team or grant has ended since the statement began; a table may go meanwhile.

        Raises NotSignedIn, NotAllowed.
        """
        now = self._again(caller)
        with suppress(NotFound, Retired):
            self._catalog.resolve(now, [table.name for table in run.binding.tables] if run.binding else [])

    def _bind(self, caller: Principal, parsed: Parsed) -> Binding:
        """Decide what a statement runs over: grants and snapshots of all its tables, in one read."""
        if parsed.kind == "show":
            only = parsed.tables[0].product if parsed.tables else None
            rows = tuple(self._catalog.described(caller, only))
            return Binding(answer=Answer(("product", "table", "description"), rows))
        if parsed.kind == "describe":
            return Binding(answer=_described(self._catalog.describe(caller, parsed.tables[0])))
        found = tuple(self._catalog.resolve(caller, parsed.tables)) if parsed.tables else ()
        tables, others = found[: len(parsed.tables)], found[len(parsed.tables) :]
        return Binding(tables, tuple(self._catalog.readable(caller)) if parsed.catalog else None, others=others)

    def _find(self, caller: Principal, id: str) -> tuple[Statement, Run | None]:
        _may_query(caller)
        with self._lock:
            for (user, name), (entry, run, _) in self._live.items():
                if name == id and (user == caller.user or caller.administers):
                    return entry, run
        self._recorder.flush()
        found = self._log.find(caller.user, id)
        if found is None and caller.administers:
            found = self._log.find(None, id)
        if found is None:
            raise NotFound(f"You have no statement {id[:64]!r}.", help="List yours: GET /query/v1/statements")
        return found, None

    def _ended(self, key: tuple[str, str], run: Run, size: int, state: str, error: MeshError | None) -> None:
        """Write the end of a statement to the log, once."""
        with self._idle:
            live = self._live.get(key)
            if live is None or live[1] is not run:
                return
            del self._live[key]
            self._recorder.add(_finished(*live, size, state, error))
            self._idle.notify_all()


def _no_time(seconds: float) -> Refused:
    return Refused(
        f"The profile took longer than {seconds:g} s, so it was stopped.", help="Ask for a higher query.timeout."
    )


def _profiles(document: Mapping[str, Any]) -> tuple[ColumnProfile, ...]:
    """Read the answer of a profile's statement: lists come as JSON texts."""
    names = [column["name"] for column in document["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in document["rows"]]
    for row in rows:
        row |= {name: tuple(json.loads(row[name] or "[]")) for name in ("top", "quantiles", "top_counts")}
        row["top_counts"] = row["top_counts"][: len(row["top"])]
    return tuple(ColumnProfile(**row) for row in rows)


def _finished(entry: Statement, run: Run, began: float, size: int, state: str, error: MeshError | None) -> Statement:
    parsed, binding = run.parsed, run.binding
    known = {column.name for table in binding.tables for column in table.columns} if binding else set()
    cancelled = state == "failed" and isinstance(error, Conflict)
    return replace(
        entry,
        state="cancelled" if cancelled else state,
        tables=tuple(map(str, parsed.tables)) if parsed else (),
        columns=tuple(name for name in parsed.columns if name in known) if parsed else (),
        rows=run.rows,
        bytes=size,
        seconds=round(time.monotonic() - began, 6),
        error=error.code if error and not cancelled else None,
        masked=parsed.masked[:LOGGED_CHARACTERS] if parsed else "",
    )


def _entry(caller: Principal, id: str, text: str, format: str, started: str) -> Statement:
    return Statement(id, caller.user, caller.door, text[:LOGGED_CHARACTERS], "running", started, format=format)


def _check_request(sql: str, id: str | None, limit: int | None, format: str) -> None:
    if format not in FORMATS:
        raise Unsupported(f"There is no format {format!r}.", help=f"Ask for one of: {', '.join(FORMATS)}.")
    if id is not None and not _ID.fullmatch(id):
        raise Malformed(
            "The statement's id is not usable.", help="Use 1 to 64 letters, digits, dots, colons, dashes, underscores."
        )
    if limit is not None and not 0 <= limit < 2**62:
        raise Malformed(f"limit {limit} is not a number of rows.", help="Give 0 or more.")
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        raise Malformed("The statement is not valid Unicode text.", help="Send it as UTF-8.") from None
    if size > MAX_SQL_BYTES:
        raise TooLarge(
            f"The statement has {size} bytes; at most {MAX_SQL_BYTES} are taken.", help="Send a shorter one."
        )
    if "\0" in sql:
        raise Malformed("The statement holds a NUL character.", help="Take it out.")


def _may_query(caller: Principal) -> None:
    if caller.scope.startswith("publish:"):
        raise NotAllowed("This token may only publish.", help="Use a token with the scope read or write.")


def _id_taken(id: str) -> Conflict:
    return Conflict(f"You have used the statement id {id!r} before.", help="Choose another id for each statement.")


def _described(table: ReadableTable) -> Answer:
    rows = tuple(
        (
            column.name,
            column.sql_type,
            "NO" if column.required else "YES",
            "PRI" if column.name in table.primary_key else None,
            None,
            None,
            column.description,
        )
        for column in table.columns
    )
    return Answer(("column_name", "column_type", "null", "key", "default", "extra", "description"), rows)


def _listed(table: TableRecord) -> dict[str, Any]:
    record = table.read()
    return {
        "product": table.product,
        "table": table.name,
        "description": record.get("description"),
        "publication": table.publication,
        "columns": [{"name": column.name, "type": column.result_type} for column in outlines(record)],
    }


def _shown(entry: Statement) -> dict[str, Any]:
    return asdict(entry)
