"""The follower: it gives way to changes, and is behind by a bounded time."""

import threading
import time
from contextlib import contextmanager

from thinmesh.bootstrap.following import Follower, Pace


@contextmanager
def changes_that_keep_coming(follower):
    ended = threading.Event()

    def change():
        while not ended.wait(0.02):
            follower.wake()

    thread = threading.Thread(target=change)
    follower.wake()
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        follower.stop()


def compute(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def one_that(rests, seconds, times=1, **pace):
    """Make a follower that computes and gives way, so many times in each round, and notes what each rest took."""

    def work():
        for _ in range(times):
            compute(seconds)
            began = time.monotonic()
            follower.give_way()
            rests.append(time.monotonic() - began)
        done.set()
        return False

    done = threading.Event()
    follower = Follower([work], pace=Pace(**pace))
    return follower, done


def test_while_changes_keep_coming_it_rests_many_times_what_it_computed():
    rests = []
    follower, done = one_that(rests, 0.02, pause=2.0)  # on a busy machine changes come later than they are meant to
    with changes_that_keep_coming(follower):
        assert done.wait(30)
    assert rests[0] >= 0.3  # 20 ms are a twentieth of 0.4 s


def test_where_no_changes_come_it_does_not_rest_for_them():
    rests = []
    follower, done = one_that(rests, 0.5)
    follower.wake()
    assert done.wait(30)
    follower.stop()
    assert rests[0] < 5  # and not 10


def test_the_rests_of_a_round_have_an_end():
    rests = []
    follower, done = one_that(rests, 0.1, times=5, round=0.5)
    with changes_that_keep_coming(follower):
        assert done.wait(30)
    assert sum(rests[:5]) < 5  # and not 10


def test_a_stop_ends_a_rest():
    began = threading.Event()

    def work():
        compute(0.4)
        began.set()
        follower.give_way()
        return False

    follower = Follower([work])
    with changes_that_keep_coming(follower):
        assert began.wait(30)
        start = time.monotonic()
        follower.stop()
        assert time.monotonic() - start < 5  # and not 8


def test_many_changes_are_followed_together():
    calls = []
    done = threading.Event()

    def work():
        calls.append(None)
        done.set()
        return False

    follower = Follower([work])
    for _ in range(100):
        follower.wake()
    assert done.wait(30)
    follower.stop()
    assert len(calls) < 5  # and not 100


def test_it_prepares_once_when_nothing_was_asked_for_a_while():
    prepared, done = threading.Event(), threading.Event()
    calls = []

    def prepare():
        calls.append("prepare")
        prepared.set()
        return False

    def work():
        calls.append("work")
        done.set()
        return False

    follower = Follower([work], prepare=prepare, pace=Pace(quiet=0.2))
    assert prepared.wait(30)
    follower.wake()
    assert done.wait(30)
    time.sleep(0.5)
    follower.stop()
    assert calls == ["prepare", "work"]


def test_while_changes_keep_coming_it_prepares_nothing():
    prepared, done = threading.Event(), threading.Event()
    work = [lambda: done.set() or False]
    follower = Follower(work, prepare=lambda: prepared.set() or False, pace=Pace(quiet=5.0))
    with changes_that_keep_coming(follower):
        assert done.wait(30)
    assert not prepared.is_set()


def test_what_is_expected_is_waited_for():
    done = threading.Event()
    began = []

    def work():
        began.append(time.monotonic())
        done.set()
        return False

    follower = Follower([work], pace=Pace(pause=1.5))
    follower.wake()
    time.sleep(0.2)
    expected = time.monotonic()
    follower.expect()
    assert done.wait(30)
    follower.stop()
    assert began[0] - expected >= 1.49
