"""Which table a file is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from thinmesh.adapters.duckdb.check.checker import check_files
from thinmesh.adapters.duckdb.check.uploads import group_uploads
from thinmesh.kernel.contract import Column, Reference, Table
from thinmesh.kernel.errors import Refused
from thinmesh.planes.product.model import Upload

from .checking import counts, uploads


def group(*names, known=()):
    found = group_uploads([Upload(name, Path("x")) for name in names], known)
    return {table: [file.name for file in files] for table, files in found.items()}


def test_the_table_is_the_name_up_to_the_first_dot_or_the_folder():
    assert group("a.csv", "b.csv.gz", "c.2013.csv.zst", "d.parquet", "e/1.csv", "e/2.csv") == {
        "a": ["a.csv"],
        "b": ["b.csv.gz"],
        "c": ["c.2013.csv.zst"],
        "d": ["d.parquet"],
        "e": ["e/1.csv", "e/2.csv"],
    }


def test_a_path_to_a_known_table_counts_by_its_own_name():
    assert group("data/weather.csv", "weather/p1.csv", known=["weather"]) == {
        "weather": ["data/weather.csv", "weather/p1.csv"]
    }


@pytest.mark.parametrize(
    ("names", "known", "word"),
    [
        (["a.xlsx"], (), ".csv"),
        (["A.csv"], (), "write a"),
        (["select.csv"], (), "reserved"),
        (["wether.csv"], ("weather",), "did you mean 'weather'"),
        (["a.csv", "a.csv.gz"], (), "several files"),
        (["t/a.csv", "t/a.csv"], (), "twice"),
    ],
)
def test_wrong_names_are_refused_with_what_to_do(names, known, word):
    with pytest.raises(Refused) as refused:
        group(*names, known=known)
    assert word in refused.value.detail
    assert "<table>.csv" in refused.value.help
    assert len(refused.value.violations) == 1


def test_files_are_checked_against_a_contract_without_a_platform(tmp_path):
    tables = {
        "orders": Table(
            "orders", (Column("id", "integer"), Column("c")), references=(Reference(("c",), "", "customers", ("c",)),)
        ),
        "customers": Table("customers", (Column("c"),), primary_key=("c",)),
    }
    alone = check_files(tables, uploads(tmp_path, {"orders.csv": b"id,c\n1,a\nx,b\n"}))
    assert counts(alone) == {("type", "id"): 1}
    assert alone.not_checked == ("orders: reference to customers, which is not given",)
    both = check_files(tables, uploads(tmp_path, {"orders.csv": b"id,c\n1,a\nx,b\n", "customers.csv": b"c\na\na\n"}))
    assert counts(both) == {("type", "id"): 1, ("references", "c"): 1, ("primaryKey", "c"): 1}
