"""Tokens as JSON Web Tokens (RFC 7519), signed with RS256, so that HTTP, git and Trino take the same one.

What is checked here is the signature alone; whether a token is in force the database says (kernel/identity.py).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .durability import sync
from .errors import Conflict, NotSignedIn, Temporary

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

ISSUER = "thinmesh"
AUDIENCE = "thinmesh"
_FILE = "token.pem"
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LENGTH = 2048  # characters; ours have about 600
_REMEMBERED = 10_000  # verified tokens; a signature check costs ten times a look-up


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token of ours says: its id, user, scope, and when it was made and ends (seconds since 1970)."""

    id: str
    user: str
    scope: str
    issued: int
    expires: int


class Signer:
    """Makes and verifies tokens with the key pair in a folder. The key is read at the first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._verified: dict[bytes, Claims] = {}

    def create(self) -> None:
        """Make the key pair: folder 0700, file 0600, durable. Raises Conflict where there is one."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        text = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        try:
            _write_private(self._folder / _FILE, text)
        except FileExistsError as error:
            raise Conflict("There is a signing key already.", help="Keep it: every token depends on it.") from error

    def sign(self, claims: Claims) -> str:
        """Write a token."""
        import jwt

        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": claims.user,
            "jti": claims.id,
            "scope": claims.scope,
            "iat": claims.issued,
            "exp": claims.expires,
        }
        return jwt.encode(payload, self._private, algorithm="RS256", headers={"kid": self._kid})

    def verify(self, token: str) -> Claims:
        """Read a token that we signed; whether it is in force is not asked.

        Raises NotSignedIn for everything else, and says nothing of why.
        """
        if len(token) > _LENGTH or not _SHAPE.fullmatch(token):
            raise _invalid()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None:
            return known
        claims = self._read(token)
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        self._verified[digest] = claims
        return claims

    def jwks(self) -> dict[str, Any]:
        """Give the public key as a JSON Web Key Set (RFC 7517), for engines that check tokens themselves."""
        return {"keys": [{**self._public_numbers, "alg": "RS256", "use": "sig", "kid": self._kid}]}

    def secret(self, purpose: str) -> bytes:
        """Derive a secret of 32 bytes from the key, another one for each purpose (HKDF, RFC 5869)."""
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        key = self._private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return HKDF(hashes.SHA256(), 32, salt=None, info=f"thinmesh {purpose}".encode()).derive(key)

    def _read(self, token: str) -> Claims:
        import jwt

        # Times are judged against the identity's clock and the database: a clock that was put back makes none invalid.
        times = {"verify_exp": False, "verify_iat": False}
        options: Any = {"require": ["iss", "aud", "sub", "jti", "scope", "iat", "exp"], **times}
        try:
            found: Mapping[str, Any] = jwt.decode(
                token, self._public, algorithms=["RS256"], issuer=ISSUER, audience=AUDIENCE, options=options
            )
            return Claims(found["jti"], found["sub"], found["scope"], found["iat"], found["exp"])
        except Temporary:
            raise
        except Exception as error:
            # Whatever a hostile token makes the library raise: the caller is not signed in.
            raise _invalid() from error

    @cached_property
    def _private(self) -> RSAPrivateKey:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key((self._folder / _FILE).read_bytes(), password=None)
        except (OSError, ValueError) as error:
            raise _no_key() from error
        if not isinstance(key, RSAPrivateKey):
            raise _no_key()
        return key

    @cached_property
    def _public(self) -> RSAPublicKey:
        return self._private.public_key()

    @cached_property
    def _public_numbers(self) -> dict[str, str]:
        from jwt.algorithms import RSAAlgorithm

        found = RSAAlgorithm.to_jwk(self._public, as_dict=True)
        return {name: found[name] for name in ("e", "kty", "n")}

    @cached_property
    def _kid(self) -> str:
        """Give the key's thumbprint (RFC 7638)."""
        import base64
        import json

        text = json.dumps(self._public_numbers, separators=(",", ":"), sort_keys=True)
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _invalid() -> NotSignedIn:
    return NotSignedIn("The token is not valid here.")


def _no_key() -> Temporary:
    return Temporary(
        "The signing key of the platform home cannot be read.",
        help=f"Check who owns keys/{_FILE}, or restore it from a backup made with --with-keys.",
    )


def _write_private(path: Path, text: bytes) -> None:
    """Write a new file that only its owner reads, durably and whole."""
    draft = path.with_name(path.name + ".part")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename, it never takes the place of a key
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)
