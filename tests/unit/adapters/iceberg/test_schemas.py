"""Contracts as Iceberg schemas, and which change keeps a table."""

from __future__ import annotations

import pytest

from thinmesh.adapters.iceberg.schemas import first_schema, iceberg_type, next_schema
from thinmesh.kernel.contract import Column, Table


def table(*columns: Column) -> Table:
    return Table("t", columns)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (Column("c", "string"), "string"),
        (Column("c", "integer", "INTEGER"), "long"),
        (Column("c", "number"), "double"),
        (Column("c", "number", "decimal(12)"), "decimal(12, 0)"),
        (Column("c", "boolean"), "boolean"),
        (Column("c", "date"), "date"),
        (Column("c", "time"), "time"),
        (Column("c", "timestamp"), "timestamp"),
        (Column("c", "timestamp", options={"timezone": True}), "timestamptz"),
        (Column("c", "object"), "string"),
        (Column("c", "array"), "string"),
    ],
)
def test_every_type_of_a_contract_has_one_of_iceberg(column, kind):
    assert str(iceberg_type(column)) == kind


def test_field_ids_names_and_descriptions_are_the_columns():
    schema = first_schema(table(Column("b", id=9, description="The b."), Column("a", "integer", id=2)), None)
    assert [(f.field_id, f.name, f.doc) for f in schema.fields] == [(9, "b", "The b."), (2, "a", None)]


@pytest.mark.parametrize(
    ("old", "new", "keeps"),
    [
        ("DECIMAL(9,2)", "DECIMAL(12,2)", True),
        ("DECIMAL(9,2)", "DECIMAL(9,2)", True),
        ("DECIMAL(9,2)", "DECIMAL(8,2)", False),
        ("DECIMAL(9,2)", "DECIMAL(12,3)", False),
        ("DECIMAL(9,2)", None, False),
    ],
)
def test_a_decimal_may_only_gain_digits_in_front(old, new, keeps):
    present = first_schema(table(Column("c", "number", old, id=1)), None)
    assert (next_schema(table(Column("c", "number", new, id=1)), present, None) is not None) == keeps


def test_an_integer_that_becomes_a_number_needs_a_new_table():
    present = first_schema(table(Column("c", "integer", id=1)), None)
    assert next_schema(table(Column("c", "number", id=1)), present, None) is None


def test_the_same_contract_is_the_same_schema():
    columns = table(Column("c", "integer", id=1, required=True))
    present = first_schema(columns, None)
    assert next_schema(columns, present, None) is present


def test_a_rename_keeps_the_field():
    present = first_schema(table(Column("old", "integer", id=1)), None)
    renamed = next_schema(table(Column("new", "integer", id=1)), present, None)
    assert renamed is not None
    assert [(f.field_id, f.name) for f in renamed.fields] == [(1, "new")]
    assert renamed.schema_id == present.schema_id + 1


def test_a_required_column_whose_data_has_nulls_is_optional_and_stays_so():
    required = table(Column("c", "integer", id=1, required=True))
    assert first_schema(required, {1}).fields[0].required
    optional = first_schema(required, set())
    assert not optional.fields[0].required
    assert next_schema(required, optional, {1}) is optional
