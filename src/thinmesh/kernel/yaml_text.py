"""YAML as data contracts are written in, read from libyaml's events: with places, and safe against bombs.

Scalars mean what they mean to the official models (`yaml.safe_load`, YAML 1.1), except that dates, times and
base-60 numbers stay the texts they were written as.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .document_faults import Path, Places, SyntaxFault

# Far above any contract; it stops aliases from unfolding into more than one machine holds.
_MOST_NODES = 200_000
# libyaml slows down with the square of the depth.
DEEPEST = 100
_TAG = "tag:yaml.org,2002:"
_TRUE = frozenset({"yes", "true", "on"})


@dataclass
class _Frame:
    """A mapping or list that is being read; `key` is the member whose value comes next."""

    value: Any
    anchor: str | None
    nodes_before: int
    key: str | None = None
    merging: bool = False
    merged: list[Any] = field(default_factory=list)


def load_yaml(text: str) -> tuple[Any, Places]:
    """Read one YAML document, and where everything in it stands.

    Raises SyntaxFault with the place. Members named twice are in the places; the later one counts.
    """
    import yaml  # type: ignore[import-untyped]

    reader = _Reader(text)
    event = None
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SyntaxFault(error.problem or error.context or "", *_place(mark)) from None
    except yaml.YAMLError as error:
        at = getattr(error, "position", 0)
        reason = getattr(error, "reason", "it cannot be read")
        raise SyntaxFault(str(reason), *reader.places.line_and_column(at if isinstance(at, int) else 0)) from None
    except ValueError as error:
        raise SyntaxFault(str(error), *_place(event.start_mark if event else None)) from None
    return reader.value, reader.places


class _Reader:
    """Builds values from events, without recursion."""

    def __init__(self, text: str) -> None:
        from yaml.constructor import SafeConstructor  # type: ignore[import-untyped]
        from yaml.resolver import Resolver  # type: ignore[import-untyped]

        self.value: Any = None
        self.places = Places(text)
        self._frames: list[_Frame] = []
        self._path: list[str | int] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0
        self._documents = 0
        self._resolver = Resolver()
        self._constructor = SafeConstructor()

    def take(self, event: Any) -> None:
        """Take the next event. Raises ValueError for what no contract needs."""
        match type(event).__name__:
            case "ScalarEvent":
                self._scalar(event)
            case "MappingStartEvent":
                self._open(event, {})
            case "SequenceStartEvent":
                self._open(event, [])
            case "MappingEndEvent" | "SequenceEndEvent":
                self._close()
            case "AliasEvent":
                self._alias(event)
            case "DocumentStartEvent":
                self._documents += 1
                if self._documents > 1:
                    raise ValueError("a second document begins here; one is expected")

    def _scalar(self, event: Any) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame and isinstance(frame.value, dict) and frame.key is None:
            frame.key = event.value
            frame.merging = event.value == "<<" and event.implicit[0]
            self._path[-1] = event.value
            self.places.put_key(tuple(self._path), event.start_mark.index)
            return
        self._put(event, self._constructed(event))

    def _open(self, event: Any, value: Any) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame and isinstance(frame.value, dict) and frame.key is None:
            raise ValueError("a member's name must be a text")
        if event.tag and event.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            raise ValueError(f"the tag {event.tag} is not taken")
        if len(self._frames) >= DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")
        before = self._nodes
        self._put(event, value, register=False)
        self._frames.append(_Frame(value, event.anchor, before))
        self._path.append("" if isinstance(value, dict) else 0)

    def _close(self) -> None:
        frame = self._frames.pop()
        self._path.pop()
        for merged in frame.merged:
            for name, member in merged.items():
                frame.value.setdefault(name, member)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.value, self._nodes - frame.nodes_before)
        self._step()

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise ValueError(f"the alias *{event.anchor} has no anchor before it")
        value, nodes = self._anchors[event.anchor]
        frame = self._frames[-1] if self._frames else None
        if frame and isinstance(frame.value, dict) and frame.key is None:
            raise ValueError("a member's name must be a text")
        self._put(event, value, nodes=nodes)

    def _put(self, event: Any, value: Any, *, nodes: int = 1, register: bool = True) -> None:
        self._nodes += nodes
        if self._nodes > _MOST_NODES:
            raise ValueError(f"it unfolds into more than {_MOST_NODES:,} values")
        path: Path = tuple(self._path)
        self.places.put(path, event.start_mark.index)
        anchor = getattr(event, "anchor", None)
        if register and anchor and type(event).__name__ == "ScalarEvent":
            self._anchors[anchor] = (value, 1)
        if not self._frames:
            self.value = value
            return
        frame = self._frames[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.merging:
            frame.merged += _merged(value)
        else:
            frame.value[frame.key] = value
        if register:
            self._step()

    def _step(self) -> None:
        """Go on to the next member or item of the innermost container."""
        if not self._frames:
            return
        frame = self._frames[-1]
        if isinstance(frame.value, list):
            self._path[-1] = len(frame.value)
        else:
            frame.key = None

    def _constructed(self, event: Any) -> Any:
        import yaml

        text, tag = event.value, event.tag
        if tag is None or tag == "!":
            tag = self._resolver.resolve(yaml.ScalarNode, text, event.implicit) if tag is None else f"{_TAG}str"
        kind = tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in _TRUE
        if kind in ("int", "float") and ":" not in text:
            node = yaml.ScalarNode(tag, text, event.start_mark)
            return _number(self._constructor, kind, node, text)
        if kind in ("str", "timestamp", "value", "merge", "int", "float"):
            return text
        raise ValueError(f"the tag {tag} is not taken")


def _number(constructor: Any, kind: str, node: Any, text: str) -> int | float:
    construct = constructor.construct_yaml_int if kind == "int" else constructor.construct_yaml_float
    value: int | float = construct(node)
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise ValueError(f"{text[:40]} is not a number that can be kept")
    return value


def _merged(value: Any) -> list[Any]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) for each in found):
        raise ValueError("<< merges mappings only")
    return found


def _place(mark: Any) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
