"""The same commands give the same results on a home and on a server."""

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout

import pytest

from tests.integration.running import make_home, up, write_csv
from thinmesh.interface.cli.app import run

CLOSED = {"name": "wages", "domain": "people", "description": "Wages", "access": "request", "owner": "staff"}
STORY = [
    ("whoami",),
    ("team", "create", "meteo", "--domain", "aviation"),
    ("team", "create", "staff", "--domain", "people"),
    ("user", "add", "ann", "--team", "meteo"),
    ("user", "add", "bob", "--team", "staff"),
    ("team", "add-member", "staff", "ann", "--lead"),
    ("team", "remove-member", "staff", "bob"),
    ("team", "list"),
    ("user", "list"),
    ("register", "weather.json"),
    ("register", "weather.json"),
    ("register", "wages.json"),
    ("register", "broken.json"),
    ("check", "weather", "weather.csv"),
    ("publish", "weather", "weather.csv"),
    ("publish", "weather", "weather.csv"),
    ("publish", "weather", "more/weather.csv", "--mode", "append"),
    ("publish", "nothing", "weather.csv"),
    ("accept", "weather"),
    ("check", "weather", "bad/weather.csv"),
    ("publish", "weather", "bad/weather.csv"),
    ("list",),
    ("list", "--domain", "people"),
    ("search", "hourly"),
    ("show", "weather"),
    ("show", "waether"),
    ("history", "weather"),
    ("query", "select origin, temp from weather.weather order by temp"),
    ("query", "select * from weather.weather", "--limit", "1"),
    ("query", "select * from nothing.nothing"),
    ("query", "selec 1"),
    ("request", "wages", "--purpose", "Planning", "--for", "P7D", "--team", "meteo"),
    ("request", "weather", "--purpose", "Planning"),
    ("requests",),
    ("approve", "nothing"),
    ("grants",),
    ("token", "list"),
    ("retire", "weather", "--successor", "wages"),
    ("show", "weather"),
    ("list", "--limit", "0"),
]


def call(*arguments):
    """Run one command line in this process; the ways through the console are in test_cli_terminal.py."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        code = run(arguments)
    out.flush()
    return code, out.buffer.getvalue().decode()


def story(where):
    """Run all commands and give (command, exit code, document) of each, without what differs between any two runs."""
    found = []
    for command in STORY:
        code, out = call(*command, "--json", *where)
        assert out.count("\n") == 1 or command[0] == "query", out
        found.append([list(command), code, steady(json.loads(out))])
    return found


def steady(found):
    text = json.dumps(found)
    text = re.sub(r'"\d{4}-\d\d-\d\dT[\d:.]+Z"', '"TIME"', text)
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "ID", text)
    # Where the catalog file's own entries fall between these depends on when it followed.
    text = re.sub(r'"sequence": \d+', '"sequence": "N"', text)
    return json.loads(re.sub(r'"(statement|etag|commit|token)": "[^"]*"', r'"\1": "ID"', text))


@pytest.fixture
def files(tmp_path):
    write_csv(tmp_path, "weather.csv", [{"origin": "EWR", "temp": 3.5}, {"origin": "JFK", "temp": 4.25}])
    write_csv(tmp_path, "more/weather.csv", [{"origin": "LGA", "temp": 1.5}])
    write_csv(tmp_path, "bad/weather.csv", [{"origin": "EWR", "temp": "warm"}, {"origin": "EWR", "temp": 2.5}])
    weather = {"name": "weather", "domain": "aviation", "description": "Hourly", "owner": "meteo"}
    for name, found in (("weather", weather), ("wages", CLOSED), ("broken", {"name": "Broken", "domain": "x"})):
        (tmp_path / f"{name}.json").write_text(json.dumps(found))
    return tmp_path


def test_a_home_and_a_server_tell_the_same(files, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(files)
    (alone, _), (served, token) = (make_home(tmp_path_factory.mktemp(name)) for name in ("alone", "served"))
    here = story(["--home", str(alone)])
    monkeypatch.setenv("THINMESH_TOKEN", token)
    with up(served) as url:
        there = story(["--url", url])
        commands = [("list",), ("team", "list"), ("search", "wages"), ("requests",), ("user", "list")]
        for command in commands:
            assert without_what_differs(call(*command, "--url", url)) == without_what_differs(
                call(*command, "--home", str(alone))
            )
    for one, two in zip(here, there, strict=True):
        assert without_door(one) == without_door(two)
    codes = {tuple(command): code for command, code, _ in here}
    assert codes["publish", "weather", "bad/weather.csv"] == 1
    assert codes["check", "weather", "bad/weather.csv"] == 1
    assert codes["publish", "nothing", "weather.csv"] == 4
    assert codes["list", "--limit", "0"] == 2
    assert set(codes.values()) == {0, 1, 2, 4}


def without_door(step):
    """Leave out which door it was: a home's is `cli`, a server's `http`."""
    return json.loads(json.dumps(step).replace('"http"', '"cli"'))


def without_what_differs(done):
    return done[0], re.sub(r"\b[0-9a-f]{12}\b", "ID", done[1])
