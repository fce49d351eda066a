"""The words that occur in products, kept so that one with a slip in it finds what was meant.

A word stands under its beginning, and under its beginning with one or two letters left out. What was typed is cut in
the same way: whatever differs from a word by a letter or two meets it under one of these, by look-ups alone (ADR 22).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import combinations

from thinmesh.kernel.database import Transaction

from .words import spelled

_HEAD = 7  # letters that are cut; slips behind them need no cut
_LONG = 8  # letters from which two slips are forgiven
_CANDIDATES = 200
_BEGUN = 32

SPELLING_SCHEMA = (
    """CREATE TABLE product_spellings (slip TEXT NOT NULL, word TEXT NOT NULL, PRIMARY KEY (slip, word))
       WITHOUT ROWID""",
)
# Fills the table out of the words of the index: for a home of an older release, and after a rebuild.
SPELLING_FILL = (
    "DELETE FROM product_spellings",
    "CREATE VIRTUAL TABLE product_terms USING fts5vocab (product_words, row)",
    "CREATE TEMP TABLE terms AS SELECT term AS word, substr(term, 1, 7) AS head, length(term) AS letters"
    " FROM product_terms WHERE length(term) BETWEEN 4 AND 24 AND term NOT GLOB '*[0-9]*'",
    "DROP TABLE product_terms",
    "CREATE TEMP TABLE places AS WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 7)"
    " SELECT i FROM n",
    "INSERT OR IGNORE INTO product_spellings SELECT head, word FROM terms",
    "INSERT OR IGNORE INTO product_spellings SELECT substr(head, 1, i - 1) || substr(head, i + 1), word"
    " FROM terms JOIN places ON i <= length(head)",
    "INSERT OR IGNORE INTO product_spellings"
    " SELECT substr(head, 1, a.i - 1) || substr(head, a.i + 1, b.i - a.i - 1) || substr(head, b.i + 1), word"
    " FROM terms JOIN places a JOIN places b ON a.i < b.i AND b.i <= length(head) WHERE letters >= 8",
    "DROP TABLE terms",
    "DROP TABLE places",
)


def learn(tx: Transaction, texts: Iterable[str]) -> None:
    """Keep the words of a product that are not known yet. None is forgotten before a rebuild: it finds nothing then."""
    words = spelled(" ".join(texts))
    new = tx.all(
        f"""SELECT value AS word FROM json_each(:words) WHERE NOT EXISTS
            (SELECT 1 FROM product_spellings WHERE slip = substr(value, 1, {_HEAD}) AND word = value)""",
        {"words": json.dumps(sorted(words), ensure_ascii=False)},
    )
    if new:
        rows = [{"slip": slip, "word": row["word"]} for row in new for slip in slips(row["word"])]
        tx.execute_many("INSERT OR IGNORE INTO product_spellings (slip, word) VALUES (:slip, :word)", rows)


def slips(word: str) -> set[str]:
    """Cut the beginning of a word: as it is, and with each letter, in longer words each two, left out."""
    head = word[:_HEAD]
    kept = range(len(head) - (2 if len(word) >= _LONG else 1), len(head) + 1)
    return {"".join(some) for count in kept for some in combinations(head, count)}


def meant(tx: Transaction, word: str, begun: bool) -> list[str]:
    """Give known words that somebody may have meant who typed `word`, the nearest first.

    With `begun` it may be the beginning of one. Words under four letters are as they are.
    """
    if not 4 <= len(word) <= 24 or not word.isalpha():
        return []
    rows = tx.all(
        f"""SELECT DISTINCT word FROM product_spellings WHERE slip IN (SELECT value FROM json_each(:slips))
            AND length(word) BETWEEN :shortest AND :longest LIMIT {_CANDIDATES}""",
        {
            "slips": json.dumps(sorted(slips(word)), ensure_ascii=False),
            "shortest": len(word) - 2,
            "longest": 24 if begun else len(word) + 2,
        },
    )
    found = []
    for row in rows:
        away = _away(word, row["word"], begun)
        if away is not None:
            found.append((away, row["word"]))
    return [each for _, each in sorted(found)]


def beginning(tx: Transaction, word: str) -> list[str]:
    """Give some known words that begin with `word`."""
    rows = tx.all(
        f"""SELECT DISTINCT word FROM product_spellings WHERE slip >= :head AND slip < :head || :last
            AND word >= :word AND word < :word || :last LIMIT {_BEGUN}""",
        {"head": word[:_HEAD], "word": word, "last": "\U0010ffff"},
    )
    return [row["word"] for row in rows]


def _away(typed: str, word: str, begun: bool) -> tuple[int, bool, bool] | None:
    """Tell how far a word is from what was typed; None where it is too far to be meant."""
    forgiven = 2 if min(len(typed), len(word)) >= _LONG else 1
    away = distance(typed, word, forgiven)
    if away <= forgiven:
        return (away, typed[0] != word[0], False)
    if begun and len(word) > len(typed):
        away = distance(typed, word[: len(typed)], 1)
        if away <= 1:
            return (away, typed[0] != word[0], True)
    return None


def distance(one: str, other: str, most: int) -> int:
    """Count letters that are missing, too many, other ones, or swapped; `most + 1` where there are more than `most`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(*row, *last) > most:
            return most + 1
        before, last = last, row
    return min(last[-1], most + 1)
