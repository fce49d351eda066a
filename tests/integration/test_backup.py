"""A backup made while people write gives back the same mesh; a damaged or hostile one gives nothing at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from tests.integration.keeping import Kept, awaken, made_home, picture, restored, rows_of, tools_of
from thinmesh.adapters.git.care import GitRepositories
from thinmesh.adapters.local.archive import TarZstd
from thinmesh.bootstrap import init_home
from thinmesh.kernel.errors import MeshError, NotAllowed, NotFound, NotSignedIn, Refused
from thinmesh.kernel.policy import Principal
from thinmesh.planes.operations.operations import Operations
from thinmesh.planes.operations.restoration import Parts, restore


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("backup") / "home"
    kept = made_home(path)
    kept.platform.identity.add_user(kept.admin, "ada")
    ada = kept.platform.identity.principal("ada")
    asked = kept.platform.exchange.request(ada, "people", "to count them")
    kept.platform.exchange.approve(kept.admin, asked.id)
    kept.close()
    return path


@pytest.fixture
def kept(template, tmp_path):
    shutil.copytree(template, tmp_path / "home")
    kept = Kept(tmp_path / "home")
    yield kept
    kept.close()


@pytest.fixture
def backup(kept, tmp_path):
    kept.operations.backup(kept.admin, tmp_path / "backup.tar.zst")
    return tmp_path / "backup.tar.zst"


def members(path) -> dict[str, bytes]:
    with TarZstd().open(path) as found:
        return {member.name: b"".join(member.chunks()) for member in found}


def rewritten(path, target, change):
    """Write a backup again, with its members changed: the archive is sound, what it says is not."""
    found = change(members(path))
    with TarZstd().create(target) as archive:
        for name, content in found.items() if isinstance(found, dict) else found:
            archive.add(name, content)
    return target


def assert_nothing_left(folder, *besides):
    assert sorted(path.name for path in folder.iterdir()) == sorted(besides)


def test_a_restored_home_is_the_same_mesh(kept, backup, tmp_path):
    before = picture(kept)
    made = restored(backup, tmp_path / "again")
    again = Kept(tmp_path / "again")
    try:
        assert again.broken(deep=True) == {}
        assert picture(again) == before
        assert made.sequence == kept.operations.status(kept.admin).log["sequence"]
        # It lives: what comes next goes on from where it was.
        again.publish("orders", "id,name\n4,d\n", mode="append", file="t/next.csv")
        again.platform.follow()
        assert again.broken(deep=True) == {}
    finally:
        again.close()


def test_a_home_restored_where_it_was_makes_its_tables_for_other_engines_anew(kept, tmp_path):
    def follow(kept):
        while kept.platform.warehouse.follow():
            pass
        tools = tools_of(kept.platform, warehouse=kept.platform.warehouse)
        return Operations(kept.platform, tools).doctor(kept.admin)

    assert follow(kept).ok
    kept.operations.backup(kept.admin, tmp_path / "later")
    kept.close()
    shutil.rmtree(kept.path)
    restored(tmp_path / "later", kept.path)
    again = Kept(kept.path)
    found = follow(again)
    assert {each.state for each in found.findings} == {"ok"}
    again.close()


def test_nothing_is_left_to_do_on_a_restored_home(kept, backup, tmp_path):
    """The tables for other engines come with the next server; until then nobody can read them."""
    restored(backup, tmp_path / "again")
    again = Kept(tmp_path / "again")
    at_rest = tools_of(again.platform, warehouse=again.platform.warehouse)
    found = Operations(again.platform, at_rest).doctor(again.admin)
    assert {each.state for each in found.findings} == {"ok"}
    serving = Operations(again.platform, replace(at_rest, hooks=lambda: None)).doctor(again.admin)
    told = {each.invariant: (each.detail, each.heal) for each in serving.findings if each.state != "ok"}
    waiting = "warehouse has 4 products still to take in"
    assert told == {"projections_follow": (waiting, "thinmesh rebuild warehouse")}
    again.close()


def test_tokens_outlive_a_restoration_only_with_the_keys(kept, backup, tmp_path):
    token = kept.platform.identity.new_token(kept.admin, "ada").token
    made = restored(backup, tmp_path / "without")
    assert not made.keys
    assert "every token must be made again" in made.notes[0]
    without = Kept(tmp_path / "without")
    assert without.platform.identity.authenticate(made.admin_token).administers
    with pytest.raises(NotSignedIn):
        without.platform.identity.authenticate(token)
    without.close()

    kept.operations.backup(kept.admin, tmp_path / "keys.tar.zst", with_keys=True)
    made = restored(tmp_path / "keys.tar.zst", tmp_path / "with")
    assert (made.keys, made.admin_token, made.notes) == (True, None, ())
    again = Kept(tmp_path / "with")
    assert again.platform.identity.authenticate(token).user == "ada"
    assert again.broken() == {}
    again.close()


def test_a_backup_holds_no_keys_unless_told_and_is_its_owners_alone(kept, backup, tmp_path):
    assert not [name for name in members(backup) if name.startswith("keys/")]
    assert b"PRIVATE KEY" not in b"".join(members(backup).values())
    kept.operations.backup(kept.admin, tmp_path / "keys.tar.zst", with_keys=True)
    assert "keys/token.pem" in members(tmp_path / "keys.tar.zst")
    for path in (backup, tmp_path / "keys.tar.zst"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_backup_is_known_afterwards(kept, backup):
    last = kept.operations.status(kept.admin).last_backup
    assert last["bytes"] == backup.stat().st_size
    assert kept.operations.audit(kept.admin).items[0]["action"] == "backup"


def test_only_administrators_back_up_and_a_refusal_is_audited(kept, tmp_path):
    with pytest.raises(NotAllowed):
        kept.operations.backup(Principal("ada"), tmp_path / "stolen")
    assert not (tmp_path / "stolen").exists()
    assert kept.operations.audit(kept.admin).items[0]["outcome"] == "not_allowed"


def test_a_file_that_is_there_is_never_overwritten(kept, backup, tmp_path):
    before = backup.read_bytes()
    with pytest.raises(Refused, match="is there already"):
        kept.operations.backup(kept.admin, backup)
    assert backup.read_bytes() == before


def test_a_backup_that_is_cut_off_leaves_nothing(kept, tmp_path):
    class Stopped(Exception):
        pass

    def progress(what, done, total):
        if what == "copying data files":
            raise Stopped

    with pytest.raises(Stopped):
        kept.operations.backup(kept.admin, tmp_path / "backup", progress=progress)
    assert_nothing_left(tmp_path, "home")
    assert list((kept.path / "run" / "staging").iterdir()) == []


def test_a_lost_data_file_is_named_and_the_rest_is_kept(kept, tmp_path):
    kept.files("people")[0].unlink()
    kept.files("orders")[0].write_bytes(b"harmed")
    made = kept.operations.backup(kept.admin, tmp_path / "backup")
    assert [path.split("/")[0] for path in made.missing] == ["people"]
    assert [path.split("/")[0] for path in made.damaged] == ["orders"]
    restored(tmp_path / "backup", tmp_path / "again")
    again = Kept(tmp_path / "again")
    assert set(again.broken()) == {"data_files_whole"}
    again.operations.rebuild(again.admin, "data")
    assert rows_of(again, ()) == rows_of(kept, ())
    again.close()


def test_backups_under_concurrent_writes_are_each_one_state(kept, tmp_path):
    """Publications go on all the time; each backup restores to a whole state between its beginning and its end."""
    stop = threading.Event()
    failures = []

    def write(number):
        try:
            for turn in range(1, 10_000):
                if stop.is_set():
                    return
                kept.publish(f"live{number}", f"id\n{turn}\n", mode="append", file=f"t/{turn}.csv")
        except BaseException as error:
            failures.append(error)

    for number in range(2):
        kept.register(f"live{number}", tables={"t": {"columns": {"id": "integer"}}})
        kept.publish(f"live{number}", "id\n0\n", file="t/0.csv")
    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    spans = []
    try:
        for number in range(3):
            begun = kept.operations.status(kept.admin).log["sequence"]
            kept.operations.backup(kept.admin, tmp_path / f"backup{number}")
            spans.append((begun, kept.operations.status(kept.admin).log["sequence"]))
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert failures == []
    assert spans[0][0] < spans[-1][1]
    for number, (begun, ended) in enumerate(spans):
        made = restored(tmp_path / f"backup{number}", tmp_path / f"again{number}")
        assert begun <= made.sequence <= ended
        again = Kept(tmp_path / f"again{number}")
        again.platform.follow()
        assert again.broken(deep=True) == {}
        for name in ("live0", "live1"):
            with again.platform.database.read() as tx:
                product = again.platform.index.product(tx, name)
            count = int(product.publication.removeprefix("p"))
            rows = rows_of(again, product.tables["t"].files)
            assert rows == {(turn,): 1 for turn in range(count)}
        again.close()


def test_a_backup_cut_short_anywhere_restores_to_nothing(backup, tmp_path):
    whole = backup.read_bytes()
    folder = tmp_path / "cut"
    folder.mkdir()
    for part in range(20):
        (folder / "file").write_bytes(whole[: len(whole) * part // 20])
        with pytest.raises(Refused, match="damaged"):
            restored(folder / "file", folder / "home")
        assert_nothing_left(folder, "file")


def test_a_backup_with_a_flipped_bit_anywhere_restores_to_nothing_else(backup, tmp_path):
    """Zstandard passes over some bits (RFC 8878, unused ones): content whose checksum holds is the same content."""
    whole = backup.read_bytes()
    content = members(backup)
    folder = tmp_path / "flipped"
    folder.mkdir()
    for part in range(40):
        harmed = bytearray(whole)
        harmed[len(whole) * part // 40] ^= 0x10
        (folder / "file").write_bytes(harmed)
        try:
            restored(folder / "file", folder / "home")
        except Refused:
            assert_nothing_left(folder, "file")
        else:
            assert members(folder / "file") == content
            shutil.rmtree(folder / "home")


def _content(name, content):
    return lambda found: {**found, name: content}


def _without(name):
    return lambda found: {key: value for key, value in found.items() if key != name}


def _head(**changes):
    return lambda found: {**found, "backup.json": json.dumps({**json.loads(found["backup.json"]), **changes}).encode()}


def _manifest(**changes):
    def change(found):
        return {**found, "manifest.json": json.dumps({**json.loads(found["manifest.json"]), **changes}).encode()}

    return change


def _as_told(name, content):
    """Change a member and its digest in the manifest too, as a forger would."""

    def change(found):
        manifest = json.loads(found["manifest.json"])
        manifest["contents"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        last = {"manifest.json": json.dumps(manifest).encode()}
        return {**{key: value for key, value in found.items() if key != "manifest.json"}, name: content, **last}

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_head(format=2, thinmesh="9.9"), "newer release"),
        (_head(format="x"), "does not say its format"),
        (lambda found: dict(reversed(found.items())), "does not begin with"),
        (_content("backup.json", b"[]"), "no JSON object"),
        (_content("manifest.json", b"{"), "no JSON"),
        (_content("manifest.json", b"[" * 100_000), "no JSON"),
        (_content("manifest.json", b"{}"), "its manifest is not one"),
        (_manifest(contents=[]), "its manifest is not one"),
        (_manifest(sequence="x"), "is not what the manifest says"),
        (_without("manifest.json"), "ends before its manifest"),
        (_without("thinmesh.db"), "thinmesh.db is not what the manifest says"),
        (_content("thinmesh.toml", b"# other"), "thinmesh.toml is not what the manifest says"),
        (_content("lake/a/b/00.parquet", b"more"), "lake/a/b/00.parquet is not what the manifest says"),
        (_content("../escaped", b"x"), "no part of a home"),
        (_content("/tmp/escaped", b"x"), "no part of a home"),
        (_content("lake/../../escaped.parquet", b"x"), "no part of a home"),
        (_content("keys/../../token.pem", b"x"), "no part of a home"),
        (_content("data.git/hooks/pre-receive", b"x"), "no part of a home"),
        (lambda found: [*found.items(), ("thinmesh.toml", b"")], "twice"),
        (_as_told("thinmesh.db", b"no database"), "damaged"),
        (_as_told("data.pack", b"PACK no pack"), "data.git is not whole"),
        (_as_told("log.pack", b""), "log.git is not whole"),
        (_manifest(tips={"log": "", "data": "0" * 40}), "does not hold the log"),
        (_manifest(tips={"log": "0" * 40, "data": "0" * 40}), "data.git is not whole"),
    ],
)
def test_a_backup_that_says_what_is_not_so_restores_to_nothing(backup, tmp_path, change, told):
    folder = tmp_path / "hostile"
    folder.mkdir()
    rewritten(backup, folder / "file", change)
    with pytest.raises(MeshError, match=told):
        restored(folder / "file", folder / "home")
    assert_nothing_left(folder, "file")
    assert not (tmp_path / "escaped").exists()


def test_a_log_of_another_mesh_is_refused(kept, backup, tmp_path):
    """Database and log each whole, of two different meshes."""
    other = made_home(tmp_path / "other")
    other.operations.backup(other.admin, tmp_path / "other.tar.zst")
    other.close()
    theirs = members(tmp_path / "other.tar.zst")
    folder = tmp_path / "mixed"
    folder.mkdir()
    rewritten(tmp_path / "other.tar.zst", folder / "file", _as_told("thinmesh.db", members(backup)["thinmesh.db"]))
    assert theirs["log.pack"] != members(backup)["log.pack"]
    with pytest.raises(Refused, match="do not belong together"):
        restored(folder / "file", folder / "home")
    assert_nothing_left(folder, "file")


def test_a_folder_with_something_in_it_is_never_restored_over(kept, backup, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    for target in (tmp_path / "full", kept.path, backup):
        with pytest.raises(Refused, match="not an empty folder"):
            restored(backup, target)
    assert (tmp_path / "full" / "mine").read_text() == "x"
    assert kept.broken() == {}


def test_an_empty_folder_becomes_the_home_itself(backup, tmp_path):
    target = tmp_path / "empty"
    target.mkdir()
    inode = target.stat().st_ino
    restored(backup, target)
    assert target.stat().st_ino == inode  # somebody's shell may stand in it
    again = Kept(target)
    assert again.broken(deep=True) == {}
    again.close()


def test_a_restoration_that_fails_late_leaves_nothing(backup, tmp_path):
    def fail(stage, keys):
        awaken(stage, keys)
        raise OSError(28, os.strerror(28))

    folder = tmp_path / "late"
    folder.mkdir()
    with pytest.raises(Exception, match="No space left"):
        restore(backup, folder / "home", Parts(TarZstd(), GitRepositories(fsync=False), fail))
    assert_nothing_left(folder)


def test_a_backup_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        restored(tmp_path / "nothing", tmp_path / "home")
    assert_nothing_left(tmp_path)


def test_a_new_home_without_products_is_backed_up_too(tmp_path):
    init_home(tmp_path / "home")
    kept = Kept(tmp_path / "home")
    made = kept.operations.backup(kept.admin, tmp_path / "backup")
    assert (made.sequence, made.products) == (0, 0)
    kept.close()
    restored(tmp_path / "backup", tmp_path / "again")
    again = Kept(tmp_path / "again")
    assert again.broken(deep=True) == {}
    again.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.integration.keeping import Kept, awaken
from thinmesh.adapters.git.care import GitRepositories
from thinmesh.adapters.local.archive import TarZstd
from thinmesh.planes.operations.operations import Operations
from thinmesh.planes.operations.restoration import Parts, restore

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

what, home, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
if what == "backup":
    kept = Kept(home)
    kept.operations.backup(kept.admin, file, progress=lambda what, done, total: done and die())
else:
    restore(file, home, Parts(TarZstd(), GitRepositories(fsync=False), die))
"""


def killed(*arguments):
    command = [sys.executable, "-c", KILLED, *map(str, arguments)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def test_a_backup_that_was_killed_is_no_backup_and_the_next_one_is(template, tmp_path):
    shutil.copytree(template, tmp_path / "home")
    killed("backup", tmp_path / "home", tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    kept = Kept(tmp_path / "home")
    kept.operations.backup(kept.admin, tmp_path / "backup")
    kept.close()
    assert restored(tmp_path / "backup", tmp_path / "again").sequence > 0
    assert not list(tmp_path.glob(".backup*"))


def test_a_restoration_that_was_killed_made_no_home_and_the_next_one_does(backup, tmp_path):
    killed("restore", tmp_path / "again", backup)
    assert not (tmp_path / "again").exists()
    restored(backup, tmp_path / "again")
    again = Kept(tmp_path / "again")
    assert again.broken(deep=True) == {}
    again.close()
