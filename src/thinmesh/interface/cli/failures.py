"""How the command line tells what went wrong: lines for people on stderr, or the problem document on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from thinmesh.interface.client.files import ENDINGS
from thinmesh.kernel.errors import Internal, MeshError, Violation

from .output import lines, printable

_INDENT = "  "


def report(error: MeshError, *, as_json: bool) -> int:
    """Tell an error and give the exit code that belongs to it."""
    if as_json:
        print(json.dumps(error.problem(), ensure_ascii=True))
    else:
        print(f"error: {lines(error.detail, _INDENT)}", file=sys.stderr)
        for violation in error.violations:
            if violation.message in error.detail and not violation.examples:
                continue  # said already
            print(f"{_INDENT}{violation_line(violation)}", file=sys.stderr)
        if error.help:
            print(f"help: {lines(error.help, _INDENT)}", file=sys.stderr)
    return error.exit_code


@contextmanager
def naming(file: str, inside: Sequence[str]) -> Iterator[None]:
    """Name a document in what is refused as its author named it, instead of one of the names `inside` the mesh."""
    try:
        yield
    except MeshError as error:
        names = {each.file for each in error.violations if each.file and each.file.rpartition("/")[2] in inside}
        error.violations = tuple(replace(each, file=file) if each.file in names else each for each in error.violations)
        for name in names:
            if error.detail.startswith(f"{name}:"):
                error.detail = file + error.detail.removeprefix(name)
        raise


def violation_line(violation: Violation) -> str:
    """Write a violation on one line: where, what, how often, and the first places."""
    parts = [violation.file or violation.table, violation.column]
    where = ": ".join(printable(part) for part in parts if part)
    counted = f" ({violation.count:,} times)" if violation.count > 1 else ""
    is_data = (violation.file or "").lower().endswith(ENDINGS)
    places = ", ".join(
        _place(example.line, None if is_data else example.position, example.value) for example in violation.examples[:3]
    )
    more = ", …" if violation.count > 3 and places else ""
    found = f"{where + ': ' if where else ''}{printable(violation.message)}{counted}"
    return f"{found} — {places}{more}" if places else found


def _place(line: int | None, column: int | None, value: str | None) -> str:
    shown = "" if value is None else f'"{printable(value[:60])}{"…" if len(value) > 60 else ""}"'
    where = f"line {line}, column {column}" if column else f"line {line}"
    return f"{where} {shown}".strip() if line else shown


def usage(message: str, hint: str, *, as_json: bool) -> int:
    """Tell that the command line itself is wrong."""
    if as_json:
        print(json.dumps(_problem("usage", "The command line is wrong", 400, message, hint)))
    else:
        print(f"error: {lines(message, _INDENT)}", file=sys.stderr)
        print(f"help: {printable(hint)}", file=sys.stderr)
    return 2


def interrupted(*, as_json: bool) -> int:
    """Tell that the command was stopped before its end."""
    if as_json:
        # 499 is what servers write of a request whose client went away; there is no number of the standard's.
        help = "Run it again, if it was not meant to be stopped."
        print(json.dumps(_problem("interrupted", "Interrupted", 499, "The command was stopped before its end.", help)))
    else:
        print("interrupted", file=sys.stderr, flush=True)
    sys.stdout.flush()
    return 130


def _problem(code: str, title: str, status: int, detail: str, help: str) -> dict[str, Any]:
    """Give the problem document of what only the command line knows."""
    return {
        "type": f"urn:thinmesh:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "retry": False,
        "help": help,
        "violations": [],
    }


def unexpected(error: Exception, *, as_json: bool) -> int:
    """Tell that we failed; the traceback goes to a file, and to the terminal only where THINMESH_DEBUG is set."""
    if os.environ.get("THINMESH_DEBUG"):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    where = _written(error)
    help = f"Report it with {where}." if where else "Run it again with THINMESH_DEBUG=1, and report what it prints."
    return report(Internal(f"Something unexpected happened ({type(error).__name__}).", help=help), as_json=as_json)


def _written(error: Exception) -> Path | None:
    import tempfile
    import traceback

    try:
        handle, name = tempfile.mkstemp(prefix="thinmesh-error-", suffix=".log")
        with os.fdopen(handle, "w") as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        return None
    return Path(name)
