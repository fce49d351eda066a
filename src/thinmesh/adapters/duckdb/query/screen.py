"""Decide, from DuckDB's own parse tree, what a statement may be and which tables it names.

Runs in the worker only: the parser itself meets hostile text. What is not known to be harmless is refused; the
walls of `sandbox.py` and the locked session stand behind this.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

# Where the views over information_schema lie; no product can have this name.
CATALOG_SCHEMA = "information schema"
CATALOG_TABLES = ("schemata", "tables", "columns")

_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "repeat_row"})
_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLE_NODES = frozenset(
    "BASE_TABLE SUBQUERY JOIN TABLE_FUNCTION EXPRESSION_LIST EMPTY PIVOT SHOW_REF COLUMN_DATA".split()
)
# Functions that tell about the session, other tables or files, write, or trust a value's bytes.
_FUNCTIONS = re.compile(
    r"""(current_setting|set_config|getvariable|getenv|nextval|currval|setval|write_log|in_search_path|which_secret
    |json_(de)?serialize_(sql|plan)|json_execute_serialized_sql|parse_duckdb_log_message|current_query
    |finalize|combine|to_aggregate_state|variant_bytes_to_variant|variant_to_parquet_variant|index_key
    |(obj|col|shobj)_description|get_block_size|invoke|vertex_extract
    |inet_\w+|has_\w+_privilege|pg_(?!typeof$|size_pretty$)\w+
    |(duckdb|pragma|read|write|sniff|parquet|arrow|pandas|python|sql|http|s3|test|icu_calendar)_\w+
    |glob|query|query_table|seq_scan|index_scan|checkpoint|force_checkpoint)""",
    re.IGNORECASE | re.VERBOSE,
)
# No product, table or view is called longer; what is looked up, logged and said stays small.
_LONGEST_NAME = 200
_ALLOWED = "SELECT, WITH, VALUES, DESCRIBE, SHOW TABLES or EXPLAIN"


class Unwelcome(Exception):
    """The statement is refused: what is wrong, and what to do now."""

    def __init__(self, detail: str, help: str) -> None:
        super().__init__(detail)
        self.detail, self.help = detail, help


@dataclass(slots=True)
class Screened:
    """A statement that may run.

    `sql` is the SELECT to run: the text as sent, without EXPLAIN and trailing semicolons, or written anew where it
    reads information_schema. `tables` are (product, table) in lower case.
    """

    kind: str
    sql: str
    tables: list[tuple[str, str]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    catalog: bool = False
    analyze: bool = False
    masked: str = ""


def screen(connection: duckdb.DuckDBPyConnection, sql: str) -> Screened:
    """Parse a statement and find the tables it names.

    Raises Unwelcome, or DuckDB's own error for what it cannot parse.
    """
    tokens = _tokens(sql)
    inner, explain, analyze = _without_explain(sql, tokens)
    tree = _tree(connection, inner)
    found = Screened("explain" if explain else "select", _without_semicolons(inner), analyze=analyze)
    found.masked = _masked(sql, tokens)
    node = tree["statements"][0]["node"]
    _recognise_show(node, found)
    if found.kind != "show":
        _inspect(connection, tree, found)
    return found


def _tokens(sql: str) -> list[tuple[int, int, str]]:
    """Split into (begin, end, type); offsets count UTF-8 bytes."""
    begins = [(offset, kind.name) for offset, kind in duckdb.tokenize(sql)]
    ends = [*(offset for offset, _ in begins[1:]), len(sql.encode())][: len(begins)]
    return [(begin, end, kind) for (begin, kind), end in zip(begins, ends, strict=True)]


def _without_explain(sql: str, tokens: list[tuple[int, int, str]]) -> tuple[str, bool, bool]:
    raw = sql.encode()
    words = [(raw[begin:end].decode().strip().lower(), begin, end) for begin, end, kind in tokens if kind != "comment"]
    if not words or words[0][0] != "explain":
        return sql, False, False
    analyze = len(words) > 1 and words[1][0] in ("analyze", "analyse")
    if len(words) > 1 and words[1][0] == "(" and len(words) > 2 and words[2][0] in ("format", "analyze", "analyse"):
        raise Unwelcome("EXPLAIN takes no options here.", "Write EXPLAIN SELECT … or EXPLAIN ANALYZE SELECT ….")
    rest = words[1:][int(analyze) :]
    return raw[rest[0][1] :].decode() if rest else "", True, analyze


def _without_semicolons(sql: str) -> str:
    raw, end = sql.encode(), None
    for begin, _, kind in reversed(_tokens(sql)):
        if kind == "comment" or raw[begin : begin + 1] == b";":
            end = begin
            continue
        break
    return raw[:end].decode()


def _masked(sql: str, tokens: list[tuple[int, int, str]]) -> str:
    """Replace literals by `?` and drop comments, both of which may hold personal data."""
    raw, pieces, last = sql.encode(), [], 0
    for begin, end, kind in tokens:
        piece = raw[begin:end].decode()
        blank = piece[len(piece.rstrip()) :]
        if begin > last:
            pieces.append(raw[last:begin].decode())
        if kind in ("string_const", "numeric_const") and piece.rstrip() != ".":
            piece = "?" + blank
        elif kind == "comment":
            piece = "\n" if "\n" in piece else " "
        pieces.append(piece)
        last = end
    return "".join(pieces).strip()


def _type(statement: duckdb.Statement) -> str:
    try:
        return statement.type.name
    except ValueError:
        # The parser knows kinds (UPDATE EXTENSIONS) that the enumeration of the Python package does not.
        return "OTHER"


def _tree(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    """Give the tree of exactly one SELECT."""
    rows = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
    try:
        tree: dict[str, Any] = json.loads(rows[0][0])
    except RecursionError:
        raise Unwelcome("This statement is nested too deeply.", "Write it flatter, with WITH.") from None
    if tree.get("error") or len(tree.get("statements", ())) != 1:
        raise _no_select(sql, connection.extract_statements(sql))
    return tree


def _no_select(sql: str, statements: list[duckdb.Statement]) -> Unwelcome:
    """Say what was sent instead of one SELECT."""
    if len(statements) != 1:
        many = f"{len(statements)} statements were sent" if statements else "No statement was sent"
        return Unwelcome(f"{many}; exactly one runs.", f"Send one {_ALLOWED}.")
    kind = _type(statements[0])
    if kind == "MULTI":
        return Unwelcome(
            "PIVOT without a list of values does not run here.", "Write FROM (PIVOT … ON column IN (…) …)."
        )
    if kind == "SELECT":
        return Unwelcome("This statement cannot be judged.", f"Only {_ALLOWED} run here.")
    word = re.search(r"[a-z]+", sql, re.IGNORECASE)
    return Unwelcome(f"{word[0].upper() if word else kind} does not run here.", f"Only {_ALLOWED} run here.")


def _recognise_show(node: Mapping[str, Any], found: Screened) -> None:
    """Set the kind where the whole statement is SHOW TABLES or DESCRIBE of one table."""
    shown = node.get("from_table") or {}
    if node.get("type") != "SELECT_NODE" or shown.get("type") != "SHOW_REF" or found.kind != "select":
        return
    path = [part.strip('"') for part in shown["qualified_name"]["path"]]
    if shown["show_type"] == "SHOW_FROM" and path[-1:] == [""] and len(path) in (2, 3):
        found.kind, found.tables = "show", [(path[-2].lower(), "")]
    elif shown["show_type"] == "SHOW_SPECIAL" and path in (["tables"], ["__show_tables_expanded"]):
        found.kind = "show"
    elif shown["show_type"] == "DESCRIBE" and _is_plain_table(shown.get("query") or {}):
        found.kind = "describe"


def _is_plain_table(query: Mapping[str, Any]) -> bool:
    source, chosen = query.get("from_table") or {}, query.get("select_list") or []
    if source.get("type") != "BASE_TABLE" or query.get("where_clause") or query["cte_map"]["map"]:
        return False
    whole = len(chosen) == 1 and chosen[0]["type"] == "STAR" and not _changes(chosen[0])
    path = [part.lower() for part in source["qualified_name"]["path"]]
    return whole and len(path) > 1 and "information_schema" not in path


def _changes(star: Mapping[str, Any]) -> bool:
    names = ("exclude_list", "replace_list", "rename_list", "qualified_exclude_list", "expr", "columns")
    return any(star.get(name) for name in names)


def _inspect(connection: duckdb.DuckDBPyConnection, tree: dict[str, Any], found: Screened) -> None:
    """Walk the whole tree: collect tables and columns, refuse what is not allowed."""
    names = {name.lower() for node in _nodes(tree) for name in _cte_names(node)}
    tables: dict[tuple[str, str], None] = {}
    columns: dict[str, None] = {}
    for node in _nodes(tree):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            name = _table(node, names, found)
            if name:
                tables[name] = None
        elif kind == "SHOW_REF" and not node.get("query"):
            raise Unwelcome(
                "Of SHOW, only SHOW TABLES and SHOW TABLES FROM product run here, alone.",
                "Inside a statement, read information_schema.tables.",
            )
        elif kind == "COLUMN_REF":
            columns[str(node["column_names"][-1]).lower()] = None
        _check_node(node)
    found.tables, found.columns = list(tables), list(columns)
    if found.catalog:
        found.sql = connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchall()[0][0]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Give every object of the tree, without recursion: statements may be nested as deep as their author likes."""
    todo = [tree]
    while todo:
        here = todo.pop()
        if isinstance(here, dict):
            yield here
            todo.extend(here.values())
        elif isinstance(here, list):
            todo.extend(here)


def _cte_names(node: Mapping[str, Any]) -> list[str]:
    named = [entry["key"] for entry in (node.get("cte_map") or {}).get("map", ())]
    if node.get("type") in ("RECURSIVE_CTE_NODE", "CTE_NODE"):
        named.append(node.get("cte_name", ""))
    return named


def _table(node: dict[str, Any], names: set[str], found: Screened) -> tuple[str, str] | None:
    """Give the (product, table) of a table reference, nothing for a common table expression."""
    path = [str(part).lower() for part in node["qualified_name"]["path"]]
    if len(path) == 1:
        if path[0] not in names or _FOUND_BY_ENGINE.fullmatch(path[0]):
            raise Unwelcome(
                f'There is no table "{path[0][:80]}".', "Name tables as product.table; SHOW TABLES lists them."
            )
        return None
    if len(path) == 3 and path[0] == "mesh":
        path = path[1:]
    if len(path) != 2 or max(map(len, path)) > _LONGEST_NAME:
        raise Unwelcome(
            f'There is no table "{".".join(path)[:200]}".', "Name tables as product.table or mesh.product.table."
        )
    if path[0] != "information_schema":
        return path[0], path[1]
    if path[1] not in CATALOG_TABLES:
        raise Unwelcome(
            f'There is no table "information_schema.{path[1][:80]}".',
            f"information_schema has {', '.join(CATALOG_TABLES)}.",
        )
    found.catalog = True
    node.update(catalog_name="mesh", schema_name=CATALOG_SCHEMA, alias=node.get("alias") or path[1])
    node["qualified_name"] = {"path": ["mesh", CATALOG_SCHEMA, path[1]]}
    return None


# One-part names that DuckDB finds by itself: its system views, and files (a replacement scan takes a path, a URL or
# a pattern). A common table expression may not take such a name, for outside its scope the name means the other.
_FOUND_BY_ENGINE = re.compile(r"(pg|duckdb|sqlite|pragma)_.*|.*[./\\:*?\[\]].*", re.DOTALL)


def _check_node(node: Mapping[str, Any]) -> None:
    kind = str(node.get("type", ""))
    if kind.endswith("_NODE") and kind not in _QUERY_NODES:
        raise Unwelcome("A reading statement may not contain a writing one.", f"Only {_ALLOWED} run here.")
    if "sample" in node and "query_location" in node and kind not in _TABLE_NODES:
        raise Unwelcome("This source of rows is not known here.", f"Only {_ALLOWED} over product.table run here.")
    if kind == "TABLE_FUNCTION":
        name = str((node.get("function") or {}).get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise Unwelcome(
                f'The table function "{name[:80]}" is not available.',
                f"Read tables as product.table; table functions here: {', '.join(sorted(_TABLE_FUNCTIONS))}.",
            )
    elif node.get("class") == "FUNCTION" or "function_name" in node:
        name = str(node.get("function_name", "")).lower()
        if not may_call(name):
            raise Unwelcome(
                f'The function "{name[:80]}" is not available.', "Leave it out; it tells nothing about data."
            )


def may_call(function: str) -> bool:
    """Tell whether statements may call a function, by its name in lower case."""
    return not _FUNCTIONS.fullmatch(function)
