"""What is told of columns that nobody declared: their types, the headers that became other names, and how to keep them.

The same for a push and for files that were handed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from thinmesh.kernel.contract import Column, Table
from thinmesh.kernel.product import Product

from .push_messages import quoted

# What fits on a screen; how many more there are is told.
_COLUMNS_SHOWN = 8


def inferred_notes(product: str, before: Product | None, tables: Mapping[str, Table]) -> Iterator[str]:
    """Tell which columns a check inferred; `tables` are those whose contract it made or widened.

    `before` is the product as it was. Nothing is told of tables that were declared.
    """
    for name, table in tables.items():
        state = before.tables.get(name) if before else None
        yield from _inferred(table, state.table if state else None)
    if any(table.inferred for table in tables.values()):
        yield f"the columns of {product} are inferred; to make them its contract: thinmesh accept {product}"


def _inferred(table: Table, before: Table | None) -> Iterator[str]:
    """Tell all columns of a new table, and of any other the headers that became new names."""
    if not table.inferred:
        return
    fresh = [column for column in table.columns if before is None or before.column(column.name) is None]
    if before is None:
        yield f"{table.name}: {', '.join(map(_typed, fresh[:_COLUMNS_SHOWN]))}{_more(len(fresh))}"
    renamed = [f"{quoted(column.header)} -> {column.name}" for column in fresh if column.header != column.name]
    if renamed:
        yield f"{table.name}: header {', '.join(renamed[:_COLUMNS_SHOWN])}{_more(len(renamed))}"


def _typed(column: Column) -> str:
    return f"{column.name} {column.result_type}"


def _more(count: int) -> str:
    return f" and {count - _COLUMNS_SHOWN} more" if count > _COLUMNS_SHOWN else ""
