"""From a CSV in the browser to a product: what is shown, what is registered, and what is kept out."""

from __future__ import annotations

import json
import re
import time

import pytest

from .running import cli_json, make_home, register, up
from .test_pages import leave, visitor

CSV = b"Id,Wind Speed,note\n1,2.5,a\n2,3.5,\n"
HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    home, _ = make_home(tmp_path_factory.mktemp("handing_in"))
    for user in ("olga", "carl"):
        cli_json("user", "add", user, home=home)
    cli_json("team", "create", "sky", "--domain", "aviation", "--as", "olga", home=home)
    register(home, "owned", owner="sky")
    tokens = {user: cli_json("token", "new", user, home=home)["token"] for user in ("olga", "carl")}
    reader = cli_json("token", "new", "olga", "--scope", "read", home=home)["token"]
    with up(home) as url:
        clients = {user: visitor(url, token) for user, token in {**tokens, "reader": reader}.items()}
        yield clients, home
        leave()


def inspected(client, name: str = "My Wind (2).csv", content: bytes = CSV):
    return client.post("/new/inspect", files={"file": (name, content)}, headers={"HX-Request": "true"})


def hidden(page: str) -> dict[str, str]:
    """Give the fields of the found tables as a browser sends them."""
    from html import unescape

    inputs = re.findall(r"<input ([^>]*)>", page)
    fields = [dict(re.findall(r'([a-z]+)="([^"]*)"', each)) for each in inputs]
    return {unescape(each["name"]): unescape(each.get("value", "")) for each in fields if "name" in each}


def test_a_dropped_csv_shows_its_tables_and_becomes_a_product(mesh):
    clients, home = mesh
    found = inspected(clients["olga"])
    assert found.status_code == 200
    fields = hidden(found.text)
    assert fields["table.0.was"] == "my_wind_2"
    assert "Wind Speed" in found.text
    fields |= {"table.0.name": "wind", "table.0.description": "One row per hour", "table.0.1.description": "m/s"}
    fields |= {"name": "winds", "domain": "aviation", "description": "Wind of everywhere", "owner": "sky"}
    done = clients["olga"].post("/new", data=fields, files={"file": ("My Wind (2).csv", CSV)})
    assert (done.status_code, done.headers.get("location")) == (303, "/products/winds")
    shown = cli_json("show", "winds", home=home)
    table = shown["product"]["tables"]["wind"]
    assert table["description"] == "One row per hour"
    assert [column["name"] for column in table["columns"]] == ["id", "wind_speed", "note"]
    assert table["columns"][1]["description"] == "m/s"
    assert table["inferred"] is False
    rows = cli_json("query", "select id, wind_speed from winds.wind order by 1", home=home, code=0)["rows"]
    assert rows == [[1, 2.5], [2, 3.5]]


def test_a_file_of_which_nothing_is_said_stays_inferred(mesh):
    clients, home = mesh
    fields = hidden(inspected(clients["olga"], "plain.csv").text)
    fields |= {"name": "plain", "domain": "aviation", "description": "Plain", "owner": "sky"}
    assert clients["olga"].post("/new", data=fields, files={"file": ("plain.csv", CSV)}).status_code == 303
    assert cli_json("show", "plain", home=home)["product"]["tables"]["plain"]["inferred"] is True


def test_without_a_script_the_form_alone_makes_a_product(mesh):
    clients, home = mesh
    fields = {"name": "bare", "domain": "aviation", "description": "Bare", "owner": "sky", "access": "request"}
    assert clients["olga"].post("/new", data=fields, files={"file": ("bare.csv", CSV)}).status_code == 303
    assert cli_json("show", "bare", home=home)["product"]["access"] == "request"


@pytest.mark.parametrize("content", [CSV, b"", b"x" * (1 << 20)])
def test_what_was_typed_beside_a_file_survives_the_end_of_a_session(mesh, content):
    clients, home = mesh
    token = cli_json("token", "new", "olga", home=home)["token"]
    name = f"late_{len(content)}"
    stranger = visitor(str(clients["olga"].base_url))
    fields = {"name": name, "domain": "aviation", "description": "Two\nlines <b>", "owner": "sky", "access": "request"}
    asked = stranger.post("/new", data=fields, files={"file": ("late.csv" if content else "", content)})
    assert asked.status_code == 401
    kept = {key: value.replace("&lt;", "<").replace("&gt;", ">") for key, value in hidden(asked.text).items()}
    assert {key.removeprefix("typed."): value for key, value in kept.items() if key.startswith("typed.")} == fields
    resumed = stranger.post("/sign-in", data={**kept, "token": token})
    assert 'action="/new" enctype="multipart/form-data"' in resumed.text
    assert 'type="file"' in resumed.text
    assert re.findall(r'name="(\w+)" (?:rows|value)', resumed.text)[-5:] == list(fields)
    assert stranger.post("/new", data=fields, files={"file": ("late.csv", CSV)}).status_code == 303
    assert cli_json("show", name, home=home)["product"]["access"] == "request"


@pytest.mark.parametrize(("typed", "kept"), [("Two lines", True), ("x" * (300 << 10), False)], ids=["few", "much"])
def test_who_is_signed_in_no_more_once_the_files_are_there_keeps_what_was_typed(mesh, typed, kept):
    clients, home = mesh
    token = cli_json("token", "new", "olga", home=home)
    client = visitor(str(clients["olga"].base_url), token["token"])
    fields = {"new": "yes", "note": typed}
    named = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n'.format
    first = "".join(f"{named(name)}{text}\r\n" for name, text in fields.items())
    first += named('file"; filename="late.csv') + "id\n1\n"
    last = "2\r\n--b--\r\n"

    def sent():
        yield first.encode()
        until = time.monotonic() + 60
        while not list((home / "run").glob("upload-*")):
            assert time.monotonic() < until, "the upload was not let in"
            time.sleep(0.01)
        cli_json("token", "revoke", token["id"], home=home)
        yield last.encode()

    kind = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(len(first + last))}
    asked = client.post("/products/owned/publish", content=sent(), headers=kind)
    assert asked.status_code == 401
    assert "The token was revoked." in asked.text
    assert "takes_files" in hidden(asked.text)
    found = {name.removeprefix("typed."): text for name, text in hidden(asked.text).items() if "typed." in name}
    assert found == (fields if kept else {})
    assert "late" not in cli_json("show", "owned", home=home)["product"]["tables"]


def test_a_stranger_who_sends_much_is_asked_to_sign_in_and_fills_no_memory(mesh):
    clients, _ = mesh
    stranger = visitor(str(clients["olga"].base_url))
    for typed, file in (("x" * (300 << 10), CSV), ("x", b"1\n" * (9 << 20))):
        asked = stranger.post("/new", data={"description": typed}, files={"file": ("a.csv", file)})
        assert asked.status_code == 401
        assert "typed.description" not in asked.text


def test_a_form_of_tens_of_thousands_of_parts_is_refused(mesh):
    clients, _ = mesh
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    body = b"--b\r\n\r\n\r\n" * 20_000 + b"--b--\r\n"
    assert clients["olga"].post("/new", content=body, headers=kind).status_code == 413


def test_the_form_of_a_new_product_changes_none_that_is_there(mesh):
    clients, home = mesh
    fields = {"name": "shut", "domain": "aviation", "description": "Shut", "owner": "sky", "access": "request"}
    assert clients["olga"].post("/new", data=fields, files={"file": ("shut.csv", CSV)}).status_code == 303
    before = cli_json("show", "shut", home=home)["product"]
    again = clients["olga"].post("/new", data={**fields, "access": "open"}, files={"file": ("shut.csv", b"a\n1\n")})
    assert again.status_code == 409
    assert "There is a product shut already." in again.text
    assert cli_json("show", "shut", home=home)["product"] == before


def test_many_names_of_texts_fill_no_memory(mesh):
    clients, _ = mesh
    part = b'--b\r\nContent-Disposition: form-data; name="%08d' + b"x" * 3000 + b'"\r\n\r\n\r\n'
    body = b"".join(part % number for number in range(1500)) + b"--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert clients["olga"].post("/new/inspect", content=body, headers=kind).status_code == 413


@pytest.mark.parametrize(
    ("typed", "files", "told"),
    [
        ({}, {"file": ("t.csv", CSV)}, "name"),
        ({"name": "Bad Name", "domain": "aviation", "description": "x"}, {"file": ("t.csv", CSV)}, "Bad Name"),
        ({"name": "other", "domain": "aviation", "description": "x"}, {"file": ("t.txt", b"x")}, "t.txt"),
        ({"name": "other", "domain": "aviation", "description": "x", "table.0": "{"}, {"file": ("t.csv", CSV)}, "form"),
        (
            {"name": "other", "domain": "aviation", "description": "x", "table.0": "[" * 9999},
            {"file": ("t.csv", CSV)},
            "",
        ),
        ({"name": "other", "domain": "aviation", "description": "x"}, {"file": ("", b"")}, "file"),
    ],
)
def test_what_is_wrong_is_said_beside_what_was_typed(mesh, typed, files, told):
    clients, _ = mesh
    refused = clients["olga"].post("/new", data=typed, files=files)
    assert refused.status_code in {400, 422}, refused.text
    assert told in refused.text
    assert clients["olga"].get("/products/other").status_code == 404
    for value in typed.values():
        if "<" not in value and len(value) < 20 and value not in {"x", "{"}:
            assert value in refused.text


@pytest.mark.parametrize("partial", [{}, {"HX-Request": "true"}])
def test_a_fault_is_told_by_the_field_that_it_is_in(mesh, partial):
    clients, _ = mesh
    fields = hidden(inspected(clients["olga"], "wind.csv").text)
    fields |= {"name": "Bad", "domain": "aviation", "description": "x", "table.0.1.name": "Wind Speed!"}
    refused = clients["olga"].post("/new", data=fields, files={"file": ("wind.csv", CSV)}, headers=partial)
    assert "Name: product name &#39;Bad&#39; must be small letters" in refused.text
    assert "Table wind, column 2: column name &#39;Wind Speed!&#39; must be" in refused.text
    assert ": write wind_speed" in refused.text
    assert "product.json" not in refused.text
    assert "tables." not in refused.text.split("<form")[0]


def test_a_file_that_cannot_be_read_says_where(mesh):
    clients, _ = mesh
    found = inspected(clients["olga"], "t.csv", b"a,b\n1,2\n3\n")
    assert found.status_code == 200
    assert "line" in found.text
    assert 'role="alert"' in found.text


def test_no_header_or_value_becomes_a_part_of_the_page(mesh):
    clients, _ = mesh
    content = f'"{HOSTILE.replace(chr(34), chr(34) * 2)}",b\n1,2\n'.encode()
    found = inspected(clients["olga"], f"{HOSTILE}.csv", content)
    assert "<img" not in found.text


def test_new_data_replaces_or_is_added(mesh):
    clients, home = mesh
    send = clients["olga"]
    for mode, rows in (("replace", 2), ("append", 3)):
        content = CSV if mode == "replace" else b"Id,Wind Speed,note\n3,1.0,c\n"
        done = send.post("/products/owned/publish", data={"mode": mode}, files={"file": ("t.csv", content)})
        assert done.status_code == 303, done.text
        assert cli_json("query", "select count(*) from owned.t", home=home)["rows"] == [[rows]]


def test_data_that_is_there_already_is_said_to_be(mesh):
    clients, home = mesh
    send = clients["olga"]
    register(home, "same", owner="sky")
    assert send.post("/products/same/publish", files={"file": ("t.csv", CSV)}).status_code == 303
    for headers in ({}, {"HX-Request": "true"}):
        again = send.post("/products/same/publish", files={"file": ("t.csv", CSV)}, headers=headers)
        assert again.status_code == 200
        assert "Nothing was published: p1 has this data already." in again.text
    assert cli_json("show", "same", home=home)["publication"] == "p1"


def test_a_file_with_a_strange_name_makes_a_table_only_where_that_is_said(mesh):
    clients, home = mesh
    send = clients["olga"]
    register(home, "named", owner="sky")
    assert send.post("/products/named/publish", files={"file": ("t.csv", CSV)}).status_code == 303
    refused = send.post("/products/named/publish", files={"file": ("t (1).csv", CSV)})
    assert refused.status_code == 422
    assert "t_1 is no table of named" in refused.text
    assert list(cli_json("show", "named", home=home)["product"]["tables"]) == ["t"]
    done = send.post("/products/named/publish", data={"new": "1"}, files={"file": ("more.csv", CSV)})
    assert done.status_code == 303
    assert sorted(cli_json("show", "named", home=home)["product"]["tables"]) == ["more", "t"]


def test_who_may_not_publish_hands_nothing_in(mesh):
    clients, _ = mesh
    assert clients["carl"].get("/products/owned/publish").status_code == 403
    files = {"file": ("t.csv", CSV)}
    assert clients["carl"].post("/products/owned/publish", files=files).status_code == 403
    assert clients["reader"].post("/new", data={"name": "x"}, files=files).status_code == 403
    assert inspected(clients["reader"]).status_code == 403
    fields = {"name": "strangers", "domain": "aviation", "description": "x", "owner": "sky"}
    refused = clients["carl"].post("/new", data=fields, files=files)
    assert refused.status_code in {403, 422}
    assert "sky" in refused.text
    assert clients["carl"].get("/products/strangers").status_code == 404


def test_another_site_hands_nothing_in(mesh):
    clients, _ = mesh
    refused = clients["olga"].post("/new", files={"file": ("t.csv", CSV)}, headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 403


def test_a_table_document_that_was_tampered_with_is_judged_like_any_other(mesh):
    clients, _ = mesh
    document = {"columns": [{"name": "id", "logicalType": "nonsense"}]}
    fields = {"name": "tampered", "domain": "aviation", "description": "x", "owner": "sky"}
    fields |= {"table.0": json.dumps(document), "table.0.was": "t", "table.0.description": "y"}
    refused = clients["olga"].post("/new", data=fields, files={"file": ("t.csv", CSV)})
    assert refused.status_code == 422


def test_texts_written_from_right_to_left_stand_apart_from_what_is_said_of_them(mesh):
    clients, _ = mesh
    found = inspected(clients["olga"], "t.csv", "السعر,b\n1,2\n".encode())
    assert "<bdi>السعر</bdi>" in found.text
    assert 'value="column_1"' in found.text
    broken = inspected(clients["olga"], "t.csv", "السعر,السعر\n1,2\n".encode())
    assert "“<bdi>السعر</bdi>”" in broken.text
