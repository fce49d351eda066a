"""Every projection can be deleted and made again, to the same descriptors, publications and rows, while people read."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.damage import lose
from tests.integration.keeping import Kept, made_home, picture, tools_of
from tests.integration.running import cli_json, up
from thinmesh.adapters.git.care import GitCare
from thinmesh.adapters.sql.statements import SqlStatementLog
from thinmesh.kernel.errors import NotAllowed, NotFound
from thinmesh.kernel.policy import Principal
from thinmesh.planes.operations.lingering import Lingering
from thinmesh.planes.operations.maintenance import Maintenance, remove_unfinished, shorten_query_log, steps_of
from thinmesh.planes.operations.orphans import remove_orphans
from thinmesh.planes.query.model import Statement


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("rebuild") / "home"
    made_home(path).close()
    return path


@pytest.fixture
def kept(template, tmp_path):
    shutil.copytree(template, tmp_path / "home")
    kept = Kept(tmp_path / "home")
    yield kept
    kept.close()


def test_everything_derived_can_be_deleted_and_made_again(kept):
    before = picture(kept)
    with kept.platform.database.write() as tx:
        kept.platform.index.clear(tx)
        tx.execute("DELETE FROM event_recipients")
        tx.execute("DELETE FROM events")
    for name in ("orders", "inferred"):
        shutil.rmtree(kept.path / "lake" / name)
    made = kept.operations.rebuild(kept.admin)
    assert made.failed == ()
    assert made.rebuilt["index"]["products"] == 4
    assert made.rebuilt["data"]["derived"] == 3
    assert kept.broken(deep=True) == {}
    assert picture(kept) == before
    events = [item["type"] for item in kept.platform.exchange.events(kept.admin).items]
    assert events.count("thinmesh.product.published") == 5


def test_the_warehouse_is_one_of_the_projections_whether_the_home_is_served_or_not(template, tmp_path):
    shutil.copytree(template, tmp_path / "home")
    home = tmp_path / "home"
    offline = [each["name"] for each in cli_json("status", home=home)["projections"]]
    assert "warehouse" in offline
    with up(home):
        assert [each["name"] for each in cli_json("status", home=home)["projections"]] == offline
        assert set(cli_json("rebuild", home=home)["rebuilt"]) == set(offline)
    assert set(cli_json("rebuild", home=home)["rebuilt"]) == set(offline)


def test_a_warehouse_that_follows_only_while_served_may_wait_for_a_server(kept):
    operations = kept.platform.operations
    assert {each.state for each in operations.doctor(kept.admin).findings} == {"ok"}
    (warehouse,) = [each for each in operations.status(kept.admin).projections if each.name == "warehouse"]
    assert warehouse.lag > 0
    operations.rebuild(kept.admin, "warehouse")
    (warehouse,) = [each for each in operations.status(kept.admin).projections if each.name == "warehouse"]
    assert (warehouse.sequence, warehouse.lag) == (operations.status(kept.admin).log["sequence"] - 1, 0)
    assert {each.state for each in operations.doctor(kept.admin).findings} == {"ok"}


def test_lost_tables_of_other_engines_are_found_and_made_again_without_a_server(kept):
    operations = kept.platform.operations
    operations.rebuild(kept.admin, "warehouse")
    with kept.platform.database.write() as tx:
        tx.execute("DELETE FROM iceberg_tables WHERE table_namespace = 'orders'")
    found = {each.invariant: each for each in operations.doctor(kept.admin).findings if each.state == "broken"}
    assert found["projections_follow"].heal == "thinmesh rebuild warehouse"
    assert "orders.t has no Iceberg table" in found["projections_follow"].detail
    operations.rebuild(kept.admin, "warehouse")
    assert operations.doctor(kept.admin).ok


def test_status_loads_nothing_of_iceberg(kept):
    kept.close()
    code = (
        "import sys; from pathlib import Path; from thinmesh.bootstrap import open_home\n"
        "platform = open_home(Path(sys.argv[1]), mode='read')\n"
        "platform.operations.status(platform.identity.principal_of_home())\n"
        "print([name for name in ('pyiceberg', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(kept.path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_rebuild_twice_is_a_rebuild_once(kept):
    before = picture(kept), kept.platform.exchange.events(kept.admin).items
    kept.operations.rebuild(kept.admin)
    kept.operations.rebuild(kept.admin)
    assert (picture(kept), kept.platform.exchange.events(kept.admin).items) == before


def test_readers_see_the_old_index_until_the_new_one_is_whole(kept):
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            seen.append(tuple(item["name"] for item in kept.platform.products.list(kept.admin).items))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(5):
            kept.operations.rebuild(kept.admin, "index")
    finally:
        stop.set()
        reader.join()
    assert set(seen) == {("inferred", "orders", "people")}


def test_what_is_published_while_the_index_is_rebuilt_is_in_it(kept):
    stop, failures = threading.Event(), []

    def write():
        try:
            for turn in range(10, 1000):
                if stop.is_set():
                    return
                kept.publish("orders", f"id,name\n{turn},x\n", mode="append", file=f"t/{turn}.csv")
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            kept.operations.rebuild(kept.admin, "index")
    finally:
        stop.set()
        writer.join()
    assert failures == []
    kept.platform.follow()
    assert kept.broken() == {}


def test_a_csv_that_is_gone_from_git_is_named(kept):
    path = kept.files("orders")[0]
    path.unlink()
    with kept.platform.database.read() as tx:
        source = kept.platform.index.product(tx, "orders").tables["t"].files[0].source
    lose(kept.path / "data.git", source)
    made = kept.operations.rebuild(kept.admin, "data")
    assert len(made.failed) == 1
    assert "not in data.git any more" in made.failed[0]
    assert not path.exists()


def test_a_wrong_name_gets_the_nearest_right_one(kept):
    with pytest.raises(NotFound) as found:
        kept.operations.rebuild(kept.admin, "catalog_fil")
    assert "catalog_file" in found.value.help
    with pytest.raises(NotAllowed):
        kept.operations.rebuild(Principal("ada"))


def test_orphans_go_after_their_time_and_nothing_else_does(kept):
    old = kept.files("people")[0]
    kept.publish("people", "id\n9\n")  # `old` is superseded now, and still named by the log
    before = {path: path.read_bytes() for path in (kept.path / "lake").rglob("*.parquet")}
    strays = [kept.path / "lake" / "orders" / "t" / f"{number:024x}.parquet" for number in range(2)]
    for stray in strays:
        stray.write_bytes(b"x")
    ages_ago = time.time() - 30 * 86_400
    for path in (strays[0], *before):
        os.utime(path, (ages_ago, ages_ago))
    assert remove_orphans(kept.platform) == 1
    assert {path: path.read_bytes() for path in (kept.path / "lake").rglob("*.parquet")} == {**before, strays[1]: b"x"}
    assert old in before


def test_maintenance_packs_and_everything_is_as_before(kept):
    before = picture(kept)
    outcomes = Maintenance(steps_of(kept.platform, tools_of(kept.platform))).maintain(everything=True)
    assert [each.error for each in outcomes] == [None] * 8
    assert {each.step: each.count for each in outcomes}["pack_data_repository"] > 5
    assert GitCare(kept.platform.layout.data).tidy() == 0
    kept.publish("orders", "id,name\n4,d\n", mode="append", file="t/next.csv")
    kept.publish("orders", "id,name\n1,a\n2,b\n")
    assert kept.broken(deep=True) == {}
    assert picture(kept)["people"] == before["people"]


def test_packing_while_people_publish_loses_nothing(kept):
    stop, failures = threading.Event(), []

    def pack():
        try:
            while not stop.is_set():
                GitCare(kept.platform.layout.data).tidy()
                GitCare(kept.platform.layout.log).tidy()
        except BaseException as error:
            failures.append(error)

    packer = threading.Thread(target=pack)
    packer.start()
    try:
        for turn in range(10, 40):
            kept.publish("orders", f"id,name\n{turn},x\n", mode="append", file=f"t/{turn}.csv")
    finally:
        stop.set()
        packer.join()
    assert failures == []
    kept.platform.follow()
    assert kept.broken(deep=True) == {}


def test_the_query_log_is_shortened_and_measured(kept):

    log = SqlStatementLog(kept.platform.database)
    now = datetime.now(UTC)
    ages = {"new": timedelta(days=1), "old": timedelta(days=100), "older": timedelta(days=400)}
    log.record(
        [
            Statement(
                id=id,
                user="ada",
                door="http",
                sql="select 1",
                state="done",
                started=(now - age).isoformat(),
                seconds=0.3,
            )
            for id, age in ages.items()
        ]
    )
    text = kept.operations.metrics(Principal("ada"))
    assert 'thinmesh_statements_total{state="done"} 3.0' in text
    assert 'thinmesh_statement_seconds_bucket{le="0.25"} 0.0' in text
    assert 'thinmesh_statement_seconds_bucket{le="0.5"} 3.0' in text
    assert 'thinmesh_statement_seconds_bucket{le="+Inf"} 3.0' in text
    assert shorten_query_log(kept.platform, tools_of(kept.platform)) == 2
    assert [each.id for each in log.list(None, 10, None)] == ["new"]


def test_unfinished_work_goes_after_its_time(kept):
    scratch = kept.platform.scratch
    awake = itertools.count(0, 3600)
    lingering = Lingering(lambda: next(awake))
    left = [scratch / "old", kept.path / "run" / "upload-old", kept.path / "run" / "backup-old"]
    for path in left:
        path.mkdir(parents=True)
    os.utime(left[0], (1, 1))
    assert remove_unfinished(kept.platform, lingering) == 0
    (scratch / "new").mkdir()
    assert remove_unfinished(kept.platform, lingering) == 3
    assert not any(path.exists() for path in left)
    assert [path.name for path in scratch.iterdir()] == ["new"]
    assert remove_unfinished(kept.platform) == 1  # at a start, nobody works there


def test_status_tells_what_there_is(kept):
    kept.register("late")
    status = kept.operations.status(Principal("ada"))
    assert status.counts["products"] == 4
    assert status.counts["retired"] == 1
    lags = {each.name: each.lag for each in status.projections}
    assert lags["index"] == 0
    assert lags["catalog_file"] > 0
    assert status.log["sequence"] == len(list(kept.platform.ledger.entries()))
    assert status.last_backup is None
    kept.operations.ready()
