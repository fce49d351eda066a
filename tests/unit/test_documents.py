"""What the documents point to is there, and decisions are numbered in one row."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(page.relative_to(ROOT) for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def dead_links(page):
    """Give the links of a page to files that are not there."""
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    return [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_of_a_page_lead_to_files(page):
    assert dead_links(ROOT / page) == []


def test_a_dead_link_would_be_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("See [itself](page.md), [another](nothing.md#part) and [elsewhere](https://example.org/).")
    assert dead_links(page) == ["nothing.md"]


def test_decisions_are_numbered_one_after_another():
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [page.name[:5] for page in pages] == [f"{number:04}-" for number in range(1, len(pages) + 1)]
    titles = [page.read_text().partition(". ")[0] for page in pages]
    assert titles == [f"# {number}" for number in range(1, len(pages) + 1)]


def test_a_decision_is_called_by_its_number():
    links = [re.findall(r"\[ADR (\d+)\]\([^)]*?(\d{4})-", (ROOT / page).read_text()) for page in PAGES]
    named = [pair for found in links for pair in found]
    assert named
    assert [pair for pair in named if int(pair[0]) != int(pair[1])] == []
