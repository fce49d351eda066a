"""Writing the index of products: what the log tells of one, put into the tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thinmesh.kernel.database import Transaction
from thinmesh.kernel.product import Descriptor

from .spelling import learn

if TYPE_CHECKING:
    from thinmesh.kernel.ledger import Entry, ProductChange, TableLoad

_PRODUCT = """INSERT INTO products (name, domain, owner, access, status, version, description, tags, document, odcs,
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
       RETURNING rowid"""


def apply_change(tx: Transaction, entry: Entry, change: ProductChange, read: Callable[[str], bytes]) -> None:
    """Write what an entry did to one product; `read` gives a file on `main` by its object id."""
    documents = _documents(change, read)
    differences = _differences(tx, change, documents) if change.event not in {"registered", "published"} else []
    row = _apply_product(tx, entry, change, documents)
    differences += _table_differences(tx, change)
    _apply_tags(tx, change, documents.descriptor.tags)
    if change.event != "published":
        _apply_inputs(tx, change.product, documents.descriptor.inputs)
    _apply_tables(tx, change)
    _apply_loads(tx, entry, change)
    _apply_history(tx, entry, change, differences)
    _apply_words(tx, change, row, documents)


@dataclass(slots=True)
class _Documents:
    """The files of a product on `main`, and its descriptor as they tell it."""

    document: bytes
    odcs: bytes | None
    odps: bytes | None
    readme: str
    descriptor: Descriptor


def _documents(change: ProductChange, read: Callable[[str], bytes]) -> _Documents:
    from thinmesh.kernel.documents import canonical, stored_descriptor

    odcs = read(change.odcs) if change.odcs else None
    document = read(change.document) if change.document else canonical(change.described or {})
    odps = read(change.odps) if change.odps else None
    readme = read(change.readme).decode("utf-8", "replace") if change.readme else ""
    return _Documents(document, odcs, odps, readme, stored_descriptor(document, odcs=odcs, odps=odps))


def _apply_product(tx: Transaction, entry: Entry, change: ProductChange, documents: _Documents) -> int:
    """Write the product's own row, and give its number."""
    row = tx.one(
        _PRODUCT,
        {
            "name": change.product,
            "domain": change.domain,
            "owner": change.owner,
            "access": change.access,
            "status": change.status,
            "version": change.version,
            "description": documents.descriptor.description,
            "tags": json.dumps(list(documents.descriptor.tags)),
            "document": documents.document,
            "odcs": documents.odcs,
            "odps": documents.odps,
            "readme": documents.readme,
            "at": entry.at,
            "successor": change.successor,
            "etag": f"e{entry.sequence}",
            "sequence": entry.sequence,
            "described": int(change.event != "published"),
        },
    )
    return row["rowid"] if row else 0


def _apply_tags(tx: Transaction, change: ProductChange, tags: Sequence[str]) -> None:
    tx.execute("DELETE FROM product_tags WHERE product = :p", {"p": change.product})
    present = tags if change.status != "retired" else ()
    rows = [{"tag": tag, "p": change.product} for tag in dict.fromkeys(present)]
    tx.execute_many("INSERT INTO product_tags (tag, product) VALUES (:tag, :p)", rows)


def _apply_words(tx: Transaction, change: ProductChange, row: int, documents: _Documents) -> None:
    """Let a product be found by its words; a retired one is not."""
    tx.execute("DELETE FROM product_words WHERE rowid = :id", {"id": row})
    if change.status == "retired":
        tx.execute("DELETE FROM product_names WHERE rowid = :id", {"id": row})
        return
    texts = {
        "name": change.product,
        "domain": change.domain,
        "owner": change.owner,
        "description": documents.descriptor.description,
        "tags": " ".join(documents.descriptor.tags),
        "columns": _column_words(_records(tx, change.product)),
        "readme": documents.readme[:20_000],
    }
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


def _differences(tx: Transaction, change: ProductChange, documents: _Documents) -> list[dict[str, Any]]:
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
        {**{name: getattr(change, name) for name in names}, "readme": documents.readme},
        documents.descriptor,
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


def _records(tx: Transaction, product: str) -> list[dict[str, Any]]:
    rows = tx.all("SELECT record FROM product_tables WHERE product = :p ORDER BY position, name", {"p": product})
    return [json.loads(row["record"]) for row in rows]


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
