"""Connections that are slow, or too many; with a real server, whose patience is short."""

import http.client
import json
import socket
import threading
import time

import pytest
import uvicorn

from thinmesh.interface.http.protocol import Connection

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


class Hasty(Connection):
    head_seconds = 2.0
    stall_seconds = 2.0
    most = 5


@pytest.fixture(scope="module")
def address():
    """Serve an app that answers at once with 256 MB, with the body that came, or with the names of the headers."""

    async def app(scope, receive, send):
        body, more = b"", scope["path"] in ("/whole", "/body")
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/body":
            await send({"type": "http.response.body", "body": body})
            return
        if scope["path"] == "/much":
            for _ in range(1000):
                await send({"type": "http.response.body", "body": bytes(1 << 18), "more_body": True})
        names = json.dumps([name.decode() for name, _ in scope["headers"]]).encode()
        await send({"type": "http.response.body", "body": names})

    config = uvicorn.Config(app, http=Hasty, ws="none", lifespan="off", log_config=None, loop="uvloop")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


def trickled(address, first, more):
    """Send the first part, then the rest again and again; tell whether the server hung up."""
    with socket.create_connection(address) as raw:
        raw.sendall(first)
        until = time.monotonic() + 60
        try:
            while time.monotonic() < until:
                raw.sendall(more)
                raw.settimeout(0.05)
                try:
                    if not raw.recv(1 << 16):
                        return True
                except TimeoutError:
                    pass
        except OSError:
            return True
    return False


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"", b"G"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a"),
        # The answer is there long before the request has come whole.
        (HEAD + b"Content-Length: 1000000\r\n\r\n", b"a"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    ],
    ids=["request line", "headers", "one header", "body", "chunk extension", "trailers"],
)
def test_who_sends_a_request_that_does_not_end_is_hung_up_on(address, first, more):
    assert trickled(address, first, more)


def test_who_takes_nothing_of_the_answer_is_hung_up_on(address):
    with socket.create_connection(address) as raw:
        raw.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(4)
        raw.settimeout(60)
        found = b""
        while piece := raw.recv(1 << 20):
            found = found[-100:] + piece
    assert not found.endswith(b"\r\n0\r\n\r\n"), "the answer ended as if it were whole"


def test_who_takes_the_answer_slowly_gets_it_whole(address):
    found = 0
    with socket.create_connection(address) as raw:
        raw.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        raw.settimeout(60)
        for _ in range(20):
            found += len(raw.recv(1 << 20))
            time.sleep(0.05)
        while piece := raw.recv(1 << 20):
            found += len(piece)
    assert found > 1000 << 18


def test_headers_after_the_body_mean_nothing(address):
    head = b"POST /whole HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with socket.create_connection(address) as raw:
        raw.sendall(head + b"2\r\n{}\r\n0\r\nAuthorization: x\r\nThinmesh-As: ann\r\n\r\n")
        reply = http.client.HTTPResponse(raw)
        reply.begin()
        assert json.loads(reply.read()) == ["host", "transfer-encoding", "connection"]


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.2"])
@pytest.mark.parametrize("pause", [False, True], ids=["at once", "in pieces"])
def test_a_wish_for_another_protocol_changes_nothing_of_a_request(address, protocol, pause):
    smuggled = b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n"
    wish = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABk\r\n".encode()
    head = b"POST /body HTTP/1.1\r\nHost: x\r\n" + wish + b"Content-Length: %d\r\n\r\n" % len(smuggled)
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(address) as raw:
        raw.settimeout(60)
        pieces = [head[:70], head[70:], smuggled[:9], smuggled[9:], last] if pause else [head + smuggled + last]
        for piece in pieces:
            raw.sendall(piece)
            time.sleep(0.05 if pause else 0)
        with raw.makefile("rb") as answers:
            found = answers.read()
    bodies = [each.partition(b"\r\n\r\n")[2] for each in found.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert len(bodies) == 2, found[:1000]
    assert smuggled in bodies[0]
    assert b'["host", "connection"]' in bodies[1]


def test_more_connections_than_can_be_served_are_turned_away(address):
    opened = [socket.create_connection(address) for _ in range(Hasty.most + 5)]
    try:
        opened[-1].settimeout(60)
        reply = http.client.HTTPResponse(opened[-1])
        reply.begin()
        assert (reply.status, reply.headers["retry-after"]) == (503, "2")
        assert json.loads(reply.read())["code"] == "temporary"
    finally:
        for each in opened:
            each.close()
        served(address)


def served(address):
    """Wait until connections that were closed count no more."""
    until = time.monotonic() + 60
    while True:
        again = http.client.HTTPConnection(*address, timeout=60)
        try:
            again.request("GET", "/")
            if again.getresponse().status == 200:
                return
        except OSError:
            pass  # turned away before it had asked
        finally:
            again.close()
        assert time.monotonic() < until, "nobody is served any more"
