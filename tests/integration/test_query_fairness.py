"""While one user throws bombs, another's small query is answered within 2 seconds."""

import http.client
import json
import select
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.running import cli_json, make_home, up
from thinmesh.adapters.duckdb.query.engine import DuckdbEngine
from thinmesh.adapters.duckdb.query.queue import Queue
from thinmesh.interface.http import statements
from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import MeshError
from thinmesh.kernel.policy import Principal
from thinmesh.planes.query.model import ReadableTable
from thinmesh.planes.query.operations import Queries

from .query_world import Catalog, MemoryLog, write

ANN, BOMBER = Principal("ann"), Principal("bomber")
THREE = tuple(map(Principal, ("bomber", "bombarder", "bombardier")))
COLUMNS = (Column("id", "integer", id=1), Column("text", id=2))
SMALL = "SELECT id, text FROM shop.orders WHERE id = 2"
WITHIN_SECONDS = 2.0
TRYING_SECONDS = 60.0  # a busy machine may be slow for a while; who is behind the bombs is always slow
AT_ONCE = 24
CROSS = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = -1"
BOMBS = {
    "time": CROSS,
    "sleep": "SELECT sleep_ms(600000)",
    "not to be interrupted": "SELECT levenshtein(repeat('ab', 300000), repeat('ba', 300000))",
    "memory, again and again": "SELECT string_agg(repeat('x', 100000), '') FROM range(1000000)",
    "spilling": "SELECT b FROM (SELECT md5(range::VARCHAR) b FROM range(90000000)) ORDER BY b OFFSET 89999999",
    "parsing": " UNION ALL ".join(["SELECT 1"] * 10_000),
    "an answer nobody reads": "SELECT repeat('x', 10000) FROM range(1000000000)",
    "short ones without end": "SELECT sum(hash(range)) FROM range(30000000)",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fair")


@pytest.fixture
def queries(place):
    table = write(place / "lake", "shop", "orders", COLUMNS, [(1, "a"), (2, "b")])
    catalog = Catalog([ReadableTable("shop", "orders", COLUMNS, "p1", (table,))])
    scratch = place / "scratch"
    with closing(DuckdbEngine(workers=2, memory=256 << 20, lake=place / "lake", scratch=scratch)) as engine:
        engine.warm()
        found = Queries(engine, catalog, MemoryLog(), seconds=60)
        yield found
        found.close()


def best_of_tries(ask):
    """Ask until it was quick enough; gives the best time, in seconds."""
    times, end = [], time.monotonic() + TRYING_SECONDS
    while not times or (times[-1] >= WITHIN_SECONDS and time.monotonic() < end):
        began = time.monotonic()
        ask()
        times.append(time.monotonic() - began)
    return min(times)


@contextmanager
def bombing(queries, sql, users=(BOMBER,)):
    """Keep `AT_ONCE` statements of each user under way until the block ends."""
    over = threading.Event()

    def throw(user, number):
        turn = 0
        while not over.is_set():
            turn += 1
            try:
                with queries.run(user, sql, id=f"{number}-{turn}", format="csv") as execution:
                    next(execution.chunks(), None)
                    if "repeat('x', 10000) FROM" in sql:
                        over.wait()  # its reader has gone to lunch
            except MeshError:
                over.wait(0.05)

    threads = [threading.Thread(target=throw, args=(user, number)) for user in users for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: queries._engine.queue.counts()["waiting"] >= (AT_ONCE - 4) * len(users))
        until(lambda: all(queries._engine.queue.held(user.user) for user in users))
        yield
    finally:
        over.set()
        queries.close()
        for thread in threads:
            thread.join(60)


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_query_is_answered_while_another_user_throws_bombs(queries, name, record_property):
    with bombing(queries, BOMBS[name]):
        best = best_of_tries(lambda: queries.run(ANN, SMALL).read())
        # Each is thrown again as soon as it has ended: at a moment some may be in between.
        until(lambda: queries._engine.queue.counts()["waiting"] >= AT_ONCE - 4)
    record_property("held", ("small queries beside bombs", 1, int(best < WITHIN_SECONDS)))
    assert best < WITHIN_SECONDS


@pytest.mark.parametrize("name", ["time", "an answer nobody reads"])
def test_a_small_query_is_answered_while_three_users_hold_all_they_can(queries, name, record_property):
    with bombing(queries, BOMBS[name], THREE):
        best = best_of_tries(lambda: queries.run(ANN, SMALL).read())
    record_property("held", ("small queries beside bombs", 1, int(best < WITHIN_SECONDS)))
    assert best < WITHIN_SECONDS


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    home, token = make_home(tmp_path_factory.mktemp("home"))
    cli_json("user", "add", "bomber", home=home)
    bomber = cli_json("token", "new", "bomber", "--scope", "read", home=home)["token"]
    with (
        up(home) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client,
    ):
        yield client, bomber


def throw(url, token, sql):
    """Send a statement, and do not wait for its answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "text/csv"}
    connection.request("POST", "/query/v1/statements", json.dumps({"sql": sql}), headers)
    return connection


def small_query_over(client):
    reply = client.post("/query/v1/statements", json={"sql": "SELECT 42 AS x"})
    assert reply.json()["rows"] == [[42]]


@pytest.mark.parametrize("sql", [CROSS, BOMBS["an answer nobody reads"]], ids=["time", "nobody reads"])
def test_over_http_the_queue_of_one_user_is_bounded_and_others_pass_by(mesh, sql, record_property):
    client, token = mesh
    most = Queue(slots=2).per_user
    with ExitStack() as stack:
        sent = [stack.enter_context(closing(throw(str(client.base_url), token, sql))) for _ in range(most + 12)]
        refused = []
        until(lambda: refused.extend(_answered(sent)) or len(refused) >= 1)
        best = best_of_tries(lambda: small_query_over(client))
    record_property("held", ("small queries beside bombs", 1, int(best < WITHIN_SECONDS)))
    assert best < WITHIN_SECONDS
    for status, headers, body in refused:
        assert status == 429
        assert headers["content-type"] == "application/problem+json"
        assert int(headers["retry-after"]) >= 1
        problem = json.loads(body)
        assert (problem["code"], problem["retry"]) == ("too_many_requests", True)
        assert "yours" in problem["help"]
    until(lambda: _running(client) == 0)


def _answered(sent):
    """Read the refusals that have come; answers of other kinds are left unread."""
    found = []
    socks = {each.sock: each for each in sent if each.sock}
    ready, _, _ = select.select(list(socks), [], [], 0)
    for connection in map(socks.__getitem__, ready):
        if connection.sock.recv(64, 2).startswith(b"HTTP/1.1 429"):  # MSG_PEEK
            reply = connection.getresponse()
            found.append((reply.status, {key.lower(): value for key, value in reply.getheaders()}, reply.read()))
    return found


def _running(client):
    return client.get("/operations/v1/status").json()["workers"]["queue"]["running"]


def test_there_are_threads_for_all_who_may_wait_and_run():
    queue = Queue(slots=32)
    assert queue.total + 4 * queue.slots < statements._THREADS
