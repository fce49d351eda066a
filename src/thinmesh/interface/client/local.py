"""A session on a home that no `up` runs on: the same operations, in this process, under the home's lock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thinmesh.interface.documents import document
from thinmesh.interface.platform import Platform, bootstrap
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.progress import Progress, no_progress

from .files import FilePart

if TYPE_CHECKING:
    from thinmesh.planes.product.model import Upload
    from thinmesh.planes.query.execution import Execution

    from .session import Document


class LocalAnswer:
    """A statement's answer from this process; the home stays open until it is closed."""

    def __init__(self, execution: Execution, held: ExitStack) -> None:
        self.statement = execution.statement
        self._execution = execution
        self._held = held

    def chunks(self) -> Iterator[bytes]:
        """Give the answer piece by piece."""
        return self._execution.chunks()

    def row_count(self) -> int:
        """Count the rows, when all was read."""
        return self._execution.row_count

    def close(self) -> None:
        """End the statement, and let go of the home."""
        self._held.close()


class LocalSession:
    """Every verb as one call that opens the home while it lasts: reading ones share it, writing ones hold it."""

    def __init__(self, home: Path, acting_as: str | None = None, door: str = "cli") -> None:
        self._home = home
        self._acting_as = acting_as
        self._door = door
        self.url = home.as_uri()

    def close(self) -> None:
        """Nothing is held between calls."""

    # Identity -------------------------------------------------------------------------------------------------

    def whoami(self) -> Document:
        """Show the caller."""
        with self._reading() as (platform, caller):
            return _document(platform.identity.whoami(caller))

    def teams(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List teams."""
        with self._reading() as (platform, caller):
            return _document(platform.identity.list_teams(caller, limit, cursor))

    def create_team(self, name: str, domains: Sequence[str] = ()) -> Document:
        """Create a team, or let it into more domains."""
        with self._writing() as (platform, caller):
            return _document(platform.identity.create_team(caller, name, tuple(domains)))

    def add_member(self, team: str, user: str, lead: bool = False) -> Document:
        """Put a user into a team."""
        with self._writing() as (platform, caller):
            return _document(platform.identity.add_member(caller, team, user, lead))

    def remove_member(self, team: str, user: str) -> Document:
        """Take a user out of a team."""
        with self._writing() as (platform, caller):
            return _document(platform.identity.remove_member(caller, team, user))

    def users(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List users."""
        with self._reading() as (platform, caller):
            return _document(platform.identity.list_users(caller, limit, cursor))

    def add_user(self, name: str, teams: Sequence[str] = (), admin: bool = False) -> Document:
        """Add a user."""
        with self._writing() as (platform, caller):
            return _document(platform.identity.add_user(caller, name, tuple(teams), admin))

    def link_user(self, name: str, subject: str, issuer: str | None = None) -> Document:
        """Make a person whom a provider vouches for sign in as a user."""
        with self._writing() as (platform, caller):
            return _document(platform.identity.link_user(caller, name, subject, issuer))

    def tokens(self, user: str | None = None, limit: int | None = None, cursor: str | None = None) -> Document:
        """List tokens."""
        with self._reading() as (platform, caller):
            return _document(platform.identity.list_tokens(caller, user, limit, cursor))

    def new_token(self, user: str | None = None, expires: str = "P90D", scope: str = "write") -> Document:
        """Make a token."""
        with self._writing() as (platform, caller):
            return _document(platform.identity.new_token(caller, user, expires, scope))

    def revoke_token(self, id: str) -> Document:
        """Revoke a token."""
        with self._writing() as (platform, caller):
            return _document(platform.identity.revoke_token(caller, id))

    # Product --------------------------------------------------------------------------------------------------

    def register(
        self, document: bytes, name: str | None = None, if_match: str | None = None, contract: bytes | None = None
    ) -> Document:
        """Register or change a product."""
        with self._writing() as (platform, caller):
            return _document(platform.products.register(caller, document, contract, name=name, if_match=if_match))

    def check(self, product: str, files: Sequence[FilePart], progress: Progress = no_progress) -> Document:
        """Check files."""
        with self._reading() as (platform, caller):
            return _document(platform.products.check(caller, product, _uploads(files), progress))

    def publish(
        self,
        product: str,
        files: Sequence[FilePart],
        mode: str = "replace",
        again: bool = False,
        progress: Progress = no_progress,
    ) -> Document:
        """Publish files."""
        with self._writing() as (platform, caller):
            return _document(platform.products.publish(caller, product, _uploads(files), mode, again, progress))

    def accept(self, product: str) -> Document:
        """Accept an inferred contract."""
        with self._writing() as (platform, caller):
            return _document(platform.products.accept(caller, product))

    def retire(self, product: str, successor: str | None = None) -> Document:
        """Retire a product."""
        with self._writing() as (platform, caller):
            return _document(platform.products.retire(caller, product, successor))

    def products(
        self,
        domain: str | None = None,
        owner: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Document:
        """List products."""
        with self._reading() as (platform, caller):
            return _document(platform.products.list(caller, domain, owner, tag, limit, cursor))

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
        from thinmesh.planes.product.model import Sought

        with self._reading() as (platform, caller):
            return _document(platform.products.search(caller, Sought(words, domain, owner, tag), limit, cursor))

    def show(self, product: str) -> Document:
        """Show a product."""
        with self._reading() as (platform, caller):
            return _document(platform.products.show(caller, product))

    def contract(self, product: str) -> bytes:
        """Give a product's ODCS document."""
        with self._reading() as (platform, caller):
            found: bytes = platform.products.contract(caller, product).content
            return found

    def odps(self, product: str) -> bytes:
        """Give a product's ODPS document."""
        with self._reading() as (platform, caller):
            found: bytes = platform.products.odps(caller, product).content
            return found

    def history(self, product: str, limit: int | None = None, cursor: str | None = None) -> Document:
        """List what happened to a product."""
        with self._reading() as (platform, caller):
            return _document(platform.products.history(caller, product, limit, cursor))

    # Query ----------------------------------------------------------------------------------------------------

    def query(self, sql: str, format: str = "json", limit: int | None = None) -> LocalAnswer:
        """Run a statement; the answer keeps the home open until it is closed."""
        with ExitStack() as held:
            platform, caller = held.enter_context(self._reading())
            execution = platform.queries.run(caller, sql, limit=limit, format=format)
            held.callback(execution.close)
            return LocalAnswer(execution, held.pop_all())

    def tables(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List the tables that the caller may read."""
        with self._reading() as (platform, caller):
            return _document(platform.queries.tables(caller, limit, cursor))

    def sample(self, product: str, table: str) -> Document:
        """Give some rows."""
        with self._reading() as (platform, caller):
            return _document(platform.queries.sample(caller, product, table))

    def profile(self, product: str, table: str) -> Document:
        """Give figures of each column."""
        with self._reading() as (platform, caller):
            return {"columns": document(platform.queries.profile(caller, product, table))}

    # Exchange -------------------------------------------------------------------------------------------------

    def request(self, product: str, purpose: str, duration: str = "P30D", team: str | None = None) -> Document:
        """Ask for access."""
        with self._writing() as (platform, caller):
            return _document(platform.exchange.request(caller, product, purpose, duration, team))

    def requests(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List requests."""
        with self._reading() as (platform, caller):
            return _document(platform.exchange.requests(caller, None, limit, cursor))

    def approve(self, id: str) -> Document:
        """Approve a request."""
        with self._writing() as (platform, caller):
            return _document(platform.exchange.approve(caller, id))

    def deny(self, id: str, why: str) -> Document:
        """Deny a request."""
        with self._writing() as (platform, caller):
            return _document(platform.exchange.deny(caller, id, why))

    def grants(self, product: str | None = None, limit: int | None = None, cursor: str | None = None) -> Document:
        """List grants."""
        with self._reading() as (platform, caller):
            return _document(platform.exchange.grants(caller, product, limit, cursor))

    def revoke(self, id: str) -> Document:
        """Revoke a grant."""
        with self._writing() as (platform, caller):
            return _document(platform.exchange.revoke(caller, id))

    def events(self, after: str | None = None, limit: int | None = None) -> Document:
        """Give what happened."""
        with self._reading() as (platform, caller):
            return _document(platform.exchange.events(caller, after, limit))

    # Operations -----------------------------------------------------------------------------------------------

    def status(self) -> Document:
        """Report how the platform is doing."""
        with self._reading() as (platform, caller):
            return _document(platform.operations.status(caller))

    def catalogs(
        self,
        product: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Document:
        """List how far the catalogs outside the mesh have come."""
        with self._reading() as (platform, caller):
            return _document(platform.catalogs.status(caller, product, None, state, limit, cursor))

    def retry_catalogs(self, product: str | None = None) -> Document:
        """Send again what failed or waits, before this returns."""
        with self._writing() as (platform, caller):
            return _document(platform.catalogs.retry(caller, product))

    def doctor(self, deep: bool = False) -> Document:
        """Look for broken invariants."""
        with self._reading() as (platform, caller):
            return _document(platform.operations.doctor(caller, deep))

    def audit(self, limit: int | None = None, cursor: str | None = None) -> Document:
        """List what was done by whom."""
        with self._reading() as (platform, caller):
            return _document(platform.operations.audit(caller, limit, cursor))

    def rebuild(self, projection: str | None = None, progress: Progress = no_progress) -> Document:
        """Build projections again."""
        with self._writing() as (platform, caller):
            return _document(platform.operations.rebuild(caller, projection, progress))

    def backup(self, target: Path, with_keys: bool = False, progress: Progress = no_progress) -> Document:
        """Write a backup to a file; nobody else writes to the home meanwhile."""
        with self._writing() as (platform, caller):
            return _document(platform.operations.backup(caller, target.absolute(), with_keys, progress))

    # ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self, mode: str) -> Iterator[tuple[Platform, Principal]]:
        platform = bootstrap().open_home(self._home, mode=mode)
        try:
            yield platform, platform.identity.principal_of_home(self._acting_as, self._door)
        finally:
            platform.close()

    def _reading(self) -> Any:
        return self._open("read")

    def _writing(self) -> Any:
        return self._open("write")


def _document(result: Any) -> Document:
    found: Document = document(result)
    return found


def _uploads(files: Sequence[FilePart]) -> tuple[Upload, ...]:
    from thinmesh.planes.product.model import Upload

    return tuple(Upload(file.name, file.path) for file in files)
