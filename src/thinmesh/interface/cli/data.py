"""`thinmesh check`, `publish`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from thinmesh.interface.client.files import parts_of
from thinmesh.interface.client.session import Session
from thinmesh.kernel.errors import Example, NotFound, Violation

from . import output
from .door import Door, command
from .failures import violation_line


@command("publish")
@click.argument("product")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--mode",
    type=click.Choice(["replace", "append"]),
    default="replace",
    show_default=True,
    help="Put the files in the place of the tables' data, or after it.",
)
@click.option("--again", is_flag=True, help="Append even where the same file was appended before.")
def publish_command(door: Door, product: str, files: tuple[str, ...], mode: str, again: bool) -> None:
    """Publish data files as one atomic load.

    FILE is <table>.csv, .csv.gz, .csv.zst or .parquet; a folder <table>/ is one table of several files.
    """
    with door.session() as session, door.progress() as progress:
        parts = parts_of(files, product, _tables(session, product))
        found = session.publish(product, parts, mode, again, progress)
    door.show(found, lambda done: _published(product, done))


def _tables(session: Session, product: str) -> list[str]:
    """Name the product's tables; only needed where a file lies in a folder that may be a table's."""
    try:
        return [table["name"] for table in session.show(product)["tables"]]
    except NotFound:
        return []


def _published(product: str, found: Any) -> str:
    if not found["changed"]:
        return f"unchanged: {output.printable(product)} has this data already ({found['publication']})"
    lines = [
        f"published {output.printable(product)} {found['publication']}: "
        + ", ".join(
            f"{output.printable(name)} {output.plural(load['rows'], 'row')} ({output.size(load['bytes'])})"
            for name, load in found["tables"].items()
        )
    ]
    lines += [f"note: {output.printable(note)}" for note in found.get("notes", ())]
    lines += [
        f"{each['type']}: {each['state']} {each['reason']}" for each in found["conditions"] if each["state"] != "done"
    ]
    return "\n".join(lines)


@command("check")
@click.argument("names", nargs=-1, required=True, metavar="[PRODUCT] FILE...")
@click.option("--contract", metavar="ODCS.yaml", help="Check against this contract; no platform is needed.")
def check_command(door: Door, names: tuple[str, ...], contract: str | None) -> int:
    """Check data files against a contract, and change nothing.

    PRODUCT is a registered product; with --contract, only files are named. Faults found: exit code 1.
    """
    if contract is None and len(names) < 2:
        raise click.UsageError("Name a product and its files, or files with --contract.")
    with door.progress() as progress:
        if contract is not None:
            from .standalone import check_files

            found = check_files(Path(contract), names, progress)
        else:
            product, files = names[0], names[1:]
            with door.session() as session:
                found = session.check(product, parts_of(files, product, _tables(session, product)), progress)
    door.show(found, _verdict)
    return 0 if found["ok"] else 1


def _verdict(found: Any) -> str:
    lines = [violation_line(_violation(each)) for each in found["violations"]]
    rows = output.plural(found["rows"], "row")
    faults = sum(each["count"] for each in found["violations"])
    if found["ok"]:
        lines.append(f"ok: {rows}, no faults")
    else:
        lines.append(f"{output.plural(faults, 'fault')} of {output.plural(len(lines), 'kind')} in {rows}")
    for table in found.get("tables", {}).values():
        lines += [f"note: {output.printable(note)}" for note in table.get("notes", ())]
    lines += [f"not checked: {output.printable(each)}" for each in found["not_checked"]]
    lines += [f"measured: {violation_line(_violation(each))}" for each in found.get("measured", ())]
    return "\n".join(lines)


def _violation(found: Any) -> Violation:
    examples = tuple(Example(each["line"], each["value"], each.get("position")) for each in found["examples"])
    return Violation(
        found["message"], found["rule"], found["file"], found["table"], found["column"], found["count"], examples
    )
