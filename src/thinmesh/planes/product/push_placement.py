"""Where data may not lie: what a push would leave in the shared repository, at its tip or in its history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from thinmesh.kernel.contract import Table
from thinmesh.kernel.documents import parse_descriptor, stored_descriptor
from thinmesh.kernel.errors import MeshError, Violation
from thinmesh.kernel.names import fault_of_name
from thinmesh.kernel.repository import DataRepository

from .push import PushedChange, PushedEntry
from .sources import csv_paths

if TYPE_CHECKING:
    from .pushing import FolderPlan

DOCUMENTS = ("product.json", "contract.yaml", "product.odps.yaml")
# What is wrong with a CSV that a push adds and removes again, and the rule.
_NEVER_SHARED = (
    "a commit of this push holds data that never enters the shared repository; take it out of the history",
    "placement",
)
_NO_OTHER_FILES = (
    "the folder of a closed product holds product.json, contract.yaml, product.odps.yaml and README.md alone: "
    "every clone has its files",
    "placement",
)
# Once such a table is closed or classified, nobody could tell that its data is in the history.
_DROPPED = ("a commit of this push adds data that a later one removes again; squash them (git rebase -i)", "squash")


def table_of(path: str, folder: str) -> str:
    """Give the table that a path in a product folder holds data of; empty for other files."""
    rest = path.removeprefix(f"{folder}/")
    if not rest.endswith(".csv"):
        return ""
    return rest.split("/")[0].removesuffix(".csv")


def misplaced(plan: FolderPlan, folder: str, table: str, tables: Mapping[str, Table]) -> Violation | None:
    """Say why a table's CSVs do not belong into the shared repository, or nothing."""
    state = plan.before.tables.get(table) if plan.before else None
    access = plan.evolution.access if plan.evolution else (plan.before.access if plan.before else "open")
    files = csv_paths(plan.files, folder, table)
    file = files[0] if files else f"{folder}/{table}.csv"
    why = fault_of_name(table, "table")
    if not files:
        return None
    if why is None and access == "request":
        why = f"{plan.name} is closed, and its data never enters the shared repository"
    elif why is None and table in tables and tables[table].classified:
        why = f"{table} has classified columns, and its data never enters the shared repository"
    elif why is None and state and state.publication and not state.in_git:
        why = f"the data of {table} lies outside the repository since {state.publication}"
    else:
        return Violation(why, "file_name", file=file, table=table) if why else None
    return Violation(f"{why}: thinmesh publish {plan.name} {table}.csv", "placement", file=file, table=table)


def smuggled(
    repository: DataRepository, plan: FolderPlan, folder: str, tables: Mapping[str, Table], change: PushedChange
) -> list[Violation]:
    """Find data that only a commit on the way brings, and files of a closed product: both stay in the history."""
    access = plan.evolution.access if plan.evolution else (plan.before.access if plan.before else "open")
    kept = {table_of(path, folder) for path in plan.files}
    guarded = _guarded_on_the_way(repository, plan, folder, change)
    faults = []
    for entry in change.brought(folder):
        table = table_of(entry.path, folder)
        closed = access == "request" or guarded or (table in tables and tables[table].classified)
        same = _is_kept(plan, entry)
        if access == "request" and not table and entry.path.removeprefix(f"{folder}/") not in (*DOCUMENTS, "README.md"):
            faults.append(Violation(*_NO_OTHER_FILES, file=entry.path))
        elif table and not same and (guarded or entry.path not in plan.files) and (closed or table not in kept):
            text, rule = _NEVER_SHARED if closed else _DROPPED
            faults.append(Violation(f"{text} (commit {entry.commit[:12]})", rule, file=entry.path, table=table))
    return faults


def _guarded_on_the_way(repository: DataRepository, plan: FolderPlan, folder: str, change: PushedChange) -> bool:
    """Tell whether a commit on the way closes the product or classifies a table: its own data is held to that."""
    for entry in change.brought(folder):
        if entry.path.removeprefix(f"{folder}/") not in DOCUMENTS or _is_kept(plan, entry):
            continue
        # One document of a standard need not say all that a product needs: another one beside it may.
        whole = entry.path.endswith("/product.json")
        try:
            content = repository.read(entry.file.id)
            found = parse_descriptor(content, file=entry.path) if whole else stored_descriptor(content)
        except MeshError:
            continue  # it never was anybody's contract
        if found.access == "request" or any(table.classified for table in found.tables.values()):
            return True
    return False


def _is_kept(plan: FolderPlan, entry: PushedEntry) -> bool:
    """Tell whether a file that a commit brought is still there as it was, at the tip."""
    file = plan.files.get(entry.path)
    return file is not None and file.id == entry.file.id
