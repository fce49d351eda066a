"""Turn what DuckDB says into an error a person can use, without anything internal in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from thinmesh.kernel.errors import Internal, MeshError, Refused, Temporary
from thinmesh.planes.query.model import Parsed

_PREFIX = re.compile(r"^(?:\w+ )*(?:Error|Exception): ")
_PLACE = re.compile(r"\n+LINE \d+:.*", re.DOTALL)
_PATH = re.compile(r"""["']?(?:/proc/self/fd/\d+|(?<![\w.])/(?:[\w.@+-]+/)+[\w.@+-]*)["']?""")
_SYSTEM = re.compile(r"""\n?Did you mean "(?:pg_|sqlite_|duckdb_|pragma_|temp\.|system\.|information_schema)[^\n]*""")
_INTERNALS = re.compile(r"\b(?:information schema|answer)\b(?=[\".])")
_CANDIDATES = re.compile(r'Candidate bindings: (.+)|Did you mean "([^"]+)"')
_MEMORY = {"OutOfMemoryException", "MemoryError", "ArrowMemoryError"}
_OURS = {"InternalException", "FatalException", "SerializationException"}
_READING = {"ParserException", "BinderException", "CatalogException"}
_MOST = 2000
_DEEP = "Max expression depth limit"


def refusal(message: Mapping[str, Any], parsed: Parsed | None) -> MeshError:
    """Give the error for a worker's complaint: {kind, detail, help}."""
    kind, detail = message["kind"], message["detail"]
    if kind == "refused":
        return Refused(detail, help=message["help"])
    if kind in _MEMORY:
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
    return Refused(cleaned + where, help=_help(detail))


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
