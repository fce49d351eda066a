"""The product page over HTTP: what a stranger, a consumer, an owner and an administrator see of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import duckdb
import httpx
import pytest

from tests.unit.interface.web.test_hostile_text import shape

from .java import needed
from .jdbc import ask
from .running import cli, cli_json, make_home, register, up

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}\u202e مرحبا 😀"
README = "# Wind\n\nOf anemometers.\n\nSee [this](javascript:alert(1)) and [that](https://example.org).\n\n<script>alert(1)</script>\n"
SECRET = "nobody_may_know_this"
PIECES = ("", "/tables", "/tables/t", "/tables/t/profile", "/tables/t/sample", "/history", "/readme")
PARTIAL = {"HX-Request": "true"}


@dataclass
class World:
    """A served home, and a browser for each person."""

    url: str
    home: Path
    tokens: dict[str, str]
    clients: dict[str, httpx.Client]

    def get(self, who: str, path: str, **more) -> httpx.Response:
        return self.clients[who].get(path, **more)

    def page(self, who: str, path: str, **more) -> str:
        found = self.get(who, path, **more)
        assert found.status_code == 200, found.text[:2000]
        return found.text


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("product-page")
    home, root = make_home(folder)
    tokens = {"root": root}
    for name in ("ann", "bob", "eve"):
        cli_json("user", "add", name, home=home)
        tokens[name] = cli_json("token", "new", name, home=home)["token"]
    cli_json("team", "create", "sky", "--domain", "aviation", "--as", "ann", home=home)
    make_products(home, folder)
    with up(home) as url:
        push_readme(url, tokens["ann"], folder / "clone")
        clients = {}
        for name, token in tokens.items():
            clients[name] = httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60)
            assert clients[name].post("/sign-in", data={"token": token}).status_code == 303
        clients["stranger"] = httpx.Client(base_url=url, timeout=60)
        clients["ann"].headers["X-Who"] = "ann"
        asked = {"sql": "select count(*) from wind.t"}
        for name in ("bob", "ann"):
            done = httpx.post(
                f"{url}/query/v1/statements",
                json=asked,
                headers={"Authorization": f"Bearer {tokens[name]}"},
                timeout=60,
            )
            assert done.status_code == 200
        # What was asked is counted behind the answers; who looks into the log waits for it.
        mine = {"Authorization": f"Bearer {tokens['ann']}"}
        assert httpx.get(f"{url}/query/v1/statements", headers=mine, timeout=60).status_code == 200
        yield World(url, home, tokens, clients)
        for client in clients.values():
            client.close()


def make_products(home: Path, folder: Path) -> None:
    columns = [
        {"name": "id", "logicalType": "integer", "required": True, "logicalTypeOptions": {"minimum": 1}},
        {"name": "city", "logicalType": "string", "description": HOSTILE, "classification": "internal"},
    ]
    more = {
        "tags": [HOSTILE],
        "links": {"Runbook": "https://example.org/r", HOSTILE: "https://example.org/?a='<script>"},
    }
    register(home, "gale")
    register(home, "wind", inputs=["gale", "nowhere"], slo={"freshness": "P1D"}, description=HOSTILE, **more)
    table = {"columns": columns, "primaryKey": ["id"], "description": HOSTILE}
    register(home, "wind", inputs=["gale"], slo={"freshness": "P1D"}, description=HOSTILE, tables={"t": table}, **more)
    publish(home, folder, "wind", "t", "id,city\n1,Bern\n2,Bern\n3,\n4,<b>Bonn</b>\n")
    rule = {"metric": "nullValues", "mustBe": 0, "severity": "warning"}
    gauged = [{"name": "id", "logicalType": "integer"}, {"name": "city", "logicalType": "string", "quality": [rule]}]
    register(home, "gauged", slo={"freshness": "PT1S"}, tables={"t": {"columns": gauged}})
    for content in ("id,city\n1,Bern\n", "id,city\n1,Bern\n2,\n3,\n"):
        publish(home, folder, "gauged", "t", content)
    register(home, "vault", access="request", inputs=["wind"])
    publish(home, folder, "vault", "t", f"id,city\n1,{SECRET}\n2,{SECRET}\n3,{SECRET}\n")
    register(home, "empty")
    register(home, "old", deprecated={"successor": "wind", "removal": "2030-01-01"})
    register(home, "gone")
    cli_json("retire", "gone", "--successor", "wind", home=home)
    register(home, "broad", tables={"t": {"columns": {f"c{number}": "integer" for number in range(2_000)}}})
    register(home, "spread", tables={"t": {"columns": {f"c{number}": "integer" for number in range(120)}}})
    header, ones = (",".join(form.format(number) for number in range(120)) for form in ("c{}", "{}"))
    publish(home, folder, "spread", "t", f"{header}\n{ones}\n{ones}\n")
    register(home, "many", tables={f"t{number}": {"columns": {"id": "integer"}} for number in range(500)})
    column = {"name": "a", "logicalType": "string", "description": "wide " * 20_000 + "at last."}
    table = {"columns": [column], "description": "deep " * 20_000 + "at the bottom."}
    register(home, "wordy", description="long " * 20_000 + "at the end.", tables={"t": table})


def publish(home: Path, folder: Path, product: str, table: str, content: str) -> None:
    path = folder / f"{table}.csv"
    path.write_text(content)
    cli_json("publish", product, str(path), home=home)


def push_readme(url: str, token: str, clone: Path) -> None:
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@example.org"]
    where = f"http://ann:{token}@{url.removeprefix('http://')}/git/data.git"
    subprocess.run([*git, "clone", "-q", where, str(clone)], check=True, capture_output=True)
    (clone / "aviation/wind/README.md").write_text(README + "\n\nA paragraph.\n" * 1_000)
    for arguments in (["add", "."], ["commit", "-qm", "README"], ["push", "-q", "origin", "HEAD:refs/for/main"]):
        subprocess.run([*git, "-C", str(clone), *arguments], check=True, capture_output=True)


# Who sees what.


@pytest.mark.parametrize("piece", PIECES)
def test_a_stranger_sees_nothing(world, piece):
    found = world.get("stranger", f"/products/wind{piece}")
    assert found.status_code == 401
    assert "Bern" not in found.text


def test_a_consumer_sees_what_a_product_is_and_how_to_read_it(world):
    page = world.page("bob", "/products/wind")
    for expected in (
        "sky",
        "aviation",
        "/teams/sky",
        "version 1.0.0",
        "fresh",
        "primary key",
        "at least 1",
        "internal",
    ):
        assert expected in page
    assert f"{world.url}/product/v1/products/wind/tables/t/data" in page
    assert 'href="https://example.org/r"' in page
    assert "THINMESH_TOKEN" in page
    assert "/publish" not in page
    assert "Request access" not in page


def test_lines_to_copy_work(world, tmp_path, monkeypatch):
    page = world.page("bob", "/products/wind")
    env = {**os.environ, "THINMESH_TOKEN": world.tokens["bob"], "HOME": str(tmp_path)}
    for way, printed in (("pandas", "print(len(df))"), ("python", "print(len(df))")):
        lines = unescape(re.search(rf'id="lines-{way}">(.*?)</code>', page, re.DOTALL)[1])
        done = subprocess.run(
            [sys.executable, "-c", f"{lines}\n{printed}"],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "4\n", done.stderr
    lines = unescape(re.search(r'id="lines-sql">(.*?)</code>', page)[1])
    assert cli_json("query", lines, home=world.home)["row_count"] == 4
    assert shutil.which("curl"), "curl is not installed: its line cannot be run"
    lines = unescape(re.search(r'id="lines-curl">(.*?)</code>', page)[1])
    subprocess.run(["bash", "-c", lines], env=env, cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "t.csv").read_text().splitlines()[0] == "id,city"
    # DuckDB's command line is its library with a prompt.
    fetch, read = unescape(re.search(r'id="lines-duckdb">(.*?)</code>', page, re.DOTALL)[1]).splitlines()
    subprocess.run(["bash", "-c", fetch], env=env, cwd=tmp_path, capture_output=True, check=True)
    command, option, statement = shlex.split(read)
    assert (command, option) == ("duckdb", "-c")
    monkeypatch.chdir(tmp_path)
    assert len(duckdb.sql(statement).fetchall()) == 4


@pytest.mark.parametrize(
    ("kind", "file", "says"),
    [
        ("product", "product.json", '"domain": "aviation"'),
        ("odcs", "wind.odcs.yaml", "kind: DataContract"),
        ("odps", "wind.odps.yaml", "kind: DataProduct"),
    ],
)
def test_a_product_is_given_as_a_file(world, kind, file, says):
    assert f'href="/products/wind/documents/{kind}"' in world.page("bob", "/products/wind")
    found = world.get("bob", f"/products/wind/documents/{kind}")
    assert found.headers["content-disposition"] == f'attachment; filename="{file}"'
    assert says in found.text
    assert world.get("stranger", f"/products/wind/documents/{kind}").status_code == 401


def test_the_file_of_a_product_is_what_the_api_gives(world):
    headers = {"Authorization": f"Bearer {world.tokens['bob']}"}
    for kind, address in (("odcs", "contract"), ("odps", "odps")):
        api = httpx.get(f"{world.url}/product/v1/products/wind/{address}", headers=headers, timeout=60)
        assert world.get("bob", f"/products/wind/documents/{kind}").content == api.content
    assert world.get("bob", "/products/wind/documents/other").status_code == 404
    assert world.get("bob", "/products/gone/documents/odps").status_code == 410


def jdbc_lines(world) -> str:
    page = world.page("bob", "/products/wind")
    return unescape(re.search(r'id="lines-jdbc">(.*?)</code>', page, re.DOTALL)[1])


def test_the_token_of_the_lines_for_jdbc_goes_to_this_server_alone(world):
    lines = jdbc_lines(world)
    secret, select = (statement.query for statement in duckdb.extract_statements(lines))
    assert f"scope '{world.url}/'" in secret
    # What the driver asks for, as it asks: first how long it is, then the end of it, then the rest.
    url = re.search(r"read_parquet\('([^']*)'\)", select)[1]
    with httpx.Client(headers={"Authorization": f"Bearer {world.tokens['bob']}"}, timeout=60) as client:
        assert client.head(url).status_code == 200
        assert client.get(url, headers={"Range": "bytes=0-3"}).content[:4] == b"PAR1"


@pytest.mark.heavy
def test_the_lines_for_jdbc_work(world, tmp_path):
    with needed("The lines for JDBC"):
        found = ask(jdbc_lines(world).replace("YOUR_TOKEN", world.tokens["bob"]), tmp_path)
    assert len(found) == 4


def test_what_columns_hold_comes_when_it_is_looked_at(world):
    page = world.page("bob", "/products/wind")
    assert "Bonn" not in page
    assert 'hx-get="/products/wind/tables/t/profile"' in page
    piece = world.page("bob", "/products/wind/tables/t/profile", headers=PARTIAL)
    assert "<rect" in piece
    assert "<bdi>Bern</bdi><span>&nbsp;67 %</span>" in piece
    assert "25 % empty" in piece
    assert "<html" not in piece


def test_a_sample_is_rows(world):
    piece = world.page("bob", "/products/wind/tables/t/sample", headers=PARTIAL)
    assert piece.count("<tr>") == 5
    assert "&lt;b&gt;Bonn&lt;/b&gt;" in piece


@pytest.mark.parametrize("piece", PIECES[1:])
def test_without_scripts_each_piece_is_a_page(world, piece):
    page = world.page("bob", f"/products/wind{piece}")
    assert "<html" in page
    assert 'href="/products/wind"' in page


def test_closed_data_shows_to_nobody_without_a_grant(world):
    assert SECRET in world.page("ann", "/products/vault/tables/t/profile", headers=PARTIAL)
    for who in ("bob", "root"):
        page = world.page(who, "/products/vault")
        assert 'href="/requests/new?product=vault"' in page
        assert "3 rows" not in page
        assert "/tables/t/profile" not in page
        assert "/tables/t/sample" not in page
        for piece in ("/tables/t/profile", "/tables/t/sample"):
            assert world.get(who, f"/products/vault{piece}", headers=PARTIAL).status_code == 403
        for piece in PIECES:
            assert SECRET not in world.get(who, f"/products/vault{piece}").text


def test_a_grant_opens_a_closed_product(world):
    assert "Request access" in world.page("eve", "/products/vault")
    asked = cli_json("request", "vault", "--purpose", "a look", "--as", "eve", home=world.home)
    cli_json("approve", asked["id"], "--as", "ann", home=world.home)
    assert "3 rows" in world.page("eve", "/products/vault")
    assert SECRET in world.page("eve", "/products/vault/tables/t/sample", headers=PARTIAL)


def part(page: str, name: str) -> str:
    """Give the section of a page that has this heading."""
    return re.search(rf'<section [^>]*aria-labelledby="{name}".*?</section>', page, re.DOTALL)[0]


def test_freshness_is_held_against_what_was_promised(world):
    page = world.page("bob", "/products/wind")
    assert '<span class="tag good">fresh</span>' in page
    assert "new data every" in part(page, "fresh")
    page = world.page("bob", "/products/gauged")
    assert '<span class="tag bad">late</span>' in page
    assert "Was due" in part(page, "fresh")


def test_the_quality_of_the_last_publications_is_told(world):
    fresh = part(world.page("bob", "/products/gauged"), "fresh")
    assert re.findall(r"(p\d: [^<]+)</span>", fresh) == ["p1: no findings", "p2: 1 finding"]
    assert "<code>t.city</code>" in fresh
    assert "nullValues is 2, and must be 0" in fresh


def test_the_place_of_the_data_is_told(world):
    place = part(world.page("bob", "/products/wind"), "place")
    assert "<dt>Git</dt><dd><code>aviation/wind</code></dd>" in place
    assert "every signed-in colleague" in place


def test_what_a_pushed_readme_says_is_found_at_once(world):
    headers = {"Authorization": f"Bearer {world.tokens['bob']}"}
    found = httpx.get(f"{world.url}/product/v1/search", params={"q": "anemometers"}, headers=headers, timeout=60).json()
    assert [each["name"] for each in found["items"]] == ["wind"]


def test_who_reads_it_is_named_to_owners_and_administrators(world):
    for who, named in (("ann", True), ("root", True), ("bob", False)):
        page = world.page(who, "/products/wind")
        usage = page[page.index('id="usage"') : page.index('id="place"')]
        assert re.search(r"<strong>\d+</strong> statements by <strong>\d</strong> people", usage)
        assert ("<span>bob</span>" in usage) == named


def test_owners_are_told_how_to_change_it_and_others_whom_to_ask(world):
    assert "thinmesh register product.json" in world.page("ann", "/products/wind")
    page = world.page("bob", "/products/wind")
    assert "thinmesh register product.json" not in page
    assert "Ask a member" in page


# What there may be.


def test_an_empty_product_tells_its_owners_the_command(world):
    page = world.page("ann", "/products/empty")
    assert "thinmesh publish empty empty.csv" in page
    assert 'href="/products/empty/publish"' in page
    assert "thinmesh publish" not in world.page("bob", "/products/empty")


def test_a_deprecated_product_names_its_successor(world):
    page = world.page("bob", "/products/old")
    assert "old is deprecated" in page
    assert '<a href="/products/wind">wind</a>' in page
    assert "2030-01-01" in page


def test_a_retired_product_is_a_page_of_its_own(world):
    found = world.get("bob", "/products/gone")
    assert found.status_code == 410
    assert 'href="/products/wind"' in found.text
    assert "Registered" in found.text
    assert "Retired" in world.page("bob", "/products/gone/history")


def test_lineage_is_drawn_and_listed(world):
    page = world.page("bob", "/products/wind")
    lineage = page[page.index('id="lineage"') : page.index('id="history"')]
    assert lineage.count("<rect") == 3
    assert lineage.count('href="/products/gale"') == 2
    assert lineage.count('href="/products/vault"') == 2
    assert "Made from" in lineage


def test_the_history_tells_what_changed(world):
    page = world.page("bob", "/products/wind")
    history = page[page.index('id="history"') :]
    assert "the table t is new" in history
    assert "the input nowhere is dropped" in history
    assert "the README is another one" in history


def test_an_earlier_history_is_a_step_away(world):
    for number in range(10):
        register(world.home, "gale", tags=[f"t{number}"])
    page = world.page("bob", "/products/gale")
    address = unescape(re.search(r'href="(/products/gale/history\?cursor=[^"]+)"', page)[1])
    assert "Registered" not in page[page.index('id="history"') : page.index("<aside")]
    assert "Registered" in world.page("bob", address, headers=PARTIAL)


def test_a_long_readme_begins_and_goes_on(world):
    page = world.page("bob", "/products/wind")
    assert "<h3>Wind</h3>" in page
    assert "javascript:" not in "".join(shape(page).links)
    assert page.count("A paragraph.") < 600
    assert world.page("bob", "/products/wind/readme", headers=PARTIAL).count("A paragraph.") == 1_000


def test_no_text_becomes_markup(world):
    for path in ("/products/wind", "/products/wind/history", "/products/wind/tables/t"):
        found = shape(world.page("bob", path))
        assert {tag for tag, _ in found.tags} & {"img", "iframe", "style", "object"} == set()
        assert [names for tag, names in found.tags if tag == "script" and "src" not in names] == []
        assert not [name for _, names in found.tags for name in names if name.startswith("on") or name == "style"]
        assert all(link.startswith(("/", "https:", "http:", "mailto:", "#")) for link in found.links)
    assert 'href="javascript' not in world.page("bob", "/products/wind")


def test_thousands_of_columns_come_a_hundred_at_once(world):
    page = world.page("bob", "/products/broad")
    assert page.count('<th scope="row">') == 100
    assert "Show all 2,000 columns" in page
    assert len(page) < 100_000
    every = world.page("bob", "/products/broad/tables/t?columns=all", headers=PARTIAL)
    assert every.count('<th scope="row">') == 2_000


def test_the_columns_that_are_shown_are_measured(world):
    place = "/products/spread/tables/t"
    assert f'hx-get="{place}/profile"' in world.page("bob", place.removesuffix("/tables/t"))
    assert world.page("bob", f"{place}/profile", headers=PARTIAL).count("always") == 100
    assert f'hx-get="{place}/profile?columns=all"' in world.page("bob", f"{place}?columns=all", headers=PARTIAL)
    every = world.page("bob", f"{place}/profile?columns=all", headers=PARTIAL)
    assert (every.count("always"), "could not be measured" in every) == (120, False)


def test_hundreds_of_tables_are_named_thirty_at_once_and_opened_one_by_one(world):
    page = world.page("bob", "/products/many")
    assert page.count('id="table-') == 30
    assert page.count('id="columns-') == 3
    assert "Show 470 more tables" in page
    assert world.page("bob", "/products/many/tables", headers=PARTIAL).count('id="table-') == 470
    assert world.page("bob", "/products/many?tables=all").count('id="table-') == 500
    assert '<th scope="row">' in world.page("bob", "/products/many/tables/t400", headers=PARTIAL)


def test_a_product_without_tables_and_one_with_long_descriptions_are_pages(world):
    assert "None is declared" in world.page("bob", "/products/empty")
    page = world.page("bob", "/products/wordy")
    assert page.count("Show all of it") == 3
    for end in ("at the end.", "at the bottom.", "at last."):
        assert f"{end}</p></details>" in page


def test_what_is_not_there_is_not_found(world):
    for path in ("/products/wind/tables/nothing", "/products/nothing/tables/t", "/products/wind/tables/nothing/sample"):
        assert world.get("bob", path).status_code == 404


def test_the_lines_are_for_the_table_that_was_chosen(world):
    page = world.page("bob", "/products/wind?table=t")
    assert "select * from wind.t limit 10" in page
    assert "select * from wind.t limit 10" in world.page("bob", "/products/wind?table=<b>")


def test_a_strange_host_gets_into_no_line(world):
    page = world.get("bob", "/products/wind", headers={"Host": "a;rm -rf"})
    assert "rm -rf" not in page.text


def test_a_first_visit_is_light(world):
    page = world.get("bob", "/products/wind")
    weight = int(page.headers["content-length"])
    for address in {link for link in shape(page.text).links if link.startswith("/assets/")}:
        weight += int(world.get("bob", address.partition("#")[0]).headers["content-length"])
    assert weight < 150_000


def test_the_api_tells_the_same(world):
    headers = {"Authorization": f"Bearer {world.tokens['bob']}"}
    shown = httpx.get(f"{world.url}/product/v1/products/wind", headers=headers, timeout=60).json()
    assert shown["lineage"] == {"inputs": ["gale"], "outputs": ["vault"]}
    assert shown["readme"].startswith("# Wind")
    assert shown["may"] == {"read": True, "change": False, "publish": False}
    assert json.loads(cli("show", "wind", "--json", home=world.home).stdout)["may"]["change"]
