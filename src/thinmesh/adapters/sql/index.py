"""The index of products: a projection of the log into SQL tables, written in the ledger's own transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from math import log
from typing import TYPE_CHECKING, Any

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.events import Event, EventFeed
from thinmesh.kernel.policy import ProductFacts
from thinmesh.kernel.product import DataFile, Descriptor, Product, TableState

if TYPE_CHECKING:
    from thinmesh.kernel.ledger import Entry, ProductChange
    from thinmesh.kernel.table_records import TableRecord
    from thinmesh.planes.product.model import Found, Sought

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
        # Commands that only look load nothing of it.
        from .indexing import apply_change

        for change in entry.changes:
            apply_change(tx, entry, change, self._read)
        self.tell(tx, entry)

    def tell(self, tx: Transaction, entry: Entry) -> None:
        """Record in the feed what an entry did; what is there already stays as it is."""
        for change in entry.changes:
            if self._feed:
                self._feed.record(tx, _event(entry, change))

    def clear(self, tx: Transaction) -> None:
        """Forget everything, to be built again from the log."""
        from .index_schema import PROJECTION_TABLES

        for table in (*PROJECTION_TABLES, "product_spellings"):
            tx.execute(f"DELETE FROM {table}")
        tx.execute("DELETE FROM cursors WHERE projection = :p", {"p": self.name})

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
