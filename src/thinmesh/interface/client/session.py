"""What one can do with a mesh, in JSON-like documents: the same on a home and on a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from thinmesh.kernel.progress import Progress

from .files import FilePart

Document = dict[str, Any]


class Answer(Protocol):
    """A statement's answer, arriving."""

    statement: str

    def chunks(self) -> Iterator[bytes]:
        """Give the answer in its format, piece by piece. Raises Temporary where it breaks off."""

    def row_count(self) -> int:
        """Count the rows, when all was read."""

    def close(self) -> None:
        """End the statement."""


class Session(Protocol):
    """Every verb. Results are the documents of INTERFACE; errors are MeshErrors."""

    def whoami(self) -> Document:
        """Show the caller."""

    def teams(self, limit: int | None, cursor: str | None) -> Document:
        """List teams."""

    def create_team(self, name: str, domains: Sequence[str]) -> Document:
        """Create a team, or let it into more domains."""

    def add_member(self, team: str, user: str, lead: bool) -> Document:
        """Put a user into a team."""

    def remove_member(self, team: str, user: str) -> Document:
        """Take a user out of a team."""

    def users(self, limit: int | None, cursor: str | None) -> Document:
        """List users."""

    def add_user(self, name: str, teams: Sequence[str], admin: bool) -> Document:
        """Add a user."""

    def link_user(self, name: str, subject: str, issuer: str | None) -> Document:
        """Make a person whom a provider vouches for sign in as a user."""

    def tokens(self, user: str | None, limit: int | None, cursor: str | None) -> Document:
        """List tokens."""

    def new_token(self, user: str | None, expires: str, scope: str) -> Document:
        """Make a token."""

    def revoke_token(self, id: str) -> Document:
        """Revoke a token."""

    def register(
        self, document: bytes, name: str | None, if_match: str | None, contract: bytes | None = None
    ) -> Document:
        """Register or change a product."""

    def check(self, product: str, files: Sequence[FilePart], progress: Progress) -> Document:
        """Check files."""

    def publish(self, product: str, files: Sequence[FilePart], mode: str, again: bool, progress: Progress) -> Document:
        """Publish files."""

    def accept(self, product: str) -> Document:
        """Accept an inferred contract."""

    def retire(self, product: str, successor: str | None) -> Document:
        """Retire a product."""

    def products(
        self, domain: str | None, owner: str | None, tag: str | None, limit: int | None, cursor: str | None
    ) -> Document:
        """List products."""

    def search(
        self,
        words: str,
        domain: str | None,
        owner: str | None,
        tag: str | None,
        limit: int | None,
        cursor: str | None,
    ) -> Document:
        """Search products."""

    def show(self, product: str) -> Document:
        """Show a product."""

    def contract(self, product: str) -> bytes:
        """Give a product's ODCS document."""

    def odps(self, product: str) -> bytes:
        """Give a product's ODPS document."""

    def history(self, product: str, limit: int | None, cursor: str | None) -> Document:
        """List what happened to a product."""

    def query(self, sql: str, format: str, limit: int | None) -> Answer:
        """Run a statement."""

    def tables(self, limit: int | None, cursor: str | None) -> Document:
        """List the tables that the caller may read."""

    def sample(self, product: str, table: str) -> Document:
        """Give some rows."""

    def profile(self, product: str, table: str) -> Document:
        """Give figures of each column."""

    def request(self, product: str, purpose: str, duration: str, team: str | None) -> Document:
        """Ask for access."""

    def requests(self, limit: int | None, cursor: str | None) -> Document:
        """List requests."""

    def approve(self, id: str) -> Document:
        """Approve a request."""

    def deny(self, id: str, why: str) -> Document:
        """Deny a request."""

    def grants(self, product: str | None, limit: int | None, cursor: str | None) -> Document:
        """List grants."""

    def revoke(self, id: str) -> Document:
        """Revoke a grant."""

    def events(self, after: str | None, limit: int | None) -> Document:
        """Give what happened."""

    def status(self) -> Document:
        """Report how the platform is doing."""

    def catalogs(self, product: str | None, state: str | None, limit: int | None, cursor: str | None) -> Document:
        """List how far the catalogs outside the mesh have come."""

    def retry_catalogs(self, product: str | None) -> Document:
        """Send again what failed or waits."""

    def doctor(self, deep: bool) -> Document:
        """Look for broken invariants."""

    def audit(self, limit: int | None, cursor: str | None) -> Document:
        """List what was done by whom."""

    def rebuild(self, projection: str | None, progress: Progress) -> Document:
        """Build projections again."""

    def backup(self, target: Path, with_keys: bool, progress: Progress) -> Document:
        """Write a backup to a file on this machine."""

    def close(self) -> None:
        """Let go of what is held."""
