"""Who is asking: a bearer token everywhere, a password where stock tools know nothing else, the owner's socket."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBase as BasicModel
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase
from starlette.concurrency import run_in_threadpool

from thinmesh.interface.platform import Platform
from thinmesh.kernel.errors import NotSignedIn
from thinmesh.kernel.policy import Principal

from .doorstep import CALLER_STATE, OWNER_STATE
from .problems import SignInWithPassword
from .rates import Rates

ACTING_AS = "thinmesh-as"
_REFUSAL = "thinmesh_refusal"


def platform_of(request: Request) -> Platform:
    """Give the platform that this app was made for."""
    platform: Platform = request.app.state.platform
    return platform


async def _platform(request: Request) -> Platform:
    return platform_of(request)


def sign_in(platform: Platform, rates: Rates, request: Request, *, basic: bool, door: str = "http") -> Principal:
    """Authenticate a request, and count it. Raises NotSignedIn with the reason, TooManyRequests.

    The owner's socket acts as administrator, or as the user named in the header `Thinmesh-As`; it has no limits.
    """
    if is_owner(request):
        return _authenticated(platform, request, basic, door)
    try:
        found = _authenticated(platform, request, basic, door)
    except NotSignedIn as error:
        # A request without any credentials was counted at the doorstep.
        if "authorization" in request.headers or "cookie" in request.headers:
            rates.failed(request.scope, error)
        raise
    rates.signed_in(found.user)
    return found


def _authenticated(platform: Platform, request: Request, basic: bool, door: str) -> Principal:
    kind, _, credentials = request.headers.get("authorization", "").partition(" ")
    credentials = credentials.strip()
    if kind.lower() == "bearer" and credentials:
        return platform.identity.authenticate(credentials, door)
    if kind.lower() == "basic" and basic:
        return _by_password(platform, credentials, door)
    if not kind and is_owner(request):
        return platform.identity.principal_of_home(request.headers.get(ACTING_AS), "cli")
    refusal = SignInWithPassword if basic else NotSignedIn
    if kind.lower() == "basic":
        raise refusal("This address takes no password.", help="Send the token as: Authorization: Bearer TOKEN")
    raise refusal("This address needs a token." if not kind else "This Authorization header is not one we take.")


def caller_of(request: Request, *, basic: bool = False) -> Principal:
    """Authenticate a request, once; a sign-in that failed fails again, and counts as one."""
    known = _known(request)
    if known is None:
        try:
            known = sign_in(platform_of(request), request.app.state.rates, request, basic=basic)
        except NotSignedIn as error:
            setattr(request.state, _REFUSAL, error)
            raise
        setattr(request.state, CALLER_STATE, known)
    return known


def _known(request: Request) -> Principal | None:
    """Tell who was found to send this request, before. Raises what was raised then."""
    refusal: NotSignedIn | None = getattr(request.state, _REFUSAL, None)
    if refusal:
        raise refusal
    known: Principal | None = getattr(request.state, CALLER_STATE, None)
    return known


async def find_caller(request: Request, *, basic: bool = False) -> Principal:
    """Authenticate a request, once: a look-up of microseconds, for which no thread is called.

    Acting as somebody else is recorded, and may have to wait for other writers.
    """
    if ACTING_AS in request.headers and _known(request) is None:
        return await run_in_threadpool(caller_of, request, basic=basic)
    return caller_of(request, basic=basic)


def is_owner(request: Request) -> bool:
    """Tell whether a request came over the home's own socket from the user who owns the home."""
    return bool(request.scope.get("state", {}).get(OWNER_STATE))


def _by_password(platform: Platform, credentials: str, door: str) -> Principal:
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SignInWithPassword("The basic Authorization header cannot be read.") from error
    token = text.partition(":")[2]
    if not token:
        raise SignInWithPassword("The password is empty: it must be a token.")
    try:
        return platform.identity.authenticate(token, door)
    except NotSignedIn as error:
        raise SignInWithPassword(error.detail, help=error.help) from error


class _Token(SecurityBase):
    """Signs in, and names the scheme in OpenAPI."""

    def __init__(self, *, basic: bool = False) -> None:
        self.model = BearerModel(bearerFormat="JWT", description="A token: `thinmesh token new`.")
        self.scheme_name = "token"
        self._basic = basic

    async def __call__(self, request: Request) -> Principal:
        return await find_caller(request, basic=self._basic)


class _Password(SecurityBase):
    """Names, in OpenAPI, the second scheme of the doors that stock tools use."""

    def __init__(self) -> None:
        self.model = BasicModel(scheme="basic", description="Any user name, and the token as password.")
        self.scheme_name = "password"

    async def __call__(self) -> None:
        return None


_password = _Password()


async def _for_data(caller: Annotated[Principal, Depends(_Token(basic=True))]) -> Principal:
    return caller


ThePlatform = Annotated[Platform, Depends(_platform)]
Caller = Annotated[Principal, Depends(_Token())]
DataCaller = Annotated[Principal, Depends(_for_data)]
PASSWORD = Depends(_password)
