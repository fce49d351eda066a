"""Descriptors as documents: `product.json`, or ODCS and ODPS documents in its place or beside it.

The original bytes are the document; what is read from them is a view. Everything wrong is found at once, with file,
field, line and column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from .bitol import items
from .contract import Table
from .descriptor_values import MEMBERS, REQUIRED, descriptor_values
from .document_faults import Fields, refused
from .document_text import Source, documents_of, read
from .errors import Refused, Violation
from .names import PRODUCT, fault_of_name
from .odcs import contract_values, is_odcs
from .odcs_writing import bitol_yaml, odcs_document
from .odps import check_ports, is_odps, product_values
from .odps_writing import odps_document
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
    "half_of",
    "parse_descriptor",
    "product_json_beside",
    "same_meaning",
    "stored_descriptor",
    "table_document",
    "table_of_record",
    "table_record",
    "to_odcs",
    "to_odps",
    "with_tables",
]


def parse_descriptor(
    document: bytes, *, file: str = "product.json", odcs: bytes | None = None, odps: bytes | None = None
) -> Descriptor:
    """Read a descriptor: a `product.json`, or in its place an ODCS contract, an ODPS product, or a stream of both.

    `odcs` is the `contract.yaml` beside it, which then has the tables, and `odps` the `product.odps.yaml`. `file` is
    what messages call the document. Raises TooLarge, Malformed for what cannot be read, Refused with every other
    fault at once.
    """
    descriptor, violations = _parsed(document, file, odcs, odps)
    if violations:
        raise refused(violations, file)
    return descriptor


def half_of(document: bytes) -> tuple[str, str | None] | None:
    """Tell which half of a pair a document is, `odcs` or `odps`, and the product that it names; nothing for others.

    Raises as `parse_descriptor` does for what cannot be read.
    """
    if len(documents_of(document)) != 1:
        return None
    found = read(document, "product.json").value
    if not is_odcs(found) and not is_odps(found):
        return None
    half, members = ("odps", ("name", "id")) if is_odps(found) else ("odcs", ("dataProduct", "name", "id"))
    given = (found.get(member) for member in members)
    return half, next((each for each in given if isinstance(each, str) and PRODUCT.fullmatch(each)), None)


def stored_descriptor(document: bytes, *, odcs: bytes | None = None, odps: bytes | None = None) -> Descriptor:
    """Read a descriptor that was accepted once, by this release or an earlier one: rules are not judged again."""
    return _parsed(document, "product.json", odcs, odps)[0]


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
    pair = _pair_of(document, file)
    source = pair[1] if pair else read(document, file)
    fields = Fields(source.value, (), source.faults)
    if is_odps(source.value):
        raise Refused(f"{file} is an ODPS product, and the tables are in its contract.", help="Name the ODCS contract.")
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
    """Write the small `product.json` that stands beside `contract.yaml` and `product.odps.yaml` with all the rest.

    It has the tables where no contract does.
    """
    found: dict[str, Any] = {
        "name": descriptor.name, "domain": descriptor.domain, "description": descriptor.description
    }  # fmt: skip
    if descriptor.odcs is None and descriptor.tables:
        found["tables"] = {name: table_document(_bare(table)) for name, table in descriptor.tables.items()}
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
    """Write a product as an ODCS contract in YAML; read again, it has the same tables.

    Its id is the one that the only output port of the author's ODPS document names, else the product's name.
    """
    named = _contract_ids(descriptor.odps, "product.odps.yaml") if descriptor.odps is not None else []
    id = named[0] if len(named) == 1 else ""
    return bitol_yaml(odcs_document(descriptor, tables, owner=owner, version=version, status=status, id=id))


def to_odps(
    descriptor: Descriptor, *, owner: str, access: str, version: str, status: str, registered: str = ""
) -> bytes:
    """Write a product as an ODPS product in YAML; its output port names the contract by the id that it has."""
    named = _contract_ids(descriptor.odcs, "contract.yaml") if descriptor.odcs is not None else []
    document = odps_document(
        descriptor, owner=owner, access=access, version=version, status=status, registered=registered,
        contract=named[0] if named else descriptor.name,
    )  # fmt: skip
    return bitol_yaml(document)


def _contract_ids(document: bytes, file: str) -> list[str]:
    """Give the id of a contract, or those that the output ports of a product name."""
    found = read(document, file).value
    ids = [each.get("contractId") for each in items(found.get("outputPorts")) if isinstance(each, Mapping)]
    given = ids if is_odps(found) else [found.get("id")]
    return list(dict.fromkeys(id for id in given if isinstance(id, str) and id))


_TABLE_DEFAULTS: Mapping[str, Any] = {
    "description": None, "null": [], "columns": [], "primaryKey": [], "unique": [], "references": [],
}  # fmt: skip


def _parsed(
    document: bytes, file: str, odcs: bytes | None, odps: bytes | None
) -> tuple[Descriptor, tuple[Violation, ...]]:
    """Read a document; a small one that was just read is not read again: a registration asks three times."""
    small = len(document) + len(odcs or b"") + len(odps or b"") <= _SMALL
    return (_remembered if small else _parse)(bytes(document), file, odcs, odps)


def _parse(
    document: bytes, file: str, odcs: bytes | None, odps: bytes | None
) -> tuple[Descriptor, tuple[Violation, ...]]:
    pair = _pair_of(document, file) if odcs is None and odps is None else None
    if pair:
        return _of_standards(None, *pair)
    source = read(document, file)
    contract = read(odcs, _beside(file, "contract.yaml")) if odcs is not None else None
    product = read(odps, _beside(file, "product.odps.yaml")) if odps is not None else None
    if is_odps(source.value) and product is None:
        return _of_standards(None, source, contract)
    if is_odcs(source.value) and contract is None:
        return _of_standards(None, product, source)
    if contract and is_odps(contract.value) and product is None and is_odcs(source.value):
        return _of_standards(None, contract, source)
    if contract or product:
        return _of_standards(source, product, contract)
    fields = Fields(source.value, (), source.faults)
    found = descriptor_values(fields)
    tables = parse_tables(fields, found.get("name", ""))
    return _descriptor(found, tables, source), source.faults.violations()


_remembered = lru_cache(maxsize=_REMEMBERED)(_parse)


def _pair_of(document: bytes, file: str) -> tuple[Source, Source] | None:
    """Read a stream of an ODPS product and its ODCS contract, in either order; nothing where it is none."""
    parts = documents_of(document)
    if len(parts) != 2:
        return None
    first = read(parts[0], file)
    second = read(parts[1], file, parts[0].count(b"\n") + 1)
    for product, contract in ((first, second), (second, first)):
        if is_odps(product.value) and is_odcs(contract.value) and not is_odps(contract.value):
            return product, contract
    return None


def _of_standards(
    own: Source | None, odps: Source | None, odcs: Source | None
) -> tuple[Descriptor, tuple[Violation, ...]]:
    """Read an ODPS product and an ODCS contract: what the `product.json` beside them leaves out, they say.

    The product goes before the contract; but where either of them closes the data, it is closed.
    """
    fixed = descriptor_values(Fields(own.value, (), own.faults)) if own else {}
    found, tables = dict(fixed), _own_tables(own, odcs, fixed)
    name = found.get("name") or _name_in(odps, odcs)
    if odps:
        if not is_odps(odps.value):
            odps.faults.add((), "odps", "this is no ODPS product: kind: DataProduct is missing")
        values = product_values(Fields(odps.value, (), odps.faults), name)
        check_ports(Fields(odps.value, (), odps.faults), odcs.value if odcs else None)
        found = _completed(found, values, odps, fixed)
        # One without a name is refused; nobody needs to read that of its contract as well.
        name = found.get("name", "unnamed")
    if odcs:
        if not is_odcs(odcs.value):
            odcs.faults.add((), "odcs", "this is no ODCS contract: apiVersion and kind are missing")
        values = contract_values(Fields(odcs.value, (), odcs.faults), name)
        tables = values.pop("tables", {})
        found = _completed(found, values, odcs, fixed)
    sources = [source for source in (own, odps, odcs) if source]
    Fields({"name": "", **found}, (), sources[0].faults).require(() if own else REQUIRED)
    descriptor = _descriptor(found, tables, *sources, odcs=odcs, odps=odps)
    return descriptor, tuple(violation for source in sources for violation in source.faults.violations())


def _own_tables(own: Source | None, odcs: Source | None, fixed: Mapping[str, Any]) -> Mapping[str, Table]:
    """Read the tables of a `product.json` that has no contract beside it."""
    if own is None:
        return {}
    if odcs is None:
        return parse_tables(Fields(own.value, (), own.faults), fixed.get("name", ""))
    if own.value.get("tables") is not None:
        message = "the tables are in contract.yaml beside this file; leave them out here"
        own.faults.add(("tables",), "tables", message, of_key=True)
    return {}


def _name_in(odps: Source | None, odcs: Source | None) -> str | None:
    """Give the name that a pair says, where the product of it has none that is legal: its contract may."""
    if odps is None or odcs is None:
        return None
    given = (odps.value.get("name"), odps.value.get("id"), odcs.value.get("dataProduct"))
    return next((each for each in given if isinstance(each, str) and fault_of_name(each, "product") is None), None)


def _completed(
    found: Mapping[str, Any], values: Mapping[str, Any], source: Source, fixed: Mapping[str, Any]
) -> dict[str, Any]:
    """Add what a further document says; `fixed` is what no further one can change."""
    fresh = {name: value for name, value in values.items() if name not in found or name == "access"}
    judged = descriptor_values(Fields(fresh, (), source.faults), required=())
    whole = {**judged, **found}
    if "access" not in fixed and judged.get("access") == "request":
        whole["access"] = "request"
    return whole


def _descriptor(
    found: Mapping[str, Any],
    tables: Mapping[str, Table],
    *sources: Source,
    odcs: Source | None = None,
    odps: Source | None = None,
) -> Descriptor:
    """Make a descriptor of what was read, the first of the sources in front; what was refused is empty."""
    given: dict[str, Any] = {**dict.fromkeys(REQUIRED, ""), **found}
    return Descriptor(
        **given,
        tables=tables,
        document=sources[0].document,
        odcs=odcs.document if odcs else None,
        odps=odps.document if odps else None,
        reported=tuple(text for source in sources for text in source.faults.reported),
    )


def _beside(file: str, name: str) -> str:
    """Name a file that stands beside another one."""
    folder, slash, _ = file.rpartition("/")
    return f"{folder}{slash}{name}"


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
