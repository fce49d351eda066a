"""Descriptors as documents: `product.json`, an ODCS contract in its place, or `contract.yaml` beside it.

The original bytes are the document; what is read from them is a view. Everything wrong is found at once, with file,
field, line and column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from .contract import Table
from .descriptor_values import MEMBERS, REQUIRED, descriptor_values
from .document_faults import Fields, refused
from .document_text import Source, read
from .errors import Violation
from .names import PRODUCT
from .odcs import contract_values, is_odcs
from .odcs_writing import odcs_document, odcs_yaml
from .product import Descriptor
from .table_documents import parse_tables, table_document
from .table_records import table_of_record, table_record

# A descriptor of a hundred columns has some 10 kB; parsed, it takes about ten times as much.
_SMALL, _REMEMBERED = 16_000, 256

__all__ = [
    "BareContract",
    "bare_contract",
    "canonical",
    "descriptor_document",
    "parse_descriptor",
    "product_json_beside",
    "same_meaning",
    "stored_descriptor",
    "table_document",
    "table_of_record",
    "table_record",
    "to_odcs",
    "with_tables",
]


def parse_descriptor(document: bytes, *, file: str = "product.json", odcs: bytes | None = None) -> Descriptor:
    """Read a descriptor: a `product.json`, or an ODCS contract (YAML or JSON) in its place.

    `odcs` is the `contract.yaml` beside it, which then has the tables. `file` is what messages call it. Raises
    TooLarge, Malformed for what cannot be read, Refused with every other fault at once.
    """
    descriptor, violations = _parsed(document, file, odcs)
    if violations:
        raise refused(violations, file)
    return descriptor


def stored_descriptor(document: bytes, *, odcs: bytes | None = None) -> Descriptor:
    """Read a descriptor that was accepted once, by this release or an earlier one: rules are not judged again."""
    return _parsed(document, "product.json", odcs)[0]


@dataclass(frozen=True, slots=True)
class BareContract:
    """The tables of a document, whatever it says of the product; `reported` is kept there and means nothing here."""

    product: str
    tables: Mapping[str, Table]
    reported: tuple[str, ...]


def bare_contract(document: bytes, *, file: str = "contract.yaml") -> BareContract:
    """Read the tables of a contract or a descriptor, and the product's name where it has one that SQL takes.

    Raises as `parse_descriptor` does.
    """
    source = read(document, file)
    fields = Fields(source.value, (), source.faults)
    if is_odcs(source.value):
        found = contract_values(fields, "contract")
        name, tables = found.get("name"), found.get("tables", {})
    else:
        name = source.value.get("name")
        tables = parse_tables(fields, str(name))
    violations = source.faults.violations()
    if violations:
        raise refused(violations, file)
    product = name if isinstance(name, str) and PRODUCT.fullmatch(name) else "contract"
    return BareContract(product, dict(tables), source.faults.reported)


def canonical(document: Mapping[str, Any]) -> bytes:
    """Write a document as the mesh writes JSON for people: two spaces, members in order, one newline at the end."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def same_meaning(a: bytes, b: bytes) -> bool:
    """Tell whether two `product.json` say the same, however they are spaced and in whatever order their members are."""
    return a == b or _meaning(a) == _meaning(b)


def with_tables(document: bytes, tables: Mapping[str, Table]) -> bytes:
    """Write tables into a `product.json`; other members, and tables that say the same already, stay as they are."""
    found = read(document, "product.json").value
    written = found.get("tables") or {}
    before = stored_descriptor(document).tables
    found["tables"] = {
        name: written[name] if name in before and before[name] == _bare(table) else table_document(_bare(table))
        for name, table in tables.items()
    }
    return canonical(found)


def product_json_beside(descriptor: Descriptor) -> bytes:
    """Write the small `product.json` that stands beside the `contract.yaml` with everything else."""
    found = {"name": descriptor.name, "domain": descriptor.domain, "description": descriptor.description}
    return canonical(found)


def descriptor_document(
    descriptor: Descriptor, *, owner: str, access: str, version: str, status: str, tables: Mapping[str, Table]
) -> dict[str, Any]:
    """Give the whole descriptor with the values in force and all tables, those inferred included.

    Sent back as a `product.json` it means the same: tables marked `inferred` are then not declared.
    """
    found: dict[str, Any] = {
        "name": descriptor.name,
        "domain": descriptor.domain,
        "description": descriptor.description,
        "version": version,
        "owner": owner,
        "access": access,
        "status": status,
        "tags": list(descriptor.tags),
        "custom": dict(descriptor.custom),
        "slo": dict(descriptor.slo),
        "retention": descriptor.retention,
        "inputs": list(descriptor.inputs),
        "links": dict(descriptor.links),
        "deprecated": dict(descriptor.deprecated) if descriptor.deprecated is not None else None,
    }
    found["tables"] = {
        name: {**_TABLE_DEFAULTS, **table_document(table), "inferred": table.inferred} for name, table in tables.items()
    }
    return found


def to_odcs(descriptor: Descriptor, tables: Mapping[str, Table], *, owner: str, version: str, status: str) -> bytes:
    """Write a product as an ODCS contract in YAML; read again, it has the same tables."""
    return odcs_yaml(odcs_document(descriptor, tables, owner=owner, version=version, status=status))


_TABLE_DEFAULTS: Mapping[str, Any] = {
    "description": None, "null": [], "columns": [], "primaryKey": [], "unique": [], "references": [],
}  # fmt: skip


def _parsed(document: bytes, file: str, odcs: bytes | None) -> tuple[Descriptor, tuple[Violation, ...]]:
    """Read a document; a small one that was just read is not read again: a registration asks three times."""
    small = len(document) + len(odcs or b"") <= _SMALL
    return (_remembered if small else _parse)(bytes(document), file, odcs)


def _parse(document: bytes, file: str, odcs: bytes | None) -> tuple[Descriptor, tuple[Violation, ...]]:
    source = read(document, file)
    if is_odcs(source.value):
        return _of_contract(source, document)
    if odcs is not None:
        return _beside(source, document, odcs, _contract_file(file))
    fields = Fields(source.value, (), source.faults)
    found = descriptor_values(fields)
    tables = parse_tables(fields, found.get("name", ""))
    descriptor = _descriptor(found, tables, document, None, source.faults.reported)
    return descriptor, source.faults.violations()


_remembered = lru_cache(maxsize=_REMEMBERED)(_parse)


def _of_contract(source: Source, document: bytes) -> tuple[Descriptor, tuple[Violation, ...]]:
    """Read an ODCS contract that stands in the descriptor's place."""
    values = contract_values(Fields(source.value, (), source.faults))
    tables = values.pop("tables", {})
    # A name that is not there was noted already.
    found = descriptor_values(Fields(values, (), source.faults), required=("domain", "description"))
    descriptor = _descriptor(found, tables, document, document, source.faults.reported)
    return descriptor, source.faults.violations()


def _beside(source: Source, document: bytes, odcs: bytes, file: str) -> tuple[Descriptor, tuple[Violation, ...]]:
    """Read a `product.json` and the contract beside it: what the former leaves out, the latter says."""
    contract = read(odcs, file)
    own = descriptor_values(Fields(source.value, (), source.faults))
    if source.value.get("tables") is not None:
        message = "the tables are in contract.yaml beside this file; leave them out here"
        source.faults.add(("tables",), "tables", message, of_key=True)
    if not is_odcs(contract.value):
        contract.faults.add((), "odcs", "this is no ODCS contract: apiVersion and kind are missing")
    values = contract_values(Fields(contract.value, (), contract.faults), own.get("name"))
    tables = values.pop("tables", {})
    values = {name: value for name, value in values.items() if name not in own}
    found = {**descriptor_values(Fields(values, (), contract.faults), required=()), **own}
    reported = (*source.faults.reported, *contract.faults.reported)
    descriptor = _descriptor(found, tables, document, odcs, reported)
    return descriptor, (*source.faults.violations(), *contract.faults.violations())


def _descriptor(
    found: dict[str, Any], tables: Mapping[str, Table], document: bytes, odcs: bytes | None, reported: tuple[str, ...]
) -> Descriptor:
    """Make a descriptor of what was read; what was refused is empty."""
    given: dict[str, Any] = {**dict.fromkeys(REQUIRED, ""), **found}
    return Descriptor(**given, tables=tables, document=bytes(document), odcs=odcs, reported=reported)


def _contract_file(file: str) -> str:
    """Name the `contract.yaml` that stands beside a file."""
    folder, slash, _ = file.rpartition("/")
    return f"{folder}{slash}contract.yaml"


def _bare(table: Table) -> Table:
    """Give a table as a document says it: without field ids, and declared."""
    columns = tuple(replace(column, id=0) for column in table.columns)
    return replace(table, columns=columns, inferred=False, last_id=0)


def _meaning(document: bytes) -> str | bytes:
    try:
        found = json.loads(document.removeprefix(b"\xef\xbb\xbf"))
        # Dumped, because True == 1 == 1.0 in Python, and a document that changes one into the other has changed.
        return json.dumps({name: found.get(name) for name in MEMBERS}, sort_keys=True)
    except (ValueError, AttributeError, RecursionError):
        return document
