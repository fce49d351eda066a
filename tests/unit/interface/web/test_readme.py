"""READMEs become HTML at a bounded cost, whatever somebody wrote."""

from __future__ import annotations

import time
from html import unescape
from pathlib import Path

import pytest

from thinmesh.interface.web.markup import readme

LONGEST = 200_000
# Texts that are nothing but what a parser of Markdown has to look at again and again.
COSTLY = {
    "brackets": "[",
    "pictures": "![",
    "brackets in lines": "[\n",
    "links that do not end": "[a](<b",
    "references": "[a][b",
    "notes": "[^",
    "code in brackets": "[`",
    "emphasis": "*a_ ",
    "emphasis in emphasis": "**a *b ",
    "emphasis at ends": "a**b",
    "struck": "~~a ",
    "backticks": "`a``",
    "angles": "<",
    "comments": "<!--",
    "addresses": "<a@b.cc>",
    "entities": "&",
    "escapes": "\\[",
    "quotations": "> ",
    "quotations in lines": "> a\n",
    "lists": "- ",
    "lists in lines": "- a\n\n",
    "lists of nothing": "-\n",
    "headings": "# a\n",
    "underlined": "a\n=\n",
    "fences": "```\n",
    "definitions": "[a]: b\n",
    "definitions with open titles": '[a]: /x "b\n',
    "tables": "a|b\n-|-\n",
    "bars": "|a\n",
    "lines": "a\n",
    "breaks": "a  \n",
}
COSTLY = {name: piece * (LONGEST // len(piece)) for name, piece in COSTLY.items()}
COSTLY |= {
    "brackets in brackets": "[" * 100_000 + "]" * 100_000,
    "ever more backticks": "".join("`" * count + " " for count in range(1, 640))[:LONGEST],
    "ever deeper lists": "\n".join("  " * depth + "- a" for depth in range(440)),
    "ever deeper quotations": "\n".join(">" * depth for depth in range(1, 630)),
    "lists in quotations": "\n".join("> - " * depth + "a" for depth in range(1, 310)),
    "lines after a deep quotation": ">" * 20 + " a\n" + "a\n" * 90_000,
    "lines after a wide head": "|".join("a" * 1_000) + "\n" + "|".join("-" * 1_000) + "\n" + "a\n" * 90_000,
    "a table of many columns": "|".join("a" * 30_000) + "\n" + "|".join("-" * 30_000) + "\n" + "a|" * 40_000,
    "a line of words": "word " * 40_000,
    "signs in a line": "\u202e" * LONGEST,
}
# Ten times what is aimed at; unbounded, several of these cost three seconds and more.
MOST = 1.0  # seconds of a processor


@pytest.mark.parametrize("name", COSTLY)
def test_no_readme_costs_much(name):
    began = time.thread_time()
    found = readme(COSTLY[name])
    assert time.thread_time() - began < MOST
    assert len(found) < 10 * LONGEST


@pytest.mark.parametrize("name", ["brackets", "pictures", "tables", "lines after a deep quotation"])
def test_what_is_not_laid_out_is_shown_as_it_was_written(name):
    text = f"# Wind\n\nOne row per hour.\n\n{COSTLY[name]}"[:LONGEST]
    found = readme(text)
    assert found.startswith("<h3>Wind</h3>\n<p>One row per hour.</p>")
    assert "The rest is shown as it was written." in found
    before, _, written = found.partition('<pre class="as-written">')
    assert unescape(written.removesuffix("</pre>")) == text[text.index(COSTLY[name][:5], 20) :]
    assert "<a" not in before


def test_what_is_shown_as_it_was_written_stays_text():
    found = readme("<script>alert(1)</script>&amp;" + "[" * 50_000)
    assert "<script" not in found
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;[[" in found
    assert "takes long to lay out" in found


def test_a_long_link_that_is_named_again_and_again_makes_no_huge_page():
    found = readme(f"[a]: https://example.org/{'x' * 20_000}\n\n" + "[a] " * 1_500)
    assert len(found) < 100_000
    assert "shown as it was written" in found


def test_readmes_of_people_are_laid_out_wholly():
    root = Path(__file__).parents[4]
    pages = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
    assert len(pages) > 20
    for page in pages:
        assert "as it was written" not in readme(page.read_text().replace("as it was written", ""))
