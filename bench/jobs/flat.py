"""What one product costs, in a mesh of 10 and of 10,000: every verb, one caller at a time."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .. import mesh
from ..model import OURS, Goal, Job, Work
from .push import pushing

_EACH = 15
_PRODUCT = "/product/v1/products/product_000004"
_BOUNDARY = "bench-boundary"
_VERBS = ("register", "list", "show", "search", "publish", "push", "query")


@contextmanager
def verbs(products: int, folder: Path) -> Iterator[Work]:
    """Time each verb over HTTP, and a push."""
    home = mesh.home_of(folder, products)
    with mesh.served(home.path) as port:
        push = pushing(folder, f"http://127.0.0.1:{port}/git/data.git", home.token, "refs/for/main")
        requests = _requests(home.token)

        def work() -> dict[str, float]:
            found = {name: statistics.median(mesh.ask(port, _some(make), 1)) for name, make in requests.items()}
            began = time.perf_counter()
            return {**found, "push": (push() or {}).get("seconds", time.perf_counter() - began)}

        yield work


def _requests(token: str) -> dict[str, Callable[[], bytes]]:
    numbers = itertools.count(500_000)
    ask = partial(mesh.request, token=token)
    statement = json.dumps({"sql": "SELECT count(*) FROM product_000004.facts"}).encode()
    return {
        "register": lambda: ask("POST", "/product/v1/products", body=mesh.document(next(numbers))),
        "list": lambda: ask("GET", "/product/v1/products?limit=10"),
        "show": lambda: ask("GET", _PRODUCT),
        "search": lambda: ask("GET", "/product/v1/search?q=000004&limit=10"),
        "publish": lambda: _upload(token, f"id,value\n1,{next(numbers)}\n"),
        "query": lambda: ask("POST", "/query/v1/statements", body=statement),
    }


def _some(make: Callable[[], bytes]) -> Iterator[bytes]:
    return (make() for _ in range(_EACH))


def _upload(token: str, content: str) -> bytes:
    head = 'Content-Disposition: form-data; name="file"; filename="facts.csv"\r\nContent-Type: text/csv'
    body = f"--{_BOUNDARY}\r\n{head}\r\n\r\n{content}\r\n--{_BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    return mesh.request("POST", f"{_PRODUCT}/publications", token, body, kind)


JOBS = (
    Job(
        key="flat",
        title="what one product costs at 10,000 products, beside 10",
        sides={OURS: partial(verbs, 10_000), "at 10 products": partial(verbs, 10)},
        goals=tuple(Goal(verb, 1.5, against="at 10 products") for verb in _VERBS),
        rounds=5,
    ),
)
