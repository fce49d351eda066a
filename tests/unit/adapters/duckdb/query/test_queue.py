"""Whose statement runs next."""

import threading
import time

import pytest

from thinmesh.adapters.duckdb.query.queue import Queue, Ticket
from thinmesh.kernel.errors import TooManyRequests


def never():
    return False


def soon():
    return time.monotonic() + 120


class Waiting:
    """A statement that waits in a thread of its own."""

    def __init__(self, queue, user, order):
        self.ticket = Ticket(user)
        self.stop = threading.Event()

        def wait():
            if queue.enter(self.ticket, self.stop.is_set, soon()):
                order.append(user)

        self.thread = threading.Thread(target=wait)
        before = queue.counts()["waiting"]
        self.thread.start()
        while queue.counts()["waiting"] == before and self.thread.is_alive():
            pass


def test_users_take_turns_however_many_statements_one_has():
    queue, order = Queue(slots=1), []
    first = Ticket("greedy")
    assert queue.enter(first, never, soon())
    waiting = [Waiting(queue, user, order) for user in ("greedy", "greedy", "greedy", "modest", "other")]
    turns = []
    for _ in waiting:
        queue.leave(queue._running[0])
        turns.append(queue._running[0].user)
    for one in waiting:
        one.thread.join(60)
    assert set(turns[:3]) == {"greedy", "modest", "other"}
    assert turns[3:] == ["greedy", "greedy"]
    assert sorted(order) == sorted(turns)


def test_long_statements_of_one_leave_room_for_another_but_not_for_more_of_the_same():
    queue, order = Queue(slots=2), []
    long = [Ticket("greedy"), Ticket("greedy")]
    for ticket in long:
        assert queue.enter(ticket, never, soon())
        ticket.since -= 60
    more = Waiting(queue, "greedy", order)
    assert queue.enter(Ticket("modest"), never, soon())
    assert not more.ticket.granted
    queue.leave(long[0])
    more.stop.set()
    queue.wake()
    more.thread.join(60)
    assert not more.thread.is_alive()


def test_short_statements_share_the_plain_number_of_slots():
    queue = Queue(slots=2)
    for user in ("a", "b"):
        assert queue.enter(Ticket(user), never, soon())
    assert not queue.enter(Ticket("c"), never, time.monotonic() + 0.05)
    assert queue.counts() == {"running": 2, "waiting": 0}


class Stopped:
    """A clock that stands until it is set forward."""

    now = 1000.0

    def __call__(self):
        return self.now


def try_to(queue, user):
    """Ask for a slot that is free now; gives the ticket, or nothing."""
    ticket = Ticket(user)
    return ticket if queue.enter(ticket, never, queue.clock()) else None


def held_by(queue, clock, users, most=10):
    """Let users in turn take all they can, each statement long before the next; gives how many each holds."""
    held = dict.fromkeys(users, 0)
    for _ in range(most):
        for user in users:
            clock.now += 60
            held[user] += try_to(queue, user) is not None
    return held


def pause_all(queue, clock):
    for ticket in queue._running:
        ticket.paused = clock.now
    clock.now += 60


def test_statements_that_wait_for_their_readers_keep_nobody_out():
    queue = Queue(slots=2, clock=(clock := Stopped()))
    for user in ("a", "b", "c"):
        assert try_to(queue, user)
        assert try_to(queue, user)
        pause_all(queue, clock)
        assert not try_to(queue, user), "one user holds no more than there are slots"
    assert try_to(queue, "d")


def test_what_is_paused_for_a_moment_or_is_read_again_runs():
    queue = Queue(slots=2, clock=(clock := Stopped()))
    tickets = [try_to(queue, "a"), try_to(queue, "b")]
    for ticket in tickets:
        ticket.paused = clock.now
    assert not try_to(queue, "c")
    clock.now += 0.6
    assert try_to(queue, "c")
    for ticket in tickets:
        ticket.paused = None
    assert not try_to(queue, "d")


def test_the_longest_statements_of_three_users_keep_no_fourth_out():
    queue = Queue(slots=2, clock=(clock := Stopped()))
    assert sum(held_by(queue, clock, ["a"]).values()) == 2
    assert held_by(queue, clock, ["b", "c"]) == {"b": 1, "c": 1}
    assert try_to(queue, "d")


@pytest.mark.parametrize("paused", [False, True])
def test_all_that_is_held_is_bounded(paused):
    queue = Queue(slots=2, clock=(clock := Stopped()))
    for number in range(20):
        held_by(queue, clock, [f"user{number}"], most=3)
        if paused:
            pause_all(queue, clock)
    assert queue.counts()["running"] == 8


def test_a_slot_is_given_back_once():
    queue = Queue(slots=1)
    ticket = Ticket("a")
    assert queue.enter(ticket, never, soon())
    queue.leave(ticket)
    queue.leave(ticket)
    assert queue.counts() == {"running": 0, "waiting": 0}
    assert queue.enter(Ticket("b"), never, soon())
    assert not queue.enter(Ticket("c"), never, time.monotonic())


def test_who_was_stopped_before_does_not_wait():
    queue = Queue(slots=1)
    assert not queue.enter(Ticket("a"), lambda: True, soon())
    assert queue.counts() == {"running": 0, "waiting": 0}


@pytest.mark.parametrize(("per_user", "total", "last"), [(2, 100, "a"), (100, 2, "b")])
def test_waiting_is_bounded(per_user, total, last):
    queue, order = Queue(slots=1, per_user=per_user, total=total), []
    assert queue.enter(Ticket("a"), never, soon())
    waiting = [Waiting(queue, "a", order) for _ in range(2)]
    with pytest.raises(TooManyRequests):
        queue.enter(Ticket(last), never, soon())
    for one in waiting:
        one.stop.set()
    queue.wake()
    for one in waiting:
        one.thread.join(60)
    assert queue.counts() == {"running": 1, "waiting": 0}
