"""Bytes that the kernel moves from one socket to another, in chunks of HTTP."""

import os
import socket
import threading
from contextlib import contextmanager

import pytest

from thinmesh.interface.http.outlet import ChunkOutlet

FRAME = os.urandom(3 << 20)


@contextmanager
def passage(first=b"first"):
    """Give an outlet, the worker's end of its source, the source, and the client's end."""
    worker, source = socket.socketpair()
    client = socket.create_server(("127.0.0.1", 0))
    with worker, source, client:
        reader = socket.create_connection(client.getsockname())
        accepted, _ = client.accept()
        accepted.setblocking(False)
        with reader, ChunkOutlet(accepted, first) as outlet:
            yield outlet, worker, source, reader


def in_background(work, *arguments):
    thread = threading.Thread(target=work, args=arguments)
    thread.start()
    return thread


def pour(outlet, source, size, stopped=lambda: False):
    outlet.begin(size)
    while size:
        taken = outlet.fill(source.fileno(), size)
        if not taken or not outlet.flush(taken, stopped):
            return False
        size -= taken
    return True


def read_chunks(reader, count):
    stream, found = reader.makefile("rb"), []
    for _ in range(count):
        size = int(stream.readline(), 16)
        found.append(stream.read(size))
        assert stream.read(2) == b"\r\n"
    return found


def test_what_was_read_before_goes_first_and_every_frame_is_a_chunk():
    with passage() as (outlet, worker, source, reader):
        chunks = []
        reading = in_background(lambda: chunks.extend(read_chunks(reader, 3)))
        writing = in_background(worker.sendall, FRAME + b"last")
        assert outlet.flush(0, lambda: False)
        assert pour(outlet, source, len(FRAME))
        assert pour(outlet, source, 4)
        for thread in (reading, writing):
            thread.join(60)
    assert chunks == [b"first", FRAME, b"last"]


def test_a_source_that_ends_early_leaves_its_chunk_open():
    with passage() as (outlet, worker, source, reader):
        worker.sendall(b"half")
        worker.shutdown(socket.SHUT_WR)
        assert not pour(outlet, source, 8)
        wanted = b"5\r\nfirst\r\n8\r\nhalf"
        assert reader.recv(len(wanted), socket.MSG_WAITALL) == wanted
        with pytest.raises(BlockingIOError):
            reader.recv(1, socket.MSG_DONTWAIT)


@pytest.mark.parametrize("gone", [False, True], ids=["reads nothing", "hung up"])
def test_a_client_that_takes_nothing_holds_nobody(gone):
    with passage() as (outlet, worker, source, reader):
        stop, ended = threading.Event(), []
        feeding = in_background(feed, worker)
        pouring = in_background(lambda: ended.append(pour(outlet, source, 1 << 30, stop.is_set)))
        pouring.join(1)
        assert pouring.is_alive()
        reader.close() if gone else stop.set()
        pouring.join(60)
        assert ended == [False]
        source.shutdown(socket.SHUT_RDWR)
        feeding.join(60)


def feed(worker):
    try:
        while True:
            worker.sendall(FRAME)
    except OSError:
        return
