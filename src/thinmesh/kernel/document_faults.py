"""What is wrong with a document, collected: every fault with its place, raised all at once."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from .errors import Example, Malformed, Refused, Violation
from .names import nearest

Path = tuple[str | int, ...]
_Value = TypeVar("_Value")

# The part of a document that an example shows.
_SHOWN = 80
# Messages quote names of the document, which may be as long as it is.
_LONGEST = 300
# Nobody reads more, and a hostile document has a fault in every byte.
_MOST = 200
_HINTS = 20
# How near an unknown word must be to a known one to be taken for a slip of the hand.
_SLIP = 0.8
_KINDS: Mapping[type, str] = {
    str: "a text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "an object"
}  # fmt: skip


class SyntaxFault(Exception):
    """A document that cannot be read at all; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


class Places:
    """Where the values and members of a document stand, by path."""

    def __init__(self, text: str) -> None:
        self._lines = [0]
        at = text.find("\n")
        while at >= 0:
            self._lines.append(at + 1)
            at = text.find("\n", at + 1)
        self._values: dict[Path, int] = {}
        self._keys: dict[Path, int] = {}
        self.repeated: list[Path] = []
        self._repeated_at: list[int] = []

    def put(self, path: Path, at: int) -> None:
        """Record the offset (characters) of a value; the last one counts, as it does for JSON."""
        self._values[path] = at

    def put_key(self, path: Path, at: int) -> None:
        """Record the offset of a member's name."""
        if path in self._keys:
            self.repeated.append(path)
            self._repeated_at.append(at)
        self._keys[path] = at

    def line_and_column(self, at: int) -> tuple[int, int]:
        """Give line and character column of an offset, both from 1."""
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def find(self, path: Path, of_key: bool = False) -> tuple[int, int]:
        """Give line and column of a value, or of a member's name; of what holds it where it is not there."""
        known = self._keys if of_key and path in self._keys else self._values
        while path and path not in known:
            path = path[:-1]
            known = self._values
        return self.line_and_column(known.get(path, 0))

    def repeats(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        """Give every member named twice, with the place of the later one."""
        for path, at in zip(self.repeated, self._repeated_at, strict=True):
            yield path, self.line_and_column(at)


@dataclass(frozen=True, slots=True)
class _Fault:
    path: Path
    rule: str
    message: str
    of_key: bool
    place: tuple[int, int] | None = None


class Faults:
    """The faults of one document; `places` is asked only where there are some.

    `lenient` is for ODCS documents: members that nobody knows are kept and listed in `reported`. In `product.json`
    those that are a slip of the hand are refused.
    """

    def __init__(self, file: str, value: Any, places: Callable[[], Places], *, lenient: bool = False) -> None:
        self.lenient = lenient
        self._reported: dict[Path, str] = {}
        self._file = file
        self._value = value
        self._places = places
        self._found: list[_Fault] = []
        self._aliases: dict[Path, Path] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, path: Path, rule: str, message: str, *, of_key: bool = False) -> None:
        """Note that the value (or the member's name) at a path breaks a rule."""
        if path and path[:1] in self._aliases:
            path = (*self._aliases[path[:1]], *path[1:])
        if len(self._found) < _MOST:
            self._found.append(_Fault(path, rule, message, of_key))

    def alias(self, path: Path, written: Path) -> None:
        """Say where in the document stands what is read as a top-level member."""
        self._aliases[path] = written

    def report(self, path: Path, message: str) -> None:
        """Note what is kept and means nothing here, for the author to see."""
        if len(self._reported) < _MOST:
            self._reported.setdefault(path, _clipped(f"{text_of_path(path)}: {message}", 2 * _LONGEST))

    def doubt(self, path: Path, rule: str, message: str) -> None:
        """Refuse what cannot be checked in a `product.json`; report it in an ODCS contract, which others read too."""
        if self.lenient:
            self.report(path, f"{message}; it is kept, and not checked")
        else:
            self.add(path, rule, message)

    @property
    def reported(self) -> tuple[str, ...]:
        """Give what was reported."""
        return tuple(self._reported.values())

    def at(self, path: Path) -> bool:
        """Tell whether a fault of this value is noted already."""
        return any(fault.path == path for fault in self._found)

    def hint(self, name: str, known: Iterable[str]) -> str:
        """Say which known name is near, in the first faults: looking takes time, and nobody needs it more often."""
        near = nearest(name, known) if len(self._found) + len(self._reported) < _HINTS else None
        return f"; did you mean {near!r}?" if near else ""

    @property
    def full(self) -> bool:
        """Tell whether no more faults are kept."""
        return len(self._found) >= _MOST

    @property
    def enough(self) -> bool:
        """Tell whether nobody would read more."""
        return len(self._found) >= _MOST or len(self._reported) >= _MOST

    def add_repeats(self) -> None:
        """Note every member that is named twice."""
        for path, place in self._places().repeats():
            if len(self._found) >= _MOST:
                return
            message = f"{path[-1]!r} is there twice"
            self._found.append(_Fault(path, "duplicate", message, True, place))

    def violations(self) -> tuple[Violation, ...]:
        """Give all faults as violations, in the document's order."""
        if not self._found:
            return ()
        places = self._places()
        placed = [(fault.place or places.find(fault.path, fault.of_key), fault) for fault in self._found]
        placed.sort(key=lambda each: each[0])
        return tuple(self._violation(fault, place) for place, fault in dict.fromkeys(placed))

    def _violation(self, fault: _Fault, place: tuple[int, int]) -> Violation:
        table = fault.path[1] if len(fault.path) > 1 and fault.path[0] == "tables" else None
        shown = None if fault.of_key else _shown(self._at(fault.path))
        return Violation(
            _clipped(fault.message, _LONGEST),
            fault.rule,
            file=self._file,
            table=_clipped(str(table), _SHOWN) if table is not None else None,
            column=_clipped(text_of_path(fault.path), _LONGEST) or None,
            examples=(Example(place[0], shown, place[1]),),
        )

    def _at(self, path: Path) -> Any:
        value = self._value
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def text_of_path(path: Path) -> str:
    """Write a path as people do: `tables.flights.columns[2].logicalType`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def syntax_error(file: str, fault: SyntaxFault, language: str) -> Malformed:
    """Make the error for a document that cannot be read."""
    place = f"{file}:{fault.line}:{fault.column}"
    return Malformed(
        f"{place}: this is no valid {language}: {fault.message}.",
        help="Correct that place and send the document again; nothing was changed.",
        violations=[Violation(fault.message, "syntax", file=file, examples=(Example(fault.line, None, fault.column),))],
    )


def refused(violations: Collection[Violation], file: str) -> Refused:
    """Make the one refusal of everything found in a document."""
    first = next(iter(violations))
    example = first.examples[0]
    place = f"{first.file or file}:{example.line}:{example.position}"
    field = f" {first.column}" if first.column else ""
    more = f" ({len(violations)} faults in all)" if len(violations) > 1 else ""
    return Refused(f"{place}{field}: {first.message}{more}", violations=violations)


class Fields:
    """Reads the members of one object, and notes what does not fit. What is refused reads as left out."""

    def __init__(self, found: Mapping[str, Any], path: Path, faults: Faults) -> None:
        self.found = found
        self.path = path
        self.faults = faults

    def refuse(self, name: str, rule: str, message: str, *steps: str | int) -> None:
        """Note a fault of a member, or of a value inside it."""
        self.faults.add((*self.path, name, *steps), rule, message)

    def require(self, names: Collection[str]) -> None:
        """Note members that are not there."""
        for name in names:
            if self.found.get(name) is None:
                self.faults.add(self.path, "missing", f"{name!r} is missing", of_key=True)

    def refuse_unknown(self, known: Collection[str], what: str) -> None:
        """Note members that nobody knows, with the nearest known one."""
        for name in self.found:
            if name not in known and not self.faults.enough:
                message = f"{name[:_SHOWN]!r} is no field of {what}{self.faults.hint(name, known)}"
                self.faults.add((*self.path, name), "unknown_field", message, of_key=True)

    def report_unknown(self, known: Collection[str], what: str) -> None:
        """Report members that nobody knows; in a `product.json`, refuse those that are a slip of the hand."""
        for name in self.found:
            if name in known or self.faults.enough:
                continue
            message = f"{name[:_SHOWN]!r} is no field of {what}{self.faults.hint(name, known)}"
            if not self.faults.lenient and nearest(name, known, _SLIP):
                self.faults.add((*self.path, name), "unknown_field", message, of_key=True)
            else:
                self.faults.report((*self.path, name), f"{message}; it is kept, and means nothing here")

    def get(self, name: str, kind: type[_Value]) -> _Value | None:
        """Give a member of a type (str, bool, int, float, list, dict), or nothing."""
        value = self.found.get(name)
        if value is None:
            return None
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return value  # type: ignore[return-value]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(name, "type", f"{name!r} must be {_KINDS[kind]}, not {_kind_of(value)}")
            return None
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Give a member that is a list of texts."""
        values = self.get(name, list) or []
        for at, value in enumerate(values):
            if not isinstance(value, str):
                self.refuse(name, "type", f"{name!r} lists texts, not {_kind_of(value)}", at)
        return tuple(value for value in values if isinstance(value, str))

    def objects(self, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Give position and value of each object in a member that is a list of them."""
        for at, value in enumerate(self.get(name, list) or []):
            if isinstance(value, Mapping):
                yield at, value
            else:
                self.refuse(name, "type", f"{name!r} lists objects, not {_kind_of(value)}", at)

    def choice(
        self, name: str, allowed: Collection[str], others: Mapping[str, str] = MappingProxyType({})
    ) -> str | None:
        """Give a member that is one of some words; `others` are words of other tools, with ours for them."""
        value = self.get(name, str)
        if value is None or value in allowed:
            return value
        ours = others.get(value.lower())
        hint = f"; did you mean {ours!r}?" if ours else self.faults.hint(value, allowed)
        self.refuse(name, "value", f"{value[:_SHOWN]!r} is not one of {', '.join(allowed)}{hint}")
        return None


def _kind_of(value: Any) -> str:
    return "nothing" if value is None else next((text for kind, text in _KINDS.items() if type(value) is kind), "that")


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _clipped(text, _SHOWN)


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
