"""Replies to repeated requests."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from thinmesh.adapters.sql.idempotency import IDEMPOTENCY_SCHEMA, SqlReplyStore
from thinmesh.adapters.sql.schema import migrate
from thinmesh.adapters.sql.sqlite import SqliteDatabase
from thinmesh.kernel.errors import Conflict, Locked, Malformed
from thinmesh.kernel.idempotency import StoredReply

REPLY = StoredReply(201, '{"created":true}')


class Time:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def replies(tmp_path, time):
    with closing(SqliteDatabase(tmp_path / "mesh.db")) as database:
        migrate(database, {"idempotency": ((1, IDEMPOTENCY_SCHEMA),)})
        yield SqlReplyStore(database, time)


def test_an_accepted_request_is_answered_again_for_seven_days(replies, time):
    assert replies.reserve("ann", "k", b"body") is None
    replies.keep("ann", "k", REPLY)
    time.now += timedelta(days=7, seconds=-1)
    assert replies.reserve("ann", "k", b"body") == REPLY
    time.now += timedelta(seconds=1)
    assert replies.reserve("ann", "k", b"body") is None


def test_another_request_with_the_same_key_is_a_conflict(replies):
    replies.reserve("ann", "k", b"body")
    with pytest.raises(Conflict):
        replies.reserve("ann", "k", b"other")
    replies.keep("ann", "k", REPLY)
    with pytest.raises(Conflict):
        replies.reserve("ann", "k", b"other")


def test_a_refused_request_runs_again(replies):
    replies.reserve("ann", "k", b"body")
    replies.release("ann", "k")
    assert replies.reserve("ann", "k", b"other") is None


def test_a_kept_reply_is_not_given_back(replies):
    replies.reserve("ann", "k", b"body")
    replies.keep("ann", "k", REPLY)
    replies.release("ann", "k")
    assert replies.reserve("ann", "k", b"body") == REPLY


def test_keys_are_of_one_user(replies):
    replies.reserve("ann", "k", b"body")
    assert replies.reserve("bob", "k", b"other") is None


def test_of_requests_at_the_same_time_one_runs(replies):
    def reserve(_):
        try:
            return replies.reserve("ann", "k", b"body") is None
        except Locked:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(reserve, range(16))) == 1


def test_a_restart_gives_back_what_a_crash_cut_off_and_keeps_the_rest(replies):
    replies.reserve("ann", "done", b"body")
    replies.keep("ann", "done", REPLY)
    replies.reserve("ann", "cut", b"body")
    replies.forget_unfinished()
    assert replies.reserve("ann", "cut", b"body") is None
    assert replies.reserve("ann", "done", b"body") == REPLY


def test_a_request_that_never_ended_is_forgotten_in_the_end(replies, time):
    replies.reserve("ann", "k", b"body")
    time.now += timedelta(hours=1)
    assert replies.reserve("ann", "k", b"body") is None


def test_what_is_old_is_removed(replies, time):
    replies.reserve("ann", "k", b"body")
    replies.keep("ann", "k", REPLY)
    assert replies.forget_old() == 0
    time.now += timedelta(days=7)
    assert replies.forget_old() == 1


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "a\n", "\x00"])
def test_a_key_that_is_none_is_malformed(replies, key):
    with pytest.raises(Malformed):
        replies.reserve("ann", key, b"body")
