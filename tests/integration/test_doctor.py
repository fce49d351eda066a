"""Doctor finds planted damage of every kind, names the invariant, and what it says heals it does heal it."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sqlite3
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.damage import lose
from tests.integration.keeping import Kept, made_home, picture, tools_of
from thinmesh.bootstrap import init_home
from thinmesh.kernel.errors import NotAllowed
from thinmesh.kernel.ledger import Actor, Draft
from thinmesh.kernel.policy import Principal
from thinmesh.kernel.repository import Signature
from thinmesh.planes.operations.operations import Operations

BY_HAND = Actor("somebody", "hand")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("doctor") / "home"
    made_home(path).close()
    return path


@pytest.fixture
def kept(template, tmp_path):
    shutil.copytree(template, tmp_path / "home")
    kept = Kept(tmp_path / "home")
    yield kept
    kept.close()


def sql(kept: Kept, *statements: str) -> None:
    with sqlite3.connect(kept.path / "thinmesh.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def on_main(kept: Kept, path: str, content: str | None) -> None:
    """Change a file on main in a way that no door would take: an entry of the log that says nothing of it."""
    id = None if content is None else kept.platform.data.add(content.encode())
    who = Signature("somebody", "somebody@example.org")
    kept.platform.ledger.submit(lambda tx, tip: Draft(BY_HAND, (), "By hand", who, {path: id}))


def git(kept: Kept, repository: str, *arguments: str) -> str:
    command = ["git", "-C", str(kept.path / repository), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def lose_object(kept: Kept, repository: str, id: str) -> None:
    lose(kept.path / repository, id)


def test_a_sound_home_has_no_finding(kept):
    assert kept.broken(deep=True) == {}
    found = kept.operations.doctor(kept.admin)
    assert found.ok
    assert {each.state for each in found.findings} == {"ok"}


def test_only_administrators_may_look(kept):
    kept.platform.identity.add_user(kept.admin, "ada")
    with pytest.raises(NotAllowed):
        kept.operations.doctor(Principal("ada"))
    assert kept.operations.status(Principal("ada")).counts["products"] == 3


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE products SET owner = 'thieves' WHERE name = 'orders'",
        "UPDATE products SET access = 'open' WHERE name = 'people'",
        "UPDATE products SET publications = 0, publication = NULL WHERE name = 'orders'",
        "DELETE FROM products WHERE name = 'people'",
        "UPDATE product_tables SET record = replace(record, 'integer', 'string')",
        "DELETE FROM data_files WHERE product = 'orders' AND position = 1",
        "UPDATE data_files SET sha256 = 'x' WHERE product = 'people'",
        "DELETE FROM publications WHERE product = 'orders' AND number = 2",
        "UPDATE product_history SET actor = 'nobody'",
        "DELETE FROM product_words",
        "DELETE FROM product_names",
        "INSERT INTO product_tags VALUES ('secret', 'orders')",
    ],
)
def test_an_index_that_is_not_the_log_is_found_and_rebuilt(kept, damage):
    before = picture(kept)
    sql(kept, damage)
    assert kept.broken()["index_is_the_log"] == "thinmesh rebuild index"
    kept.operations.rebuild(kept.admin, "index")
    assert kept.broken() == {}
    assert picture(kept) == before


def test_an_index_that_fell_behind_is_found_and_rebuilt(kept):
    first = next(iter(kept.platform.ledger.entries()))
    sql(kept, f"UPDATE cursors SET entry = '{first.id}', sequence = 1 WHERE projection = 'index'")
    assert kept.broken()["index_follows_log"] == "thinmesh rebuild index"
    kept.operations.rebuild(kept.admin)
    assert kept.broken() == {}


def test_a_main_that_fell_behind_is_found_and_rolled_forward(kept):
    tip = git(kept, "data.git", "rev-parse", "main")
    git(kept, "data.git", "update-ref", "refs/heads/main", "main~1")
    assert kept.broken()["main_follows_log"] == "thinmesh rebuild index"
    kept.operations.rebuild(kept.admin, "index")
    assert git(kept, "data.git", "rev-parse", "main") == tip
    assert kept.broken() == {}


def test_a_main_moved_by_hand_is_found_and_the_command_puts_it_back(kept):
    stranger = git(
        kept, "data.git", "-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", "-m", "x", "main^{tree}"
    )
    git(kept, "data.git", "update-ref", "refs/heads/main", stranger)
    subprocess.run(shlex.split(kept.broken()["main_follows_log"]), check=True)
    assert kept.broken() == {}


def test_a_lost_entry_of_the_log_is_found(kept):
    lose_object(kept, "log.git", git(kept, "log.git", "rev-parse", "main~2"))
    found = kept.broken()
    assert found["log_whole"] == "thinmesh restore FILE"
    assert found["log_unbroken"] == "thinmesh restore FILE"


def test_an_entry_out_of_line_is_found(kept):
    last = list(kept.platform.ledger.entries())[-1]
    again = last.encode().replace(b'"sequence":%d' % last.sequence, b'"sequence":%d' % (last.sequence + 5))
    kept.platform.log.append(last.id, [again])
    details = [each.detail for each in kept.operations.doctor(kept.admin).findings if each.invariant == "log_unbroken"]
    assert f"has the sequence {last.sequence + 5}, not {last.sequence + 1}" in details[0]


def test_a_lost_file_of_the_data_repository_is_found(kept):
    lose_object(kept, "data.git", git(kept, "data.git", "rev-parse", "main:d/orders/product.json"))
    found = kept.broken()
    assert found["data_repository_whole"] == "thinmesh restore FILE"
    assert "index_is_the_log" in found  # it could not be made again now


def test_a_damaged_object_is_found_by_the_deep_look(kept):
    id = git(kept, "data.git", "rev-parse", "main:d/orders/t/p1.csv")
    path = kept.path / "data.git" / "objects" / id[:2] / id[2:]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-6])
    assert kept.broken(deep=True)["data_repository_whole"] == "thinmesh restore FILE"


@pytest.mark.parametrize(
    ("path", "content", "invariant"),
    [
        ("d/orders/product.json", '{"name": "orders", "domain": "d", "description": "x"}', "documents_registered"),
        ("d/orders/product.json", None, "documents_registered"),
        ("d/stranger/product.json", "{}", "folders_registered"),
        ("loose.txt", "x", "folders_registered"),
        ("d/people/t.csv", "id\n7\n", "closed_data_unshared"),
        ("d/orders/t/p1.csv", "id,name\n9,z\n", "csvs_are_the_tables"),
        ("d/orders/more.csv", "id\n1\n", "csvs_are_the_tables"),
        ("d/orders/t/p1.csv", None, "csvs_are_the_tables"),
        ("d/inferred/t.csv", None, "csvs_are_the_tables"),
    ],
)
def test_files_on_main_that_nobody_published_are_found(kept, path, content, invariant):
    on_main(kept, path, content)
    assert set(kept.broken()) == {invariant}


@pytest.mark.parametrize("path", ["d/people/t.csv", "d/people/t/p1.csv", "d/people/unknown.csv"])
def test_closed_data_in_the_history_is_found_by_the_deep_look(kept, path):
    on_main(kept, path, "id\n7\n")
    on_main(kept, path, None)
    assert kept.broken() == {}
    assert set(kept.broken(deep=True)) == {"closed_data_never_shared"}


def test_closed_data_of_a_side_branch_that_came_to_nothing_is_found(kept):
    before = kept.platform.data.tip()
    data, who = kept.platform.data, Signature("somebody", "somebody@example.org")
    side = data.commit(before, {"d/people/t.csv": data.add(b"id\n7\n")}, who, "Add")
    side = data.commit(side, {"d/people/t.csv": None}, who, "Remove")
    kept.platform.ledger.submit(lambda tx, tip: Draft(BY_HAND, (), "Merge", who, {}, merged=side))
    assert set(kept.broken(deep=True)) == {"closed_data_never_shared"}


def test_a_changed_catalog_file_is_found_and_written_anew(kept):
    on_main(kept, "data_catalog.csv", "name\nnothing\n")
    assert kept.broken() == {"projections_follow": "thinmesh rebuild catalog_file"}
    kept.operations.rebuild(kept.admin, "catalog")
    assert kept.broken() == {}


def test_the_catalog_file_says_nothing_that_a_terminal_obeys(kept):
    kept.register("evil", description="\x1b]0;owned\x07 \u202etxt.exe\u2066 =1+1 \U0001f468\u200d\U0001f469 \x9bK")
    kept.platform.follow()
    said = git(kept, "data.git", "show", "main:data_catalog.csv").splitlines()
    row = next(line for line in said if line.startswith("evil,"))
    assert row == "evil,d,team,]0;owned   txt.exe  =1+1 \U0001f468\u200d\U0001f469  K,,open"
    assert kept.broken() == {}


def test_lost_events_are_found_and_told_again(kept):
    before = {item["id"]: item for item in kept.platform.exchange.events(kept.admin).items}
    sql(kept, "DELETE FROM events WHERE sequence IN (2, 5)")
    assert kept.broken() == {"projections_follow": "thinmesh rebuild events"}
    kept.operations.rebuild(kept.admin, "events")
    assert kept.broken() == {}
    after = {item["id"]: item for item in kept.platform.exchange.events(kept.admin).items}
    assert len(after) == len(before)
    assert after.items() >= {id: item for id, item in before.items() if id not in ("2", "5")}.items()


def test_a_catalog_file_that_has_to_follow_is_a_warning(kept):
    kept.register("late")
    found = kept.operations.doctor(kept.admin)
    assert found.ok
    assert [each.invariant for each in found.findings if each.state == "warning"] == ["projections_follow"]


@pytest.mark.parametrize(
    ("harm", "deep"),
    [
        (lambda path: path.unlink(), False),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), False),
        (lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]), True),
    ],
    ids=["missing", "cut", "changed"],
)
@pytest.mark.parametrize("product", ["orders", "people", "inferred"])
def test_a_harmed_data_file_is_found_and_derived_again_from_git(kept, product, harm, deep):
    before = picture(kept)
    harm(kept.files(product)[0])
    heal = kept.broken(deep)["data_files_whole"]
    if product == "people":
        assert heal == "thinmesh restore FILE"
        return
    assert heal == "thinmesh rebuild data"
    made = kept.operations.rebuild(kept.admin, "data")
    assert made.rebuilt["data"]["derived"] == 1
    assert kept.broken(deep=True) == {}
    assert picture(kept) == before


def test_a_file_that_another_release_derived_otherwise_is_no_stranger(kept):
    path = kept.files("orders")[0]
    content = path.read_bytes()
    with kept.platform.database.write() as tx:
        store = tools_of(kept.platform).store
        relative = str(path.relative_to(kept.path / "lake"))
        store.set_derived(tx, relative, hashlib.sha256(content + b"1").hexdigest(), len(content) + 1)
    assert kept.broken(deep=True) == {}
    path.write_bytes(content + b"1")
    assert kept.broken(deep=True) == {}


def test_a_lost_superseded_file_is_a_warning(kept):
    old = kept.files("people")[0]
    kept.publish("people", "id\n9\n")
    old.unlink()
    assert kept.operations.doctor(kept.admin).ok
    assert set(kept.broken()) == {"superseded_files_kept"}


def test_files_that_nobody_names_are_told_once_they_are_old(kept):
    stray = kept.path / "lake" / "orders" / "t" / "0123456789ab.parquet"
    stray.write_bytes(b"x")
    assert kept.broken() == {}
    week_ago = time.time() - 7 * 86_400
    os.utime(stray, (week_ago, week_ago))
    assert set(kept.broken()) == {"no_orphan_files"}


def test_keys_that_others_can_read_are_found_and_the_command_shuts_them(kept):
    for path in (kept.path / "keys", *(kept.path / "keys").iterdir(), kept.path / "thinmesh.db"):
        mode = path.stat().st_mode
        path.chmod(0o755)
        subprocess.run(shlex.split(kept.broken()["keys_private"]), check=True)
        assert path.stat().st_mode == mode
    assert kept.broken() == {}


def test_a_home_that_others_can_enter_is_a_warning_and_the_command_shuts_it(kept):
    kept.path.chmod(0o755)
    assert kept.operations.doctor(kept.admin).ok
    subprocess.run(shlex.split(kept.broken()["keys_private"]), check=True)
    assert kept.broken() == {}


@pytest.mark.parametrize("there", [False, True])
def test_a_new_home_is_for_its_owner_alone(tmp_path, there):
    home = tmp_path / "new"
    if there:
        home.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        init_home(home)
    finally:
        os.umask(before)
    for path in (home, home / "data.git", home / "log.git", home / "lake", home / "keys", home / "run"):
        assert path.stat().st_mode & 0o777 == 0o700, path


@pytest.mark.parametrize(
    ("statements", "invariant"),
    [
        (["UPDATE audit SET user_name = 'nobody' WHERE sequence = 2"], "audit_unbroken"),
        (["DELETE FROM audit WHERE sequence = 1"], "audit_unbroken"),
        (["DELETE FROM audit WHERE sequence > 1"], "audit_unbroken"),
        (["DELETE FROM audit"], "audit_unbroken"),
        (["UPDATE users SET admin = 0"], "somebody_administers"),
        (["DELETE FROM team_domains", "DELETE FROM team_members", "DELETE FROM teams"], "owners_exist"),
        (["DELETE FROM teams"], "database_whole"),
    ],
)
def test_damage_to_what_is_not_about_products_is_found(kept, statements, invariant):
    sql(kept, *statements)
    assert invariant in kept.broken()


def test_a_lost_key_is_found(kept):
    shutil.rmtree(kept.path / "keys")
    assert kept.broken() == {"keys_private": "thinmesh restore FILE"}


def test_settings_that_cannot_be_read_are_found(kept):
    (kept.path / "thinmesh.toml").write_text("[server\n")
    assert set(kept.broken()) == {"settings_readable"}


def test_locks_of_killed_processes_are_found_and_the_command_removes_them(kept):
    for path in ("data.git/refs/heads/main.lock", "log.git/config.lock", "data.git/packed-refs.lock"):
        lock = kept.path / path
        lock.write_text("")
        assert kept.broken() == {}  # it may be alive
        os.utime(lock, (1, 1))
        subprocess.run(shlex.split(kept.broken()["no_stale_locks"]), check=True)
    assert kept.broken() == {}


def test_hooks_that_git_would_pass_over_are_found(kept):
    door = kept.platform.git_door
    door.start()
    operations = Operations(kept.platform, tools_of(kept.platform, hooks=door.self_test))
    assert operations.doctor(kept.admin).ok
    next((kept.path / "run").rglob("pre-receive")).chmod(0o600)
    broken = [each for each in operations.doctor(kept.admin).findings if each.state == "broken"]
    assert [each.invariant for each in broken] == ["hooks_in_force"]


def test_a_fallen_wall_is_told(kept):
    tools = tools_of(kept.platform, engine=lambda: {"sandbox": {"seccomp": "on", "landlock": "not offered here"}})
    found = Operations(kept.platform, tools).doctor(kept.admin)
    warnings = [each for each in found.findings if each.state == "warning"]
    assert [each.invariant for each in warnings] == ["queries_sandboxed"]
    assert "landlock" in warnings[0].detail


def test_a_clock_that_went_back_is_told(kept):
    kept.platform.clock = lambda: datetime.now(UTC) - timedelta(days=1)
    assert "clock_sane" in kept.broken()


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(kept):
    def failing():
        raise RuntimeError("no engine")

    found = Operations(kept.platform, tools_of(kept.platform, engine=failing)).doctor(kept.admin)
    assert not found.ok
    assert {each.invariant for each in found.findings if each.state != "ok"} == {"queries_sandboxed"}


def test_every_heal_is_one_line(kept):
    on_main(kept, "d/people/t.csv", "id\n7\n")
    sql(kept, "DELETE FROM product_words", "UPDATE users SET admin = 0")
    for each in kept.operations.doctor(kept.admin).findings:
        if each.state == "broken":
            assert each.heal
            assert "\n" not in each.heal
            assert each.detail


def test_a_home_at_another_place_is_one_finding_and_its_command_heals_it(kept, tmp_path):
    while kept.platform.warehouse.follow():
        pass
    kept.close()
    kept.path.rename(tmp_path / "elsewhere")
    moved = Kept(tmp_path / "elsewhere")
    try:
        operations = Operations(moved.platform, tools_of(moved.platform, warehouse=moved.platform.warehouse))
        [found] = [each for each in operations.doctor(moved.admin).findings if each.state != "ok"]
        assert found.detail.startswith("warehouse: the home was moved or copied: ")
        assert found.heal == "thinmesh rebuild warehouse"
        operations.rebuild(moved.admin, "warehouse")
        assert operations.doctor(moved.admin).ok
    finally:
        moved.close()
