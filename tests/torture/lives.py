"""What a life does: one action of a producer, a consumer or the platform team, or a look at what is there."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb  # noqa: F401  (imported before the fork, and so once)
import pyarrow.parquet as pq
import pygit2  # noqa: F401

import thinmesh.adapters.duckdb.check.checker
import thinmesh.adapters.duckdb.query.engine
import thinmesh.adapters.git.door
import thinmesh.adapters.iceberg.tables
import thinmesh.interface.cli
import thinmesh.interface.cli.up
import thinmesh.interface.http.app
import thinmesh.interface.http.server  # noqa: F401
from tests.torture.nursery import Lines, text_of
from thinmesh.bootstrap import Platform, init_home, open_home, restore_home
from thinmesh.kernel.clock import utc_now
from thinmesh.kernel.errors import MeshError, Temporary
from thinmesh.kernel.policy import Principal
from thinmesh.planes.product.model import Upload

CONTRACT = {"t": {"columns": {"id": "integer", "name": "string"}, "primaryKey": ["id"]}}


def found(command: dict[str, Any], _lines: Lines, tell: Callable[..., None]) -> None:
    """Make a home with a team, a member of it and a stranger, and their tokens beside it."""
    home = Path(command["home"])
    init_home(home)
    platform = open_home(home)
    admin = platform.identity.principal_of_home()
    platform.identity.create_team(admin, "team", ["d"])
    for user in ("ada", "ben"):
        platform.identity.add_user(admin, user)
        (home.parent / f"{user}.token").write_text(platform.identity.new_token(admin, user).token)
    platform.identity.add_member(admin, "team", "ada")
    platform.close()
    tell(acknowledged=True)


@contextmanager
def little_room(place: Path, leave: int | None) -> Iterator[None]:
    """Fill the file system of a folder up to so many bytes, until the block ends."""
    filler = place / "filler"
    try:
        if leave is not None:
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(shutil.disk_usage(place).free - leave, 1))
        yield
    finally:
        filler.unlink(missing_ok=True)


@contextmanager
def read_only(part: str | None) -> Iterator[None]:
    """Mount a folder read-only until the block ends; rights would not bind who runs the tests as root."""
    if part is None:
        yield
        return
    for arguments in (["--bind", part, part], ["-o", "remount,bind,ro", part]):
        subprocess.run(["mount", *arguments], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", part], check=True)


def act(command: dict[str, Any], lines: Lines, tell: Callable[..., None]) -> None:
    """Do one thing on a home, as its owner, and say when it is acknowledged."""
    lines.watch()
    home = Path(command["home"])
    try:
        with little_room(home.parent, command.get("leave")), read_only(command.get("shut")):
            later = timedelta(days=command.get("days", 0))
            awake = itertools.count(0, 86_400)
            platform = open_home(home, clock=lambda: utc_now() + later, monotonic=lambda: next(awake))
            try:
                tell(acknowledged=True, result=ACTIONS[command["action"]](platform, command))
            finally:
                platform.close()
    except MeshError as error:
        tell(refused=error.code, detail=error.detail)
    tell(lines=lines.count)


def serve(command: dict[str, Any], lines: Lines, tell: Callable[..., None]) -> None:
    """Serve the home as `up` does; lines count, and the disk is full or read-only, from when it is ready."""
    from thinmesh.interface.http.app import create_app
    from thinmesh.interface.http.server import serve as run

    lines.counting = False
    lines.watch()
    home = Path(command["home"])
    platform = open_home(home, mode="serve")
    platform.start()

    def ready(url: str) -> None:
        limits.enter_context(little_room(home.parent, command.get("leave")))
        limits.enter_context(read_only(command.get("shut")))
        lines.counting = True
        draft = Path(command["ready"] + ".draft")
        draft.write_text(json.dumps({"url": url, "pid": os.getpid(), "token": _token(platform, "ada")}))
        draft.replace(command["ready"])

    with ExitStack() as limits:
        run(platform, create_app(platform, platform.git_bridge), host="127.0.0.1", port=0, ready=ready)
        platform.close()
    tell(lines=lines.count)


def mend(command: dict[str, Any], _lines: Lines, tell: Callable[..., None]) -> None:
    """Look at a home of which a part is read-only as doctor does, do the one thing that it names, and look again."""
    home = Path(command["home"])
    with read_only(command["shut"]):
        told = _named(home)
        for line in told:
            subprocess.run(shlex.split(line), check=True)
        tell(told=told, left=_named(home))


def restore(command: dict[str, Any], _lines: Lines, tell: Callable[..., None]) -> None:
    """Make a home from a backup in a folder of its own, with little room left; tell how much it takes, or why not."""
    home = Path(command["home"])
    shutil.rmtree(home.parent, ignore_errors=True)
    home.parent.mkdir()
    before = shutil.disk_usage(home.parent).free
    try:
        with little_room(home.parent, command.get("leave")):
            restore_home(home, Path(command["file"]))
        tell(acknowledged=True, bytes=before - shutil.disk_usage(home.parent).free)
    except MeshError as error:
        tell(refused=error.code, detail=error.detail, left=[each.name for each in home.parent.iterdir()])


def _named(home: Path) -> list[str]:
    """Give the commands that doctor names, or the error that keeps it from looking."""
    try:
        platform = open_home(home, mode="read")
    except MeshError as error:
        return [error.help.removeprefix("Make it writable: ").removesuffix(".")]
    try:
        found = platform.operations.doctor(platform.identity.principal_of_home(), False).findings
        return sorted({each.heal for each in found if each.state == "broken"})
    finally:
        platform.close()


def observe(command: dict[str, Any], _lines: Lines, tell: Callable[..., None]) -> None:
    """Start on the home as `up` does, let what follows follow, and tell everything there is to see."""
    # What could not be written while the disk was full waits for some seconds before it is tried again.
    platform = open_home(Path(command["home"]), mode="serve", clock=lambda: utc_now() + timedelta(minutes=5))
    try:
        platform.git_door.start()
        platform.follow()
        admin = platform.identity.principal_of_home()
        grants = platform.exchange.grants(admin, limit=1000).items
        diagnosis = platform.operations.doctor(admin, False)
        tell(
            products={name: _product(platform, name) for name in _names(platform)},
            grants=sorted([each["product"], each["user"]] for each in grants),
            catalog=_catalog(platform),
            broken=[[each.invariant, each.detail] for each in diagnosis.findings if each.state == "broken"],
        )
    finally:
        platform.close()


def ask(command: dict[str, Any], _lines: Lines, tell: Callable[..., None]) -> None:
    """Tell what SQL gives of every product's table to a member of the owner's team and to a stranger."""
    platform = open_home(Path(command["home"]), mode="serve")
    try:
        platform.follow()
        tell(**{user: {name: _selected(platform, user, name) for name in _names(platform)} for user in ("ada", "ben")})
    finally:
        platform.close()


def _selected(platform: Platform, user: str, name: str) -> Any:
    """Give the rows, or the code of the refusal."""
    who = platform.identity.authenticate(_token(platform, user))
    try:
        answer = platform.queries.run(who, f"SELECT id, name FROM {name}.t ORDER BY id").read()
    except MeshError as error:
        return error.code
    return json.loads(answer)["rows"]


def _names(platform: Platform) -> list[str]:
    names = set()
    for entry in platform.ledger.entries():
        names |= {change.product for change in entry.changes}
    return sorted(names)


def _product(platform: Platform, name: str) -> dict[str, Any]:
    with platform.database.read() as tx:
        product = platform.index.product(tx, name)
        publications = platform.index.publications(tx, name, 1000, None)
    assert product is not None, f"the index does not know {name}, which the log has"
    rows, written = [], []
    for state in product.tables.values():
        for file in state.files:
            rows += [list(row.values()) for row in pq.read_table(platform.location.path(file)).to_pylist()]
        if state.in_git and product.status != "retired":
            written += _written(platform, product.folder)
        else:
            written = rows
    return {
        "status": product.status,
        "access": product.access,
        "publications": sorted(int(each["publication"][1:]) for each in publications),
        "rows": sorted(rows),
        "written": sorted(written),
        "folder": bool(platform.data.files(platform.data.tip(), product.folder)),
    }


def _written(platform: Platform, folder: str) -> list[list[Any]]:
    """Read the CSVs that lie on `main`."""
    found = []
    for path, file in platform.data.files(platform.data.tip(), folder).items():
        if path.endswith(".csv"):
            lines = csv.DictReader(io.StringIO(bytes(platform.data.read(file.id)).decode()))
            found += [[int(row["id"]), row["name"]] for row in lines]
    return found


def _catalog(platform: Platform) -> dict[str, str]:
    file = platform.data.file(platform.data.tip(), "data_catalog.csv")
    text = bytes(platform.data.read(file.id)).decode() if file else ""
    return {row["name"]: row["access"] for row in csv.DictReader(io.StringIO(text))}


# Actions -----------------------------------------------------------------------------------------------------------


def _ben(platform: Platform) -> Principal:
    return platform.identity.authenticate(_token(platform, "ben"))


def _token(platform: Platform, user: str) -> str:
    return (platform.home.parent / f"{user}.token").read_text()


def _register(platform: Platform, command: dict[str, Any]) -> Any:
    document = {
        "name": command["product"],
        "domain": "d",
        "description": "Tortured",
        "owner": "team",
        "access": command["access"],
        "tables": CONTRACT,
    }
    done = platform.products.register(platform.identity.principal_of_home(), json.dumps(document).encode())
    return done.changed


def _publish(platform: Platform, command: dict[str, Any]) -> Any:
    text = text_of(command["rows"]).encode()
    packed = command["packed"]
    path = Path(command.get("uploads", platform.home.parent)) / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(text) if packed else text)
    who = platform.identity.principal_of_home()
    return platform.products.publish(who, command["product"], [Upload(path.name, path)], command["mode"]).publication


def _retire(platform: Platform, command: dict[str, Any]) -> Any:
    return platform.products.retire(platform.identity.principal_of_home(), command["product"]).changed


def _grant(platform: Platform, command: dict[str, Any]) -> Any:
    asked = platform.exchange.request(_ben(platform), command["product"], "to see", "P1D")
    return platform.exchange.approve(platform.identity.principal_of_home(), asked.id).id


def _revoke(platform: Platform, command: dict[str, Any]) -> Any:
    admin = platform.identity.principal_of_home()
    for grant in platform.exchange.grants(admin, command["product"]).items:
        platform.exchange.revoke(admin, grant["id"])
    return True


def _rebuild(platform: Platform, command: dict[str, Any]) -> Any:
    return platform.operations.rebuild(platform.identity.principal_of_home(), command["projection"]).failed


def _backup(platform: Platform, command: dict[str, Any]) -> Any:
    done = platform.operations.backup(platform.identity.principal_of_home(), Path(command["file"]))
    return done.file


def _vacuum(platform: Platform, _command: dict[str, Any]) -> Any:
    platform.follow()
    outcomes = [*platform.maintenance.maintain(everything=True), *platform.maintenance.maintain(everything=True)]
    # A step that fails says so and is tried again; here nothing but a disk that cannot be written may be why.
    if faults := [each.error for each in outcomes if each.error]:
        assert [each for each in faults if "ead-only" not in each and "is full" not in each] == []
        # Half of a pack would keep the disk full until the next start.
        assert [str(path) for path in platform.home.glob("*.git/objects/pack/*tmp[_-]*")] == []
        raise Temporary(faults[0])
    return sum(each.count for each in outcomes)


ACTIONS: dict[str, Callable[[Platform, dict[str, Any]], Any]] = {
    "register": _register,
    "publish": _publish,
    "retire": _retire,
    "grant": _grant,
    "revoke": _revoke,
    "rebuild": _rebuild,
    "backup": _backup,
    "vacuum": _vacuum,
}
LIVES: dict[str, Callable[[dict[str, Any], Lines, Callable[..., None]], None]] = {
    "found": found,
    "act": act,
    "serve": serve,
    "mend": mend,
    "restore": restore,
    "observe": observe,
    "ask": ask,
}
