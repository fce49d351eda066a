"""How the command line behaves in a shell: output, files, pipes, signals."""

import json
import os
import pty
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.running import COMMAND, PATIENCE, cli, cli_json, environment, make_home, register, up, write_csv


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terminal")
    home, _ = make_home(folder)
    cli_json("team", "create", "meteo", "--domain", "aviation", home=home)
    register(home, "weather")
    data = write_csv(folder, "weather.csv", [{"origin": "EWR", "temp": 3.5}, {"origin": "JFK", "temp": 4.25}])
    cli_json("publish", "weather", str(data), home=home)
    return home


SQL = "select * from weather.weather"


def test_a_home_is_made_once_and_a_second_time_nothing_changes(tmp_path):
    made = cli("init", str(tmp_path / "m"))
    assert made.returncode == 0
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "m").rglob("*"))
    assert cli_json("init", str(tmp_path / "m"), code=1)["code"] == "refused"
    assert before == sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "m").rglob("*"))


def listed(done):
    """Name the products of a list; other tests make more of them."""
    return {item["name"] for item in json.loads(done.stdout)["items"]}


def test_a_home_is_found_from_any_folder_in_it(home):
    assert "weather" in listed(cli("list", "--json", folder=home / "run"))


def test_options_may_stand_before_the_command(home):
    assert "weather" in listed(cli("--home", str(home), "--json", "list"))


def test_acting_as_somebody_has_their_rights_only(home):
    cli_json("user", "add", "eve", home=home)
    assert cli_json("whoami", "--as", "eve", home=home)["user"] == "eve"
    refused = cli_json("retire", "weather", "--as", "eve", home=home, code=3)
    assert refused["code"] == "not_allowed"
    assert cli_json("whoami", "--as", "nobody", home=home, code=4)["code"] == "not_found"


@pytest.mark.parametrize("format", ["csv", "json", "arrow", "parquet"])
def test_an_answer_is_written_whole_to_a_file(home, tmp_path, format):
    path = tmp_path / f"out.{format}"
    done = cli("query", SQL, "-o", str(path), home=home)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    rows = {
        "csv": lambda: path.read_text().splitlines()[1:] == ["EWR,3.5", "JFK,4.25"],
        "json": lambda: json.loads(path.read_text())["row_count"] == 2,
        "arrow": lambda: pa.ipc.open_stream(path.read_bytes()).read_all().num_rows == 2,
        "parquet": lambda: pq.read_table(path).num_rows == 2,
    }
    assert rows[format]()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_what_was_written_to_a_file_is_told_as_json(home, tmp_path):
    token = cli_json("token", "new", home=home)["token"]
    path = str(tmp_path / "out")
    calls = {
        name: ("query", SQL, "--format", name, "-o", path) for name in ("csv", "json", "arrow", "parquet", "table")
    }
    told = [cli_json(*call, home=home) for call in calls.values()]
    with up(home) as url:
        told += [cli_json(*call, "--url", url, THINMESH_TOKEN=token) for call in calls.values()]
    assert [(each["file"], each["format"], each["row_count"]) for each in told] == 2 * [
        (path, name, 2) for name in calls
    ]
    assert all(each["bytes"] and each["statement"] for each in told)


def test_a_failed_answer_leaves_the_file_as_it_was(home, tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("before")
    late = "select case when range > 2000000 then error('late') else range end from range(3000000)"
    for sql in ("select * from nothing.x", late):
        assert cli("query", sql, "-o", str(path), home=home).returncode != 0
        assert path.read_text() == "before"
        assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


def test_statements_come_from_files_and_pipes(home, tmp_path):
    (tmp_path / "q.sql").write_text(SQL)
    assert cli_json("query", "-f", str(tmp_path / "q.sql"), home=home)["row_count"] == 2
    assert cli_json("query", "-f", "-", home=home, stdin=SQL)["row_count"] == 2


def test_a_descriptor_may_be_yaml_or_a_folder(home, tmp_path):
    assert cli_json("register", str(tmp_path / "none.json"), home=home, code=1)["code"] == "malformed"
    (tmp_path / "product.json").write_text('{"name": "tides", "domain": "aviation", "description": "Tides"}')
    assert cli_json("register", str(tmp_path), home=home)["created"] is True


def test_text_of_others_cannot_command_the_terminal(home):
    register(home, "loud", description="red \x1b[31m bell \x07 turned \u202e")
    done = cli("list", home=home)
    assert "red \\x1b[31m bell \\x07 turned \\u202e" in done.stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(cli("show", "loud", home=home).stdout)


def test_a_reader_that_has_seen_enough_is_no_error(home):
    shell = f"{' '.join(COMMAND)} query 'select * from range(100000)' --format csv | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell],
        capture_output=True,
        text=True,
        env=environment(THINMESH_HOME=str(home)),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "range\n", "")


def running(home, sql):
    """Tell whether a statement is in the query log as one that runs, where it is as soon as it does."""
    with closing(sqlite3.connect(home / "thinmesh.db")) as database:
        found = database.execute("SELECT count(*) FROM statements WHERE sql = ? AND state = 'running'", [sql])
        return found.fetchone()[0]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_is_130_without_a_traceback(home, options):
    sql = "select count(*) from range(100000) a, range(100000) b where a.range * b.range % 7 = 3"
    process = subprocess.Popen(
        [*COMMAND, "query", sql, *options],
        env=environment(THINMESH_HOME=str(home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + PATIENCE
    while not running(home, sql):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it is not in the query log"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Traceback" not in err + out
    assert not options or json.loads(out)["code"] == "interrupted"
    assert options or (out, err.strip()) == ("", "interrupted")


def test_progress_and_hints_are_for_terminals_only(home, tmp_path):
    data = write_csv(tmp_path, "weather.csv", [{"origin": "EWR", "temp": 3.5}, {"origin": "JFK", "temp": 4.25}])
    done = cli("publish", "weather", str(data), home=home)
    assert done.stderr == ""
    controller, terminal = pty.openpty()
    process = subprocess.run(
        [*COMMAND, "query", SQL, "--format", "parquet"],
        env=environment(THINMESH_HOME=str(home)),
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(terminal)
    os.close(controller)
    assert process.returncode == 2
    assert "not for a terminal" in process.stderr


def test_a_check_needs_no_platform(tmp_path):
    contract = {
        "apiVersion": "v3.1.0",
        "name": "orders",
        "domain": "sales",
        "kind": "DataContract",
        "id": "orders",
        "version": "1.0.0",
        "status": "active",
        "schema": [
            {
                "name": "orders",
                "properties": [
                    {"name": "id", "logicalType": "integer", "required": True, "unique": True},
                    {"name": "amount", "logicalType": "number", "logicalTypeOptions": {"minimum": 0}},
                ],
            }
        ],
    }
    (tmp_path / "orders.odcs.yaml").write_text(json.dumps(contract))
    write_csv(tmp_path, "orders.csv", [{"id": 1, "amount": 2}, {"id": 1, "amount": -3}, {"id": "x", "amount": 4}])
    found = cli_json("check", "--contract", "orders.odcs.yaml", "orders.csv", folder=tmp_path, code=1)
    assert found["ok"] is False
    assert {(each["column"], each["count"]) for each in found["violations"]} >= {("amount", 1)}
    people = cli("check", "--contract", "orders.odcs.yaml", "orders.csv", folder=tmp_path)
    assert people.returncode == 1
    assert "line 3" in people.stdout
