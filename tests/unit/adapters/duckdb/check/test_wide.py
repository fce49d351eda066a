"""Tables of hundreds and thousands of columns: judged in shares, written as one file, within the check's memory."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from pyarrow import parquet

from thinmesh.adapters.duckdb.check.checker import DuckdbChecker
from thinmesh.adapters.duckdb.check.connection import temporary_faults
from thinmesh.kernel.contract import Column
from thinmesh.kernel.errors import Refused, Temporary
from thinmesh.planes.product.model import CheckJob, TableInput

from .checking import check, counts, places, rows_of, table, uploads

WIDTH = 700
KINDS = {"integer": ("17", 17), "string": ("a,b", "a,b"), "date": ("2020-02-29", date(2020, 2, 29))}
COLUMNS = tuple(Column(f"c{n}", [*KINDS][n % 3]) for n in range(WIDTH))
TEXTS = [KINDS[column.logical_type][0] for column in COLUMNS]
VALUES = tuple(KINDS[column.logical_type][1] for column in COLUMNS)


def csv(*rows, names=COLUMNS):
    lines = [[column.name for column in names], *rows]
    return "".join(
        ",".join(f'"{value}"' if "," in value else value for value in line) + "\n" for line in lines
    ).encode()


def changed(at, value):
    return [value if n == at else text for n, text in enumerate(TEXTS)]


def test_a_wide_file_becomes_one_parquet_in_the_order_of_its_contract():
    contract = table("t", *COLUMNS)
    result = check(csv(*[TEXTS[::-1]] * 3, names=COLUMNS[::-1]), contract)
    assert rows_of(result) == [VALUES] * 3
    (file,) = result.tables[0].files
    assert file.rows == 3


def test_a_wide_table_is_inferred_as_a_narrow_one_is():
    result = check(csv(TEXTS, TEXTS), None)
    assert [column.logical_type for column in result.tables[0].table.columns] == [each.logical_type for each in COLUMNS]
    assert rows_of(result) == [VALUES] * 2


def test_a_wide_parquet_is_read_in_shares_too(tmp_path):
    made = check(csv(TEXTS, TEXTS), table("t", *COLUMNS[::-1]))
    data = made.tables[0].files[0].path.read_bytes()
    assert rows_of(check(data, table("t", *COLUMNS), "t.parquet")) == [VALUES] * 2


@pytest.mark.parametrize("stage", [True, False])
def test_faults_of_all_shares_are_found_at_once(stage):
    rows = [TEXTS, changed(3, "x"), changed(699, "y"), changed(300, "z"), changed(300, "z")]
    result = check(csv(*rows), table("t", *COLUMNS, primary_key=("c1", "c697")), stage=stage)
    assert counts(result) == {
        ("type", "c3"): 1,
        ("type", "c300"): 2,
        ("type", "c699"): 1,
        ("primaryKey", "c1, c697"): 4,
    }
    assert [one.column for one in result.violations][:3] == ["c3", "c300", "c699"]
    assert places(result, "type") == [(3, 4), (5, 301), (6, 301), (4, 700)]


def test_a_fault_of_the_structure_is_found_beside_those_of_the_shares():
    rows = [TEXTS, TEXTS[:-1], changed(600, "x")]
    assert counts(check(csv(*rows), table("t", *COLUMNS))) == {("ragged", None): 1, ("type", "c600"): 1}


def test_row_groups_of_a_wide_table_are_small():
    result = check(csv(*[TEXTS] * 9_000), table("t", *COLUMNS))
    read = parquet.ParquetFile(result.tables[0].files[0].path)
    assert read.metadata.num_rows == 9_000
    assert read.metadata.num_row_groups > 1


def test_thousands_of_columns_are_checked_within_the_memory_of_a_check():
    columns = [Column(f"c{n}", "timestamp") for n in range(2_000)]
    result = check(csv(["2020-01-01T00:00:00"] * 2_000, names=columns), table("t", *columns))
    assert result.ok
    assert result.tables[0].rows == 1


def test_what_needs_more_memory_is_refused_for_trying_again_does_not_help(tmp_path):
    columns = [Column(f"c{n}", "timestamp") for n in range(2_000)]
    files = uploads(tmp_path, {"t.csv": csv(*[["2020-01-01T00:00:00"] * 2_000] * 10, names=columns)})
    (tmp_path / "staging").mkdir()
    job = CheckJob((TableInput("t", table("t", *columns), files),), tmp_path / "staging")
    with pytest.raises(Refused, match="needs more memory") as refused:
        DuckdbChecker(64 << 20, 2).check(job)
    assert not refused.value.retry
    assert not list((tmp_path / "staging").iterdir())


def test_a_check_that_finds_no_room_to_spill_may_be_tried_again(tmp_path):
    connection = duckdb.connect(config={"memory_limit": "20MB", "temp_directory": str(tmp_path / "spill")})
    connection.execute("SET max_temp_directory_size = '1MB'")
    with pytest.raises(Temporary, match="disk is full"), temporary_faults():
        connection.execute("CREATE TABLE t AS SELECT random() AS a FROM range(20_000_000)")
    connection.close()
