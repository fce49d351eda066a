"""A session on a server, over TCP or over the socket of a home that `up` runs on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from thinmesh.kernel.errors import Refused
from thinmesh.kernel.progress import Progress, no_progress
from thinmesh.planes.query.model import FORMATS

from .files import FilePart, whole_file
from .session import Document
from .transport import Reply, Transport, multipart

_PRODUCTS = "/product/v1/products"
# Media types of documents that come as their author wrote them.
_WRITTEN = ("application/yaml", "application/json")


class RemoteAnswer:
    """A statement's answer from a server, on a connection of its own: hanging up early cancels the statement."""

    def __init__(self, reply: Reply, transport: Transport) -> None:
        self.statement = reply.headers.get("thinmesh-statement", "")
        self._reply = reply
        self._transport = transport

    def chunks(self) -> Iterator[bytes]:
        """Give the answer piece by piece."""
        return self._reply.chunks()

    def row_count(self) -> int:
        """Ask the query log for the number of rows, when all was read."""
        return int(self._transport.json("GET", f"/query/v1/statements/{_part(self.statement)}")["rows"])

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


class RemoteSession:
    """Every verb as one request."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._json = transport.json
        self.url = transport.url

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    # Identity -------------------------------------------------------------------------------------------------

    def whoami(self) -> Document:
        """Show the caller."""
        return self._get("/identity/v1/whoami")

    def teams(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List teams."""
        return self._get("/identity/v1/teams", limit=limit, cursor=cursor)

    def create_team(self, name: str, domains: Sequence[str] = ()) -> Document:
        """Create a team, or let it into more domains."""
        return self._post("/identity/v1/teams", {"name": name, "domains": list(domains)})

    def add_member(self, team: str, user: str, lead: bool = False) -> Document:
        """Put a user into a team."""
        return self._post(f"/identity/v1/teams/{_part(team)}/members/{_part(user)}", lead=lead or None)

    def remove_member(self, team: str, user: str) -> Document:
        """Take a user out of a team."""
        return self._delete(f"/identity/v1/teams/{_part(team)}/members/{_part(user)}")

    def users(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List users."""
        return self._get("/identity/v1/users", limit=limit, cursor=cursor)

    def add_user(self, name: str, teams: Sequence[str] = (), admin: bool = False) -> Document:
        """Add a user."""
        return self._post("/identity/v1/users", {"name": name, "teams": list(teams), "admin": admin})

    def link_user(self, name: str, subject: str, issuer: str | None = None) -> Document:
        """Make a person whom a provider vouches for sign in as a user."""
        return self._post(f"/identity/v1/users/{_part(name)}/links", {"subject": subject, "issuer": issuer})

    def tokens(self, user: str | None = None, limit: int | None = None, cursor: str | None = None) -> Document:
        """List tokens."""
        return self._get("/identity/v1/tokens", user=user, limit=limit, cursor=cursor)

    def new_token(self, user: str | None = None, expires: str = "P90D", scope: str = "write") -> Document:
        """Make a token."""
        return self._post("/identity/v1/tokens", {"user": user, "expires": expires, "scope": scope})

    def revoke_token(self, id: str) -> Document:
        """Revoke a token."""
        return self._delete(f"/identity/v1/tokens/{_part(id)}")

    # Product --------------------------------------------------------------------------------------------------

    def register(
        self, document: bytes, name: str | None = None, if_match: str | None = None, contract: bytes | None = None
    ) -> Document:
        """Register or change a product; a lost reply is no harm, the same again changes nothing."""
        kind = "application/json" if document.lstrip()[:1] in (b"{", b"[") else "application/yaml"
        if contract is not None:
            document, kind = multipart({"product": document, "contract": contract})
        headers = {"Content-Type": kind}
        if if_match:
            headers["If-Match"] = f'"{if_match}"'
        method, path = ("PUT", f"{_PRODUCTS}/{_part(name)}") if name else ("POST", _PRODUCTS)
        found: Document = self._transport.send(method, path, document, headers).json()
        return found

    def check(self, product: str, files: Sequence[FilePart], progress: Progress = no_progress) -> Document:
        """Check files."""
        path = f"{_PRODUCTS}/{_part(product)}/checks"
        found: Document = self._transport.upload(path, files, progress)
        return found

    def publish(
        self,
        product: str,
        files: Sequence[FilePart],
        mode: str = "replace",
        again: bool = False,
        progress: Progress = no_progress,
    ) -> Document:
        """Publish files."""
        path = f"{_PRODUCTS}/{_part(product)}/publications"
        found: Document = self._transport.upload(path, files, progress, mode=mode, again=again or None)
        return found

    def accept(self, product: str) -> Document:
        """Accept an inferred contract."""
        return self._post(f"{_PRODUCTS}/{_part(product)}/accept")

    def retire(self, product: str, successor: str | None = None) -> Document:
        """Retire a product."""
        return self._delete(f"{_PRODUCTS}/{_part(product)}", successor=successor)

    def products(
        self,
        domain: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Document:
        """List products."""
        return self._get(_PRODUCTS, domain=domain, owner=owner, tag=tag, limit=limit, cursor=cursor)

    def search(
        self,
        words: str,
        domain: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Document:
        """Search products."""
        return self._get("/product/v1/search", q=words, domain=domain, owner=owner, tag=tag, limit=limit, cursor=cursor)

    def show(self, product: str) -> Document:
        """Show a product."""
        return self._get(f"{_PRODUCTS}/{_part(product)}")

    def contract(self, product: str) -> bytes:
        """Give a product's ODCS document."""
        return self._written(f"{_PRODUCTS}/{_part(product)}/contract")

    def odps(self, product: str) -> bytes:
        """Give a product's ODPS document."""
        return self._written(f"{_PRODUCTS}/{_part(product)}/odps")

    def history(self, product: str, limit: int | None = None, cursor: str | None = None) -> Document:
        """List what happened to a product."""
        return self._get(f"{_PRODUCTS}/{_part(product)}/history", limit=limit, cursor=cursor)

    # Query ----------------------------------------------------------------------------------------------------

    def query(self, sql: str, format: str = "json", limit: int | None = None) -> RemoteAnswer:
        """Run a statement."""
        body = json.dumps({"sql": sql, "limit": limit}).encode()
        headers = {"Content-Type": "application/json", "Accept": FORMATS[format]}
        # A connection of its own: an answer may be read long after other calls were made.
        own = self._transport.another()
        try:
            reply = own.send("POST", "/query/v1/statements", body, headers)
            return RemoteAnswer(reply.require(FORMATS[format]), own)
        except BaseException:
            own.close()
            raise

    def tables(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List the tables that the caller may read."""
        return self._get("/query/v1/tables", limit=limit, cursor=cursor)

    def sample(self, product: str, table: str) -> Document:
        """Give some rows."""
        return self._get(f"{_PRODUCTS}/{_part(product)}/tables/{_part(table)}/sample")

    def profile(self, product: str, table: str) -> Document:
        """Give figures of each column."""
        return self._get(f"{_PRODUCTS}/{_part(product)}/tables/{_part(table)}/profile")

    # Exchange -------------------------------------------------------------------------------------------------

    def request(self, product: str, purpose: str, duration: str = "P30D", team: str | None = None) -> Document:
        """Ask for access."""
        wish = {"product": product, "purpose": purpose, "duration": duration, "team": team}
        return self._post("/exchange/v1/requests", wish)

    def requests(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List requests."""
        return self._get("/exchange/v1/requests", limit=limit, cursor=cursor)

    def approve(self, id: str) -> Document:
        """Approve a request."""
        return self._post(f"/exchange/v1/requests/{_part(id)}/approve")

    def deny(self, id: str, why: str) -> Document:
        """Deny a request."""
        return self._post(f"/exchange/v1/requests/{_part(id)}/deny", {"why": why})

    def grants(self, product: str | None = None, limit: int | None = None, cursor: str | None = None) -> Document:
        """List grants."""
        return self._get("/exchange/v1/grants", product=product, limit=limit, cursor=cursor)

    def revoke(self, id: str) -> Document:
        """Revoke a grant."""
        return self._delete(f"/exchange/v1/grants/{_part(id)}")

    def events(self, after: str | None = None, limit: int | None = None) -> Document:
        """Give what happened."""
        return self._get("/exchange/v1/events", after=after, limit=limit)

    # Operations -----------------------------------------------------------------------------------------------

    def status(self) -> Document:
        """Report how the platform is doing."""
        return self._get("/operations/v1/status")

    def catalogs(
        self,
        product: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Document:
        """List how far the catalogs outside the mesh have come."""
        return self._get("/operations/v1/catalogs", product=product, state=state, limit=limit, cursor=cursor)

    def retry_catalogs(self, product: str | None = None) -> Document:
        """Send again what failed or waits."""
        return self._post("/operations/v1/catalogs/retry", product=product)

    def doctor(self, deep: bool = False) -> Document:
        """Look for broken invariants."""
        return self._get("/operations/v1/doctor", deep=deep or None)

    def audit(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List what was done by whom."""
        return self._get("/operations/v1/audit", limit=limit, cursor=cursor)

    def rebuild(self, projection: str | None = None, progress: Progress = no_progress) -> Document:  # noqa: ARG002
        """Build projections again; how far it is, is not told over HTTP."""
        return self._post("/operations/v1/rebuild", projection=projection)

    def backup(self, target: Path, with_keys: bool = False, progress: Progress = no_progress) -> Document:
        """Fetch a backup into a new file on this machine, whole or not at all."""
        if target.exists():
            raise Refused(f"{target} exists already.", help="Name a new file; nothing was changed.")
        # A name on the disk need not be UTF-8.
        name = str(target.absolute()).encode("utf-8", "backslashreplace").decode()[:4096]
        query = {"with_keys": with_keys or None, "file": name}
        reply = self._transport.send("POST", "/operations/v1/backups", query=query)
        total, done = int(reply.headers.get("content-length", 0)), 0
        with whole_file(target, 0o600) as file:
            for chunk in reply.chunks():
                done += file.write(chunk)
                progress("fetching", done, total)
        found: Document = json.loads(reply.headers["thinmesh-backup"])
        return {**found, "file": str(target.absolute())}

    # ----------------------------------------------------------------------------------------------------------

    def _written(self, path: str) -> bytes:
        """Give a document as its author wrote it."""
        return self._transport.send("GET", path, headers={"Accept": "*/*"}).require(*_WRITTEN).read()

    def _get(self, path: str, **query: Any) -> Document:
        found: Document = self._json("GET", path, None, **query)
        return found

    def _post(self, path: str, body: Any = None, **query: Any) -> Document:
        found: Document = self._json("POST", path, body, **query)
        return found

    def _delete(self, path: str, **query: Any) -> Document:
        found: Document = self._json("DELETE", path, None, **query)
        return found


def _part(name: str) -> str:
    return quote(name, safe="@+")
