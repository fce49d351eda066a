"""The check against a contract document alone."""

from __future__ import annotations

import json

import pytest

from thinmesh.bootstrap import check_standalone
from thinmesh.interface.cli.standalone import check_files
from thinmesh.kernel.errors import Refused
from thinmesh.kernel.progress import no_progress
from thinmesh.planes.product.model import Upload
from thinmesh.planes.product.sources import by_table

# Neither `domain` nor `description`: ODCS asks for none.
CONTRACT = {
    "apiVersion": "v3.0.2",
    "kind": "DataContract",
    "id": "x",
    "version": "1.0.0",
    "status": "active",
    "schema": [
        {
            "name": "t",
            "properties": [
                {"name": "id", "logicalType": "integer", "logicalTypeOptions": {"minmum": 1}},
                {"name": "d", "logicalType": "date", "logicalTypeOptions": {"minimum": "01.02.2020"}},
            ],
        }
    ],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(CONTRACT))
    (tmp_path / "t").mkdir()
    for name in ("a", "b"):
        (tmp_path / "t" / f"{name}.csv").write_text("id,d\n1,2020-01-01\n")
    return tmp_path


def test_files_in_the_table_s_folder_are_its_parts(folder):
    files = [str(folder / "t" / "a.csv"), str(folder / "t" / "b.csv")]
    found = check_files(folder / "c.json", files, no_progress)
    assert (found["ok"], found["rows"]) == (True, 2)
    assert [text for text in found["not_checked"] if "minmum" in text or "01.02.2020" in text][1:]


def test_faults_of_all_files_come_in_one_reply(folder):
    uploads = []
    for name, data in (("t.csv", "id,d\nx,2020-01-01\n"), ("tt.csv", "id\n1\n")):
        (folder / name).write_text(data)
        uploads.append(Upload(name, folder / name))
    found = check_standalone(json.dumps(CONTRACT).encode(), uploads, no_progress)
    assert [(one["file"], one["rule"]) for one in found.violations] == [("tt.csv", "table"), ("t.csv", "type")]


def test_faults_of_the_contract_bear_its_name(folder):
    (folder / "c.json").write_text(json.dumps({**CONTRACT, "apiVersion": "v9.0.0"}))
    with pytest.raises(Refused) as caught:
        check_files(folder / "c.json", [str(folder / "t" / "a.csv")], no_progress)
    assert {one.file for one in caught.value.violations} == {str(folder / "c.json")}


def test_a_table_is_the_file_s_name_up_to_the_first_dot(folder):
    assert list(by_table([Upload("t.2020.csv", folder), Upload("u.2020.01.csv.gz", folder)])) == ["t", "u"]


def ruled(folder, query, **more):
    table = {**CONTRACT["schema"][0], "quality": [{"type": "sql", "name": "r", "query": query, "mustBe": 0}], **more}
    (folder / "c.json").write_text(json.dumps({**CONTRACT, "schema": [table]}))
    return check_files(folder / "c.json", [str(folder / "t" / "a.csv")], no_progress)


def test_sql_rules_are_measured_without_a_platform_too(folder):
    assert ruled(folder, "select count(*) from ${table} where id < 1")["ok"]
    found = ruled(folder, "select count(*) from ${object} where id >= 1")
    assert [(one["rule"], one["table"], one["message"]) for one in found["violations"]] == [
        ("sql", "t", "the quality rule 'r' gives 1, and must be 0")
    ]
    assert not found["ok"]
    outside = ruled(folder, "select count(*) from read_csv('/etc/passwd')")
    assert "cannot be measured" in outside["violations"][0]["message"]
    lost = ruled(folder, "select count(${column}) from ${table}")
    assert "write the rule into that column's quality" in lost["violations"][0]["message"]


def test_misspelt_members_are_named_as_not_checked(folder):
    found = ruled(folder, "select 0", qualiti=[])
    assert any("qualiti" in text and "quality" in text for text in found["not_checked"])
