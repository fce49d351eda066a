"""Requests to a provider: short, bounded, and to nowhere but the address that was meant.

Whatever comes back may be slow, endless, no JSON, or a redirect to a place of its own choosing: all of it is one error.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from thinmesh.kernel.errors import Temporary
from thinmesh.kernel.settings import LOOPBACK

_SECONDS = 10.0  # for a whole request, however slowly its answer drips
_TIMES = httpx.Timeout(5.0)
_MOST = 256 << 10  # bytes; discovery documents and key sets have some thousand
# What is packed could unpack to anything.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "thinmesh"}


class Requests:
    """Sends requests to one provider, which messages call by its host."""

    def __init__(self, host: str) -> None:
        self.host = host

    async def ask(
        self, address: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Get an address, or post a form to it, and give the status and the object of the answer. Raises Temporary."""
        try:
            async with asyncio.timeout(_SECONDS):
                status, text = await _exchange(address, body, {**_HEADERS, **(headers or {})})
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self.failed("does not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise self.failed("cannot be reached") from error
        if text is None or status >= 500 or 300 <= status < 400:
            raise self.failed("answers with something else than was asked for")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.failed("answers with something else than was asked for") from error
        if not isinstance(found, dict):
            raise self.failed("answers with something else than was asked for")
        return status, found

    def failed(self, how: str) -> Temporary:
        """Make the error of a provider that does not do its part."""
        return Temporary(
            f"{self.host} {how}.",
            help="Try again in a moment, or sign in with a token; if it stays so, tell an administrator.",
        )


async def _exchange(address: str, body: str | None, headers: dict[str, str]) -> tuple[int, bytes | None]:
    """Send one request; give nothing in the place of an answer that is packed or too long."""
    form = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
    # A proxy of the machine is for what is elsewhere.
    elsewhere = urlsplit(address).hostname not in LOOPBACK
    async with (
        httpx.AsyncClient(verify=_trusted(), timeout=_TIMES, follow_redirects=False, trust_env=elsewhere) as client,
        client.stream("GET" if body is None else "POST", address, content=body, headers={**headers, **form}) as answer,
    ):
        if "content-encoding" in answer.headers:
            return answer.status_code, None
        text = b""
        async for part in answer.aiter_raw():
            text += part
            if len(text) > _MOST:
                return answer.status_code, None
        return answer.status_code, text


@cache
def _trusted() -> ssl.SSLContext:
    """Give whom TLS trusts: certifi's list, or that of SSL_CERT_FILE. Reading it takes a while."""
    return httpx.create_ssl_context()
