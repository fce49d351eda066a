"""Turn what DuckDB says into an error a person can use, without anything internal in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from thinmesh.kernel.errors import Example, Internal, MeshError, Refused, Temporary, Violation
from thinmesh.planes.query.model import Parsed

_PREFIX = re.compile(r"^(?:\w+ )*(?:Error|Exception): ")
_PLACE = re.compile(r"\n+LINE \d+:.*", re.DOTALL)
# The echo of one line of the statement, cut at both ends where it is long, with carets under what is meant.
_ECHO = re.compile(r"\n\n(LINE (\d+): )(\.\.\.)?(.*?)(\.\.\.)?\n( +)(\^+)\s*$")
_WITHIN_WORD = re.compile(r"\w\w")
_PATH = re.compile(r"""["']?(?:/proc/self/fd/\d+|(?<![\w.])/(?:[\w.@+-]+/)+[\w.@+-]*)["']?""")
_SYSTEM = re.compile(r"""\n?Did you mean "(?:pg_|sqlite_|duckdb_|pragma_|temp\.|system\.|information_schema)[^\n]*""")
_INTERNALS = re.compile(r"\b(?:information schema|answer)\b(?=[\".])")
_CANDIDATES = re.compile(r'Candidate bindings: (.+)|Did you mean "([^"]+)"')
OUT_OF_MEMORY = {"OutOfMemoryException", "MemoryError", "ArrowMemoryError"}
_OURS = {"InternalException", "FatalException", "SerializationException"}
_READING = {"ParserException", "BinderException", "CatalogException"}
_MOST = 2000
_MOST_MEANT = 80
_DEEP = "Max expression depth limit"


def refusal(message: Mapping[str, Any], parsed: Parsed | None, sql: str = "") -> MeshError:
    """Give the error for a worker's complaint about a statement: {kind, detail, help}."""
    kind, detail = message["kind"], message["detail"]
    if kind == "refused":
        return Refused(detail, help=message["help"])
    if kind in OUT_OF_MEMORY:
        return Refused(
            "The statement needs more memory than one may use here.",
            help="Filter or aggregate earlier, select fewer columns, or ask for a higher query.memory.",
        )
    if kind == "missing":
        names = ", ".join(map(str, parsed.tables)) if parsed else "a table"
        return Temporary(
            f"A data file of {names} cannot be read.", help="Try again; if it stays so, run: thinmesh doctor"
        )
    if kind == "internal" or kind in _OURS:
        return Internal(f"The query engine failed on this statement ({detail if kind == 'internal' else kind}).")
    if _DEEP in detail:
        return Refused("This statement is nested too deeply.", help="Write it flatter, with WITH.")
    if "No space left" in detail:
        return Temporary("The platform's disk is full, so the statement could not spill.")
    cleaned = clean(detail)
    if kind in ("IOException", "PermissionException", "InvalidConfigurationException"):
        return Refused(cleaned, help="Statements read tables of the mesh, as product.table, and nothing else.")
    # Errors while running speak of the lines of a statement that we wrote around the caller's.
    place = re.search(r"\n\nLINE (\d+):", detail) if kind in _READING else None
    where = f" (line {place[1]})" if place and place[1] != "1" else ""
    return Refused(cleaned + where, help=_help(detail), violations=place_of(detail, sql) if kind in _READING else ())


def place_of(detail: str, sql: str) -> list[Violation]:
    """Tell where in a statement the engine found fault: line, and character in it; nothing where that is not sure.

    The engine counts from where it began to read, which is behind EXPLAIN, and puts its carets under columns of a
    terminal, from where it sometimes cut blanks away. So the echo is looked for in the statement, and what would begin
    in the middle of a word is not believed.
    """
    echo = _ECHO.search(detail)
    lines = sql.split("\n")
    if not echo or int(echo[2]) > len(lines):
        return []
    line, shown = lines[int(echo[2]) - 1], echo[4]
    skipped = len(echo[6]) - len(echo[1]) - len(echo[3] or "")
    at, begin = _characters(shown, skipped), line.find(shown)
    if not shown or begin < 0 or line.find(shown, begin + 1) >= 0 or at >= len(shown):
        return []
    if at and _WITHIN_WORD.match(shown, at - 1):
        return []
    meant = shown[at : at + _characters(shown[at:], len(echo[7]))]
    place = Example(int(echo[2]), None, begin + at + 1)
    return [Violation(f"at {meant[:_MOST_MEANT]}", "statement", examples=(place,))]


def _characters(text: str, width: int) -> int:
    """Count the characters that fill so many columns of a terminal."""
    taken = 0
    for number, character in enumerate(text):
        wide = _width(character)
        if taken >= width and wide:
            return number
        taken += wide
    return len(text)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Cc", "Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clean(detail: str) -> str:
    """Take the error's class, the echo of the statement, paths and names of our own making out of a message."""
    cut = _PLACE.sub("", _PREFIX.sub("", detail))
    cut = _SYSTEM.sub("", _PATH.sub("a data file", cut))
    return _INTERNALS.sub("information_schema", cut).strip()[:_MOST]


def _help(detail: str) -> str:
    found = _CANDIDATES.search(detail)
    if found and found[1]:
        return f"The nearest names are {found[1].strip()[:_MOST]}."
    if found and not _SYSTEM.search(detail):
        return f"Did you mean {found[2][:_MOST]}?"
    return "Correct the statement; DESCRIBE product.table shows a table's columns."
