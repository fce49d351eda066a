"""How many requests are taken, and of whom."""

import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from thinmesh.interface.http.rates import BehindProxy, Buckets, Rates, address_of
from thinmesh.kernel.errors import NotSignedIn, TooManyRequests


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def taken(bucket, name, times):
    return sum(bucket.take(name) for _ in range(times))


def client(address):
    return {"client": (address, 1), "path": "/"}


def test_ten_seconds_worth_come_at_once_and_then_the_rate(clock):
    bucket = Buckets(5, clock)
    assert taken(bucket, "ann", 100) == 50
    clock.now += 2
    assert taken(bucket, "ann", 100) == 10
    clock.now += 1000
    assert taken(bucket, "ann", 100) == 50


def test_what_was_refused_costs_nothing(clock):
    bucket = Buckets(1, clock)
    taken(bucket, "ann", 10_000)
    clock.now += 1
    assert taken(bucket, "ann", 10) == 1


def test_one_user_s_flood_is_no_other_s(clock):
    rates = Rates(1, clock)
    for _ in range(10):
        rates.signed_in("ann")
    with pytest.raises(TooManyRequests):
        rates.signed_in("ann")
    rates.signed_in("ben")


def test_a_flood_is_told_once_a_minute(clock):
    rates = Rates(1, clock)
    with capture_logs() as told:
        for _ in range(90):
            for _ in range(100):
                with suppress(TooManyRequests):
                    rates.signed_in("ann")
                with suppress(TooManyRequests):
                    rates.anonymous(client("10.0.0.1"))
            clock.now += 1
    assert [(each["event"], each.get("user"), each.get("address")) for each in told] == [
        ("too many requests", "ann", None),
        ("too many requests", None, "10.0.0.1"),
    ] * 2


def test_failed_sign_ins_never_shut_out_who_is_signed_in(clock):
    rates, error = Rates(10, clock), NotSignedIn("The token is not valid here.")
    for _ in range(10):
        rates.failed(client("10.0.0.1"), error)
    with pytest.raises(TooManyRequests):
        rates.failed(client("10.0.0.1"), error)
    with pytest.raises(TooManyRequests):
        rates.anonymous(client("10.0.0.1"))
    rates.signed_in("ann")
    rates.anonymous(client("10.0.0.2"))


def test_memory_is_bounded_whoever_comes(clock):
    bucket = Buckets(1, clock)
    for number in range(50_000):
        bucket.take(str(number))
    assert len(bucket._left) <= 10_001


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::nonsense::", "::nonsense::"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.2", "10.0.0.2"),
        ("10.0.0.1:50123", "10.0.0.1"),
        ("[2001:db8::1]:50123", "2001:db8::/64"),
        ("[::ffff:10.0.0.1]", "10.0.0.1"),
        ("10.0.0.1:port", "10.0.0.1:port"),
    ],
)
def test_an_address_counts_for_its_customer(given, counted):
    assert address_of(client(given)) == counted


@pytest.mark.parametrize(
    ("headers", "counted"),
    [
        ([], "10.0.0.9"),
        ([(b"x-forwarded-for", b"192.0.2.1")], "192.0.2.1"),
        ([(b"x-forwarded-for", b"203.0.113.7, 192.0.2.1")], "192.0.2.1"),
        ([(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-for", b"192.0.2.1")], "192.0.2.1"),
    ],
)
def test_only_what_the_nearest_proxy_says_of_an_address_counts(headers, counted):
    seen = []

    async def app(scope, receive, send):
        seen.append(address_of(scope))

    asyncio.run(BehindProxy(app)({**client("10.0.0.9"), "headers": headers}, None, None))
    assert seen == [counted]
