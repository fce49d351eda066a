"""DataHub's own emitter, on a connection that is prepared once. Loading this loads DataHub's package.

What it sends is what the emitter sends (the tests hold one against the other). Left to itself, that prepares each
request anew, copies each change and writes it three times: half of a delivery's time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

# Read when the package is loaded.
os.environ.setdefault("DATAHUB_TELEMETRY_ENABLED", "false")

import requests
from datahub.emitter import rest_emitter
from datahub.emitter.rest_emitter import DataHubRestEmitter, EmitMode
from datahub.metadata.schema_classes import SystemMetadataClass
from urllib3 import Timeout

from .proposals import Proposal, text_of

_CONNECT_SECONDS = 5.0
_MOST_CHANGES = rest_emitter.BATCH_INGEST_MAX_PAYLOAD_LENGTH
_MOST_BYTES = rest_emitter.INGEST_MAX_PAYLOAD_BYTES


class Line(DataHubRestEmitter):
    """The emitter for writing, and for reading what it connects with. For one thread at a time."""

    def __init__(self, url: str, token: str, run: str, seconds: float) -> None:
        connect = min(_CONNECT_SECONDS, seconds)
        super().__init__(
            url,
            token=token or None,
            connect_timeout_sec=connect,
            read_timeout_sec=seconds,
            retry_max_times=0,
            openapi_ingestion=False,
        )
        self.opened_with = token
        self._run = run
        session = self.session
        # Proxies and certificates are read now, and not at each request; a `.netrc` brings no password.
        found = session.merge_environment_settings(url, {}, None, None, None)
        session.proxies, session.verify, session.trust_env = found["proxies"], found["verify"], False
        request = session.prepare_request(requests.Request("POST", f"{url}/"))
        adapter: Any = session.get_adapter(url)
        pool = adapter.get_connection_with_tls_context(request, session.verify, session.proxies, session.cert)
        adapter.cert_verify(pool, url, session.verify, session.cert)
        self._adapter = adapter
        self._pool = pool
        self._request = request
        self._base = adapter.request_url(request, session.proxies).rstrip("/")
        headers = {name: value for name, value in request.headers.items() if name != "Content-Length"}
        self._headers = {**headers, "Content-Type": "application/json"}
        self._timeout = Timeout(connect=connect, read=seconds)
        session.post = self._sent  # type: ignore[method-assign]

    def emit_all(self, proposals: Sequence[Proposal]) -> None:
        """Send changes; the server has stored them, or dropped some, when this ends."""
        system = SystemMetadataClass(runId=self._run, properties={"appSource": "thinmesh"})
        sent: list[Any] = [_Sent(each, system) for each in proposals]
        self.emit_mcps(sent, EmitMode.SYNC_PRIMARY)

    def post(self, path: str, body: str) -> tuple[int, bytes]:
        """Send a request; give status and content of the answer."""
        answer = self._asked(path, body)
        return answer.status, answer.data

    def _emit_restli_mcps(self, mcps: Sequence[Any], emit_mode: EmitMode) -> list[Any]:
        url = f"{self._gms_server}/aspects?action=ingestProposalBatch"
        waiting = "true" if self._is_batch_async(mcps, emit_mode) else "false"
        for chunk in _chunks([each.text() for each in mcps]):
            self._emit_generic(url, f'{{"proposals":[{",".join(chunk)}],"async":"{waiting}"}}')
        return []

    def _sent(self, url: str | bytes, data: Any = None, json: Any = None, **_: Any) -> requests.Response:  # noqa: ARG002
        """Answer the emitter as its session does; nobody who answers there may send what is told on to another host."""
        answer = self._asked(str(url).removeprefix(self._gms_server), data, preload_content=False)
        found: requests.Response = self._adapter.build_response(self._request, answer)
        found.content  # noqa: B018  (read, so that the connection can be used again)
        if 300 <= found.status_code < 400:
            raise requests.TooManyRedirects(response=found)
        return found

    def _asked(self, path: str, body: Any, **more: Any) -> Any:
        return self._pool.urlopen(
            "POST", self._base + path, body, self._headers, retries=False, timeout=self._timeout, redirect=False, **more
        )


class _Sent:
    """A change as DataHub's emitter takes it: its own class takes most of a delivery's time to say the same."""

    def __init__(self, proposal: Proposal, system: SystemMetadataClass) -> None:
        # The names are the emitter's; it adds to the system metadata, which all changes of a batch share.
        self.entityUrn = proposal.urn
        self.aspectName = proposal.aspect
        self.systemMetadata = system
        self._proposal = proposal

    def text(self) -> str:
        """Write it as the server takes it."""
        system = self.systemMetadata
        told = {"lastObserved": system.lastObserved, "runId": system.runId, "properties": system.properties}
        return text_of({**self._proposal.document(), "systemMetadata": told})


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    """Give what goes into each request: as much as the server takes at once, and never nothing."""
    chunk: list[str] = []
    size = 0
    for each in texts:
        if chunk and (size + len(each) > _MOST_BYTES or len(chunk) >= _MOST_CHANGES):
            yield chunk
            chunk, size = [], 0
        chunk.append(each)
        size += len(each)
    yield chunk
