"""Changes of what people edit in DataHub's own pages: JSON patches, never the whole aspect.

What is ours carries a mark, so that it can be taken away again without touching what is theirs. The patches are those
of the builders in DataHub's package (the tests hold them against those), which take many times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .names import ACTOR, property_urn
from .proposals import PATCH, STAMP, Part, Proposal

_OWNERSHIP = "TECHNICAL_OWNER"
_OWNERSHIP_URN = "urn:li:ownershipType:__system__technical_owner"
# By which members elements of a list are told from one another, where a patch says it (`GenericJsonPatch`).
_KEYS: Mapping[str, Mapping[str, list[str]]] = {
    "globalTags": {"tags": ["attribution␟source", "tag"]},
    "ownership": {"owners": ["owner", "type", "typeUrn", "attribution␟source"]},
    "structuredProperties": {"properties": ["propertyUrn", "attribution␟source"]},
    "institutionalMemory": {"elements": ["url"]},
}
# Elements that say nothing of who brought them.
_UNATTRIBUTED = ""


class Edits:
    """Gathers the patches of one entity, a data product or a data set; `mark` says whose they are."""

    def __init__(self, urn: str, mark: str) -> None:
        self._urn = urn
        self._mark = mark
        self._ops: dict[str, list[dict[str, Any]]] = {}
        self._parts: dict[str, list[Part]] = {}

    def proposals(self) -> Iterator[Proposal]:
        """Give one change for each aspect."""
        for aspect, ops in self._ops.items():
            keys = _KEYS.get(aspect)
            value = ops if keys is None else {"arrayPrimaryKeys": keys, "patch": ops}
            yield Proposal(self._urn, aspect, value, PATCH, tuple(self._parts[aspect]))

    def name(self, name: str) -> None:
        """Name a data product."""
        self._add("dataProductProperties", ("name",), name, Part(("name",), name))

    def description(self, text: str) -> None:
        """Describe a data product."""
        self._add("dataProductProperties", ("description",), text, Part(("description",), text))

    def page(self, url: str) -> None:
        """Lead from a data product to its page."""
        self._add("dataProductProperties", ("externalUrl",), url, Part(("externalUrl",), url))

    def custom(self, values: Mapping[str, str]) -> None:
        """Set what is known of a data product beside DataHub's own words."""
        for key, value in values.items():
            path = ("customProperties", key)
            self._add("dataProductProperties", path, value, Part(path, value))

    def asset(self, data_set: str) -> None:
        """Make a data set part of a data product."""
        part = Part(("assets",), {"destinationUrn": data_set}, listed=True)
        value = {"destinationUrn": data_set, "outputPort": False}
        self._add("dataProductProperties", ("assets", data_set), value, part)

    def without_asset(self, data_set: str) -> None:
        """Take a data set out of a data product."""
        part = Part(("assets",), {"destinationUrn": data_set}, absent=True)
        self._remove("dataProductProperties", ("assets", data_set), part)

    def tag(self, tag: str) -> None:
        """Add a tag."""
        value = {"tag": tag, "context": self._mark}
        part = Part(("tags",), {"tag": tag}, listed=True)
        self._add("globalTags", ("tags", _UNATTRIBUTED, tag), value, part)

    def without_tag(self, tag: str) -> None:
        """Take a tag of ours away."""
        part = Part(("tags",), {"tag": tag, "context": self._mark}, absent=True)
        self._remove("globalTags", ("tags", _UNATTRIBUTED, tag), part)

    def owner(self, owner: str) -> None:
        """Add an owner."""
        value = {
            "owner": owner,
            "type": _OWNERSHIP,
            "typeUrn": _OWNERSHIP_URN,
            "source": {"type": "SERVICE", "url": self._mark},
        }
        part = Part(("owners",), {"owner": owner, "type": _OWNERSHIP}, listed=True)
        self._add("ownership", ("owners", owner, _OWNERSHIP, _OWNERSHIP_URN, _UNATTRIBUTED), value, part)

    def without_owner(self, owner: str) -> None:
        """Take an owner of ours away."""
        part = Part(("owners",), {"owner": owner, "source": {"url": self._mark}}, absent=True)
        self._remove("ownership", ("owners", owner, _OWNERSHIP, _OWNERSHIP_URN, _UNATTRIBUTED), part)

    def property(self, name: str, value: str) -> None:
        """Set a structured property."""
        urn = property_urn(name)
        given = {"propertyUrn": urn, "values": [{"string": value}]}
        part = Part(("properties",), given, listed=True)
        self._add("structuredProperties", ("properties", urn, _UNATTRIBUTED), given, part)

    def without_property(self, name: str) -> None:
        """Take a structured property away."""
        urn = property_urn(name)
        part = Part(("properties",), {"propertyUrn": urn}, absent=True)
        self._remove("structuredProperties", ("properties", urn, _UNATTRIBUTED), part)

    def link(self, url: str, text: str) -> None:
        """Add a link."""
        value = {"url": url, "description": text, "createStamp": dict(STAMP)}
        self._add("institutionalMemory", ("elements", url), value, Part(("elements",), {"url": url}, listed=True))

    def without_link(self, url: str) -> None:
        """Take a link of ours away."""
        part = Part(("elements",), {"url": url, "createStamp": {"actor": ACTOR}}, absent=True)
        self._remove("institutionalMemory", ("elements", url), part)

    def upstream(self, data_set: str, kind: str) -> None:
        """Say what a data set is made from; `kind` is COPY or TRANSFORMED."""
        value = {
            "auditStamp": dict(STAMP),
            "dataset": data_set,
            "type": kind,
            "properties": {"thinmesh.mesh": self._mark},
        }
        part = Part(("upstreams",), {"dataset": data_set}, listed=True)
        self._add("upstreamLineage", ("upstreams", data_set), value, part)

    def without_upstream(self, data_set: str) -> None:
        """Take away what we said that a data set is made from."""
        wanted = {"dataset": data_set, "properties": {"thinmesh.mesh": self._mark}}
        self._remove("upstreamLineage", ("upstreams", data_set), Part(("upstreams",), wanted, absent=True))

    def _add(self, aspect: str, path: tuple[str, ...], value: Any, part: Part) -> None:
        self._note(aspect, {"op": "add", "path": _pointer(path), "value": value}, part)

    def _remove(self, aspect: str, path: tuple[str, ...], part: Part) -> None:
        self._note(aspect, {"op": "remove", "path": _pointer(path), "value": {}}, part)

    def _note(self, aspect: str, op: dict[str, Any], part: Part) -> None:
        self._ops.setdefault(aspect, []).append(op)
        self._parts.setdefault(aspect, []).append(part)


def _pointer(path: tuple[str, ...]) -> str:
    """Write a JSON pointer (RFC 6901)."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
