"""The security page and the checklist of the standard name what exists, and every requirement, and agree."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
CHECKLIST = (ROOT / "docs" / "asvs.md").read_text()
PLACES = (ROOT, ROOT / "src" / "thinmesh")
ROWS = re.findall(r"^(V\d+\.\d+\.\d+) \| (.*?) \| (.*?) \| (.*)$", CHECKLIST, re.MULTILINE)
# How many requirements of levels 1 and 2 each section of each chapter of ASVS 5.0.0 has. In every section they come
# before those of level 3, so that they are the first so many.
SECTIONS = {
    1: {1: 2, 2: 9, 3: 11, 4: 3, 5: 2},
    2: {1: 3, 2: 3, 3: 4, 4: 1},
    3: {2: 2, 3: 4, 4: 6, 5: 5, 7: 2},
    4: {1: 3, 2: 1, 3: 2, 4: 4},
    5: {1: 1, 2: 3, 3: 2, 4: 3},
    6: {1: 3, 2: 12, 3: 4, 4: 4, 5: 5, 6: 3, 8: 4},
    7: {1: 3, 2: 4, 3: 2, 4: 5, 5: 2, 6: 2},
    8: {1: 2, 2: 3, 3: 1, 4: 1},
    9: {1: 3, 2: 4},
    10: {1: 2, 2: 2, 3: 4, 4: 11, 5: 5, 6: 2, 7: 3},
    11: {1: 2, 2: 3, 3: 3, 4: 4, 5: 1, 6: 1},
    12: {1: 3, 2: 2, 3: 4},
    13: {1: 1, 2: 5, 3: 2, 4: 5},
    14: {1: 2, 2: 4, 3: 3},
    15: {1: 3, 2: 3, 3: 7},
    16: {1: 1, 2: 5, 3: 4, 4: 3, 5: 3},
    17: {1: 1, 2: 4, 3: 2},
}
VERDICTS = ("met", "part", "n/a")


def named(text):
    """Give what a text names in code: tests, files, modules, and words that are none of these."""
    return re.findall(r"`([^`\s]+)`", text)


def is_place(name):
    """Tell whether a name is one of a file, with or without a test in it."""
    return bool(re.fullmatch(r"[\w./-]*\w\.(py|md|html|js|json|lock|toml)(::\w+)?", name)) and name[0] != "/"


@cache
def names_in(path):
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test")}


def missing(name):
    """Tell whether a test, a module or a file that a page names is not there."""
    path, _, test = name.partition("::")
    if test:
        return not (ROOT / path).is_file() or test not in names_in(ROOT / path)
    return is_place(name) and "/" in name and not any((place / name).is_file() for place in PLACES)


@pytest.mark.parametrize("page", [PAGE, CHECKLIST], ids=["security", "asvs"])
def test_every_test_and_file_that_a_page_names_exists(page):
    names = named(page)
    assert sum(is_place(name) and "/" in name for name in names) > 30
    assert [name for name in names if missing(name)] == []


def test_a_name_of_nothing_would_be_noticed():
    for name in (
        "kernel/nothing.py",
        "interface/web/templates/nothing.html",
        "tests/unit/nothing.py::test_x",
        "tests/unit/test_security_page.py::test_nothing",
    ):
        assert missing(name)


def test_every_requirement_is_there_once_and_in_its_order():
    wanted = [
        f"V{chapter}.{section}.{number}"
        for chapter, sections in SECTIONS.items()
        for section, count in sections.items()
        for number in range(1, count + 1)
    ]
    assert len(wanted) == 253
    assert [id for id, *_ in ROWS] == wanted
    assert len(ROWS) == len(re.findall(r"^V\d", CHECKLIST, re.MULTILINE))


def is_shown(verdict, evidence):
    """Tell whether a verdict has a test or a file, or says in words what is missing, or why it does not apply."""
    if verdict == "met":
        return any(is_place(name) for name in named(evidence))
    return verdict in VERDICTS and len(re.findall(r"[a-z]{2,}", re.sub(r"`[^`]*`", "", evidence))) > 1


def test_every_verdict_has_its_evidence_or_says_what_is_missing():
    assert [id for id, about, verdict, evidence in ROWS if not (about and is_shown(verdict, evidence))] == []


def test_a_verdict_without_evidence_would_be_noticed():
    for verdict, evidence in (
        ("met", "we think so: `server.url`"),
        ("part", "`kernel/policy.py`"),
        ("n/a", ""),
        ("yes", "`kernel/policy.py` does it all"),
    ):
        assert not is_shown(verdict, evidence)


def test_each_requirement_stands_under_its_chapter():
    found = re.split(r"^## V(\d+): .*$", CHECKLIST, flags=re.MULTILINE)[1:]
    assert found[::2] == [str(chapter) for chapter in SECTIONS]
    for chapter, text in zip(found[::2], found[1::2], strict=True):
        assert set(re.findall(r"^V(\d+)\.", text, re.MULTILINE)) == {chapter}


def test_the_numbers_are_those_of_the_checklist():
    counted = {chapter: Counter[str]() for chapter in (*map(str, SECTIONS), "all")}
    for id, _, verdict, _ in ROWS:
        counted[id[1:].partition(".")[0]][verdict] += 1
        counted["all"][verdict] += 1
    told = re.findall(r"^\| (?:V(\d+) .*?|(all)) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert [(chapter or whole, *map(int, numbers)) for chapter, whole, *numbers in told] == [
        (chapter, *(numbers[verdict] for verdict in VERDICTS)) for chapter, numbers in counted.items()
    ]


def test_every_part_is_among_the_known_gaps_once():
    gaps = PAGE.partition("## Known gaps")[2]
    told = re.findall(r"V\d+\.\d+\.\d+", gaps)
    assert sorted(told) == sorted(id for id, _, verdict, _ in ROWS if verdict == "part")


def test_the_sections_that_the_checklist_points_to_are_there():
    pointed = re.findall(r"`docs/([\w-]+\.md)` \(([A-Z][^)]*)\)", CHECKLIST)
    assert len(pointed) > 10
    for page, titles in pointed:
        headings = re.findall(r"^#+ (.*)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
        assert set(titles.split(", ")) <= set(headings), (page, titles)


def test_the_settings_that_the_page_names_exist():
    reference = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for section, key in re.findall(r"`(server|query|git)\.([a-z_]+)`", PAGE):
        assert f"`{key}`" in reference, (section, key)
