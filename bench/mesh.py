"""Homes with many products, made once in a run; a server on one; and clients that ask it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_KEPT = "THINMESH_BENCH_HOMES"
DOMAINS = 50
COMMAND = [str(Path(sys.executable).with_name("thinmesh"))]
_WORDS = (
    "sales orders customers weather flights stock prices energy meters traffic parking hospital beds school budget "
    "forecast returns invoices payments ledger shipments routes sensors alerts claims policies risk credit loans"
).split()


@contextlib.contextmanager
def kept_homes() -> Iterator[None]:
    """Keep the homes that are made in the block for each other's use, until its end."""
    with tempfile.TemporaryDirectory(prefix="thinmesh-bench-homes-") as folder:
        os.environ[_KEPT] = folder
        yield


def document(number: int, columns: int = 4) -> bytes:
    """Write the descriptor of a product of the bench: words that some, many or all of them share."""
    words = [_WORDS[(number * step) % len(_WORDS)] for step in (1, 7, 11)]
    found = {
        "name": f"product_{number:06d}",
        "domain": domain(number),
        "owner": "bench",
        "description": f"Product {number} about {' and '.join(words)}, kept for the bench of the mesh",
        "tags": [words[0], "bench"],
    }
    if columns:
        found["tables"] = {"facts": {"columns": {f"{_WORDS[each]}_value": "integer" for each in range(columns)}}}
    return json.dumps(found).encode()


def domain(number: int) -> str:
    """Give the domain of a product."""
    return f"domain{number % DOMAINS:02d}"


@dataclass(frozen=True)
class BenchHome:
    """A home of a side's own, and its administrator's token."""

    path: Path
    token: str


def home_of(folder: Path, products: int, columns: int = 0) -> BenchHome:
    """Give a home with so many products, as a copy of one that is made at the first call in a run.

    With `columns`, each declares a table of so many.
    """
    kept = Path(os.environ[_KEPT]) / f"{products}-{columns}"
    if not kept.exists():
        draft = kept.with_suffix(".draft")
        draft.mkdir()
        (draft / "token").write_text(_make(draft / "home", products, columns))
        draft.rename(kept)
    shutil.copytree(kept / "home", folder / "home")
    return BenchHome(folder / "home", (kept / "token").read_text())


def _make(path: Path, products: int, columns: int) -> str:
    from thinmesh.bootstrap import init_home, open_home

    token = init_home(path).admin_token
    platform = open_home(path)
    caller = platform.identity.principal_of_home()
    platform.identity.create_team(caller, "bench", [f"domain{number:02d}" for number in range(DOMAINS)])
    with ThreadPoolExecutor(64) as pool:
        documents = (document(number, columns) for number in range(products))
        list(pool.map(lambda each: platform.products.register(caller, each), documents))
    while platform.warehouse.follow(1_000):
        pass
    platform.tools.data_care.tidy()
    platform.tools.log_care.tidy()
    platform.close()
    return token


@contextlib.contextmanager
def served(home: Path) -> Iterator[int]:
    """Serve a home as users do, until the block ends; give the port."""
    with starting(home) as process:
        yield ready(process)


@contextlib.contextmanager
def starting(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a server; it is ended when the block ends."""
    with (home / "run" / "bench.log").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, "up", "--home", str(home), "--port", "0"], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout:
            process.stdout.close()


def ready(process: subprocess.Popen[str]) -> int:
    """Wait until a server says that it is ready, and give its port."""
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the server did not start")
    return int(json.loads(line)["url"].rpartition(":")[2])


def request(method: str, path: str, token: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    """Write an HTTP request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def ask(port: int, requests: Iterable[bytes], clients: int) -> list[float]:
    """Send requests over so many connections, each when the answer before came; give the seconds of each."""
    seconds: list[float] = []

    async def client(waiting: Iterator[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for each in waiting:
            began = time.perf_counter()
            writer.write(each)
            await _answer(reader)
            seconds.append(time.perf_counter() - began)
        writer.close()

    async def all_clients() -> None:
        waiting = iter(requests)
        await asyncio.gather(*(client(waiting) for _ in range(clients)))

    asyncio.run(all_clients())
    return seconds


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    if lengths:
        body = await reader.readexactly(int(lengths[0].partition(b":")[2]))
    else:
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size + 2)
        await reader.readline()
    if not head.startswith(b"HTTP/1.1 20"):
        raise RuntimeError(body.decode())


def in_threads(work: Callable[[int], object], numbers: Sequence[int], clients: int) -> list[float]:
    """Do a work for each number in so many threads; give the seconds of each."""
    seconds: list[float] = []
    waiting, lock = iter(numbers), threading.Lock()

    def client() -> None:
        while True:
            with lock:
                number = next(waiting, None)
            if number is None:
                return
            began = time.perf_counter()
            work(number)
            seconds.append(time.perf_counter() - began)

    with ThreadPoolExecutor(clients) as pool:
        for each in [pool.submit(client) for _ in range(clients)]:
            each.result()
    return seconds


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Give p50 and p99."""
    ordered = sorted(seconds)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)]}
