"""`thinmesh register`, `accept`, `list`, `search`, `show`, `history`, `retire`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from thinmesh.kernel.errors import Malformed, TooLarge

from . import output
from .door import Door, command
from .failures import naming

_LIMIT = click.option("--limit", type=click.IntRange(1, 1000), help="At most so many.")
_CURSOR = click.option("--cursor", help="`next` of the page before.")
# As the server: what comes in one piece.
_LARGEST = 8 << 20
_STDIN = "stdin"  # as messages call it


@command("register")
@click.argument("file")
@click.argument("contract", required=False)
def register_command(door: Door, file: str, contract: str | None) -> None:
    """Register a data product, or change its descriptor.

    FILE is a product.json, an ODCS contract or an ODPS product (JSON or YAML); - reads it from stdin. CONTRACT is the
    ODCS contract that comes with an ODPS product, or FILE has both, as a YAML stream.
    """
    if Path(file).is_dir():
        file = str(Path(file) / "product.json")
    document, beside = _document(file), _document(contract) if contract is not None else None
    first, second = (_STDIN if each == "-" else each for each in (file, contract or file))
    with door.session() as session, naming(first, ("product.json",)), naming(second, ("contract.yaml",)):
        door.show(session.register(document, None, None, beside), lambda found: _registered(door, found))


def _document(file: str) -> bytes:
    if file == "-":
        found = sys.stdin.buffer.read(_LARGEST + 1)
    else:
        try:
            with Path(file).open("rb") as source:
                found = source.read(_LARGEST + 1)
        except OSError as error:
            raise Malformed(
                f"{file} cannot be read: {error.strerror}.", help="Name a descriptor file, or - for stdin."
            ) from error
    if len(found) > _LARGEST:
        raise TooLarge(f"{file} is larger than {output.size(_LARGEST)}.", help="A descriptor is a small document.")
    return found


def _registered(door: Door, found: Any) -> str:
    product = found["product"]
    what = "registered" if found["created"] else "changed" if found["changed"] else "unchanged:"
    name = output.printable(product["name"])
    lines = [f"{what} {name} in {product['domain']}, owned by {product['owner']}, access {product['access']}"]
    lines += [f"note: {output.printable(note)}" for note in found.get("notes", ())]
    if found["created"]:
        lines.append(f"next: {door.typed(f'publish {name} FILE.csv')}")
    return "\n".join(lines)


@command("accept")
@click.argument("product")
def accept_command(door: Door, product: str) -> None:
    """Make the inferred tables of a product its contract."""
    with door.session() as session:
        door.show(session.accept(product), _accepted)


def _accepted(found: Any) -> str:
    tables = ", ".join(map(output.printable, found["product"].get("tables", {})))
    done = "accepted" if found["changed"] else "unchanged: was accepted already:"
    return f"{done} the contract of {output.printable(found['product']['name'])}: {tables}"


@command("list")
@click.option("--domain", help="Only of this domain.")
@click.option("--owner", help="Only of this team.")
@click.option("--tag", help="Only with this tag.")
@_LIMIT
@_CURSOR
def list_command(
    door: Door, domain: str | None, owner: str | None, tag: str | None, limit: int | None, cursor: str | None
) -> None:
    """List the data products."""
    with door.session() as session:
        door.show(
            session.products(domain, owner, tag, limit, cursor), lambda found: _items(found, "No products here yet.")
        )


@command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("--domain", help="Only of this domain.")
@click.option("--owner", help="Only of this team.")
@click.option("--tag", help="Only with this tag.")
@_LIMIT
@_CURSOR
def search_command(
    door: Door,
    words: tuple[str, ...],
    domain: str | None,
    owner: str | None,
    tag: str | None,
    limit: int | None,
    cursor: str | None,
) -> None:
    """Find data products by words."""
    with door.session() as session:
        found = session.search(" ".join(words), domain, owner, tag, limit, cursor)
        door.show(found, _finds)


def _finds(found: Any) -> str:
    listed = _items(found, "Nothing found. `thinmesh list` shows what there is.")
    # A server of an earlier release corrects nothing.
    corrected = found.get("corrected") or ()
    lines = [f'nothing has "{each["typed"]}"; these have "{each["meant"]}"' for each in corrected]
    return "\n".join([*map(output.printable, lines), listed])


def _items(found: Any, otherwise: str) -> str:
    rows = [
        (item["name"], item["domain"], item["owner"], item.get("access"), _described(item)) for item in found["items"]
    ]
    return output.listed(("product", "domain", "owner", "access", "description"), rows, found.get("next"), otherwise)


def _described(item: Any) -> str:
    """Give the description, marked where the product is not what it seems: a draft, or on its way out."""
    status = item.get("status")
    return f"[{status}] {item['description']}" if status in ("draft", "proposed", "deprecated") else item["description"]


@command("show")
@click.argument("product")
@click.option(
    "--format",
    type=click.Choice(["json", "odcs", "odps"]),
    help="The whole document, the ODCS contract, or the ODPS product.",
)
def show_command(door: Door, product: str, format: str | None) -> None:
    """Show a product, and how to read it."""
    from .reading import reading_lines

    with door.session() as session:
        if format in ("odcs", "odps"):
            is_contract = format == "odcs"
            content = session.contract(product) if is_contract else session.odps(product)
            _as_written(door, "contract" if is_contract else "odps", content)
            return
        found = session.show(product)
    if format == "json" and not door.as_json:
        print(json.dumps(found, indent=2, ensure_ascii=True))
        return
    door.show(found, lambda view: _shown(view) + "\n\n" + reading_lines(view, door))


def _as_written(door: Door, name: str, content: bytes) -> None:
    if door.as_json:
        is_json = content.lstrip()[:1] == b"{"
        door.show(json.loads(content) if is_json else {name: content.decode("utf-8", "replace")}, str)
        return
    sys.stdout.buffer.write(content)


def _shown(view: Any) -> str:
    product = view["product"]
    freshness = view.get("freshness") or {}
    parts = [
        output.facts(
            [
                ("product", product["name"]),
                ("domain", product["domain"]),
                ("description", product["description"]),
                ("owner", view["owner"]),
                ("access", product["access"]),
                ("version", product["version"]),
                ("status", product["status"]),
                ("deprecated", _deprecated(product.get("deprecated"))),
                ("tags", product.get("tags")),
                (
                    "published",
                    f"{view['publication']}, {freshness.get('published')}" if view.get("publication") else "not yet",
                ),
                ("freshness", _freshness(freshness)),
            ]
        )
    ]
    parts += [_table(table) for table in view["tables"]]
    return "\n\n".join(parts)


def _freshness(found: Any) -> str | None:
    if not found.get("promised"):
        return None
    verdict = {True: "kept", False: "broken", None: "not published yet"}[found.get("met")]
    return f"{found['promised']} promised, {verdict}"


def _table(table: Any) -> str:
    inferred = ", inferred: `accept` makes it a contract" if table.get("inferred") else ""
    over = _deprecated(table.get("deprecated"))
    head = f"{table['sql']}  {_extent(table)}{inferred}{f', deprecated: {over}' if over else ''}"
    columns = [
        (f"  {column['name']}", column["type"], "required" if column.get("required") else "", _about(column))
        for column in table["columns"]
    ]
    return output.printable(head) + "\n" + output.table(("  column", "type", "", "description"), columns)


def _deprecated(found: Any) -> str | None:
    """Say what to use instead, and until when; nothing where nothing is deprecated."""
    if not found:
        return None
    told = found if isinstance(found, dict) else {}
    use, until = told.get("successor"), told.get("removal")
    return "; ".join([f"use {use}"] * bool(use) + [f"removal on {until}"] * bool(until)) or "yes"


def _extent(table: Any) -> str:
    if table.get("rows") is None:
        return "size for those with a grant"
    return f"{output.plural(table['rows'], 'row')}, {output.size(table.get('bytes') or 0)}"


def _about(column: Any) -> str:
    marked = column.get("classification")
    return " ".join(part for part in (f"[{marked}]" if marked else "", column.get("description") or "") if part)


@command("history")
@click.argument("product")
@_LIMIT
@_CURSOR
def history_command(door: Door, product: str, limit: int | None, cursor: str | None) -> None:
    """List what happened to a product."""
    with door.session() as session:
        door.show(session.history(product, limit, cursor), _history)


def _history(found: Any) -> str:
    rows = [
        (item.get("at"), item.get("event"), item.get("publication"), item.get("user"), item.get("door"))
        for item in found["items"]
    ]
    return output.listed(
        ("when", "what", "publication", "who", "door"), rows, found.get("next"), "Nothing happened yet."
    )


@command("retire")
@click.argument("product")
@click.option("--successor", metavar="P", help="The product to use instead.")
def retire_command(door: Door, product: str, successor: str | None) -> None:
    """Retire a product; its name stays taken."""
    with door.session() as session:
        door.show(
            session.retire(product, successor), lambda found: f"retired {output.printable(found['product']['name'])}"
        )
