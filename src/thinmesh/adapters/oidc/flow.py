"""The authorization code flow with PKCE and the check of ID tokens, by Authlib, which takes a while to load.

Nothing here is sent anywhere; `provider.py` does that.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote_plus

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from thinmesh.kernel.vouching import Asked

# By a public key alone: with `none` anybody could have written a token, with HS256 whoever knows the public key.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
# Some providers add members of their own to the header; `crit` is minded.
_REGISTRY = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_KEYS: Mapping[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_RSA_BITS = 2048
_LEEWAY = 60  # seconds that the provider's clock and ours may differ by
_TRIED = 20  # keys of one set
_LENGTH = 255  # characters of a subject (OpenID Connect Core 1.0, section 2)
_SCOPES = "openid profile email"


class NotValid(Exception):
    """An ID token that does not hold; the message says why."""


@dataclass(frozen=True, slots=True)
class Client:
    """What a provider knows of this mesh; without a secret it is a public client."""

    id: str
    secret: str
    redirect: str


def question(client: Client, endpoint: str, asked: Asked) -> str:
    """Write the address that asks a person who they are."""
    flow = OAuth2Client(
        None, client.id, scope=_SCOPES, redirect_uri=client.redirect, code_challenge_method="S256", token={}
    )
    address, _ = flow.create_authorization_url(
        endpoint, state=asked.state, code_verifier=asked.verifier, nonce=asked.nonce
    )
    return str(address)


def redemption(client: Client, endpoint: str, methods: object, code: str, asked: Asked) -> tuple[str, dict[str, str]]:
    """Write the form and the headers that redeem a code, with the client's secret where it has one."""
    body = prepare_token_request(
        "authorization_code", code=code, redirect_uri=client.redirect, code_verifier=asked.verifier
    )
    _, headers, body = ClientAuth(client.id, client.secret, _method(client, methods)).prepare(
        "POST", endpoint, {}, body
    )
    return str(body), dict(headers)


def _method(client: Client, methods: object) -> Any:
    """Choose how the client shows its secret: as the provider says, and by the header where it says nothing."""
    if not client.secret:
        return "none"
    by_form = isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods
    return "client_secret_post" if by_form else _basic


def _basic(client: Any, _: str, address: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """Write id and secret as RFC 6749, section 2.3.1, has them: form-encoded before they are joined."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    return address, {**headers, "Authorization": f"Basic {b64encode(pair.encode()).decode()}"}, body


def claims_of(token: object, keys: Any, access_token: object, known: Mapping[str, str], now: float) -> dict[str, Any]:
    """Give what an ID token says, once all of it holds.

    `known` has `issuer`, `client_id` and `nonce`. Raises NotValid.
    """
    if not isinstance(token, str) or token.count(".") != 2:
        raise NotValid("there is no ID token")
    verified = _verified(token, keys)
    claims = CodeIDToken(
        verified.claims,
        verified.header,
        {
            "iss": {"essential": True, "value": known["issuer"]},
            "aud": {"essential": True, "value": known["client_id"]},
            "sub": {"essential": True},
            "nonce": {"essential": True},
        },
        {"nonce": known["nonce"], "client_id": known["client_id"], "access_token": access_token},
    )
    try:
        claims.validate(int(now), _LEEWAY)
    except JoseError as error:
        raise NotValid(f"the ID token does not hold: {error}") from error
    except Exception as error:  # whatever claims of strange types make the library raise
        raise NotValid("the ID token is broken") from error
    if not is_subject(claims["sub"]):
        raise NotValid("the ID token names nobody")
    return dict(claims)


def is_subject(value: object) -> bool:
    """Tell whether a value can be what a provider calls a person."""
    return isinstance(value, str) and 0 < len(value) <= _LENGTH and value.isascii() and value.isprintable()


def _verified(token: str, keys: Any) -> Any:
    """Find the key that signed a token. Raises NotValid."""
    for key in islice(_usable(keys), _TRIED):
        with suppress(Exception):  # the next key, then; where none is right, none is
            return jwt.decode(token, key, registry=_REGISTRY)
    raise NotValid("no key of the provider has signed the ID token")


def _usable(keys: Any) -> Iterator[Any]:
    """Give the public keys of a set that may sign, without those of a kind or a size that we take nothing from."""
    listed = keys.get("keys") if isinstance(keys, dict) else None
    for each in listed if isinstance(listed, list) else ():
        key = _key(each) if isinstance(each, dict) and each.get("use", "sig") == "sig" else None
        if key is not None:
            yield key


def _key(found: dict[str, Any]) -> Any:
    """Read a public key; nothing where it is of a kind we do not use, too small, or broken."""
    kind = _KEYS.get(str(found.get("kty")))
    # Six bits a character: what is small is not even read, for the library warns of it.
    if kind is None or (kind is RSAKey and len(str(found.get("n", ""))) * 6 < _RSA_BITS):
        return None
    try:
        return kind.import_key(found)
    except Exception:  # whatever a broken key makes the library raise
        return None
