"""`thinmesh query`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

import click

from thinmesh.interface.client.files import whole_file
from thinmesh.interface.client.problems import document_of, error_of_stranger
from thinmesh.interface.client.session import Answer
from thinmesh.kernel.errors import Malformed, MeshError

from . import output
from .door import Door, command

_FORMATS = ("table", "csv", "json", "arrow", "parquet")
_ENDINGS = {".csv": "csv", ".json": "json", ".arrow": "arrow", ".parquet": "parquet", ".txt": "table"}
_NUMBERS = ("integer", "double", "decimal")
# The columns of what EXPLAIN answers: drawings, whose lines are to stay lines.
_PLAN = ["explain_key", "explain_value"]
# More rows than that are not read in a terminal; --limit and -o give all that is wanted.
_SCREEN_ROWS = 1000


@command("query")
@click.argument("sql", required=False)
@click.option("-f", "--file", "file", metavar="FILE", help="Read the statement from a file; - for stdin.")
@click.option("--format", type=click.Choice(_FORMATS), help="Default: by the ending of OUT, else table.")
@click.option("-o", "--output", "out", metavar="OUT", help="Write the answer to a file, whole or not at all.")
@click.option("--limit", type=click.IntRange(0), metavar="N", help="At most so many rows.")
def query_command(
    door: Door, sql: str | None, file: str | None, format: str | None, out: str | None, limit: int | None
) -> None:
    """Run one read-only SQL statement.

    Tables are named <product>.<table>: thinmesh query "select * from weather.weather limit 10"
    """
    statement = _statement(sql, file)
    chosen = _format(door, format, out)
    if limit is None and chosen == "table" and out is None and sys.stdout.isatty():
        limit = _SCREEN_ROWS
    with door.session() as session:
        answer = session.query(statement, "json" if chosen == "table" else chosen, limit)
        try:
            _deliver(door, answer, chosen, out)
        finally:
            answer.close()


def _statement(sql: str | None, file: str | None) -> str:
    if (sql is None) == (file is None):
        raise click.UsageError("Give one statement: as an argument, or by -f FILE.")
    if sql is not None:
        return sql
    try:
        return sys.stdin.read() if file == "-" else Path(str(file)).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Malformed(f"{file}: no such file.", help="Name a file that exists, or - for stdin.") from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Malformed(f"{file} cannot be read: {why}.", help="Name a text file in UTF-8.") from error


def _format(door: Door, format: str | None, out: str | None) -> str:
    if door.as_json and format not in (None, "json") and out is None:
        raise click.UsageError(f"--json and --format {format} both want stdout; write one to a file with -o.")
    chosen = format or (_format_of(out) if out else None)
    if chosen is None:
        chosen = "json" if door.as_json else "table"
    if chosen in ("arrow", "parquet") and out is None and sys.stdout.isatty():
        raise click.UsageError(f"{chosen} is not for a terminal: write it with -o FILE, or into a pipe.")
    return chosen


def _format_of(out: str) -> str | None:
    """Tell the format by a file's ending; one that names another format is no wish for the drawn table."""
    ending = Path(out).suffix.lower()
    if out == "-" or (Path(out).exists() and not Path(out).is_file()):
        return None
    if ending and ending not in _ENDINGS:
        raise click.UsageError(f"{ending} is no format of ours: choose one with --format {'|'.join(_FORMATS)}.")
    return _ENDINGS.get(ending)


def _deliver(door: Door, answer: Answer, format: str, out: str | None) -> None:
    if out is not None and out != "-":
        with whole_file(Path(out)) as file:
            size = _write(answer, format, file)
        if door.as_json:
            told = {"file": out, "format": format, "bytes": size, "row_count": _row_count(answer)}
            door.show({**told, "statement": answer.statement}, str)
        else:
            door.say(f"{output.printable(out)}: {output.size(size)}")
        return
    _write(answer, format, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _row_count(answer: Answer) -> int | None:
    """Count the rows of an answer that is in its file already; unknown where the server cannot be asked any more."""
    try:
        return answer.row_count()
    except MeshError:
        return None


def _write(answer: Answer, format: str, file: BinaryIO) -> int:
    if format == "table":
        return file.write(_table(b"".join(answer.chunks())))
    return sum(file.write(chunk) for chunk in answer.chunks())


def _table(content: bytes) -> bytes:
    found = document_of(content)
    if found is None:
        raise error_of_stranger(200, content)
    columns = found["columns"]
    if [column["name"] for column in columns] == _PLAN:
        return "".join(f"{output.lines(row[1])}\n" for row in found["rows"]).encode("utf-8", "backslashreplace")
    right = [number for number, column in enumerate(columns) if column["type"].startswith(_NUMBERS)]
    drawn = output.table([column["name"] for column in columns], [_cells(row) for row in found["rows"]], right)
    count = output.plural(found["row_count"], "row")
    more = ", and there are more: --limit N, or -o FILE.csv for all" if found["truncated"] else ""
    return f"{drawn}\n({count}{more})\n".encode("utf-8", "backslashreplace")


def _cells(row: list[Any]) -> list[Any]:
    return ["NULL" if value is None else _text(value) for value in row]


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
