"""What a new descriptor makes of a product: effective values, field ids, and everything that speaks against it.

Pure: facts in, an `Evolution` out. Data is judged elsewhere; `recheck` names the tables whose present data must be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from thinmesh.kernel.compatibility import Change, compare
from thinmesh.kernel.contract import Table, with_ids
from thinmesh.kernel.errors import Violation
from thinmesh.kernel.product import Descriptor, Product, TableState


@dataclass(frozen=True, slots=True)
class Evolution:
    """A product as it would be under a new descriptor.

    `tables` are all effective ones with field ids, `changed` those whose contract differs from the present one.
    Data present in a table of `recheck` must satisfy the new contract; in one of `retype` it is also derived again.
    """

    owner: str
    access: str
    version: str
    status: str
    tables: Mapping[str, Table]
    changed: Mapping[str, Table]
    recheck: tuple[str, ...] = ()
    retype: tuple[str, ...] = ()
    faults: tuple[Violation, ...] = ()


def evolve(current: Product | None, descriptor: Descriptor, owner: str, file: str) -> Evolution:
    """Bring a descriptor and the present product together. `owner` is the resolved one, `file` names the document."""
    tables: dict[str, Table] = {}
    recheck: list[str] = []
    retype: list[str] = []
    faults: list[Violation] = []
    states = current.tables if current else {}
    for name, declared in descriptor.tables.items():
        state = states.get(name)
        tables[name] = with_ids(declared, state.table if state else None)
        if state is None:
            continue
        if state.table.inferred:
            if state.files:
                (recheck if _same_shape(state.table, tables[name]) else retype).append(name)
            continue
        comparison = compare({name: state.table}, {name: tables[name]})
        faults += [_breaking(file, name, change.column, change.text, _keep(change)) for change in comparison.breaking]
        if comparison.tightened and state.files:
            recheck.append(name)
    faults += _keep_undeclared(states, tables, file)
    faults += _closing(current, descriptor, tables, file)
    return Evolution(
        owner=owner,
        access=effective_access(current, descriptor),
        version=descriptor.version or (current.version if current else "1.0.0"),
        status=descriptor.status or (current.status if current else "active"),
        tables=tables,
        changed={name: table for name, table in tables.items() if name not in states or states[name].table != table},
        recheck=tuple(recheck),
        retype=tuple(retype),
        faults=tuple(faults),
    )


def effective_access(current: Product | None, descriptor: Descriptor) -> str:
    """Give the access in force: a descriptor that leaves it out never opens what is closed."""
    return descriptor.access or (current.access if current else "open")


def _same_shape(old: Table, new: Table) -> bool:
    """Tell whether data files written under `old` can stay as they are under `new`."""
    types = {column.name: column.sql_type for column in new.columns}
    return all(types.get(column.name) == column.sql_type for column in old.columns) and old.null == new.null


def _keep_undeclared(states: Mapping[str, TableState], tables: dict[str, Table], file: str) -> list[Violation]:
    """Keep inferred tables that the descriptor does not name; a declared one may not disappear."""
    faults = []
    for name, state in states.items():
        if name in tables:
            continue
        if state.table.inferred:
            tables[name] = state.table
        else:
            faults.append(_breaking(file, name, None, f"the table {name} is left out, which removes it"))
    return faults


def _closing(
    current: Product | None, descriptor: Descriptor, tables: Mapping[str, Table], file: str
) -> list[Violation]:
    """Refuse to close or classify what lies, or lay, in the shared repository: its history stays readable."""
    if current is None:
        return []
    closing = effective_access(current, descriptor) == "request"
    names = [
        name
        for name, state in current.tables.items()
        if state.shared and (closing or (name in tables and tables[name].classified))
    ]
    what = "closed" if closing else "classified"
    return [
        Violation(
            f"the table {name} has CSVs in the shared repository's history and can no longer be {what}; "
            "register a new product that is closed from the start, publish there, and retire this one with --successor",
            "closing",
            file=file,
            table=name,
        )
        for name in names
    ]


def _breaking(file: str, table: str, column: str | None, text: str, keep: str = "") -> Violation:
    return Violation(
        f'{text}: this breaks consumers; {keep}add a new table beside it and mark this one "deprecated"',
        "breaking",
        file=file,
        table=table,
        column=column,
    )


def _keep(change: Change) -> str:
    """Say how a column stays where only the header of its files changed."""
    removed = change.what == "column_removed"
    return 'keep it and read it from a new header by "physicalName", or ' if removed else ""


def accepted(table: Table) -> Table:
    """Make an inferred table a contract."""
    return replace(table, inferred=False)
