"""The lines that read a table: what `show` prints, and pages offer to copy.

Product and table names are of a form that needs no quoting in any of the languages; the URL is the server's own.
"""

from __future__ import annotations


def sql(table: str) -> str:
    """Write the statement that looks at a table, named `product.table`."""
    return f"select * from {table} limit 10"


def python(table: str, place: str = "") -> str:
    """Write the line for our client; `place` is the argument of `connect`, empty where it finds the mesh by itself."""
    return f'import thinmesh; df = thinmesh.connect({place}).sql("select * from {table}").pandas()'


def pandas(url: str) -> str:
    """Write the line for pandas alone; `url` is where the table's data is."""
    bearer = "f\"Bearer {os.environ['THINMESH_TOKEN']}\""
    return f'import os, pandas as pd; df = pd.read_csv("{url}", storage_options={{"Authorization": {bearer}}})'


def curl(url: str, file: str, query: str = "") -> str:
    """Write the line for curl: it writes `file`."""
    address = f'"{url}{query}"' if query else url
    return f'curl -fH "Authorization: Bearer $THINMESH_TOKEN" {address} -o {file}'


def duckdb(url: str, table: str) -> str:
    """Write the lines for DuckDB's own command line."""
    return f"{curl(url, f'{table}.parquet', '?format=parquet')}\nduckdb -c \"from '{table}.parquet' limit 10\""


def jdbc(url: str, place: str) -> str:
    """Write the statements for DuckDB's JDBC driver, which reads no environment.

    `place` is the server's own URL, the only one to get the token.
    """
    return (
        "-- on a connection to jdbc:duckdb:\n"
        f"create or replace secret mesh (type http, bearer_token 'YOUR_TOKEN', scope '{place}/');\n"
        f"select * from read_parquet('{url}?format=parquet') limit 10;"
    )
