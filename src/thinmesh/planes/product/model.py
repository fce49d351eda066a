"""The nouns of the product plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thinmesh.kernel.contract import Table
from thinmesh.kernel.errors import Violation
from thinmesh.kernel.page import Page
from thinmesh.kernel.product import Product


@dataclass(frozen=True, slots=True)
class Upload:
    """A data file that somebody hands in: the name it had there, and where it lies on this disk now.

    `present` is what the table consists of already, judged again: columns added to the contract since are not in it.
    """

    name: str
    path: Path
    present: bool = False


@dataclass(frozen=True, slots=True)
class TableInput:
    """What is to be checked for one table.

    `table` is the effective contract with field ids, or None where it is to be inferred; an `inferred` one may
    be widened.
    `present` are local paths of the table's data files that stay (append): keys are checked over them too.
    """

    name: str
    table: Table | None
    files: tuple[Upload, ...]
    present: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckJob:
    """One check: all files of one publication.

    `others` are the product's tables that this publication does not touch, as (table, local paths):
    references inside the product are judged against them, and by them (a replaced table must not leave
    them dangling). `foreign` are readable tables of other products, by "product.table", for references
    that are measured only.
    `staging` is an empty folder for the Parquet; None where only the verdict is wanted.
    """

    tables: tuple[TableInput, ...]
    staging: Path | None = None
    others: tuple[tuple[Table, tuple[Path, ...]], ...] = ()
    foreign: Mapping[str, tuple[Table, tuple[Path, ...]]] = field(default_factory=dict)
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet made from one upload: its local path, and the facts that go into the manifest."""

    upload: str
    path: Path
    sha256: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """A table after the check: its contract (inferred, widened or as given, with field ids), rows and staged files.

    `restaged` replaces the present files, in order, where widening changed a type; empty otherwise.
    `suggested_keys` are columns that would do as a key (inferred tables only). `doubts` are whole sentences on what was
    taken as it stands and may not have been meant (new tables only).
    """

    table: Table
    rows: int
    files: tuple[StagedFile, ...] = ()
    restaged: tuple[StagedFile, ...] = ()
    widened: tuple[str, ...] = ()
    suggested_keys: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The verdict over all files: every violation with exact counts; `ok` when there is none.

    `measured` are rules that never refuse (references across products), in the same shape.
    `not_checked` names rules that are kept and not checked.
    """

    tables: tuple[CheckedTable, ...]
    violations: tuple[Violation, ...] = ()
    measured: tuple[Violation, ...] = ()
    not_checked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Tell whether nothing was found."""
        return not self.violations

    @property
    def rows(self) -> int:
        """Count the rows over all tables."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a reader needs of one table at one moment: its contract, and local paths of its files in order."""

    product: str
    table: Table
    publication: str | None
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """What has followed a change, or not yet, and why (INTERFACE, *Conditions*)."""

    type: str
    state: str
    reason: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Registered:
    """The reply to register, accept and retire: the whole descriptor in force."""

    product: Mapping[str, Any]
    created: bool
    changed: bool
    conditions: tuple[Condition, ...]
    links: Mapping[str, str]
    etag: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContractDocument:
    """An ODCS contract or ODPS product as bytes, and the version of the descriptor that it belongs to."""

    content: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Published:
    """The reply to publish."""

    publication: str | None
    changed: bool
    tables: Mapping[str, Mapping[str, int]]
    conditions: tuple[Condition, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """The reply to check; `violations` in the shape of INTERFACE, *Errors*."""

    ok: bool
    rows: int
    violations: tuple[Mapping[str, Any], ...]
    not_checked: tuple[str, ...]
    measured: tuple[Mapping[str, Any], ...] = ()
    tables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspected:
    """What files hold that belong to no product yet.

    For each table its `document` (as a descriptor would declare it), the columns' `types`, `rows`, the `keys` that
    would do, and `notes`.
    """

    tables: Mapping[str, Mapping[str, Any]]
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class ProductView:
    """What `show` tells of a product.

    `lineage` has its `inputs` as written, and `outputs`: the first 200 active products made from it, by name. `may`
    tells what the caller may do: read data, change, publish.
    """

    product: Mapping[str, Any]
    tables: tuple[Mapping[str, Any], ...]
    owner: str
    storage: Mapping[str, Any]
    freshness: Mapping[str, Any]
    quality: Mapping[str, Any]
    lineage: Mapping[str, Any]
    conditions: tuple[Condition, ...]
    links: Mapping[str, str]
    etag: str
    publication: str | None
    readme: str
    registered: str
    changed: str
    may: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Relative:
    """A product in a lineage; `status` is its own, `retired`, or `unknown` where the mesh has no such product.

    `steps` counts from the product asked for: below zero what it is made from, above what is made from it.
    """

    name: str
    steps: int
    domain: str | None
    access: str | None
    status: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a product is made from, and what is made from it, two steps each way.

    `edges` are pairs of (input, output). `more` names, for a number of steps, that there are products left out.
    """

    product: str
    relatives: tuple[Relative, ...]
    edges: tuple[tuple[str, str], ...]
    more: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class CatalogRecord:
    """What catalogs outside the mesh are told of a product: metadata, and nothing of closed data.

    `contract` is the ODCS document. `quality` is that of the latest publication and `rows` counts those of each table:
    empty where the data is closed. `inputs` are the tables of the products that it is made from, by product.
    `members` are the users of the owner team; `url` is where people reach this mesh, None where nobody said.
    """

    product: Product
    contract: bytes
    quality: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, int | None] = field(default_factory=dict)
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    url: str | None = None


@dataclass(frozen=True, slots=True)
class WarehouseFault:
    """A product whose Iceberg tables could not be brought to its present state.

    `since` is the time of the first of `attempts` failures in a row, `retry` that of the next attempt.
    """

    product: str
    since: str
    attempts: int
    retry: str
    detail: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a catalog outside the mesh has come with a product.

    `sequence` is the product's when it was last sent: where the product has changed since, it is pending again.
    `attempts` are those since it was last there, `retry` is the time of the next one (pending ones only).
    """

    catalog: str
    product: str
    state: str
    sequence: int
    attempts: int
    error: str
    since: str
    retry: str


@dataclass(frozen=True, slots=True)
class Outage:
    """A catalog that does not answer: since when, for how many probes, the time of the next one, and what it says."""

    since: str
    probes: int
    retry: str
    error: str


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a reconciliation did; `failed` says which products could not be brought, and why."""

    compared: int
    repaired: int
    removed: int
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogStates:
    """How the catalogs outside the mesh stand: one item for each product and catalog, and each catalog's own state."""

    items: tuple[Mapping[str, Any], ...]
    next: str | None
    catalogs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Retried(CatalogStates):
    """How the catalogs stand after `retried` attempts were put back to be made at once, one a product and catalog."""

    retried: int


# What finds can be narrowed by, and counted by.
FACETS = ("domain", "owner", "tag", "access", "status")
SORTS = ("relevance", "name", "newest")


@dataclass(frozen=True, slots=True)
class Sought:
    """What somebody looks for: products with all the words, that have every value given; no words leave nothing out.

    `sort` is one of SORTS. `facets` asks for the counts.
    """

    words: str = ""
    domain: str | None = None
    owner: str | None = None
    tag: str | None = None
    access: str | None = None
    status: str | None = None
    sort: str = "relevance"
    facets: bool = False

    @property
    def filtered(self) -> bool:
        """Tell whether any value is asked for."""
        return any(getattr(self, name) is not None for name in FACETS)


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that finds have, and how many of them have it; at least so many where that is not `exact`."""

    value: str
    count: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Corrected:
    """A word that nothing has, and the one that was searched for in its place."""

    typed: str
    meant: str


Facets = Mapping[str, Sequence[Facet]]


@dataclass(frozen=True, slots=True)
class Found:
    """The summaries of some finds, the best first. `newest` is the newest row that was looked at."""

    items: Sequence[Mapping[str, Any]]
    newest: int
    corrected: tuple[Corrected, ...] = ()
    facets: Facets | None = None


@dataclass(frozen=True, slots=True)
class FoundPage(Page):
    """A page of finds; `facets` are the counts by kind, None unless they were asked for."""

    corrected: tuple[Corrected, ...] = ()
    facets: Facets | None = None
