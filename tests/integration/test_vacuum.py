"""What the upkeep of a served home takes away, and what it never does."""

import gzip
import itertools
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from structlog.testing import capture_logs

from tests.integration.keeping import Kept, made_home, picture, restored
from thinmesh.adapters.git.care import GitCare
from thinmesh.bootstrap import open_home
from thinmesh.kernel.errors import Internal
from thinmesh.planes.operations.maintenance import sweep
from thinmesh.planes.operations.operations import Operations
from thinmesh.planes.product.model import Upload

WEEKS = timedelta(days=30)


class Later(Kept):
    """A home whose time can be moved on; each look of the upkeep comes hours after the one before."""

    def __init__(self, path):
        self.ahead = timedelta(0)
        self.awake = itertools.count(0, 10_000)
        self.path = path
        self.platform = open_home(
            path, mode="serve", clock=lambda: datetime.now(UTC) + self.ahead, monotonic=lambda: next(self.awake)
        )
        self.platform.git_door.start()
        self.platform.follow()
        self.admin = self.platform.identity.principal_of_home()
        self.operations = Operations(self.platform, self.platform.tools)

    def put(self, name, number, mode="replace"):
        """Publish some rows to the lake, and let other engines see them."""
        path = self.path.parent / "t.csv.gz"
        path.write_bytes(gzip.compress(f"id\n{number}\n".encode()))
        self.platform.products.publish(self.admin, name, [Upload("t.csv.gz", path)], mode)
        self.platform.follow()

    def upkeep(self, looks=2):
        """Do everything that is done now and then; gives how much by step."""
        found = {}
        for _ in range(looks):
            for each in self.platform.maintenance.maintain(everything=True):
                assert each.error is None, each
                found[each.step] = found.get(each.step, 0) + each.count
        return found

    def lake(self):
        return set((self.path / "lake").rglob("*.parquet"))

    def snapshots(self, name):
        """Read every snapshot of a table as another engine does."""
        with self.platform.database.read() as tx:
            location = self.platform.warehouse._pointers.locations(tx, name)["t"]
        catalog = SqlCatalog("mesh", uri="sqlite:///:memory:")
        catalog.create_namespace("x")
        table = catalog.register_table("x.t", location)
        return [table.scan(snapshot_id=each.snapshot_id).to_arrow()["id"].to_pylist() for each in table.snapshots()]


@pytest.fixture
def kept(tmp_path):
    made_home(tmp_path / "home").close()
    kept = Later(tmp_path / "home")
    yield kept
    kept.close()


def aged(paths, age=WEEKS):
    for path in paths:
        os.utime(path, (time.time() - age.total_seconds(),) * 2)


def test_what_no_table_and_no_snapshot_needs_goes_after_a_week(kept):
    for number in range(15):
        kept.put("people", number)
    assert kept.upkeep()["remove_superseded_files"] == 0
    kept.ahead = timedelta(days=6)
    assert kept.upkeep()["remove_superseded_files"] == 0
    kept.ahead = timedelta(days=8)
    before, files = picture(kept), kept.lake()
    # The first publication came before these 15; the warehouse keeps ten states of a table.
    assert kept.upkeep()["remove_superseded_files"] == 15 + 1 - 10 + 1  # and one of the inferred product, widened since
    assert len(files - kept.lake()) == 7
    assert picture(kept) == before
    assert kept.snapshots("people") == [[number] for number in range(5, 15)]
    assert kept.broken(deep=True) == {}
    assert kept.upkeep()["remove_superseded_files"] == 0


def test_a_home_after_vacuum_is_backed_up_restored_and_rebuilt_whole(kept, tmp_path):
    for number in range(15):
        kept.put("people", number)
    kept.ahead = WEEKS
    kept.upkeep()
    before = picture(kept)
    made = kept.operations.backup(kept.admin, tmp_path / "backup")
    assert (made.missing, made.damaged) == ((), ())
    for projection in ("index", "data", "catalog_file", "warehouse"):
        assert kept.operations.rebuild(kept.admin, projection).failed == ()
    assert picture(kept) == before
    assert kept.broken(deep=True) == {}
    restored(tmp_path / "backup", tmp_path / "again")
    again = Kept(tmp_path / "again")
    assert picture(again) == before
    again.close()


def test_a_superseded_file_that_a_damaged_table_may_need_stays(kept):
    kept.put("people", 1)
    kept.put("people", 2)
    for path in (kept.path / "lake" / "people" / "t" / "metadata").glob("*.metadata.json"):
        path.write_text("{")
    kept.ahead = WEEKS
    files = kept.lake()
    kept.upkeep()
    assert {path for path in files - kept.lake() if path.parent.parent.name == "people"} == set()


def test_a_running_query_reads_on_across_vacuum(kept):
    rows = 1_000_000
    path = kept.path.parent / "t.csv.gz"
    path.write_bytes(gzip.compress(b"id\n" + b"".join(b"%d\n" % n for n in range(rows)), compresslevel=1))
    kept.platform.products.publish(kept.admin, "people", [Upload("t.csv.gz", path)], "replace")
    identity, exchange = kept.platform.identity, kept.platform.exchange
    identity.add_user(kept.admin, "ben")
    ben = identity.authenticate(identity.new_token(kept.admin, "ben").token)
    exchange.approve(kept.admin, exchange.request(ben, "people", "to see", "P90D").id)
    [read] = kept.files("people")
    with kept.platform.queries.run(ben, "SELECT id FROM people.t", format="arrow") as running:
        chunks = iter(running.chunks())
        found = [next(chunks)]
        for number in range(12):
            kept.put("people", number)
        kept.ahead = timedelta(days=20)
        kept.upkeep()
        assert not read.exists()
        found += chunks
    ids = pa.ipc.open_stream(b"".join(found)).read_all()["id"].to_pylist()
    assert sorted(ids) == list(range(rows))


def test_a_publication_in_flight_is_safe_while_the_clock_leaps(kept):
    """The file of a publication is there before the log names it; the machine sleeps a month in between."""
    stray = kept.path / "lake" / "people" / "t" / f"{7:024x}.parquet"
    stray.write_bytes(b"x")
    upload = kept.path / "run" / "upload-now"
    upload.mkdir()
    kept.ahead = WEEKS
    kept.upkeep()
    assert stray.exists()
    assert upload.exists()  # a slow client may take two days
    kept.upkeep(looks=20)
    assert not upload.exists()


def test_a_server_says_which_step_of_the_upkeep_could_not_be_done(tmp_path):
    made_home(tmp_path / "home").close()
    ahead = timedelta(0)
    platform = open_home(tmp_path / "home", mode="serve", clock=lambda: datetime.now(UTC) + ahead)
    try:
        assert platform.maintenance.maintain() == ()
        for pack in (tmp_path / "home" / "log.git" / "objects" / "pack").glob("*.pack"):
            pack.chmod(0o600)
            os.truncate(pack, pack.stat().st_size // 2)
        ahead = timedelta(hours=2)
        with capture_logs() as told:
            platform.start()
            until = time.monotonic() + 60
            while not any("upkeep" in each["event"] for each in told):
                assert time.monotonic() < until, "nothing is said"
                time.sleep(0.05)
    finally:
        platform.close()
    failed = {each["step"]: each["error"] for each in told if "upkeep" in each["event"]}
    assert failed["pack_log"].startswith("git repack failed in log.git: ")
    assert list((tmp_path / "home" / "log.git" / "objects" / "pack").glob("*tmp[_-]*")) == []


def test_what_killed_processes_left_is_gone_after_a_start(tmp_path):
    made_home(tmp_path / "home").close()
    home = tmp_path / "home"
    left = [
        *(home / "run" / name for name in ("staging/tmp1", "upload-1", "backup-1", "scratch/77")),
        *(home / "data.git" / name for name in ("incoming/1", "objects/tmp_objdir-incoming-1")),
    ]
    half = [home / "data.git" / "objects" / "pack" / name for name in ("tmp_pack_1", ".tmp-99-pack-1.pack")]
    for path in left:
        path.mkdir(parents=True)
    for path in half:
        path.write_bytes(b"x")
    kept = Later(home)
    kept.platform.engine.warm()
    assert [path for path in [*left, *half] if path.exists()] == []
    assert kept.broken(deep=True) == {}
    kept.close()


def test_what_no_ref_leads_to_is_swept_from_the_repository_once_old(kept):
    data = kept.platform.layout.data
    lost = [kept.platform.data.add(os.urandom(1000)) for _ in range(20)]
    packed = [kept.platform.data.add(os.urandom(1000)) for _ in range(20)]
    GitCare(data).tidy()
    young = kept.platform.data.add(b"not yet named")
    aged(path for path in data.glob("objects/**/*") if path.is_file() and path.name[:38] != young[2:])
    before = picture(kept)
    assert kept.upkeep(looks=1)["sweep_data_repository"] > 30_000
    for id in (*lost, *packed):
        assert subprocess.run(
            ["git", "-C", str(data), "cat-file", "-e", id], capture_output=True, check=False
        ).returncode
    assert kept.platform.data.read(young) == b"not yet named"
    assert picture(kept) == before
    kept.put("people", 3)
    assert kept.broken(deep=True) == {}


def test_nothing_is_swept_while_main_is_not_where_the_log_says(kept):
    data = kept.platform.layout.data
    subprocess.run(["git", "-C", str(data), "update-ref", "refs/heads/main", "main~1"], check=True)
    with pytest.raises(Internal):
        sweep(kept.platform, kept.platform.tools)
