"""How much of the disk an upload may take, and whose files are checked next."""

import asyncio
import shutil

import pytest
from starlette.requests import Request

from thinmesh.interface.http.uploads import Turns, _Room, texts_beside_files
from thinmesh.kernel.errors import Temporary, TooLarge, TooManyRequests


def test_no_upload_takes_the_reserve_of_the_disk_whatever_the_limit(tmp_path):
    room = _Room(tmp_path, 1 << 60)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(Temporary, match="left for uploads"):
        room.take(free)
    with pytest.raises(Temporary, match="left for uploads"):
        room.take(1, more=free)
    room.take(1)


def test_the_limit_holds_whatever_the_disk(tmp_path):
    room = _Room(tmp_path, 10)
    room.take(10)
    with pytest.raises(TooLarge):
        room.take(11, more=1)


def test_nobody_waits_for_the_checks_of_one_user():
    turns, order = Turns(slots=2), []

    async def check(user, end=None):
        async with turns.turn(user):
            order.append(user)
            await (end.wait() if end else asyncio.sleep(0))

    async def run():
        end = asyncio.Event()
        long = [asyncio.create_task(check("greedy", end)) for _ in range(5)]
        await asyncio.sleep(0)
        # While one of the greedy user's checks goes on, others come and go.
        await asyncio.gather(*(check(user) for user in ("modest", "other", "modest")))
        assert order == ["greedy", "modest", "other", "modest"]
        end.set()
        await asyncio.gather(*long)

    asyncio.run(run())
    assert order[4:] == ["greedy"] * 4


def test_a_place_in_the_line_that_is_given_up_keeps_nobody_back():
    turns = Turns(slots=2)

    async def run():
        async with turns.turn("ann"):
            waiting = [asyncio.create_task(anext(turns.turn("ann").gen)) for _ in range(2)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.sleep(0)
        await waiting[1]

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_user_has_so_many_uploads_at_once_and_no_more():
    turns = Turns(slots=2, per_user=1)
    with turns.present("ann"), turns.present("ben"), pytest.raises(TooManyRequests), turns.present("ann"):
        pass
    with turns.present("ann"):
        pass


def of_a_stranger(body):
    """Make a request with a body whose files nobody takes."""
    headers = [(b"content-type", b"multipart/form-data; boundary=b"), (b"content-length", b"%d" % len(body))]
    pieces = [body[place : place + 65536] for place in range(0, len(body), 65536)]

    async def receive():
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return Request({"type": "http", "method": "POST", "headers": headers}, receive), pieces


def test_texts_are_read_past_files():
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + b"1\n" * 100_000
        + b'\r\n--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nwind\r\n--b--\r\n'
    )  # fmt: skip
    request, left = of_a_stranger(body)
    assert asyncio.run(texts_beside_files(request, 1000)) == {"name": "wind"}
    assert left == []


@pytest.mark.parametrize(
    "part",
    [b"--b\r\n\r\n\r\n", b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n\r\n'],
    ids=["parts", "files"],
)
def test_of_a_flood_of_parts_most_are_not_read(part):
    request, left = of_a_stranger(part * ((8 << 20) // len(part)))
    with pytest.raises(TooLarge):
        asyncio.run(texts_beside_files(request, 1000))
    assert len(left) > 100
