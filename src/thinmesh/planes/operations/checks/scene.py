"""What the checks look at: one consistent picture of the home."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.product import Product
from thinmesh.planes.operations.backend import Backends, Projection, Tools
from thinmesh.planes.operations.model import BROKEN, WARNING
from thinmesh.planes.operations.reading import LogFacts, read_log, read_on

RESTORE = "thinmesh restore FILE"
REBUILD = "thinmesh rebuild index"


@dataclass(frozen=True, slots=True)
class Fault:
    """Where an invariant does not hold, and the one command that heals it."""

    detail: str
    heal: str = ""
    state: str = BROKEN


Check = Callable[["Scene"], Iterator[Fault]]


def warning(detail: str, heal: str = "") -> Fault:
    """Make a fault that breaks nothing yet."""
    return Fault(detail, heal, WARNING)


@dataclass
class Scene:
    """The home, the log as it reads, and where `main` (empty: it cannot be read) and the index were at its end.

    `deep` reads every object and data file. `log`, `tip` and `cursor` are of one moment; `astray` tells that the
    log did not have the entry that the index was at then.
    """

    backends: Backends
    tools: Tools
    projections: list[Projection]
    deep: bool
    log: LogFacts = field(default_factory=LogFacts)
    tip: str = ""
    cursor: tuple[str, int] | None = None
    astray: bool = False

    @classmethod
    def observe(cls, backends: Backends, tools: Tools, projections: list[Projection], deep: bool) -> Scene:
        """Read the log, then what came since under the lease, so that no writer is halfway."""
        scene = cls(backends, tools, projections, deep, read_log(backends.ledger.entries()))
        try:
            with backends.database.write() as tx:
                scene._settle()
                scene.cursor = backends.index.cursor(tx)
                scene.astray = not scene.log.faults and not backends.ledger.has(scene.cursor[0])
        except MeshError:
            scene._settle()  # the database is checked on its own
        return scene

    def _settle(self) -> None:
        """Bring the picture to this moment; what cannot be read is told by its own check."""
        if not self.log.faults:
            read_on(self.log, self.backends.ledger.entries(self.log.id))
        try:
            self.tip = self.backends.data.tip()
        except MeshError:
            self.tip = ""

    @property
    def log_stands(self) -> bool:
        """Tell whether the log is whole and has all that was accepted, so that the rest can be held against it."""
        return not self.log.faults and not self.astray

    @cached_property
    def log_heal(self) -> str:
        """The one command that brings the log back.

        What the index has was accepted: where a rewritten log still holds those entries, its branch is put back to
        them, and nothing accepted is lost. In every other case only a backup has them.
        """
        if self.astray and self.cursor and self.tools.log_care.holds(self.cursor[0]):
            return f"git -C {shlex.quote(str(self.backends.layout.log))} update-ref refs/heads/main {self.cursor[0]}"
        return RESTORE

    @cached_property
    def data_heal(self) -> str:
        """The one command that brings the data repository back: a broken `main` is where the log ends."""
        last = self.log.last
        broken = not self.tip and last is not None and self.log_stands
        return REBUILD if broken and last and self.tools.data_care.holds(last.new) else RESTORE

    @property
    def now(self) -> datetime:
        """Give the time."""
        return self.backends.clock()

    @property
    def commit(self) -> str:
        """Give the commit that the log ends at."""
        return self.log.last.new if self.log.last else self.tip

    @cached_property
    def folders(self) -> Mapping[str, Mapping[str, str]]:
        """Object ids on `main`, by product folder (`<domain>/<product>`; other files by their path) and path inside.

        One listing for all checks: looking folders up one by one reads a domain's whole tree for each.
        """
        found: dict[str, dict[str, str]] = {}
        for path, file in self.backends.data.files(self.commit).items():
            domain, _, rest = path.partition("/")
            product, _, inside = rest.partition("/")
            found.setdefault(f"{domain}/{product}" if inside else path, {})[inside] = file.id
        return found

    @cached_property
    def products(self) -> list[Product]:
        """All products that the log names, as the index has them."""
        with self.backends.database.read() as tx:
            found = [self.backends.index.product(tx, name) for name in sorted(self.log.latest)]
        return [product for product in found if product]
