"""A catalog outside the mesh that is strict and can be made to fail: a folder with a file for each product.

It serves this process and others. A file in its folder makes a fault: `down`, `hang`, `refuse` and `drop` (the name of
a product on each line; `*` is every one). `told` has a line for each product it was told of: name and sequence.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from thinmesh.kernel.errors import Refused, Temporary
from thinmesh.kernel.settings import Settings
from thinmesh.planes.product.model import CatalogRecord

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-t0ken"


class StandIn:
    """An `OutsideCatalog`."""

    name = "stand_in"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meanwhile: Callable[[], object] = lambda: None  # what happens during each call
        self.at_once = 0  # products at the same time, the most so far
        self.twice: list[str] = []  # products told of twice at the same time
        self.asked = 0  # calls, failed ones too
        self._now: set[str] = set()
        self._lock = threading.Lock()
        (folder / "products").mkdir(parents=True, exist_ok=True)

    def put(self, record: CatalogRecord) -> None:
        with self._call(record.product.name) as name:
            document = json.dumps(rendered(record))
            if self._set("half", name):
                self._write(name, document[: len(document) // 2])
                raise Temporary("half of it arrived")
            if not self._set("drop", name):
                self._write(name, document)
            if self._read(name) != document:
                raise Temporary("answered 200, and does not show it")
            line = f"{name} {record.product.sequence}\n".encode()
            file = os.open(self.folder / "told", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, line)
            os.close(file)

    def remove(self, product: str) -> None:
        with self._call(product):
            self._path(product).unlink(missing_ok=True)

    def products(self) -> Iterator[str]:
        with self._call("*"):
            return iter(sorted(path.stem for path in (self.folder / "products").iterdir()))

    def differences(self, record: CatalogRecord) -> list[str]:
        with self._call(record.product.name) as name:
            return [] if self._read(name) == json.dumps(rendered(record)) else [f"{name} differs"]

    # For tests ------------------------------------------------------------------------------------------------

    def fault(self, kind: str, *names: str) -> None:
        """Make a fault, or end it."""
        path = self.folder / kind
        path.write_text("\n".join(names)) if names else path.unlink(missing_ok=True)

    def told(self) -> list[tuple[str, int]]:
        """Give (product, sequence) of what it was told, in order."""
        path = self.folder / "told"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [(name, int(sequence)) for name, sequence in map(str.split, lines)]

    def shown(self) -> dict[str, Any]:
        """Give what it shows of each product."""
        return {path.stem: json.loads(path.read_text()) for path in (self.folder / "products").iterdir()}

    def offered(self) -> dict[str, dict[str, str]]:
        """Give what the conformance suite reads."""
        names = ("domain", "owner", "description", "tables", "access")
        found = {name: each for name, each in self.shown().items() if each["status"] != "retired"}
        return {name: {word: each[word] for word in names} for name, each in found.items()}

    @contextmanager
    def _call(self, name: str) -> Iterator[str]:
        with self._lock:
            self.asked += 1
            if name in self._now:
                self.twice.append(name)
            self._now.add(name)
            self.at_once = max(self.at_once, len(self._now))
        try:
            self.meanwhile()
            while self._set("hang", name):
                time.sleep(0.01)
            if self._set("down", name):
                raise Temporary(f"https://me:{SECRET}@catalog.example.org does not answer; Bearer {SECRET}")
            if self._set("refuse", name):
                raise Refused(f"{name} is not to its liking")
            if self._set("break", name):
                raise KeyError(f"token={SECRET}")
            yield name
        finally:
            with self._lock:
                self._now.discard(name)

    def _set(self, kind: str, name: str) -> bool:
        try:
            return not {name, "*"}.isdisjoint((self.folder / kind).read_text().split("\n"))
        except FileNotFoundError:
            return False

    def _path(self, name: str) -> Path:
        return self.folder / "products" / f"{name}.json"

    def _read(self, name: str) -> str:
        return self._path(name).read_text() if self._path(name).exists() else ""

    def _write(self, name: str, document: str) -> None:
        part = self.folder / f"{name}.part-{os.getpid()}"
        part.write_text(document)
        part.replace(self._path(name))


def rendered(record: CatalogRecord) -> dict[str, Any]:
    """Write a record."""
    product = record.product
    return {
        "domain": product.domain,
        "owner": product.owner,
        "description": product.descriptor.description,
        "tables": " ".join(product.tables),
        "columns": {name: [c.name for c in state.table.columns] for name, state in product.tables.items()},
        "access": product.access,
        "status": product.status,
        "publication": product.publication,
        "rows": dict(record.rows),
        "quality": dict(record.quality),
        "inputs": {name: list(tables) for name, tables in record.inputs.items()},
        "members": list(record.members),
        "url": record.url,
    }


def open_catalog(settings: Settings) -> StandIn | None:
    """What the entry point leads to."""
    folder = Path((distribution("stand-in").read_text("folder.txt") or "").strip())
    return None if (folder / "absent").exists() else StandIn(folder)


def install(place: Path, folder: Path) -> str:
    """Offer a stand-in over `folder` as an installed package does; give the path that Python must look in."""
    info = place / "stand_in-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[thinmesh.catalogs]\nstand_in = {__name__}:open_catalog\n")
    (info / "folder.txt").write_text(str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    return os.pathsep.join((str(place), str(ROOT)))
