"""`/query`: the SQL console. What runs here runs as over the API: the same rights, limits, log and cancellation."""

from __future__ import annotations

import json
import re
import secrets
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.responses import Response

from thinmesh.interface.http.replies import json_reply
from thinmesh.interface.http.statements import answer, in_thread
from thinmesh.kernel.errors import Malformed, MeshError
from thinmesh.planes.query.model import FORMATS

from .visit import Page, Visit

# What the grid holds at most: more is no longer looked at but downloaded.
ROWS = 100_000
# What a browser without scripts is shown.
_FIRST_ROWS = 100
_DOWNLOADS = {name: FORMATS[name] for name in ("csv", "parquet", "arrow")}
_REMEMBERED = 100
_ASKED_FOR_HISTORY = 500
# What the log says of reads that nobody wrote as a statement.
_NO_STATEMENT = re.compile(r"(sample|profile|data) \S+")
_NUMERIC = re.compile(r"integer|double|decimal.*")


def show(visit: Visit) -> Response:
    """Show the console with the statement of the address in its editor; it runs when a person says so."""
    return _console(visit, visit.given("sql"))


async def show_first_rows(visit: Visit) -> Response:
    """Run a statement and show its first rows in the page, for browsers without scripts."""
    sql = _sql(visit)
    try:
        result = json.loads(await in_thread(lambda: _first_rows(visit, sql)))
    except MeshError as error:
        return _console(visit, sql, error.status, error=error)
    return _console(visit, sql, result=result)


async def run(visit: Visit) -> Response:
    """Run a statement under the id that the page chose, and stream its rows as JSON."""
    sql, id = _sql(visit), visit.form.get("id") or secrets.token_hex(8)
    queries, caller = visit.platform.queries, visit.caller
    return await answer(visit.request, lambda: queries.run(caller, sql, id, ROWS), partial(queries.cancel, caller), id)


def cancel(visit: Visit) -> Response:
    """Cancel a running statement."""
    return json_reply(visit.platform.queries.cancel(visit.caller, visit.form.get("id", "")))


async def download(visit: Visit) -> Response:
    """Run a statement and give the whole answer as a file."""
    sql, format = _sql(visit), visit.form.get("format", "csv")
    if format not in _DOWNLOADS:
        raise Malformed(f"{format[:20]!r} is no format of downloads.", help=f"Choose one of: {', '.join(_DOWNLOADS)}.")
    name = f"query-{datetime.now(UTC):%Y%m%d-%H%M%S}.{format}"
    queries, caller, id = visit.platform.queries, visit.caller, secrets.token_hex(8)
    return await answer(
        visit.request,
        lambda: queries.run(caller, sql, id, None, format, fresh=True),
        partial(queries.cancel, caller),
        id,
        {"Content-Disposition": f'attachment; filename="{name}"'},
    )


def tables(visit: Visit) -> Response:
    """List what may be read, product by product: names alone, for there can be thousands."""
    return json_reply({"products": list(visit.platform.queries.names(visit.caller).items())})


def columns(visit: Visit) -> Response:
    """Give the columns of a product's tables."""
    shown = visit.platform.products.show(visit.caller, visit.path("product"))
    return json_reply(
        {
            "tables": {
                table["name"]: [
                    [column[part] for part in ("name", "type", "description")] for column in table["columns"]
                ]
                for table in shown.tables
            }
        }
    )


def history(visit: Visit) -> Response:
    """Give the caller's latest statements, each text once."""
    listed = visit.platform.queries.statements(visit.caller, _ASKED_FOR_HISTORY, own=True).items
    found: dict[str, dict[str, Any]] = {}
    for entry in listed:
        if not _NO_STATEMENT.fullmatch(entry["sql"]):
            fields = ("sql", "state", "started", "rows", "seconds", "error")
            found.setdefault(entry["sql"], {name: entry[name] for name in fields})
    return json_reply({"statements": list(found.values())[:_REMEMBERED]})


def _console(visit: Visit, sql: str, status: int = 200, **values: Any) -> Response:
    return visit.page(
        "console.html",
        status,
        **{"sql": sql, "result": None, "error": None, "most": ROWS, "is_number": _NUMERIC.fullmatch, **values},
    )


def _sql(visit: Visit) -> str:
    """Give the statement that was typed; forms send lines with ends that no editor shows."""
    return visit.form.get("sql", "").replace("\r\n", "\n")


def _first_rows(visit: Visit, sql: str) -> bytes:
    return visit.platform.queries.run(visit.caller, sql, None, _FIRST_ROWS).read()


PAGES = (
    Page("/query", show),
    Page("/query", show_first_rows, ("POST",)),
    Page("/query/run", run, ("POST",), for_script=True),
    Page("/query/cancel", cancel, ("POST",), for_script=True),
    Page("/query/download", download, ("POST",)),
    Page("/query/tables", tables, for_script=True),
    Page("/query/tables/{product}", columns, for_script=True),
    Page("/query/history", history, for_script=True),
)
