from pathlib import Path

import pytest

from thinmesh.kernel.errors import Refused
from thinmesh.planes.product.model import Upload
from thinmesh.planes.product.sources import by_table


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("Q6.CSV", "call it q6.csv"),
        ("Air Temp.csv.gz", "call it air_temp.csv.gz"),
        ("select.csv", "(select is reserved): call it t_select.csv"),
        ("2024_sales.csv.gz", "call it t_2024_sales.csv.gz"),
        ("_sales.parquet", "call it sales.parquet"),
        ("order/1.csv", "'order' is reserved: write t_order"),
        ("§.csv", "with a letter first"),
        ("events.xls", "did you mean event?"),
    ],
)
def test_a_file_whose_name_is_no_table_is_told_a_name_that_is(file, words):
    with pytest.raises(Refused) as refused:
        by_table([Upload(file, Path(file))], ["event"])
    assert words in refused.value.violations[0].message
