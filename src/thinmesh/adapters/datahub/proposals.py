"""One change of one aspect of one entity, in the JSON that DataHub's server takes.

Aspects are plain JSON objects in the shape of DataHub's models: building them through its Python classes takes ten
times as long, and the tests hold every kind against the server's own models.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .names import ACTOR, entity_of

UPSERT, PATCH = "UPSERT", "PATCH"
# A time and an actor are asked for in many places; always the same ones keep the bytes the same.
STAMP: Mapping[str, Any] = {"time": 0, "actor": ACTOR}
# Aspects that are points in time, kept beside the others by the server: sent, and not read back.
TIMED = frozenset({"assertionRunEvent", "datasetProfile", "operation"})
# Made once: `json.dumps` makes one at each call, and a product has some twenty changes.
_WRITER = json.JSONEncoder(separators=(",", ":"), sort_keys=True)


def text_of(value: Any) -> str:
    """Write JSON: the same text for the same value, in ASCII."""
    return _WRITER.encode(value)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an aspect: a member of it, or one of those in a list of members.

    `path` leads there; `listed`: an element of the list there has this `value`; `absent`: none has.
    """

    path: tuple[str, ...]
    value: Any
    listed: bool = False
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change: a whole aspect (`UPSERT`), or a JSON patch of it (`PATCH`) that makes these `parts` so."""

    urn: str
    aspect: str
    value: Any
    change: str = UPSERT
    parts: tuple[Part, ...] = ()

    @property
    def entity(self) -> str:
        """Give the type of the entity."""
        return entity_of(self.urn)

    def content(self) -> str:
        """Write the aspect or the patch: the same text for the same value, ASCII as the server's bytes must be."""
        return text_of(self.value)

    def document(self) -> dict[str, Any]:
        """Render as the server takes it."""
        kind = "application/json" if self.change == UPSERT else "application/json-patch+json"
        return {
            "entityType": self.entity,
            "entityUrn": self.urn,
            "changeType": self.change,
            "aspectName": self.aspect,
            "aspect": {"value": self.content(), "contentType": kind},
        }


def upserts(urn: str, aspects: Mapping[str, Any]) -> Iterable[Proposal]:
    """Give a change for each aspect of an entity; None leaves one out."""
    return (Proposal(urn, name, value) for name, value in aspects.items() if value is not None)


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not known: DataHub's models have no null."""
    return {name: value for name, value in values.items() if value is not None}


def joined(proposals: Iterable[Proposal]) -> list[Proposal]:
    """Make one patch of those of the same aspect: in a batch, each would begin at what is stored, and the last win."""
    found: dict[tuple[str, str, object], Proposal] = {}
    for number, each in enumerate(proposals):
        key = (each.urn, each.aspect, PATCH if each.change == PATCH else number)
        other = found.get(key)
        found[key] = _join(other, each) if other else each
    return list(found.values())


def _join(one: Proposal, other: Proposal) -> Proposal:
    if isinstance(one.value, list):
        value: Any = [*one.value, *other.value]
    else:
        value = {**one.value, "patch": [*one.value["patch"], *other.value["patch"]]}
    return replace(one, value=value, parts=(*one.parts, *other.parts))
