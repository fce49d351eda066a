"""The words of a search: what a text is cut into, and the other forms in which a word may stand there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

MOST = 16  # words of a search that count
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_LETTERS = re.compile(r"[^\W\d_]{4,24}", re.UNICODE)
# They say nothing about a product, and stand in most texts.
_EMPTY = frozenset(
    """a an and any are as at be by can do does each every for from had has have how i in into is it its me my of on or
    our per some than that the their there these this those to was we were what when where which who whose why will with
    you your all data dataset datasets table tables product products information list show find get""".split()
)
# How people shorten the words that name columns.
_SHORT = (
    "amt amount",
    "avg average mean",
    "acct account",
    "addr address",
    "cnt count",
    "cust customer client",
    "dept department",
    "desc description",
    "emp employee",
    "hr hour",
    "inv invoice",
    "loc location",
    "max maximum",
    "min minimum",
    "mgr manager",
    "msg message",
    "nbr num number",
    "org organisation organization",
    "pct percent percentage",
    "prev previous",
    "qty quantity",
    "temp temperature",
    "txn transaction",
    "wh warehouse",
    "yr year",
)
_SAME: dict[str, list[str]] = {}
for _line in _SHORT:
    for _each in _line.split():
        _SAME[_each] = [other for other in _line.split() if other != _each]


def typed(text: str) -> list[str]:
    """Cut what somebody typed into its words."""
    return [folded(word) for word in _WORD.findall(text)[:MOST]]


def telling(words: Sequence[str]) -> list[str]:
    """Leave out the words that say nothing, unless there are no others."""
    return [word for word in words if word not in _EMPTY] or list(words)


def spelled(text: str) -> set[str]:
    """Give the words of a text that a slip may be meant for: four letters or more, without digits."""
    return {folded(word) for word in _LETTERS.findall(text)}


def folded(word: str) -> str:
    """Write a word small and without accents, as the index does."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word.lower())
    return "".join(each for each in parts if not unicodedata.combining(each))


def forms(word: str) -> list[str]:
    """Give a word, its singular and its plural, and what it is short for."""
    found = [word, *_SAME.get(word, ())]
    if len(word) > 3 and word.isascii() and word.isalpha():
        found += _numbers(word)
    return list(dict.fromkeys(found))


def _numbers(word: str) -> list[str]:
    if word.endswith("ies"):
        return [word[:-3] + "y"]
    if word.endswith(("sses", "shes", "ches", "xes")):
        return [word[:-2]]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return [word[:-1]]
    if word.endswith("y") and word[-2] not in "aeiou":
        return [word[:-1] + "ies"]
    if word.endswith(("ss", "sh", "ch", "x")):
        return [word + "es"]
    return [word + "s"]
