"""Styles, scripts and fonts: shipped with the package, named by what they hold, kept by browsers for ever."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = "static"
_PACKED_ALREADY = {"font/woff2", "image/png"}
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2"}
# How a file names another one.
_NAMING = {".css": re.compile(rb"(url\()([\w-][\w.-]*)(\))"), ".js": re.compile(rb'(\bfrom ")\./([\w.-]+)(")')}
_DIGITS = 16  # of the digest, in an address


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent: its address, media type, and bytes, plain and compressed."""

    address: str
    media_type: str
    plain: bytes
    packed: bytes | None


@cache
def assets() -> dict[str, Asset]:
    """Give all assets by name.

    Styles name others by `url(name)`, modules by `from "./name"`: both become addresses. None may name itself, over
    others or not.
    """
    return {each.name: _asset(each.name) for each in _folder().iterdir() if each.is_file()}


def _folder() -> Traversable:
    return files(__package__).joinpath(_FOLDER)


def address_of(name: str) -> str:
    """Give the address of an asset. Raises KeyError."""
    return assets()[name].address


@cache
def _asset(name: str) -> Asset:
    suffix = name[name.rfind(".") :]
    content = _folder().joinpath(name).read_bytes()
    if suffix in _NAMING:
        content = _NAMING[suffix].sub(_with_address, content)
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    packed = None if kind in _PACKED_ALREADY else gzip.compress(content, mtime=0)
    return Asset(f"/assets/{digest}/{name}", kind, content, packed)


def _with_address(named: re.Match[bytes]) -> bytes:
    return named[1] + _asset(named[2].decode()).address.encode() + named[3]


async def _serve(request: Request) -> Response:
    asset = assets().get(request.path_params["name"])
    if asset is None or asset.address != request.url.path:
        return Response("There is no such file.", 404, media_type="text/plain")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if asset.packed is not None and takes_gzip(request):
        return Response(asset.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=asset.media_type)
    return Response(asset.plain, headers=headers, media_type=asset.media_type)


def takes_gzip(request: Request) -> bool:
    """Tell whether a browser takes gzip. `gzip;q=0`, which none sends, counts as yes."""
    return "gzip" in request.headers.get("accept-encoding", "")


ROUTE = Route("/assets/{digest}/{name}", _serve, methods=["GET"])
