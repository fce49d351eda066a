"""The JSON Schema of `product.json` says of a document what the parser says."""

import json
from importlib import resources

import jsonschema_rs
import pytest
from hypothesis import given

from thinmesh.kernel.contract import LOGICAL_TYPES
from thinmesh.kernel.descriptor_values import ACCESS, MEMBERS, STATUSES
from thinmesh.kernel.documents import canonical, descriptor_document, parse_descriptor
from thinmesh.kernel.errors import Refused
from thinmesh.kernel.names import RESERVED

from .descriptors import documents

SCHEMA = json.loads(resources.files("thinmesh.kernel").joinpath("product.schema.json").read_bytes())
VALID = jsonschema_rs.validator_for(SCHEMA)
LEAST = {"name": "flights", "domain": "aviation", "description": "Departures"}
COLUMN = {"name": "a", "logicalType": "integer"}


def told(**members):
    return {**LEAST, **members}


def table(**members):
    return told(tables={"t": {"columns": [COLUMN], **members}})


def column(**members):
    return told(tables={"t": {"columns": [{"name": "a", **members}]}})


RIGHT = [
    LEAST,
    told(version="1.0.0-rc.1+b", owner="crew", access="request", status="draft", tags=["a b"], custom={"x": [1]}),
    told(slo={"freshness": "PT12H"}, retention="P5Y", inputs=["weather", "a.b"], links={"r": "https://example.org/"}),
    told(deprecated={"successor": "other", "removal": "2030-01-31"}, **{"$schema": "https://example.org/s.json"}),
    told(owner=None, tables=None),
    told(tables={"t": {"columns": {"a": "integer", "b": "string"}}}),
    table(description="d", null=["NA"], primaryKey=["a"], unique=[["a"]], businessName="T"),
    table(references=[{"columns": ["a"], "table": "other.t", "to": ["b"]}]),
    table(quality=[{"metric": "rowCount", "mustBeGreaterThan": 0}], deprecated={"successor": "u"}),
    column(logicalType="string", logicalTypeOptions={"pattern": "^a$", "maxLength": 3}, classification="personal"),
    column(logicalType="number", physicalType="DECIMAL(38,2)", logicalTypeOptions={"minimum": 0.5, "multipleOf": 0.5}),
    column(logicalType="timestamp", logicalTypeOptions={"timezone": True, "minimum": "2020-01-01T00:00:00"}),
    column(logicalType="date", required=True, unique=False, enum=[{"value": "2020-01-01"}]),
    column(x_mine={"anything": 1}),
]
WRONG = [
    {"name": "flights", "domain": "aviation"},
    told(name="Flights"),
    told(name="select"),
    told(domain="1st"),
    told(description=" "),
    told(description=1),
    told(owner="The Crew"),
    told(acess="open"),
    told(access="closed"),
    told(status="retired"),
    told(version="1.0"),
    told(version="01.0.0"),
    told(tags="a"),
    told(tags=[""]),
    told(custom=[]),
    told(slo={"freshness": "1 day"}),
    told(retention="P"),
    told(inputs=["A"]),
    told(links={"r": "example.org"}),
    told(deprecated={"since": "2020-01-01"}),
    told(deprecated={"removal": "soon"}),
    told(tables=[]),
    told(tables={"T": {"columns": [COLUMN]}}),
    told(tables={"t": {}}),
    told(tables={"t": {"columns": []}}),
    told(tables={"t": {"columns": {"a": "int"}}}),
    told(tables={"t": {"columns": {}}}),
    told(tables={"t": {"columns": {"A": "integer"}}}),
    told(tables={"t": {"columns": [{"logicalType": "integer"}]}}),
    table(primaryKey="a"),
    table(unique=["a"]),
    table(references=[{"columns": ["a"], "table": "a.b.c", "to": ["a"]}]),
    table(references=[{"columns": ["a"], "table": "other.t"}]),
    table(quality=[{"type": "sql", "mustBe": 0}]),
    table(quality=[{"type": "custom", "engine": "soda"}]),
    table(primarykey=["a"]),
    column(logicalType="text"),
    column(required="yes"),
    column(logicalType="string", logicalTypeOptions={"minimum": 1}),
    column(logicalType="integer", logicalTypeOptions={"pattern": "a"}),
    column(logicalType="boolean", logicalTypeOptions={"maxLength": 1}),
    column(logicalType="string", logicalTypeOptions={"minLength": -1}),
    column(logicalType="integer", logicalTypeOptions={"multipleOf": 0}),
    column(logicalType="array", logicalTypeOptions={"uniqueItems": "yes"}),
    column(tags=[1]),
    column(transformSourceObjects=[{}]),
    table(tags=[1]),
    column(enum=["a"]),
]


@pytest.mark.parametrize("found", RIGHT, ids=str)
def test_both_take_what_is_right(found):
    parse_descriptor(canonical(found))
    VALID.validate(found)


@pytest.mark.parametrize("found", WRONG, ids=str)
def test_both_refuse_what_is_wrong(found):
    with pytest.raises(Refused):
        parse_descriptor(canonical(found))
    assert not VALID.is_valid(found)


@given(documents)
def test_whatever_the_parser_takes_is_valid_before_and_after(document):
    VALID.validate(json.loads(document))
    descriptor = parse_descriptor(document)
    shown = descriptor_document(
        descriptor, owner="crew", access="open", version="1.0.0", status="active", tables=descriptor.tables
    )
    VALID.validate(json.loads(canonical(shown)))


def test_the_schema_lists_what_the_parser_lists():
    assert set(SCHEMA["properties"]) == set(MEMBERS)
    assert {*SCHEMA["properties"]["access"]["enum"]} == {*ACCESS, None}
    assert {*SCHEMA["properties"]["status"]["enum"]} == {*STATUSES, None}
    assert set(SCHEMA["$defs"]["name"]["not"]["enum"]) == RESERVED
    assert tuple(SCHEMA["$defs"]["logicalType"]["enum"]) == LOGICAL_TYPES


def test_the_schema_is_a_valid_schema():
    jsonschema_rs.meta.validate(SCHEMA)
