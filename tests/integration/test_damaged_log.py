"""A log that was rewritten, shortened or lost: readers go on, writers are refused, nothing accepted is dropped."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from datetime import timedelta

import httpx
import pytest

from tests.damage import lose
from tests.integration.keeping import Kept, made_home, picture
from tests.integration.running import cli_json, make_home, register, up
from thinmesh.bootstrap import open_home
from thinmesh.kernel.errors import Internal
from thinmesh.planes.operations.orphans import remove_orphans

RESTORE = "thinmesh restore FILE"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / "home"
    made_home(path).close()
    return path


@pytest.fixture
def home(template, tmp_path):
    shutil.copytree(template, tmp_path / "home")
    return tmp_path / "home"


def git(repository, *arguments, **options) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@x"]
    found = subprocess.run(
        ["git", "-C", str(repository), *who, *arguments], capture_output=True, text=True, check=True, **options
    )
    return found.stdout.strip()


def move(log, tip: str) -> None:
    git(log, "update-ref", "refs/heads/main", tip)


def rewritten(log, commit: str, parent: str, content: str) -> str:
    return git(log, "commit-tree", "-p", parent, "-F", "-", f"{commit}^{{tree}}", input=content)


def shorten(log) -> None:
    move(log, "main~2")


def empty(log) -> None:
    git(log, "update-ref", "-d", "refs/heads/main")


def amend(log) -> None:
    message = git(log, "log", "-1", "--format=%B", "main").replace('"user":"admin"', '"user":"nobody"')
    move(log, rewritten(log, "main", "main~1", message))


def scrawl(log) -> None:
    move(log, rewritten(log, "main", "main~1", "no entry at all"))


def rewrite_the_middle(log) -> None:
    at = git(log, "rev-parse", "main~3")
    for commit in reversed(git(log, "rev-list", "-3", "main").split()):
        message = git(log, "log", "-1", "--format=%B", commit).replace('"door":"cli"', '"door":"git"')
        at = rewritten(log, commit, at, message)
    move(log, at)


DAMAGES = [shorten, empty, amend, rewrite_the_middle]


def diagnosis(home, state="broken"):
    """What doctor finds in a process that may only read."""
    platform = open_home(home, mode="read")
    try:
        found = platform.operations.doctor(platform.identity.principal_of_home()).findings
        return {each.invariant: each for each in found if each.state == state}
    finally:
        platform.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_readers_go_on_doctor_names_it_and_the_command_loses_nothing(home, damage):
    kept = Kept(home)
    before = picture(kept)
    kept.close()
    damage(home / "log.git")
    platform = open_home(home, mode="read")
    assert len(platform.products.list(platform.identity.principal_of_home()).items) == 3
    platform.close()
    found = diagnosis(home)
    assert set(found) == {"index_follows_log"}
    assert "rewritten or shortened" in found["index_follows_log"].detail
    subprocess.run(shlex.split(found["index_follows_log"].heal), check=True)
    kept = Kept(home)
    assert kept.broken(deep=True) == {}
    assert picture(kept) == before
    kept.close()


@pytest.mark.parametrize("damage", [*DAMAGES, scrawl])
@pytest.mark.parametrize("mode", ["write", "serve"])
def test_a_home_is_not_opened_for_writing_on_it(home, damage, mode):
    damage(home / "log.git")
    with pytest.raises(Internal, match="log") as refused:
        open_home(home, mode=mode)
    assert "thinmesh doctor" in refused.value.help


@pytest.mark.parametrize("repository", ["log.git", "data.git"])
def test_a_home_without_a_repository_is_not_served(home, repository):
    shutil.rmtree(home / repository)
    with pytest.raises(Internal, match=repository):
        open_home(home, mode="serve")


def test_what_follows_from_it_is_not_told_as_damage_of_its_own(home):
    shorten(home / "log.git")
    followed = diagnosis(home, "warning")
    assert {"index_is_the_log", "folders_registered", "no_orphan_files"} <= set(followed)
    assert {each.heal for each in followed.values() if "before the log is whole" in each.detail} == {
        diagnosis(home)["index_follows_log"].heal
    }


@pytest.mark.parametrize("damage", [shorten, scrawl])
def test_where_the_entries_are_gone_only_a_backup_has_them(home, damage):
    lost = git(home / "log.git", "rev-parse", "main")
    damage(home / "log.git")
    lose(home / "log.git", lost)
    found = diagnosis(home)
    assert {each.heal for each in found.values()} == {RESTORE}


def test_a_lost_object_of_the_log_gives_no_advice_to_remove_healthy_folders(home):
    lost = git(home / "log.git", "rev-parse", "main~5")
    lose(home / "log.git", lost)
    found = diagnosis(home)
    assert set(found) == {"log_whole", "log_unbroken"}
    assert {each.heal for each in [*found.values(), *diagnosis(home, "warning").values()]} == {RESTORE}


@pytest.mark.parametrize("repository", ["log.git", "data.git"])
def test_doctor_runs_where_a_repository_is_gone(home, repository):
    shutil.rmtree(home / repository)
    found = diagnosis(home)
    assert {each.heal for each in found.values()} == {RESTORE}


def test_an_open_home_drops_nothing_when_its_log_is_shortened_beneath_it(home):
    kept = Kept(home)
    shorten(home / "log.git")
    for path in (home / "lake").rglob("*.parquet"):
        os.utime(path, (1, 1))
    before = picture(kept)
    with pytest.raises(Internal, match="shortened"):
        kept.register("late")
    with pytest.raises(Internal, match="shortened"):
        kept.operations.rebuild(kept.admin)
    with pytest.raises(Internal, match="shortened"):
        kept.operations.backup(kept.admin, home / "backup")
    with pytest.raises(Internal, match="shortened"):
        remove_orphans(kept.platform, timedelta(0))
    assert {each.name for each in kept.operations.status(kept.admin).projections if each.error} >= {"index"}
    assert picture(kept) == before
    kept.close()


def test_the_commands_and_a_running_server_say_so(tmp_path):
    home, token = make_home(tmp_path)
    cli_json("team", "create", "team", "--domain", "aviation", home=home)
    for name in ("one", "two", "three"):
        register(home, name)
    headers = {"Authorization": f"Bearer {token}"}
    with up(home) as url:
        shorten(home / "log.git")
        document = {"name": "four", "domain": "aviation", "description": "x", "owner": "team"}
        refused = httpx.post(f"{url}/product/v1/products", json=document, headers=headers, timeout=60)
        assert refused.status_code == 500
        assert "rewritten or shortened" in refused.json()["detail"]
        assert httpx.get(f"{url}/product/v1/products", headers=headers, timeout=60).status_code == 200
        assert not cli_json("doctor", home=home, code=1)["ok"]
    assert len(cli_json("list", home=home)["items"]) == 3
    assert "thinmesh doctor" in cli_json("user", "add", "ada", home=home, code=70)["help"]
    assert "thinmesh doctor" in cli_json("up", home=home, code=70)["help"]
    found = cli_json("doctor", home=home, code=1)["findings"]
    (broken,) = [each for each in found if each["state"] == "broken"]
    subprocess.run(shlex.split(broken["heal"]), check=True)
    assert cli_json("doctor", home=home)["ok"]
