"""The SQL console without a browser: who may run what, how answers come, what no text and no link can do."""

from __future__ import annotations

import http.client
import io
import re
import threading
import time
from urllib.parse import quote, urlencode

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .running import cli_json, make_home, register, up

HOSTILE = '</textarea><script>alert(1)</script>"><img src=x onerror=alert(1)>{{7*7}}'
LITERAL = "'" + HOSTILE + "'"
SLOW = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range * b.range % 7 = 3"
ROW = '<td class="">{}</td>'


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """A mesh with an open and a closed product; gives its URL, and clients signed in by name."""
    home, token = make_home(tmp_path_factory.mktemp("console"))
    tokens = {"admin": token}
    for name in ("olga", "cora"):
        cli_json("user", "add", name, home=home)
        tokens[name] = cli_json("token", "new", name, home=home)["token"]
    cli_json("team", "create", "sky", "--domain", "aviation", "--as", "olga", home=home)
    register(home, "wind", owner="sky")
    register(home, "secret", owner="sky", access="request")
    with up(home) as url:
        for product in ("wind", "secret"):
            files = {"file": (f"{product}.csv", b"id,speed,place\n1,2.5,EWR\n2,,JFK\n")}
            signed = {"Authorization": f"Bearer {tokens['olga']}"}
            done = httpx.post(
                f"{url}/product/v1/products/{product}/publications", files=files, headers=signed, timeout=60
            )
            assert done.status_code == 201, done.text
        clients = {name: visitor(url, token) for name, token in tokens.items()}
        yield url, clients
        for client in clients.values():
            client.close()


def visitor(url: str, token: str | None = None) -> httpx.Client:
    client = httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60)
    if token:
        assert client.post("/sign-in", data={"token": token}).status_code == 303
    return client


@pytest.fixture
def cora(mesh):
    return mesh[1]["cora"]


@pytest.fixture
def olga(mesh):
    return mesh[1]["olga"]


def until(true) -> None:
    """Wait for what comes in a moment, or later on a busy machine."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def run(client: httpx.Client, sql: str, **more: str) -> httpx.Response:
    return client.post("/query/run", data={"sql": sql, **more})


# Who -----------------------------------------------------------------------------------------------------------------


def test_a_stranger_is_asked_to_sign_in_and_keeps_the_statement(mesh):
    url, _ = mesh
    with visitor(url) as stranger:
        asked = stranger.get("/query?sql=SELECT+42")
        assert asked.status_code == 401
        assert 'value="/query?sql=SELECT+42"' in asked.text
        typed = stranger.post("/query/download", data={"sql": "SELECT 42", "format": "csv"})
        assert typed.status_code == 401
        assert 'name="typed.sql" value="SELECT 42"' in typed.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/query/run"),
        ("POST", "/query/cancel"),
        ("GET", "/query/tables"),
        ("GET", "/query/tables/wind"),
        ("GET", "/query/history"),
    ],
)
def test_what_the_page_asks_for_is_refused_as_a_problem_document(mesh, method, path):
    url, _ = mesh
    with visitor(url) as stranger:
        refused = stranger.request(method, path, data={"sql": "SELECT 1"} if method == "POST" else None)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "not_signed_in"


@pytest.mark.parametrize("path", ["/query", "/query/run", "/query/cancel", "/query/download"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_another_sites_page_runs_nothing(cora, path, site):
    before = len(cora.get("/query/history").json()["statements"])
    refused = cora.post(path, data={"sql": "SELECT 'from elsewhere'"}, headers={"Sec-Fetch-Site": site})
    assert refused.status_code == 403
    assert len(cora.get("/query/history").json()["statements"]) == before


def test_a_token_alone_does_not_open_the_pages_and_the_cookie_not_the_api(mesh, cora):
    url, _ = mesh
    assert cora.post("/query/v1/statements", json={"sql": "SELECT 1"}).status_code == 401
    bearer = {"Authorization": "Bearer x", "Sec-Fetch-Site": "same-origin"}
    assert httpx.post(f"{url}/query/run", data={"sql": "SELECT 1"}, headers=bearer, timeout=60).status_code == 401


def test_closed_data_takes_a_grant_here_as_everywhere(cora, olga):
    assert run(olga, "SELECT count(*) FROM secret.secret").json()["rows"] == [[2]]
    for refused in (
        run(cora, "SELECT * FROM secret.secret"),
        cora.post("/query", data={"sql": "SELECT * FROM secret.secret"}),
        cora.post("/query/download", data={"sql": "SELECT * FROM secret.secret", "format": "csv"}),
    ):
        assert refused.status_code == 403
        assert "EWR" not in refused.text


def test_the_tree_shows_what_may_be_read(mesh, cora, olga):
    _, clients = mesh
    assert cora.get("/query/tables").json() == {"products": [["wind", ["wind"]]]}
    assert olga.get("/query/tables").json() == {"products": [["secret", ["secret"]], ["wind", ["wind"]]]}
    assert clients["admin"].get("/query/tables").json() == {"products": [["wind", ["wind"]]]}
    columns = cora.get("/query/tables/wind").json()["tables"]["wind"]
    assert [column[:2] for column in columns] == [["id", "integer"], ["speed", "double"], ["place", "string"]]
    assert cora.get("/query/tables/wnd").json()["code"] == "not_found"


def test_history_is_ones_own_also_for_administrators(mesh, cora):
    _, clients = mesh
    run(cora, "SELECT 'only of cora'")
    run(cora, "SELECT 'only of cora'")
    clients["admin"].get("/product/v1/products/wind/tables/wind/sample")
    mine = [entry["sql"] for entry in cora.get("/query/history").json()["statements"]]
    assert mine.count("SELECT 'only of cora'") == 1
    assert mine[0] == "SELECT 'only of cora'"
    others = clients["admin"].get("/query/history").json()["statements"]
    assert "SELECT 'only of cora'" not in [entry["sql"] for entry in others]


# Running -------------------------------------------------------------------------------------------------------------


def test_an_answer_holds_a_hundred_thousand_rows_and_says_that_there_are_more(cora):
    found = run(cora, "SELECT range AS n FROM range(150000)").json()
    assert (len(found["rows"]), found["row_count"], found["truncated"]) == (100_000, 100_000, True)
    whole = run(cora, "SELECT range AS n FROM range(100000)").json()
    assert (len(whole["rows"]), whole["truncated"]) == (100_000, False)


def test_values_come_as_over_the_api(cora):
    found = run(cora, "SELECT NULL AS a, 9007199254740993 AS b, 'NaN'::DOUBLE AS c, 1.50::DECIMAL(4,2) AS d, '' AS e")
    assert found.json()["rows"] == [[None, "9007199254740993", "NaN", "1.50", ""]]


def test_a_fault_is_told_with_its_place(cora):
    refused = run(cora, "SELECT id,\n  sped\nFROM wind.wind")
    assert refused.status_code == 422
    problem = refused.json()
    assert "sped" in problem["detail"]
    assert problem["help"]
    place = problem["violations"][0]["examples"][0]
    assert (place["line"], place["position"]) == (2, 3)


@pytest.mark.parametrize("sql", ["DROP TABLE wind.wind", "SELECT 1; SELECT 2", "COPY wind.wind TO 'x.csv'", ""])
def test_only_one_reading_statement_runs(cora, sql):
    assert run(cora, sql).status_code == 422


def test_a_running_statement_is_cancelled_by_the_id_that_the_page_chose(cora):
    ended: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: ended.append(run(cora, SLOW, id="chosen-by-the-page")))
    waiting.start()
    until(lambda: cora.post("/query/cancel", data={"id": "chosen-by-the-page"}).status_code == 200)
    waiting.join(60)
    assert (ended[0].status_code, ended[0].json()["code"]) == (409, "conflict")
    entry = next(one for one in cora.get("/query/history").json()["statements"] if one["sql"] == SLOW)
    assert entry["state"] == "cancelled"


def test_nobody_cancels_what_others_run(cora, olga):
    ended: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: ended.append(run(cora, SLOW, id="of-cora")))
    waiting.start()
    assert olga.post("/query/cancel", data={"id": "of-cora"}).status_code == 404
    until(lambda: cora.post("/query/cancel", data={"id": "of-cora"}).status_code == 200)
    waiting.join(60)
    assert ended[0].status_code == 409


def test_hanging_up_ends_the_statement(cora):
    def states():
        entries = cora.get("/query/history").json()["statements"]
        return [one["state"] for one in entries if one["sql"] == SLOW + " -- left"]

    asking = http.client.HTTPConnection(cora.base_url.host, cora.base_url.port, timeout=60)
    typed = urlencode({"sql": SLOW + " -- left", "id": "left"})
    cookies = "; ".join(f"{name}={value}" for name, value in cora.cookies.items())
    kind = "application/x-www-form-urlencoded"
    asking.request(
        "POST", "/query/run", typed, {"Cookie": cookies, "Content-Type": kind, "Sec-Fetch-Site": "same-origin"}
    )
    until(lambda: states() == ["running"])
    asking.close()
    until(lambda: states() != ["running"])
    assert states() == ["cancelled"]


# Downloads -----------------------------------------------------------------------------------------------------------


def download(client: httpx.Client, sql: str, format: str) -> httpx.Response:
    found = client.post("/query/download", data={"sql": sql, "format": format})
    assert found.status_code == 200, found.text
    name = found.headers["content-disposition"]
    assert re.fullmatch(rf'attachment; filename="query-\d{{8}}-\d{{6}}\.{format}"', name)
    return found


def test_downloads_hold_every_row_in_each_format(cora):
    sql = "SELECT range AS n, 'x' || range AS text FROM range(120000)"
    assert download(cora, sql, "csv").text.count("\n") == 120_001
    assert pq.read_table(io.BytesIO(download(cora, sql, "parquet").content)).num_rows == 120_000
    with pa.ipc.open_stream(download(cora, sql, "arrow").content) as stream:
        assert stream.read_all().num_rows == 120_000


def test_a_download_that_is_refused_is_a_page(cora):
    refused = cora.post("/query/download", data={"sql": "SELECT nothing", "format": "csv"})
    assert refused.status_code == 422
    assert "text/html" in refused.headers["content-type"]
    assert "content-disposition" not in refused.headers
    unknown = cora.post("/query/download", data={"sql": "SELECT 1", "format": 'x"\r\nSet-Cookie: a=b'})
    assert unknown.status_code == 400
    assert "set-cookie" not in unknown.headers


# The page ------------------------------------------------------------------------------------------------------------


def test_a_link_fills_the_editor_and_runs_nothing(cora):
    page = cora.get("/query?sql=" + quote("SELECT 'by a link'\nFROM wind.wind"))
    assert "SELECT &#39;by a link&#39;\nFROM wind.wind</textarea>" in page.text
    assert "by a link" not in str(cora.get("/query/history").json())


def test_without_scripts_the_first_rows_are_a_table(cora):
    page = cora.post("/query", data={"sql": "SELECT place, speed\r\nFROM wind.wind ORDER BY id"})
    assert page.status_code == 200
    assert ROW.format("EWR") in page.text
    assert '<td class="null number">NULL</td>' in page.text
    assert "SELECT place, speed\nFROM wind.wind" in page.text
    many = cora.post("/query", data={"sql": "SELECT * FROM range(1000)"})
    assert many.text.count("<td class=") == 100
    assert "The first 100 rows" in many.text
    refused = cora.post("/query", data={"sql": "SELECT nothing"})
    assert refused.status_code == 422
    assert "SELECT nothing</textarea>" in refused.text
    assert "&#34;nothing&#34;" in refused.text


def test_no_value_name_error_or_link_becomes_a_part_of_the_page(cora):
    name = '"' + HOSTILE.replace('"', '""') + '"'
    pages = [
        cora.get("/query?sql=" + quote(HOSTILE)),
        cora.post("/query", data={"sql": f"SELECT {LITERAL} AS {name}"}),
        cora.post("/query", data={"sql": f"SELECT {name}"}),
        cora.post("/query/download", data={"sql": f"SELECT {name}", "format": HOSTILE}),
    ]
    for page in pages:
        assert "&lt;script&gt;" in page.text
        assert "<script>" not in page.text
        assert "<img" not in page.text
        assert page.text.count("</textarea>") == page.text.count("<textarea")
        assert "unsafe" not in page.headers["content-security-policy"]
    rows = run(cora, f"SELECT {LITERAL}")
    assert rows.headers["content-type"] == "application/json"
    assert rows.headers["x-content-type-options"] == "nosniff"


def test_modules_name_each_other_by_the_addresses_that_are_kept(mesh, cora):
    url, _ = mesh
    page = cora.get("/query")
    found = set(re.findall(r'"(/assets/[^"#]+\.js)"', page.text))
    modules = {address for address in found if "/console" in address}
    assert len(modules) >= 5
    for address in modules:
        named = re.findall(r'from "([^"]+)"', httpx.get(url + address, timeout=60).text)
        assert set(named) <= found
