"""What the operations plane needs of others, as Protocols."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from thinmesh.kernel.audit import Audit
from thinmesh.kernel.clock import Clock
from thinmesh.kernel.database import Database, Transaction
from thinmesh.kernel.ledger import Entry, Index, Ledger
from thinmesh.kernel.policy import Policy
from thinmesh.kernel.product import DataFile, Product
from thinmesh.kernel.progress import Progress
from thinmesh.kernel.repository import DataRepository

from .model import BackupRecord, Measure, Rebuild, StatementCounts


class Layout(Protocol):
    """Where the parts of a home lie."""

    @property
    def path(self) -> Path:
        """The home."""

    @property
    def settings(self) -> Path:
        """The settings file."""

    @property
    def data(self) -> Path:
        """The repository that people clone."""

    @property
    def log(self) -> Path:
        """The log."""

    @property
    def database(self) -> Path:
        """The database."""

    @property
    def lake(self) -> Path:
        """The folder of data files."""

    @property
    def keys(self) -> Path:
        """The folder of the signing key."""

    @property
    def run(self) -> Path:
        """The folder of what lives only while something runs."""

    def writable_again(self, path: Path) -> str:
        """Give the command that lets this OS user write to a part again."""


class KeptDatabase(Database, Protocol):
    """The platform database, to be copied and examined."""

    def backup(self, target: Path) -> None:
        """Copy the database as it stands to a new file, durably; one consistent state, writers go on."""

    def faults(self) -> Sequence[str]:
        """List what is broken in the database itself."""


class ReadIndex(Index, Protocol):
    """The index of products, to be read."""

    def product(self, tx: Transaction, name: str) -> Product | None:
        """Find a product, retired ones included."""

    def names(self, tx: Transaction) -> list[str]:
        """List the names of all products that are not retired."""

    def described_since(self, tx: Transaction, sequence: int) -> int | None:
        """Give the newest log sequence at which a descriptor changed, if that is after `sequence`."""

    def position(self, tx: Transaction, projection: str) -> int:
        """Give the log sequence that a projection has followed to; 0 before the first."""

    def move_position(self, tx: Transaction, projection: str, sequence: int) -> None:
        """Record how far a projection has followed."""


class IndexReplica(Protocol):
    """A second index, made from the log alone, in a database of its own."""

    @property
    def cursor(self) -> tuple[str, int]:
        """Give (id, sequence) of the last entry taken in."""

    def follow(self, entries: Iterable[Entry]) -> int:
        """Take in further entries; give how many. Raises what the entries or their documents make it raise."""

    def differences(self, tx: Transaction) -> Sequence[str]:
        """Say in which products, and in what, the platform's index differs from this one."""

    def install(self, tx: Transaction) -> Mapping[str, int]:
        """Put the content of this one in place of the platform's index; give the rows by table."""


class CatalogFile(Protocol):
    """The projection that keeps `data_catalog.csv`."""

    @property
    def name(self) -> str:
        """The name its cursor goes by."""

    def follow(self) -> int:
        """Bring the file up to date; give 1 where it changed."""

    def content(self, tx: Transaction) -> bytes:
        """Write the file as it should be."""


class RepositoryCare(Protocol):
    """A repository seen from below: to be examined, copied and tidied."""

    def faults(self, deep: bool = False) -> Sequence[str]:
        """List missing or unreadable objects; `deep` reads the content of every one."""

    def history(self, tip: str) -> Iterable[str]:
        """List every path that a commit up to this one changed; a merge only where it is like none of its parents."""

    def holds(self, tip: str) -> bool:
        """Tell whether a commit and everything that it leads to is there."""

    def export(self, tip: str, target: Path) -> None:
        """Write everything that a commit leads to, as one file. Raises Internal where something is missing."""

    def relieve(self) -> int:
        """Tidy where it is urgent, else do next to nothing."""

    def tidy(self) -> int:
        """Pack what lies loose; give the number of loose objects that were there. Writers may go on."""

    def sweep(self) -> int:
        """Drop what nothing leads to and is a day old; give how many bytes that freed. Writers may go on."""

    def stale_locks(self, seconds: float) -> Sequence[Path]:
        """List lock files that are older, so that no living git holds them."""


class Repositories(Protocol):
    """Makes repositories from what `RepositoryCare.export` wrote."""

    def restore_data(self, path: Path, exported: Path, tip: str) -> None:
        """Make the data repository. Raises Refused where the file is damaged or incomplete."""

    def restore_log(self, path: Path, exported: Path | None, tip: str) -> None:
        """Make the log; an empty one where there was nothing to export."""


class Lake(Protocol):
    """Where data files lie."""

    def path(self, file: DataFile) -> Path:
        """Give the local path of a file, whether it is there or not."""

    def paths(self) -> Collection[str]:
        """List every data file."""

    def remove(self, path: str) -> None:
        """Remove a data file that no publication names."""

    def put_back(self, file: DataFile, made: Path) -> None:
        """Put a file that was derived again where the log says it lies, durably."""


class Derivation(Protocol):
    """Derives data files of tables in git again from the CSVs that they came from."""

    def derive(self, product: Product, table: str, file: DataFile, folder: Path) -> Path:
        """Make the Parquet of one file in `folder`, with the same rows.

        Raises Internal where the CSV is gone, or gives other rows than the log tells of.
        """


class Projection(Protocol):
    """Something derived from the sources of truth, with a cursor of its own."""

    @property
    def name(self) -> str:
        """The name that `rebuild` takes."""

    @property
    def counted(self) -> str:
        """What `lag` counts, in the plural."""

    @property
    def follows_in_servers(self) -> bool:
        """Tell whether nobody but a server brings it up to date, unasked."""

    def sequence(self, tx: Transaction) -> int:
        """Give the log sequence that it has followed to."""

    def lag(self, tx: Transaction) -> int:
        """Count the log entries, or whatever `counted` says, that it has still to take in."""

    def faults(self) -> Sequence[str]:
        """Say where it differs from what the sources of truth give."""

    def rebuild(self, progress: Progress) -> Rebuild:
        """Make it again from the sources of truth; readers see the old one until then."""


class Warehouse(Protocol):
    """The projection that keeps tables for other engines."""

    @property
    def name(self) -> str:
        """The name its position goes by."""

    def sequence(self, tx: Transaction) -> int:
        """Give the log sequence followed to."""

    def lag(self, tx: Transaction) -> int:
        """Count what is not at its present state."""

    def faults(self) -> Sequence[str]:
        """Say where the tables differ from the index."""

    def rebuild(self) -> int:
        """Make new tables in place of the present ones; give the number of products made."""

    def follow(self) -> int:
        """Bring some products to their present state; give how many, 0 where nothing is to do."""

    def files(self, product: str, table: str) -> set[str]:
        """Give the data files that the kept snapshots of a table lead to. Raises MeshError where that is unknown."""

    def vacuum(self) -> int:
        """Remove what no reader can need any more, and give how many files that were."""


class OutsideCatalogs(Protocol):
    """The projection that is all catalogs outside the mesh."""

    @property
    def name(self) -> str:
        """The name that `rebuild` takes."""

    def sequence(self, tx: Transaction) -> int:
        """Give the log sequence that the slowest of them has followed to."""

    def lag(self, tx: Transaction) -> int:
        """Count the products that a catalog does not show as they are."""

    def waiting(self, tx: Transaction) -> Sequence[str]:
        """Say which catalogs have products still to be sent, and why; that they are sent needs nobody."""

    def faults(self) -> Sequence[str]:
        """Say which products a catalog does not take, and why."""

    def reconcile(self) -> tuple[Mapping[str, int], Sequence[str]]:
        """Send what is due, compare everything, repair and remove; give counts, and what failed."""


class OperationsStore(Protocol):
    """What this plane keeps and counts in the platform database."""

    def counts(self, tx: Transaction) -> Mapping[str, int]:
        """Count products, tables, rows, bytes (all of active ones), retired, publications, users and teams."""

    def administrators(self, tx: Transaction) -> int:
        """Count the users who administer."""

    def ownerless(self, tx: Transaction) -> Sequence[tuple[str, str]]:
        """List (product, owner) of active products whose owner team is not there."""

    def statements(self, tx: Transaction, bounds: Sequence[float]) -> StatementCounts:
        """Add up the query log; `bounds` in seconds."""

    def forget_statements(self, tx: Transaction, before: str, most: int) -> int:
        """Remove up to `most` entries of the query log that began before a time; give how many."""

    def untold(self, tx: Transaction, entries: Iterable[Entry]) -> Sequence[str]:
        """Give the keys of the events that the feed lacks of these log entries."""

    def last_backup(self, tx: Transaction) -> BackupRecord | None:
        """Give the newest backup."""

    def add_backup(self, tx: Transaction, record: BackupRecord) -> None:
        """Record a backup."""

    def derived(self, tx: Transaction) -> Mapping[str, tuple[str, int]]:
        """Give (sha256, bytes) by path of the data files that were derived again since the log named them."""

    def set_derived(self, tx: Transaction, path: str, sha256: str, size: int) -> None:
        """Record that a data file was derived again."""


class ArchiveWriter(Protocol):
    """An archive in the making."""

    def add(self, name: str, content: bytes) -> str:
        """Add a small file; give its sha256."""

    def add_file(self, name: str, path: Path) -> tuple[str, int]:
        """Add a file with flat memory; give its (sha256, bytes)."""


class Member(Protocol):
    """One file of an archive being read."""

    @property
    def name(self) -> str:
        """Its name; not to be trusted."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def chunks(self) -> Iterator[bytes]:
        """Read it, once, before the next member. Raises Refused where the archive ends too early."""


class Archives(Protocol):
    """Writes and reads backup files."""

    format: str

    def create(self, path: Path) -> AbstractContextManager[ArchiveWriter]:
        """Write a new file, which appears whole and durable at the end of the block, or not at all.

        Raises Refused where there is a file of this name, Temporary where the disk is full.
        """

    def open(self, path: Path) -> AbstractContextManager[Iterator[Member]]:
        """Read a file from its beginning. Raises Refused where it is damaged or no such archive."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The parts that only this plane works with.

    `version` is that of this release. `replica` opens an index replica in a folder. `engine` reports on the query
    engine and may start it, `workers` tells what of it runs now. `hooks` and `settings` raise a MeshError where the
    git door's hooks, or the settings file, are not as they must be (None: nothing to check now). `events` tells of a
    log entry in the event feed, once. `render` writes metrics as text. `catalogs` gives the catalogs outside
    the mesh where there are any; it is asked only when projections are.
    """

    version: str
    store: OperationsStore
    data_care: RepositoryCare
    log_care: RepositoryCare
    archives: Archives
    replica: Callable[[Path], AbstractContextManager[IndexReplica]]
    derivation: Derivation
    render: Callable[[Sequence[Measure]], str]
    engine: Callable[[], Mapping[str, Any]]
    workers: Callable[[], Mapping[str, Any]]
    settings: Callable[[], object]
    hooks: Callable[[], None] | None = None
    events: Callable[[Transaction, Entry], None] | None = None
    warehouse: Warehouse | None = None
    catalogs: Callable[[], OutsideCatalogs | None] = lambda: None

    @property
    def serving(self) -> bool:
        """Tell whether a server runs here: its git door has hooks to look at."""
        return self.hooks is not None


class Backends(Protocol):
    """Everything the operations plane works with, joined by bootstrap."""

    @property
    def layout(self) -> Layout:
        """Where the parts of the home lie."""

    @property
    def database(self) -> KeptDatabase:
        """The platform database."""

    @property
    def ledger(self) -> Ledger:
        """The one way to change anything."""

    @property
    def index(self) -> ReadIndex:
        """What readers see of products."""

    @property
    def data(self) -> DataRepository:
        """The repository that people clone."""

    @property
    def location(self) -> Lake:
        """Where data files lie."""

    @property
    def catalog_file(self) -> CatalogFile:
        """The projection that keeps `data_catalog.csv`."""

    @property
    def policy(self) -> Policy:
        """Who may do what."""

    @property
    def audit(self) -> Audit:
        """Who did what."""

    @property
    def clock(self) -> Clock:
        """The time."""

    @property
    def monotonic(self) -> Callable[[], float]:
        """Count the seconds that this process has been awake, from some moment."""

    @property
    def started(self) -> datetime:
        """When this process opened the home."""

    @property
    def began(self) -> float:
        """The same in seconds of `time.monotonic`, which nobody sets."""

    @property
    def scratch(self) -> Path:
        """A folder on the home's file system for files in the making."""
