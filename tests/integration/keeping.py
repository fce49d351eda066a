"""A home with products of every kind, and the operations plane on it."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from thinmesh import __version__
from thinmesh.adapters.git.care import GitCare, GitRepositories
from thinmesh.adapters.local.archive import TarZstd
from thinmesh.adapters.prometheus.text import render
from thinmesh.adapters.sql.operations import SqlOperationsStore
from thinmesh.adapters.sql.replica import open_replica
from thinmesh.bootstrap import Platform, init_home, open_home
from thinmesh.kernel.settings import load_settings
from thinmesh.planes.operations.backend import Tools
from thinmesh.planes.operations.operations import Operations
from thinmesh.planes.operations.restoration import Parts, restore
from thinmesh.planes.product.derivation import Derivation
from thinmesh.planes.product.model import Upload

WALLS = {"sandbox": {"seccomp": "on"}, "workers": {"idle": 2}, "queue": {"waiting": 0}}


def tools_of(platform: Platform, **changes) -> Tools:
    parts = {
        "version": __version__,
        "store": SqlOperationsStore(),
        "data_care": GitCare(platform.layout.data),
        "log_care": GitCare(platform.layout.log),
        "archives": TarZstd(),
        "replica": lambda folder: open_replica(folder, platform.data.read),
        "derivation": Derivation(platform),
        "render": render,
        "engine": lambda: WALLS,
        "workers": lambda: WALLS,
        "settings": lambda: load_settings(platform.layout.settings, os.environ),
        "events": platform.index.tell,
    }
    return Tools(**{**parts, **changes})


class Kept:
    """An open home, its administrator, and its operations."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.platform = open_home(path)
        self.admin = self.platform.identity.principal_of_home()
        self.operations = Operations(self.platform, tools_of(self.platform))

    def register(self, name: str, **fields) -> None:
        document = {"name": name, "domain": "d", "description": f"About {name}", "owner": "team", **fields}
        self.platform.products.register(self.admin, json.dumps(document).encode())

    def publish(self, name: str, content: str, table: str = "t", mode: str = "replace", file: str = "") -> None:
        path = self.path.parent / f"upload-{name}-{table}.csv"
        path.write_text(content)
        self.platform.products.publish(self.admin, name, [Upload(file or f"{table}.csv", path)], mode)

    def broken(self, deep: bool = False) -> dict[str, str]:
        """What doctor finds: the invariants that do not hold, and what heals them."""
        found = self.operations.doctor(self.admin, deep).findings
        return {each.invariant: each.heal for each in found if each.state != "ok"}

    def files(self, name: str, table: str = "t") -> list[Path]:
        with self.platform.database.read() as tx:
            product = self.platform.index.product(tx, name)
        return [self.platform.location.path(file) for file in product.tables[table].files]

    def close(self) -> None:
        self.platform.close()


def made_home(path: Path) -> Kept:
    """Make a home with a table in git, a closed one in the lake, one with an append, an inferred one, a retired one."""
    init_home(path)
    kept = Kept(path)
    kept.platform.identity.create_team(kept.admin, "team", ["d"])
    kept.register("orders", tables={"t": {"columns": {"id": "integer", "name": "string"}, "primaryKey": ["id"]}})
    kept.publish("orders", "id,name\n1,a\n2,b\n")
    kept.publish("orders", "id,name\n3,c\n", mode="append", file="t/more.csv")
    kept.register("people", access="request", tables={"t": {"columns": {"id": "integer"}}})
    kept.publish("people", "id\n7\n8\n")
    kept.register("inferred")
    kept.publish("inferred", "a,b\n1,NA\n2,x\n")
    kept.publish("inferred", "a,b\n1.5,NA\n2,\n")
    kept.register("gone")
    kept.platform.products.retire(kept.admin, "gone")
    kept.platform.follow()
    return kept


def awaken(home: Path, keys: bool) -> str | None:
    """Bring a restored home to life, as bootstrap does."""
    from thinmesh.adapters.sql.schema import migrate

    platform = Platform(home, load_settings(home / "thinmesh.toml", os.environ))
    try:
        migrate(platform.database)
        platform.ledger.recover()
        with platform.database.write() as tx:
            platform.warehouse.clear(tx)  # its metadata files are derived, and in no backup
        return None if keys else platform.identity.initialise().token
    finally:
        platform.close()


def restored(file: Path, home: Path):
    return restore(file, home, Parts(TarZstd(), GitRepositories(fsync=False), awaken))


def picture(kept: Kept) -> dict[str, object]:
    """Everything that a rebuild or a restoration must not change: descriptors, publications, rows, grants, history."""
    found: dict[str, object] = {}
    platform, admin = kept.platform, kept.admin
    with platform.database.read() as tx:
        for name in [*platform.index.names(tx), "gone"]:
            product = platform.index.product(tx, name)
            history = platform.index.history(tx, name, 100, None)
            publications = platform.index.publications(tx, name, 100, None)
            rows = {t: rows_of(kept, state.files) for t, state in product.tables.items()}
            found[name] = (product, history, publications, rows)
    found["grants"] = platform.exchange.grants(admin).items
    found["users"] = platform.identity.list_users(admin).items
    found["search"] = [item["name"] for item in platform.products.search(admin, "about").items]
    found["catalog"] = platform.data.read(platform.data.file(platform.data.tip(), "data_catalog.csv").id)
    return found


def rows_of(kept: Kept, files) -> Counter:
    found: Counter = Counter()
    for file in files:
        found.update(tuple(row.values()) for row in pq.read_table(kept.platform.location.path(file)).to_pylist())
    return found
