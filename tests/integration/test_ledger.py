"""The ledger on a real database and real repositories: order, batches, refusals, and every place a crash can hit."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from thinmesh.adapters.git.data import GitDataRepository
from thinmesh.adapters.git.log import GitLogRepository
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.kernel.errors import Refused, Temporary
from thinmesh.kernel.ledger import Actor, Draft, Ledger, ProductChange, Unfinished
from thinmesh.kernel.repository import Signature

ADA = Actor("ada", "cli")
WHO = Signature("ada", "ada@example.org")


class Killed(BaseException):
    """Stands for the end of the process: nothing after it runs."""


class Rows:
    """A small index: one row per product change, and the cursor."""

    def cursor(self, tx):
        row = tx.one("SELECT entry, sequence FROM cursor")
        return (row["entry"], row["sequence"]) if row else ("", 0)

    def move_cursor(self, tx, id, sequence):
        tx.execute("DELETE FROM cursor")
        tx.execute("INSERT INTO cursor VALUES (:id, :s)", {"id": id, "s": sequence})

    def apply(self, tx, entry):
        for change in entry.changes:
            tx.execute("INSERT INTO seen VALUES (:p, :s)", {"p": change.product, "s": entry.sequence})


class Home:
    def __init__(self, path: Path) -> None:
        self.path = path
        GitDataRepository.create(path / "data.git", fsync=False)
        GitLogRepository.create(path / "log.git", fsync=False)
        self.database = SqliteDatabase(path / "db")
        with self.database.write() as tx:
            tx.execute("CREATE TABLE seen (product TEXT PRIMARY KEY, sequence INTEGER)")
            tx.execute("CREATE TABLE cursor (entry TEXT, sequence INTEGER)")
        self.data = GitDataRepository(path / "data.git", fsync=False)
        self.log = GitLogRepository(path / "log.git", fsync=False)

    def ledger(self, data=None, log=None, index=None) -> Ledger:
        return Ledger(data or self.data, log or self.log, self.database, index or Rows())

    def seen(self) -> list[str]:
        with self.database.read() as tx:
            return [row["product"] for row in tx.all("SELECT product FROM seen ORDER BY sequence")]


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    yield home
    home.database.close()


def registering(home: Home, name: str):
    def work(tx, tip):
        if tx.one("SELECT 1 FROM seen WHERE product = :p", {"p": name}):
            return None
        id = home.data.add(name.encode())
        change = ProductChange(name, "registered", "d", "t", "open", "active", "1.0.0", document=id)
        return Draft(ADA, (change,), f"Register {name}", WHO, {f"d/{name}/product.json": id})

    return work


def assert_whole(home: Home, ledger: Ledger) -> None:
    entries = list(ledger.entries())
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert home.data.tip() == entries[-1].new
    assert [change.product for entry in entries for change in entry.changes] == home.seen()
    for before, after in itertools.pairwise(entries):
        assert after.old == before.new


def test_a_change_is_on_main_in_the_log_and_in_the_index(home):
    ledger = home.ledger()
    entry = ledger.submit(registering(home, "a"))
    assert entry.sequence == 1
    assert home.data.read(home.data.file(entry.new, "d/a/product.json").id) == b"a"
    assert_whole(home, ledger)


def test_the_same_change_again_does_nothing(home):
    ledger = home.ledger()
    ledger.submit(registering(home, "a"))
    assert ledger.submit(registering(home, "a")) is None
    assert len(list(ledger.entries())) == 1


def test_changes_that_arrive_together_share_a_batch_and_keep_their_order(home):
    ledger = home.ledger()
    names = [f"p{number}" for number in range(100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: ledger.submit(registering(home, name)), names))
    assert sorted(home.seen()) == sorted(names)
    assert_whole(home, ledger)


def test_a_refusal_in_a_batch_is_its_own(home):
    ledger = home.ledger()
    inside, go = threading.Event(), threading.Event()

    def blocking(tx, tip):
        inside.set()
        go.wait(60)

    def refusing(tx, tip):
        raise Refused("no")

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ledger.submit, blocking)
        inside.wait(60)
        bad = pool.submit(ledger.submit, refusing)
        good = pool.submit(ledger.submit, registering(home, "a"))
        go.set()
        assert first.result() is None
        assert good.result().sequence == 1
        with pytest.raises(Refused):
            bad.result()
    assert_whole(home, ledger)


class DiesBefore:
    """Passes everything on, and ends the process before the call named."""

    def __init__(self, inner, call: str) -> None:
        self._inner, self._call = inner, call

    def __getattr__(self, name):
        if name == self._call:
            return self._die
        return getattr(self._inner, name)

    def _die(self, *_args, **_kwargs):
        raise Killed


class DiesAfter(DiesBefore):
    def _die(self, *args, **kwargs):
        getattr(self._inner, self._call)(*args, **kwargs)
        raise Killed


@pytest.mark.parametrize(
    ("part", "call", "when", "survives"),
    [
        ("data", "commit", DiesAfter, False),
        ("log", "append", DiesBefore, False),
        ("log", "append", DiesAfter, True),
        ("data", "move", DiesBefore, True),
        ("data", "move", DiesAfter, True),
        ("index", "move_cursor", DiesAfter, True),
    ],
)
def test_a_crash_at_any_step_leaves_the_change_whole_or_absent(home, part, call, when, survives):
    home.ledger().submit(registering(home, "before"))
    parts = {"data": home.data, "log": home.log, "index": Rows()}
    ledger = home.ledger(**{part: when(parts[part], call)})
    with pytest.raises(Killed):
        ledger.submit(registering(home, "a"))
    after = home.ledger()
    after.recover()
    assert home.seen() == (["before", "a"] if survives else ["before"])
    assert_whole(home, after)
    assert (after.submit(registering(home, "a")) is None) == survives
    assert_whole(home, after)


def test_the_next_writer_recovers_without_being_asked(home):
    with pytest.raises(Killed):
        home.ledger(log=DiesAfter(home.log, "append")).submit(registering(home, "a"))
    ledger = home.ledger()
    ledger.submit(registering(home, "b"))
    assert home.seen() == ["a", "b"]
    assert_whole(home, ledger)


def test_the_next_writer_finds_a_main_whose_last_moves_a_power_failure_undid(home):
    first = home.ledger().submit(registering(home, "a"))
    home.ledger().submit(registering(home, "b"))
    (home.path / "data.git/refs/heads/main").write_text(f"{first.new}\n")
    ledger = home.ledger()
    entry = ledger.submit(registering(home, "c"))
    assert {f"d/{name}/product.json" for name in "abc"} <= set(home.data.files(entry.new))
    assert_whole(home, ledger)


def test_recovery_finds_a_main_whose_last_moves_a_power_failure_undid(home):
    first = home.ledger().submit(registering(home, "a"))
    home.ledger().submit(registering(home, "b"))
    (home.path / "data.git/refs/heads/main").write_text(f"{first.new}\n")
    ledger = home.ledger()
    assert ledger.recover() == 0
    assert_whole(home, ledger)


def test_an_index_whose_last_commits_a_power_failure_undid_is_brought_up_again(home):
    home.ledger().submit(registering(home, "a"))
    with home.database.read() as tx:
        before = Rows().cursor(tx)
    home.ledger().submit(registering(home, "b"))
    with home.database.write() as tx:
        tx.execute("DELETE FROM seen WHERE product = 'b'")
        Rows().move_cursor(tx, *before)
    ledger = home.ledger()
    ledger.submit(registering(home, "c"))
    assert home.seen() == ["a", "b", "c"]
    assert_whole(home, ledger)


def test_whoever_could_not_be_made_durable_is_told_and_nothing_is_shown(home):
    class Full:
        def __getattr__(self, name):
            return getattr(home.log, name)

        def append(self, after, entries, *before):
            raise Temporary("the disk is full")

    with pytest.raises(Temporary, match="full"):
        home.ledger(log=Full()).submit(registering(home, "a"))
    assert home.seen() == []
    assert home.log.tip() == ""


def test_two_ledgers_on_one_home_take_turns(home):
    other = Ledger(
        GitDataRepository(home.path / "data.git", fsync=False),
        GitLogRepository(home.path / "log.git", fsync=False),
        SqliteDatabase(home.path / "db"),
        Rows(),
    )
    one = home.ledger()
    with ThreadPoolExecutor(8) as pool:
        works = [(ledger, f"{side}{n}") for n in range(20) for side, ledger in (("a", one), ("b", other))]
        list(pool.map(lambda pair: pair[0].submit(registering(home, pair[1])), works))
    assert len(home.seen()) == 40
    assert_whole(home, one)


class FailsOnce(DiesBefore):
    """Fails the call named, once: a disk that is full for a moment."""

    def __init__(self, inner, call: str) -> None:
        super().__init__(inner, call)
        self._failed = False

    def _die(self, *args, **kwargs):
        if self._failed:
            return getattr(self._inner, self._call)(*args, **kwargs)
        self._failed = True
        raise Temporary("The disk is full.")


def test_what_fails_after_the_log_has_it_is_told_as_unfinished_and_finished_by_the_next(home):
    ledger = home.ledger(data=FailsOnce(home.data, "move"))
    with pytest.raises(Unfinished, match="in the log"):
        ledger.submit(registering(home, "a"))
    assert home.seen() == []
    assert ledger.submit(registering(home, "b")).sequence == 2
    assert home.seen() == ["a", "b"]
    assert_whole(home, ledger)


def test_what_fails_before_the_log_has_it_did_not_happen(home):
    ledger = home.ledger(log=FailsOnce(home.log, "append"))
    with pytest.raises(Temporary) as raised:
        ledger.submit(registering(home, "a"))
    assert not isinstance(raised.value, Unfinished)
    assert ledger.submit(registering(home, "b")).sequence == 1
    assert home.seen() == ["b"]
