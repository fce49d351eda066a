"""From bytes to a value with places: the first step of every document that somebody hands in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .document_faults import Faults, Path, Places, SyntaxFault, syntax_error
from .errors import TooLarge
from .json_text import json_places, load_json

# A descriptor of a thousand columns has some 200 kB.
MAX_BYTES = 1_000_000
# Nothing that a contract says lies deeper; what takes documents apart later may count on it. A `product.json` is
# written into a contract some levels further down.
_DEEPEST = {"JSON": 64, "YAML": 100}
_BOM = b"\xef\xbb\xbf"
# No text in a YAML document has `---` and a blank at the beginning of a line (YAML 1.2, 9.1.2).
_MARKER = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
# A line that says something: no comment, no directive, and not the marker alone.
_CONTENT = re.compile(
    rb"^(?!---[ \t]*\r?$|\.\.\.[ \t]*\r?$|[ \t]*\r?$|[ \t]*#|%)(?:\xef\xbb\xbf)?[^\r\n]", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Source:
    """A document that was read: its bytes, its value (an object), and the faults found in it so far."""

    file: str
    document: bytes
    value: dict[str, Any]
    faults: Faults


def read(document: bytes, file: str, first_line: int = 1) -> Source:
    """Read JSON, or YAML where it does not begin as JSON does; `first_line` is where it begins in its file.

    Raises TooLarge, or Malformed with line and column of what is no valid syntax.
    """
    text = "\n" * (first_line - 1) + _decoded(document, file)
    is_json = text.lstrip()[:1] in ("{", "[", '"') or not text.strip()
    language = "JSON" if is_json or (file.endswith(".json") and not _looks_like_odcs(text)) else "YAML"
    try:
        value, places, repeated = _json(text) if language == "JSON" else _yaml(text)
        _check_strings(value, text, places, _DEEPEST[language])
    except SyntaxFault as fault:
        raise syntax_error(file, fault, language) from None
    if not isinstance(value, dict):
        raise syntax_error(file, SyntaxFault("a descriptor is an object with members", 1, 1), language)
    faults = Faults(file, value, places)
    if repeated:
        faults.add_repeats()
    return Source(file, bytes(document), value, faults)


def documents_of(stream: bytes) -> list[bytes]:
    """Split a YAML stream before each `---` line that begins a further document; together they are the stream.

    What does not begin a document (JSON, comments, directives, nothing at all) stays with the document beside it.
    """
    if stream.removeprefix(_BOM).lstrip()[:1] in (b"{", b"[", b""):
        return [stream]
    starts, last, said = [0], 0, False
    for found in _MARKER.finditer(stream):
        said = said or _CONTENT.search(stream, last, found.start()) is not None
        last = found.start()
        if said:
            starts.append(last)
            said = False
    if len(starts) > 1 and not _CONTENT.search(stream, last):
        starts.pop()
    return [stream[start:end] for start, end in pairwise([*starts, len(stream)])]


def _json(text: str) -> tuple[Any, Callable[[], Places], bool]:
    value, repeated = load_json(text)
    return value, lambda: json_places(text), repeated


def _yaml(text: str) -> tuple[Any, Callable[[], Places], bool]:
    from .yaml_text import load_yaml

    value, places = load_yaml(text)
    return value, lambda: places, bool(places.repeated)


def _looks_like_odcs(text: str) -> bool:
    return any(line.startswith(("apiVersion:", "kind:")) for line in text.splitlines())


def _decoded(document: bytes, file: str) -> str:
    if len(document) > MAX_BYTES:
        raise TooLarge(
            f"{file} has {len(document):,} bytes; a descriptor has at most {MAX_BYTES:,}.",
            help="Keep data out of the descriptor; publish it as a table.",
        )
    try:
        return document.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        before = document[: error.start].removeprefix(_BOM)
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8", "replace")) + 1
        fault = SyntaxFault("this byte is no UTF-8", before.count(b"\n") + 1, column)
        raise syntax_error(file, fault, "UTF-8 text") from None


def _check_strings(value: Any, text: str, places: Callable[[], Places], deepest: int) -> None:
    """Refuse texts that cannot be written down again (NUL, half a surrogate pair), and nesting without end.

    Raises SyntaxFault with the place.
    """
    escapes = "\\" in text
    if not escapes and not _deeper(value, deepest):
        return
    for path, each in _walk(value, deepest):
        if len(path) > deepest:
            raise _at(places(), path[:deepest], f"it is nested more than {deepest} levels deep")
        if isinstance(each, str) and _unwritable(each):
            raise _at(places(), path, "this text holds a character that cannot be kept (NUL or half a pair)")


def _deeper(value: Any, levels: int) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(levels == 0 or _deeper(each, levels - 1) for each in members if isinstance(each, dict | list))


def _walk(value: Any, deepest: int) -> Iterator[tuple[Path, Any]]:
    """Give every member's name and every value with its path, and no deeper than is allowed."""
    open_values: list[tuple[Path, Any]] = [((), value)]
    while open_values:
        path, each = open_values.pop()
        yield path, each
        if isinstance(each, dict):
            for name, member in each.items():
                yield (*path, name), name
                open_values.append(((*path, name), member))
        elif isinstance(each, list):
            open_values += [((*path, at), member) for at, member in enumerate(each)]
        if len(path) > deepest:
            return


def _unwritable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _at(places: Places, path: Path, message: str) -> SyntaxFault:
    return SyntaxFault(message, *places.find(path))
