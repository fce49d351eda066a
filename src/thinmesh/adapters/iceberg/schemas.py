"""Contracts as Iceberg schemas: the field ids are the columns' own."""

from __future__ import annotations

from collections.abc import Collection

from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    LongType,
    NestedField,
    PrimitiveType,
    StringType,
    TimestampType,
    TimestamptzType,
    TimeType,
)

from thinmesh.kernel.contract import Column, Table


def iceberg_type(column: Column) -> PrimitiveType:
    """Give the Iceberg type of a column (INTERFACE, *SQL*)."""
    if column.decimal:
        return DecimalType(*column.decimal)
    if column.zoned:
        return TimestamptzType()
    return {
        "integer": LongType(),
        "number": DoubleType(),
        "boolean": BooleanType(),
        "date": DateType(),
        "time": TimeType(),
        "timestamp": TimestampType(),
    }.get(column.logical_type, StringType())


def first_schema(table: Table, full: Collection[int] | None) -> Schema:
    """Write the schema of a new table.

    `full` are the field ids without a null in any file that comes in (None: no file comes in): a column is required
    only where the contract says so and the data bears it out.
    """
    return Schema(*(_field(column, column.required and _is_full(column, full)) for column in table.columns))


def next_schema(table: Table, present: Schema, full: Collection[int] | None) -> Schema | None:
    """Write the schema of a table that has `present` now: that one where it fits, None where no way leads from it.

    A column that was optional stays so: Iceberg knows no way back.
    """
    known = {field.field_id: field for field in present.fields}
    fields = []
    for column in table.columns:
        old = known.get(column.id)
        if old is not None and not _readable_as(old.field_type, iceberg_type(column)):
            return None
        was_required = old is not None and old.required
        fields.append(_field(column, was_required and column.required and _is_full(column, full)))
    if tuple(fields) == present.fields:
        return present
    return Schema(*fields, schema_id=present.schema_id + 1)


def _field(column: Column, required: bool) -> NestedField:
    return NestedField(column.id, column.name, iceberg_type(column), required=required, doc=column.description)


def _is_full(column: Column, full: Collection[int] | None) -> bool:
    return full is None or column.id in full


def _readable_as(old: IcebergType, new: IcebergType) -> bool:
    """Tell whether Iceberg reads data of one type as another; of all its promotions only decimals occur here."""
    if isinstance(old, DecimalType) and isinstance(new, DecimalType):
        return bool(old.scale == new.scale and old.precision <= new.precision)
    return bool(old == new)
