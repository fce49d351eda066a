"""The log, `main`, the index, and that they agree."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.product import Product, TableState

from .scene import REBUILD, RESTORE, Fault, Scene, warning

_SUCCESSOR = "thinmesh retire PRODUCT --successor NEW"
_SERVERS_OWN = {"README.md", "data_catalog.csv"}


def log_whole(scene: Scene) -> Iterator[Fault]:
    """Require that every object of the log is there."""
    for line in scene.tools.log_care.faults(scene.deep):
        yield Fault(f"log.git: {line}", RESTORE)


def log_unbroken(scene: Scene) -> Iterator[Fault]:
    """Require that the log's entries follow each other without a gap."""
    for line in scene.log.faults:
        yield Fault(line, scene.log_heal)


def data_repository_whole(scene: Scene) -> Iterator[Fault]:
    """Require that every object that `main` leads to is there."""
    for line in scene.tools.data_care.faults(scene.deep):
        yield Fault(f"data.git: {line}", scene.data_heal)


def main_follows_log(scene: Scene) -> Iterator[Fault]:
    """Require that `main` is where the newest entry of the log ends."""
    last = scene.log.last
    if last is None or scene.log.faults or scene.tip == last.new:
        return
    told = f"main is at {scene.tip or 'nothing'}, and the log ends at {last.new}"
    if not scene.tip:
        yield Fault(told, scene.data_heal)
        return
    try:
        behind = scene.backends.data.is_ancestor(scene.tip, last.new)
    except (MeshError, KeyError):
        behind = False
    by_hand = RESTORE
    if scene.tools.data_care.holds(last.new):
        by_hand = f"git -C {scene.backends.layout.data} update-ref refs/heads/main {last.new}"
    yield Fault(told, REBUILD if behind else by_hand)


def index_follows_log(scene: Scene) -> Iterator[Fault]:
    """Require that the index has taken in the newest entry of the log."""
    if scene.cursor is None:
        yield Fault("the index cannot be read", RESTORE)
    elif scene.astray:
        yield Fault(
            f"the index is at entry {scene.cursor[1]} ({scene.cursor[0][:12]}), which the log does not have:"
            f" it was rewritten or shortened, and ends at {scene.log.sequence}",
            scene.log_heal,
        )
    elif scene.cursor != (scene.log.id, scene.log.sequence) and not scene.log.faults:
        yield Fault(f"the index is at entry {scene.cursor[1]}, and the log ends at {scene.log.sequence}", REBUILD)


def index_is_the_log(scene: Scene) -> Iterator[Fault]:
    """Require that the index says what a fresh replay of the log says."""
    for line in scene.projections[0].faults():
        yield Fault(f"the index differs from the log: {line}", REBUILD)


def documents_registered(scene: Scene) -> Iterator[Fault]:
    """Require that each document of a product on `main` is the one that was registered."""
    for name, change in scene.log.latest.items():
        if change.status == "retired":
            continue
        documents = {"product.json": change.document, "contract.yaml": change.odcs, "product.odps.yaml": change.odps}
        for path, registered in documents.items():
            present = scene.folders.get(f"{change.domain}/{name}", {}).get(path)
            if present != registered:
                told = "is not the one that was registered" if present else "is gone"
                yield Fault(f"{change.domain}/{name}/{path} on main {told}", "thinmesh register FILE")
    for product in scene.products:
        change = scene.log.latest[product.name]
        if change.document and _blob_id(product.descriptor.document) != change.document:
            yield Fault(f"the index holds another document of {product.name} than the log names", REBUILD)


def folders_registered(scene: Scene) -> Iterator[Fault]:
    """Require that each product folder on `main` belongs to a registered product."""
    known = {f"{change.domain}/{name}" for name, change in scene.log.latest.items()}
    for folder in sorted(scene.folders.keys() - known - _SERVERS_OWN):
        yield Fault(f"{folder} on main belongs to no product", "git rm -r (in a clone), then git push")


def csvs_are_the_tables(scene: Scene) -> Iterator[Fault]:
    """Require that the CSVs of a table in git are those its data files were made from."""
    for product in scene.products:
        if product.status == "retired":
            continue
        present = _csvs(scene, product)
        published = {name: state.files for name, state in product.tables.items() if state.in_git}
        elsewhere = product.tables.keys() - published.keys()
        for table in sorted((present.keys() | published.keys()) - elsewhere):
            made_from = sorted(file.source or "" for file in published.get(table, ()))
            if sorted(present.get(table, [])) != made_from:
                what = "are not those that were published" if table in published else "belong to no table"
                told = f"the CSVs of {product.name}.{table} on main {what}"
                yield Fault(told, f"thinmesh publish {product.name} FILE")


def closed_data_unshared(scene: Scene) -> Iterator[Fault]:
    """Require that no CSV on `main` holds data that is closed, classified, or in its location."""
    for product in scene.products:
        for table in _csvs(scene, product):
            why = _unshareable(product, product.tables.get(table))
            if why:
                yield Fault(
                    f"{product.folder} on main holds CSVs of {table}, {why}", f"thinmesh publish {product.name} FILE"
                )


def closed_data_never_shared(scene: Scene) -> Iterator[Fault]:
    """Require, in a deep look, that no commit of `main` ever brought a CSV with data that is closed or classified."""
    if not scene.deep or not scene.commit:
        return
    products = {product.folder: product for product in scene.products}
    for path in sorted(scene.tools.data_care.history(scene.commit)):
        domain, _, rest = path.partition("/")
        name, _, inside = rest.partition("/")
        product = products.get(f"{domain}/{name}") if inside.endswith(".csv") else None
        state = product.tables.get(_table_of(inside)) if product else None
        if product and (product.closed or (state and state.table.classified)):
            yield Fault(f"{path} is in the history of main, which every signed-in user can clone", _SUCCESSOR)


def projections_follow(scene: Scene) -> Iterator[Fault]:
    """Require that everything that follows the log has followed it, and says what it says.

    What only a server brings up to date may wait for the next one: nothing reads it before.
    """
    catalogs = scene.tools.catalogs()
    outside = catalogs.name if catalogs else ""
    with scene.backends.database.read() as tx:
        for line in catalogs.waiting(tx) if catalogs and scene.tools.serving else ():
            yield warning(line)
        for projection in scene.projections[1:]:
            lag = 0 if projection.name == outside else projection.lag(tx)
            if lag > 0 and (scene.tools.serving or not projection.follows_in_servers):
                told = f"{projection.name} has {lag} {projection.counted} still to take in"
                yield warning(told, f"thinmesh rebuild {projection.name}")
    for projection in scene.projections[1:]:
        heal = "thinmesh catalog retry" if projection.name == outside else f"thinmesh rebuild {projection.name}"
        for line in projection.faults():
            yield Fault(f"{projection.name}: {line}", heal)


def _csvs(scene: Scene, product: Product) -> Mapping[str, list[str]]:
    """Give the object ids of the CSVs of each table on `main`: `<table>.csv`, or `<table>/*.csv`."""
    found: dict[str, list[str]] = {}
    for path, id in scene.folders.get(product.folder, {}).items():
        if path.endswith(".csv"):
            found.setdefault(_table_of(path), []).append(id)
    return found


def _table_of(path: str) -> str:
    """Give the table that a CSV in a product's folder belongs to: `<table>.csv`, or `<table>/*.csv`."""
    return path.split("/")[0].split(".")[0]


def _unshareable(product: Product, state: TableState | None) -> str:
    if product.closed:
        return "and the product is closed"
    if state and state.table.classified:
        return "which has classified columns"
    return "whose data is in its location" if state and state.publication and not state.in_git else ""


def _blob_id(content: bytes) -> str:
    """Give the object id that git gives to a file (gitformat-pack(5): SHA-1 over a header and the content)."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
