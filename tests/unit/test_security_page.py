"""The security page names tests and modules that exist, and every group of the standard."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`([^`\s]+)`", PAGE)


def names_in(path):
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test")}


def missing(name):
    """Tell whether a test, a module or a file that the page names is not there."""
    path, _, test = name.partition("::")
    if test:
        return not (ROOT / path).is_file() or test not in names_in(ROOT / path)
    if path.endswith((".py", ".md")):
        return not (ROOT / path).is_file() and not (ROOT / "src" / "thinmesh" / path).is_file()
    return False


def test_every_test_and_module_that_the_page_names_exists():
    assert sum("::" in name for name in NAMED) > 40
    assert sum(name.endswith(".py") for name in NAMED) > 25
    assert [name for name in NAMED if missing(name)] == []


def test_a_name_of_nothing_would_be_noticed():
    for name in (
        "kernel/nothing.py",
        "tests/unit/nothing.py::test_x",
        "tests/unit/test_security_page.py::test_nothing",
    ):
        assert missing(name)


def test_every_verdict_has_its_evidence_or_says_what_is_missing():
    rows = re.findall(r"^\| (V\d.*?) \| (.*?) \| (.*) \|$", PAGE, re.MULTILINE)
    assert {int(number) for group, _, _ in rows for number in re.findall(r"V(\d+)", group)} == set(range(1, 18))
    for group, verdict, evidence in rows:
        assert verdict in ("met", "part", "n/a"), group
        assert evidence, group
        assert verdict == "n/a" or "`" in evidence or group.startswith(("V6.7", "V11.1")), group
        assert verdict != "part" or ";" in evidence or "." in evidence, group


def test_the_settings_that_the_page_names_exist():
    reference = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for section, key in re.findall(r"`(server|query|git)\.([a-z_]+)`", PAGE):
        assert f"`{key}`" in reference, (section, key)
