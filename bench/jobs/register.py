"""Register products, durably, from 32 clients at once, in a mesh of 10 and of 10,000."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pygit2

from .. import mesh
from ..model import OURS, Goal, Job, Work

_CLIENTS = 32
_AT_ONCE = 480


@contextmanager
def served(products: int, folder: Path) -> Iterator[Work]:
    """Register over HTTP, at a server as users start it."""
    home = mesh.home_of(folder, products)
    numbers = _numbers()
    with mesh.served(home.path) as port:

        def work() -> dict[str, float]:
            requests = [
                mesh.request("POST", "/product/v1/products", home.token, mesh.document(number))
                for number in next(numbers)
            ]
            began = time.perf_counter()
            seconds = mesh.ask(port, requests, _CLIENTS)
            return _figures(began, seconds)

        yield work


@contextmanager
def in_process(products: int, folder: Path) -> Iterator[Work]:
    """Register through the product plane, in threads of this process."""
    from thinmesh.bootstrap import open_home

    platform = open_home(mesh.home_of(folder, products).path)
    caller = platform.identity.principal_of_home()
    numbers = _numbers()

    def work() -> dict[str, float]:
        documents = {number: mesh.document(number) for number in next(numbers)}
        began = time.perf_counter()
        seconds = mesh.in_threads(
            lambda number: platform.products.register(caller, documents[number]), list(documents), _CLIENTS
        )
        return _figures(began, seconds)

    yield work
    platform.close()


@contextmanager
def loose(products: int, fsync: bool, commits: bool, folder: Path) -> Iterator[Work]:
    """Write the same descriptors with pygit2 alone: loose objects, one move of `main` for each 32 registrations.

    With `commits` each registration is a commit, as in the product's history; else each 32 are one.
    """
    pygit2.settings.enable_fsync_gitdir(False)
    repository = pygit2.init_repository(str(folder / "data.git"), bare=True, initial_head="main")
    begin = repository.TreeBuilder().write()
    repository.create_commit("refs/heads/main", _WHO, _WHO, "Begin", begin, [])
    _write(repository, range(products), commits=False)
    pygit2.settings.enable_fsync_gitdir(fsync)
    numbers = _numbers()

    def work() -> dict[str, float]:
        began = time.perf_counter()
        batches = itertools.batched if hasattr(itertools, "batched") else _batched
        seconds = []
        for batch in batches(next(numbers), _CLIENTS):
            start = time.perf_counter()
            _write(repository, batch, commits)
            seconds += [time.perf_counter() - start] * len(batch)
        return _figures(began, seconds)

    yield work


_WHO = pygit2.Signature("bench", "bench@example.org")


def _write(repository: pygit2.Repository, batch: range | tuple[int, ...], commits: bool) -> None:
    main = repository.references["refs/heads/main"]
    tip = main.target
    for group in [[number] for number in batch] if commits else [batch]:
        top = repository.TreeBuilder(repository[tip].tree)
        domains: dict[str, pygit2.TreeBuilder] = {}
        for number in group:
            name = mesh.domain(number)
            if name not in domains:
                entry = top.get(name)
                domains[name] = repository.TreeBuilder(entry) if entry is not None else repository.TreeBuilder()
            product = repository.TreeBuilder()
            product.insert("product.json", repository.create_blob(mesh.document(number)), 0o100644)
            domains[name].insert(f"product_{number:06d}", product.write(), 0o040000)
        for name, tree in domains.items():
            top.insert(name, tree.write(), 0o040000)
        tip = repository.create_commit(None, _WHO, _WHO, "Register", top.write(), [tip])
    main.set_target(tip)


def _batched(numbers: range, size: int) -> Iterator[tuple[int, ...]]:
    for first in range(numbers.start, numbers.stop, size):
        yield tuple(range(first, min(first + size, numbers.stop)))


def _numbers() -> Iterator[range]:
    """Give numbers of products that are not there yet, for each round."""
    return (range(first, first + _AT_ONCE) for first in itertools.count(100_000, _AT_ONCE))


def _figures(began: float, seconds: list[float]) -> dict[str, float]:
    return {"rate": len(seconds) / (time.perf_counter() - began), **mesh.percentiles(seconds)}


def _job(products: int, label: str) -> Job:
    return Job(
        key=f"register-{label}",
        title=f"register from 32 clients at {products:,} products, durable",
        sides={
            OURS: partial(served, products),
            "in process": partial(in_process, products),
            "floor": partial(loose, products, True, True),
            "one commit for 32": partial(loose, products, True, False),
            "one for 32, not synced": partial(loose, products, False, False),
        },
        goals=(
            Goal("rate", 0.7, at_least=True),
            Goal("rate", 0.7, against="one commit for 32", at_least=True),
            Goal("p99", 0.150, against=None),
        ),
        rounds=3,
    )


JOBS = (_job(10, "10"), _job(10_000, "10k"))
