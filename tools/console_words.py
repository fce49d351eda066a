"""Writes the words of DuckDB's SQL that the console's editor knows, from the DuckDB that is installed.

`python tools/console_words.py > src/thinmesh/interface/web/static/sql-words.js`
"""

from __future__ import annotations

import sys

import duckdb

from thinmesh.adapters.duckdb.query.screen import may_call

_KEYWORDS = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category {} ORDER BY 1"
_TYPES = "SELECT DISTINCT lower(type_name) FROM duckdb_types() WHERE type_name NOT LIKE '% %' ORDER BY 1"
# What operators and the parser itself use has names that nobody writes.
_FUNCTIONS = """SELECT DISTINCT function_name FROM duckdb_functions()
WHERE function_type IN ('scalar', 'aggregate', 'macro', 'window')
AND regexp_full_match(function_name, '[a-z][a-z0-9_]*')
ORDER BY 1"""


def written() -> str:
    """Write the module."""
    with duckdb.connect() as connection:

        def words(sql: str) -> list[str]:
            return [row[0] for row in connection.execute(sql).fetchall()]

        parts = {
            "reserved": words(_KEYWORDS.format("= 'reserved'")),
            "joining": words(_KEYWORDS.format("= 'type_function'")),
            "types": words(_TYPES),
            "functions": [name for name in words(_FUNCTIONS) if may_call(name)],
        }
    lines = [f'export const {name} = "{" ".join(found)}";' for name, found in parts.items()]
    return "\n".join(["// DuckDB's words, written by tools/console_words.py.", *lines, ""])


if __name__ == "__main__":
    sys.stdout.write(written())
