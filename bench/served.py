"""A home served in a process of its own, and clients that speak plain HTTP/1.1 to it or to a floor."""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_IDLE_SECONDS = 10
_COMMAND = [sys.executable, "-m", "thinmesh.interface.cli"]


class Client:
    """One connection, kept alive."""

    def __init__(self, url: str, token: str = "") -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"))
        self._used = 0.0
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        """Send a request with a JSON body; give the response, whose body is still to be read."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            body, named["Content-Type"] = json.dumps(body), "application/json"
        if time.monotonic() - self._used > _IDLE_SECONDS:
            # The server hangs up on who is silent for half a minute, as in the other side's round.
            self._connection.close()
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used = time.monotonic()
        self._connection.request(method, path, body, {**self._headers, **named})
        response = self._connection.getresponse()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {response.read()[:1000]!r}")
        return response

    def read(self, method: str, path: str, body: Any = None, **headers: str) -> bytes:
        """Send a request and give the whole body of the answer."""
        return self.send(method, path, body, **headers).read()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@dataclass(frozen=True)
class Served:
    """A home that is served, its administrator's token, and the command line on it."""

    home: Path
    url: str
    token: str

    def client(self) -> Client:
        """Connect."""
        return Client(self.url, self.token)


def command(home: Path, *arguments: str, stdin: bytes | None = None) -> Any:
    """Run one command on a home and give its JSON document."""
    done = subprocess.run(
        [*_COMMAND, *arguments, "--json"],
        input=stdin,
        stdout=subprocess.PIPE,
        env={**os.environ, "THINMESH_HOME": str(home)},
        check=False,
    )
    document = json.loads(done.stdout)
    if done.returncode:
        raise RuntimeError(f"thinmesh {' '.join(arguments)}: {document}")
    return document


@contextmanager
def served(home: Path, prepare: Callable[[Path], None] | None = None, **settings: str) -> Iterator[Served]:
    """Make a home with a team `bench`, let it be prepared, and serve it; `settings` as in THINMESH_<NAME>."""
    made = json.loads(subprocess.run([*_COMMAND, "init", str(home), "--json"], check=True, capture_output=True).stdout)
    command(home, "team", "create", "bench", "--domain", "bench")
    if prepare is not None:
        prepare(home)
    environment = {**os.environ, "THINMESH_HOME": str(home)}
    environment |= {f"THINMESH_{name}": value for name, value in settings.items()}
    with process([*_COMMAND, "up", "--port", "0"], environment, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        with server.stdout:
            url = json.loads(server.stdout.readline())["url"]
            yield Served(home, url, made["admin_token"])


@contextmanager
def floor(bin: Path, folder: Path, app: str, **environment: str) -> Iterator[str]:
    """Serve an ASGI app, given as source with the name `app` in it, with granian; gives the URL."""
    (folder / "floor.py").write_text(app)
    port = free_port()
    arguments = ["--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--no-ws"]
    command = [str(bin / "granian"), *arguments, "--log-level", "error", "--working-dir", str(folder), "floor:app"]
    with process(command, {**os.environ, **environment}):
        await_port(port)
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    """Find a TCP port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
        return port


def await_port(port: int) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def process(arguments: Sequence[str], environment: Mapping[str, str], **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends, then ask it to end."""
    program = subprocess.Popen(arguments, env=dict(environment), **more)
    try:
        yield program
    finally:
        program.terminate()
        try:
            program.wait(30)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def latencies(ask: Callable[[Client], Any], clients: Sequence[Client], each: int) -> dict[str, float]:
    """Have every client ask `each` times, all at once; give p50, p99 (seconds) and the rate per second."""
    took: list[list[float]] = [[] for _ in clients]

    def one(client: Client, mine: list[float]) -> None:
        for _ in range(each):
            began = time.perf_counter()
            ask(client)
            mine.append(time.perf_counter() - began)

    began = time.perf_counter()
    with ExitStack() as stack:
        for client, mine in zip(clients, took, strict=True):
            thread = threading.Thread(target=one, args=(client, mine))
            thread.start()
            stack.callback(thread.join)
    seconds = time.perf_counter() - began
    all_took = sorted(value for mine in took for value in mine)
    if len(all_took) != each * len(clients):
        raise RuntimeError("a client failed")
    p99 = all_took[min(len(all_took) - 1, int(len(all_took) * 0.99))]
    return {"p50": statistics.median(all_took), "p99": p99, "rate": len(all_took) / seconds}
