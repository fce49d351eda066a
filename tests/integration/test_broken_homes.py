"""Homes that a disk, a person or a crash broke: they mend themselves, or one command heals; nothing is lost.

Each damage is done to a copy of one home with products of every kind. Then every verb must work or say in one line what
is wrong; doctor must name exactly one command; and after that command the home must hold what was acknowledged.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing

import pytest

from tests.damage import lose
from tests.integration.keeping import Kept, made_home, picture, restored
from thinmesh.bootstrap import init_home, open_home
from thinmesh.kernel.errors import Internal, MeshError, Temporary

PAGE = 4096
REBUILD, RESTORE = "thinmesh rebuild index", "thinmesh restore FILE"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A home, its backup, and what it holds."""
    folder = tmp_path_factory.mktemp("broken")
    kept = made_home(folder / "home")
    kept.operations.backup(kept.admin, folder / "backup", with_keys=True)
    before = picture(kept)
    kept.close()
    return folder, before


@pytest.fixture
def home(world, tmp_path):
    shutil.copytree(world[0] / "home", tmp_path / "home")
    return tmp_path / "home"


def git(repository, *arguments) -> str:
    found = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True)
    return found.stdout.strip()


# Damages -----------------------------------------------------------------------------------------------------------


def cut(path, size):
    with path.open("r+b") as file:
        file.truncate(size)


def scrawl(path, at, content):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def on_pages(home, *pages):
    for page in pages:
        scrawl(home / "thinmesh.db", page * PAGE, b"\xff" * PAGE)


def pages(home) -> int:
    return (home / "thinmesh.db").stat().st_size // PAGE


def emptied(repository, revision):
    id = git(repository, "rev-parse", revision)
    lose(repository, id)
    (repository / "objects" / id[:2] / id[2:]).write_bytes(b"")


def newest_pack(repository):
    """Give the pack whose loss takes the newest change: the one that holds the tip of the branch."""
    tip = git(repository, "rev-parse", "main")
    packs = sorted((repository / "objects" / "pack").glob("*.idx"))
    return next(pack.with_suffix(".pack") for pack in packs if tip in git(repository, "verify-pack", "-v", str(pack)))


def half_a_pack(repository):
    pack = newest_pack(repository)
    pack.chmod(0o600)
    cut(pack, pack.stat().st_size // 2)


def private(path, content):
    path.write_bytes(content)
    path.chmod(0o600)


def branch(repository):
    return repository / "refs" / "heads" / "main"


DATABASES = {
    "missing": lambda home: (home / "thinmesh.db").unlink(),
    "empty": lambda home: cut(home / "thinmesh.db", 0),
    "half": lambda home: cut(home / "thinmesh.db", pages(home) // 2 * PAGE),
    "less_than_a_page": lambda home: cut(home / "thinmesh.db", 1000),
    "garbage_header": lambda home: scrawl(home / "thinmesh.db", 0, b"garbage!" * 12),
    "garbage_schema": lambda home: scrawl(home / "thinmesh.db", 100, b"\xff" * 3000),
    "one_page": lambda home: on_pages(home, 5),
    "every_third_page": lambda home: on_pages(home, *range(2, pages(home), 3)),
    "all_zeros": lambda home: scrawl(home / "thinmesh.db", 0, bytes(pages(home) * PAGE)),
}
BRANCHES = {
    "main_gone": lambda home: branch(home / "data.git").unlink(),
    "main_empty": lambda home: branch(home / "data.git").write_text(""),
    "main_garbage": lambda home: branch(home / "data.git").write_bytes(b"\0" * 41),
    "main_at_nothing": lambda home: branch(home / "data.git").write_text("1" * 40 + "\n"),
}
# The index knows the newest entry: whatever opens the home puts these back.
LOG_BRANCHES = {
    "log_empty": lambda home: branch(home / "log.git").write_text(""),
    "log_garbage": lambda home: branch(home / "log.git").write_bytes(b"\0" * 41),
    "log_at_nothing": lambda home: branch(home / "log.git").write_text("1" * 40 + "\n"),
}
REPOSITORIES = {
    "data_gone": lambda home: shutil.rmtree(home / "data.git"),
    "data_without_head": lambda home: (home / "data.git" / "HEAD").unlink(),
    "data_with_garbage_settings": lambda home: (home / "data.git" / "config").write_text("[[["),
    "log_gone": lambda home: shutil.rmtree(home / "log.git"),
    "log_without_head": lambda home: (home / "log.git" / "HEAD").unlink(),
    "empty_commit": lambda home: emptied(home / "data.git", "main"),
    "half_a_pack": lambda home: half_a_pack(home / "data.git"),
    "half_a_pack_of_the_log": lambda home: half_a_pack(home / "log.git"),
    "no_index_of_a_pack": lambda home: newest_pack(home / "data.git").with_suffix(".idx").unlink(),
    "empty_tree": lambda home: emptied(home / "data.git", "main^{tree}"),
    "empty_file": lambda home: emptied(home / "data.git", "main:d/orders/t/p1.csv"),
    "empty_newest_entry": lambda home: emptied(home / "log.git", "main"),
    "empty_entry": lambda home: emptied(home / "log.git", "main~3"),
}
# What goes away without a word: SQLite and git find for themselves what is not theirs.
HARMLESS = {
    "garbage_wal": lambda home: private(home / "thinmesh.db-wal", b"\xff" * 50_000),
    "garbage_shm": lambda home: private(home / "thinmesh.db-shm", b"\xff" * 32_768),
    "run_gone": lambda home: shutil.rmtree(home / "run"),
    "data_without_settings": lambda home: (home / "data.git" / "config").unlink(),
}
LEFT = (
    "index.lock",
    "HEAD.lock",
    "config.lock",
    "packed-refs.lock",
    "shallow.lock",
    "refs/heads/main.lock",
    "objects/maintenance.lock",
    "gc.pid",
)
LITTER = (
    "objects/tmp_object_git2_1",
    "objects/ab/tmp_obj_1",
    "objects/pack/tmp_pack_1",
    "objects/pack/pack-1.keep",
    "objects/tmp_objdir-incoming-1/ab/cd",
)


# What is asked of every home ---------------------------------------------------------------------------------------


def register(platform):
    document = b'{"name": "late", "domain": "d", "description": "x", "owner": "team"}'
    platform.products.register(platform.identity.principal_of_home(), document)


VERBS = {
    "list": ("read", lambda platform: platform.products.list(platform.identity.principal_of_home())),
    "register": ("write", register),
    "status": ("read", lambda platform: platform.operations.status(platform.identity.principal_of_home())),
    "serve": ("serve", lambda platform: platform.start()),
}


def tried(home, verb, **settings) -> MeshError | None:
    """Do something on a home; give what it was refused with. Anything but an error of ours is a fault."""
    mode, act = VERBS[verb]
    try:
        platform = open_home(home, mode=mode, **settings)
    except MeshError as error:
        return error
    try:
        act(platform)
    except MeshError as error:
        return error
    finally:
        platform.close()
    return None


def spoken(home, scratch, harm) -> None:
    """Hold that every verb works on a home so harmed, or says in one line what is wrong, and what to do."""
    for verb in VERBS:
        copy = scratch / verb
        shutil.copytree(home, copy)
        harm(copy)
        error = tried(copy, verb)
        assert error is None or ("\n" not in error.detail and error.help), verb
        shutil.rmtree(copy)


def heal(home) -> str:
    """Give the one command that doctor names."""
    try:
        platform = open_home(home, mode="read")
    except Internal as error:  # no Temporary: nobody should wait for a damaged database to mend itself
        return RESTORE if RESTORE in error.help else error.help
    try:
        found = platform.operations.doctor(platform.identity.principal_of_home()).findings
    finally:
        platform.close()
    named = {each.heal for each in found if each.state == "broken"}
    assert len(named) == 1, [each for each in found if each.state == "broken"]
    return named.pop()


def healed(home, world, command) -> Kept:
    if command == RESTORE:
        home = home.parent / "restored"
        restored(world[0] / "backup", home)
    kept = Kept(home)
    if command == REBUILD:
        kept.operations.rebuild(kept.admin, "index")
    return kept


def held(kept, world) -> None:
    kept.platform.follow()
    kept.platform.warehouse.rebuild()
    assert kept.broken(deep=True) == {}
    assert picture(kept) == world[1]
    kept.close()


@pytest.mark.parametrize("harm", [*DATABASES.items(), *REPOSITORIES.items()], ids=lambda harm: harm[0])
def test_what_only_a_backup_has_is_restored(home, world, harm, tmp_path, record_property):
    _, harm = harm
    spoken(home, tmp_path, harm)
    harm(home)
    command = heal(home)
    assert command == RESTORE
    held(healed(home, world, command), world)
    record_property("held", ("broken homes", 1, 1))


@pytest.mark.parametrize("harm", BRANCHES.items(), ids=lambda harm: harm[0])
def test_a_broken_branch_is_put_back_by_the_command_and_by_up(home, world, harm, tmp_path, record_property):
    _, harm = harm
    spoken(home, tmp_path, harm)
    served = tmp_path / "served"
    shutil.copytree(home, served)
    harm(home)
    command = heal(home)
    assert command == REBUILD
    held(healed(home, world, command), world)
    harm(served)
    open_home(served, mode="serve").close()
    held(Kept(served), world)
    record_property("held", ("broken homes", 2, 2))


@pytest.mark.parametrize("harm", LOG_BRANCHES.items(), ids=lambda harm: harm[0])
@pytest.mark.parametrize("mode", ["read", "write", "serve"])
def test_a_broken_branch_of_the_log_is_put_back_without_hands(home, world, mode, harm, record_property):
    harm[1](home)
    open_home(home, mode=mode).close()
    held(Kept(home), world)
    record_property("held", ("broken homes", 1, 1))


@pytest.mark.parametrize("harm", HARMLESS.items(), ids=lambda harm: harm[0])
def test_what_nobody_needs_may_be_broken(home, world, harm, record_property):
    harm[1](home)
    held(Kept(home), world)
    record_property("held", ("broken homes", 1, 1))


@pytest.mark.parametrize("repository", ["data.git", "log.git"])
def test_what_killed_processes_left_in_a_repository_stops_nobody(home, world, repository, record_property):
    for name in (*LEFT, *LITTER):
        path = home / repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert tried(home, "list") is None
    assert tried(home, "register") is None
    assert tried(home, "serve") is None
    assert [name for name in (*LEFT, *LITTER) if (home / repository / name).exists()] == []
    assert git(home / repository, "fsck", "--connectivity-only") == ""
    record_property("held", ("broken homes", len(LEFT) + len(LITTER), len(LEFT) + len(LITTER)))


def test_a_database_without_its_wal_gets_from_the_log_what_it_lost(tmp_path, record_property):
    init_home(tmp_path / "home")
    kept = Kept(tmp_path / "home")
    kept.platform.identity.create_team(kept.admin, "team", ["d"])
    kept.close()
    kept = Kept(tmp_path / "home")
    kept.register("orders")
    kept.publish("orders", "id\n1\n2\n")
    shutil.copytree(tmp_path / "home", tmp_path / "torn")
    kept.register("gone")
    kept.platform.products.retire(kept.admin, "gone")
    kept.close()
    shutil.copytree(tmp_path / "home", tmp_path / "whole")
    # The database as it was on the disk before its WAL was folded in; log and data as they are now.
    torn = tmp_path / "home"
    for path in torn.glob("thinmesh.db*"):
        path.unlink()
    shutil.copy(tmp_path / "torn" / "thinmesh.db", torn)
    kept, whole = Kept(torn), Kept(tmp_path / "whole")
    for each in (kept, whole):
        each.platform.follow()
    assert kept.broken() == whole.broken() == {}
    assert picture(kept) == picture(whole)
    kept.close()
    whole.close()
    record_property("held", ("broken homes", 1, 1))


# Held by others ----------------------------------------------------------------------------------------------------


def locked(home, how):
    """Hold the database as another program does."""
    connection = sqlite3.connect(home / "thinmesh.db", isolation_level=None, check_same_thread=False)
    if how == "alone":
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("CREATE TABLE IF NOT EXISTS held (x)")
    return connection


@pytest.mark.parametrize("how", ["writer", "alone"])
def test_work_waits_for_a_database_that_is_held_for_short(home, how, record_property):
    connection = locked(home, how)

    def let_go():
        connection.execute("ROLLBACK")
        connection.close()

    timer = threading.Timer(1.0, let_go)
    timer.start()
    try:
        assert tried(home, "register") is None
    finally:
        timer.join()
    kept = Kept(home)
    assert kept.platform.products.show(kept.admin, "late")
    kept.close()
    record_property("held", ("broken homes", 1, 1))


@pytest.mark.parametrize("how", ["writer", "alone"])
def test_a_database_that_is_held_for_long_is_told_and_nothing_is_half_done(home, world, how, record_property):
    with closing(locked(home, how)) as connection:
        error = tried(home, "register", patience=0.5)
        assert isinstance(error, Temporary), error
        assert "held by another" in error.detail
        connection.execute("ROLLBACK")
    held(Kept(home), world)
    record_property("held", ("broken homes", 1, 1))
