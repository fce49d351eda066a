"""What the doors need of the platform. `thinmesh.bootstrap` builds it; nothing here imports an adapter."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from thinmesh.kernel.idempotency import ReplyStore
    from thinmesh.kernel.identity import Identity
    from thinmesh.kernel.policy import Policy, Principal
    from thinmesh.kernel.progress import Progress
    from thinmesh.kernel.vouching import Provider
    from thinmesh.planes.exchange.operations import Exchange
    from thinmesh.planes.operations.operations import Operations
    from thinmesh.planes.product.catalogs import Catalogs
    from thinmesh.planes.product.model import Upload
    from thinmesh.planes.product.operations import Products
    from thinmesh.planes.query.operations import Queries


# ASGI's scope, receive and send; the signed-in caller; the path after the repository's address.
GitBridge = Callable[[Any, Any, Any, "Principal", str], Awaitable[None]]


class Platform(Protocol):
    """An open platform home: the operations of every plane."""

    home: Path
    settings: Any
    policy: Policy
    identity: Identity
    products: Products
    catalogs: Catalogs
    queries: Queries
    exchange: Exchange
    operations: Operations
    replies: ReplyStore

    @property
    def git_bridge(self) -> GitBridge:
        """Serve one git request."""

    @property
    def provider(self) -> Provider | None:
        """Give who vouches for people, where the settings name somebody."""

    def start(self) -> None:
        """Start what runs beside a server."""

    def close(self) -> None:
        """Stop what runs and let go of the home."""


class Bootstrap(Protocol):
    """The composition root, as the doors see it."""

    def open_home(self, path: Path, *, mode: str) -> Platform:
        """Open a home to `read`, to `write`, or to `serve` it."""

    def init_home(self, path: Path) -> Any:
        """Make a home."""

    def restore_home(self, path: Path, backup: Path) -> Any:
        """Make a home from a backup."""

    def check_standalone(self, contract: bytes, uploads: Sequence[Upload], progress: Progress, *, file: str) -> Any:
        """Check files against a contract document, without a platform."""


def bootstrap() -> Bootstrap:
    """Give the composition root.

    It sits above the interface and joins the adapters to the planes, so it is looked up by its name when a
    command needs a platform, and nothing of it is loaded before.
    """
    return cast(Bootstrap, importlib.import_module("thinmesh.bootstrap"))
