"""Which columns keep their data out of the shared repository."""

import pytest

from thinmesh.kernel.contract import Column

SSN = {"name": "ssn", "logicalType": "string", "classification": "personal"}
PUBLIC = {"name": "city", "logicalType": "string", "classification": "public"}


def object_of(*properties):
    return {"logicalType": "object", "properties": list(properties)}


def array_of(items):
    return {"logicalType": "array", "items": items}


@pytest.mark.parametrize(
    "below",
    [
        object_of(SSN),
        object_of(PUBLIC, SSN),
        object_of({"name": "a", **object_of(PUBLIC, {"name": "b", **object_of(SSN)})}),
        array_of(SSN),
        array_of(object_of(SSN)),
        array_of(array_of(array_of(object_of(PUBLIC, {"name": "b", **array_of(SSN)})))),
        object_of({"name": "a", "classification": "Highly Confidential"}),
    ],
)
def test_a_column_is_classified_by_what_is_nested_in_it(below):
    assert Column("a", "object", extra=below).classified
    assert Column("a", "object", extra=below, classification="public").classified


@pytest.mark.parametrize(
    "below",
    [{}, object_of(), object_of(PUBLIC), array_of(PUBLIC), array_of(None), {"properties": "personal"}, {"items": 5}],
)
def test_other_columns_are_not(below):
    assert not Column("a", "object", extra=below).classified


def test_nesting_however_deep_and_shared_costs_little():
    deep = SSN
    for _ in range(20_000):
        deep = array_of(deep)
    assert Column("a", "array", extra=deep).classified
    shared = PUBLIC
    for _ in range(200):
        shared = object_of(shared, shared)
    assert not Column("a", "object", extra=shared).classified
