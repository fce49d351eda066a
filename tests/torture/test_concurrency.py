"""Many at once, on a served home: pushers, registering clients, publishers, readers, and owners who give and take.

What was acknowledged is there once, and every recorded history could have happened one after the other
(`history.py`). `make torture` makes it longer; times are not asserted.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import threading
import time
from collections import Counter
from zlib import crc32

import httpx
import pyarrow.parquet as pq
import pytest

from tests.torture.history import History
from tests.torture.served import (
    PATIENCE,
    Clone,
    Served,
    at_once,
    content_of,
    counted,
    csv_of,
    descriptor,
    everywhere,
    packed,
    published,
    sound,
    until,
)

SEED = int(os.environ.get("THINMESH_TORTURE_SEED", "1"))
POINTS = int(os.environ.get("THINMESH_TORTURE_POINTS", "22"))
LONG = POINTS >= 100
SECONDS = 30.0 if LONG else 4.0
TEAMS = [f"t{number}" for number in range(1, 9)]
PUSHES = 20 if LONG else 2
# What git itself says to somebody who is behind; no other reason may keep a push of one's own folder back.
BEHIND = ("fetch first", "non-fast-forward", "pushed to main meanwhile")
PLACES = ("swap", "grow", "plain")
SQL = """SELECT 'a' AS t, marker, count(*) AS n FROM {0}.a GROUP BY marker
         UNION ALL SELECT 'b', marker, count(*) FROM {0}.b GROUP BY marker"""


@pytest.mark.parametrize("way", ["HEAD:refs/for/main", "HEAD:main"])
def test_eight_teams_push_at_once(way, tmp_path, record_property):
    merged = way.endswith("for/main")
    teams = TEAMS if merged or LONG else TEAMS[:4]
    pushes = PUSHES if merged or LONG else 2
    served = Served(tmp_path, teams)
    attempts: list[int] = []

    def work(team: str) -> None:
        clone = served.clone(team)
        for number in range(1, pushes + 1):
            marker = f"{team}-{number}"
            files = {f"{table}.csv": csv_of(table, marker, number + 2) for table in "ab"}
            if number == 1:
                files["product.json"] = json.dumps(descriptor(f"p_{team}", team))
            clone.commit(f"d/p_{team}", files, marker)
            attempts.append(_push(clone, way))

    with served.up():
        at_once(*(lambda team=team: work(team) for team in teams))
        subjects = served.clone("t1", "after").git("log", "--format=%s", "main").splitlines()
    markers = {
        content_of(csv_of("a", f"{team}-{number}", number + 2).encode()): f"{team}-{number}"
        for team in teams
        for number in range(1, pushes + 1)
    }
    assert sorted(subject for subject in subjects if subject in markers.values()) == sorted(markers.values())
    with served.opened() as platform:
        log = published(list(platform.ledger.entries()), "a", markers)
        assert log == {f"p_{team}": [f"{team}-{number}" for number in range(1, pushes + 1)] for team in teams}
        for name, told in everywhere(platform).items():
            rows = {log[name][-1]: pushes + 2}
            owner = name.removeprefix("p_")
            assert told["index"] == (owner, "open", f"p{pushes}")
            assert told["log"] == told["catalog"] == (owner, "open")
            assert told["main"] == told["lake"] == {"a": rows, "b": rows}
        sound(platform)
    if merged:
        assert max(attempts) == 1, "folders of others keep no push to refs/for/main back"
    record_property("attempts", sum(attempts))
    record_property("held", ("concurrent pushes", len(attempts), len(attempts)))


def _push(clone, way):
    """Push as a person does: when behind, rebase and try again. Gives the number of attempts."""
    attempts = 1
    while said := clone.git("push", "--quiet", "origin", way, fails=True):
        assert any(reason in said for reason in BEHIND), said
        assert attempts < 200, "it never got through"
        clone.git("pull", "--quiet", "--rebase", "origin", "main")
        attempts += 1
    clone.git("pull", "--quiet", "--rebase", "origin", "main")
    return attempts


def test_many_clients_register_at_once_and_each_name_goes_to_one(tmp_path, record_property):
    clients, each = 32, 12 if LONG else 2
    served = Served(tmp_path, ["red", "blue"])
    lost, won = [], []

    def register(caller, owner, name, key):
        """Register, sending the request twice at once; both tell the same in the end."""
        first, second = at_once(*[lambda: _insist(caller, _document(name, owner), key)] * 2)
        assert first.status_code == second.status_code
        assert first.content == second.content or not first.is_success
        (won if first.status_code == 201 else lost).append((name, owner, first.status_code))

    def work(number):
        owner = ("red", "blue")[number % 2]
        with served.caller(owner) as caller:
            for at in range(each):
                register(caller, owner, f"own_{number}_{at}", f"own-{number}-{at}")
                register(caller, owner, f"raced_{number // 2}_{at}", f"raced-{number}-{at}")

    with served.up():
        at_once(*(lambda number=number: work(number) for number in range(clients)))
        with served.caller("red") as caller:
            listed = _all(caller, "/product/v1/products")
    owners = {name: owner for name, owner, _ in won}
    assert len(owners) == len(won) == clients * each + clients // 2 * each, "each name was given away once"
    assert {status for _, _, status in lost} <= {403, 409}
    assert {item["name"]: item["owner"] for item in listed} == owners
    with served.opened() as platform:
        first = [
            change.product
            for entry in platform.ledger.entries()
            for change in entry.changes
            if change.event == "registered"
        ]
        assert sorted(first) == sorted(owners)
        for name, told in everywhere(platform).items():
            assert told["index"][0] == told["log"][0] == told["catalog"][0] == owners[name]
            assert told["document"]["name"] == name
        sound(platform)
    record_property("held", ("concurrent registrations", len(won) + len(lost), len(won) + len(lost)))


def _document(name, owner):
    return {"name": name, "domain": "d", "description": f"By {owner}", "owner": owner}


def _insist(caller, document, key):
    """Send a registration until it is decided: locked means that the same request is under way."""
    while True:
        reply = caller.post("/product/v1/products", json=document, headers={"Idempotency-Key": key})
        if not (reply.status_code in (423, 429, 503) and reply.json()["retry"]):
            return reply
        time.sleep(0.02)


def _all(caller, path):
    items, cursor = [], None
    while True:
        page = caller.get(path, params={"limit": 1000, **({"cursor": cursor} if cursor else {})}).json()
        items += page["items"]
        cursor = page["next"]
        if not cursor:
            return items


class Traffic:
    """Publishers and readers on three products, and the history of what they did.

    `swap` is replaced in the lake, `grow` is appended to there, `plain` is replaced in the shared repository;
    `words` is a product whose description is written.
    """

    def __init__(self, served: Served, seed: int) -> None:
        self.served = served
        self.history = History()
        self.markers: dict[str, str] = {}
        self.over = threading.Event()
        self.reads = 0
        self.kills: list[float] = []
        self.killed = 0  # how often the server is to be killed at least
        self.acknowledged: Counter[str] = Counter()
        self._seed = seed
        self._number = itertools.count(1)

    def found(self) -> None:
        """Register the products."""
        with self.served.caller("t1") as caller:
            for name in ("swap", "grow", "plain", "words"):
                reply = caller.post("/product/v1/products", json=descriptor(name, "t1", description="nothing"))
                assert reply.status_code == 201, reply.text

    def publisher(self, place: str, *, insists: bool) -> None:
        """Publish to a product until it is over; who `insists` sends the same again where the outcome is unknown."""
        while not self.over.is_set():
            marker = f"{place}-{next(self._number)}"
            rows = 1 + crc32(marker.encode()) % 40
            texts = {table: csv_of(table, marker, rows) for table in "ab"}
            pack, ending = (str.encode, "csv") if place == "plain" else (packed, "csv.gz")
            files = [("file", (f"{table}.{ending}", pack(text))) for table, text in texts.items()]
            self.markers[content_of(files[0][1][1])] = marker
            mode = "append" if place == "grow" else "replace"

            def send(caller, place=place, files=files, mode=mode, marker=marker):
                path = f"/product/v1/products/{place}/publications"
                return caller.post(path, params={"mode": mode}, files=files, headers={"Idempotency-Key": marker})

            self._write(place, marker, rows, send, insists, appends=mode == "append")

    def describer(self) -> None:
        """Write the description of a product until it is over."""
        while not self.over.is_set():
            marker = f"words-{next(self._number)}"
            document = descriptor("words", "t1", description=marker)
            self._write(
                "words", marker, 1, lambda caller, document=document: caller.post("/product/v1/products", json=document)
            )

    def _write(self, place, marker, rows, send, insists=False, *, appends=False):
        try:
            with self.history.write(place, marker, rows, appends=appends) as operation:
                while True:
                    try:
                        with self.served.caller("t1") as caller:
                            reply = send(caller)
                        if reply.status_code in (200, 201):
                            self.acknowledged[place] += 1
                            return
                        if reply.status_code not in (409, 423, 429, 503):
                            raise AssertionError(reply.text)
                    except httpx.TransportError:
                        if not insists:
                            raise
                    time.sleep(0.02)
        except httpx.TransportError:
            assert operation.responded > 1e300, "its outcome stays unknown"

    def reader(self, look, *places: str) -> None:
        """Read places in turn until it is over, in one session."""
        choice = random.Random(f"{self._seed} {look.__name__} {places}")
        with self.served.caller("t2") as caller:
            while not self.over.is_set():
                place = choice.choice(places)
                try:
                    with self.history.read(place) as operation:
                        operation.seen = look(caller, place)
                    self.reads += operation.seen is not None
                except httpx.TransportError:
                    time.sleep(0.02)

    def cloner(self, clone: Clone) -> None:
        """Fetch `main` and look at the tables of `plain`, until it is over."""
        while not self.over.is_set():
            with self.history.read("plain") as operation:
                if clone.git("fetch", "--quiet", "origin", "main", fails=True):
                    continue  # killed meanwhile
                paths = clone.git("ls-tree", "-r", "--name-only", "FETCH_HEAD", "d/plain").split()
                operation.seen = [
                    counted(clone.git("show", f"FETCH_HEAD:d/plain/{table}.csv"))
                    if f"d/plain/{table}.csv" in paths
                    else {}
                    for table in "ab"
                ]
            self.reads += 1

    def _timer(self, seconds: float) -> None:
        """Call it over after some seconds, and not before there is enough to judge; a slow machine takes longer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or (not self._enough() and time.monotonic() < end + 2 * PATIENCE):
            if self.over.wait(0.05):
                return
        self.over.set()

    def _enough(self) -> bool:
        if len(self.kills) < self.killed:
            return False
        return self.reads >= 10 and min(self.acknowledged[place] for place in (*PLACES, "words")) >= 4

    def run(self, seconds: float, *others) -> None:
        """Let everybody work for some seconds."""
        publishers = [
            lambda place=place, insists=insists: self.publisher(place, insists=insists)
            for place in PLACES
            for insists in (True, False)
        ]
        clone = self.served.clone("t2")
        readers = [
            *[lambda: self.reader(by_sql, *PLACES)] * 3,
            lambda: self.reader(by_file, *PLACES),
            lambda: self.reader(by_parquet, *PLACES),
            lambda: self.reader(by_description, "words"),
            lambda: self.cloner(clone),
        ]
        works = [*publishers, self.describer, *readers, *others, lambda: self._timer(seconds)]
        at_once(*(self._or_end(work) for work in works))

    def _or_end(self, work):
        def run():
            try:
                return work()
            except BaseException:
                self.over.set()
                raise

        return run

    def judge(self, record_property) -> None:
        """Hold the history against the log, and the places of truth against each other."""
        with self.served.opened() as platform:
            entries = list(platform.ledger.entries())
            log = published(entries, "a", self.markers)
            log["words"] = [
                json.loads(platform.data.read(change.document))["description"]
                for entry in entries
                for change in entry.changes
                if change.product == "words" and change.event == "changed"
            ]
            assert self.history.faults(log) == []
            told = everywhere(platform)
            for name in PLACES:
                assert told[name]["lake"]["a"] == told[name]["lake"]["b"]
                assert set(told[name]["lake"]["a"]) == set(log[name] if name == "grow" else log[name][-1:])
            assert told["plain"]["main"] == told["plain"]["lake"]
            sound(platform)
        assert self._enough()
        count = len(self.history.operations)
        record_property("held", ("operations in histories", count, count))


def by_sql(caller, place):
    """See both tables in one statement."""
    reply = caller.post("/query/v1/statements", json={"sql": SQL.format(place)})
    if reply.status_code == 503:
        return None
    assert reply.status_code == 200, reply.text
    seen = {"a": {}, "b": {}}
    for table, marker, count in reply.json()["rows"]:
        seen[table][marker] = count
    return list(seen.values())


def by_file(caller, place):
    """See one table as a file."""
    reply = caller.get(f"/product/v1/products/{place}/tables/b/data", params={"format": "csv"})
    if reply.status_code == 503:
        return None
    assert reply.status_code == 200, reply.text
    return [counted(reply.text)]


def by_parquet(caller, place):
    """See the rows of one table as a statement's answer in Parquet."""
    sql = f"SELECT marker, n FROM {place}.a"  # rows, not a count: every data file is read
    accept = {"Accept": "application/vnd.apache.parquet"}
    reply = caller.post("/query/v1/statements", json={"sql": sql}, headers=accept)
    if reply.status_code == 503:
        return None
    assert reply.status_code == 200, reply.text
    return [Counter(pq.read_table(io.BytesIO(reply.content))["marker"].to_pylist())]


def by_description(caller, place):
    """See a product's description."""
    reply = caller.get(f"/product/v1/products/{place}")
    assert reply.status_code == 200, reply.text
    description = reply.json()["product"]["description"]
    return [{} if description == "nothing" else {description: 1}]


def test_every_reader_sees_whole_publications_in_order(tmp_path, record_property):
    served = Served(tmp_path, ["t1", "t2"])
    traffic = Traffic(served, SEED)
    with served.up():
        traffic.found()
        traffic.run(SECONDS)
    traffic.judge(record_property)


def test_histories_stay_in_order_over_kills_of_the_server(tmp_path, record_property):
    served = Served(tmp_path, ["t1", "t2"])
    traffic = Traffic(served, SEED)
    traffic.killed = 2

    def killer():
        choice = random.Random(SEED)
        while not traffic.over.is_set():
            wanted, latest = traffic.acknowledged.total() + choice.randint(5, 15), time.monotonic() + 10
            while traffic.acknowledged.total() < wanted and time.monotonic() < latest and not traffic.over.wait(0.01):
                pass
            served.kill()
            served.start()
            traffic.kills.append(time.monotonic())

    with served.up():
        traffic.found()
        traffic.run(SECONDS * 2, killer)
    traffic.judge(record_property)
    assert len(traffic.kills) >= 2
    record_property("held", ("kills under traffic", len(traffic.kills), len(traffic.kills)))


def test_readers_of_closed_and_retired_products_see_what_holds_at_a_moment_of_their_read(tmp_path, record_property):
    """Access is granted and revoked, a product retired, while others read: before, or after, and never in between."""
    served = Served(tmp_path, ["t1"], ["ben", "eve"])
    over = threading.Event()
    turns: list[tuple[str, float, float]] = []
    looks: list[tuple[str, str, int, float, float]] = []

    def unseen():
        return {200, 403} - {status for user, _, status, *_ in list(looks) if user == "ben"}

    def owner():
        with served.caller("t1") as caller, served.caller("ben") as asking:
            while time.monotonic() < end or len(turns) < 6 or (unseen() and time.monotonic() < end + 2 * PATIENCE):
                made = asking.post("/exchange/v1/requests", json={"product": "closed", "purpose": "to see"})
                _turn(turns, "granted", caller.post, f"/exchange/v1/requests/{made.json()['id']}/approve")
                time.sleep(0.1)
                grants = caller.get("/exchange/v1/grants", params={"product": "closed"}).json()["items"]
                [grant] = [each["id"] for each in grants if each["state"] == "approved" and each["user"] == "ben"]
                _turn(turns, "revoked", lambda path: caller.delete(path), f"/exchange/v1/grants/{grant}")
                time.sleep(0.1)
        over.set()

    def reader(user, how):
        with served.caller(user) as caller:
            while not over.is_set():
                begun = time.monotonic()
                status = how(caller, "closed")
                looks.append((user, how.__name__, status, begun, time.monotonic()))

    def publisher():
        with served.caller("t1") as caller:
            for number in itertools.count():
                if over.is_set():
                    return
                _publish(caller, "closed", f"closed-{number}")

    with served.up():
        with served.caller("t1") as caller:
            for name, access in (("closed", "request"), ("gone", "open")):
                caller.post("/product/v1/products", json=descriptor(name, "t1", access=access)).raise_for_status()
                _publish(caller, name, f"{name}-first")
        end = time.monotonic() + SECONDS * 0.8
        works = [lambda user=user, how=how: reader(user, how) for user in ("ben", "eve") for how in (_ask, _take)]
        at_once(owner, publisher, *works)
        _retire_under_readers(served)
    for user, how, status, begun, ended in looks:
        allowed = _possible(turns, begun, ended) if user == "ben" else {False}
        assert (status == 200) in allowed, (user, how, status)
        assert status in (200, 403), status
    assert not unseen()
    assert len(turns) >= 4
    record_property("held", ("reads under changing grants", len(looks), len(looks)))


def _turn(turns, what, send, path):
    begun = time.monotonic()
    reply = send(path)
    assert reply.status_code == 200, reply.text
    turns.append((what, begun, time.monotonic()))


def _possible(turns, begun, ended):
    """Give what may be answered between two moments: what held at the start, and what was coming until the end."""
    before = [what == "granted" for what, _, done in turns if done < begun]
    coming = {what == "granted" for what, start, done in turns if done >= begun and start <= ended}
    return coming | {before[-1] if before else False}


def _publish(caller, name, marker):
    files = [("file", (f"{table}.csv", csv_of(table, marker, 5).encode())) for table in "ab"]
    reply = caller.post(f"/product/v1/products/{name}/publications", files=files)
    assert reply.status_code in (200, 201), reply.text


def _ask(caller, name):
    return caller.post("/query/v1/statements", json={"sql": f"SELECT count(*) FROM {name}.a"}).status_code


def _take(caller, name):
    return caller.get(f"/product/v1/products/{name}/tables/a/data", params={"format": "csv"}).status_code


def _retire_under_readers(served):
    """Whoever saw that a product is gone never sees it again, and nobody who begins after it was retired does."""
    seen: list[tuple[int, float, float]] = []
    retired: list[float] = []

    def read():
        after = 0  # looks that were begun when it was retired
        with served.caller("eve") as caller:
            while after < 5:
                after += bool(retired)
                begun = time.monotonic()
                seen.append((_take(caller, "gone"), begun, time.monotonic()))

    def retire():
        try:
            until(lambda: len(seen) > 5)
            with served.caller("t1") as caller:
                assert caller.delete("/product/v1/products/gone").status_code == 200
        finally:
            retired.append(time.monotonic())

    at_once(retire, read, read)
    assert {status for status, *_ in seen} == {200, 410}
    known = min(ended for status, _, ended in seen if status == 410)
    assert all(status == 410 for status, begun, _ in seen if begun > min(known, retired[0]))
