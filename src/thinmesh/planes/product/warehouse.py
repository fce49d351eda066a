"""The warehouse: Iceberg tables for other engines, a projection that follows the index.

A product is taken as it stands: its state is read in one transaction, all its tables are staged outside any lock, and
one transaction moves all its pointers with the position. A crash in between leaves metadata that nothing leads to.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from thinmesh.kernel.clock import Clock, text_of_time, utc_now
from thinmesh.kernel.database import Database, Transaction
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.product import Product, TableState

from .backend import ProductIndex, WarehousePointers, WarehouseTables
from .model import WarehouseFault

# A product that changes while it is staged is staged again so often before the others come first.
_ATTEMPTS = 3
# The pause before a product is tried again doubles from the first to the second.
_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(hours=1)
_PUBLICATION = "thinmesh.publication"
# No query of another engine is taken to run longer than this on one state of a table.
VACUUM_AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _State:
    """A product as it was read: `sequence` and `pointers` tell whether it still is when the pointers are to move."""

    sequence: int
    product: Product | None
    pointers: Mapping[str, str]
    provenance: Mapping[str, Mapping[str, str]]


class Warehouse:
    """Keeps the Iceberg tables."""

    name = "warehouse"

    def __init__(
        self,
        database: Database,
        index: ProductIndex,
        pointers: WarehousePointers,
        tables: WarehouseTables,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._index = index
        self._pointers = pointers
        self._tables = tables
        self._clock = clock
        self._following = threading.Lock()
        self._settled = False

    def follow(self, limit: int = 100, rest: Callable[[], None] = lambda: None) -> int:
        """Bring up to `limit` products to their present state; give the number taken, 0 where nothing is to do.

        A product that cannot be brought is kept as a fault and tried again later; it keeps back no other. `rest` is
        called after each that was brought.
        """
        with self._following:
            self._settle()
            with self._database.read() as tx:
                touched = self._pointers.touched(tx, limit)
                due = self._pointers.due(tx, text_of_time(self._clock()), limit - len(touched))
                bare = {name for name, _ in touched if self._is_bare(tx, name)}
            self._take_in_order(touched, bare, rest)
            for name in due:
                self._take(name, None)
                rest()
        return len(touched) + len(due)

    def rebuild(self, products: Collection[str] | None = None) -> int:
        """Make new tables in place of the present ones, of all products or some; give the number of products made.

        Other engines see the old tables of a product until its new ones are whole. What fails becomes a fault.
        """
        with self._following:
            with self._database.read() as tx:
                present = self._pointers.all_locations(tx)
                names = {*self._index.names(tx), *present} if products is None else set(products)
            return sum(self._take(name, None, anew=True) for name in sorted(names))

    def sequence(self, tx: Transaction) -> int:
        """Give the log sequence followed to."""
        return self._index.position(tx, self.name)

    def lag(self, tx: Transaction) -> int:
        """Count the products whose tables are not at their present state."""
        return self._pointers.untaken(tx)

    def state(self, tx: Transaction) -> Sequence[WarehouseFault]:
        """Give the products that could not be brought, and why."""
        return self._pointers.faults(tx)

    def faults(self) -> Sequence[str]:
        """Say where the tables differ from the index, in products that were taken as they stand."""
        with self._database.read() as tx:
            elsewhere = self._elsewhere(tx)
            if elsewhere:
                were = "table of the warehouse names" if len(elsewhere) == 1 else "tables of the warehouse name"
                place = elsewhere[0].rpartition("/metadata/")[0]
                return [
                    f"the home was moved or copied: {len(elsewhere)} {were} the old place, such as {place};"
                    " the next `thinmesh up` makes them anew as well"
                ]
            if self._pointers.untaken(tx):
                return [f"{fault.product}: {fault.detail}" for fault in self._pointers.faults(tx)]
            names = sorted({*self._index.names(tx), *self._pointers.all_locations(tx)})
            states = [self._read(tx, name) for name in names]
        return [fault for name, state in zip(names, states, strict=True) for fault in self._differences(name, state)]

    def clear(self, tx: Transaction) -> None:
        """Forget all tables, to be built again; metadata files stay for `vacuum`."""
        self._pointers.clear(tx)

    def vacuum(self, age: timedelta = VACUUM_AGE) -> int:
        """Remove metadata files that nothing leads to, and led to within `age`; give their number."""
        with self._following:  # what is being staged may look old: the machine slept, or its clock was put right
            with self._database.read() as tx:
                present = self._pointers.all_locations(tx)
            locations = [location for tables in present.values() for location in tables.values()]
            return self._tables.vacuum(locations, (self._clock() - age).timestamp())

    def files(self, product: str, table: str, age: timedelta = VACUUM_AGE) -> set[str]:
        """Give the data files that a table's snapshots lead to, those of the metadata of the last `age` too.

        Raises NotFound where its metadata is damaged.
        """
        with self._database.read() as tx:
            present = self._pointers.locations(tx, product).get(table)
        return self._tables.files(product, table, present, (self._clock() - age).timestamp())

    def _settle(self) -> None:
        """Begin anew where the home was moved or copied: locations are absolute."""
        if self._settled:
            return
        with self._database.read() as tx:
            moved = self._elsewhere(tx)
        if moved:
            with self._database.write() as tx:
                self._pointers.drop_outside(tx, self._tables.base)
                self._pointers.restart(tx)
        self._settled = True

    def _elsewhere(self, tx: Transaction) -> list[str]:
        """List the locations of tables that lie outside of this home's warehouse."""
        present = [tables for _, tables in sorted(self._pointers.all_locations(tx).items())]
        locations = [location for tables in present for _, location in sorted(tables.items())]
        return [location for location in locations if not location.startswith(self._tables.base)]

    def _is_bare(self, tx: Transaction, name: str) -> bool:
        """Tell whether a product has no tables, and had none: one that gets some is touched again."""
        product = self._index.product(tx, name)
        known = self._pointers.locations(tx, name) or self._pointers.fault(tx, name)
        return product is not None and not product.tables and not known

    def _take_in_order(
        self, touched: Sequence[tuple[str, int]], bare: Collection[str], rest: Callable[[], None]
    ) -> None:
        """Bring products, and step over those in between that are bare."""
        for name, sequence in touched:
            if name not in bare:
                self._take(name, sequence)
                rest()
        if touched and touched[-1][0] in bare:
            with self._database.write(logged=True) as tx:
                self._pointers.move_position(tx, *touched[-1])

    def _take(self, name: str, position: int | None, anew: bool = False) -> bool:
        """Bring one product, or record why not. `position` is its sequence, where it is next in the order."""
        try:
            for _ in range(_ATTEMPTS):
                if self._bring(name, position, anew):
                    return True
            detail = "It changes faster than its tables can be staged."
        except MeshError as error:
            detail = error.detail
        except Exception as error:  # one product's damage must not keep back the others
            detail = f"{type(error).__name__}: {error}"
        with self._database.write(logged=True) as tx:
            self._pointers.record_fault(tx, self._fault(tx, name, detail))
            if position is not None:
                self._pointers.move_position(tx, name, position)
        return False

    def _bring(self, name: str, position: int | None, anew: bool) -> bool:
        """Stage a product's tables and move its pointers; give False where it changed meanwhile."""
        with self._database.read() as tx:
            state = self._read(tx, name)
        staged = self._stage(state, anew)
        # What a power failure undoes goes with its position, and is followed again; the metadata stays for a day.
        with self._database.write(logged=True) as tx:
            if self._pointers.sequence(tx, name) != state.sequence:
                return False
            if self._pointers.locations(tx, name) != state.pointers:
                return False
            self._pointers.move(tx, name, staged)
            self._pointers.forget_fault(tx, name)
            if position is not None:
                self._pointers.move_position(tx, name, position)
        return True

    def _read(self, tx: Transaction, name: str) -> _State:
        return _State(
            self._pointers.sequence(tx, name),
            self._index.product(tx, name),
            self._pointers.locations(tx, name),
            self._pointers.provenance(tx, name),
        )

    def _stage(self, state: _State, anew: bool) -> dict[str, str]:
        product = state.product
        if product is None or product.status == "retired":
            return {}
        return {
            name: self._tables.stage(
                product.name,
                table.table,
                table.files,
                state.pointers.get(name),
                _properties(table, state.provenance.get(name, {})),
                anew,
            )
            for name, table in product.tables.items()
        }

    def _differences(self, name: str, state: _State) -> list[str]:
        """Compare a product's tables with what their metadata tells."""
        product = state.product if state.product and state.product.status != "retired" else None
        wanted = {table: found.publication for table, found in product.tables.items()} if product else {}
        found = [f"{name}.{table} is no table any more" for table in state.pointers.keys() - wanted.keys()]
        for table, publication in wanted.items():
            if table not in state.pointers:
                found.append(f"{name}.{table} has no Iceberg table")
                continue
            try:
                told = self._tables.told(state.pointers[table]).get(_PUBLICATION)
            except MeshError as error:
                found.append(error.detail)
                continue
            if told != publication:
                found.append(f"{name}.{table} shows publication {told}, where {publication} is present")
        return found

    def _fault(self, tx: Transaction, name: str, detail: str) -> WarehouseFault:
        now, before = self._clock(), self._pointers.fault(tx, name)
        attempts = before.attempts + 1 if before else 1
        pause = min(_FIRST_PAUSE * 2 ** min(attempts - 1, 20), _LONGEST_PAUSE)
        since = before.since if before else text_of_time(now)
        return WarehouseFault(name, since, attempts, text_of_time(now + pause), detail)


def _properties(state: TableState, provenance: Mapping[str, str]) -> dict[str, str]:
    """Say in a snapshot where its data comes from; nothing where there is no data yet."""
    if state.publication is None:
        return {}
    contents = "\n".join(file.content for file in state.files)
    found = {f"thinmesh.{name}": value for name, value in provenance.items()}
    return {
        **found,
        _PUBLICATION: state.publication,
        "thinmesh.content": hashlib.sha256(contents.encode()).hexdigest(),
    }
