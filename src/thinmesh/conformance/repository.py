"""What every DataRepository and LogRepository must do (kernel/repository.py).

A test class inherits a suite and says how to make an empty repository; pytest finds the `test_` methods. A data
repository is handed over as it was created, with its first commit.
"""
# ruff: noqa: D102, S101, S311 - tests: their names say what they ask, they assert, their dice need no secrecy

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from thinmesh.kernel.errors import Conflict, MeshError, Temporary
from thinmesh.kernel.repository import DataRepository, LogRepository, Signature

_ALICE = Signature("alice", "alice@example.org")
_ABSENT = "a" * 40


def _raises(kind: type[BaseException], act: Callable[[], Any]) -> None:
    try:
        act()
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def _race(count: int, act: Callable[[int], None]) -> None:
    """Run `act` in threads at once, and raise the first thing that any of them raised."""
    faults: list[BaseException] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            start.wait()
            act(number)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


class DataRepositorySuite(ABC):
    """What `data.git` must do."""

    @abstractmethod
    def make(self, folder: Path) -> DataRepository:
        """Create a repository in an empty folder."""

    @abstractmethod
    def reopen(self, repository: DataRepository) -> DataRepository:
        """Open the same repository again, as another process would."""

    def test_begins_with_the_servers_files(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        files = repository.files(repository.tip())
        assert sorted(files) == ["README.md", "data_catalog.csv"]
        assert repository.read(files["data_catalog.csv"].id) == b"name,domain,owner,description,tables,access\n"

    def test_gives_back_the_bytes_it_was_given(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        for content in (b"", b"\0\r\n\xff", b"a,b\r\n1,2\r\n" * 1000):
            assert repository.read(repository.add(content)) == content

    def test_takes_and_gives_files_on_disk(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        content = random.Random(1).randbytes(3_000_000)
        source, target = tmp_path / "source.csv", tmp_path / "target.csv"
        source.write_bytes(content)
        staged, unwanted = (repository.stage(str(source)) for _ in range(2))
        _raises(KeyError, partial(repository.read, staged.id))
        repository.drop(unwanted)
        repository.admit(staged)
        repository.drop(staged)
        assert staged.id == repository.add(content)
        repository.copy(staged.id, str(target))
        assert target.read_bytes() == content
        repository.admit(repository.stage(str(source)))
        assert self.reopen(repository).read(staged.id) == content

    def test_absent_objects_are_key_errors(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        for id in (_ABSENT, "", "zz", "not hexadecimal but forty characters long"):
            _raises(KeyError, partial(repository.read, id))

    def test_a_commit_is_invisible_until_main_moves(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        old = repository.tip()
        new = repository.commit(old, {"a/b/c.csv": repository.add(b"x\n")}, _ALICE, "One")
        assert repository.tip() == old
        repository.move(old, new)
        assert repository.tip() == new
        assert self.reopen(repository).tip() == new

    def test_edits_touch_nothing_else(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        one, two = repository.add(b"1"), repository.add(b"22")
        first = repository.commit(
            repository.tip(), {"a/b/c.csv": one, "a/b/d/e.csv": one, "a/x/y.csv": one}, _ALICE, "One"
        )
        second = repository.commit(first, {"a/b/c.csv": two, "a/b/d/e.csv": None}, _ALICE, "Two")
        files = repository.files(second, "a")
        assert {path: (file.id, file.size) for path, file in files.items()} == {
            "a/b/c.csv": (two, 2),
            "a/x/y.csv": (one, 1),
        }
        assert repository.file(second, "a/b/d/e.csv") is None
        assert repository.file(first, "a/b/d/e.csv") is not None
        assert repository.file(second, "README.md") == repository.file(first, "README.md")

    def test_what_is_not_there_is_found_nowhere(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        tip = repository.commit(repository.tip(), {"a/b/c.csv": repository.add(b"1")}, _ALICE, "One")
        assert repository.file(tip, "a/b") is None
        assert repository.file(tip, "a/b/c.csv/d") is None
        assert repository.file(tip, "nowhere") is None
        assert repository.files(tip, "nowhere") == {}
        assert repository.files(tip, "a/b/c.csv") == {}

    def test_removing_what_is_not_there_changes_nothing(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        tip = repository.commit(repository.tip(), {"a/b/c.csv": None, "z": None}, _ALICE, "Nothing")
        assert sorted(repository.files(tip)) == ["README.md", "data_catalog.csv"]

    def test_edits_match_a_plain_mapping(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        dice = random.Random(2)
        tip = repository.tip()
        model = {path: file.id for path, file in repository.files(tip).items()}
        ids = [repository.add(b"%d" % number) for number in range(4)]
        # Names around the separator: git sorts folders as if they ended in it.
        paths = [f"{a}/{b}/{c}.csv" for a in ("a", "a.b", "a0") for b in ("x", "x-y", "x0") for c in "pq"]
        for _ in range(40):
            edits = {path: dice.choice([None, *ids]) for path in dice.sample(paths, 3)}
            tip = repository.commit(tip, edits, _ALICE, "Some")
            model = {path: id for path, id in {**model, **edits}.items() if id is not None}
            assert {path: file.id for path, file in repository.files(tip).items()} == model

    def test_ancestors(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        base = repository.tip()
        left = repository.commit(base, {"a/b/l.csv": repository.add(b"l")}, _ALICE, "Left")
        right = repository.commit(base, {"a/b/r.csv": repository.add(b"r")}, _ALICE, "Right")
        both = repository.commit(left, {"a/b/r.csv": repository.add(b"r")}, _ALICE, "Both", merged=right)
        assert repository.is_ancestor(base, base)
        assert repository.is_ancestor(base, both)
        assert repository.is_ancestor(right, both)
        assert not repository.is_ancestor(right, left)
        assert not repository.is_ancestor(both, base)

    def test_main_moves_only_from_where_it_is(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        base = repository.tip()
        one = repository.commit(base, {"a/b/c.csv": repository.add(b"1")}, _ALICE, "One")
        two = repository.commit(base, {"a/b/c.csv": repository.add(b"2")}, _ALICE, "Two")
        repository.move(base, one)
        _raises(Conflict, lambda: repository.move(base, two))
        assert repository.tip() == one

    def test_racing_writers_lose_nothing(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)

        def write(number: int) -> None:
            for turn in range(5):
                self._insist(repository, {f"d/p{number}/t{turn}.csv": repository.add(b"%d" % turn)})

        _race(4, write)
        assert len(repository.files(repository.tip(), "d")) == 20

    def _insist(self, repository: DataRepository, edits: dict[str, str | None]) -> None:
        while True:
            old = repository.tip()
            try:
                repository.move(old, repository.commit(old, edits, _ALICE, "Race"))
            except (Conflict, Temporary):
                continue
            return

    def test_authors_cannot_forge_the_commits_header(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        base = repository.tip()
        mallory = Signature("m\nparent " + _ABSENT, "<m@example.org>\n\n")
        tip = repository.commit(base, {"a/b/c.csv": repository.add(b"1")}, mallory, "Message\0 with a hole")
        assert repository.is_ancestor(base, tip)
        _raises(MeshError, partial(repository.is_ancestor, _ABSENT, tip))

    def test_what_is_released_is_found_once_it_is_written(self, tmp_path: Path) -> None:
        repository = self.make(tmp_path)
        with repository.together():
            id = repository.add(b"held")
            write = repository.release()
        _raises(KeyError, partial(self.reopen(repository).read, id))
        _race(1, lambda _: write())
        assert repository.read(id) == b"held"
        assert self.reopen(repository).read(id) == b"held"


class LogRepositorySuite(ABC):
    """What `log.git` must do."""

    @abstractmethod
    def make(self, folder: Path) -> LogRepository:
        """Create a log in an empty folder."""

    @abstractmethod
    def reopen(self, log: LogRepository) -> LogRepository:
        """Open the same log again, as another process would."""

    def test_begins_empty(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        assert log.tip() == ""
        assert list(log.read()) == []

    def test_gives_back_entries_in_order_byte_for_byte(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        entries = [b'{"a":1}', b"\n\n leading and trailing \n\n", "ünïcode 💡".encode(), b"\xff\xfe", b"x" * 100_000]
        first = log.append("", entries[:2])
        second = log.append(first[-1], entries[2:])
        ids = [*first, *second]
        assert list(self.reopen(log).read()) == list(zip(ids, entries, strict=True))
        assert log.tip() == ids[-1]
        assert len(set(ids)) == len(ids)

    def test_reads_on_after_an_entry(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        ids = log.append("", [b"one", b"two", b"three"])
        assert [entry for _, entry in log.read(ids[0])] == [b"two", b"three"]
        assert list(log.read(ids[2])) == []

    def test_an_entry_that_is_not_there_is_a_key_error(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        _raises(KeyError, lambda: list(log.read(_ABSENT)))
        log.append("", [b"one"])
        _raises(KeyError, lambda: list(log.read(_ABSENT)))
        _raises(KeyError, lambda: list(log.read("nonsense")))

    def test_appends_only_at_the_end(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        _raises(Conflict, lambda: log.append(_ABSENT, [b"early"]))
        ids = log.append("", [b"one", b"two"])
        for after in ("", ids[0], _ABSENT):
            _raises(Conflict, partial(log.append, after, [b"late"]))
        assert [entry for _, entry in log.read()] == [b"one", b"two"]

    def test_the_newest_entry_is_the_last(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        assert log.newest() is None
        ids = log.append("", [b"one", b"two\n\nlines"])
        assert log.newest() == (ids[1], b"two\n\nlines")

    def test_what_must_be_done_before_is_done_or_nothing_is_appended(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        done: list[str] = []

        def refuse() -> None:
            raise Temporary("no")

        ids = log.append("", [b"one"], lambda: done.append(log.tip()))
        assert done == [""]
        _raises(Temporary, lambda: log.append(ids[0], [b"two"], refuse))
        assert [entry for _, entry in self.reopen(log).read()] == [b"one"]
        log.append(ids[0], [b"three"])
        assert [entry for _, entry in self.reopen(log).read()] == [b"one", b"three"]

    def test_appending_nothing_changes_nothing(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)
        assert list(log.append("", [])) == []
        assert log.tip() == ""

    def test_racing_writers_lose_nothing(self, tmp_path: Path) -> None:
        log = self.make(tmp_path)

        def write(number: int) -> None:
            for turn in range(5):
                self._insist(log, b"%d %d" % (number, turn))

        _race(4, write)
        found = [entry for _, entry in log.read()]
        assert sorted(found) == sorted(b"%d %d" % (number, turn) for number in range(4) for turn in range(5))

    def _insist(self, log: LogRepository, entry: bytes) -> None:
        while True:
            try:
                log.append(log.tip(), [entry])
            except (Conflict, Temporary):
                continue
            return
