"""An open home: the parts, and the operations of every plane over them.

Parts are made when first asked for, so that a command that lists products loads no git library and no engine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from thinmesh.adapters.local.home import Home
from thinmesh.adapters.sql.sqlite import WAIT, SqliteDatabase
from thinmesh.kernel.clock import Clock, utc_now
from thinmesh.kernel.policy import Policy
from thinmesh.kernel.settings import Settings
from thinmesh.kernel.vouching import RETURN

from .following import Follower, attempt
from .query_catalog import QueryCatalog
from .sandbox import QuerySandbox

if TYPE_CHECKING:
    from thinmesh.adapters.duckdb.query.engine import DuckdbEngine
    from thinmesh.adapters.git.data import GitDataRepository
    from thinmesh.adapters.git.door import GitDoor
    from thinmesh.adapters.git.log import GitLogRepository
    from thinmesh.adapters.local.location import LocalLocation
    from thinmesh.adapters.sql.deliveries import SqlDeliveries
    from thinmesh.adapters.sql.idempotency import SqlReplyStore
    from thinmesh.adapters.sql.index import SqlProductIndex
    from thinmesh.adapters.sql.statements import SqlStatementLog
    from thinmesh.interface.platform import GitBridge
    from thinmesh.kernel.audit import Audit
    from thinmesh.kernel.identity import Identity
    from thinmesh.kernel.ledger import Ledger
    from thinmesh.kernel.policy import Principal
    from thinmesh.kernel.vouching import Provider
    from thinmesh.planes.exchange.operations import Exchange, GrantsInForce
    from thinmesh.planes.operations.backend import Tools
    from thinmesh.planes.operations.maintenance import Maintenance
    from thinmesh.planes.operations.operations import Operations
    from thinmesh.planes.product.backend import Checker
    from thinmesh.planes.product.catalog_file import CatalogFile
    from thinmesh.planes.product.catalogs import Catalogs, OutsideCatalogs
    from thinmesh.planes.product.deliveries import Deliveries
    from thinmesh.planes.product.operations import Products
    from thinmesh.planes.product.reading import Reading
    from thinmesh.planes.product.warehouse import Warehouse
    from thinmesh.planes.query.operations import Queries

    from .catalogs import Courier

# The most that one uploaded file may hold after decompression; far above what one machine takes in a sitting.
_MAX_BYTES = 1 << 40
# The longest that a server checks one publication, and one set of files of which only the verdict is wanted: a file of
# 1 GB takes about a minute. Commands on the home have no limit: whoever runs them can end them.
_PUBLISH_SECONDS, _CHECK_SECONDS = 600.0, 120.0

# Products whose tables are made for other engines before the catalog file has its turn again.
_FOLLOWED_AT_ONCE = 10


class Platform:
    """An open home: the operations of every plane, and the parts they stand on."""

    def __init__(
        self,
        home: Path,
        settings: Settings,
        mode: str = "write",
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        patience: float = WAIT,
    ) -> None:
        self.layout = Home(home)
        self.mode = mode
        self.home = self.layout.path
        self.settings = settings
        self.clock = clock
        self.monotonic = monotonic
        self.started = clock()
        self.began = time.monotonic()
        self._patience = patience
        self._follower: Follower | None = None
        self._couriers: tuple[Courier, ...] = ()

    # Parts ----------------------------------------------------------------------------------------------------

    @cached_property
    def database(self) -> SqliteDatabase:
        """The platform database."""
        return SqliteDatabase(self.layout.database, self._patience)

    @cached_property
    def data(self) -> GitDataRepository:
        """The repository that people clone."""
        from thinmesh.adapters.git.data import GitDataRepository

        _log_apart()
        return GitDataRepository(self.layout.data, fsync=self.settings.git.fsync)

    @cached_property
    def log(self) -> GitLogRepository:
        """The log."""
        from thinmesh.adapters.git.log import GitLogRepository

        _log_apart()
        return GitLogRepository(self.layout.log, fsync=self.settings.git.fsync)

    @cached_property
    def index(self) -> SqlProductIndex:
        """What readers see of products."""
        from thinmesh.adapters.sql.exchange import SqlEvents
        from thinmesh.adapters.sql.index import SqlProductIndex

        return SqlProductIndex(lambda blob: self.data.read(blob), SqlEvents())

    @cached_property
    def ledger(self) -> Ledger:
        """The one way to change anything."""
        from thinmesh.kernel.ledger import Ledger

        return Ledger(self.data, self.log, self.database, self.index, self.clock)

    @cached_property
    def location(self) -> LocalLocation:
        """Where data files lie."""
        from thinmesh.adapters.local.location import LocalLocation

        return LocalLocation(self.layout.lake)

    @cached_property
    def grants(self) -> GrantsInForce:
        """Who may read closed products now."""
        from thinmesh.adapters.sql.exchange import SqlAccessStore
        from thinmesh.planes.exchange.operations import GrantsInForce

        return GrantsInForce(self.database, SqlAccessStore(), self.clock)

    @cached_property
    def policy(self) -> Policy:
        """Who may do what."""
        return Policy(self.grants)

    @cached_property
    def audit(self) -> Audit:
        """Who did what."""
        from thinmesh.adapters.sql.audit import SqlAuditStore
        from thinmesh.kernel.audit import Audit

        return Audit(self.database, SqlAuditStore(), self.policy, self.clock)

    @cached_property
    def checker(self) -> Checker:
        """The check of data files."""
        from thinmesh.adapters.duckdb.check.checker import DuckdbChecker

        limited = self.mode == "serve"
        return DuckdbChecker(
            self.settings.query.memory,
            seconds=_PUBLISH_SECONDS if limited else None,
            verdict_seconds=_CHECK_SECONDS if limited else None,
            spare=limited,
        )

    @cached_property
    def engine(self) -> DuckdbEngine:
        """The query engine."""
        from thinmesh.adapters.duckdb.query.engine import DuckdbEngine

        return DuckdbEngine(
            workers=self.settings.query.workers,
            memory=self.settings.query.memory,
            lake=self.layout.lake,
            scratch=self.scratch_of_queries,
            spare=2 if self.mode == "serve" else 0,
        )

    @cached_property
    def readers(self) -> SqlStatementLog:
        """Who reads what."""
        from thinmesh.adapters.sql.statements import SqlStatementLog

        return SqlStatementLog(self.database)

    @property
    def sandbox(self) -> QuerySandbox:
        """Where the SQL of quality rules runs."""
        return QuerySandbox(self.engine, self.settings.query.timeout)

    @property
    def teams(self) -> Identity:
        """Who works where."""
        return self.identity

    @property
    def scratch(self) -> Path:
        """A folder on the lake's file system for files in the making."""
        return self.layout.run / "staging"

    @property
    def scratch_of_queries(self) -> Path:
        """A folder that engines spill into, each in one of its own."""
        return self.layout.run / "scratch"

    @property
    def max_file(self) -> int:
        """The largest CSV that is committed, in bytes."""
        return self.settings.git.max_file

    @property
    def max_bytes(self) -> int:
        """The most that one file may hold after decompression, in bytes."""
        return _MAX_BYTES

    # Operations -----------------------------------------------------------------------------------------------

    @cached_property
    def identity(self) -> Identity:
        """Users, teams, tokens."""
        from thinmesh.adapters.sql.identity import SqlIdentityStore
        from thinmesh.kernel.identity import Identity
        from thinmesh.kernel.tokens import Signer

        signer = Signer(self.layout.keys)
        issuer = self.settings.oidc.issuer
        return Identity(self.database, SqlIdentityStore(), signer, self.policy, self.audit, self.clock, issuer)

    @cached_property
    def provider(self) -> Provider | None:
        """Who vouches for people, where the settings name somebody."""
        settings = self.settings.oidc
        if not settings.issuer:
            return None
        from thinmesh.adapters.oidc.provider import OidcProvider

        return OidcProvider(
            settings.issuer,
            settings.client_id,
            self.home / settings.client_secret_file if settings.client_secret_file else None,
            self.settings.server.url.rstrip("/") + RETURN,
            self.clock,
            self.monotonic,
        )

    @cached_property
    def products(self) -> Products:
        """The product plane."""
        from thinmesh.planes.product.operations import Products

        return Products(self)

    @cached_property
    def reading(self) -> Reading:
        """The tables of products, for the other planes."""
        from thinmesh.planes.product.reading import Reading

        return Reading(self)

    @cached_property
    def queries(self) -> Queries:
        """The query plane."""
        from thinmesh.planes.query.operations import Queries

        return Queries(
            self.engine,
            QueryCatalog(self.reading),
            self.readers,
            seconds=self.settings.query.timeout,
            clock=self.clock,
            again=self._again,
        )

    def _again(self, caller: Principal) -> Principal:
        with self.database.read() as tx:
            return self.identity.again(tx, caller)

    @cached_property
    def exchange(self) -> Exchange:
        """The exchange plane."""
        from thinmesh.adapters.sql.exchange import SqlAccessStore, SqlEvents
        from thinmesh.planes.exchange.operations import Exchange

        return Exchange(self.database, SqlAccessStore(), SqlEvents(), self.reading, self.policy, self.audit, self.clock)

    @cached_property
    def replies(self) -> SqlReplyStore:
        """Replies kept for idempotency keys."""
        from thinmesh.adapters.sql.idempotency import SqlReplyStore

        return SqlReplyStore(self.database, self.clock)

    @cached_property
    def git_door(self) -> GitDoor:
        """The data repository over HTTP."""
        from thinmesh.adapters.git.door import GitDoor
        from thinmesh.adapters.git.pushed import read_push
        from thinmesh.planes.product.pushing import Pushing

        return GitDoor(
            self.data,
            Pushing(self, read_push, self._expect),
            run=self.layout.run / "git",
            fsync=self.settings.git.fsync,
        )

    @property
    def git_bridge(self) -> GitBridge:
        """Serve one git request of a signed-in caller."""
        return self.git_door.serve

    @cached_property
    def catalog_file(self) -> CatalogFile:
        """The projection that keeps `data_catalog.csv`."""
        from thinmesh.planes.product.catalog_file import CatalogFile

        return CatalogFile(self)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The projection that keeps Iceberg tables for other engines."""
        from thinmesh.adapters.iceberg.tables import IcebergTables
        from thinmesh.adapters.sql.pointers import SqlPointers
        from thinmesh.planes.product.warehouse import Warehouse

        return Warehouse(self.database, self.index, SqlPointers(), IcebergTables(self.layout.lake), self.clock)

    @cached_property
    def delivered(self) -> SqlDeliveries:
        """How far the catalogs outside the mesh have come."""
        from thinmesh.adapters.sql.deliveries import SqlDeliveries

        return SqlDeliveries()

    @cached_property
    def deliveries(self) -> tuple[Deliveries, ...]:
        """One for each catalog outside the mesh that the settings name; looking for them takes a moment."""
        from .catalogs import deliveries_of

        return deliveries_of(self)

    @cached_property
    def catalogs(self) -> Catalogs:
        """The catalogs outside the mesh, as the doors see them."""
        from .catalogs import catalogs_of

        return catalogs_of(self)

    @cached_property
    def outside_catalogs(self) -> OutsideCatalogs | None:
        """The catalogs outside the mesh as a projection; nothing where there are none."""
        from thinmesh.planes.product.catalogs import OutsideCatalogs

        if self.mode == "read":  # who only looks is told what the last server found
            with self.database.read() as tx:
                there = bool(self.delivered.attached(tx))
        else:
            there = bool(self.deliveries)
        return OutsideCatalogs(self.database, self.delivered, lambda: self.deliveries) if there else None

    @cached_property
    def tools(self) -> Tools:
        """The parts that only the operations plane works with."""
        from .operations import tools_of

        return tools_of(self)

    @cached_property
    def operations(self) -> Operations:
        """The operations plane."""
        from thinmesh.planes.operations.operations import Operations

        return Operations(self, self.tools)

    @cached_property
    def maintenance(self) -> Maintenance:
        """What is to be done now and then."""
        from .operations import maintenance_of

        return maintenance_of(self)

    # Life -----------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Bring the projections that follow the index up to date."""
        while self._follow_some():
            pass

    def _follow_some(self) -> bool:
        """Bring the catalog file up to date, and in a server the warehouse nearer; tell whether there may be more."""
        self.catalog_file.follow()
        if self.mode != "serve":
            return False
        self._give_way()
        return self.warehouse.follow(_FOLLOWED_AT_ONCE, self._give_way) > 0

    def _give_way(self) -> None:
        if self._follower:
            self._follower.give_way()

    def _expect(self) -> None:
        if self._follower:
            self._follower.expect()

    def _settle_database(self) -> bool:
        self.database.settle()
        return False

    def _maintain(self) -> bool:
        import structlog

        for outcome in self.maintenance.maintain():
            if outcome.error and not outcome.known:
                told = {"step": outcome.step, "error": outcome.error}
                structlog.get_logger("thinmesh.upkeep").warning("a step of the upkeep could not be done", **told)
        return False

    def hurry(self) -> None:
        """Send to the catalogs outside the mesh what is due: soon where this is a server, else before it returns."""
        for courier in self._couriers:
            courier.wake()
        if self.mode == "write":
            for deliveries in self.deliveries:
                while deliveries.follow():
                    pass

    def reconcile_catalogs(self) -> int:
        """Ask for a comparison of all catalogs outside the mesh, each in its own thread; give their number."""
        for courier in self._couriers:
            courier.reconcile()
        return len(self._couriers)

    def _prepare(self) -> bool:
        """Do what the first change of a product would wait for: make the catalog's lines, load Iceberg's libraries."""
        self.catalog_file.prepare()
        import_module("thinmesh.adapters.iceberg.staging")
        return False

    def start(self) -> None:
        """Start what runs beside a server: the git door's hooks, the projections that follow, the upkeep."""
        from .catalogs import Courier

        self.replies.forget_unfinished()
        self.git_door.start()
        self.engine.warm()
        self._follower = Follower((self._follow_some, self._settle_database, self._maintain), prepare=self._prepare)
        self.ledger.listen(self._follower.wake)
        self._follower.wake()
        self._couriers = tuple(Courier(deliveries) for deliveries in self.deliveries)
        for courier in self._couriers:
            self.ledger.listen(courier.wake)
            courier.wake()

    def _relieve(self) -> bool:
        """Do what a server's upkeep would do: every command that changes something adds a pack."""
        return bool(self.tools.data_care.relieve() + self.tools.log_care.relieve())

    def close(self) -> None:
        """Stop what runs and let go of the home."""
        made = self.__dict__
        if self._couriers:
            from .catalogs import stop_all

            stop_all(self._couriers)
        if self._follower:
            self._follower.stop()
        elif "ledger" in made and self.mode == "write":
            attempt(self._follow_some)
            attempt(self._relieve)
        if "git_door" in made:
            self.git_door.stop()
        for part in ("queries", "engine", "checker", "database"):
            if part in made:
                made[part].close()
        self.layout.unlock()


def _log_apart() -> None:
    """Send log lines to stderr unless somebody said where they go: stdout holds what a command answers."""
    import structlog

    if not structlog.is_configured():
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
