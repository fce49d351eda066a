"""What somebody meets who types for the first time: the lines that are printed work as they are printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.running import cli, cli_json, environment, make_home, register, up, write_csv


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("newcomer")
    home, _ = make_home(folder)
    cli_json("team", "create", "meteo", "--domain", "aviation", home=home)
    register(home, "weather")
    register(home, "wages", access="request")
    for name in ("weather", "stations", "wages"):
        write_csv(folder, f"{name}.csv", [{"origin": "EWR", "temp": 3}])
    cli_json("publish", "weather", str(folder / "weather.csv"), str(folder / "stations.csv"), home=home)
    cli_json("publish", "wages", str(folder / "wages.csv"), home=home)
    cli_json("user", "add", "ben", home=home)
    token = cli_json("token", "new", "ben", home=home)["token"]
    with up(home) as url:
        yield home, url, token, folder


@pytest.fixture
def ben(mesh, tmp_path):
    """Ben's own account on his machine, signed in by `thinmesh login`: no variable is set."""
    own = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = cli("login", mesh[1], "--token-stdin", "--no-git", stdin=mesh[2], **own)
    assert done.returncode == 0, done.stderr
    return own


def typed(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell, as it was printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**environment(), **more, "PATH": path}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_lines_of_show_work_as_printed_for_who_signed_in(mesh, ben, tmp_path):
    shown = cli("show", "weather", **ben).stdout
    assert mesh[2] not in shown
    lines = dict(line.split(None, 1) for line in shown.splitlines() if line.split(None, 1)[1:])
    assert "(1 row)" in typed(lines["SQL"], tmp_path, **ben).stdout
    script = f"{lines['Python']}\nassert len(df) == 1\n"
    assert subprocess.run([sys.executable, "-c", script], env=environment(**ben), check=False).returncode == 0
    fetched = typed(f"{lines['token']}\n{lines['curl']}", tmp_path, **ben)
    assert fetched.returncode == 0, fetched.stderr
    [file] = tmp_path.glob("*.csv")
    assert file.read_text() == "origin,temp\nEWR,3\n"
    script = f"{lines['pandas']}\nassert len(df) == 1\n"
    (tmp_path / "script.py").write_text(script)
    read = typed(f"{lines['token']}\n{sys.executable} script.py", tmp_path, **ben)
    assert read.returncode == 0, read.stderr
    assert lines["alike"].startswith("weather.")


def test_a_closed_product_says_how_to_be_let_in(ben):
    shown = cli("show", "wages", **ben).stdout
    assert "size for those with a grant" in shown
    assert "0 rows" not in shown
    assert 'thinmesh request wages --purpose "…"' in shown
    assert "query" not in shown


def test_what_is_wrong_on_stdin_is_named_as_a_file_is(mesh, tmp_path):
    document = '{"name": "a",\n "access": 1}'
    (tmp_path / "a.json").write_text(document)
    file = cli("register", str(tmp_path / "a.json"), home=mesh[0])
    piped = cli("register", "-", home=mesh[0], stdin=document)
    assert "stdin:1:1" in piped.stderr
    assert file.stderr.replace(str(tmp_path / "a.json"), "stdin") == piped.stderr


def test_who_was_denied_reads_why(mesh, ben):
    asked = cli("request", "wages", "--purpose", "audit", "--for", "P7D", **ben).stdout
    assert "P7D" in asked
    id = cli_json("requests", **ben)["items"][0]["id"]
    cli_json("deny", id, "--why", "not this year", home=mesh[0])
    shown = cli("requests", **ben).stdout
    assert "not this year" in shown
    assert "P7D" in shown


def test_a_table_that_is_new_beside_others_is_named(mesh, tmp_path):
    home = mesh[0]
    register(home, "web", tables={"events": {"columns": {"origin": "string", "temp": "integer"}}})
    near = write_csv(tmp_path, "event.csv", [{"origin": "EWR", "temp": 3}])
    far = write_csv(tmp_path, "e2.csv", [{"origin": "EWR", "temp": 3}])
    checked = cli("check", "web", str(near), home=home)
    assert checked.returncode == 0
    assert "note: new table event; did you mean events?" in checked.stdout
    assert "note: new table e2; the others: events" in cli("publish", "web", str(far), home=home).stdout
    assert "new table" not in cli("publish", "web", str(far), "--mode", "append", "--again", home=home).stdout


def test_a_first_publication_says_what_was_inferred(mesh, tmp_path):
    home = mesh[0]
    register(home, "sums")
    file = tmp_path / "sums.csv"
    file.write_text("id,Net Sum\n1,2.5\n2,3.5\nTotal,6\n")
    inferred = [
        "sums: id string, net_sum double",
        'sums: header "Net Sum" -> net_sum',
        "the columns of sums are inferred; to make them its contract: thinmesh accept sums",
    ]
    said = cli("publish", "sums", str(file), home=home).stdout.splitlines()
    assert said[1:4] == [f"note: {line}" for line in inferred]
    register(home, "sums2")
    assert cli_json("publish", "sums2", str(file), home=home)["notes"][0] == inferred[0]
    cli_json("accept", "sums", home=home)
    assert cli_json("publish", "sums", str(file), "--mode", "append", "--again", home=home)["notes"] == []


def test_a_file_without_a_line_of_names_is_taken_with_a_note(mesh, tmp_path):
    register(mesh[0], "people")
    (tmp_path / "people.csv").write_text("1,alice,2024-01-01\n2,bob,2024-01-02\n")
    doubt = 'the first line is taken for the names of the columns, and "1" in it looks like a value'
    assert f"note: {doubt}" in cli("check", "people", str(tmp_path / "people.csv"), home=mesh[0]).stdout
    assert f"note: people: {doubt}" in cli("publish", "people", str(tmp_path / "people.csv"), home=mesh[0]).stdout


def test_the_list_of_teams_shows_who_leads(mesh):
    home = mesh[0]
    cli_json("team", "create", "crew", "--domain", "harbour", home=home)
    cli_json("user", "add", "fay", "--team", "crew", home=home)
    [crew] = [line.split() for line in cli("team", "list", home=home).stdout.splitlines() if line.startswith("crew")]
    assert crew == ["crew", "harbour", "admin", "(lead),", "fay"]


def test_a_user_added_twice_is_said_to_be_there(mesh):
    assert cli_json("user", "add", "ada", home=mesh[0])["created"] is True
    assert cli_json("user", "add", "ada", home=mesh[0])["created"] is False
    assert "ada is there already" in cli("user", "add", "ada", home=mesh[0]).stdout


def test_the_hint_for_a_token_works_where_the_home_was_named(mesh, tmp_path):
    shown = cli("--home", str(mesh[0]), "user", "add", "eve").stdout
    hint = shown.partition("Give them a token: ")[2]
    assert typed(hint, tmp_path, HOME=str(tmp_path)).stdout.count(".") == 2


def test_tokens_are_listed_with_their_state(mesh):
    cli_json("user", "add", "tess", home=mesh[0])
    old = cli_json("token", "new", "tess", "--expires", "PT1S", home=mesh[0])
    cli_json("token", "new", "tess", home=mesh[0])
    while cli("whoami", "--url", mesh[1], THINMESH_TOKEN=old["token"]).returncode == 0:
        pass
    lines = cli("token", "list", "tess", home=mesh[0]).stdout.splitlines()
    assert lines[0].split() == ["id", "scope", "created", "expires", "state"]
    assert [line.split()[-1] for line in lines if line.startswith(old["id"])] == ["expired"]
    assert sum(line.endswith("in force") for line in lines) == 1


def test_a_token_for_a_product_that_is_not_there_is_made_with_a_warning(mesh):
    done = cli("token", "new", "--scope", "publish:nothere", home=mesh[0])
    assert done.returncode == 0
    assert "There is no product nothere" in done.stderr
    assert "warning" not in cli("token", "new", "--scope", "publish:weather", home=mesh[0]).stderr


def test_publishing_what_is_not_registered_says_how_to_register_it(mesh, tmp_path):
    (tmp_path / "tides.csv").write_text("height\n1\n")
    found = cli_json("publish", "tides", str(tmp_path / "tides.csv"), code=4, home=mesh[0])
    assert found["detail"] == "There is no product tides."
    assert found["help"].endswith("is registered before data is published: thinmesh register product.json")


def test_signing_in_without_a_terminal_says_how_to_hand_in_the_token(mesh):
    done = cli("login", mesh[1], stdin="")
    assert done.returncode == 3
    assert "--token-stdin" in done.stderr


def test_a_home_is_not_made_of_a_file(tmp_path):
    (tmp_path / "x").write_text("")
    done = cli("init", str(tmp_path / "x"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'x'} is a file.")


def test_what_is_deprecated_says_so_where_people_look(tmp_path):
    home, _ = make_home(tmp_path)
    cli_json("team", "create", "shop", "--domain", "aviation", home=home)
    columns = {"columns": {"id": "integer"}}
    over = {"successor": "stock.items_v2", "removal": "2031-05-01"}
    register(home, "stock", tables={"items": {**columns, "deprecated": over}, "items_v2": columns})
    register(home, "old", status="deprecated", deprecated={"successor": "stock"})
    shown = cli("show", "stock", home=home).stdout
    assert "deprecated: use stock.items_v2; removal on 2031-05-01" in shown
    assert "deprecated   use stock\n" in cli("show", "old", home=home).stdout
    assert "[deprecated] About old" in cli("list", home=home).stdout
