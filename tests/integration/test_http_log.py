"""What the log tells of who came in, and of whom was turned away."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta

import httpx
import pytest

from .running import cli_json, make_home, up

OWN = {"Sec-Fetch-Site": "same-origin"}
BREAK = "%0A%7B%22event%22%3A%22signed%20in%22%7D"  # a line that looks like one of the log's own


class Served:
    def __init__(self, home, url, ben, publisher):
        self.home, self.url, self.ben, self.publisher = home, url, ben, publisher

    def lines(self):
        return [json.loads(line) for line in (self.home / "run" / "stderr.log").read_text().splitlines()]

    def told(self, event, **facts):
        return [line for line in self.lines() if line["event"] == event and facts.items() <= line.items()]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    home, _ = make_home(tmp_path_factory.mktemp("log"))
    cli_json("user", "add", "ben", home=home)
    ben = cli_json("token", "new", "ben", home=home)["token"]
    publisher = cli_json("token", "new", "ben", "--scope", "publish:weather", home=home)["token"]
    with up(home) as url:
        yield Served(home, url, ben, publisher)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_who_signs_in_and_who_does_not_is_told(served):
    with httpx.Client(base_url=served.url, headers=OWN, timeout=60) as browser:
        assert browser.post("/sign-in", data={"token": "x.y.z"}).status_code == 401
        assert browser.post("/sign-in", data={"token": served.ben}).status_code == 303
    (made,) = served.told("signed in", user="ben")
    assert made["by"] == "token"
    assert made["address"] == "127.0.0.1"
    assert made["token"] in {token["id"] for token in cli_json("token", "list", "ben", home=served.home)["items"]}
    (failed,) = served.told("sign-in refused", path="/sign-in")
    assert failed["address"] == "127.0.0.1"


def test_what_somebody_may_not_is_told_at_every_door(served):
    reply = httpx.get(f"{served.url}/operations/v1/audit", headers=bearer(served.ben), timeout=60)
    assert reply.status_code == 403
    (api,) = served.told("not allowed", path="/operations/v1/audit")
    assert (api["user"], api["method"]) == ("ben", "GET")
    assert reply.json()["instance"].endswith(api["request"])
    with httpx.Client(base_url=served.url, cookies={"thinmesh_session": served.ben}, timeout=60) as browser:
        assert browser.post("/teams", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    (page,) = served.told("not allowed", path="/teams")
    assert (page["user"], page["method"]) == ("ben", "POST")
    refs = "/git/data.git/info/refs"
    address = f"{served.url}{refs}?service=git-upload-pack"
    assert httpx.get(address, auth=("x", served.publisher), timeout=60).status_code == 403
    (git,) = served.told("not allowed", path=refs)
    assert git["user"] == "ben"


def test_every_line_is_json_with_a_time_in_utc_whatever_was_asked_for(served):
    path = f"/product/v1/products/{BREAK}{'x' * 5000}"
    before = len(served.told("signed in"))
    assert httpx.get(served.url + path, headers=bearer("x.y.z"), timeout=60).status_code == 401
    lines = served.lines()
    assert len(served.told("signed in")) == before
    (odd,) = (line for line in lines if "\n" in line.get("path", ""))
    assert len(odd["path"]) == 200
    for line in lines:
        assert line["level"] in ("info", "warning", "error")
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


def test_what_a_library_logs_is_a_line_of_json_too():
    code = (
        "import logging; from thinmesh.interface.cli.up import _log_to_stderr; _log_to_stderr()\n"
        "try:\n    1 / 0\n"
        "except ZeroDivisionError:\n    logging.getLogger('uvicorn.error').exception('bad\\nthing %s', 'x')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["event"], line["level"], line["logger"]) == ("bad\nthing x", "error", "uvicorn.error")
    assert "ZeroDivisionError" in line["exception"]
