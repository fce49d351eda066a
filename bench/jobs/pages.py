"""What pages cost on the server: a product's, and the search, in a mesh of 10 and of 10,000 products."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .. import mesh
from ..model import OURS, Goal, Job, Work

_ASKED = 150
_NAME = "product_000004"
_PRODUCT = (f"/products/{_NAME}",)
_SEARCH = ("/", "/?q=weather", "/?q=pro", "/?q=product_000004", "/?domain=domain04")


@contextmanager
def looking(products: int, paths: tuple[str, ...], folder: Path) -> Iterator[Work]:
    """Ask for pages over HTTP as a browser does, one at a time."""
    home = mesh.home_of(folder, products)
    _publish(home.path, folder)
    with mesh.served(home.path) as port:
        requests = [_page(paths[number % len(paths)], home.token) for number in range(_ASKED)]

        def work() -> dict[str, float]:
            return mesh.percentiles(mesh.ask(port, requests, 1))

        yield work


def _publish(home: Path, folder: Path) -> None:
    """Make the product that is looked at an ordinary one: a dozen columns of data, inputs, and who is made from it."""
    from thinmesh.bootstrap import open_home
    from thinmesh.planes.product.model import Upload

    file = folder / "facts.csv"
    names = [f"value_{number}" for number in range(12)]
    rows = (",".join(str(row * step % 97) for step in range(12)) for row in range(1_000))
    file.write_text("\n".join((",".join(names), *rows)) + "\n")
    platform = open_home(home)
    caller = platform.identity.principal_of_home()
    for number, inputs in ((4, ["product_000001", "product_000002"]), (5, [_NAME]), (6, [_NAME])):
        document = {**json.loads(mesh.document(number, columns=0)), "inputs": inputs}
        platform.products.register(caller, json.dumps(document).encode())
    platform.products.publish(caller, _NAME, [Upload(file.name, file)])
    platform.close()


def _page(path: str, token: str) -> bytes:
    """Write the request of a browser that is signed in."""
    head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\nCookie: thinmesh_session={token}\r\n\r\n"
    return head.encode()


def _job(key: str, title: str, paths: tuple[str, ...], *goals: Goal) -> Job:
    return Job(
        key=key,
        title=title,
        sides={OURS: partial(looking, 10_000, paths), "at 10 products": partial(looking, 10, paths)},
        goals=(Goal("p50", 0.015, against=None), *goals),
        rounds=3,
    )


JOBS = (
    _job("page", "the page of a product, at 10,000 products", _PRODUCT, Goal("p50", 1.5, against="at 10 products")),
    # Among 10 products there are fewer to show: no goal between the two.
    _job("search-page", "pages of the search, at 10,000 products", _SEARCH),
)
