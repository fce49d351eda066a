"""The crash suite's driver: it knows what was acknowledged, kills in the middle of the next thing, and compares."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.running import environment
from tests.torture.nursery import text_of

KINDS = (
    "register",
    "publish_git",
    "publish_lake",
    "append",
    "retire",
    "access",
    "grant",
    "revoke",
    "rebuild",
    "backup",
    "vacuum",
    "push",
)
ROOT = Path(__file__).parents[2]
WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "ada"), ("EMAIL", "ada@example.org"))
}
# A mount namespace of one's own; as an ordinary user inside a user namespace (unshare(1), user_namespaces(7)).
APART = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
APART += ["sh", "-c"]
MOUNT = 'mount -t tmpfs -o size=256m tmpfs "$0" && exec "$@"'
# What a client is told of a push that cannot be stored: by git itself, or by the mesh.
_NOT_NOW = ("(unpacker error)", "the disk is full", "(temporarily not available)", "ry again")
_PROJECTIONS = ("index", "catalog_file", "data", "events")


class Nursery:
    """The process that forks lives."""

    def __init__(self, disk: Path | None = None) -> None:
        """Start it; with a small file system of its own at `disk`, which nobody else sees."""
        command = [sys.executable, "-m", "tests.torture.nursery"]
        self._process = subprocess.Popen(
            [*APART, MOUNT, str(disk), *command] if disk else command,
            cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "ignore", **({"TMPDIR": str(disk)} if disk else {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self, life: str, **command: Any) -> dict[str, Any]:
        """Run one life to its end."""
        self.start(life, **command)
        return self.end()

    def start(self, life: str, **command: Any) -> None:
        """Begin a life, and do something beside it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"life": life, **command}) + "\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, Any]:
        """Wait for the end of the life that was begun."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery ended"
        found: dict[str, Any] = json.loads(line)
        merged: dict[str, Any] = {}
        for said in found.pop("said"):
            merged |= said
        return {**found, **merged}

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait(30)
        self._process.stdout.close()  # type: ignore[union-attr]


@dataclass
class World:
    """What the mesh holds, as far as callers were told."""

    products: dict[str, dict[str, Any]] = field(default_factory=dict)
    grants: set[str] = field(default_factory=set)

    def after(self, kind: str, command: Mapping[str, Any]) -> World:
        """Give the world in which an action has happened."""
        world = copy.deepcopy(self)
        name = command.get("product", "")
        match kind:
            case "register":
                world.products[name] = {"status": "active", "access": command["access"], "rows": [], "publications": 0}
            case "publish_git" | "publish_lake" | "append" | "push":
                product = world.products[name]
                present = product["rows"] if kind == "append" else []
                product["rows"] = sorted([*present, *command["rows"]])
                product["publications"] += 1
                product["lake"] = product.get("lake", False) or command["packed"] or product["access"] != "open"
            case "access":
                world.products[name]["access"] = command["access"]
            case "retire":
                world.products[name]["status"] = "retired"
                world.grants.discard(name)
            case "grant":
                world.grants.add(name)
            case "revoke":
                world.grants.discard(name)
        return world


class Story:
    """A home, what was acknowledged on it, and a seeded series of things to do.

    What a git client has, and what is handed in, lies in `outside`, where the home has a disk of its own.
    """

    def __init__(self, folder: Path, nursery: Nursery, seed: int, outside: Path | None = None) -> None:
        self.home = folder / "home"
        self._nursery = nursery
        self._random = random.Random(seed)
        self._lines: dict[str, int] = {}
        self._number = 0
        self._outside = outside or folder
        self._clone = Clone(self._outside / "clone")
        self.world = World()
        made = nursery.live("found", home=str(self.home))
        assert made.get("acknowledged"), made

    def step(self, kind: str) -> bool:
        """Do one thing of a kind and be killed in it; start again and compare. Tells whether the kill hit."""
        command = self._command(kind)
        act = self._push if kind == "push" else self._act
        # Each projection takes its own number of lines.
        what = command.get("projection", kind)
        if what not in self._lines:
            done = act(command, 0)
            assert not done["killed"], done
            self._lines[what] = done["lines"]
            self._compare(kind, command, acknowledged=True)
            command = command if "projection" in command else self._command(kind)
        done = act(command, self._fatal(what))
        assert done["killed"] or done.get("acknowledged"), done
        self._compare(kind, command, acknowledged=done.get("acknowledged", False))
        return bool(done["killed"])

    def asked(self) -> int:
        """Hold what SQL answers to an owner and to a stranger against what was acknowledged; give how much that was."""
        found = self._nursery.live("ask", home=str(self.home))
        for user in ("ada", "ben"):
            wanted = {name: self._answer(user, name) for name in self.world.products}
            assert found[user] == wanted, f"SQL answers {user} otherwise"
        return len(self.world.products)

    def _answer(self, user: str, name: str) -> Any:
        """Give the rows that a user may read of a product, or the code of the refusal."""
        product = self.world.products[name]
        if product["status"] == "retired":
            return "retired"
        if product["access"] != "open" and user == "ben" and name not in self.world.grants:
            return "not_allowed"
        return product["rows"]

    def full_disk(self, kind: str, number: int, points: int) -> bool:
        """Do one thing of a kind with little room left; it is done, or refused as temporary and nothing changed.

        The points are spread from next to no room to room for all, so that few of them meet both. Tells whether it was
        refused.
        """
        command = self._command(kind)
        leave = int(2 ** (10 + 10 * (number + self._random.random()) / points))
        return self._limited(kind, command, leave=leave)

    def full_disk_in_data(self, kind: str) -> bool:
        """Publish so many rows that the disk is full somewhere in the middle of their files; tells as `full_disk`."""
        command = self._command(kind)
        rows = [[number, f"{self._random.getrandbits(96):x}"] for number in range(30_000)]
        command |= {"rows": rows}
        # 800 kB of Parquet, and the CSV's object beside it: there is room for all from 1.4 MB on (tried).
        leave = int(self._random.uniform(50_000, 2_000_000))
        return self._limited(kind, command, leave=leave)

    def read_only(self, kind: str, part: str) -> bool:
        """Do one thing of a kind while a part of the home is read-only; tells whether it was refused, as temporary."""
        return self._limited(kind, self._command(kind), shut=str(self.home / part))

    def _limited(self, kind: str, command: Mapping[str, Any], **limit: Any) -> bool:
        if kind == "push":
            done = self._push(command, 0, **limit)
            if not done["acknowledged"]:
                assert any(each in self._clone.told for each in _NOT_NOW), self._clone.told
                assert str(self.home) not in self._clone.told
                done["refused"] = "temporary"
        else:
            done = self._nursery.live("act", home=str(self.home), uploads=str(self._outside), **limit, **command)
        assert done.get("acknowledged") or done.get("refused") == "temporary", (kind, limit, done)
        self._compare(kind, command, acknowledged=done.get("acknowledged", False))
        return "refused" in done

    def restored(self, folder: Path, points: int) -> int:
        """Restore a backup into an empty folder, with room for a part of it; it is a home, or nothing is there.

        Gives how often there was too little room.
        """
        command = self._command("backup") | {"file": str(self._outside / "backup")}
        self._do("backup", command)
        home = folder / "home"
        whole = self._nursery.live("restore", home=str(home), file=command["file"])["bytes"]
        refused = 0
        for number in range(points):
            # The points are spread over all that it writes.
            leave = int(whole * (number + self._random.random()) / points)
            done = self._nursery.live("restore", home=str(home), file=command["file"], leave=leave)
            if not done.get("acknowledged"):
                assert (done["refused"], done["left"]) == ("temporary", []), done
                refused += 1
        assert self._nursery.live("restore", home=str(home), file=command["file"])["acknowledged"]
        self.home = home
        self._compare("restore", command, acknowledged=True)
        return refused

    def mend(self, part: str) -> list[str]:
        """Do what doctor names while a part is read-only; give the commands. Nothing may be left to name."""
        done = self._nursery.live("mend", home=str(self.home), shut=str(self.home / part))
        assert done["left"] == [], done
        told: list[str] = done["told"]
        return told

    def _act(self, command: Mapping[str, Any], line: int) -> dict[str, Any]:
        return self._nursery.live("act", home=str(self.home), line=line, **command)

    def _push(self, command: Mapping[str, Any], line: int, **limit: Any) -> dict[str, Any]:
        """Push a table's rows with a stock git client, to a server that is killed or limited meanwhile."""
        ready = self._outside / "ready"
        ready.unlink(missing_ok=True)
        self._nursery.start("serve", home=str(self.home), line=line, ready=str(ready), **limit)
        pushed = False
        while not ready.exists():
            time.sleep(0.01)
        served = json.loads(ready.read_text())
        try:
            pushed = self._clone.push(served["url"], served["token"], f"d/{command['product']}", command["rows"])
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(served["pid"], signal.SIGTERM)
            done = self._nursery.end()
        return {**done, "acknowledged": pushed}

    def _fatal(self, what: str) -> int:
        """Draw the line at which to be killed; the end, where things become durable, as often as all before."""
        last = self._lines[what]
        return self._random.randint(1, last) if self._random.random() < 0.5 else self._random.randint(last // 2, last)

    def _compare(self, kind: str, command: Mapping[str, Any], acknowledged: bool) -> None:
        """Hold what is there against what was acknowledged; what was not may be there, whole, or not at all."""
        found = self._nursery.live("observe", home=str(self.home))
        assert "products" in found, f"the home does not start after {kind}"
        before, after = self.world, self.world.after(kind, command)
        worlds = [after] if acknowledged else [before, after]
        faults = [differences(world, found) for world in worlds]
        shown = {name: value for name, value in command.items() if name != "rows"}
        assert [] in faults, f"{kind} {shown} acknowledged={acknowledged}: {faults[-1]}"
        self.world = worlds[faults.index([])]

    def _command(self, kind: str) -> dict[str, Any]:
        self._number += 1
        match kind:
            case "register":
                access = self._random.choice(["open", "request"])
                return {"action": "register", "product": f"p{self._number}", "access": access}
            case "publish_git" | "publish_lake" | "append" | "push":
                return self._publication(kind)
            case "retire":
                return {"action": "retire", "product": self._any("open", fresh=True)}
            case "access":
                before, after = self._random.sample(["open", "request"], 2)
                return {"action": "register", "product": self._any(before, fresh=True), "access": after}
            case "grant":
                return {"action": "grant", "product": self._any("request", fresh=True)}
            case "revoke":
                name = self._random.choice(sorted(self.world.grants)) if self.world.grants else self._granted()
                return {"action": "revoke", "product": name}
            case "rebuild":
                self._furnish()
                return {"action": "rebuild", "projection": self._random.choice(_PROJECTIONS)}
            case "rebuild_warehouse":
                return {"action": "rebuild", "projection": "warehouse"}
            case "vacuum":
                for _ in range(2):  # something that is superseded
                    self._do("publish_lake", self._publication("publish_lake"))
                return {"action": "vacuum", "days": 30}
        self._furnish()
        return {"action": "backup", "file": str(self.home.parent / f"backup-{self._number}")}

    def _furnish(self) -> None:
        """Have something of every kind: an empty mesh is soon rebuilt."""
        if self.world.products:
            return
        for kind in ("publish_git", "publish_lake", "append"):
            self._number += 1
            self._do(kind, self._publication(kind))
        self._granted()
        self._do("retire", {"action": "retire", "product": self._any("open", fresh=True)})

    def _publication(self, kind: str) -> dict[str, Any]:
        packed = kind == "publish_lake"
        name = self._any("open", fresh=False, lake=None if kind == "append" else packed)
        base = self._number * 1000
        rows = [[base + at, f"n{self._random.randint(0, 9)}"] for at in range(self._random.randint(1, 40))]
        mode = "append" if kind == "append" else "replace"
        lake = packed or self.world.products[name].get("lake", False)
        return {"action": "publish", "product": name, "rows": rows, "mode": mode, "packed": lake}

    def _any(self, access: str, fresh: bool, lake: bool | None = None) -> str:
        """Give a product of that kind that is there; a new one where there is none, or a `fresh` one is wanted."""
        fitting = [
            name
            for name, product in sorted(self.world.products.items())
            if product["status"] == "active"
            and product["access"] == access
            and lake in (None, product.get("lake", False))
            and not (fresh and (product["publications"] or name in self.world.grants))
        ]
        return self._random.choice(fitting[-3:]) if fitting else self._made(access)

    def _made(self, access: str) -> str:
        self._number += 1
        command = {"action": "register", "product": f"p{self._number}", "access": access}
        self._do("register", command)
        return str(command["product"])

    def _granted(self) -> str:
        name = self._any("request", fresh=True)
        self._do("grant", {"action": "grant", "product": name})
        return name

    def _do(self, kind: str, command: Mapping[str, Any]) -> None:
        """Do something to its end."""
        done = self._nursery.live("act", home=str(self.home), **command)
        assert done.get("acknowledged"), done
        self.world = self.world.after(kind, command)


class Clone:
    """Somebody's clone: it always begins anew from what `main` is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.told = ""  # by git, at last

    def push(self, url: str, token: str, folder: str, rows: list[list[Any]]) -> bool:
        """Replace a table by rows; tell whether git said that it was taken."""
        address = url.replace("http://", f"http://x:{token}@") + "/git/data.git"
        if not self._path.exists():
            self._git("init", "--quiet", str(self._path), folder=self._path.parent)
        if self._git("fetch", "--quiet", address, "main") or self._git("reset", "--quiet", "--hard", "FETCH_HEAD"):
            return False
        table = self._path / folder
        shutil.rmtree(table / "t", ignore_errors=True)
        table.mkdir(parents=True, exist_ok=True)
        (table / "t.csv").write_text(text_of(rows))
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "Rows")
        return self._git("push", "--quiet", address, "HEAD:refs/for/main") == 0

    def _git(self, *arguments: str, folder: Path | None = None) -> int:
        done = subprocess.run(
            ["git", *arguments], cwd=folder or self._path, env=environment(**WHO), capture_output=True, check=False
        )
        self.told = done.stderr.decode()
        return done.returncode


def differences(world: World, found: Mapping[str, Any]) -> list[str]:
    """Say everything in which a mesh differs from what it should be."""
    faults = [f"doctor: {invariant}: {detail}" for invariant, detail in found["broken"]]
    for name in sorted({*world.products, *found["products"]}):
        faults += _differences_of(name, world.products.get(name), found["products"].get(name))
    active = {name: each["access"] for name, each in world.products.items() if each["status"] == "active"}
    if found["catalog"] != active:
        faults.append(f"data_catalog.csv has {found['catalog']}, not {active}")
    granted = sorted(product for product, _ in found["grants"])
    if granted != sorted(world.grants):
        faults.append(f"granted are {granted}, not {sorted(world.grants)}")
    return faults


def _differences_of(name: str, wanted: Mapping[str, Any] | None, found: Mapping[str, Any] | None) -> list[str]:
    if wanted is None or found is None:
        return [f"{name} is {'there' if found else 'lost'}"]
    faults = [f"{name}: {what} {found[what]!r}" for what in ("status", "access") if wanted[what] != found[what]]
    if found["rows"] != wanted["rows"] or found["written"] != wanted["rows"]:
        faults.append(
            f"{name}: {len(wanted['rows'])} rows, found {len(found['rows'])}, {len(found['written'])} written"
        )
    if found["publications"] != list(range(1, wanted["publications"] + 1)):
        faults.append(f"{name}: publications {found['publications']}, not {wanted['publications']}")
    if found["folder"] != (wanted["status"] == "active"):
        faults.append(f"{name}: its folder is {'there' if found['folder'] else 'gone'}")
    return faults
