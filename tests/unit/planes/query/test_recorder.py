"""The writer of the query log."""

import threading

from thinmesh.kernel.errors import Temporary
from thinmesh.planes.query.model import Statement
from thinmesh.planes.query.recorder import Recorder


def entry(id, state="done"):
    return Statement(str(id), "ann", "http", "SELECT 1", state, "2026-01-01T00:00:00.000000Z")


class Log:
    """A log whose disk may be full."""

    def __init__(self):
        self.written = []
        self.full = threading.Event()
        self.tried = threading.Event()

    def record(self, statements):
        self.tried.set()
        if self.full.is_set():
            raise Temporary("The disk is full.")
        self.written += statements


def test_entries_are_written_in_order_before_close_returns():
    log = Log()
    recorder = Recorder(log)
    for number in range(500):
        recorder.add(entry(number))
    recorder.close()
    assert [one.id for one in log.written] == [str(number) for number in range(500)]


def test_flush_waits_for_what_was_added_before():
    log = Log()
    recorder = Recorder(log)
    recorder.add(entry(1))
    recorder.flush()
    assert len(log.written) == 1
    recorder.close()


def test_a_full_disk_stops_nobody_and_loses_nothing():
    log = Log()
    log.full.set()
    recorder = Recorder(log)
    for number in range(10):
        recorder.add(entry(number))
    assert log.tried.wait(60)
    log.full.clear()
    recorder.flush()
    recorder.close()
    assert [one.id for one in log.written] == [str(number) for number in range(10)]
    assert recorder.lost == 0


def test_what_cannot_be_written_at_the_end_is_counted():
    log = Log()
    log.full.set()
    recorder = Recorder(log)
    recorder.add(entry(1))
    assert log.tried.wait(60)
    recorder.close(patience=0.1)
    assert recorder.lost == 1


def test_closing_one_that_never_wrote_does_nothing():
    Recorder(Log()).close()


def test_a_statement_that_ends_at_once_is_one_entry_in_its_last_state():
    log = Log()
    recorder = Recorder(log)
    for state in ("running", "done"):
        recorder.add(entry(1, state))
    recorder.close()
    assert [one.state for one in log.written] == ["done"]


class Choosy(Log):
    """A log that cannot hold some entries, for a reason that nobody thought of."""

    def record(self, statements):
        if any(one.id == "odd" for one in statements):
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        super().record(statements)


def test_an_entry_that_can_never_be_written_is_told_and_costs_no_other(caplog):
    log = Choosy()
    recorder = Recorder(log)
    for id in (1, "odd", 2):
        recorder.add(entry(id))
    recorder.flush()
    recorder.add(entry(3))
    recorder.flush()
    assert [one.id for one in log.written] == ["1", "2", "3"]
    assert recorder.lost == 1
    (told,) = caplog.records
    assert told.getMessage() == "the query log lacks the entry odd of ann"
    assert told.exc_info[0] is UnicodeEncodeError
    recorder.close()


def test_waiting_in_vain_is_told(caplog):
    log = Log()
    log.full.set()
    recorder = Recorder(log)
    recorder.add(entry(1))
    recorder.flush(0.01)
    assert [told.getMessage() for told in caplog.records] == [
        "the query log is behind: 1 entries not written after 0.01 s"
    ]
    log.full.clear()
    recorder.close()
    assert [one.id for one in log.written] == ["1"]
