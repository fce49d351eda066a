"""What is derived from the sources of truth and can be made again.

The index with its search words, the catalog file, the data files of tables in git, the event feed, the tables for
other engines, and the catalogs outside the mesh.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.ledger import Entry
from thinmesh.kernel.product import DataFile, Product
from thinmesh.kernel.progress import Progress
from thinmesh.kernel.scratch import scratch_folder

from .backend import Backends, OutsideCatalogs, Projection, Tools, Warehouse
from .model import Rebuild

_MOST = 100  # failures that are named
_ENTRIES = "entries of the log"


def projections_of(backends: Backends, tools: Tools) -> list[Projection]:
    """Give all projections, in the order in which they are rebuilt: each may stand on those before it."""
    own: list[Projection] = [IndexProjection(backends, tools), CatalogProjection(backends)]
    own.append(DataProjection(backends, tools))
    if tools.events:
        own.append(EventsProjection(backends, tools))
    if tools.warehouse:
        own.append(WarehouseProjection(tools.warehouse))
    catalogs = tools.catalogs()
    return [*own, OutsideProjection(catalogs)] if catalogs else own


class _AtTheIndex:
    """What projections share that are always where the index is: the index, and what is made before or with it."""

    counted = _ENTRIES
    follows_in_servers = False

    def __init__(self, backends: Backends, tools: Tools) -> None:
        self._backends = backends
        self._tools = tools

    def sequence(self, tx: Transaction) -> int:
        """Give the log sequence of the index."""
        return self._backends.index.cursor(tx)[1]

    def lag(self, tx: Transaction) -> int:
        """Count the log entries that the index has still to take in."""
        return index_lag(self._backends, tx)


class IndexProjection(_AtTheIndex):
    """The index, with the search words."""

    name = "index"

    def faults(self) -> Sequence[str]:
        """Replay the log beside it, and compare."""
        backends = self._backends
        with self._tools.replica(backends.scratch) as replica:
            replica.follow(backends.ledger.entries())
            with backends.database.read() as tx:
                # What was written since the replay began is taken in up to where this reader sees the index.
                newest = backends.index.cursor(tx)[1]
                replica.follow(e for e in backends.ledger.entries(replica.cursor[0]) if e.sequence <= newest)
                if replica.cursor[1] > newest:
                    return [f"it ends at entry {newest}, and the log at {replica.cursor[1]}"]
                return replica.differences(tx)

    def rebuild(self, progress: Progress) -> Rebuild:
        """Replay the log beside it, and put the outcome in its place; writers wait for the last step only."""
        backends = self._backends
        newest = _Newest()
        require_on_log(backends)
        with self._tools.replica(backends.scratch) as replica:
            progress("reading the log", 0, 0)
            replica.follow(newest.of(backends.ledger.entries()))
            with backends.database.write() as tx:
                replica.follow(newest.of(backends.ledger.entries(replica.cursor[0])))
                if newest.entry:
                    # As recovery does: an index at the log's end would keep it from that.
                    backends.ledger.roll_forward(newest.entry)
                progress("replacing the index", 0, 0)
                counts = replica.install(tx)
                # The file is made from changes of the index, as it stood: what was wrong there may be in it.
                backends.index.move_position(tx, backends.catalog_file.name, 0)
        backends.catalog_file.follow()
        return Rebuild({"entries": newest.entry.sequence if newest.entry else 0, **counts})


class CatalogProjection:
    """`data_catalog.csv` on `main`."""

    name = "catalog_file"
    counted = _ENTRIES
    follows_in_servers = False

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def sequence(self, tx: Transaction) -> int:
        """Give the log sequence that it has followed to."""
        return self._backends.index.position(tx, self._backends.catalog_file.name)

    def lag(self, tx: Transaction) -> int:
        """Count the log entries between it and the last change that concerns it."""
        position = self.sequence(tx)
        concerned = self._backends.index.described_since(tx, position)
        return 0 if concerned is None else concerned - position

    def faults(self) -> Sequence[str]:
        """Compare the file on `main` with what it should be; one that has still to follow is no fault."""
        backends = self._backends
        with backends.database.read() as tx:
            if self.lag(tx) or not backends.index.cursor(tx)[1]:
                return []
            file = backends.data.file(backends.data.tip(), "data_catalog.csv")
            if file is None:
                return ["data_catalog.csv is missing on main"]
            if backends.data.read(file.id) != backends.catalog_file.content(tx):
                return ["data_catalog.csv on main does not say what the index says"]
        return []

    def rebuild(self, progress: Progress) -> Rebuild:
        """Write the file anew."""
        backends = self._backends
        progress("writing the catalog file", 0, 0)
        with backends.database.write() as tx:
            backends.index.move_position(tx, backends.catalog_file.name, 0)
        return Rebuild({"written": backends.catalog_file.follow()})


class DataProjection(_AtTheIndex):
    """The data files of tables in git: Parquet that was derived from the CSVs on `main`."""

    name = "data"

    def faults(self) -> Sequence[str]:
        """Give none: the data files are examined one by one elsewhere (`checks/files.py`)."""
        return []

    def rebuild(self, progress: Progress) -> Rebuild:
        """Derive what is missing or changed again, under the paths that the log names; all else stays."""
        backends = self._backends
        with backends.database.read() as tx:
            wanted = list(_derived_files(backends, tx))
            known = self._tools.store.derived(tx)
        derived, failed = 0, []
        for number, (product, table, file) in enumerate(wanted):
            progress("deriving data files", number, len(wanted))
            path = backends.location.path(file)
            if digest(path) in (file.sha256, known.get(file.path, (file.sha256, 0))[0]):
                continue
            try:
                self._derive(product, table, file)
                derived += 1
            except (MeshError, OSError) as error:
                failed.append(f"{product.name}.{table}: {error.detail if isinstance(error, MeshError) else error}")
        return Rebuild({"checked": len(wanted), "derived": derived}, tuple(failed[:_MOST]))

    def _derive(self, product: Product, table: str, file: DataFile) -> None:
        backends = self._backends
        with scratch_folder(backends.scratch) as folder:
            made = self._tools.derivation.derive(product, table, file, folder)
            sha256, size = digest(made), made.stat().st_size
            if sha256 != file.sha256:
                # The same rows, written by another release: recorded first, so that the file is never a stranger.
                with backends.database.write() as tx:
                    self._tools.store.set_derived(tx, file.path, sha256, size)
            backends.location.put_back(file, made)


class EventsProjection(_AtTheIndex):
    """What the event feed tells of products. Receipts of requests and grants are not derived, and stay as they are."""

    name = "events"

    def faults(self) -> Sequence[str]:
        """Look for the events of each entry that the index has."""
        backends = self._backends
        with backends.database.read() as tx:
            newest = backends.index.cursor(tx)[1]
            known = (entry for entry in backends.ledger.entries() if entry.sequence <= newest)
            lost = self._tools.store.untold(tx, known)
        return [f"the feed lacks {len(lost)} events of the log, such as {lost[0]}"] if lost else []

    def rebuild(self, progress: Progress) -> Rebuild:
        """Tell again what is missing; an event that is there keeps its place."""
        tell = self._tools.events
        count = 0
        progress("telling events", 0, 0)
        with self._backends.database.write() as tx:
            newest = self._backends.index.cursor(tx)[1]
            for entry in self._backends.ledger.entries():
                if tell and entry.sequence <= newest:
                    tell(tx, entry)
                    count += 1
        return Rebuild({"entries": count})


class WarehouseProjection:
    """The tables for other engines."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.name = warehouse.name
        self.counted = "products"
        self.follows_in_servers = True
        self.sequence = warehouse.sequence
        self.lag = warehouse.lag
        self.faults = warehouse.faults
        self._warehouse = warehouse

    def rebuild(self, progress: Progress) -> Rebuild:
        """Make new tables in place of the present ones."""
        progress("making the tables for other engines", 0, 0)
        made = self._warehouse.rebuild()
        while self._warehouse.follow():
            pass  # its position moves; the tables say it all already
        return Rebuild({"products": made}, tuple(self._warehouse.faults()))


class OutsideProjection:
    """The catalogs outside the mesh."""

    def __init__(self, catalogs: OutsideCatalogs) -> None:
        self.name = catalogs.name
        self.counted = "products"
        self.follows_in_servers = True
        self.sequence = catalogs.sequence
        self.lag = catalogs.lag
        self.faults = catalogs.faults
        self._catalogs = catalogs

    def rebuild(self, progress: Progress) -> Rebuild:
        """Compare every product with what each catalog shows, and repair what differs: people write there too."""
        progress("comparing the catalogs outside the mesh", 0, 0)
        counts, failed = self._catalogs.reconcile()
        return Rebuild(counts, tuple(failed[:_MOST]))


class _Newest:
    """Remembers the last of the entries that pass."""

    def __init__(self) -> None:
        self.entry: Entry | None = None

    def of(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.entry = entry
            yield entry


def index_lag(backends: Backends, tx: Transaction) -> int:
    """Count the log entries that the index has still to take in. Raises Internal where it is on another log."""
    id, sequence = backends.index.cursor(tx)
    if id == backends.ledger.tip():
        return 0
    newest = sequence
    for entry in backends.ledger.entries(id):
        newest = entry.sequence
    return newest - sequence


def require_on_log(backends: Backends) -> None:
    """Raise Internal where the log lacks what the index has: made of it, the index would lose accepted changes."""
    with backends.database.read() as tx:
        index_lag(backends, tx)


def digest(path: Path) -> str:
    """Give the sha256 of a file; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _derived_files(backends: Backends, tx: Transaction) -> Iterator[tuple[Product, str, DataFile]]:
    for name in backends.index.names(tx):
        product = backends.index.product(tx, name)
        for table, state in (product.tables if product else {}).items():
            for file in state.files:
                if product and file.source:
                    yield product, table, file
