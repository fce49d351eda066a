"""Strategies for descriptors: `product.json` documents that are right, and bytes that are not."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from thinmesh.kernel.names import RESERVED

_FIRST = "abcxyz"
_REST = _FIRST + "0129_"
# Words that YAML reads as something else, and characters that a careless writer loses.
_AWKWARD = [
    "no",
    "null",
    "~",
    "2020-01-01",
    "12:30:00",
    "1e5",
    "0x1F",
    "<<",
    "=",
    "a: b",
    "- a",
    "# a",
    "\tä\u2028€",
    "𝄞",
]

names = st.builds(str.__add__, st.sampled_from(_FIRST), st.text(_REST, max_size=8)).filter(lambda n: n not in RESERVED)
texts = st.one_of(st.sampled_from(_AWKWARD), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
sentences = texts.filter(str.strip)
numbers = st.one_of(st.integers(-(10**18), 10**18), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


def _ordered(low: str, high: str, of: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(of, min_size=2, max_size=2).map(lambda pair: dict(zip((low, high), sorted(pair), strict=True)))


_counts = st.integers(0, 1000)
_OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "string": st.one_of(
        _ordered("minLength", "maxLength", _counts),
        st.fixed_dictionaries({"pattern": st.sampled_from(["^[A-Z]{2}$", "a|b", r"\d+"])}),
        st.fixed_dictionaries({"enum": st.lists(texts, min_size=1, max_size=3)}),
    ),
    "integer": _ordered("minimum", "maximum", st.integers(-(10**18), 10**18)),
    "number": _ordered("minimum", "maximum", numbers),
    "timestamp": st.fixed_dictionaries({"timezone": st.booleans()}),
    "date": _ordered("minimum", "maximum", st.dates().map(str)),
    "array": st.fixed_dictionaries({"uniqueItems": st.booleans(), "minItems": _counts}),
    "object": _ordered("minProperties", "maxProperties", _counts),
}
_TYPES = (*_OPTIONS, "boolean", "time")
_QUALITY = st.sampled_from(
    [
        {"type": "library", "metric": "nullValues", "mustBeLessThan": 5, "unit": "percent"},
        {"metric": "rowCount", "mustBeBetween": [1, 10]},
        {"type": "sql", "query": "SELECT count(*) FROM t", "mustBe": 0},
        {"type": "text", "description": "looks right: always"},
        {"type": "custom", "engine": "soda", "implementation": "type: x\nrows: 1\n"},
    ]
)
_CUSTOM = st.builds(lambda name, value: {"property": name, "value": value}, names, values)


@st.composite
def columns(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Draw one column in its long form."""
    kind = draw(st.sampled_from(_TYPES))
    maybe: dict[str, st.SearchStrategy[Any]] = {
        "description": texts,
        "required": st.booleans(),
        "unique": st.booleans(),
        "classification": st.sampled_from(["public", "personal", "5"]),
        "logicalTypeOptions": _OPTIONS.get(kind, st.just({})),
        "quality": st.lists(_QUALITY, max_size=2),
        "businessName": texts,
        "tags": st.lists(texts, max_size=2),
        "examples": st.lists(values, max_size=2),
        "x_unknown": values,
    }
    if kind == "number":
        maybe["physicalType"] = st.sampled_from(["DECIMAL(38,38)", "decimal(5)", "NUMERIC(10, 2)", "double"])
    if draw(st.integers(0, 9)) == 0:  # these load the official models, which takes time once
        maybe["customProperties"] = st.lists(_CUSTOM, max_size=2)
    found = draw(st.fixed_dictionaries({"logicalType": st.just(kind)}, optional=maybe))
    return {"name": name, **found}


@st.composite
def tables(draw: st.DrawFn, others: tuple[str, ...] = ()) -> dict[str, Any]:
    """Draw one table; `others` are products that it may refer to."""
    named = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    some = st.lists(st.sampled_from(named), min_size=1, max_size=3, unique=True)
    if draw(st.booleans()):
        return {"columns": {name: draw(st.sampled_from(_TYPES)) for name in named}}
    found: dict[str, Any] = {"columns": [draw(columns(name)) for name in named]}
    maybe = {
        "description": texts,
        "null": st.lists(texts, max_size=3),
        "primaryKey": some,
        "unique": st.lists(some, max_size=2),
        "quality": st.lists(_QUALITY, max_size=1),
        "deprecated": st.just({"successor": "other", "removal": "2030-01-31"}),
        "dataGranularityDescription": texts,
    }
    found |= draw(st.fixed_dictionaries({}, optional=maybe))
    if others and draw(st.booleans()):
        own = draw(some)
        to = draw(st.lists(names, min_size=len(own), max_size=len(own)))
        found["references"] = [{"columns": own, "table": f"{draw(st.sampled_from(others))}.t", "to": to}]
    return found


@st.composite
def descriptors(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a whole `product.json` that is right."""
    found: dict[str, Any] = {"name": draw(names), "domain": draw(names), "description": draw(sentences)}
    maybe = {
        "version": st.sampled_from(["1.0.0", "2.1.3-rc.1+5"]),
        "owner": names,
        "access": st.sampled_from(["open", "request"]),
        "status": st.sampled_from(["draft", "active", "deprecated"]),
        "tags": st.lists(sentences.map(lambda text: text[:128]).filter(str.strip), max_size=2),
        "custom": st.dictionaries(texts, values, max_size=2),
        "slo": st.just({"freshness": "P1D"}),
        "retention": st.sampled_from(["P5Y", "PT12H"]),
        "inputs": st.lists(names, max_size=2),
        "links": st.just({"runbook": "https://example.org/r"}),
    }
    found |= draw(st.fixed_dictionaries({}, optional=maybe))
    other = f"{found['name'][:20]}_other"
    drawn = draw(st.dictionaries(names, tables(others=(other,)), max_size=2))
    return {**found, "tables": drawn} if drawn else found


documents = descriptors().map(lambda found: json.dumps(found).encode())


@st.composite
def broken(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw a document with some bytes cut out, put in, or exchanged."""
    found = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(found)))
        piece = draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"{", b"]", b'"', b": ", b"\n- ", b"null", b"1e999"]))
        )
        found[at : at + draw(st.integers(0, 6))] = piece
    return bytes(found)


@st.composite
def twisted(draw: st.DrawFn, found: Any) -> Any:
    """Draw a document of the same shape with one value exchanged for any other, or one member added."""
    if isinstance(found, dict) and found and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(found)))
        return {**found, name: draw(twisted(found[name]))}
    if isinstance(found, list) and found and draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(found) - 1))
        return [*found[:at], draw(twisted(found[at])), *found[at + 1 :]]
    if isinstance(found, dict) and draw(st.booleans()):
        return {**found, draw(texts): draw(values)}
    return draw(values)
