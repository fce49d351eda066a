"""The verbs of the operations plane. Every door calls these, and nothing beneath them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from thinmesh.kernel.clock import text_of_time
from thinmesh.kernel.errors import NotFound, Temporary
from thinmesh.kernel.names import nearest
from thinmesh.kernel.page import Page
from thinmesh.kernel.policy import Action, Principal
from thinmesh.kernel.progress import Progress, no_progress

from .backend import Backends, Projection, Tools
from .backup import back_up
from .doctor import diagnose
from .metrics import measure, newest_sequence, projection_states
from .model import BackedUp, BackupRecord, Diagnosis, Rebuilt, Status
from .projections import projections_of

# Other words for a projection, by which people look for it.
_ALIASES = {"search": "index", "words": "index", "catalog": "catalog_file"}


class Operations:
    """Status, doctor, rebuild, backup, metrics and audit of an open home."""

    def __init__(self, backends: Backends, tools: Tools) -> None:
        self._backends = backends
        self._tools = tools
        self._projections = projections_of(backends, tools)

    def ready(self) -> None:
        """Raise Temporary unless requests can be served."""
        with self._backends.database.read() as tx:
            _, sequence = self._backends.index.cursor(tx)
        if not self._backends.ledger.tip() and sequence:
            raise Temporary("The log is not there.", help="Run `thinmesh doctor` on the home.")

    def status(self, caller: Principal) -> Status:
        """Report how the platform is doing; for any signed-in user."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        with self._backends.database.read() as tx:
            counts = self._tools.store.counts(tx)
            projections = projection_states(self._projections, tx)
            backup = self._tools.store.last_backup(tx)
        disk = shutil.disk_usage(self._backends.layout.path)
        return Status(
            version=self._tools.version,
            started=text_of_time(self._backends.started),
            uptime=int((self._backends.clock() - self._backends.started).total_seconds()),
            counts=counts,
            log={"tip": self._backends.ledger.tip(), "sequence": newest_sequence(projections)},
            projections=projections,
            workers=self._tools.workers(),
            disk={"free": disk.free, "total": disk.total},
            last_backup=asdict(backup) if backup else None,
        )

    def doctor(self, caller: Principal, deep: bool = False, progress: Progress = no_progress) -> Diagnosis:
        """Hold the home against every invariant; for administrators. `deep` reads every object and data file."""
        self._backends.policy.require(caller, Action.ADMINISTER)
        return diagnose(self._backends, self._tools, self._projections, deep, progress)

    def rebuild(self, caller: Principal, projection: str | None = None, progress: Progress = no_progress) -> Rebuilt:
        """Make one projection, or all, again from the sources of truth; for administrators.

        Readers see the old state until the new one is complete. Raises NotFound for a projection that is none.
        """
        name = projection or "everything"
        with self._backends.audit.attempt(caller, "rebuild", name):
            self._backends.policy.require(caller, Action.ADMINISTER)
            wanted = self._projections if projection is None else [self._projection(projection)]
            rebuilt: dict[str, Mapping[str, int]] = {}
            failed: list[str] = []
            for each in wanted:
                made = each.rebuild(progress)
                rebuilt[each.name] = made.counts
                failed += made.failed
        with self._backends.database.write() as tx:
            self._backends.audit.record(tx, caller, "rebuild", name)
        return Rebuilt(rebuilt, tuple(failed))

    def backup(
        self,
        caller: Principal,
        path: Path,
        with_keys: bool = False,
        progress: Progress = no_progress,
        asked_for: str = "",
    ) -> BackedUp:
        """Write a backup to a new file on this machine, while everything goes on; for administrators.

        The file is a tar in Zstandard, readable by its owner only; the signing key is in it only `with_keys`. The audit
        names the file that was `asked_for`, where `path` is on its way there.
        """
        target = asked_for or str(path)
        with self._backends.audit.attempt(caller, "backup", target):
            self._backends.policy.require(caller, Action.ADMINISTER)
            made = back_up(self._backends, self._tools, path.absolute(), with_keys, progress)
        with self._backends.database.write() as tx:
            self._tools.store.add_backup(tx, BackupRecord(made.at, made.sequence, made.bytes, made.keys))
            self._backends.audit.record(tx, caller, "backup", target)
        return made

    def metrics(self, caller: Principal) -> str:
        """Give the metrics in Prometheus' text format; for any signed-in user, for they tell what `status` tells."""
        self._backends.policy.require(caller, Action.READ_METADATA)
        return self._tools.render(measure(self._backends, self._tools, self._projections))

    def audit(self, caller: Principal, limit: int | None = None, cursor: str | None = None) -> Page:
        """List what was done by whom, the newest first; for administrators."""
        return self._backends.audit.list(caller, limit, cursor)

    def _projection(self, name: str) -> Projection:
        known = {each.name: each for each in self._projections}
        found = known.get(_ALIASES.get(name, name))
        if found is None:
            near = nearest(name, [*known, *_ALIASES])
            help = f"Did you mean {near}?" if near else f"There are: {', '.join(known)}."
            raise NotFound(f"There is no projection {name[:80]!r}.", help=help)
        return found
