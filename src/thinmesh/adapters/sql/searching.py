"""Finding products by words, filters and use. What it costs is bounded, however many products match (ADR 22)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from thinmesh.kernel.database import Row, Transaction
from thinmesh.planes.product.model import FACETS, Corrected, Facet, Found, Sought

from .spelling import beginning, meant
from .words import forms, telling, typed

_SHOW = """SELECT p.rowid AS id, p.name, p.domain, p.owner, p.access, p.status, p.version, p.description, p.tags,
    p.publication, p.published, p.changed"""
_SUMMARY = f"{_SHOW} FROM products p"
_ROWS = "FROM json_each(:rows) CROSS JOIN products p ON p.rowid = value"
# name, domain, owner, description, tags, columns, readme
_RANK = "bm25(product_words, 8.0, 3.0, 3.0, 3.0, 2.0, 1.5, 0.2)"
_COUNTED = 2_000  # matches that facets count
_SHOWN = 20  # values of a facet
_FEW = 50  # finds with all words; where there are less, those with some of the words are weighed beside them
_WHOLE = 1.7  # what having all words is worth, without those of the README
_PART = 0.3  # of the best score: what a find that lacks words must reach
_ANYWAY = 10  # the best, that need not
_WEIGHED = 200  # of the best by their words, those that use is weighed for
_USE = 0.15  # what the most used product gains on one that nobody reads
_MENDED = 6  # words that a slip may mean, looked at


@dataclass
class _Query:
    """What is asked for, as FTS5 takes it.

    `rare` are the terms that few enough products have to be weighed, with how many have them. `lost`: a word of it
    is in no product.
    """

    words: list[str]
    terms: list[str] = field(default_factory=list)
    rare: list[tuple[int, str]] = field(default_factory=list)
    corrected: list[Corrected] = field(default_factory=list)
    lost: bool = False

    @property
    def all(self) -> str:
        return "" if self.lost else " AND ".join(self.terms)


class Search:
    """One search, in one transaction. `most` is the number of products that are ranked."""

    def __init__(self, tx: Transaction, sought: Sought, most: int) -> None:
        self._tx = tx
        self._sought = sought
        self._most = most
        self._where, self._values = _filter(sought)
        self._narrow = _narrowing(sought)

    def page(self, limit: int, offset: int, top: int | None) -> Found:
        """Give up to `limit` finds after the first `offset`, of products up to the row `top` (None: all there are)."""
        row = self._tx.one("SELECT max(rowid) AS top FROM products")
        newest = (row["top"] if row else None) or 0
        self._values["top"] = newest if top is None else min(top, newest)
        words = typed(self._sought.words)
        if not words:
            # Of what has no word in it, as "?!", nothing is known.
            return Found((), newest) if self._sought.words.strip() else self._browsed(limit, offset)
        if len(words) == 1 and len(words[0]) == 1:
            return self._begun_by(words[0], limit, offset)
        return self._found(self._query(words), limit, offset)

    # Without words --------------------------------------------------------------------------------------------

    def _browsed(self, limit: int, offset: int) -> Found:
        order = "p.rowid DESC" if self._sought.sort == "newest" else "p.name"
        items = self._rows(
            f"{_SUMMARY} WHERE {self._where} ORDER BY {order} LIMIT :limit OFFSET :offset", limit, offset
        )
        return Found(items, self._values["top"], (), self._facets(None))

    def _begun_by(self, letter: str, limit: int, offset: int) -> Found:
        """One letter is the beginning of a name, or a word of its own."""
        self._values |= {"after": letter, "until": letter + "\U0010ffff", "match": f'"{letter}"{self._narrow}'}
        some = f"""SELECT rowid FROM products WHERE name >= :after AND name < :until LIMIT {_COUNTED}"""
        word = f"SELECT rowid FROM product_words WHERE product_words MATCH :match LIMIT {self._most}"
        both = f"SELECT * FROM ({some}) UNION SELECT * FROM ({word})"
        items = self._rows(
            f"""{_SUMMARY} WHERE p.rowid IN ({both}) AND {self._where}
                ORDER BY (p.name >= :after AND p.name < :until) DESC, p.name LIMIT :limit OFFSET :offset""",
            limit,
            offset,
        )
        return Found(items, self._values["top"], (), self._facets(both))

    # With words -----------------------------------------------------------------------------------------------

    def _query(self, words: list[str]) -> _Query:
        query = _Query(words)
        told = telling(words)
        open_end = bool(self._sought.words) and not self._sought.words[-1].isspace()
        for position, word in enumerate(told):
            self._add(query, word, open_end and position == len(told) - 1 and word == words[-1])
        query.words = told
        return query

    def _add(self, query: _Query, word: str, begun: bool) -> None:
        """Add a word: as it is written; else as the beginning of one; else as what it may be a slip of."""
        term, count = self._begun(word) if begun else self._whole(word)
        if not count and len(word) > 1 and not begun:
            term, count = self._begun(word)
        if not count:
            term, count = self._mended(query, word, begun)
        if not count:
            query.lost = True
            return
        query.terms.append(term)
        if count <= self._most:
            query.rare.append((count, term))

    def _mended(self, query: _Query, word: str, begun: bool) -> tuple[str, int]:
        best: tuple[int, str, str] = (0, "", "")
        for candidate in meant(self._tx, word, begun)[:_MENDED]:
            term, count = self._whole(candidate)
            if count > best[0]:
                best = (count, term, candidate)
        if best[0]:
            query.corrected.append(Corrected(word, best[2]))
        return best[1], best[0]

    def _whole(self, word: str) -> tuple[str, int]:
        term = _any(forms(word))
        return term, self._count(term)

    def _begun(self, word: str) -> tuple[str, int]:
        """Give what a word may be the beginning of.

        FTS5 keeps lists for two and three letters, and goes through them as far as it must; for more letters it first
        puts one together of all products, which is only done where they are few.
        """
        if len(word) > 3:
            term, count = self._whole(word)
            if count > self._most:
                return term, count
            term = _any([*forms(word), *beginning(self._tx, word)])
            count = self._count(term)
            if count > self._most:
                return term, count
        term = _any(forms(word), word if len(word) > 1 else None)
        return term, self._count(term)

    def _count(self, term: str) -> int:
        row = self._tx.one(
            """SELECT count(*) AS found FROM
               (SELECT 1 FROM product_words WHERE product_words MATCH :query LIMIT :most + 1)""",
            {"query": term, "most": self._most},
        )
        return row["found"] if row else 0

    def _found(self, query: _Query, limit: int, offset: int) -> Found:
        strict = self._matches(query.all) if query.all else []
        if len(strict) > self._most:
            items = self._of_many(query, limit, offset)
            facets = self._facets(self._matching(query.all))
        else:
            ordered = self._ranked(query, strict)
            if self._sought.sort != "relevance":
                ordered = self._sorted(ordered)
            items, facets = self._summaries(ordered[offset : offset + limit]), self._facets_of(ordered)
        return Found(items, self._values["top"], tuple(query.corrected), facets)

    def _matches(self, query: str) -> list[int]:
        """Give the rows that match and pass the filter, one more than are ranked at most."""
        rows = self._tx.all(f"{self._matching(query)} LIMIT {self._most + 1}", self._values)
        return [row["rowid"] for row in rows]

    def _matching(self, query: str) -> str:
        """Write the statement that gives the rows of a query. Its filter needs the products only where there is one."""
        self._values["match"] = f"({query}){self._narrow}"
        if not self._sought.filtered:
            return "SELECT w.rowid FROM product_words w WHERE product_words MATCH :match AND w.rowid <= :top"
        return f"""SELECT w.rowid FROM product_words w CROSS JOIN products p ON p.rowid = w.rowid
            WHERE product_words MATCH :match AND {self._where}"""

    def _matching_names(self, query: str) -> str:
        """Write the statement that gives the rows with all of a query in their name."""
        if self._sought.filtered:
            return self._matching(f"name : ({query})")
        self._values["match"] = query
        return "SELECT w.rowid FROM product_names w WHERE product_names MATCH :match AND w.rowid <= :top"

    def _ranked(self, query: _Query, strict: Sequence[int]) -> list[int]:
        """Order rows by how well the words fit, and a little by use. Words that very many have tell nothing."""
        if not query.terms:
            return []
        rare = [term for _, term in sorted(query.rare)]
        if len(query.terms) + query.lost < 2 or not rare:
            return self._weighed(query, self._scores(" AND ".join(rare or query.terms), strict))
        some = self._weighable(query)
        if len(strict) >= _FEW and len(some) < len(query.terms):
            return self._weighed(query, self._scores(" AND ".join(rare), strict))
        # A README may have all words by the way, where other products are about most of them.
        match, had = " OR ".join(some), set(strict)
        about = self._matches(f"- readme : ({query.all})") if had else ()
        scores = self._scores(match, {*self._matches(match)[: self._most], *had}, set(about))
        least = scores[0][0] * _PART if scores else 0.0
        kept = [each for place, each in enumerate(scores) if place < _ANYWAY or each[1] in had or each[0] <= least]
        return self._weighed(query, kept)

    def _weighable(self, query: _Query) -> list[str]:
        """Give the rarest terms, as many as few enough products have together, and one at least."""
        found: list[str] = []
        together = 0
        for count, term in sorted(query.rare):
            together += count
            if found and together > self._most:
                break
            found.append(term)
        return found

    def _scores(self, match: str, rows: Collection[int], about: Collection[int] = ()) -> list[tuple[float, int]]:
        """Give (score, row), the best first: the least score is the best."""
        wanted = set(rows)
        found = self._tx.all(
            f"SELECT rowid, {_RANK} AS score FROM product_words WHERE product_words MATCH :match", {"match": match}
        )
        return sorted(
            (row["score"] * (_WHOLE if row["rowid"] in about else 1), row["rowid"])
            for row in found
            if row["rowid"] in wanted
        )

    def _weighed(self, query: _Query, scores: Sequence[tuple[float, int]]) -> list[int]:
        """Order by score (the least is the best), use and the whole name being what was typed."""
        best = [row for _, row in scores[:_WEIGHED]]
        found = self._tx.all(
            f"""SELECT p.rowid AS id, p.name, p.status, u.weight {_ROWS}
                LEFT JOIN product_use u ON u.product = p.name""",
            {"rows": json.dumps(best)},
        )
        facts = {row["id"]: row for row in found}
        whole = "_".join(query.words)

        def order(scored: tuple[float, int]) -> tuple[bool, float, int]:
            score, row = scored
            fact = facts[row]
            worth = (1 + _USE * (fact["weight"] or 0.0)) * (0.5 if fact["status"] == "deprecated" else 1)
            return (fact["name"] != whole, score * worth, row)

        return [row for _, row in sorted(scores[:_WEIGHED], key=order)] + [row for _, row in scores[_WEIGHED:]]

    def _of_many(self, query: _Query, limit: int, offset: int) -> list[dict[str, Any]]:
        """Give finds where more match than can be ranked while somebody waits.

        Those with the words in their name come first where they are few enough, the shortest first, then the newest.
        """
        sort = self._sought.sort
        if sort == "name":
            matching = self._matching(query.all)
            return self._rows(
                f"{_SUMMARY} WHERE p.rowid IN ({matching}) ORDER BY p.name LIMIT :limit OFFSET :offset", limit, offset
            )
        first = self._named(query) if sort == "relevance" else []
        shown = self._summaries(first[offset : offset + limit])
        if len(shown) < limit:
            shown += self._newest(query, first, limit - len(shown), max(0, offset - len(first)))
        return shown

    def _named(self, query: _Query) -> list[int]:
        """Give rows whose name has the words or begins with them, the shortest first, unless they are too many."""
        rows = self._tx.all(
            f"""SELECT p.rowid AS rowid FROM products p WHERE p.name >= :whole AND p.name < :whole || :last
                AND {self._where} LIMIT {self._most + 1}""",
            {**self._values, "whole": "_".join(query.words), "last": "\U0010ffff"},
        )
        rows += self._tx.all(f"{self._matching_names(query.all)} LIMIT {self._most + 1}", self._values)
        named = {row["rowid"] for row in rows}
        return self._by_length(list(named)) if len(named) <= self._most else []

    def _newest(self, query: _Query, without: Sequence[int], limit: int, offset: int) -> list[dict[str, Any]]:
        rows = self._tx.all(
            f"""{self._matching(query.all)} AND w.rowid NOT IN (SELECT value FROM json_each(:without))
                ORDER BY w.rowid DESC LIMIT :limit OFFSET :offset""",
            {**self._values, "without": json.dumps(without), "limit": limit, "offset": offset},
        )
        return self._summaries([row["rowid"] for row in rows])

    def _by_length(self, rows: Sequence[int]) -> list[int]:
        found = self._tx.all(
            f"""SELECT p.rowid AS id {_ROWS} LEFT JOIN product_use u ON u.product = p.name
                ORDER BY length(p.name) * (1 - {_USE} * COALESCE(u.weight, 0)), p.name""",
            {"rows": json.dumps(rows)},
        )
        return [row["id"] for row in found]

    def _sorted(self, rows: Sequence[int]) -> list[int]:
        order = "p.rowid DESC" if self._sought.sort == "newest" else "p.name"
        found = self._tx.all(
            f"SELECT p.rowid AS id {_ROWS} ORDER BY {order}",
            {"rows": json.dumps(rows)},
        )
        return [row["id"] for row in found]

    # What is shown --------------------------------------------------------------------------------------------

    def _summaries(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        if not rows:
            return []
        found = self._tx.all(f"{_SHOW} {_ROWS}", {"rows": json.dumps(list(rows))})
        by_row = {row["id"]: row for row in found}
        return [summary(by_row[row]) for row in rows if row in by_row]

    def _rows(self, sql: str, limit: int, offset: int) -> list[dict[str, Any]]:
        found = self._tx.all(sql, {**self._values, "limit": limit, "offset": offset})
        return [summary(row) for row in found]

    def _facets_of(self, rows: Sequence[int]) -> Mapping[str, Sequence[Facet]] | None:
        if not self._sought.facets:
            return None
        self._values["rows"] = json.dumps(list(rows[:_COUNTED]))
        return self._facets("SELECT value AS rowid FROM json_each(:rows)")

    def _facets(self, some: str | None) -> Mapping[str, Sequence[Facet]] | None:
        """Count the values that the finds have; of very many finds the first alone, and then it is at least so many."""
        if not self._sought.facets:
            return None
        source = "products p"
        tagged = f"product_tags t CROSS JOIN products p ON p.name = t.product WHERE {self._where}"
        if not self._sought.filtered:
            tagged = "product_tags t"  # those of retired products are gone
        if some:
            source = f"(SELECT rowid AS id FROM ({some}) LIMIT {_COUNTED}) CROSS JOIN products p ON p.rowid = id"
            tagged = f"{source} CROSS JOIN product_tags t ON t.product = p.name WHERE {self._where}"
        counts: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
        rows = self._tx.all(
            f"""SELECT p.domain, p.owner, p.access, p.status, count(*) AS n FROM {source} WHERE {self._where}
                GROUP BY 1, 2, 3, 4""",
            self._values,
        )
        for row in rows:
            for name in ("domain", "owner", "access", "status"):
                counts[name][row[name]] += row["n"]
        for row in self._tx.all(f"SELECT t.tag, count(*) AS n FROM {tagged} GROUP BY 1", self._values):
            counts["tag"][row["tag"]] = row["n"]
        total = sum(counts["access"].values())
        exact = some is None or total < _COUNTED
        return {name: _values(found, exact) for name, found in counts.items()}


def _values(counts: Counter[str], exact: bool) -> list[Facet]:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [Facet(value, count, exact) for value, count in ordered[:_SHOWN]]


def _any(words: Sequence[str], begun: str | None = None) -> str:
    """Write as FTS5 takes it: any of some words, or what begins with one."""
    each = [f'"{word}"' for word in words]
    if begun:
        each.append(f'"{begun}"*')
    return f"({' OR '.join(each)})"


def _filter(sought: Sought) -> tuple[str, dict[str, Any]]:
    where, values = ["p.status <> 'retired'", "p.rowid <= :top"], {}
    for name in ("domain", "owner", "access", "status"):
        if (value := getattr(sought, name)) is not None:
            where.append(f"p.{name} = :{name}")
            values[name] = value
    if sought.tag is not None:
        where.append("EXISTS (SELECT 1 FROM product_tags WHERE tag = :tag AND product = p.name)")
        values["tag"] = sought.tag
    return " AND ".join(where), values


def _narrowing(sought: Sought) -> str:
    """Write what a filter needs at least in the words of a product: few rows are then looked at one by one."""
    found = []
    for column, value in (("domain", sought.domain), ("owner", sought.owner), ("tags", sought.tag)):
        words = " ".join(typed(value or ""))
        if words:
            found.append(f' AND {column} : "{words}"')
    return "".join(found)


def summary(row: Row | Mapping[str, Any]) -> dict[str, Any]:
    """Give a row of the index as lists show it."""
    found = dict(row)
    found.pop("id", None)
    return {**found, "tags": json.loads(found["tags"])}
