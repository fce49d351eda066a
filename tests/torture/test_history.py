"""The check of histories itself: against a search through all orders, and against good histories made bad."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.torture.history import Operation, faults


def write(marker, invoked, responded=math.inf, **more):
    return Operation("p", invoked, responded, marker=marker, rows=1, **more)


def read(marker, invoked, responded):
    return Operation("p", invoked, responded, seen=[{marker: 1} if marker else {}])


def linearizable(operations):
    """Try every order that real time allows, and every set of unknown writes that may have happened."""
    unknown = [each for each in operations if each.responded == math.inf]
    known = [each for each in operations if each.responded < math.inf]
    subsets = itertools.chain.from_iterable(itertools.combinations(unknown, n) for n in range(len(unknown) + 1))
    return any(_search([*known, *happened], None) for happened in subsets)


def _search(left, value):
    """Take as the next operation any that began before every other one of those left had ended (Wing and Gong)."""
    if not left:
        return True
    for at, operation in enumerate(left):
        others = left[:at] + left[at + 1 :]
        if any(other.responded < operation.invoked for other in others):
            continue
        if operation.writes:
            if _search(others, operation.marker):
                return True
        elif operation.seen == [{value: 1} if value else {}] and _search(others, value):
            return True
    return False


@st.composite
def histories(draw):
    """A few operations with times from a small range, so that they overlap; reads see anything that is written."""
    count = draw(st.integers(1, 3))
    moment = st.integers(0, 9)
    operations = []
    for marker in "abc"[:count]:
        start = draw(moment)
        operations.append(write(marker, start, draw(st.one_of(st.just(math.inf), st.integers(start, 12)))))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(moment)
        operations.append(read(draw(st.sampled_from(["", *"abc"[:count]])), start, draw(st.integers(start, 12))))
    return operations


def logs(operations):
    """Every order of every set of writes."""
    markers = [each.marker for each in operations if each.writes]
    for count in range(len(markers) + 1):
        yield from itertools.permutations(markers, count)


@settings(max_examples=300, deadline=None)
@given(histories())
def test_the_check_agrees_with_a_search_through_all_orders(operations):
    assert any(not faults(operations, log) for log in logs(operations)) == linearizable(operations)


@st.composite
def true_histories(draw):
    """What a register does: each operation takes effect at a moment of its own, between invocation and response."""
    moments = draw(st.lists(st.integers(1, 400), min_size=3, max_size=12, unique=True).map(sorted))
    kinds = draw(st.lists(st.sampled_from("rwa"), min_size=len(moments), max_size=len(moments)))
    operations, log, state = [], [], {}
    for number, (moment, kind) in enumerate(zip(moments, kinds, strict=True)):
        begin, end = moment - draw(st.floats(0, 30)), moment + draw(st.floats(0, 30))
        if kind == "r":
            operations.append(Operation("p", begin, end, seen=[dict(state), dict(state)]))
            continue
        rows = draw(st.integers(1, 3))
        end = draw(st.sampled_from([end, math.inf]))
        operations.append(Operation("p", begin, end, marker=number, rows=rows, appends=kind == "a"))
        log.append(number)
        state = {**(state if kind == "a" else {}), number: rows}
    return operations, log


@given(true_histories())
def test_what_happened_one_after_the_other_has_no_faults(true):
    operations, log = true
    assert faults(operations, log) == []


@given(true_histories(), st.data())
def test_a_publication_seen_in_part_is_found(true, data):
    operations, log = true
    reads = [at for at, each in enumerate(operations) if each.seen and each.seen[0]]
    assume(reads)
    at = data.draw(st.sampled_from(reads))
    whole = operations[at].seen[0]
    marker = data.draw(st.sampled_from(sorted(whole)))
    for part in ({**whole, marker: whole[marker] - 1}, {**whole, marker: whole[marker] + 1}, {**whole, "?": 1}):
        for seen in ([part, part], [whole, part]):
            operations[at] = replace(operations[at], seen=seen)
            assert faults(operations, log)


@given(true_histories(), st.data())
def test_a_lost_a_doubled_and_an_invented_write_is_found(true, data):
    operations, log = true
    assume(log)
    at = data.draw(st.integers(0, len(log) - 1))
    assert faults(operations, [*log[: at + 1], *log[at:]])
    assert faults(operations, [*log, "nobody"])
    certain = [each if each.responded < math.inf else replace(each, responded=1000.0) for each in operations]
    assert faults(certain, log[:at] + log[at + 1 :])


@given(true_histories(), st.data())
def test_a_read_that_began_after_a_newer_version_was_known_is_found(true, data):
    operations, log = true
    assume(log)
    last = next(each for each in operations if each.marker == log[-1])
    later = Operation("p", 1000, 1001, seen=[{log[-1]: last.rows} if not last.appends else {}])
    stale = Operation("p", 2000, 2001, seen=[{}])
    known = [*operations, replace(last, responded=1500.0)]
    known.remove(last)
    assert faults([*known, stale], log)
    if not last.appends:
        assert faults([*operations, later], log) == []
        assert faults([*operations, later, stale], log)


@pytest.mark.parametrize(
    "operations",
    [
        [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)],
        [write("a", 0, 9), read("a", 1, 2), read("", 3, 4)],
        [write("a", 0, 1), write("b", 2), read("b", 3, 4), read("a", 5, 6)],
        [read("a", 0, 1), write("a", 2, 3)],
        [write("a", 0, 1), write("b", 0, 9), read("b", 2, 3), read("a", 4, 5), read("b", 6, 7)],
    ],
    ids=["stale", "back to nothing", "back from an unknown write", "from the future", "to and fro"],
)
def test_known_bad_histories_are_bad_in_every_order_of_writes(operations):
    assert all(faults(operations, log) for log in logs(operations))
