"""Bodies that begin and do not end."""

import asyncio
import re

import pytest
from fastapi import Request
from fastapi.responses import Response

from thinmesh.interface.http.app import api_of
from thinmesh.interface.http.body import BodyLimit
from thinmesh.kernel.policy import Principal


def api():
    made = api_of(None)

    @made.post("/uploads")
    @made.post("/documents")
    async def take(request: Request) -> Response:
        return Response(await request.body())

    return BodyLimit(made, 100, re.compile("/uploads"), patience=0.05)


def post(path, *pieces, whole):
    """Send the pieces, and then nothing more; give the status, the headers and the body of the answer."""
    sent, waiting = [], list(pieces)

    async def receive():
        if not waiting:
            await asyncio.Event().wait()
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting) or not whole}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
    scope["state"] = {"thinmesh_caller": Principal("ann")}
    asyncio.run(api()(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), body


@pytest.mark.parametrize("path", ["/uploads", "/documents"])
def test_a_sender_who_stops_in_the_middle_is_refused_and_hung_up_on(path):
    status, headers, body = post(path, b"a", b"b", whole=False)
    assert (status, headers[b"connection"]) == (400, b"close")
    assert b"Nothing of the body came for 0.05 seconds" in body


@pytest.mark.parametrize("path", ["/uploads", "/documents"])
def test_a_body_that_is_whole_is_answered_and_the_connection_kept(path):
    status, headers, body = post(path, b"a", b"b", whole=True)
    assert (status, body) == (200, b"ab")
    assert b"connection" not in headers
