"""DataHub's metadata service (GMS): writes by DataHub's own emitter, reads by the endpoint its package reads with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Any

from thinmesh.kernel.errors import MeshError, Refused, Temporary

from .proposals import Proposal, text_of

if TYPE_CHECKING:
    from .line import Line

# By URN, then by name, the aspects that are there.
State = Mapping[str, Mapping[str, Any]]

INSTALL = "pip install 'thinmesh[datahub]'"
# A product with hundreds of tables is a batch that the server works on for some time.
_READ_SECONDS = 30.0
_MOST_READ = 200
# The server reads entities of every type here: it goes by their URNs, and not by the type in the path
# (`EntityController.getEntityBatch`), so that one request reads a whole product.
_READ = "/openapi/v3/entity/dataset/batchGet"
_PAGE = 500
# What a later try can help: the request took too long, there were too many, the server has trouble.
_PASSING = frozenset({408, 423, 425, 429})
_LONGEST_REASON = 300


class Server:
    """The connections to one metadata service. Safe to use from several threads."""

    def __init__(self, url: str, token: Callable[[], str], run: str, seconds: float = _READ_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._run = run
        self._seconds = seconds
        self._idle: LifoQueue[Line] = LifoQueue()

    def emit(self, proposals: Sequence[Proposal]) -> None:
        """Send changes in one request (of up to 200 each); the server has stored them, or dropped some, when this ends.

        Raises Temporary, or Refused where the server does not take them.
        """
        if not proposals:
            return
        with self._line() as line:
            line.emit_all(proposals)

    def read(self, wanted: Mapping[str, Iterable[str]]) -> dict[str, dict[str, Any]]:
        """Read aspects, by URN; what is not there is left out. Raises Temporary and Refused."""
        asked = [{"urn": urn, **{name: {} for name in aspects}} for urn, aspects in wanted.items()]
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(asked), _MOST_READ):
            for each in self._post(_READ, asked[start : start + _MOST_READ]):
                found[each["urn"]] = _aspects(each)
        return found

    def scroll(self, entity: str, aspects: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give every entity of a type that is not removed, with these aspects. Raises Temporary and Refused."""
        path = f"/openapi/v3/entity/scroll?count={_PAGE}&query=*&sort=urn"
        body = {"entities": [entity], "aspects": list(aspects)}
        after = ""
        while True:
            page = self._post(path + after, body)
            for each in page.get("entities") or ():
                yield each["urn"], _aspects(each)
            if not page.get("scrollId") or not page.get("entities"):
                return
            from urllib.parse import quote

            after = f"&scrollId={quote(page['scrollId'], safe='')}"

    def _post(self, path: str, body: Any) -> Any:
        with self._line() as line:
            status, content = line.post(path, text_of(body))
        if status >= 300:
            raise self._refusal(status, content)
        try:
            return json.loads(content)
        except ValueError:
            message = f"DataHub at {self._url} answered with something else than JSON."
            raise Refused(message, help="Is datahub.url that of its metadata service (GMS)?") from None

    @contextmanager
    def _line(self) -> Iterator[Line]:
        """Lend a connection, and turn what goes wrong into errors of the mesh."""
        line = self._free()
        try:
            yield line
        except MeshError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        finally:
            self._idle.put(line)

    def _free(self) -> Line:
        """Take a connection; one opened with a token that was renewed since is let go."""
        token = self._token()
        while True:
            try:
                line = self._idle.get_nowait()
            except Empty:
                return self._open(token)
            if line.opened_with == token:
                return line
            line.close()

    def _open(self, token: str) -> Line:
        try:
            from .line import Line
        except ImportError as error:
            # It is there after the next start, without anybody asking again.
            raise Temporary(f"DataHub's package is not installed: {INSTALL}", help=f"Run {INSTALL}.") from error
        return Line(self._url, token, self._run, self._seconds)

    def _failure(self, error: Exception) -> MeshError:
        """Judge a failure of DataHub's package, or of the line: no answer passes, a refusal does not."""
        answer = getattr(error.__cause__, "response", None)
        if answer is not None:
            return self._refusal(answer.status_code, answer.content)
        late = " in time" if "timed out" in f"{error} {error.__cause__}".lower() else ""
        return Temporary(f"DataHub at {self._url} does not answer{late}: {_kind_of(error)}.")

    def _refusal(self, status: int, content: bytes) -> MeshError:
        """Judge an answer that is no success: trouble of the server passes."""
        told = f"DataHub at {self._url} answered {status}{_reason(content)}."
        if status >= 500 or status in _PASSING:
            return Temporary(told)
        if status in (401, 403):
            return Refused(told, help="The token of datahub.token must be in force, and may edit all metadata.")
        return Refused(told, help="Is datahub.url that of its metadata service (GMS), of version 1.0 or later?")


def _kind_of(error: Exception) -> str:
    """Name what a request failed with, without its words: those may quote the request."""
    return type(error.__cause__ if isinstance(error.__cause__, OSError) else error).__name__


def _reason(content: bytes) -> str:
    try:
        said = json.loads(content).get("message")
    except (ValueError, AttributeError):
        said = None
    return f": {' '.join(str(said).split())[:_LONGEST_REASON]}" if said else ""


def _aspects(entity: Mapping[str, Any]) -> dict[str, Any]:
    found = ((name, each) for name, each in entity.items() if name != "urn" and isinstance(each, Mapping))
    return {name: each["value"] for name, each in found if each.get("value") is not None}
