"""`/new` and `/products/{product}/publish`: from a CSV in the browser to a product, and new data for one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from starlette.responses import Response

from thinmesh.kernel.errors import Conflict, Malformed, MeshError, NotFound, NotSignedIn, Refused, Violation
from thinmesh.kernel.names import legal_table
from thinmesh.planes.product.model import Upload

from .visit import Page, Visit, segment

_ENDINGS = (".csv.gz", ".csv.zst", ".csv", ".parquet")
# Wider tables are shown, and described later in their descriptor: a form of thousands of fields helps nobody.
_EDITED = 200
_DOCUMENT = "product.json"
# What the form calls the members of the descriptor that is made of it.
_LABELS = {"name": "Name", "domain": "Domain", "description": "Description", "owner": "Team", "access": "Readers"}
_COLUMN = re.compile(r"tables\.[^.]*\.columns\[(\d+)\]")


def form(visit: Visit) -> Response:
    """Show the empty form."""
    return _form(visit, {})


def inspect(visit: Visit) -> Response:
    """Show what the files hold, to be renamed and described."""
    try:
        found = visit.platform.products.inspect(visit.caller, _named(visit.files), visit.progress)
    except MeshError as error:
        return visit.page("handing_in_faults.html", error=error, violations=())
    if found.violations:
        return visit.page("handing_in_faults.html", error=None, violations=found.violations)
    tables = [
        {**table, "name": name, "text": json.dumps(table["document"]), "edited": len(table["types"]) <= _EDITED}
        for name, table in found.tables.items()
    ]
    return visit.page("handing_in_tables.html", tables=tables, suggested=next(iter(found.tables), ""))


def register(visit: Visit) -> Response:
    """Register the product and publish its files."""
    products = visit.platform.products
    try:
        if not visit.files:
            raise Malformed("No file was handed in.", help="Drop a CSV or a Parquet file.")
        _refuse_known(visit, visit.form.get("name", "").strip())
        tables = _tables(visit.form)
        # A product is not made for files that cannot be read.
        found = products.inspect(visit.caller, _named(visit.files), visit.progress)
        if found.violations:
            raise Refused("The files cannot be taken as they are.", violations=found.violations)
        renamed = {old: new for old, (new, _) in tables.items()}
        descriptor: dict[str, Any] = {
            name: visit.form.get(name, "").strip() for name in ("name", "domain", "description", "owner", "access")
        }
        descriptor = {name: value for name, value in descriptor.items() if value}
        if any(document for _, document in tables.values()):
            descriptor["tables"] = {name: document for name, document in tables.values() if document}
        made = products.register(visit.caller, json.dumps(descriptor).encode())
    except MeshError as error:
        return _refused(visit, _of_the_form(error))
    name = made.product["name"]
    try:
        products.publish(visit.caller, name, _named(visit.files, renamed), progress=visit.progress)
    except NotSignedIn:
        raise
    except MeshError as error:
        return _refused(visit, error, registered=name)
    return visit.go(f"/products/{segment(name)}")


def _refuse_known(visit: Visit, name: str) -> None:
    """Refuse a product that is there: what the form leaves as it began would change it, and open a closed one."""
    with suppress(NotFound):
        visit.platform.products.show(visit.caller, name)
        raise Conflict(
            f"There is a product {name} already.",
            help="Take another name; new data for it is handed in on its own page, by Publish data.",
        )


def publish_form(visit: Visit) -> Response:
    """Show the form for new data of a product."""
    return _publish_page(visit, None)


def publish(visit: Visit) -> Response:
    """Publish files to a product."""
    name, mode = visit.path("product"), visit.form.get("mode", "replace")
    try:
        if not visit.form.get("new"):
            _refuse_strangers(visit, name)
        done = visit.platform.products.publish(visit.caller, name, _named(visit.files), mode, progress=visit.progress)
    except NotSignedIn:
        raise
    except MeshError as error:
        if visit.partial:
            return visit.page("handing_in_faults.html", error=error, violations=error.violations)
        return _publish_page(visit, error)
    if not done.changed:
        if visit.partial:
            return visit.page("handing_in_same.html", product=name, publication=done.publication)
        return _publish_page(visit, None, done.publication)
    return visit.go(f"/products/{segment(name)}")


def _refuse_strangers(visit: Visit, product: str) -> None:
    """Refuse files that would make new tables: browsers save a file once more as `orders (1).csv`."""
    known = {table["name"] for table in visit.platform.products.show(visit.caller, product).tables}
    names = {file.name: file.name.partition(".")[0] for file in _named(visit.files)}
    strangers = [Violation(f"{table} is no table of {product}", "table", file) for file, table in names.items()]
    faults = [each for each, table in zip(strangers, names.values(), strict=True) if table not in known]
    if known and faults:
        raise Refused(
            f"Not every file is called after a table of {product}.",
            help="Rename it, or say below that it is a new table.",
            violations=faults,
        )


def _form(visit: Visit, typed: Mapping[str, str], error: MeshError | None = None, registered: str = "") -> Response:
    teams = [visit.platform.identity.team(visit.caller, name) for name in sorted(visit.caller.teams)]
    status = error.status if error else 200
    return visit.page("new.html", status, teams=teams, typed=typed, error=error, registered=registered)


def _of_the_form(error: MeshError) -> MeshError:
    """Say of faults in the descriptor in which field they are: whoever fills in a form never saw a document."""
    if not any((each.file or "").endswith(_DOCUMENT) for each in error.violations):
        return error
    found = [_of_a_field(each) for each in error.violations]
    return type(error)("The form cannot be taken as it is.", help=error.help, violations=found)


def _of_a_field(fault: Violation) -> Violation:
    path = fault.column or ""
    column = _COLUMN.match(path)
    place = f"Table {fault.table}" if fault.table else _LABELS.get(path, path)
    if column:
        place += f", column {int(column[1]) + 1}"
    return Violation(f"{place}: {fault.message}" if place else fault.message, fault.rule)


def _refused(visit: Visit, error: MeshError, registered: str = "") -> Response:
    if visit.partial:
        return visit.page("handing_in_faults.html", error=error, violations=error.violations, registered=registered)
    return _form(visit, visit.form, error, registered)


def _publish_page(visit: Visit, error: MeshError | None, same: str | None = None) -> Response:
    name = visit.path("product")
    visit.platform.products.require_publisher(visit.caller, name)
    shown = visit.platform.products.show(visit.caller, name)
    status = error.status if error else 200
    return visit.page("publish.html", status, shown=shown, product=shown.product, error=error, same=same)


def _named(files: Sequence[Upload], renamed: Mapping[str, str] | None = None) -> list[Upload]:
    """Name each file as a table: people's files are called `My Data (2).csv`."""
    found = []
    for file in files:
        name = PurePosixPath(file.name).name
        ending = next((each for each in _ENDINGS if name.lower().endswith(each)), None)
        if ending is None:
            found.append(file)  # the operation says what is wrong with it
            continue
        table = legal_table(name[: -len(ending)])
        found.append(replace(file, name=(renamed or {}).get(table, table) + ending))
    return found


def _tables(form: Mapping[str, str]) -> dict[str, tuple[str, dict[str, Any] | None]]:
    """Read what became of each inferred table: its new name, and a contract where anything of it was said.

    A table of which nothing was said stays inferred: later data may widen it.
    """
    found: dict[str, tuple[str, dict[str, Any] | None]] = {}
    for number in range(len(form)):
        text = form.get(f"table.{number}")
        if text is None:
            break
        table = _document(text)
        old = str(form.get(f"table.{number}.was", ""))
        name = form.get(f"table.{number}.name", "").strip() or old
        found[old] = (name, _said(table, form, number))
    return found


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
        columns = found["columns"]
        plain = all(isinstance(column["name"], str) for column in columns)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Malformed("The form was changed on its way.", help="Choose the file again.") from error
    if not plain:
        raise Malformed("The form was changed on its way.", help="Choose the file again.")
    document: dict[str, Any] = found
    return document


def _said(table: dict[str, Any], form: Mapping[str, str], number: int) -> dict[str, Any] | None:
    """Put what was typed into a table's document; None where nothing was."""
    said = False
    table.pop("inferred", None)  # what a person describes is declared
    description = form.get(f"table.{number}.description", "").strip()
    if description:
        table["description"], said = description, True
    names = {}
    for place, column in enumerate(table["columns"]):
        base = f"table.{number}.{place}"
        name, about = form.get(f"{base}.name", "").strip(), form.get(f"{base}.description", "").strip()
        names[column["name"]] = name or column["name"]
        if name and name != column["name"]:
            column.setdefault("physicalName", column["name"])
            column["name"], said = name, True
        if about:
            column["description"], said = about, True
    key = form.get(f"table.{number}.key", "")
    if key in names:
        table["primaryKey"], said = [names[key]], True
    return table if said else None


def _may_begin(visit: Visit) -> None:
    visit.platform.products.require_newcomer(visit.caller)


def _may_publish(visit: Visit) -> None:
    visit.platform.products.require_publisher(visit.caller, visit.path("product"))


PAGES = (
    Page("/new", form),
    Page("/new", register, ("POST",), _may_begin),
    Page("/new/inspect", inspect, ("POST",), _may_begin),
    Page("/products/{product}/publish", publish_form),
    Page("/products/{product}/publish", publish, ("POST",), _may_publish),
)
