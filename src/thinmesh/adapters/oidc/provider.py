"""One OpenID provider, known by its issuer: what its discovery document names is asked, and nothing else."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from thinmesh.kernel.clock import Clock, utc_now
from thinmesh.kernel.errors import NotSignedIn, Temporary
from thinmesh.kernel.settings import is_safe_address
from thinmesh.kernel.vouching import Asked, Vouched

from .asking import Requests

if TYPE_CHECKING:
    from types import ModuleType

_DISCOVERY = "/.well-known/openid-configuration"
_KEPT = 3600.0  # seconds that a discovery document is good for
_KEYS_KEPT = 300.0  # and a key set: what a provider withdraws is not taken for longer
_PAUSE = 5.0  # seconds in which a provider that has failed is not asked again: nobody waits for it meanwhile
_SECRET_LENGTH = 10_000


class OidcProvider:
    """A `Provider` (kernel/vouching.py), of the issuer that the settings name."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret_file: Path | None,
        redirect: str,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._secret_file = secret_file
        self._redirect = redirect
        self._clock = clock
        self._monotonic = monotonic
        self._requests = Requests(self.host)
        self._found: dict[str, tuple[float, dict[str, Any]]] = {}
        self._failed: tuple[float, Temporary] | None = None
        self._busy = asyncio.Lock()

    @property
    def host(self) -> str:
        """Give the name that people know it by."""
        return urlsplit(self._issuer).netloc

    async def question(self, asked: Asked) -> str:
        """Give the address to send a browser to. Raises Temporary."""
        known = await self._discovered()
        endpoint = self._endpoint(known, "authorization_endpoint", query=True)
        flow = await _flow()
        address: str = flow.question(self._client(flow), endpoint, asked)
        return address

    async def answer(self, asked: Asked, code: str, issuer: str | None) -> Vouched:
        """Redeem a code for an ID token, and check it. Raises NotSignedIn, Temporary."""
        known = await self._discovered()
        # Who answers with another provider's code says so, or keeps silent (RFC 9207).
        needed = known.get("authorization_response_iss_parameter_supported") is True
        if issuer != self._issuer and (needed or issuer is not None):
            raise self._lied("the answer is another provider's")
        flow = await _flow()
        endpoint = self._endpoint(known, "token_endpoint")
        methods = known.get("token_endpoint_auth_methods_supported")
        body, headers = flow.redemption(self._client(flow), endpoint, methods, code, asked)
        status, told = await self._requests.ask(endpoint, body, headers)
        if status != 200:
            raise self._lied(f"the code is not taken ({_word(told.get('error'))})")
        claims = await self._claims(flow, known, told, asked)
        person = claims
        if not (claims.get("preferred_username") or _verified_email(claims)):
            # Of two documents one is believed, never a part of each.
            person = await self._profile(known, told, claims["sub"])
        username = person.get("preferred_username")
        return Vouched(
            self._issuer,
            claims["sub"],
            username if isinstance(username, str) else None,
            _verified_email(person),
        )

    async def farewell(self) -> str | None:
        """Give the address where people end their session there (RP-Initiated Logout 1.0). Raises Temporary.

        It names this mesh and no person: the provider asks who is there, and needs to know no address of ours.
        """
        known = await self._discovered()
        if known.get("end_session_endpoint") is None:
            return None
        endpoint = self._endpoint(known, "end_session_endpoint", query=True)
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode({'client_id': self._client_id})}"

    async def _claims(self, flow: ModuleType, known: dict[str, Any], told: dict[str, Any], asked: Asked) -> Any:
        """Check the ID token; with fresh keys once more, for a key that signs since now is not among the kept ones."""
        address = self._endpoint(known, "jwks_uri")
        expected = {"issuer": self._issuer, "client_id": self._client_id, "nonce": asked.nonce}
        for fresh in (False, True):
            keys = await self._kept(address, _KEYS_KEPT, fresh=fresh)
            try:
                return flow.claims_of(
                    told.get("id_token"), keys, told.get("access_token"), expected, self._clock().timestamp()
                )
            except flow.NotValid as error:
                refused = error
        raise self._lied(str(refused)) from refused

    async def _profile(self, known: dict[str, Any], told: dict[str, Any], subject: str) -> dict[str, Any]:
        """Ask for a person's names where the ID token has none, as many providers want it."""
        token = told.get("access_token")
        if "userinfo_endpoint" not in known or not isinstance(token, str) or not token.isascii() or len(token) > 16_000:
            return {}
        endpoint = self._endpoint(known, "userinfo_endpoint")
        status, found = await self._requests.ask(endpoint, headers={"Authorization": f"Bearer {token}"})
        if status != 200:
            return {}
        if found.get("sub") != subject:
            raise self._lied("the profile is somebody else's")
        return found

    async def _discovered(self) -> dict[str, Any]:
        found = await self._kept(self._issuer.rstrip("/") + _DISCOVERY, _KEPT)
        if found.get("issuer") != self._issuer:
            self._found.clear()
            raise self._requests.failed("calls itself by another name than `oidc.issuer`")
        return found

    async def _kept(self, address: str, kept: float, *, fresh: bool = False) -> dict[str, Any]:
        """Give a document of the provider's, asked for once for all who wait."""
        asked_at = self._monotonic()
        async with self._busy:
            at, found = self._found.get(address, (-kept, {}))
            if found and self._monotonic() - at < kept and (not fresh or at > asked_at):
                return found
            if self._failed and self._monotonic() - self._failed[0] < _PAUSE:
                raise self._requests.failed("has just failed to answer") from self._failed[1]
            try:
                status, found = await self._requests.ask(address)
                if status != 200:
                    raise self._requests.failed(f"answers with status {status}")
            except Temporary as error:
                self._failed = (self._monotonic(), error)
                raise
            self._failed = None
            self._found[address] = (self._monotonic(), found)
            return found

    def _endpoint(self, known: dict[str, Any], name: str, *, query: bool = False) -> str:
        """Give an address that the provider names: not one of this machine, unless the issuer itself is."""
        address = known.get(name)
        local = self._issuer.startswith("http:")
        fit = isinstance(address, str) and is_safe_address(address, query=query)
        if not isinstance(address, str) or not fit or (address.startswith("http:") and not local):
            raise self._requests.failed(f"names no address of ours to use as its {name}")
        return address

    def _client(self, flow: ModuleType) -> Any:
        """Read the client's secret each time: a renewed one counts at once."""
        secret = ""
        if self._secret_file is not None:
            try:
                secret = self._secret_file.read_text()[:_SECRET_LENGTH].strip()
            except (OSError, UnicodeDecodeError) as error:
                raise Temporary(
                    "The secret that this mesh shows to the provider cannot be read.",
                    help="An administrator finds its file under oidc.client_secret_file in the settings.",
                ) from error
        return flow.Client(self._client_id, secret, self._redirect)

    def _lied(self, why: str) -> NotSignedIn:
        return NotSignedIn(
            f"What {self.host} says cannot be trusted: {why}.",
            help="Try again, or sign in with a token; if it stays so, tell an administrator.",
        )


async def _flow() -> ModuleType:
    """Load Authlib in a thread, when somebody first signs in: others are answered meanwhile."""
    return await asyncio.to_thread(importlib.import_module, "thinmesh.adapters.oidc.flow")


def _verified_email(claims: dict[str, Any]) -> str | None:
    """Give an e-mail address that the provider has verified: any other is what somebody typed."""
    email = claims.get("email")
    return email if isinstance(email, str) and claims.get("email_verified") is True else None


def _word(value: object) -> str:
    """Give an error's code as the provider writes it, where it is one (RFC 6749, section 5.2)."""
    return value if isinstance(value, str) and value.replace("_", "").isalnum() and len(value) < 60 else "no reason"
