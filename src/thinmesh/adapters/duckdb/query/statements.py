"""The statements behind sample, profile and whole-table reads, in DuckDB's dialect."""

from __future__ import annotations

from thinmesh.kernel.contract import Column
from thinmesh.planes.query.model import ReadableTable

from .encode import quoted, text

_TOP = 5
_ORDERED = {"integer", "number", "date", "time", "timestamp", "string", "boolean"}


def sample(table: ReadableTable, rows: int) -> str:
    """Write the statement that gives some rows of a table."""
    return f"{data(table)} LIMIT {int(rows)}"


def data(table: ReadableTable) -> str:
    """Write the statement that gives a whole table, in file order."""
    return f"SELECT {', '.join(quoted(column.name) for column in table.columns)} FROM {_name(table)}"


def profile(table: ReadableTable) -> str:
    """Write the statement that gives one row per column: name, type, counts, extremes, mean, quantiles, top values.

    One pass over the data; `distinct` is approximate (HyperLogLog), quantiles are approximate (t-digest).
    """
    parts = [f"{_measures(column)} AS m{number}" for number, column in enumerate(table.columns)]
    rows = " UNION ALL ".join(
        f'SELECT {number} AS position, {text(column.name)} AS "column", {text(column.result_type)} AS type, '
        f"m{number} AS m FROM measured"
        for number, column in enumerate(table.columns)
    )
    fields = "rows nulls distinct_values min max mean q25 q50 q75 top".split()
    chosen = ", ".join(f'm.{name} AS "{name.removesuffix("_values")}"' for name in fields)
    return (
        f"WITH measured AS MATERIALIZED (SELECT {', '.join(parts)} FROM {_name(table)}), listed AS ({rows}) "
        f'SELECT "column", type, {chosen} FROM listed ORDER BY position'
    )


def _name(table: ReadableTable) -> str:
    return f"mesh.{quoted(table.product)}.{quoted(table.table)}"


def _measures(column: Column) -> str:
    name, kind = quoted(column.name), column.logical_type
    ordered = kind in _ORDERED
    number = kind in ("integer", "number")
    finite = f"CASE WHEN isfinite(CAST({name} AS DOUBLE)) THEN CAST({name} AS DOUBLE) END" if number else "NULL"
    as_text = f"CAST({name} AS VARCHAR)"
    quantiles = [
        f"approx_quantile({finite}, {share})" if number else "CAST(NULL AS DOUBLE)" for share in (0.25, 0.5, 0.75)
    ]
    measures = {
        "rows": "count(*)",
        "nulls": f"count(*) - count({name})",
        "distinct_values": f"approx_count_distinct({name})",
        "min": f"CAST(min({name}) AS VARCHAR)" if ordered else "CAST(NULL AS VARCHAR)",
        "max": f"CAST(max({name}) AS VARCHAR)" if ordered else "CAST(NULL AS VARCHAR)",
        "mean": f"avg({finite})" if number else "CAST(NULL AS DOUBLE)",
        "q25": quantiles[0],
        "q50": quantiles[1],
        "q75": quantiles[2],
        "top": f"CAST(to_json(approx_top_k({as_text}, {_TOP})) AS VARCHAR)",
    }
    return "struct_pack({})".format(", ".join(f"{key} := {value}" for key, value in measures.items()))
