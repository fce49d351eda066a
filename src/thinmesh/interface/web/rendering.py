"""Templates to pages. Everything that comes from people is escaped by Jinja2; what is not is made in `markup.py`."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from thinmesh.kernel.clock import time_of_text

from . import assets, markup

# No script, style, frame or form of anybody else, and none written into a page.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "object-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Vary": "Cookie, HX-Request"}
_PACKED_FROM = 2_000  # bytes; below, packing costs more than it saves
_PACKED_WELL_ENOUGH = 4  # gzip's level
_STEPS = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))
_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")
_SIZES = ("bytes", "kB", "MB", "GB", "TB")


class Rendering:
    """The templates, with the words they may use; `provider` is who else signs people in, by name."""

    def __init__(self, provider: str = "") -> None:
        self._environment = Environment(
            loader=PackageLoader(__package__),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {"asset": assets.address_of, "provider": provider}
        self._environment.filters |= _FILTERS

    def response(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """Render a page as a reply."""
        text = self._environment.get_template(template).render(path=request.url.path, **values)
        body = text.encode("utf-8", "replace")
        headers = dict(_HEADERS)
        if len(body) >= _PACKED_FROM and assets.takes_gzip(request):
            body = gzip.compress(body, _PACKED_WELL_ENOUGH, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Response(body, status, headers, "text/html")


def ago(text: str | None) -> str:
    """Say how long ago a time was, roughly, or how long it is until then: 30 days are 30 at first, not 29."""
    if not text:
        return "never"
    seconds = (datetime.now(UTC) - time_of_text(text)).total_seconds()
    for step, word in _STEPS:
        count = int(abs(seconds) // step)
        if count:
            count = count if seconds > 0 else round(-seconds / step)
            told = f"{count} {word}{'s' if count > 1 else ''}"
            return f"{told} ago" if seconds > 0 else f"in {told}"
    return "just now"


def lasting(text: str) -> str:
    """Say an ISO 8601 duration in words; one that is none is left as it is."""
    found = _DURATION.fullmatch(text)
    told = [(count, word) for count, word in zip(found.groups(), _UNITS, strict=True) if count] if found else []
    return " ".join(f"{count} {word}{'s' if count != '1' else ''}" for count, word in told) or text


def size(count: int | None) -> str:
    """Write a number of bytes as people say it."""
    if count is None:
        return "-"
    left, step = float(count), 0
    while left >= 1000 and step < len(_SIZES) - 1:
        left, step = left / 1000, step + 1
    return f"{left:.0f} {_SIZES[step]}" if step == 0 or left >= 10 else f"{left:.1f} {_SIZES[step]}"


def grouped(count: int | None) -> str:
    """Write a number with its thousands apart."""
    return "-" if count is None else f"{count:,}"


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "ago": ago,
    "lasting": lasting,
    "size": size,
    "grouped": grouped,
    "readme": markup.readme,
    "marked": markup.marked,
    "coded": markup.coded,
}
