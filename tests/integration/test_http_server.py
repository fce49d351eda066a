"""How the server starts and stops."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.integration.running import COMMAND, PATIENCE, cli, cli_json, environment, make_home, up


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)[0]


def test_a_second_server_is_told_who_holds_the_home(home):
    with up(home) as url:
        found = cli_json("up", "--port", "0", home=home, code=5)
        assert url in found["detail"]
        assert found["retry"] is True


def test_a_taken_port_is_said(home, tmp_path):
    other = make_home(tmp_path / "other")[0]
    with up(home) as url:
        found = cli_json("up", "--port", url.rsplit(":", 1)[1], home=other, code=5)
        assert "--port 0" in found["help"]


def test_plain_http_is_not_shown_to_other_machines(home):
    found = cli_json("up", "--host", "0.0.0.0", "--port", "0", home=home, code=1)
    assert "--behind-proxy" in found["help"]
    with up(home, "--host", "0.0.0.0", "--behind-proxy") as url:
        port = url.rsplit(":", 1)[1]
        assert httpx.get(f"http://127.0.0.1:{port}/operations/v1/health/live", timeout=60).json() == {"status": "live"}


def test_more_than_one_process_is_refused_with_what_to_set_instead(home):
    assert "query.workers" in cli_json("up", "--workers", "2", home=home, code=1)["help"]


def test_a_setting_for_more_than_one_process_is_said_to_do_nothing(home):
    settings = home / "thinmesh.toml"
    before = settings.read_text()
    settings.write_text(before.replace("[server]", "[server]\nworkers = 2"))
    try:
        with up(home) as url:
            assert httpx.get(f"{url}/operations/v1/health/live", timeout=60).json() == {"status": "live"}
        assert "server.workers does nothing here" in (home / "run" / "stderr.log").read_text()
    finally:
        settings.write_text(before)


def test_commands_go_through_the_server_while_it_runs_and_not_after(home):
    with up(home):
        assert (home / "run" / "thinmesh.sock").is_socket()
        assert cli_json("whoami", home=home)["user"] == "admin"
        assert cli_json("team", "create", "sea", "--domain", "sea", home=home)["name"] == "sea"
    assert not (home / "run" / "thinmesh.sock").exists()
    assert [team["name"] for team in cli_json("team", "list", home=home)["items"]] == ["sea"]


def test_a_home_in_a_very_long_path_has_its_socket_elsewhere(tmp_path):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    home, _ = make_home(deep)
    runtime = Path(tempfile.mkdtemp(prefix="run-"))
    process = subprocess.Popen(
        [*COMMAND, "up", "--port", "0"],
        env=environment(THINMESH_HOME=str(home), XDG_RUNTIME_DIR=str(runtime)),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert json.loads(process.stdout.readline())["url"]
        done = cli("whoami", home=home, XDG_RUNTIME_DIR=str(runtime))
        assert done.returncode == 0, done.stderr
        assert [path for path in runtime.iterdir() if path.is_socket()]
    finally:
        process.terminate()
        code = process.wait(PATIENCE)
        process.stdout.close()
        shutil.rmtree(runtime)
    assert code == 0


def test_a_stop_finishes_what_runs_and_exits_in_peace(home):
    sql = "select count(*) from range(60000) a, range(6000) b where a.range * b.range % 7 = 3"
    replies = []
    with up(home) as url:
        token = cli_json("token", "new", home=home)["token"]
        headers = {"Authorization": f"Bearer {token}"}

        def ask():
            body = {"sql": sql, "id": "running"}
            replies.append(httpx.post(f"{url}/query/v1/statements", json=body, headers=headers, timeout=120))

        asking = threading.Thread(target=ask)
        asking.start()
        while httpx.get(f"{url}/query/v1/statements/running", headers=headers, timeout=60).status_code != 200:
            pass
    asking.join(120)
    assert replies[0].status_code == 200
    assert replies[0].json()["row_count"] == 1


SLOW = {"columns": [{"name": "a", "logicalType": "string", "logicalTypeOptions": {"pattern": "(?:a?){1000}a{1000}"}}]}


def cpu_seconds(process):
    """Tell how much a process has computed so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listens(url):
    try:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 60).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_second_signal_ends_a_check_that_nothing_can_interrupt(home, tmp_path):
    """A pattern of a thousand steps, for lines as long: the engine looks up once in some thousand lines only."""
    cli_json("team", "create", "sea", "--domain", "sea", home=home)
    product = {"name": "slow", "domain": "sea", "description": "Slow to check", "tables": {"t": SLOW}}
    cli_json("register", "-", home=home, stdin=json.dumps(product))
    file = tmp_path / "t.csv"
    file.write_text("a\n" + ("a" * 990 + "\n") * 10_000)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, "up", "--port", "0"],
            env=environment(THINMESH_HOME=str(home)),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    done = []
    try:
        url = json.loads(process.stdout.readline())["url"]
        before = cpu_seconds(process)
        publishing = threading.Thread(target=lambda: done.append(cli("publish", "slow", str(file), home=home)))
        publishing.start()
        until = time.monotonic() + PATIENCE
        while cpu_seconds(process) < before + 4:
            assert not done, done[0].stdout + done[0].stderr
            assert time.monotonic() < until, "the check has not begun"
            time.sleep(0.05)
        process.terminate()
        while listens(url):
            assert time.monotonic() < until, "the first signal shuts no door"
            time.sleep(0.05)
        process.terminate()
        code = process.wait(PATIENCE)
        publishing.join(PATIENCE)
    finally:
        process.kill()
        process.stdout.close()
    said = (tmp_path / "log").read_text()
    assert code == 0, said
    assert "Traceback" not in said
    assert "nothing could interrupt" in said
    assert (done[0].returncode, done[0].stdout) == (5, "")
    assert "The server was stopped before this request had come to its end." in done[0].stderr
    assert cli_json("doctor", home=home)["ok"]
