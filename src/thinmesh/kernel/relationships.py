"""Foreign keys as ODCS writes them: `relationships` of tables and columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .contract import Reference, Table
from .document_faults import Fields, Path
from .names import PRODUCT, name_in_document


def column_name(written: str) -> str:
    """Give the name in SQL of a column that a contract calls `written`."""
    return name_in_document(written) or written


class Targets:
    """What a contract's relationships may name.

    `tables` gives the legal name of each table by the one that is written, `ids` the `table.column` that a fully
    qualified reference (`schema/<id>/properties/<id>`) stands for.
    """

    def __init__(self, tables: Mapping[str, str], ids: Mapping[str, str] | None = None) -> None:
        self._tables = tables
        self._ids = ids or {}

    def of_columns(self, written: Any) -> tuple[str, ...]:
        """Give the columns of the table itself that `from` names."""
        return tuple(column_name(self._ids.get(each, each).rpartition(".")[2]) for each in _texts(written))

    def reference(self, own: tuple[str, ...], written: Any) -> Reference | None:
        """Read `to`: `table.column` inside the contract, or `product.table.column`."""
        targets = [self._ids.get(target, target).split(".") for target in _texts(written)]
        if not own or len(targets) != len(own) or len({tuple(target[:-1]) for target in targets}) != 1:
            return None
        to = tuple(column_name(target[-1]) for target in targets)
        match targets[0][:-1]:
            case [table] if table in self._tables:
                return Reference(own, "", self._tables[table], to)
            case [product, table] if PRODUCT.fullmatch(product) and PRODUCT.fullmatch(table):
                return Reference(own, product, table, to)
        return None


def read_relationships(fields: Fields, properties: str, targets: Targets) -> dict[Reference, Path]:
    """Read the foreign keys of a table: its own first, then those of its columns, each once with its place.

    `properties` is the member that lists the columns. What leads out of the mesh is reported.
    """
    found: dict[Reference, Path] = {}
    for at, each in fields.objects("relationships"):
        _add(found, targets.of_columns(each.get("from")), each, (*fields.path, "relationships", at), fields, targets)
    for number, column in _objects(fields.found.get(properties)):
        inner = Fields(column, (*fields.path, properties, number), fields.faults)
        for at, each in _objects(column.get("relationships")):
            own = (column_name(str(column.get("name"))),)
            _add(found, own, each, (*inner.path, "relationships", at), fields, targets)
    return found


def relationship_document(table: str, reference: Reference) -> dict[str, Any]:
    """Write a reference as an ODCS relationship of a schema object."""
    target = f"{reference.product}.{reference.table}" if reference.product else reference.table
    own = [f"{table}.{column}" for column in reference.columns]
    to = [f"{target}.{column}" for column in reference.to]
    single = len(own) == 1
    return {"type": "foreignKey", "from": own[0] if single else own, "to": to[0] if single else to}


def without_plain(table: Table) -> dict[str, Any]:
    """Give a table's `extra` without the relationships that say no more than its references do."""
    written = table.extra.get("relationships")
    if not isinstance(written, list):
        return dict(table.extra)
    plain = [relationship_document(table.name, reference) for reference in table.references]
    kept = [each for each in written if each not in plain]
    extra = {name: value for name, value in table.extra.items() if name != "relationships"}
    return {**extra, "relationships": kept} if kept else extra


def _add(
    found: dict[Reference, Path],
    own: tuple[str, ...],
    each: Mapping[str, Any],
    path: Path,
    fields: Fields,
    targets: Targets,
) -> None:
    if each.get("type", "foreignKey") != "foreignKey":
        return
    reference = targets.reference(own, each.get("to"))
    if reference:
        found.setdefault(reference, path)
    else:
        fields.faults.report(path, "this relationship is not one that is checked here; it is kept")


def _objects(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for at, each in enumerate(value if isinstance(value, list) else ()):
        if isinstance(each, Mapping):
            yield at, each


def _texts(value: Any) -> list[str]:
    found: Iterable[Any] = value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, str)]
