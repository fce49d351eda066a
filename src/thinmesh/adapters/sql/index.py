"""The index of products: a projection of the log into SQL tables, written in the ledger's own transaction.

Longer than other modules: what writes the tables and what reads them are one projection, and change together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from math import log
from typing import TYPE_CHECKING, Any

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.events import Event, EventFeed
from thinmesh.kernel.policy import ProductFacts
from thinmesh.kernel.product import DataFile, Descriptor, Product, TableState

from .spelling import SPELLING_FILL, SPELLING_SCHEMA, learn

if TYPE_CHECKING:
    from thinmesh.kernel.ledger import Entry, ProductChange, TableLoad
    from thinmesh.kernel.table_records import TableRecord
    from thinmesh.planes.product.model import Found, Sought

INDEX_SCHEMA = (
    """CREATE TABLE products (
        name TEXT PRIMARY KEY, domain TEXT NOT NULL, owner TEXT NOT NULL, access TEXT NOT NULL, status TEXT NOT NULL,
        version TEXT NOT NULL, description TEXT NOT NULL, tags TEXT NOT NULL, document BLOB NOT NULL, odcs BLOB,
        readme TEXT NOT NULL, registered TEXT NOT NULL, changed TEXT NOT NULL, publication TEXT, published TEXT,
        publications INTEGER NOT NULL DEFAULT 0, successor TEXT, etag TEXT NOT NULL, sequence INTEGER NOT NULL)""",
    "CREATE INDEX products_by_domain ON products (domain, name)",
    "CREATE INDEX products_by_owner ON products (owner, name)",
    "CREATE INDEX products_by_owner_of_domain ON products (domain, owner)",
    """CREATE TABLE product_tags (tag TEXT NOT NULL, product TEXT NOT NULL, PRIMARY KEY (tag, product))""",
    """CREATE TABLE product_tables (
        product TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, record TEXT NOT NULL, publication TEXT,
        in_git INTEGER NOT NULL DEFAULT 0, shared INTEGER NOT NULL DEFAULT 0, file_count INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (product, name))""",
    """CREATE TABLE data_files (
        product TEXT NOT NULL, table_name TEXT NOT NULL, position INTEGER NOT NULL, path TEXT NOT NULL,
        sha256 TEXT NOT NULL, row_count INTEGER NOT NULL, bytes INTEGER NOT NULL, content TEXT NOT NULL, source TEXT,
        PRIMARY KEY (product, table_name, position))""",
    """CREATE TABLE publications (
        product TEXT NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL, door TEXT NOT NULL,
        tables TEXT NOT NULL, quality TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (product, number))""",
    """CREATE TABLE product_history (
        product TEXT NOT NULL, sequence INTEGER NOT NULL, at TEXT NOT NULL, event TEXT NOT NULL, actor TEXT NOT NULL,
        door TEXT NOT NULL, commit_id TEXT NOT NULL, publication TEXT, details TEXT NOT NULL,
        described INTEGER NOT NULL, PRIMARY KEY (product, sequence))""",
    "CREATE INDEX product_history_described ON product_history (described, sequence)",
    """CREATE TABLE cursors (projection TEXT PRIMARY KEY, entry TEXT NOT NULL, sequence INTEGER NOT NULL)""",
    """CREATE VIRTUAL TABLE product_words USING fts5 (
        name, domain, owner, description, tags, columns, readme, tokenize = "unicode61 remove_diacritics 2",
        prefix = '2 3')""",
)
# A changed product's tags go by its name: without it, each change read the tags of all.
INDEX_TAGS_SCHEMA = ("CREATE INDEX product_tags_by_product ON product_tags (product)",)
# What products are made from, by product and by input; `named` is the input as written (`product` or `product.table`).
# The log tells of it, and of what changed in each contract: what was projected before is projected again.
INPUTS_SCHEMA = (
    """CREATE TABLE product_inputs (
        product TEXT NOT NULL, position INTEGER NOT NULL, input TEXT NOT NULL, named TEXT NOT NULL,
        PRIMARY KEY (product, position))""",
    "CREATE INDEX product_inputs_by_input ON product_inputs (input, product)",
    "DELETE FROM products",
    "DELETE FROM product_tags",
    "DELETE FROM product_tables",
    "DELETE FROM data_files",
    "DELETE FROM publications",
    "DELETE FROM product_history",
    "DELETE FROM product_words",
    "DELETE FROM cursors WHERE projection = 'index'",
)
# The author's ODPS product.
INDEX_ODPS_SCHEMA = ("ALTER TABLE products ADD COLUMN odps BLOB",)
# What finding needs besides the words: how they are spelled, what the finds are counted by, how much they are read.
INDEX_SEARCH_SCHEMA = (
    *SPELLING_SCHEMA,
    *SPELLING_FILL,
    "CREATE INDEX products_by_facets ON products (domain, owner, access, status)",
    "DROP INDEX products_by_owner_of_domain",
    "DELETE FROM product_tags WHERE product IN (SELECT name FROM products WHERE status = 'retired')",
    "CREATE TABLE product_use (product TEXT PRIMARY KEY, weight REAL NOT NULL) WITHOUT ROWID",
)
# The words of names alone: where very many have the words, those with them in their name are found without the others.
INDEX_NAMES_SCHEMA = (
    """CREATE VIRTUAL TABLE product_names USING fts5 (
        name, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3', columnsize = 0)""",
    "INSERT INTO product_names (rowid, name) SELECT rowid, name FROM product_words",
)
PROJECTION_TABLES = (
    "products product_tags product_inputs product_tables data_files publications product_history product_words"
    " product_names"
).split()

_SUMMARY = """SELECT p.name, p.domain, p.owner, p.access, p.status, p.version, p.description, p.tags,
    p.publication, p.published, p.changed FROM products p"""
_OF_PRODUCTS = "product IN (SELECT value FROM json_each(:products))"
_ALL = -1  # as LIMIT
_DESCRIBED = "SELECT DISTINCT product FROM product_history WHERE described = 1 AND sequence > :s"


class SqlProductIndex:
    """Keeps the index. `read` gives a file on `main` by its object id; `feed` is told what happened to products.

    `most` is the number of products that a search ranks.
    """

    name = "index"

    def __init__(self, read: Callable[[str], bytes], feed: EventFeed | None = None, most: int = 1_000) -> None:
        self._read = read
        self._feed = feed
        self._most = most

    # What the ledger calls ------------------------------------------------------------------------------------

    def cursor(self, tx: Transaction) -> tuple[str, int]:
        """Give (id, sequence) of the last entry applied; ("", 0) before the first."""
        found = tx.one("SELECT entry, sequence FROM cursors WHERE projection = :p", {"p": self.name})
        return (found["entry"], found["sequence"]) if found else ("", 0)

    def move_cursor(self, tx: Transaction, id: str, sequence: int) -> None:
        """Record that every entry up to this one is applied."""
        tx.execute(
            """INSERT INTO cursors (projection, entry, sequence) VALUES (:p, :id, :sequence)
               ON CONFLICT (projection) DO UPDATE SET entry = excluded.entry, sequence = excluded.sequence""",
            {"p": self.name, "id": id, "sequence": sequence},
        )

    def apply(self, tx: Transaction, entry: Entry) -> None:
        """Apply one entry."""
        for change in entry.changes:
            row, texts, differences = self._apply_product(tx, entry, change)
            differences += _table_differences(tx, change)
            _apply_tables(tx, change)
            _apply_loads(tx, entry, change)
            _apply_history(tx, entry, change, differences)
            _apply_words(tx, change, row, texts)
        self.tell(tx, entry)

    def tell(self, tx: Transaction, entry: Entry) -> None:
        """Record in the feed what an entry did; what is there already stays as it is."""
        for change in entry.changes:
            if self._feed:
                self._feed.record(tx, _event(entry, change))

    def clear(self, tx: Transaction) -> None:
        """Forget everything, to be built again from the log."""
        for table in (*PROJECTION_TABLES, "product_spellings"):
            tx.execute(f"DELETE FROM {table}")
        tx.execute("DELETE FROM cursors WHERE projection = :p", {"p": self.name})

    def _apply_product(
        self, tx: Transaction, entry: Entry, change: ProductChange
    ) -> tuple[int, dict[str, str], list[dict[str, Any]]]:
        """Write the product's own row; give its number, its words, and what its history tells is different."""
        from thinmesh.kernel.documents import canonical, stored_descriptor

        odcs = self._read(change.odcs) if change.odcs else None
        document = self._read(change.document) if change.document else canonical(change.described or {})
        odps = self._read(change.odps) if change.odps else None
        descriptor = stored_descriptor(document, odcs=odcs, odps=odps)
        readme = self._read(change.readme).decode("utf-8", "replace") if change.readme else ""
        described = change.event != "published"
        differences = []
        if described and change.event != "registered":
            differences = _differences(tx, change, descriptor, readme)
        row = tx.one(
            """INSERT INTO products (name, domain, owner, access, status, version, description, tags, document, odcs,
                 odps, readme, registered, changed, successor, etag, sequence)
               VALUES (:name, :domain, :owner, :access, :status, :version, :description, :tags, :document, :odcs,
                 :odps, :readme, :at, :at, :successor, :etag, :sequence)
               ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, access = excluded.access,
                 status = excluded.status, version = excluded.version, description = excluded.description,
                 tags = excluded.tags, document = excluded.document, odcs = excluded.odcs, odps = excluded.odps,
                 readme = excluded.readme,
                 changed = CASE WHEN :described THEN excluded.changed ELSE products.changed END,
                 successor = excluded.successor, sequence = excluded.sequence,
                 etag = CASE WHEN :described THEN excluded.etag ELSE products.etag END
               RETURNING rowid""",
            {
                "name": change.product,
                "domain": change.domain,
                "owner": change.owner,
                "access": change.access,
                "status": change.status,
                "version": change.version,
                "description": descriptor.description,
                "tags": json.dumps(list(descriptor.tags)),
                "document": document,
                "odcs": odcs,
                "odps": odps,
                "readme": readme,
                "at": entry.at,
                "successor": change.successor,
                "etag": f"e{entry.sequence}",
                "sequence": entry.sequence,
                "described": int(described),
            },
        )
        tx.execute("DELETE FROM product_tags WHERE product = :p", {"p": change.product})
        present = descriptor.tags if change.status != "retired" else ()
        tags = [{"tag": tag, "p": change.product} for tag in dict.fromkeys(present)]
        tx.execute_many("INSERT INTO product_tags (tag, product) VALUES (:tag, :p)", tags)
        if described:
            _apply_inputs(tx, change.product, descriptor.inputs)
        texts = {
            "name": change.product,
            "domain": change.domain,
            "owner": change.owner,
            "description": descriptor.description,
            "tags": " ".join(descriptor.tags),
            "readme": readme[:20_000],
        }
        return row["rowid"] if row else 0, texts, differences

    # What readers call ----------------------------------------------------------------------------------------

    def product(self, tx: Transaction, name: str) -> Product | None:
        """Find a product, retired ones included."""
        # Lists and searches read no document.
        from thinmesh.kernel.documents import stored_descriptor

        row = tx.one("SELECT * FROM products WHERE name = :name", {"name": name})
        if row is None:
            return None
        descriptor: Descriptor = stored_descriptor(row["document"], odcs=row["odcs"], odps=row["odps"])
        return Product(
            name=row["name"],
            domain=row["domain"],
            owner=row["owner"],
            access=row["access"],
            status=row["status"],
            version=row["version"],
            descriptor=descriptor,
            tables=_table_states(tx, name),
            registered=row["registered"],
            changed=row["changed"],
            publication=row["publication"],
            published=row["published"],
            successor=row["successor"],
            etag=row["etag"],
            sequence=row["sequence"],
            readme=row["readme"],
        )

    def summary(self, tx: Transaction, name: str) -> Mapping[str, Any] | None:
        """Give name, domain, owner, access, status, changed and successor of a product, retired ones included."""
        row = tx.one(
            "SELECT name, domain, owner, access, status, changed, successor FROM products WHERE name = :p", {"p": name}
        )
        return dict(row) if row else None

    def names(self, tx: Transaction) -> list[str]:
        """List the names of all products that are not retired."""
        return [row["name"] for row in tx.all("SELECT name FROM products WHERE status <> 'retired' ORDER BY name")]

    def list(
        self, tx: Transaction, domain: str | None, owner: str | None, tag: str | None, limit: int, after: str
    ) -> Sequence[Mapping[str, Any]]:
        """Give the summaries of up to `limit` active products after the name `after`, by name."""
        where, parameters = ["p.status <> 'retired'", "p.name > :after"], {"after": after, "limit": limit}
        if domain is not None:
            where.append("p.domain = :domain")
            parameters["domain"] = domain
        if owner is not None:
            where.append("p.owner = :owner")
            parameters["owner"] = owner
        if tag is not None:
            where.append("p.name IN (SELECT product FROM product_tags WHERE tag = :tag)")
            parameters["tag"] = tag
        rows = tx.all(f"{_SUMMARY} WHERE {' AND '.join(where)} ORDER BY p.name LIMIT :limit", parameters)
        return [{**dict(row), "tags": json.loads(row["tags"])} for row in rows]

    def search(self, tx: Transaction, sought: Sought, limit: int, offset: int, newest: int | None) -> Found:
        """Give the summaries of active products that have all words (the last one may be begun), best first."""
        # Commands that do not search load nothing of it.
        from .searching import Search

        return Search(tx, sought, self._most).page(limit, offset, newest)

    def weigh(self, tx: Transaction, reads: Mapping[str, int]) -> None:
        """Keep how much each product was read lately, as a weight from 0 to 1: ten times the reads are one step."""
        most = max(reads.values(), default=0)
        rows = [{"p": product, "weight": log(1 + count) / log(1 + most)} for product, count in reads.items()]
        tx.execute("DELETE FROM product_use")
        tx.execute_many("INSERT INTO product_use (product, weight) VALUES (:p, :weight)", rows)

    def history(self, tx: Transaction, product: str, limit: int, before: int | None) -> Sequence[Mapping[str, Any]]:
        """Give what happened to a product, newest first, before the log sequence `before`."""
        rows = tx.all(
            """SELECT sequence, at, event, actor, door, commit_id, publication, details FROM product_history
               WHERE product = :p AND sequence < :before ORDER BY sequence DESC LIMIT :limit""",
            {"p": product, "before": before or 2**62, "limit": limit},
        )
        return [
            {
                "sequence": row["sequence"],
                "at": row["at"],
                "event": row["event"],
                "user": row["actor"],
                "door": row["door"],
                "commit": row["commit_id"],
                "publication": row["publication"],
                "changes": [],
                **json.loads(row["details"]),
            }
            for row in rows
        ]

    def publications(
        self, tx: Transaction, product: str, limit: int, before: int | None
    ) -> Sequence[Mapping[str, Any]]:
        """Give the publications of a product, newest first, before the publication number `before`."""
        rows = tx.all(
            """SELECT number, at, actor, door, tables, quality FROM publications
               WHERE product = :p AND number < :before ORDER BY number DESC LIMIT :limit""",
            {"p": product, "before": before or 2**62, "limit": limit},
        )
        return [
            {
                "publication": f"p{row['number']}",
                "at": row["at"],
                "user": row["actor"],
                "door": row["door"],
                "tables": json.loads(row["tables"]),
                "quality": json.loads(row["quality"]),
            }
            for row in rows
        ]

    def next_publication(self, tx: Transaction, product: str) -> str:
        """Give the id of the publication that would come next (`p1`, `p2`, …)."""
        row = tx.one("SELECT publications FROM products WHERE name = :p", {"p": product})
        return f"p{(row['publications'] if row else 0) + 1}"

    def owned_by(self, tx: Transaction, teams: Collection[str]) -> Collection[str]:
        """Give the names of the products that any of the teams owns, retired ones included."""
        return {
            row["name"]
            for team in teams
            for row in tx.all("SELECT name FROM products WHERE owner = :team", {"team": team})
        }

    def inputs(self, tx: Transaction, product: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Give name, domain, access and status of up to `limit` products that a product is made from, by name.

        What the mesh does not have, or not any more, has the status `unknown` or `retired`.
        """
        rows = tx.all(
            """SELECT DISTINCT i.input AS name, p.domain, p.access, COALESCE(p.status, 'unknown') AS status
               FROM product_inputs i LEFT JOIN products p ON p.name = i.input
               WHERE i.product = :p ORDER BY i.input LIMIT :limit""",
            {"p": product, "limit": limit},
        )
        return [dict(row) for row in rows]

    def outputs(self, tx: Transaction, product: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Give name, domain, access and status of up to `limit` active products that are made from one, by name."""
        rows = tx.all(
            """SELECT DISTINCT p.name, p.domain, p.access, p.status
               FROM product_inputs i JOIN products p ON p.name = i.product
               WHERE i.input = :p AND p.status <> 'retired' ORDER BY i.product LIMIT :limit""",
            {"p": product, "limit": limit},
        )
        return [dict(row) for row in rows]

    def catalog(self, tx: Transaction, since: int | None = None) -> Sequence[Mapping[str, Any]]:
        """Give name, domain, owner, description, tables and access of all active products, by name.

        With `since`, of those alone that `described` gives.
        """
        # Two statements that read no more than they give: the tables of each would be another look-up for all.
        only = "" if since is None else f"IN ({_DESCRIBED})"
        names: dict[str, list[str]] = {}
        for row in tx.all(
            f"""SELECT product, name FROM product_tables {only and f"WHERE product {only}"}
                ORDER BY product, position, name""",
            {"s": since},
        ):
            names.setdefault(row["product"], []).append(row["name"])
        rows = tx.all(
            f"""SELECT name, domain, owner, description, access FROM products
                WHERE status <> 'retired' {only and f"AND name {only}"} ORDER BY name""",
            {"s": since},
        )
        return [{**dict(row), "tables": names.get(row["name"], [])} for row in rows]

    def facts(
        self, tx: Transaction, first: str = "", limit: int | None = None, offset: int = 0
    ) -> Sequence[ProductFacts]:
        """Give what the policy must know of active products, by name: of `limit`, from the name `first` on."""
        rows = tx.all(
            """SELECT name, domain, owner, access, status FROM products WHERE status <> 'retired' AND name >= :first
               ORDER BY name LIMIT :limit OFFSET :offset""",
            {"first": first, "limit": _ALL if limit is None else limit, "offset": offset},
        )
        return [ProductFacts(*row) for row in rows]

    def tables(
        self, tx: Transaction, products: Collection[str], limit: int | None = None, after: Sequence[str] = ("", "")
    ) -> Sequence[TableRecord]:
        """Give the tables of products by both names, after those two; no document is read."""
        from thinmesh.kernel.table_records import TableRecord

        rows = tx.all(
            f"""SELECT product, name, publication, record FROM product_tables
               WHERE {_OF_PRODUCTS} AND (product, name) > (:product, :table) ORDER BY product, name LIMIT :limit""",
            {
                "products": json.dumps(list(products)),
                "product": after[0],
                "table": after[1],
                "limit": _ALL if limit is None else limit,
            },
        )
        return [TableRecord(*row) for row in rows]

    def table_names(self, tx: Transaction) -> Sequence[tuple[str, str]]:
        """Give (product, table) of all tables, those of retired products included, in the order of the descriptors."""
        rows = tx.all("SELECT product, name FROM product_tables ORDER BY product, position, name")
        return [(row["product"], row["name"]) for row in rows]

    def table_descriptions(self, tx: Transaction, products: Collection[str]) -> Sequence[tuple[str, str, str | None]]:
        """Give (product, table, description) of the tables of products, by both names."""
        rows = tx.all(
            f"""SELECT product, name, json_extract(record, '$.description') AS description FROM product_tables
               WHERE {_OF_PRODUCTS} ORDER BY product, name""",
            {"products": json.dumps(list(products))},
        )
        return [(row["product"], row["name"], row["description"]) for row in rows]

    def described(self, tx: Transaction, since: int) -> Collection[str]:
        """Give the products whose descriptor changed after a log sequence, retired ones included."""
        return [row["product"] for row in tx.all(_DESCRIBED, {"s": since})]

    def described_since(self, tx: Transaction, sequence: int) -> int | None:
        """Give the newest log sequence at which a descriptor changed, if that is after `sequence`."""
        row = tx.one(
            "SELECT max(sequence) AS latest FROM product_history WHERE sequence > :s AND described = 1", {"s": sequence}
        )
        return row["latest"] if row else None

    def position(self, tx: Transaction, projection: str) -> int:
        """Give the log sequence that a projection has followed to; 0 before the first."""
        row = tx.one("SELECT sequence FROM cursors WHERE projection = :p", {"p": projection})
        return row["sequence"] if row else 0

    def move_position(self, tx: Transaction, projection: str, sequence: int) -> None:
        """Record how far a projection has followed."""
        tx.execute(
            """INSERT INTO cursors (projection, entry, sequence) VALUES (:p, '', :sequence)
               ON CONFLICT (projection) DO UPDATE SET sequence = excluded.sequence""",
            {"p": projection, "sequence": sequence},
        )


def _apply_words(tx: Transaction, change: ProductChange, row: int, texts: dict[str, str]) -> None:
    """Let a product be found by its words; a retired one is not."""
    tx.execute("DELETE FROM product_words WHERE rowid = :id", {"id": row})
    if change.status == "retired":
        tx.execute("DELETE FROM product_names WHERE rowid = :id", {"id": row})
        return
    texts["columns"] = _column_words(_records(tx, change.product))
    tx.execute(
        """INSERT INTO product_words (rowid, name, domain, owner, description, tags, columns, readme)
           VALUES (:id, :name, :domain, :owner, :description, :tags, :columns, :readme)""",
        {"id": row, **texts},
    )
    tx.execute(
        """INSERT INTO product_names (rowid, name)
           SELECT :id, :name WHERE NOT EXISTS (SELECT 1 FROM product_names WHERE rowid = :id)""",
        {"id": row, "name": texts["name"]},
    )
    learn(tx, texts.values())


def _apply_inputs(tx: Transaction, product: str, inputs: Sequence[str]) -> None:
    tx.execute("DELETE FROM product_inputs WHERE product = :p", {"p": product})
    tx.execute_many(
        "INSERT INTO product_inputs (product, position, input, named) VALUES (:p, :position, :input, :named)",
        [
            {"p": product, "position": position, "input": named.partition(".")[0], "named": named}
            for position, named in enumerate(inputs)
        ],
    )


def _differences(tx: Transaction, change: ProductChange, descriptor: Descriptor, readme: str) -> list[dict[str, Any]]:
    from thinmesh.kernel.differences import of_descriptors
    from thinmesh.kernel.documents import stored_descriptor

    row = tx.one(
        "SELECT owner, access, version, status, document, odcs, odps, readme FROM products WHERE name = :p",
        {"p": change.product},
    )
    if row is None:
        return []
    names = ("owner", "access", "version", "status")
    return of_descriptors(
        {name: row[name] for name in (*names, "readme")},
        stored_descriptor(row["document"], odcs=row["odcs"], odps=row["odps"]),
        {**{name: getattr(change, name) for name in names}, "readme": readme},
        descriptor,
    )


def _table_differences(tx: Transaction, change: ProductChange) -> list[dict[str, Any]]:
    """Hold the tables that a change brings against those that are there under the same names."""
    if not change.tables or change.event == "registered":
        return []
    from thinmesh.kernel.differences import of_tables
    from thinmesh.kernel.documents import table_of_record

    rows = tx.all("SELECT name, record FROM product_tables WHERE product = :p", {"p": change.product})
    old = {row["name"]: table_of_record(json.loads(row["record"])) for row in rows if row["name"] in change.tables}
    return of_tables(old, {name: table_of_record(record) for name, record in change.tables.items()})


def _apply_tables(tx: Transaction, change: ProductChange) -> None:
    for position, (name, record) in enumerate(change.tables.items()):
        tx.execute(
            """INSERT INTO product_tables (product, name, position, record) VALUES (:p, :name, :position, :record)
               ON CONFLICT (product, name) DO UPDATE SET record = excluded.record""",
            {"p": change.product, "name": name, "position": position, "record": json.dumps(record)},
        )


def _apply_loads(tx: Transaction, entry: Entry, change: ProductChange) -> None:
    if not change.publication:
        return
    number = int(change.publication.removeprefix("p"))
    counts = {name: _apply_load(tx, change, name, load) for name, load in change.loads.items()}
    tx.execute(
        """INSERT INTO publications (product, number, at, actor, door, tables, quality, sequence)
           VALUES (:p, :number, :at, :actor, :door, :tables, :quality, :sequence)""",
        {
            "p": change.product,
            "number": number,
            "at": entry.at,
            "actor": entry.actor.user,
            "door": entry.actor.door,
            "tables": json.dumps(counts),
            "quality": json.dumps(change.quality),
            "sequence": entry.sequence,
        },
    )
    tx.execute(
        """UPDATE products SET publication = :id, published = :at, publications = :number WHERE name = :p""",
        {"id": change.publication, "at": entry.at, "number": number, "p": change.product},
    )


def _apply_load(tx: Transaction, change: ProductChange, name: str, load: TableLoad) -> dict[str, int]:
    where = {"p": change.product, "t": name}
    if load.mode == "replace":
        tx.execute("DELETE FROM data_files WHERE product = :p AND table_name = :t", where)
    found = tx.one("SELECT max(position) AS last FROM data_files WHERE product = :p AND table_name = :t", where)
    first = (found["last"] if found and found["last"] is not None else -1) + 1
    tx.execute_many(
        """INSERT INTO data_files (product, table_name, position, path, sha256, row_count, bytes, content, source)
           VALUES (:p, :t, :position, :path, :sha256, :rows, :bytes, :content, :source)""",
        [{**where, "position": first + offset, **file.document()} for offset, file in enumerate(load.files)],
    )
    tx.execute(
        """UPDATE product_tables SET publication = :id, in_git = :in_git, file_count = :count,
             shared = CASE WHEN :in_git = 1 THEN 1 ELSE shared END
           WHERE product = :p AND name = :t""",
        {**where, "id": change.publication, "in_git": int(load.in_git), "count": first + len(load.files)},
    )
    return {"rows": sum(file.rows for file in load.files), "bytes": sum(file.bytes for file in load.files)}


def _apply_history(
    tx: Transaction, entry: Entry, change: ProductChange, differences: Sequence[Mapping[str, Any]]
) -> None:
    details: dict[str, Any] = {"tables": sorted({*change.tables, *change.loads})}
    if differences:
        details["changes"] = differences
    tx.execute(
        """INSERT INTO product_history (product, sequence, at, event, actor, door, commit_id, publication, details,
             described)
           VALUES (:p, :sequence, :at, :event, :actor, :door, :commit, :publication, :details, :described)""",
        {
            "p": change.product,
            "sequence": entry.sequence,
            "at": entry.at,
            "event": change.event,
            "actor": entry.actor.user,
            "door": entry.actor.door,
            "commit": entry.new,
            "publication": change.publication,
            "details": json.dumps(details),
            # A first publication may bring tables, which the catalog file lists.
            "described": int(change.event != "published" or bool(change.tables)),
        },
    )


def _event(entry: Entry, change: ProductChange) -> Event:
    """Tell everybody; the key makes a replay of the log record it once."""
    data = {"event": change.event, "user": entry.actor.user, "owner": change.owner, "publication": change.publication}
    return Event(
        type=f"product.{change.event}",
        subject=change.product,
        time=entry.at,
        data={name: value for name, value in data.items() if value is not None},
        everyone=True,
        key=f"log:{entry.sequence}:{change.product}",
    )


def _records(tx: Transaction, product: str) -> list[dict[str, Any]]:
    rows = tx.all("SELECT record FROM product_tables WHERE product = :p ORDER BY position, name", {"p": product})
    return [json.loads(row["record"]) for row in rows]


def _table_states(tx: Transaction, product: str) -> dict[str, TableState]:
    from thinmesh.kernel.documents import table_of_record

    files: dict[str, list[DataFile]] = {}
    for row in tx.all("SELECT * FROM data_files WHERE product = :p ORDER BY table_name, position", {"p": product}):
        file = DataFile(row["path"], row["sha256"], row["row_count"], row["bytes"], row["content"], row["source"])
        files.setdefault(row["table_name"], []).append(file)
    rows = tx.all("SELECT * FROM product_tables WHERE product = :p ORDER BY position, name", {"p": product})
    return {
        row["name"]: TableState(
            table_of_record(json.loads(row["record"])),
            row["publication"],
            tuple(files.get(row["name"], ())),
            bool(row["in_git"]),
            bool(row["shared"]),
        )
        for row in rows
    }


def _spread(name: str) -> str:
    """Write a name as itself and as its words, so that `order` finds `order_lines`."""
    return f"{name} {name.replace('_', ' ')}"


def _column_words(tables: Sequence[Mapping[str, Any]]) -> str:
    """Give names and descriptions out of the records of tables (kernel/table_records.py): no tables are made for it."""
    words = []
    for table in tables:
        for each in (table, *table["columns"]):
            words.append(f"{_spread(each['name'])} {each.get('description') or ''}")
    return " ".join(words)[:50_000]
