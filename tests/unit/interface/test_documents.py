import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.interface.documents import document, encode
from thinmesh.kernel.errors import Example, Violation
from thinmesh.kernel.page import Page


@dataclass(frozen=True, slots=True)
class Inner:
    when: datetime
    where: Path
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    inner: Inner
    counts: dict[str, tuple[int, ...]] = field(default_factory=dict)


def test_results_become_documents_by_their_field_names():
    result = Outer("a", Inner(datetime(2013, 1, 2, tzinfo=UTC), Path("x/y"), frozenset({"b", "a"})), {"t": (1, 2)})
    assert document(result) == {
        "name": "a",
        "inner": {"when": "2013-01-02T00:00:00.000000Z", "where": "x/y", "tags": ["a", "b"]},
        "counts": {"t": [1, 2]},
    }


def test_what_renders_itself_is_asked():
    violation = Violation("is not a number", "type", examples=(Example(17, "abc", 6),))
    assert document([violation])[0]["examples"] == [{"line": 17, "value": "abc", "position": 6}]


def test_a_page_has_items_and_next():
    assert document(Page(({"a": 1},), "c")) == {"items": [{"a": 1}], "next": "c"}


def test_an_unknown_object_is_our_fault_and_said():
    with pytest.raises(TypeError, match="object has no JSON document"):
        document(object())


def test_a_result_is_written_as_its_document_says():
    result = {"o": Outer("a", Inner(datetime(2013, 1, 2, tzinfo=UTC), Path("x"), frozenset("ba")), {"t": (1, 2)})}
    results = [result, Page((result, {"v": Violation("is wrong", "type", examples=(Example(17, "abc", 6),))}), "c")]
    assert json.loads(encode(results)) == document(results)


@given(st.dictionaries(st.text(), st.text(st.characters())))
def test_every_text_can_be_sent(found):
    encode(found).decode("utf-8")
