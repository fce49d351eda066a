"""Texts of people as HTML, whom nobody vouches for: READMEs, and what a search found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

_LONGEST = 200_000  # characters shown; the file itself may be longer
_SHORT = 10_000  # characters of one that is kept rendered, for it is looked at again and again
_DEEPER = 2  # its headings stand below one of the page
# What rendering costs at most, in microseconds of a processor of 2023, measured with texts that are nothing but these.
# Someone may write any README, and everyone looks at it.
_BUDGET = 60_000
_COSTS = {"[": 20, "]": 7, "!": 12, "*": 8, "_": 8, "~": 8, "`": 5, "<": 4, "&": 4, "(": 3, "\\": 4, "#": 10, "-": 2}
_LINE, _CELL, _QUOTED = 20, 22, 3  # of a line; of a cell of a table; of a line, for each quotation it may be in
_SIGN = 0.05  # of any other
_TAGS = set(
    "a abbr b blockquote br code dd del details dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s strong sub summary "
    "sup table tbody td th thead tr ul".split()
)
_ATTRIBUTES = {"a": {"href", "title"}, "th": {"align"}, "td": {"align"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
_PARSER = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])

_NESTED = 20  # the parser looks no deeper
_BORDER = re.compile(r"\n[ \t]*\n")
_WORD = re.compile(r"([^\W_]+)", re.UNICODE)
_ENDING = re.compile(r"(ies|es|s|y)$")


def marked(text: str, words: Sequence[str]) -> Markup:
    """Mark what words of a search found in a text: words that begin with one, singular or plural."""
    typed = [word.lower() for each in words for word in _WORD.findall(each) if len(word) > 1]
    stems = tuple(word if len(word) < 5 else _ENDING.sub("", word) for word in typed)
    if not stems:
        return escape(text)
    pieces = [escape(piece) for piece in _WORD.split(text)]
    # Every second piece is a word.
    pieces[1::2] = [
        Markup("<mark>{}</mark>").format(piece) if piece.lower().startswith(stems) else piece for piece in pieces[1::2]
    ]
    return Markup("").join(pieces)


def coded(text: str) -> Markup:
    """Set what stands between backticks in a line of ours as code: people copy it."""
    pieces = [escape(piece) for piece in text.split("`")]
    # Every second piece is code; one that no backtick ends is none.
    whole = len(pieces) - (len(pieces) + 1) % 2
    pieces[1:whole:2] = [Markup("<code>{}</code>").format(piece) for piece in pieces[1:whole:2]]
    return Markup("`").join([Markup("").join(pieces[:whole]), *pieces[whole:]])


def readme(text: str) -> Markup:
    """Render Markdown; nothing in it can run, load anything from elsewhere, or look like a part of the page.

    Pictures are left out: they would tell another host who looks.
    """
    return _remembered(text) if len(text) <= _SHORT else _made(text)


def _made(text: str) -> Markup:
    """Render what is affordable, and show the rest as it was written."""
    text = text[:_LONGEST].replace("\r\n", "\n").replace("\r", "\n")
    end = _affordable(text)
    found = _rendered(text[:end])
    if found is None:
        found, end = Markup(), 0
    if end == len(text):
        return found
    what = "The rest is" if end else "This README takes long to lay out, and is"
    return found + Markup(
        '<p class="small soft">{} shown as it was written.</p><pre class="as-written">{}</pre>'
    ).format(what, text[end:])


def _affordable(text: str) -> int:
    """Tell up to where, between two of its blocks, a text can be rendered within the budget."""
    spent, end = 0.0, 0
    for after in (*(border.end() for border in _BORDER.finditer(text)), len(text)):
        spent += _cost(text[end:after])
        if spent > _BUDGET:
            return end
        end = after
    return end


def _cost(block: str) -> float:
    """Reckon what a paragraph, a list or a table may cost, in microseconds."""
    lines = block.splitlines()
    # Each line of a table gets as many cells as its head has, and each after a quotation may belong to it.
    cells = max((line.count("|") for line in lines), default=0) if "-" in block else 0
    quoted = min(max((line.count(">") for line in lines), default=0), _NESTED)
    each = _LINE + _CELL * cells + _QUOTED * quoted
    return len(lines) * each + len(block) * _SIGN + sum(block.count(sign) * cost for sign, cost in _COSTS.items())


def _rendered(text: str) -> Markup | None:
    """Render a text; nothing where a short text names long links again and again, and would become a huge page."""
    tokens = _PARSER.parse(text)
    if sum(_attributes(tokens)) > _LONGEST:
        return None
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + _DEEPER, 6)}"
    made = _PARSER.renderer.render(tokens, _PARSER.options, {})
    clean = nh3.clean(
        made, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel="noopener noreferrer nofollow"
    )
    return Markup(clean)  # noqa: S704  # cleaned in the line above


def _attributes(tokens: Sequence[Token]) -> Iterator[int]:
    """Give the length of every attribute."""
    for token in tokens:
        yield from (len(str(value)) for value in token.attrs.values())
        yield from _attributes(token.children or ())


_remembered = lru_cache(maxsize=256)(_made)
