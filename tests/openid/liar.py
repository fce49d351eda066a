"""An OpenID provider of our own whose every answer a test may change: honest until told otherwise."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

CLIENT, SECRET = "mesh", "a secret: with %, + and blanks"
DISCOVERY = "/.well-known/openid-configuration"


@cache
def key(name: str) -> RSAKey:
    """Make a key pair, once in a run."""
    return RSAKey.generate_key(2048, {"kid": name})


def unpadded(content: bytes) -> str:
    """Write bytes as tokens have them."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@dataclass
class Answer:
    """What is sent back: a status, headers, and a body that may take its time."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: int = 1
    pause: float = 0.0


class Liar:
    """The provider's state; `change` maps a path to what becomes of its honest answer."""

    def __init__(self) -> None:
        self.issuer = ""
        self.nonce = ""
        self.subject = "s-1"
        self.claims: dict[str, Any] = {"preferred_username": "olga"}
        self.profile: dict[str, Any] = {}
        self.signs = "first"
        self.keys = ["first"]
        self.change: dict[str, Callable[[Answer], Answer]] = {}
        self.token: Callable[[dict[str, Any]], str] = self.signed
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        self.stopped = threading.Event()

    def signed(self, claims: dict[str, Any], alg: str = "RS256", by: str = "") -> str:
        """Sign an ID token."""
        name = by or self.signs
        return jwt.encode({"alg": alg, "kid": name}, claims, key(name), algorithms=[alg])

    def by_shared_key(self, claims: dict[str, Any]) -> str:
        """Sign with HMAC, and the public key as if it were the secret."""
        parts = [{"alg": "HS256", "kid": self.signs}, claims]
        signed = ".".join(unpadded(json.dumps(each).encode()) for each in parts)
        pem = key(self.signs).as_pem(private=False)
        return f"{signed}.{unpadded(hmac.digest(pem, signed.encode(), 'sha256'))}"

    def by_own_key(self, claims: dict[str, Any]) -> str:
        """Sign with a stranger's key, and bring it along in the header."""
        stranger = key("of a stranger")
        header = {"alg": "RS256", "kid": "of a stranger", "jwk": stranger.as_dict(private=False)}
        return jwt.encode(header, claims, stranger, registry=JWSRegistry(algorithms=["RS256"]))

    def answer(self, path: str, form: dict[str, list[str]]) -> Answer:
        """Answer one request."""
        honest = {DISCOVERY: self._discovery, "/jwks": self._jwks, "/token": self._token, "/userinfo": self._profile}
        made = honest.get(path, lambda _: {"error": "not_found"})(form)
        found = Answer(json.dumps(made).encode(), 200 if path in honest else 404)
        return self.change.get(path, lambda answer: answer)(found)

    def _discovery(self, _: object) -> Any:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }

    def _jwks(self, _: object) -> Any:
        return {"keys": [{**key(name).as_dict(private=False), "use": "sig"} for name in self.keys]}

    def _token(self, _: object) -> Any:
        now = int(time.time())
        times = {"iat": now, "exp": now + 60}
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": self.subject, "nonce": self.nonce, **times, **self.claims}
        return {"access_token": "of-the-profile", "token_type": "Bearer", "id_token": self.token(claims)}

    def _profile(self, _: object) -> Any:
        return {"sub": self.subject, **self.profile}


@contextmanager
def liar() -> Iterator[Liar]:
    """Run one until the block ends."""
    state = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._do(b"")

        def do_POST(self) -> None:
            self._do(self.rfile.read(int(self.headers["Content-Length"])))

        def _do(self, body: bytes) -> None:
            path, form = urlsplit(self.path).path, parse_qs(body.decode())
            state.asked.append((path, form, dict(self.headers)))
            found = state.answer(path, form)
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for _ in range(found.pieces):
                    if found.pause and state.stopped.wait(found.pause):
                        return
                    self.wfile.write(found.body)
            except OSError:
                pass  # they had heard enough

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
