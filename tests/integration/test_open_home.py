"""What a home is made and opened with: its database, its owner, and what a killed process left in it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.integration.running import cli, cli_json, make_home, register, up
from thinmesh.bootstrap import init_home, open_home
from thinmesh.kernel.errors import Internal, NotFound, Refused


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)[0]


def sql(home, statement: str) -> None:
    with closing(sqlite3.connect(home / "thinmesh.db")) as connection, connection:
        connection.executescript(statement)


@pytest.mark.parametrize("harm", ["missing", "empty"])
def test_a_home_without_its_database_names_the_restoration_and_makes_none(home, harm):
    for path in home.glob("thinmesh.db*"):
        path.unlink()
    if harm == "empty":
        (home / "thinmesh.db").touch()
    for mode in ("read", "write", "serve"):
        with pytest.raises(Internal, match=harm) as refused:
            open_home(home, mode=mode)
        assert "thinmesh restore FILE" in refused.value.help
    assert "thinmesh restore FILE" in cli_json("up", home=home, code=70)["help"]
    assert "thinmesh restore FILE" in cli_json("doctor", home=home, code=70)["help"]
    assert (home / "thinmesh.db").exists() == (harm == "empty")


@pytest.mark.parametrize("harm", ["UPDATE users SET admin = 0", "DELETE FROM tokens; DELETE FROM users"])
def test_who_owns_the_home_makes_an_administrator_where_none_is_left(home, harm):
    sql(home, harm)
    found = cli_json("doctor", home=home, code=1)["findings"]
    heals = {each["invariant"]: each["heal"] for each in found if each["state"] == "broken"}
    assert heals["somebody_administers"].startswith("thinmesh user add NAME --admin")
    assert cli_json("user", "add", "root2", "--admin", home=home)["admin"] is True
    assert cli_json("doctor", "--as", "root2", home=home)["ok"]
    with up(home):
        assert cli_json("whoami", home=home)["admin"] is True


def test_only_the_owner_acts_so_and_nobody_in_another_name(home):
    cli_json("user", "add", "ann", home=home)
    sql(home, "UPDATE users SET admin = 0")
    assert cli("doctor", "--as", "ann", home=home).returncode == 3
    assert cli("doctor", "--as", "admin", home=home).returncode == 3


def test_what_a_killed_process_left_in_the_making_is_gone_when_the_home_is_served(home):
    left = home / "run" / "staging" / "left" / "deeper"
    left.mkdir(parents=True)
    (left / "half.parquet").write_bytes(b"x")
    (home / "run" / "staging" / "loose").write_bytes(b"x")
    assert cli("list", home=home).returncode == 0
    assert left.exists()
    with up(home):
        assert list((home / "run" / "staging").iterdir()) == []


def test_a_lock_that_a_killed_command_left_is_told_on_stderr(tmp_path):
    home, _ = make_home(tmp_path)
    cli_json("team", "create", "crew", "--domain", "aviation", home=home)
    lock = home / "log.git" / "refs" / "heads" / "main.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    assert register(home, "flights")["created"]
    assert not lock.exists()


# Ends the process at a place of the making.
KILLED = """
import os, sys
from pathlib import Path
from thinmesh.adapters.git.log import GitLogRepository
from thinmesh.adapters.local.home import Home
from thinmesh.adapters.sql import schema
from thinmesh.bootstrap.homes import init_home
places = {"log": (GitLogRepository, "create"), "tables": (schema, "migrate"), "end": (Home, "finish")}
owner, name = places[sys.argv[2]]
setattr(owner, name, lambda *_: os._exit(9))
init_home(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("place", ["log", "tables", "end"])
def test_a_making_that_was_killed_is_begun_anew(tmp_path, place):
    path = tmp_path / "mesh"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path), place], check=False).returncode == 9
    assert list(path.iterdir())
    with pytest.raises(NotFound, match="not a platform home"):
        open_home(path)
    assert init_home(path).admin_token
    open_home(path).close()


def test_what_was_a_home_is_never_made_anew(tmp_path):
    path = tmp_path / "mesh"
    init_home(path)
    (path / "thinmesh.toml").unlink()
    with pytest.raises(Refused, match="home already"):
        init_home(path)
