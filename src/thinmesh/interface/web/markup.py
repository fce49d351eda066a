"""Texts of people as HTML, whom nobody vouches for: READMEs, and what a search found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

_LONGEST = 200_000  # characters shown; the file itself may be longer
_SHORT = 10_000  # characters of one that is kept rendered, for it is looked at again and again
_DEEPER = 2  # its headings stand below one of the page
_TAGS = set(
    "a abbr b blockquote br code dd del details dl dt em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s strong sub summary "
    "sup table tbody td th thead tr ul".split()
)
_ATTRIBUTES = {"a": {"href", "title"}, "th": {"align"}, "td": {"align"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
_PARSER = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])

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


def readme(text: str) -> Markup:
    """Render Markdown; nothing in it can run, load anything from elsewhere, or look like a part of the page.

    Pictures are left out: they would tell another host who looks.
    """
    return _remembered(text) if len(text) <= _SHORT else _rendered(text)


def _rendered(text: str) -> Markup:
    tokens = _PARSER.parse(text[:_LONGEST])
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + _DEEPER, 6)}"
    made = _PARSER.renderer.render(tokens, _PARSER.options, {})
    clean = nh3.clean(
        made, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel="noopener noreferrer nofollow"
    )
    return Markup(clean)  # noqa: S704  # cleaned in the line above


_remembered = lru_cache(maxsize=256)(_rendered)
