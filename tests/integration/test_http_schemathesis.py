"""Every address answers as its documentation says, whatever it is sent: no server error, no undocumented answer."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.running import cli_json, environment, make_home, register, up, write_csv

# All but `positive_data_acceptance`: what fits the schema may still be refused (a cursor of nobody, a name that is
# reserved, SQL that is none), and says so.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
]
# Who may publish, and to what, is asked before a body is read: a retired product refuses a body that is none, too.
REFUSALS = """
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "410", "415", "422", "428", "429", "5xx"]
"""
# It would revoke the token that the run uses.
NOT_CALLED = ["/identity/v1/tokens/{id}"]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schemathesis")
    home, _ = make_home(folder)
    cli_json("team", "create", "meteo", "--domain", "aviation", home=home)
    cli_json("team", "create", "staff", "--domain", "people", home=home)
    cli_json("user", "add", "ann", "--team", "meteo", home=home)
    register(home, "weather", owner="meteo")
    register(home, "wages", domain="people", owner="staff", access="request")
    data = write_csv(folder, "weather.csv", [{"origin": "EWR", "temp": 3.5}])
    cli_json("publish", "weather", str(data), home=home)
    cli_json("request", "wages", "--purpose", "Planning", "--as", "ann", home=home)
    with up(home) as url:
        yield home, url, folder


@pytest.mark.parametrize(("user", "scope"), [("admin", "admin"), ("ann", "write")])
def test_no_server_error_and_no_undocumented_answer(mesh, user, scope):
    home, url, folder = mesh
    token = cli_json("token", "new", user, "--scope", scope, home=home)["token"]
    (folder / "schemathesis.toml").write_text(REFUSALS)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(folder / "schemathesis.toml")),
            "run",
            f"{url}/openapi.json",
            *("--header", f"Authorization: Bearer {token}"),
            *("--checks", ",".join(CHECKS)),
            *(part for path in NOT_CALLED for part in ("--exclude-path", path)),
            *("--request-timeout", "120"),
            *("--max-examples", "5", "--seed", "1", "--no-color", "--max-failures", "20"),
        ],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(),
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert "request failed" not in (home / "run" / "stderr.log").read_text()
