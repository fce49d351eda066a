"""A stand-in for DataHub's metadata service on loopback: its endpoints, its patches, its ways to fail.

What it takes is judged by `judge`. In strict mode what is wrong is answered with 422; in the real server's own way it
is answered with 200, and dropped.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httptools

from . import datahub_schemas

# How elements of lists are told from one another in patches that do not say it themselves.
KEYS = {"assets": ["destinationUrn"], "upstreams": ["dataset"]}
TIMED = ("assertionRunEvent", "datasetProfile", "operation")
Judge = Callable[[Mapping[str, Any], Any], tuple[Sequence[str], Any]]


def judge(proposal: Mapping[str, Any], stored: Any) -> tuple[Sequence[str], Any]:
    """Give what is wrong with a proposal, and the aspect as it would be stored."""
    value = json.loads(proposal["aspect"]["value"])
    if proposal["changeType"] == "PATCH":
        value = patched(value, stored)
    faults = datahub_schemas.faults_of(proposal["entityType"], proposal["entityUrn"], proposal["aspectName"], value)
    return faults, value


def patched(patch: Any, stored: Any) -> Any:
    """Apply a JSON patch as DataHub does: elements of lists are found by their keys."""
    found = json.loads(json.dumps(stored or {}))
    keys = {**KEYS, **(patch["arrayPrimaryKeys"] if isinstance(patch, dict) else {})}
    for op in patch["patch"] if isinstance(patch, dict) else patch:
        first, *rest = (each.replace("~1", "/").replace("~0", "~") for each in op["path"][1:].split("/"))
        if first in keys and rest:
            kept = [each for each in found.get(first, []) if _key(each, keys[first])[: len(rest)] != rest]
            found[first] = [*kept, op["value"]] if op["op"] == "add" else kept
        elif rest:
            found.setdefault(first, {})[rest[0]] = op["value"]
        else:
            found[first] = op["value"]
    return found


def _key(element: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        value: Any = element
        for part in name.split("␟"):
            value = value.get(part) if isinstance(value, Mapping) else None
        found.append(value or "")
    return found


class StandIn:
    """The service: `store` is what it has, by URN and aspect; `requests` what it was asked for."""

    def __init__(self, judge: Judge = judge, strict: bool = True, token: str = "") -> None:
        self.store: dict[str, dict[str, Any]] = {}
        self.timed: list[tuple[str, str, Any]] = []
        self.requests: list[str] = []
        self.batches: list[list[Mapping[str, Any]]] = []
        self.strict = strict
        self.faults: list[Any] = []  # what happens to the next requests that write: a status, "half", "slow", "cut"
        self.down = False  # answers 503, whatever it is asked
        self.unknown: set[str] = set()  # aspects that this release does not know
        self.dropping: dict[str, int] = {}  # how often an aspect is dropped and answered with 200
        self.lock = threading.Lock()
        self.connections: set[Any] = set()
        self._judge = judge
        self._token = token
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def aspect(self, urn: str, aspect: str) -> Any:
        return self.store.get(urn, {}).get(aspect)

    def edit(self, urn: str, aspect: str, value: Any) -> None:
        """Do what somebody does in DataHub's own pages."""
        self.store.setdefault(urn, {})[aspect] = value

    def expect(self, token: str) -> None:
        """Take this token from now on, and none before it."""
        self._token = token

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._loop.create_server(lambda: _Protocol(self), "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for transport in list(self.connections):
            transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    # What is asked --------------------------------------------------------------------------------------------

    def answer(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> tuple[int, Any] | str:
        """Answer a request: a status and JSON, or "cut" or "slow"."""
        address = urlsplit(path)
        self.requests.append(address.path)
        if self.down:
            return 503, {"message": "no server is there"}
        if self._token and headers.get(b"Authorization") != f"Bearer {self._token}".encode():
            return 401, {"message": "Unauthorized"}
        if address.path == "/config":
            return 200, {"noCode": "true", "versions": {"acryldata/datahub": {"version": "v1.7.0"}}}
        if address.path == "/aspects":
            return self._ingest(json.loads(body))
        if address.path.endswith("/batchGet"):
            return self._batch_get(json.loads(body))
        if address.path == "/openapi/v3/entity/scroll":
            return self._scroll(parse_qs(address.query), json.loads(body))
        return 404, {"message": "no such endpoint"}

    def _ingest(self, asked: Mapping[str, Any]) -> tuple[int, Any] | str:
        proposals = asked["proposals"]
        self.batches.append(proposals)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            return fault, {"message": f"answered {fault}", "status": fault}
        if fault == "cut":
            return "cut"
        if fault == "half":
            proposals = proposals[: len(proposals) // 2]
        if len({(each["entityUrn"], each["aspectName"]) for each in proposals}) < len(proposals):
            return 422, {"message": "an aspect twice in one batch: which one is kept is not said", "status": 422}
        strange = sorted({each["aspectName"] for each in proposals} & self.unknown)
        if strange:
            return 400, {"message": f"Unknown aspect {strange[0]}", "status": 400}
        judged = [(each, *self._judged(each)) for each in proposals] if self.strict else []
        wrong = [f"{each['entityUrn']} {each['aspectName']}: {faults[0]}" for each, faults, _ in judged if faults]
        if wrong:
            return 422, {"message": "; ".join(wrong)[:500], "status": 422}
        for each in proposals:
            faults, value = self._judged(each)
            if not faults and not self._drops(each["aspectName"]):
                self._take(each, value)
        if fault == "half":
            return 500, {"message": "half a batch"}
        return "slow" if fault == "slow" else (200, {"value": "success"})

    def _judged(self, proposal: Mapping[str, Any]) -> tuple[Sequence[str], Any]:
        return self._judge(proposal, self.aspect(proposal["entityUrn"], proposal["aspectName"]))

    def _drops(self, aspect: str) -> bool:
        left = self.dropping.get(aspect, 0)
        self.dropping[aspect] = left - 1
        return left > 0

    def _take(self, proposal: Mapping[str, Any], value: Any) -> None:
        urn, aspect = proposal["entityUrn"], proposal["aspectName"]
        if aspect in TIMED:
            self.timed.append((urn, aspect, value))
        else:
            self.store.setdefault(urn, {})[aspect] = value

    def _batch_get(self, asked: Sequence[Mapping[str, Any]]) -> tuple[int, Any]:
        known = datahub_schemas.entities()
        unknown = {name for each in asked for name in each.keys() - known[each["urn"].split(":")[2]] - {"urn"}}
        unknown |= {name for each in asked for name in each.keys() & self.unknown}
        if unknown:
            return 400, {"message": f"no such aspects there: {sorted(unknown)}"}
        return 200, [
            {"urn": each["urn"], **{name: {"value": self.store[each["urn"]][name]} for name in names}}
            for each in asked
            if (names := self.store.get(each["urn"], {}).keys() & each.keys())
        ]

    def _scroll(self, query: Mapping[str, Sequence[str]], asked: Mapping[str, Any]) -> tuple[int, Any]:
        count, after = int(query["count"][0]), query.get("scrollId", [""])[0]
        urns = sorted(
            urn
            for urn, aspects in self.store.items()
            if urn.split(":")[2] in asked["entities"] and not (aspects.get("status") or {}).get("removed")
        )
        page = [urn for urn in urns if urn > after][:count]
        found = [
            {
                "urn": urn,
                **{name: {"value": self.store[urn][name]} for name in asked["aspects"] if name in self.store[urn]},
            }
            for urn in page
        ]
        more = bool(page) and page[-1] != urns[-1]
        return 200, {"entities": found, "scrollId": page[-1] if more else None, "totalCount": len(urns)}


class _Protocol(asyncio.Protocol):
    """HTTP/1.1 with connections that stay open."""

    def __init__(self, service: StandIn) -> None:
        self._service = service

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._service.connections.add(transport)
        self._begin()
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._service.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def _begin(self) -> None:
        self._url, self._headers, self._body = b"", {}, []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name] = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        with self._service.lock:
            found = self._service.answer(self._url.decode(), self._headers, b"".join(self._body))
        self._begin()
        if found == "cut":
            self._transport.abort()
        elif found != "slow":
            status, content = found
            text = json.dumps(content).encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
            self._transport.write(head.encode() + text)
