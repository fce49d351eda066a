"""The tables of the index of products, and the steps to them (schema.py)."""

from __future__ import annotations

from .spelling import SPELLING_FILL, SPELLING_SCHEMA

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
