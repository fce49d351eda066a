"""What the operations plane works with, taken from an open home."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from thinmesh.adapters.git.care import GitCare
from thinmesh.adapters.local.archive import TarZstd
from thinmesh.adapters.prometheus.text import render
from thinmesh.adapters.sql.operations import SqlOperationsStore
from thinmesh.adapters.sql.replica import open_replica
from thinmesh.kernel.settings import load_settings
from thinmesh.kernel.version import VERSION
from thinmesh.planes.operations.backend import Tools
from thinmesh.planes.operations.maintenance import Maintenance, Step, steps_of
from thinmesh.planes.product.derivation import Derivation
from thinmesh.planes.product.use import weigh_use

if TYPE_CHECKING:
    from .platform import Platform


def tools_of(platform: Platform) -> Tools:
    """Join the parts that only the operations plane works with."""
    return Tools(
        version=VERSION,
        store=SqlOperationsStore(),
        data_care=GitCare(platform.layout.data),
        log_care=GitCare(platform.layout.log),
        archives=TarZstd(),
        replica=lambda folder: open_replica(folder, platform.data.read),
        derivation=Derivation(platform),
        render=render,
        engine=lambda: platform.engine.report(),
        workers=lambda: platform.engine.report() if "engine" in platform.__dict__ else {},
        settings=lambda: load_settings(platform.layout.settings, os.environ),
        hooks=(lambda: platform.git_door.self_test()) if platform.mode == "serve" else None,
        events=platform.index.tell,
        warehouse=platform.warehouse,
        catalogs=lambda: platform.outside_catalogs,
    )


def maintenance_of(platform: Platform) -> Maintenance:
    """Give what a served home does now and then."""
    others = (
        Step("expire_grants", timedelta(minutes=1), platform.exchange.expire),
        Step("forget_replies", timedelta(hours=1), platform.replies.forget_old),
        Step("reconcile_catalogs", timedelta(days=1), platform.reconcile_catalogs, timedelta(hours=1)),
        Step("weigh_use", timedelta(hours=1), lambda: weigh_use(platform), timedelta(minutes=1)),
    )
    return Maintenance(steps_of(platform, platform.tools, others), platform.clock)
