"""A data product: what its descriptor says, and what the mesh made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .contract import Table


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A parsed `product.json`, or full ODCS and ODPS documents in its place; `document` is the original bytes.

    `owner`, `access`, `version` and `status` are None where the author left them out. `tables` is in the
    author's order. `odcs` holds the bytes of `contract.yaml` where the tables come from there, `odps` those
    of `product.odps.yaml` where there is one.
    `reported` lists nested fields that the official models do not know: kept, and shown to the author.
    """

    name: str
    domain: str
    description: str
    owner: str | None = None
    access: str | None = None
    version: str | None = None
    status: str | None = None
    tags: tuple[str, ...] = ()
    custom: Mapping[str, Any] = field(default_factory=dict)
    slo: Mapping[str, Any] = field(default_factory=dict)
    retention: str | None = None
    inputs: tuple[str, ...] = ()
    links: Mapping[str, Any] = field(default_factory=dict)
    deprecated: Mapping[str, Any] | None = None
    tables: Mapping[str, Table] = field(default_factory=dict)
    document: bytes = b""
    odcs: bytes | None = None
    odps: bytes | None = None
    reported: tuple[str, ...] = ()

    @property
    def written(self) -> bool:
        """Tell whether its author wrote a `product.json`, not only documents of a standard in its place."""
        return self.document not in (self.odcs, self.odps)


@dataclass(frozen=True, slots=True)
class DataFile:
    """One immutable data file (Parquet) that a publication is made of.

    `path` is relative to the location; `source` is the object id of the CSV on `main` it was derived
    from, or None where the file itself is the truth. `sha256` is over the Parquet's bytes, `content` over the
    file as it was handed in: the same content again is the same publication.
    """

    path: str
    sha256: str
    rows: int
    bytes: int
    content: str
    source: str | None = None

    def document(self) -> dict[str, Any]:
        """Render for the log."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> DataFile:
        """Read back what `document` made; fields of later releases are passed over."""
        values: dict[str, Any] = {name: found.get(name) for name in cls.__slots__}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class TableState:
    """A table as it stands: its effective contract, and the files of its latest publication (None: no data yet).

    `in_git`: its data is CSVs on `main` now; `shared`: it is, or once was, so that its history can be cloned.
    """

    table: Table
    publication: str | None = None
    files: tuple[DataFile, ...] = ()
    in_git: bool = False
    shared: bool = False

    @property
    def rows(self) -> int:
        """Count the rows over all files."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True, slots=True)
class Product:
    """A registered product as it stands: the effective values that every door shows and the policy judges by.

    `sequence` is that of the last log entry that touched it; `etag` changes with the descriptor only.
    `publication` is the latest, `published` its time.
    """

    name: str
    domain: str
    owner: str
    access: str
    status: str
    version: str
    descriptor: Descriptor
    tables: Mapping[str, TableState]
    registered: str
    changed: str
    publication: str | None = None
    published: str | None = None
    successor: str | None = None
    etag: str = ""
    sequence: int = 0
    readme: str = ""

    @property
    def folder(self) -> str:
        """Give the product's folder on `main`."""
        return f"{self.domain}/{self.name}"

    @property
    def closed(self) -> bool:
        """Tell whether reading the data needs a grant."""
        return self.access == "request"
