"""Files in, answers out: whole or broken off, never a part taken for the whole; memory flat."""

import http.client
import io
import json
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.running import cli_json, make_home, register, up

SLOW = "select count(*) from range(100000) a, range(100000) b where a.range * b.range % 7 = 3"
LONG = "select range, 'x' || range as text from range(50000000)"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    home, token = make_home(tmp_path_factory.mktemp("data"))
    cli_json("team", "create", "meteo", "--domain", "aviation", home=home)
    register(home, "weather")
    headers = {"Authorization": f"Bearer {token}"}
    with up(home) as url, httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        yield client, home, token


@pytest.fixture
def client(mesh):
    return mesh[0]


def until(condition):
    end = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    return found


def state_of(client, id):
    reply = client.get(f"/query/v1/statements/{id}")
    return reply.json()["state"] if reply.status_code == 200 else None


# In ---------------------------------------------------------------------------------------------------------------


def test_files_are_published_under_the_names_of_their_parts(client, mesh):
    files = [
        ("file", ("weather.csv", b"origin,temp\nEWR,3.5\n")),
        ("anything", ("stations/a.csv", b"id\n1\n")),
        ("anything", ("stations/b.csv", b"id\n2\n")),
    ]
    reply = client.post("/product/v1/products/weather/publications", files=files)
    assert reply.status_code == 201, reply.text
    assert {name: load["rows"] for name, load in reply.json()["tables"].items()} == {"weather": 1, "stations": 2}
    assert reply.json()["notes"] == [
        "weather: origin string, temp double",
        "stations: id integer",
        "the columns of weather are inferred; to make them its contract: thinmesh accept weather",
    ]
    assert client.post("/product/v1/products/weather/publications", files=files).status_code == 200
    assert [path for path in (mesh[1] / "run").iterdir() if path.name.startswith("upload-")] == []


def test_faults_of_the_data_are_the_verdict_of_a_check_and_the_refusal_of_a_publication(client):
    contract = {"weather": {"columns": [{"name": "origin"}, {"name": "temp", "logicalType": "number"}]}}
    client.post(
        "/product/v1/products", json={"name": "strict", "domain": "aviation", "description": "x", "tables": contract}
    )
    files = {"file": ("weather.csv", b"origin,temp\nEWR,3.5\nJFK,warm\n")}
    verdict = client.post("/product/v1/products/strict/checks", files=files)
    assert (verdict.status_code, verdict.json()["ok"]) == (200, False)
    refusal = client.post("/product/v1/products/strict/publications", files=files)
    assert refusal.status_code == 422
    assert refusal.json()["violations"] == verdict.json()["violations"]
    [violation] = refusal.json()["violations"]
    assert (violation["count"], violation["examples"][0]["line"]) == (1, 3)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nno file name\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="x"; filename="a.csv"\r\n\r\nno end',
        b'--b\r\nContent-Disposition: form-data; name="x"; filename="a\x01.csv"\r\n\r\na\r\n--b--\r\n',
        b"nonsense",
        b"--b\r\n" + b"X: " + b"y" * 20_000,
    ],
)
def test_a_multipart_body_that_is_none_is_refused(client, body):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = client.post("/product/v1/products/weather/publications", content=body, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (400, "malformed"), reply.text


def test_an_upload_that_ends_early_changes_nothing_and_leaves_nothing(client, mesh):
    before = client.get("/product/v1/products/weather").json()["publication"]
    parts = urlsplit(str(client.base_url))
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    connection.putrequest("POST", "/product/v1/products/weather/publications")
    connection.putheader("Authorization", f"Bearer {mesh[2]}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", "1000000")
    head = b'--b\r\nContent-Disposition: form-data; name="x"; filename="weather.csv"\r\n\r\n'
    connection.endheaders(head + b"origin,temp\n")
    until(lambda: [path for path in (mesh[1] / "run").iterdir() if path.name.startswith("upload-")])
    connection.close()
    until(lambda: not [path for path in (mesh[1] / "run").iterdir() if path.name.startswith("upload-")])
    assert client.get("/product/v1/products/weather").json()["publication"] == before


# Out --------------------------------------------------------------------------------------------------------------

SQL = "select * from (values (1, 'a', 2.5), (null, '', null)) t(n, s, x)"


def test_an_answer_comes_in_the_format_that_was_asked_for(client):
    def ask(kind):
        return client.post("/query/v1/statements", json={"sql": SQL}, headers={"Accept": kind})

    found = ask("application/json")
    assert found.headers["thinmesh-statement"] == found.json()["statement"]
    assert [column["name"] for column in found.json()["columns"]] == ["n", "s", "x"]
    assert (found.json()["row_count"], found.json()["truncated"]) == (2, False)
    assert ask("text/csv").text == 'n,s,x\n1,a,2.5\n,"",\n'
    arrow = pa.ipc.open_stream(ask("application/vnd.apache.arrow.stream").content).read_all()
    assert arrow.column("s").to_pylist() == ["a", ""]
    parquet = pq.read_table(io.BytesIO(ask("application/vnd.apache.parquet").content))
    assert parquet.column("n").to_pylist() == [1, None]


@pytest.mark.parametrize("format", ["arrow.stream", "parquet"])
def test_a_long_answer_comes_whole_and_the_connection_serves_on(client, mesh, format):
    parts = urlsplit(str(client.base_url))
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    accept = f"application/vnd.apache.{format}"
    headers = {"Authorization": f"Bearer {mesh[2]}", "Content-Type": "application/json", "Accept": accept}
    sql = "select range as n, 'text ' || range as t, range % 7 = 0 as b from range(700000)"
    wanted = pa.array(range(700_000))
    for number in range(3):
        body = {"sql": sql, "id": f"long-{format}-{number}"}
        connection.request("POST", "/query/v1/statements", json.dumps(body), headers)
        whole = connection.getresponse().read()
        read = pa.ipc.open_stream(whole).read_all() if format == "arrow.stream" else pq.read_table(io.BytesIO(whole))
        assert read.column("n").combine_chunks() == wanted
        assert read.column("t")[699_999].as_py() == "text 699999"
        entry = client.get(f"/query/v1/statements/{body['id']}").json()
        assert (entry["state"], entry["rows"], entry["bytes"]) == ("done", 700_000, len(whole))
    connection.close()


def test_json_stops_at_10000_rows_and_says_so(client):
    found = client.post("/query/v1/statements", json={"sql": "select * from range(10001)"}).json()
    assert (len(found["rows"]), found["row_count"], found["truncated"]) == (10_000, 10_000, True)
    found = client.post("/query/v1/statements", json={"sql": "select * from range(10001)", "limit": 10_001}).json()
    assert (found["row_count"], found["truncated"]) == (10_001, False)


def test_an_error_before_the_first_row_is_a_problem(client):
    for sql, status in (("selec 1", 422), ("select * from nothing.x", 404), ("drop table x", 422)):
        reply = client.post("/query/v1/statements", json={"sql": sql}, headers={"Accept": "text/csv"})
        assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json"), reply.text


@pytest.mark.parametrize("kind", ["text/csv", "application/vnd.apache.arrow.stream"])
def test_an_answer_that_fails_midway_is_cut_off_so_that_nobody_takes_it_for_whole(client, mesh, kind):
    sql = "select case when range > 20000000 then error('late') else range end as n from range(30000000)"
    log = mesh[1] / "run" / "stderr.log"
    told = log.stat().st_size
    asking = client.stream("POST", "/query/v1/statements", json={"sql": sql}, headers={"Accept": kind})
    with asking as reply, pytest.raises(httpx.RemoteProtocolError):
        deque(reply.iter_raw(), maxlen=0)
    assert reply.status_code == 200
    # Others say something there, too, and it is told in its own time.
    until(lambda: b'"answer broken off"' in log.read_bytes()[told:])


@pytest.mark.parametrize(("sql", "status"), [("selec", 422), ("select * from nothing.here", 404)])
def test_a_statement_that_fails_tells_its_id_too(client, sql, status):
    reply = client.post("/query/v1/statements", json={"sql": sql})
    assert reply.status_code == status
    until(lambda: state_of(client, reply.headers["thinmesh-statement"]) == "failed")


def test_a_statement_is_cancelled_by_its_id(client):
    import threading

    replies = []
    body = {"sql": SLOW, "id": "slow-1"}
    asking = threading.Thread(target=lambda: replies.append(client.post("/query/v1/statements", json=body)))
    asking.start()
    until(lambda: state_of(client, "slow-1") == "running")
    assert client.delete("/query/v1/statements/slow-1").status_code == 200
    asking.join(60)
    assert replies[0].status_code >= 400
    until(lambda: state_of(client, "slow-1") == "cancelled")


@pytest.mark.parametrize(("id", "sql"), [("gone-1", SLOW), ("gone-2", LONG)])
def test_a_client_that_hangs_up_ends_its_statement(client, mesh, id, sql):
    parts = urlsplit(str(client.base_url))
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    headers = {"Authorization": f"Bearer {mesh[2]}", "Content-Type": "application/json", "Accept": "text/csv"}
    connection.request("POST", "/query/v1/statements", json.dumps({"sql": sql, "id": id}), headers)
    until(lambda: state_of(client, id) == "running")
    connection.close()
    until(lambda: state_of(client, id) in ("cancelled", "failed"))


# Git --------------------------------------------------------------------------------------------------------------


def test_git_answers_many_at_once_and_logs_no_failure(client, mesh):
    """Git often ends before the request's empty body is handed on; that is no failure."""
    address = f"{client.base_url}/git/data.git/info/refs?service=git-upload-pack"

    def ask(_):
        return httpx.get(address, auth=("x", mesh[2]), timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(100))) == {200}
    assert "request failed" not in (mesh[1] / "run" / "stderr.log").read_text()
