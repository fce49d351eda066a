"""`thinmesh demo`, as a person runs it: in the checkout, and from a wheel installed elsewhere."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(command, cwd, **environment):
    return subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def computed() -> float:
    """Give the seconds that the processes started here have computed, and those that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_demo_tells_its_story_and_keeps_the_home(tmp_path):
    kept = tmp_path / "kept"
    done = run([sys.executable, "-m", "thinmesh.interface.cli", "demo", "--keep", str(kept)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'refused: stations/weather/weather.csv:17:6 temp: "abc" is not a number' in done.stdout
    assert "refused: stations/weather/weather.csv:20001" in done.stdout
    assert "accepted the contract of airports" in done.stdout
    assert "created False" not in done.stdout
    assert "/product/v1/products/airports/tables/airports/data -o airports.csv\n" in done.stdout
    assert "not_allowed: The data of planes needs a grant" in done.stdout
    again = shlex.split(done.stdout.splitlines()[-1])
    assert again[-3:] == ["--home", str(kept / "home"), "up"]
    assert run([*again[:-1], "list"], tmp_path).returncode == 0
    home = str(kept / "home")
    query = "select count(*) from flights.flights union all select count(*) from airports.airports"
    found = run([sys.executable, "-m", "thinmesh.interface.cli", "--home", home, "query", query, "--json"], tmp_path)
    assert sorted(row[0] for row in json.loads(found.stdout)["rows"]) == [1458, 336776]


def test_the_demo_takes_no_minute_and_leaves_nothing_behind_when_nothing_is_kept(tmp_path):
    before = computed()
    done = run([sys.executable, "-m", "thinmesh.interface.cli", "demo", "--json"], tmp_path, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["home"] is None
    # A minute is what it takes where nothing else runs; beside other tests, what it computes says as much.
    assert 0 < computed() - before < 45
    assert [path for path in tmp_path.iterdir() if path.name.startswith("thinmesh-demo")] == []


def test_the_wheel_works_outside_the_checkout(tmp_path):
    built = run(
        [sys.executable, "-m", "uv", "build", "--wheel", "--out-dir", str(tmp_path / "dist"), str(ROOT)],
        tmp_path,
        **index_settings(),
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=False)
    lock = ROOT / "requirements.lock"
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(fresh / "bin/python")]
    for arguments in (["--require-hashes", "-r", str(lock)], ["--no-deps", str(wheel)]):
        done = run([*install, *arguments], tmp_path, **index_settings())
        assert done.returncode == 0, done.stderr
    done = run([str(fresh / "bin/thinmesh"), "demo"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 steps" in done.stdout


def index_settings() -> dict[str, str]:
    """Pass on how this machine reaches its package index."""
    return {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}
