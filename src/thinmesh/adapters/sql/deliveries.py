"""How far the catalogs outside the mesh have come with each product, and what the mesh's own catalog document holds.

Registering writes nothing here. A product is pending where no row says that it was sent as it is now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.product import Product
from thinmesh.planes.product.model import Condition, Delivery, Outage

DELIVERIES_SCHEMA = (
    """CREATE TABLE catalogs (
        name TEXT PRIMARY KEY, since TEXT, probes INTEGER NOT NULL DEFAULT 0, retry TEXT NOT NULL DEFAULT '',
        error TEXT NOT NULL DEFAULT '')""",
    """CREATE TABLE deliveries (
        catalog TEXT NOT NULL, product TEXT NOT NULL, state TEXT NOT NULL, sequence INTEGER NOT NULL,
        attempts INTEGER NOT NULL, error TEXT NOT NULL, since TEXT NOT NULL, retry TEXT NOT NULL,
        PRIMARY KEY (catalog, product))""",
    "CREATE INDEX deliveries_by_state ON deliveries (catalog, state, retry)",
    "CREATE TABLE catalog_nodes (product TEXT PRIMARY KEY, form INTEGER NOT NULL, node TEXT NOT NULL)",
    "CREATE INDEX catalog_nodes_by_form ON catalog_nodes (form)",
)

_AFTER = "(p.sequence > :sequence OR (p.sequence = :sequence AND p.name > :name))"
_OF = "LEFT JOIN deliveries d ON d.catalog = :c AND d.product = p.name"
_STATE = "CASE WHEN d.sequence = p.sequence THEN d.state ELSE 'pending' END"
_ALL = "products p CROSS JOIN catalogs c LEFT JOIN deliveries d ON d.catalog = c.name AND d.product = p.name"
# Few, and found without looking at every product.
_FAILED = """catalogs c CROSS JOIN deliveries d ON d.catalog = c.name AND d.state = 'failed'
    CROSS JOIN products p ON p.name = d.product"""
# A product that was retired before it was ever sent is no concern of a catalog.
_CONCERNS = "NOT (p.status = 'retired' AND d.product IS NULL)"
_CHANGED = "CASE WHEN p.published > p.changed THEN p.published ELSE p.changed END"


class SqlDeliveries:
    """A `DeliveryStore` (planes/product/backend.py)."""

    def attach(self, tx: Transaction, catalogs: Collection[str]) -> None:
        """Make these the catalogs that are told of; what is known of others is forgotten."""
        for name in set(self.attached(tx)) - set(catalogs):
            tx.execute("DELETE FROM catalogs WHERE name = :c", {"c": name})
            self.restart(tx, name)
        tx.execute_many(
            "INSERT INTO catalogs (name) VALUES (:c) ON CONFLICT DO NOTHING", [{"c": name} for name in catalogs]
        )

    def attached(self, tx: Transaction) -> Sequence[str]:
        """Name the catalogs that are told of."""
        return [row["name"] for row in tx.all("SELECT name FROM catalogs ORDER BY name")]

    def touched(self, tx: Transaction, catalog: str, limit: int) -> Sequence[tuple[str, int]]:
        """Give (name, sequence) of up to `limit` products after the position that were not sent as they are."""
        rows = tx.all(
            f"""SELECT p.name, p.sequence FROM products p {_OF}
                WHERE {_AFTER} AND (d.sequence IS NULL OR d.sequence <> p.sequence)
                ORDER BY p.sequence, p.name LIMIT :limit""",
            {**self._after(tx, catalog), "limit": limit},
        )
        return [(row["name"], row["sequence"]) for row in rows]

    def last(self, tx: Transaction, catalog: str) -> tuple[str, int] | None:
        """Give (name, sequence) of the newest change after the position, if there is any."""
        row = tx.one(
            f"SELECT name, sequence FROM products p WHERE {_AFTER} ORDER BY p.sequence DESC, p.name DESC LIMIT 1",
            self._after(tx, catalog),
        )
        return (row["name"], row["sequence"]) if row else None

    def position(self, tx: Transaction, catalog: str) -> tuple[str, int]:
        """Give (name, sequence) of the newest change that was taken; ("", 0) before the first."""
        row = tx.one("SELECT entry, sequence FROM cursors WHERE projection = :p", {"p": _projection(catalog)})
        return (row["entry"], row["sequence"]) if row else ("", 0)

    def move_position(self, tx: Transaction, catalog: str, name: str, sequence: int) -> None:
        """Record that every change up to this one, in the order of `touched`, was taken."""
        tx.execute(
            """INSERT INTO cursors (projection, entry, sequence) VALUES (:p, :name, :sequence)
               ON CONFLICT (projection) DO UPDATE SET entry = excluded.entry, sequence = excluded.sequence""",
            {"p": _projection(catalog), "name": name, "sequence": sequence},
        )

    def restart(self, tx: Transaction, catalog: str) -> None:
        """Forget what was delivered to a catalog."""
        tx.execute("DELETE FROM deliveries WHERE catalog = :c", {"c": catalog})
        tx.execute("DELETE FROM cursors WHERE projection = :p", {"p": _projection(catalog)})

    def behind(self, tx: Transaction, catalog: str) -> int:
        """Count the products that a catalog does not show as they are."""
        row = tx.one(
            f"""SELECT count(*) AS found FROM (
                  SELECT p.name FROM products p {_OF}
                  WHERE {_AFTER} AND {_CONCERNS} AND (d.sequence IS NULL OR d.sequence <> p.sequence)
                  UNION SELECT product FROM deliveries WHERE catalog = :c AND state <> 'done')""",
            self._after(tx, catalog),
        )
        return int(row["found"]) if row else 0

    def due(self, tx: Transaction, catalog: str, now: str, limit: int) -> Sequence[str]:
        """Give up to `limit` products to be tried again: the longest waiting first, in the order of changes."""
        rows = tx.all(
            """SELECT product FROM deliveries WHERE catalog = :c AND state = 'pending' AND retry <= :now
               ORDER BY retry, sequence, product LIMIT :limit""",
            {"c": catalog, "now": now, "limit": limit},
        )
        return [row["product"] for row in rows]

    def find(self, tx: Transaction, catalog: str, product: str) -> Delivery | None:
        """Give how far a catalog has come with a product; nothing before the first attempt."""
        row = tx.one("SELECT * FROM deliveries WHERE catalog = :c AND product = :p", {"c": catalog, "p": product})
        return Delivery(**dict(row)) if row else None

    def sequence(self, tx: Transaction, product: str) -> int:
        """Give the log sequence of a product's last change; 0 where there is none."""
        row = tx.one("SELECT sequence FROM products WHERE name = :p", {"p": product})
        return int(row["sequence"]) if row else 0

    def record(self, tx: Transaction, delivery: Delivery) -> None:
        """Record what came of an attempt, over what was known."""
        tx.execute(
            """INSERT INTO deliveries (catalog, product, state, sequence, attempts, error, since, retry)
               VALUES (:catalog, :product, :state, :sequence, :attempts, :error, :since, :retry)
               ON CONFLICT (catalog, product) DO UPDATE SET state = excluded.state, sequence = excluded.sequence,
                 attempts = excluded.attempts, error = excluded.error,
                 since = excluded.since, retry = excluded.retry""",
            {name: getattr(delivery, name) for name in Delivery.__slots__},
        )

    def forget(self, tx: Transaction, catalog: str, product: str) -> None:
        """Forget a product that a catalog does not have any more."""
        tx.execute("DELETE FROM deliveries WHERE catalog = :c AND product = :p", {"c": catalog, "p": product})

    def hasten(self, tx: Transaction, catalog: str, since: str, now: str) -> None:
        """Let what waits since then or later for its next attempt be tried at once."""
        tx.execute(
            """UPDATE deliveries SET retry = :now
               WHERE catalog = :c AND state = 'pending' AND retry > :now AND since >= :since""",
            {"c": catalog, "since": since, "now": now},
        )

    def retry(self, tx: Transaction, product: str | None, now: str) -> int:
        """Let what failed or waits be tried at once, of one product or all, and every catalog be asked again."""
        tx.execute("UPDATE catalogs SET retry = :now WHERE since IS NOT NULL", {"now": now})
        return tx.execute(
            f"""UPDATE deliveries SET retry = :now, since = CASE WHEN state = 'failed' THEN :now ELSE since END,
                  state = 'pending'
                WHERE state <> 'done' AND catalog IN (SELECT name FROM catalogs)
                {"" if product is None else "AND product = :p"}""",
            {"now": now, "p": product},
        )

    def outage(self, tx: Transaction, catalog: str) -> Outage | None:
        """Tell whether a catalog does not answer."""
        row = tx.one("SELECT * FROM catalogs WHERE name = :c AND since IS NOT NULL", {"c": catalog})
        return Outage(row["since"], row["probes"], row["retry"], row["error"]) if row else None

    def set_outage(self, tx: Transaction, catalog: str, outage: Outage | None) -> None:
        """Record that a catalog does not answer, or that it does again."""
        found = outage or Outage("", 0, "", "")
        tx.execute(
            "UPDATE catalogs SET since = :since, probes = :probes, retry = :retry, error = :error WHERE name = :c",
            {
                "c": catalog,
                "since": found.since or None,
                "probes": found.probes,
                "retry": found.retry,
                "error": found.error,
            },
        )

    def known(self, tx: Transaction) -> Mapping[str, bool]:
        """Give the names of all products there ever were, and whether each is retired."""
        return {row["name"]: row["status"] == "retired" for row in tx.all("SELECT name, status FROM products")}

    def list(
        self,
        tx: Transaction,
        product: str | None,
        catalog: str | None,
        state: str | None,
        limit: int,
        after: tuple[str, str],
    ) -> Sequence[Mapping[str, Any]]:
        """Give product, catalog, state, attempts, error, since and retry, in order after (product, catalog)."""
        asked = {"p.name": product, "c.name": catalog, _STATE: state}
        where = [f"{column} = :w{number}" for number, column in enumerate(asked) if asked[column] is not None]
        rows = tx.all(
            f"""SELECT p.name AS product, c.name AS catalog, {_STATE} AS state,
                  coalesce(CASE WHEN d.sequence = p.sequence OR d.state = 'pending' THEN d.attempts END, 0) AS attempts,
                  CASE WHEN d.state <> 'done' THEN nullif(d.error, '') END AS error,
                  CASE WHEN d.sequence = p.sequence OR d.state = 'pending' THEN d.since ELSE {_CHANGED} END AS since,
                  CASE WHEN d.state = 'pending' THEN nullif(d.retry, '') END AS retry
                FROM {_FAILED if state == "failed" else _ALL}
                WHERE (p.name, c.name) > (:product, :catalog) AND {" AND ".join([_CONCERNS, *where])}
                ORDER BY p.name, c.name LIMIT :limit""",
            {
                "product": after[0],
                "catalog": after[1],
                "limit": limit,
                **{f"w{number}": value for number, value in enumerate(asked.values())},
            },
        )
        return [dict(row) for row in rows]

    def summaries(self, tx: Transaction) -> Sequence[Mapping[str, Any]]:
        """Give, for each catalog, how many products are done, pending and failed, and its outage if it has one."""
        return [
            {
                "catalog": row["name"],
                **self._counts(tx, row["name"]),
                "since": row["since"],
                "error": row["error"] or None,
                "retry": row["retry"] or None,
            }
            for row in tx.all("SELECT * FROM catalogs ORDER BY name")
        ]

    def condition(self, tx: Transaction, product: Product) -> Condition | None:
        """Say whether the catalogs show a product as it is: the worst of them speaks."""
        found = [
            (_ORDER.index(row["state"]), row)
            for row in tx.all(
                """SELECT c.name, c.error AS silent, coalesce(d.error, '') AS error,
                     CASE WHEN d.sequence = :sequence THEN d.state ELSE 'pending' END AS state,
                     CASE WHEN d.sequence = :sequence OR d.state = 'pending' THEN d.since ELSE :changed END AS since
                   FROM catalogs c LEFT JOIN deliveries d ON d.catalog = c.name AND d.product = :p ORDER BY c.name""",
                {
                    "p": product.name,
                    "sequence": product.sequence,
                    "changed": max(product.changed, product.published or ""),
                },
            )
        ]
        if not found:
            return None
        worst, row = max(found, key=lambda each: each[0])
        if _ORDER[worst] == "done":
            return Condition("catalogued", "done", "", max(each["since"] for _, each in found))
        why = row["error"] or (row["silent"] if _ORDER[worst] == "pending" else "")
        return Condition("catalogued", _ORDER[worst], f"{row['name']}: {why or 'not delivered yet'}", row["since"])

    def _counts(self, tx: Transaction, catalog: str) -> dict[str, int]:
        """Count by what changed since, without reading every product: there may be many."""
        rows = tx.all(
            "SELECT state, count(*) AS found FROM deliveries WHERE catalog = :c GROUP BY state", {"c": catalog}
        )
        changed = tx.all(
            f"""SELECT d.state, count(*) AS found
                FROM products p JOIN deliveries d ON d.catalog = :c AND d.product = p.name
                WHERE {_AFTER} AND d.sequence <> p.sequence GROUP BY d.state""",
            self._after(tx, catalog),
        )
        found = dict.fromkeys(_ORDER, 0) | {row["state"]: row["found"] for row in rows}
        for row in changed:
            found[row["state"]] -= row["found"]
        return {**found, "pending": self.behind(tx, catalog) - found["failed"]}

    def _after(self, tx: Transaction, catalog: str) -> dict[str, Any]:
        name, sequence = self.position(tx, catalog)
        return {"c": catalog, "name": name, "sequence": sequence}


_ORDER = ("done", "pending", "failed")


class SqlCatalogNodes:
    """A `CatalogNodes` (planes/product/backend.py)."""

    def put(self, tx: Transaction, product: str, form: int, node: str) -> None:
        """Keep what is told of a product; `form` is the version of how it is written."""
        tx.execute(
            """INSERT INTO catalog_nodes (product, form, node) VALUES (:p, :form, :node)
               ON CONFLICT (product) DO UPDATE SET form = excluded.form, node = excluded.node""",
            {"p": product, "form": form, "node": node},
        )

    def get(self, tx: Transaction, product: str) -> str | None:
        """Give what is told of a product."""
        row = tx.one("SELECT node FROM catalog_nodes WHERE product = :p", {"p": product})
        return row["node"] if row else None

    def remove(self, tx: Transaction, product: str) -> None:
        """Tell nothing of a product any more."""
        tx.execute("DELETE FROM catalog_nodes WHERE product = :p", {"p": product})

    def page(self, tx: Transaction, limit: int, after: str) -> Sequence[tuple[str, str]]:
        """Give (product, node) of up to `limit` products after a name, by name."""
        rows = tx.all(
            "SELECT product, node FROM catalog_nodes WHERE product > :after ORDER BY product LIMIT :limit",
            {"after": after, "limit": limit},
        )
        return [(row["product"], row["node"]) for row in rows]

    def outdated(self, tx: Transaction, form: int) -> bool:
        """Tell whether anything is written in another form."""
        return tx.one("SELECT 1 FROM catalog_nodes WHERE form <> :form LIMIT 1", {"form": form}) is not None


def _projection(catalog: str) -> str:
    return f"catalog:{catalog}"
