"""A self-serve data mesh: the stable Python interface, nothing else. Everything is loaded when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thinmesh.kernel.version import VERSION as __version__  # noqa: N811

if TYPE_CHECKING:
    from thinmesh.interface.client.mesh import Mesh, Result, connect
    from thinmesh.kernel.errors import (
        Conflict,
        Internal,
        Locked,
        Malformed,
        MeshError,
        NotAllowed,
        NotFound,
        NotSignedIn,
        Refused,
        Retired,
        Temporary,
        TooLarge,
        TooManyRequests,
        Unsupported,
    )

__all__ = [
    "Conflict",
    "Internal",
    "Locked",
    "Malformed",
    "Mesh",
    "MeshError",
    "NotAllowed",
    "NotFound",
    "NotSignedIn",
    "Refused",
    "Result",
    "Retired",
    "Temporary",
    "TooLarge",
    "TooManyRequests",
    "Unsupported",
    "__version__",
    "connect",
]

_CLIENT = frozenset({"Mesh", "Result", "connect"})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'thinmesh' has no attribute {name!r}")
    import importlib

    where = "thinmesh.interface.client.mesh" if name in _CLIENT else "thinmesh.kernel.errors"
    return getattr(importlib.import_module(where), name)


def __dir__() -> list[str]:
    return sorted(__all__)
