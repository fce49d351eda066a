"""Whom we call over TLS: nothing is told to a server whose certificate nobody vouches for."""

from __future__ import annotations

import asyncio
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import thinmesh
from thinmesh.adapters.datahub import open_catalog
from thinmesh.adapters.oidc.provider import OidcProvider
from thinmesh.kernel.errors import NotSignedIn, Temporary
from thinmesh.kernel.settings import load_settings
from thinmesh.kernel.vouching import Asked

from .datahub_products import record


def self_signed(folder):
    """Make a certificate for this machine that no authority has signed; give the file with it and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "pair.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


class Stranger(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # who calls hangs up


@pytest.fixture
def stranger(tmp_path):
    """Serve TLS; give the server, which notes what it was asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    with Stranger(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def by_provider(url):
    provider = OidcProvider(url, "mesh", None, f"{url}/back")
    with pytest.raises(Temporary, match="cannot be reached"):
        asyncio.run(provider.question(Asked("state", "nonce", "v" * 43)))


def by_catalog(url):
    catalog = open_catalog(load_settings(None, {"THINMESH_DATAHUB__URL": url, "THINMESH_DATAHUB__TOKEN": "s3cret"}))
    with pytest.raises(Temporary):
        catalog.put(record())


def by_client(url):
    with pytest.raises(NotSignedIn, match="is not trusted"):
        thinmesh.connect(url, token="x.y.z").sql("select 1")


@pytest.mark.parametrize("call", [by_provider, by_catalog, by_client])
def test_nothing_is_told_to_whom_nobody_vouches_for(stranger, call):
    call(f"https://127.0.0.1:{stranger.server_address[1]}")
    assert stranger.asked == []


def test_a_caller_who_asks_for_no_certificate_would_be_told(stranger):
    url = f"https://127.0.0.1:{stranger.server_address[1]}"
    assert httpx.get(f"{url}/seen", verify=ssl._create_unverified_context(), timeout=60).status_code == 200
    assert stranger.asked == ["/seen"]
