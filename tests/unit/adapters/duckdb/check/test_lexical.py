"""The quick guards beside DuckDB's casts against the written forms: texts that differ from a good one in two places."""

from __future__ import annotations

from itertools import combinations, product

import duckdb
import pytest

from thinmesh.adapters.duckdb.check import lexical
from thinmesh.kernel.contract import Column

_ANY = [chr(code) for code in range(1, 128)]
_TELLING = " \t\n-+:/.TZ_eE0246x"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"
# By type: the form (INTERFACE, *CSV*), DuckDB's type, what else must hold of its value, and good texts.
_FORMS = {
    "integer": ("-?[0-9]+", "BIGINT", "TRUE", ("12", "-7", "9223372036854775807")),
    "number": (
        "-?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?|NaN|-?Infinity",
        "DOUBLE",
        "(isfinite(value) OR text IN ('NaN', 'Infinity', '-Infinity'))",
        ("12.5", "5.", "-.5E+10", "1e308", "NaN", "-Infinity"),
    ),
    "boolean": ("(?i:true|false)", "BOOLEAN", "TRUE", ("true", "False")),
    "date": (_DAY, "DATE", "text >= '0001'", ("2024-02-29", "0001-01-01")),
    "timestamp": (
        f"{_DAY}[T ]{_CLOCK}",
        "TIMESTAMP",
        "text >= '0001'",
        ("2024-11-21T10:11:12", "2024-11-21 23:59:59", "2024-11-21T20:30", "2024-11-21T22:30:10.125"),
    ),
}


@pytest.mark.parametrize("kind", _FORMS)
def test_a_guard_takes_exactly_the_written_form_with_the_value_of_the_cast(kind: str) -> None:
    form, type_, also, good = _FORMS[kind]
    texts = sorted({text for one in good for text in _near(one)})
    cast = f"SELECT text, TRY_CAST(text AS {type_}) AS value FROM (SELECT unnest(?::VARCHAR[]) AS text)"
    wanted = f"CASE WHEN regexp_full_match(text, '{form}') AND {also} THEN value END"
    differing = (
        f"SELECT text FROM ({cast}) WHERE {lexical.value(Column('any', kind), 'text')} IS DISTINCT FROM {wanted}"
    )
    with duckdb.connect() as connection:
        assert connection.execute(differing, [texts]).fetchall() == []
        taken = connection.execute(f"SELECT count(*) FROM ({cast}) WHERE {wanted} IS NOT NULL", [texts]).fetchone()
    assert taken
    assert taken[0] > len(good), "the forms take nothing near the good texts"


def _near(text: str) -> list[str]:
    """Give a text with one character replaced, put in or left out, and with two telling ones replaced."""
    found = [text]
    for place in range(len(text)):
        found += [text[:place] + one + text[place + 1 :] for one in _ANY]
        found += [text[:place] + one + text[place:] for one in _ANY]
        found.append(text[:place] + text[place + 1 :])
    found += [text + one for one in _ANY] + [one + text + one for one in _ANY]
    for first, second in combinations(range(len(text)), 2):
        for one, other in product(_TELLING, repeat=2):
            found.append(text[:first] + one + text[first + 1 : second] + other + text[second + 1 :])
    return found
