"""The statements behind sample, profile and whole-table reads, in DuckDB's dialect."""

from __future__ import annotations

from collections.abc import Sequence

from thinmesh.kernel.contract import Column
from thinmesh.planes.query.model import ReadableTable

from .encode import quoted, text

_TOP = 5
_SHARES = [number / 20 for number in range(21)]
_COUNTED = {"string", "boolean"}
_ORDERED = {"integer", "number", "date", "time", "timestamp", "string", "boolean"}


def sample(table: ReadableTable, rows: int) -> str:
    """Write the statement that gives some rows of a table."""
    return f"{data(table)} LIMIT {int(rows)}"


def data(table: ReadableTable) -> str:
    """Write the statement that gives a whole table, in file order."""
    return f"SELECT {', '.join(quoted(column.name) for column in table.columns)} FROM {_name(table)}"


def profile(table: ReadableTable) -> str:
    """Write the statement that gives one row per column: name, type, counts, extremes, mean, quantiles, top values.

    One pass over the data, and one over its texts and booleans to count their top values; `distinct` is approximate
    (HyperLogLog), quantiles are approximate (t-digest).
    """
    parts = [f"{_measures(column)} AS m{number}" for number, column in enumerate(table.columns)]
    counted = [number for number, column in enumerate(table.columns) if column.logical_type in _COUNTED]
    # Lists that are unnested: of a UNION of one SELECT for each column, every one would hold the measures of all.
    listed = {
        "position": [str(number) for number in range(len(table.columns))],
        '"column"': [text(column.name) for column in table.columns],
        "type": [text(column.result_type) for column in table.columns],
        "m": [f"m{number}" for number in range(len(table.columns))],
        "c": [f"c{number}" if number in counted else "NULL::BIGINT[]" for number in range(len(table.columns))],
    }
    rows = ", ".join(f"unnest([{', '.join(values)}]) AS {name}" for name, values in listed.items())
    fields = "rows nulls distinct_values min max mean q25 q50 q75".split()
    chosen = ", ".join(f'm.{name} AS "{name.removesuffix("_values")}"' for name in fields)
    lists = {"top": "m.top", "quantiles": "m.quantiles", "top_counts": "c"}
    as_json = ", ".join(f"CAST(to_json({each}) AS VARCHAR) AS {name}" for name, each in lists.items())
    return (
        f"WITH measured AS MATERIALIZED (SELECT {', '.join(parts)} FROM {_name(table)}), "
        f"counted AS MATERIALIZED ({_counts(table, counted)}), listed AS (SELECT {rows} FROM measured, counted) "
        f'SELECT "column", type, {chosen}, {as_json} FROM listed ORDER BY position'
    )


def _counts(table: ReadableTable, counted: Sequence[int]) -> str:
    """Count each top value of the columns at these positions."""
    if not counted:
        return "SELECT 1"
    counts = [
        "[{}] AS c{}".format(
            ", ".join(
                f"count(*) FILTER (CAST(t.{quoted(table.columns[number].name)} AS VARCHAR) = top{number}[{place}])"
                for place in range(1, _TOP + 1)
            ),
            number,
        )
        for number in counted
    ]
    tops = ", ".join(f"m{number}.top AS top{number}" for number in counted)
    return f"SELECT {', '.join(counts)} FROM {_name(table)} t, (SELECT {tops} FROM measured)"


def _name(table: ReadableTable) -> str:
    return f"mesh.{quoted(table.product)}.{quoted(table.table)}"


def _measures(column: Column) -> str:
    name, kind = quoted(column.name), column.logical_type
    ordered = kind in _ORDERED
    number = kind in ("integer", "number")
    finite = f"CASE WHEN isfinite(CAST({name} AS DOUBLE)) THEN CAST({name} AS DOUBLE) END" if number else "NULL"
    as_text = f"CAST({name} AS VARCHAR)"
    seconds = f"CASE WHEN isfinite({name}) THEN epoch({name}) END"
    spread = finite if number else seconds if kind in ("date", "timestamp") else "NULL"
    quantiles = "CAST(NULL AS DOUBLE[])" if spread == "NULL" else f"approx_quantile({spread}, {_SHARES})"
    # The engine measures what is written more than once a single time.
    of_number = [
        f"({quantiles})[{_SHARES.index(share) + 1}]" if number else "CAST(NULL AS DOUBLE)"
        for share in (0.25, 0.5, 0.75)
    ]
    measures = {
        "rows": "count(*)",
        "nulls": f"count(*) - count({name})",
        "distinct_values": f"approx_count_distinct({name})",
        "min": f"CAST(min({name}) AS VARCHAR)" if ordered else "CAST(NULL AS VARCHAR)",
        "max": f"CAST(max({name}) AS VARCHAR)" if ordered else "CAST(NULL AS VARCHAR)",
        "mean": f"avg({finite})" if number else "CAST(NULL AS DOUBLE)",
        "q25": of_number[0],
        "q50": of_number[1],
        "q75": of_number[2],
        "top": f"approx_top_k({as_text}, {_TOP})",
        "quantiles": quantiles,
    }
    return "struct_pack({})".format(", ".join(f"{key} := {value}" for key, value in measures.items()))
