"""Weeks in minutes: a served home by a clock that leaps; what it takes of the machine is what it holds, not its age."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.integration.running import environment
from tests.torture.served import PATIENCE, csv_of, descriptor, packed
from tests.torture.soaking import Lead
from thinmesh.bootstrap import init_home, open_home

LONG = int(os.environ.get("THINMESH_TORTURE_POINTS", "22")) >= 100
DAYS, PER_DAY = (60, 24) if LONG else (13, 3)
STEP = timedelta(days=1) / PER_DAY
WARM = 9  # days until the first data files have gone, and everything was used
ROOT = Path(__file__).parents[2]


class Soak:
    """A home, its server, and what its users do day by day."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.folder = folder
        admin = init_home(self.home).admin_token
        self.lead = Lead(folder / "lead")
        command = [sys.executable, "-m", "tests.torture.soaking", str(self.home), str(folder / "lead")]
        self.log = (folder / "stderr.log").open("w")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        line = self.process.stdout.readline()
        assert line, (folder / "stderr.log").read_text()
        self.url = json.loads(line)["url"]
        self.admin = self.caller(admin)
        self.number = itertools.count(1)
        self.stamped: set[Path] = set()
        self.rows = Counter()
        self._people()

    def caller(self, token: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE)

    def _people(self) -> None:
        self.do("POST", "/identity/v1/teams", 201, json={"name": "team", "domains": ["d"]})
        for user in ("ada", "ben"):
            self.do("POST", "/identity/v1/users", 201, json={"name": user})
        self.do("POST", "/identity/v1/teams/team/members/ada", (200, 201))
        self.ada, self.ben = (self.caller(self.token(user, "P1Y")) for user in ("ada", "ben"))
        for name, access in (("hourly", "open"), ("grow", "open"), ("small", "open"), ("closed", "request")):
            document = descriptor(name, "team", access=access)
            self.do("POST", "/product/v1/products", 201, self.ada, json=document)

    def do(self, method, path, status, caller=None, **more):
        reply = (caller or self.admin).request(method, path, **more)
        assert reply.status_code in (status if isinstance(status, tuple) else (status,)), (path, reply.text)
        return reply.json() if reply.headers["content-type"].startswith("application/json") else reply.text

    def token(self, user: str, expires: str) -> str:
        return self.do("POST", "/identity/v1/tokens", 201, json={"user": user, "expires": expires})["token"]

    def publish(self, product: str, mode: str = "replace") -> None:
        marker = f"m{next(self.number)}"
        pack, ending = (str.encode, "csv") if product == "small" else (packed, "csv.gz")
        files = [("file", (f"{table}.{ending}", pack(csv_of(table, marker, 30)))) for table in "ab"]
        path = f"/product/v1/products/{product}/publications"
        self.do("POST", path, 201, self.ada, params={"mode": mode}, files=files, headers={"Idempotency-Key": marker})
        self.rows[product] = 30 + (self.rows[product] if mode == "append" else 0)

    def count(self, product: str, caller=None, status=200):
        sql = {"sql": f"SELECT count(*) FROM {product}.a"}
        found = self.do("POST", "/query/v1/statements", status, caller or self.ben, json=sql)
        return found["rows"][0][0] if status == 200 else None

    def step(self) -> None:
        """Some hours pass: a table is replaced, and read."""
        self.stamp()
        self.lead.leap(STEP)
        self.publish("hourly")
        assert self.count("hourly") == self.rows["hourly"]

    def day(self, day: int) -> None:
        """A day passes, with everything that happens once in one."""
        for _ in range(PER_DAY):
            self.step()
        self.publish("grow", "append")
        self.publish("small")
        self.publish("closed")
        assert self.count("grow") == self.rows["grow"]
        assert self.do("GET", "/product/v1/products/small/tables/b/data?format=csv", 200, self.ben).count("\n") == 31
        self.do("POST", "/product/v1/products", 201, self.ada, json=descriptor(f"day_{day}", "team"))
        self.do("DELETE", f"/product/v1/products/day_{day}", 200, self.ada)
        self._expiring()

    def _expiring(self) -> None:
        """A grant and a token for an hour work, and do not work when it has passed."""
        self.count("closed", status=403)
        wish = {"product": "closed", "purpose": "to see", "duration": "PT1H"}
        asked = self.do("POST", "/exchange/v1/requests", 201, self.ben, json=wish)
        self.do("POST", f"/exchange/v1/requests/{asked['id']}/approve", 200, self.ada)
        token = self.token("ben", "PT1H")
        with self.caller(token) as short:
            assert self.count("closed", short) == 30
            self.lead.leap(timedelta(hours=1))
            self.do("GET", "/identity/v1/whoami", 401, short)
        self.count("closed", status=403)

    def stamp(self) -> None:
        """Give what was written since the last leap the time of this clock: the file system has another."""
        now = self.lead.now().timestamp()
        there = set(sizes(self.home / "lake"))
        for path in there - self.stamped:
            try:
                os.utime(path, (now, now))
            except FileNotFoundError:
                continue
        self.stamped = there

    def measure(self) -> dict[str, float]:
        """Tell what the home and its server take, once the upkeep of this hour is done."""
        pids = tree(self.process.pid)
        lake = sizes(self.home / "lake")
        return {
            "memory": sum(status_of(pid, "VmRSS") for pid in pids) / 1024,
            "handles": sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir()),
            "threads": status_of(self.process.pid, "Threads"),
            "processes": len(pids),
            "hourly files": sum(path.suffix == ".parquet" and path.parts[-3] == "hourly" for path in lake),
            "hourly metadata": sum("metadata" in path.parts and "hourly" in path.parts for path in lake),
            "work": sum(1 for _ in (self.home / "run").glob("staging/*")),
            **{f"{name}.git": sum(sizes(self.home / f"{name}.git").values()) for name in ("data", "log")},
            **{f"{name}.git files": len(sizes(self.home / f"{name}.git" / "objects")) for name in ("data", "log")},
            "database": self.stored("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"),
            "write-ahead log": (self.home / "thinmesh.db-wal").stat().st_size,
        }

    def stored(self, sql: str):
        with sqlite3.connect(f"file:{self.home}/thinmesh.db?mode=ro", uri=True) as database:
            [found] = database.execute(sql).fetchone()
        database.close()
        return found

    def stop(self) -> None:
        """End the server in peace."""
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, (self.folder / "stderr.log").read_text()

    def close(self) -> None:
        """Let go of everything."""
        self.process.kill()
        self.process.wait(PATIENCE)
        for each in (self.admin, self.ada, self.ben, self.process.stdout, self.log, self.lead):
            each.close()


def tree(pid: int) -> list[int]:
    """List a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(path.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def status_of(pid: int, name: str) -> int:
    """Read a number from what the kernel tells of a process; memory is in kB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def sizes(folder: Path) -> dict[Path, int]:
    """Give the files of a folder and how large they are; what the upkeep takes away meanwhile is not there."""
    found = {}
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            with suppress(FileNotFoundError):
                found[path] = path.stat().st_size
    return found


@pytest.fixture
def soak(tmp_path):
    soak = Soak(tmp_path)
    yield soak
    soak.close()


def test_a_mesh_takes_what_it_holds_and_not_what_its_age_is(soak, record_property):
    warm = {}
    for day in range(1, DAYS + 1):
        soak.day(day)
        if day == WARM:
            warm = soak.measure()
    limits = bounds(warm, days=DAYS - WARM)
    end = time.monotonic() + PATIENCE
    while True:  # the upkeep is behind the publications, on a thread of its own
        last = soak.measure()
        over = {name: (last[name], most) for name, most in limits.items() if last[name] > most}
        if not over or time.monotonic() > end:
            break
        soak.step()
        time.sleep(0.5)
    record_property("warm", warm)
    record_property("last", last)
    assert over == {}
    keeps_what_is_promised(soak)
    soak.stop()
    stands(soak)
    record_property("held", ("days at an accelerated clock", DAYS, DAYS))


def bounds(warm, days):
    """Give the most that each may be at the end: what it was when warm, and what was added to keep since."""
    week = 7 * PER_DAY + 10 + 2 * PER_DAY  # what may be looked back at, and what two looks take
    entries = days * (PER_DAY + 6)
    return {
        "memory": warm["memory"] * 1.2 + 60,
        "handles": warm["handles"] + 20,
        "threads": warm["threads"] + 8,
        "processes": warm["processes"] + 2,
        "hourly files": 2 * week,
        "hourly metadata": 2 * (11 + 2 * 20 + 3 * 3 * PER_DAY),
        "work": 2,
        "data.git": warm["data.git"] + entries * 4_000,
        "log.git": warm["log.git"] + entries * 4_000,
        "data.git files": 400 + 3 * 9 * PER_DAY,
        "log.git files": 400 + 3 * 9 * PER_DAY,
        "database": warm["database"] + entries * 12_000,
        "write-ahead log": 64 << 20,  # what it is cut back to: how full it is when looked at is chance
    }


def keeps_what_is_promised(soak):
    """Replies are kept for a week and the query log for 90 days; audit and events are kept."""
    audited, told = soak.stored("SELECT count(*) FROM audit"), soak.stored("SELECT count(*) FROM events")
    assert audited > 3 * DAYS
    assert told > (PER_DAY + 3) * DAYS
    assert 0 < soak.stored("SELECT count(*) FROM idempotency_keys") <= 9 * (PER_DAY + 4)
    assert soak.stored("SELECT count(*) FROM statements") > (PER_DAY + 2) * DAYS
    soak.lead.leap(timedelta(days=100))
    end = time.monotonic() + PATIENCE
    while soak.stored("SELECT count(*) FROM statements") > 50 and time.monotonic() < end:
        soak.step()
        time.sleep(0.5)
    assert soak.stored("SELECT count(*) FROM statements") <= 50
    assert soak.stored("SELECT count(*) FROM audit") >= audited
    assert soak.stored("SELECT count(*) FROM events") >= told


def stands(soak):
    """All of it is whole after all that time."""
    platform = open_home(soak.home)
    try:
        diagnosis = platform.operations.doctor(platform.identity.principal_of_home(), True)
        assert [each for each in diagnosis.findings if each.state == "broken"] == []
    finally:
        platform.close()
