"""The list of known problems, and of licences."""

import importlib.util
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("dependencies", ROOT / "tools" / "dependencies.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def known():
    return tomllib.loads((ROOT / "tools" / "advisories.toml").read_text())


def test_what_is_locked_has_no_known_problem(tool, known):
    locked = tool.pins((ROOT / "requirements.lock").read_text())
    assert len(locked) > 50
    assert list(tool.problems(locked, known)) == []


def test_a_version_with_a_known_problem_is_named(tool, known):
    locked = tool.pins("python_multipart==0.0.17 \\\n    --hash=sha256:0\nstarlette==1.10.0 ; python_version > '3'\n")
    assert locked == {"python-multipart": "0.0.17", "starlette": "1.10.0"}
    (found,) = tool.problems(locked, known)
    assert "python-multipart 0.0.17" in found
    assert "CVE-2024-53981" in found


def test_everything_that_runs_comes_under_a_licence_that_an_apache_project_may_rely_on(tool):
    assert list(tool.licences()) == []


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0 OR GPL-3.0-only", "Apache-2.0 AND BSD-2-Clause", "BSD License"])
def test_a_licence_that_is_taken(tool, licence):
    assert tool._taken(licence)


@pytest.mark.parametrize(
    "licence", ["", "GPL-3.0-only", "MIT AND AGPL-3.0-only", "Proprietary", "Other/Proprietary License"]
)
def test_a_licence_that_is_not(tool, licence):
    assert not tool._taken(licence)
