"""What may be sent, by whom, and how much: nothing of an upload is read or kept that cannot become a publication."""

import os
import socket
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import duckdb
import httpx
import pytest

from tests.integration.running import cli_json, make_home, register, up

TYPE = "Content-Type: multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="x"; filename="weather.csv"\r\n\r\norigin,temp\n'
LIMIT = 1 << 20


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    home, token = make_home(tmp_path_factory.mktemp("uploads"))
    settings = home / "thinmesh.toml"
    settings.write_text(settings.read_text().replace("[server]", f"[server]\nmax_upload = {LIMIT}"))
    cli_json("team", "create", "meteo", "--domain", "aviation", home=home)
    cli_json("user", "add", "ann", home=home)
    register(home, "weather", owner="meteo")
    tokens = {"admin": token, "ann": cli_json("token", "new", "ann", home=home)["token"]}
    tokens["reader"] = cli_json("token", "new", "admin", "--scope", "read", home=home)["token"]
    tokens["elsewhere"] = cli_json("token", "new", "admin", "--scope", "publish:other", home=home)["token"]
    with up(home) as url:
        yield url, home, tokens


@contextmanager
def sending(url, path, token, *headers):
    """Begin a request, as a client does that has not sent its body yet."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        lines = [f"POST /product/v1/products/{path} HTTP/1.1", "Host: x", *headers]
        lines += [f"Authorization: Bearer {token}"] if token else []
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        yield connection


def status_of(connection):
    return int(connection.recv(12).split()[1])


def left(home):
    return [path for path in (home / "run").iterdir() if path.name.startswith("upload-")]


def checks(home):
    """List what is being checked; it comes and goes while one looks."""
    found = [name for _, *names in os.walk(home / "run" / "staging") for name in (*names[0], *names[1])]
    return [name for name in found if name.startswith(".check-")]


@pytest.mark.parametrize("verb", ["publications", "checks"])
@pytest.mark.parametrize(
    ("user", "product", "status"),
    [
        (None, "weather", 401),
        ("ann", "weather", 403),
        ("reader", "weather", 403),
        ("elsewhere", "weather", 403),
        ("admin", "nowhere", 404),
        ("ann", "nowhere", 404),
    ],
)
def test_who_may_not_publish_is_told_before_the_body_is_read(mesh, user, product, status, verb):
    url, home, tokens = mesh
    token = tokens.get(user)
    with sending(url, f"{product}/{verb}", token, TYPE, "Transfer-Encoding: chunked") as connection:
        # Nothing of the body was sent: the answer cannot have waited for it.
        assert status_of(connection) == status
    assert left(home) == []


def chunks(size):
    yield HEAD
    for _ in range(size >> 16):
        yield b"EWR,3.5\n" * (1 << 13)
    yield b"\r\n--b--\r\n"


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("verb", ["publications", "checks"])
def test_an_upload_above_the_limit_is_413_however_it_comes(mesh, verb, chunked):
    url, home, tokens = mesh
    headers = {"Authorization": f"Bearer {tokens['admin']}", "Content-Type": "multipart/form-data; boundary=b"}
    body = chunks(4 * LIMIT)
    reply = httpx.post(
        f"{url}/product/v1/products/weather/{verb}",
        content=body if chunked else b"".join(body),
        headers=headers,
        timeout=60,
    )
    assert (reply.status_code, reply.json()["code"]) == (413, "too_large"), reply.text
    assert "server.max_upload" in reply.json()["help"]
    assert left(home) == []


def test_an_upload_that_is_announced_too_large_is_refused_before_it_comes(mesh):
    url, _, tokens = mesh
    announced = f"Content-Length: {2 * LIMIT}"
    with sending(url, "weather/publications", tokens["admin"], TYPE, announced) as connection:
        assert status_of(connection) == 413


@pytest.mark.parametrize(
    "name",
    [
        'filename="/etc/temps.csv"',
        'filename="../../etc/passwd.csv"',
        'filename="temps/../../passwd.csv"',
        "filename*=UTF-8''..%2Ftemps.csv",
        "filename*=undefined''t.csv",
        "filename*=idna''t.%ff.csv",
        "filename*=a%00b''x.csv",
        "filename*=unicode_escape''%5Cud800.csv",
    ],
)
def test_a_file_name_that_leads_elsewhere_or_is_none_is_refused(mesh, name):
    url, home, tokens = mesh
    headers = {"Authorization": f"Bearer {tokens['admin']}", "Content-Type": "multipart/form-data; boundary=b"}
    body = f'--b\r\nContent-Disposition: form-data; name="x"; {name}\r\n\r\na\n1\n\r\n--b--\r\n'.encode()
    reply = httpx.post(f"{url}/product/v1/products/weather/checks", content=body, headers=headers, timeout=60)
    assert (reply.status_code, reply.json()["code"]) == (400, "malformed"), reply.text
    assert "Send" in reply.json()["help"] or "Name" in reply.json()["help"]
    assert left(home) == []


def test_a_body_of_nobody_is_not_read(mesh):
    parts = urlsplit(mesh[0])
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(b"POST /product/v1/products HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n{")
        assert status_of(connection) == 401


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("user", "ends", "status"), [("eve", ("token", "revoke"), 401), ("fay", ("team", "remove-member", "meteo"), 403)]
)
def test_what_was_being_sent_is_not_published_once_its_sender_may_not(mesh, user, ends, status):
    """The upload began with every right; that ended before the files were there."""
    url, home, _ = mesh
    cli_json("user", "add", user, "--team", "meteo", home=home)
    token = cli_json("token", "new", user, home=home)
    body = HEAD + b"EWR,3.5\n\r\n--b--\r\n"
    with sending(url, "weather/publications", token["token"], TYPE, f"Content-Length: {len(body)}") as connection:
        connection.sendall(body[:-10])
        until(lambda: left(home))
        cli_json(*ends, token["id"] if status == 401 else user, home=home)
        connection.sendall(body[-10:])
        assert status_of(connection) == status
    assert cli_json("show", "weather", home=home)["publication"] is None
    until(lambda: not left(home))


def test_a_client_that_hangs_up_ends_its_check_and_nobody_waits_for_it(mesh, tmp_path):
    url, home, tokens = mesh
    long = tmp_path / "weather.parquet"
    # Half a megabyte that takes the better part of a minute.
    duckdb.sql(f"COPY (SELECT 'a' AS a FROM range(150000000)) TO '{long}' (FORMAT parquet)")
    head = b'--b\r\nContent-Disposition: form-data; name="x"; filename="weather.parquet"\r\n\r\n'
    body = head + long.read_bytes() + b"\r\n--b--\r\n"
    length = f"Content-Length: {len(body)}"
    with sending(url, "weather/publications", tokens["admin"], TYPE, length) as connection:
        connection.sendall(body)
        until(lambda: checks(home))
        answer = httpx.get(
            f"{url}/product/v1/products", headers={"Authorization": f"Bearer {tokens['ann']}"}, timeout=60
        )
        assert answer.status_code == 200
        assert checks(home)
    until(lambda: not checks(home) and not left(home))
    shown = httpx.get(
        f"{url}/product/v1/products/weather", headers={"Authorization": f"Bearer {tokens['ann']}"}, timeout=60
    )
    assert shown.json()["publication"] is None
