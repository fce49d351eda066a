import json

import pytest

from thinmesh.interface.cli.app import run
from thinmesh.interface.cli.query import _table


@pytest.mark.parametrize("out", ["out.csv.gz", "out.xlsx", "out.feather"])
def test_an_ending_that_is_no_format_of_ours_is_not_written_as_a_drawing(out, tmp_path, capsys):
    assert run(["query", "select 1", "-o", str(tmp_path / out)]) == 2
    shown = capsys.readouterr().err
    assert "--format table|csv|json|arrow|parquet" in shown
    assert list(tmp_path.iterdir()) == []


def test_a_statement_s_file_that_is_not_there_is_named_as_it_was_given(capsys):
    assert run(["query", "-f", "nofile.sql"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "error: nofile.sql: no such file."


def test_a_plan_is_drawn_as_it_is():
    columns = [{"name": name, "type": "string"} for name in ("explain_key", "explain_value")]
    answer = {"columns": columns, "rows": [["physical_plan", "╭─╮\n│\x1b│\n"]], "row_count": 1, "truncated": False}
    assert _table(json.dumps(answer).encode()).decode() == "╭─╮\n│\\x1b│\n"
