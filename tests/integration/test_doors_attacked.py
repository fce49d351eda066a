"""Attacks on the doors: shapes of HTTP that readers differ on, bodies that break parsers, and names of other places.

After each the answer is a plain refusal without anything of the inside, nothing was written outside the home, and
nobody was called: a listener on this machine stands in for every address that a name could lead to.
"""

import contextlib
import io
import os
import re
import socket
import tarfile
import threading
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
import zstandard

from tests.integration.running import cli, make_home, up
from thinmesh.adapters.local.archive import TarZstd
from thinmesh.kernel.errors import Refused

INSIDE = ("Traceback", 'File "', "site-packages", "/src/thinmesh", "sqlite", "root:x:")


class Trap:
    """Listens where nobody must call, and counts who does."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.calls = 0
        self.thread = threading.Thread(target=self._count, daemon=True)
        self.thread.start()

    def _count(self):
        with contextlib.suppress(OSError):
            while True:
                self.listener.accept()[0].close()
                self.calls += 1

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    home, token = make_home(folder)
    (folder / "outside.csv").write_text("a\n1\n")
    trap = Trap()
    with (
        up(home) as url,
        httpx.Client(base_url=url, timeout=60, headers={"Authorization": f"Bearer {token}"}) as client,
    ):
        assert client.post("/identity/v1/teams", json={"name": "meteo", "domains": ["aviation"]}).status_code == 201
        assert client.post("/product/v1/products", json=described("weather")).status_code == 201
        yield client, home, trap, token
    trap.close()
    log = (home / "run" / "stderr.log").read_text()
    assert "Traceback" not in log, log


def described(name, **more):
    return {"name": name, "domain": "aviation", "description": "Weather", **more}


def statuses(answer):
    """Give the status of each answer in what came over a connection."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def exchanged(client, data, token, patience=0):
    """Send bytes over a connection of their own; give the answer, and what follows it within so many seconds."""
    parts = urlsplit(str(client.base_url))
    found = b""
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.settimeout(60)
        with contextlib.suppress(OSError):
            raw.sendall(data.replace(b"TOKEN", b"Authorization: Bearer " + token.encode() + b"\r\nHost: x"))
        with contextlib.suppress(OSError):
            while piece := raw.recv(1 << 16):
                found += piece
                if complete(found) and not patience:
                    break
                if complete(found):
                    raw.settimeout(patience)
    return found


def complete(found):
    """Tell whether the last answer is whole, so that nobody waits for the connection to end."""
    head, _, body = found.rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
    length = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return len(body) >= int(length[0]) if length else body.endswith(b"0\r\n\r\n")


POST = b"POST /identity/v1/teams HTTP/1.1\r\nTOKEN\r\nContent-Type: application/json\r\n"
GET = b"GET /operations/v1/health/live HTTP/1.1\r\n"
HOST = b"Host: x\r\n"
SMUGGLED = b"GET /identity/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
SHAPES = {
    "length and chunks": (CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}" + SMUGGLED, 400),
    "a list of lengths": (POST + b"Content-Length: 2, 2\r\n\r\n{}", 400),
    "a signed length": (POST + b"Content-Length: +2\r\n\r\n{}", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n{}", 400),
    "a length beyond 64 bits": (POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}", 400),
    "a hexadecimal length": (POST + b"Content-Length: 0x2\r\n\r\n{}", 400),
    "chunks under another coding": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    "chunks in HTTP/1.0": (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n0\r\n\r\n" + SMUGGLED, 400),
    "another protocol asked for, with a body": (
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
        400,
    ),
    "another protocol asked for, and more after the last request": (
        GET + HOST + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n" + SMUGGLED,
        200,
    ),
    "a coding of no name": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    "a blank before the colon": (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    "a bad chunk size": (CHUNKED + b"\r\nZZ\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk beyond 64 bits": (CHUNKED + b"\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk longer than told": (CHUNKED + b"\r\n2\r\n{}xx\r\n0\r\n\r\n", 400),
    "bare line feeds": (b"GET /operations/v1/health/live HTTP/1.1\nHost: x\n\n", 400),
    "a folded header": (GET + HOST + b"X-A: b\r\n c\r\n\r\n", 400),
    "no host": (GET + b"\r\n", 400),
    "two hosts": (GET + HOST + b"Host: y\r\n\r\n", 400),
    "two tokens": (b"GET /identity/v1/whoami HTTP/1.1\r\nTOKEN\r\nAuthorization: Bearer x\r\n\r\n", 400),
    "two types": (POST + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 400),
    "a NUL in a header": (GET + HOST + b"X-A: a\0b\r\n\r\n", 400),
    "a blank in a header's name": (GET + HOST + b"X A: a\r\n\r\n", 400),
    "101 headers": (GET + HOST + b"a: b\r\n" * 100 + b"\r\n", 400),
    "headers without end": (GET + HOST + b"a: b\r\n" * 40_000 + b"\r\n", 400),
    "one long header": (GET + HOST + b"a: " + b"b" * 300_000 + b"\r\n\r\n", 400),
    "a long address": (b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a long address within the limit": (b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a tunnel": (b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an address elsewhere": (b"GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "TRACE": (b"TRACE /identity/v1/whoami HTTP/1.1\r\nTOKEN\r\nX-Secret: 4711\r\n\r\n", 405),
    "OPTIONS": (b"OPTIONS /identity/v1/whoami HTTP/1.1\r\nTOKEN\r\nOrigin: http://evil.example\r\n\r\n", 405),
    "PROPFIND": (b"PROPFIND /identity/v1/whoami HTTP/1.1\r\nTOKEN\r\n\r\n", 405),
    "a method of no name": (b"BREW /identity/v1/whoami HTTP/1.1\r\nTOKEN\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /identity/v1/whoami\r\n\r\n", 400),
    "HTTP/2 without asking": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/3.0": (b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), 400),
    "a web socket": (GET + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n", 200),
    "a host that is a path": (b"GET /nothing HTTP/1.1\r\nHost: a/identity/v1/jwks.json?x#y\r\n\r\n", 404),
    "five thousand ranges": (
        b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"Range: bytes=" + b"0-," * 5000 + b"\r\n\r\n",
        200,
    ),
    "bytes in the address": (b"GET /product/v1/products/\xff\xfe HTTP/1.1\r\nTOKEN\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_request_has_one_reading_or_none(mesh, name, record_property):
    client, _, _, token = mesh
    data, status = SHAPES[name]
    answer = exchanged(client, data, token, patience=0.1)
    assert statuses(answer) == [status]
    assert b"4711" not in answer
    assert b"\r\nserver:" not in answer.lower()
    assert b"access-control-" not in answer.lower()
    for header in (b"x-content-type-options: nosniff", b"content-security-policy: default-src 'none'", b"no-store"):
        assert header in answer.lower()
    record_property("held", ("doors attacked", 1, 1))


STATEMENT = b'{"sql": "select 1", "limit": %s}'
BODIES = {
    "brackets": b"[" * 100_000,
    "brackets that close": b"[" * 100_000 + b"]" * 100_000,
    "objects": b'{"a":' * 100_000,
    "a number of 100,000 digits": STATEMENT % (b"9" * 100_000),
    "a number beyond a double": STATEMENT % b"1e400000",
    "NaN": STATEMENT % b"NaN",
    "a number beyond 64 bits": STATEMENT % b"18446744073709551616",
    "a lone surrogate": b'{"sql": "\\ud800"}',
    "no UTF-8": b'{"sql": "\xff"}',
    "UTF-16": '{"sql": ""}'.encode("utf-16"),
    "a NUL": b'{"sql": "select 1\\u0000"}',
    "no object": b'"select 1"',
    "a member too many": b'{"sql": "select 1", "admin": true}',
    "100,000 members": b"{" + b",".join(b'"m%d": 1' % number for number in range(100_000)) + b"}",
}
DOCUMENTS = {
    **{name: body for name, body in BODIES.items() if name not in ("NaN", "a NUL")},
    "YAML that unfolds": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("k"))),
    "YAML of a class": b"!!python/object/apply:os.system ['touch /tmp/owned']\n",
    "YAML of brackets": b"a: " + b"[" * 50_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_breaks_no_parser(mesh, name, record_property):
    refused(
        mesh, mesh[0].post("/query/v1/statements", content=BODIES[name], headers={"Content-Type": "application/json"})
    )
    record_property("held", ("doors attacked", 1, 1))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_breaks_no_parser(mesh, name, record_property):
    kind = "application/yaml" if name.startswith("YAML") else "application/json"
    refused(mesh, mesh[0].post("/product/v1/products", content=DOCUMENTS[name], headers={"Content-Type": kind}))
    record_property("held", ("doors attacked", 1, 1))


def refused(mesh, reply, *, but=()):
    """Require a refusal that tells nothing of the inside."""
    assert reply.status_code in (400, 403, 404, 405, 409, 413, 415, 422) or reply.status_code in but, reply.text[:500]
    if not reply.is_success:
        assert not [word for word in INSIDE if word in reply.text], reply.text[:500]
        assert len(reply.content) < 20_000
    assert mesh[2].calls == 0


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "deflate, gzip"])
@pytest.mark.parametrize(
    "path", ["/query/v1/statements", "/product/v1/products", "/product/v1/products/weather/checks"]
)
def test_a_packed_body_is_not_unpacked(mesh, path, encoding, record_property):
    bomb = zstandard.compress(bytes(64 << 20))
    kind = "multipart/form-data; boundary=b" if path.endswith("checks") else "application/json"
    reply = mesh[0].post(path, content=bomb, headers={"Content-Type": kind, "Content-Encoding": encoding})
    assert (reply.status_code, reply.json()["code"]) == (415, "unsupported")
    record_property("held", ("doors attacked", 1, 1))


def test_a_member_named_twice_has_one_reading(mesh):
    content = b'{"sql": "select 1 as one", "sql": "select 2 as two"}'
    reply = mesh[0].post("/query/v1/statements", content=content, headers={"Content-Type": "application/json"})
    assert [column["name"] for column in reply.json()["columns"]] == ["two"]


PLACES = [
    *(
        "..",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%2f..%2fetc%2fpasswd",
        "..%5c..%5cwindows",
        "%00",
        "weather%00",
    ),
    *("%2fetc%2fpasswd", "%c0%ae%c0%ae%c0%af", "%252e%252e%252f", "file:%2f%2f%2fetc%2fpasswd", "CON", "NUL", ".git"),
    *(
        "http:%2f%2f169.254.169.254%2flatest",
        "a%0d%0aX-Evil:%201",
        "%e2%80%ae",
        "weather%20",
        "-rf",
        "~root",
        "$HOME",
        "*",
    ),
    *("a" * 5000, "%ff%fe", ";ls", "weather'--", "main", "information_schema", "{product}", "weather;"),
]


@pytest.mark.parametrize("place", PLACES)
def test_a_name_in_an_address_leads_nowhere(mesh, place, record_property):
    client = mesh[0]
    addresses = [
        f"/product/v1/products/{place}",
        f"/product/v1/products/{place}/contract",
        f"/product/v1/products/weather/tables/{place}/data",
        f"/query/v1/statements/{place}",
        f"/git/data.git/{place}",
    ]
    parts = urlsplit(str(client.base_url))
    for address in addresses:
        # httpx would tidy the address: it is sent as it stands.
        reply = exchanged(client, b"GET " + address.encode() + b" HTTP/1.1\r\nTOKEN\r\n\r\n", mesh[3])
        # Git's door takes the token as a password only.
        assert statuses(reply)[0] in (400, 401, 404), (parts, address, reply)
        assert b"x-evil: 1" not in reply.split(b"\r\n\r\n")[0].lower()
        assert not [word for word in INSIDE if word.encode() in reply], reply
    record_property("held", ("doors attacked", len(addresses), len(addresses)))


@pytest.mark.parametrize(
    "path", ["", "/", "/..", "/../log.git", "/%2e%2e/log.git", "/./../../keys", "//etc", "/objects/../.."]
)
def test_git_serves_one_repository(mesh, path, record_property):
    client, _, _, token = mesh
    basic = httpx.BasicAuth("x", token)._build_auth_header("x", token)
    parts = urlsplit(str(client.base_url))
    for rest in ("/info/refs?service=git-upload-pack", "/HEAD", "/token.pem"):
        data = f"GET /git/data.git{path}{rest} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: {basic}\r\n\r\n"
        answer = exchanged(client, data.encode(), token)
        expected = (200,) if path == "" and rest.startswith("/info") else (403, 404)
        assert statuses(answer)[0] in expected, answer
        assert b"PRIVATE" not in answer
    for other in ("/git/log.git", "/git/data.git.bak", "/git/", "/git"):
        assert client.get(f"{other}/info/refs?service=git-upload-pack", auth=("x", token)).status_code in (401, 404)
    record_property("held", ("doors attacked", 7, 7))


FILE_NAMES = [
    *(
        "../weather.csv",
        "/etc/weather.csv",
        "a/../../weather.csv",
        "weather/../../x.csv",
        "..",
        ".",
        "/",
        "C:\\x\\weather.csv",
    ),
    *("weather.csv\\..\\x.csv", "CON", "con.csv", "NUL.csv", ".csv", ".git/config", "weather.CSV ", "a" * 300 + ".csv"),
    *(
        "weather.exe",
        "weather.csv.exe",
        "weather.zip",
        "we\u202eather.csv",
        "weather.csv.gz.gz",
        "-rf.csv",
        "$(id).csv",
    ),
    *("file:///etc/passwd", "http://169.254.169.254/weather.csv", "s3://bucket/weather.csv", "/dev/stdin", "*.csv"),
]


def beside(home):
    """List what is in and beside a home, but for what publications write; that comes and goes while one looks."""
    own = {home / name for name in ("data.git", "log.git", "lake", "run")}
    found = set()
    for folder, folders, files in os.walk(home.parent):
        folders[:] = [name for name in folders if Path(folder, name) not in own]
        found |= {Path(folder, name) for name in (*folders, *files)}
    return found


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_file_s_name_leads_nowhere(mesh, name, record_property):
    client, home = mesh[0], mesh[1]
    disposition = f'form-data; name="file"; filename="{name}"'.encode()
    body = b"--b\r\nContent-Disposition: " + disposition + b"\r\n\r\na\n1\n\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    before = beside(home)
    reply = client.post("/product/v1/products/weather/publications", content=body, headers=headers)
    # Some are odd names of sound tables: their data is in the product's own folder.
    refused(mesh, reply, but=(200, 201))
    if reply.is_success:
        assert all(re.fullmatch("[a-z][a-z0-9_]*", table) for table in reply.json()["tables"]), reply.text
    assert beside(home) == before
    assert not list((home / "run").glob("upload-*"))
    record_property("held", ("doors attacked", 1, 1))


def test_no_document_makes_the_server_call_anybody(mesh, record_property):
    """Fields that name places are text: nothing of them is fetched, at registration or at publication."""
    client, _, trap, _ = mesh
    place = f"http://{trap.place}/latest/meta-data"
    wishes = [
        {"location": place},
        {"path": "/etc/passwd"},
        {"file": "file:///etc/passwd"},
        {"tables": {"t": {"location": place}}},
        {"tables": {"t": {"columns": [{"name": "a", "logicalType": "string", "$ref": place}]}}},
        {"$schema": place, "links": {"runbook": place}, "custom": {"$ref": place, "location": "file:///etc/passwd"}},
        {"tables": {"t": {"columns": {"a": "string"}, "quality": [sql(f"select * from read_csv('{place}')")]}}},
        {"tables": {"t": {"columns": {"a": "string"}, "quality": [sql("select count(*) from '/etc/passwd'")]}}},
    ]
    for number, wish in enumerate(wishes):
        name = f"place{number}"
        made = client.post("/product/v1/products", json=described(name, **wish))
        assert made.status_code in (201, 400, 422), made.text
        if made.status_code == 201:
            reply = client.post(f"/product/v1/products/{name}/publications", files={"file": ("t.csv", b"a\n1\n")})
            assert "root:" not in reply.text
            assert "root:" not in client.get(f"/product/v1/products/{name}").text
        assert trap.calls == 0, wish
    record_property("held", ("doors attacked", len(wishes), len(wishes)))


def sql(query):
    return {"type": "sql", "query": query, "mustBe": 0}


@pytest.mark.parametrize(
    "text",
    [
        "select * from '{outside}'",
        "select * from read_csv('{outside}')",
        "select * from read_text('/etc/passwd')",
        "select * from read_parquet('http://{trap}/a.parquet')",
        "select * from read_csv('s3://{trap}/a.csv')",
        "select * from glob('/etc/*')",
        "attach '{outside}' as other",
        "attach 'http://{trap}/a.db' as other",
        "copy (select 1) to '{outside}.new'",
        "install httpfs from 'http://{trap}'",
        "load '{outside}'",
        "select getenv('PATH')",
    ],
)
def test_sql_names_no_place(mesh, text, record_property):
    client, home, trap, _ = mesh
    outside = home.parent / "outside.csv"
    reply = client.post("/query/v1/statements", json={"sql": text.format(outside=outside, trap=trap.place)})
    refused(mesh, reply)
    assert not outside.with_name("outside.csv.new").exists()
    record_property("held", ("doors attacked", 1, 1))


@pytest.mark.parametrize(
    "query",
    ["format=../../etc/passwd", "format=json", "format=%00", "format=" + "x" * 5000, "format=csv%0d%0aX-Evil:1"],
)
def test_a_format_is_one_of_two(mesh, query, record_property):
    refused(mesh, mesh[0].get(f"/product/v1/products/weather/tables/weather/data?{query}"))
    record_property("held", ("doors attacked", 1, 1))


@pytest.mark.parametrize(
    "accept", ["../../etc/passwd", "image/svg+xml", "text/html;q=" + "9" * 5000, "*/x", "," * 5000]
)
def test_an_accept_header_names_no_place(mesh, accept, record_property):
    address = "/product/v1/products/weather/tables/weather/data"
    refused(mesh, mesh[0].get(address, headers={"Accept": accept}))
    record_property("held", ("doors attacked", 1, 1))


def entry(name, kind=tarfile.REGTYPE, content=b"x", **more):
    found = tarfile.TarInfo(name)
    found.type = kind
    found.size = len(content) if kind == tarfile.REGTYPE else 0
    for key, value in more.items():
        setattr(found, key, value)
    return found, content


ENTRIES = {
    "a link": entry("lake", tarfile.SYMTYPE, linkname="/etc"),
    "a hard link": entry("thinmesh.db", tarfile.LNKTYPE, linkname="../../../etc/passwd"),
    "a device": entry("thinmesh.db", tarfile.CHRTYPE, devmajor=1, devminor=5),
    "a disk": entry("thinmesh.db", tarfile.BLKTYPE, devmajor=8),
    "a pipe": entry("thinmesh.db", tarfile.FIFOTYPE),
    "a folder": entry("lake", tarfile.DIRTYPE),
    "a long name": entry("a/" * 2000 + "b"),
    "a contiguous file": entry("thinmesh.db", tarfile.CONTTYPE),
    "a sparse file": entry("thinmesh.db", tarfile.GNUTYPE_SPARSE),
    "a header of its own": entry("thinmesh.db", pax_headers={"path": "../../escaped"}),
}


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_an_archive_holds_files_or_nothing(tmp_path, name, form, record_property):
    packed = io.BytesIO()
    found, content = ENTRIES[name]
    if name == "a header of its own" and form == tarfile.GNU_FORMAT:
        found, content = entry("thinmesh.db", uname="x", mode=0o4755, mtime=1.5)
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        archive.addfile(found, io.BytesIO(content))
    path = tmp_path / "backup"
    path.write_bytes(zstandard.compress(packed.getvalue()))
    taken = []
    with contextlib.suppress(Refused), TarZstd().open(path) as members:
        taken = [member.name for member in members]
    # A plain file may have any mode and owner: only its bytes are taken.
    assert taken == ([found.name] if found.mode == 0o4755 else [])
    record_property("held", ("doors attacked", 1, 1))


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + bytes(100),
        b"\x1f\x8b\x08" + bytes(100),
        b"ustar" + bytes(10_000),
        bytes(100_000),
        b"",
        zstandard.compress(bytes(100)),
        # A window of 2 GB, which a reader would have to set aside.
        b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(100),
        zstandard.compress(bytes(64 << 20)),
    ],
    ids=["zip", "gzip", "tar", "zeros", "nothing", "short", "window", "bomb"],
)
def test_what_is_no_backup_is_refused(tmp_path, content, record_property):
    path = tmp_path / "backup"
    path.write_bytes(content)
    with contextlib.suppress(Refused), TarZstd().open(path) as members:
        assert list(members) == []
    record_property("held", ("doors attacked", 1, 1))


def test_the_command_line_takes_files_and_no_addresses(mesh, tmp_path, record_property):
    arguments = ("file:///etc/passwd", f"http://{mesh[2].place}/weather.csv", "/dev/zero", "/proc/self/environ", ".")
    for argument in arguments:
        done = cli("check", "weather", argument, "--json", home=mesh[1], folder=tmp_path)
        assert done.returncode in (1, 2, 4), done.stdout + done.stderr
        assert "PATH=" not in done.stdout + done.stderr
    assert mesh[2].calls == 0
    record_property("held", ("doors attacked", len(arguments), len(arguments)))


def test_a_name_in_an_address_is_shown_as_text(mesh):
    name = "<script>alert(1)</script>"
    reply = mesh[0].get(f"/product/v1/products/{quote(name, safe='')}")
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["x-content-type-options"] == "nosniff"
