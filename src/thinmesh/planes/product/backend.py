"""What the product plane needs of others, as Protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from thinmesh.kernel.audit import Audit
    from thinmesh.kernel.clock import Clock
    from thinmesh.kernel.contract import Table
    from thinmesh.kernel.database import Database, Transaction
    from thinmesh.kernel.ledger import Ledger
    from thinmesh.kernel.policy import Policy, Principal, ProductFacts
    from thinmesh.kernel.product import DataFile, Product
    from thinmesh.kernel.progress import Progress
    from thinmesh.kernel.repository import DataRepository
    from thinmesh.kernel.table_records import TableRecord

    from .model import (
        CatalogRecord,
        CheckJob,
        CheckResult,
        Condition,
        Delivery,
        Found,
        Outage,
        Snapshot,
        Sought,
        StagedFile,
        WarehouseFault,
    )


class Checker(Protocol):
    """Checks data files against contracts and stages them as Parquet (DESIGN, *Check*)."""

    def check(self, job: CheckJob, progress: Progress = ...) -> CheckResult:
        """Check all files of a job; faults of the data are in the result, never raised.

        Raises Temporary where the check was stopped for time, or the disk is full; Refused where it needs more memory
        than it may use.
        """


class Sandbox(Protocol):
    """Runs SQL that nobody vouches for, as consumers' statements run."""

    def number(self, user: str, sql: str, snapshots: Sequence[Snapshot]) -> float:
        """Run a query over these tables and no others, and give its one number, of its one row.

        Raises Refused for what cannot be run, or gives something else, Temporary where the engine has no room.
        """


class Readers(Protocol):
    """Who reads what, as the query log has it."""

    def of(self, table: str, column: str | None, since: str) -> Sequence[str]:
        """Give the users whose statements read a table (`product.table`), or its column, since a time; latest first.

        A statement that names no column reads all of them.
        """

    def reads(self, since: str) -> Mapping[str, int]:
        """Count for each product on how many days how many users read it since a time: a user and a day is one."""


class Location(Protocol):
    """Where the immutable data files of products lie. A local folder when embedded; S3 later."""

    kind: str

    def put(self, product: str, table: str, staged: StagedFile, content: str, source: str | None = None) -> DataFile:
        """Take over a staged file, durably, under a path never used before; the staged file is gone after."""

    def local(self, file: DataFile) -> Path:
        """Give a local path to read the file at. Raises NotFound where the file is missing."""

    def path(self, file: DataFile) -> Path:
        """Give the local path of a file, whether it is there or not."""

    def missing(self, file: DataFile) -> bool:
        """Tell whether the file is absent or has another size than the manifest says."""

    def paths(self) -> set[str]:
        """List every data file, for vacuum and doctor."""

    def remove(self, path: str) -> None:
        """Remove a data file that no publication names."""


class Catalog(Protocol):
    """Shows products to people who look for some: the file on `main`; other systems later. Follows at its own pace."""

    name: str

    def follow(self) -> int:
        """Take in what was registered, changed or retired since the last time; give how much changed, 0 for nothing.

        Safe to call at any time, and to be killed in; what was not taken in is taken in by the next call.
        """


class OutsideCatalog(Protocol):
    """A catalog beside the mesh, told of one product at a time (`deliveries.py` says when, and again after a failure).

    Each call is done when it returns: what was sent was read back and compared. Any call may be repeated.
    Raises Temporary where a later try can help, Refused where none will until the product changes.
    """

    name: str

    def put(self, record: CatalogRecord) -> None:
        """Make the catalog show a product as it stands; a retired one as deprecated. What people wrote there stays."""

    def remove(self, product: str) -> None:
        """Take away what this mesh put there for a product, and nothing else."""

    def products(self) -> Iterator[str]:
        """Give the names of all products that this mesh put there."""

    def differences(self, record: CatalogRecord) -> Sequence[str]:
        """Say where the catalog does not show what `put` would make it show."""


@runtime_checkable
class TakesSeveral(OutsideCatalog, Protocol):
    """A catalog that can be told of several products for fewer requests."""

    def put_several(self, records: Sequence[CatalogRecord]) -> None:
        """Do `put` for each; where this raises, some may be done, and all are put again one by one."""


class DeliveryStore(Protocol):
    """Keeps how far each catalog outside the mesh has come, by its name."""

    def attach(self, tx: Transaction, catalogs: Collection[str]) -> None:
        """Make these the catalogs that are told of; what is known of others is forgotten."""

    def attached(self, tx: Transaction) -> Sequence[str]:
        """Name the catalogs that are told of."""

    def touched(self, tx: Transaction, catalog: str, limit: int) -> Sequence[tuple[str, int]]:
        """Give (name, sequence) of up to `limit` products after the position that were not sent as they are."""

    def last(self, tx: Transaction, catalog: str) -> tuple[str, int] | None:
        """Give (name, sequence) of the newest change after the position, if there is any."""

    def position(self, tx: Transaction, catalog: str) -> tuple[str, int]:
        """Give (name, sequence) of the newest change that was taken; ("", 0) before the first."""

    def move_position(self, tx: Transaction, catalog: str, name: str, sequence: int) -> None:
        """Record that every change up to this one, in the order of `touched`, was taken."""

    def restart(self, tx: Transaction, catalog: str) -> None:
        """Forget what was delivered to a catalog."""

    def behind(self, tx: Transaction, catalog: str) -> int:
        """Count the products that a catalog does not show as they are."""

    def due(self, tx: Transaction, catalog: str, now: str, limit: int) -> Sequence[str]:
        """Give up to `limit` products to be tried again: the longest waiting first, in the order of changes."""

    def find(self, tx: Transaction, catalog: str, product: str) -> Delivery | None:
        """Give how far a catalog has come with a product; nothing before the first attempt."""

    def sequence(self, tx: Transaction, product: str) -> int:
        """Give the log sequence of a product's last change; 0 where there is none."""

    def record(self, tx: Transaction, delivery: Delivery) -> None:
        """Record what came of an attempt, over what was known."""

    def forget(self, tx: Transaction, catalog: str, product: str) -> None:
        """Forget a product that a catalog does not have any more."""

    def hasten(self, tx: Transaction, catalog: str, since: str, now: str) -> None:
        """Let what waits since then or later for its next attempt be tried at once."""

    def retry(self, tx: Transaction, product: str | None, now: str) -> int:
        """Let what failed or waits be tried at once, of one product or all, and every catalog be asked again."""

    def outage(self, tx: Transaction, catalog: str) -> Outage | None:
        """Tell whether a catalog does not answer."""

    def set_outage(self, tx: Transaction, catalog: str, outage: Outage | None) -> None:
        """Record that a catalog does not answer, or that it does again."""

    def known(self, tx: Transaction) -> Mapping[str, bool]:
        """Give the names of all products there ever were, and whether each is retired."""

    def list(
        self,
        tx: Transaction,
        product: str | None,
        catalog: str | None,
        state: str | None,
        limit: int,
        after: tuple[str, str],
    ) -> Sequence[Mapping[str, Any]]:
        """Give product, catalog, state, attempts, error, since and retry, in order after (product, catalog)."""

    def summaries(self, tx: Transaction) -> Sequence[Mapping[str, Any]]:
        """Give, for each catalog, how many products are done, pending and failed, and its outage if it has one."""

    def condition(self, tx: Transaction, product: Product) -> Condition | None:
        """Say whether the catalogs show a product as it is; nothing where there are none."""


class CatalogNodes(Protocol):
    """Keeps what a catalog that others fetch from this mesh tells of each product, as text."""

    def put(self, tx: Transaction, product: str, form: int, node: str) -> None:
        """Keep what is told of a product; `form` is the version of how it is written."""

    def get(self, tx: Transaction, product: str) -> str | None:
        """Give what is told of a product."""

    def remove(self, tx: Transaction, product: str) -> None:
        """Tell nothing of a product any more."""

    def page(self, tx: Transaction, limit: int, after: str) -> Sequence[tuple[str, str]]:
        """Give (product, node) of up to `limit` products after a name, by name."""

    def outdated(self, tx: Transaction, form: int) -> bool:
        """Tell whether anything is written in another form."""


class CatalogDocument(Protocol):
    """The catalog as one document that others fetch."""

    media_type: str

    def chunks(self, url: str) -> Iterator[bytes]:
        """Write it for those who reach the mesh at `url`, some products at a time."""


class ProductIndex(Protocol):
    """What readers see of all products, as of the transaction's moment. Written by the ledger alone."""

    def product(self, tx: Transaction, name: str) -> Product | None:
        """Find a product, retired ones included."""

    def summary(self, tx: Transaction, name: str) -> Mapping[str, Any] | None:
        """Give name, domain, owner, access, status, changed and successor of a product, retired ones included."""

    def names(self, tx: Transaction) -> list[str]:
        """List the names of all products that are not retired."""

    def list(
        self, tx: Transaction, domain: str | None, owner: str | None, tag: str | None, limit: int, after: str
    ) -> Sequence[Mapping[str, Any]]:
        """Give the summaries of up to `limit` active products after the name `after`, by name."""

    def search(self, tx: Transaction, sought: Sought, limit: int, offset: int, newest: int | None) -> Found:
        """Give the summaries of active products that have all words (the last one may be begun), best first.

        Where few have them all, those with some follow. `newest` keeps products out that came after an earlier page.
        """

    def weigh(self, tx: Transaction, reads: Mapping[str, int]) -> None:
        """Keep how much each product was read lately, which a search takes into account a little."""

    def history(self, tx: Transaction, product: str, limit: int, before: int | None) -> Sequence[Mapping[str, Any]]:
        """Give what happened to a product, newest first, before the log sequence `before`."""

    def publications(
        self, tx: Transaction, product: str, limit: int, before: int | None
    ) -> Sequence[Mapping[str, Any]]:
        """Give the publications of a product, newest first, before the publication number `before`."""

    def next_publication(self, tx: Transaction, product: str) -> str:
        """Give the id of the publication that would come next (`p1`, `p2`, …)."""

    def owned_by(self, tx: Transaction, teams: Collection[str]) -> Collection[str]:
        """Give the names of the products that any of the teams owns, retired ones included."""

    def inputs(self, tx: Transaction, product: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Give name, domain, access and status of up to `limit` products that a product is made from, by name.

        What the mesh does not have, or not any more, has the status `unknown` or `retired`.
        """

    def outputs(self, tx: Transaction, product: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Give name, domain, access and status of up to `limit` active products that are made from one, by name."""

    def catalog(self, tx: Transaction, since: int | None = None) -> Sequence[Mapping[str, Any]]:
        """Give name, domain, owner, description, tables and access of all active products, by name.

        With `since`, of those alone that `described` gives.
        """

    def facts(
        self, tx: Transaction, first: str = "", limit: int | None = None, offset: int = 0
    ) -> Sequence[ProductFacts]:
        """Give what the policy must know of active products, by name: of `limit`, from the name `first` on."""

    def tables(
        self, tx: Transaction, products: Collection[str], limit: int | None = None, after: Sequence[str] = ("", "")
    ) -> Sequence[TableRecord]:
        """Give the tables of products by both names, after those two; no document is read."""

    def table_names(self, tx: Transaction) -> Sequence[tuple[str, str]]:
        """Give (product, table) of all tables, those of retired products included, in the order of the descriptors."""

    def table_descriptions(self, tx: Transaction, products: Collection[str]) -> Sequence[tuple[str, str, str | None]]:
        """Give (product, table, description) of the tables of products, by both names."""

    def described(self, tx: Transaction, since: int) -> Collection[str]:
        """Give the products whose descriptor changed after a log sequence, retired ones included."""

    def described_since(self, tx: Transaction, sequence: int) -> int | None:
        """Give the newest log sequence at which a descriptor changed, if that is after `sequence`."""

    def position(self, tx: Transaction, projection: str) -> int:
        """Give the log sequence that a projection has followed to; 0 before the first."""

    def move_position(self, tx: Transaction, projection: str, sequence: int) -> None:
        """Record how far a projection has followed."""


class WarehouseTables(Protocol):
    """Stages tables in an open format for other engines (DESIGN, *Publish to the warehouse*). Moves no pointer."""

    @property
    def base(self) -> str:
        """Give what every location in this warehouse begins with."""

    def stage(
        self,
        product: str,
        table: Table,
        files: Sequence[DataFile],
        previous: str | None,
        properties: Mapping[str, str],
        anew: bool = ...,
    ) -> str:
        """Write a table's present state and give its location, durably; `previous` where that says it all already.

        `properties` tell the publication; empty where the table has no data yet. `anew`: take nothing over. Raises
        NotFound where a data file is missing or cannot be read under the contract, Temporary where the disk fails.
        """

    def told(self, location: str) -> Mapping[str, str]:
        """Give the `properties` that the table at a location was staged with. Raises NotFound where it is damaged."""

    def files(self, product: str, table: str, present: str | None, before: float) -> set[str]:
        """Give the data files that a table's snapshots at the location `present` lead to, and in what is written since.

        `before` is in seconds since 1970. Raises NotFound where that cannot be told.
        """

    def vacuum(self, present: Collection[str], before: float) -> int:
        """Remove metadata that neither `present` leads to, nor what was written since `before` (seconds since 1970)."""


class WarehousePointers(Protocol):
    """Keeps which location each table of other engines is at, how far the warehouse has come, and its faults."""

    def touched(self, tx: Transaction, limit: int) -> Sequence[tuple[str, int]]:
        """Give (name, sequence) of up to `limit` products that changed since the position, oldest change first."""

    def untaken(self, tx: Transaction) -> int:
        """Count the products that changed since the position, and those with a fault."""

    def move_position(self, tx: Transaction, name: str, sequence: int) -> None:
        """Record that every product up to this one, in the order of `touched`, was taken."""

    def sequence(self, tx: Transaction, product: str) -> int:
        """Give the log sequence of a product's last change; 0 where there is none."""

    def provenance(self, tx: Transaction, product: str) -> Mapping[str, Mapping[str, str]]:
        """Give, for each table with data, its publication, who made it, when, and the commit on `main`."""

    def locations(self, tx: Transaction, product: str) -> Mapping[str, str]:
        """Give the location of each of a product's tables."""

    def all_locations(self, tx: Transaction) -> Mapping[str, Mapping[str, str]]:
        """Give the location of every table, by product."""

    def move(self, tx: Transaction, product: str, locations: Mapping[str, str]) -> None:
        """Make these a product's tables: pointers move, others go."""

    def drop_outside(self, tx: Transaction, base: str) -> None:
        """Remove the pointers to locations that do not begin with `base`."""

    def restart(self, tx: Transaction) -> None:
        """Go back to before the first product; pointers stay."""

    def clear(self, tx: Transaction) -> None:
        """Forget everything."""

    def fault(self, tx: Transaction, product: str) -> WarehouseFault | None:
        """Give what keeps a product back, if anything does."""

    def faults(self, tx: Transaction) -> Sequence[WarehouseFault]:
        """Give every product that is kept back, by name."""

    def due(self, tx: Transaction, now: str, limit: int) -> Sequence[str]:
        """Give up to `limit` products with a fault that are to be tried again."""

    def record_fault(self, tx: Transaction, fault: WarehouseFault) -> None:
        """Record what keeps a product back, over what did before."""

    def forget_fault(self, tx: Transaction, product: str) -> None:
        """Record that nothing keeps a product back."""


class Teams(Protocol):
    """What the product plane asks of identity."""

    def again(self, tx: Transaction, caller: Principal) -> Principal:
        """Give a caller as they are now. Raises NotSignedIn where their token is not in force any more."""

    def teams_of_domain(self, tx: Transaction, domain: str) -> Collection[str]:
        """Give the teams that work in a domain; empty where it is unclaimed."""

    def has_team(self, tx: Transaction, team: str) -> bool:
        """Tell whether there is a team of this name."""

    def members(self, tx: Transaction, team: str) -> Sequence[str]:
        """Name the users in a team; nobody where there is none of this name."""


class Backends(Protocol):
    """Everything the product plane works with, joined by bootstrap, each made when it is first asked for."""

    @property
    def database(self) -> Database:
        """The platform database."""

    @property
    def ledger(self) -> Ledger:
        """The one way to change anything."""

    @property
    def index(self) -> ProductIndex:
        """What readers see."""

    @property
    def data(self) -> DataRepository:
        """The repository that people clone."""

    @property
    def checker(self) -> Checker:
        """The check of data files."""

    @property
    def location(self) -> Location:
        """Where data files lie."""

    @property
    def policy(self) -> Policy:
        """Who may do what."""

    @property
    def audit(self) -> Audit:
        """Who tried what."""

    @property
    def readers(self) -> Readers:
        """Who reads what."""

    @property
    def sandbox(self) -> Sandbox:
        """Where the SQL of quality rules runs."""

    @property
    def teams(self) -> Teams:
        """Who works where."""

    @property
    def delivered(self) -> DeliveryStore:
        """How far the catalogs outside the mesh have come."""

    @property
    def clock(self) -> Clock:
        """The time."""

    @property
    def scratch(self) -> Path:
        """A folder on the location's file system for files in the making."""

    @property
    def max_file(self) -> int:
        """The largest CSV that is committed (`git.max_file`), in bytes."""

    @property
    def max_bytes(self) -> int:
        """The most that one file may hold after decompression, in bytes."""
