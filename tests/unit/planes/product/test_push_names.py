import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.planes.product.push_names import fault_of_path, is_unread_data, table_of, twins


@pytest.mark.parametrize(
    "path",
    [
        "aviation/weather/weather.csv",
        "aviation/weather/product.json",
        "aviation/weather/contract.yaml",
        "aviation/weather/README.md",
        "aviation/weather/notes.txt",
        "aviation/weather/LICENSE",
        "aviation/weather/Übersicht 2013.pdf",
        "aviation/weather/weather/p1.csv",
        "aviation/weather/weather/2013-01 New York.csv",
        "aviation/weather/pictures/map.png",
    ],
)
def test_takes_what_a_product_folder_holds(path):
    assert fault_of_path(path) is None


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("README.md", "server_file"),
        ("data_catalog.csv", "server_file"),
        ("aviation/weather/product.json/x", "name"),
        ("aviation/weather/Product.JSON/x", "name"),
        ("aviation/weather/contract.yaml/x.csv", "name"),
        ("aviation/weather/README.md/x", "name"),
        ("aviation/weather/readme.md/x", "name"),
        ("aviation/weather/weather.csv/p1.csv", "name"),
        ("aviation/weather/weather.CSV/x", "name"),
        ("aviation/weather/weather", "name"),
        ("weather.csv", "place"),
        ("aviation/weather.csv", "place"),
        ("aviation/weather/a/b/c.csv", "place"),
        ("Aviation/weather/weather.csv", "name"),
        ("aviation/select/t.csv", "name"),
        ("aviation/we-ather/t.csv", "name"),
        ("aviation/weather/2013.csv", "name"),
        ("aviation/weather/weather.2013.csv", "name"),
        ("aviation/weather/Weather.csv", "name"),
        ("aviation/weather/weather.CSV", "name"),
        ("aviation/weather/table/p1.csv", "name"),
        ("aviation/weather/Product.json", "name"),
        ("aviation/weather/product.yaml", "name"),
        ("aviation/weather/product.yml", "name"),
        ("aviation/weather/products.json", "name"),
        ("aviation/weather/contract.yml", "name"),
        ("aviation/weather/contract.json", "name"),
        ("aviation/weather/datacontract.yaml", "name"),
        ("aviation/weather/readme.md", "name"),
        ("aviation/weather/weather.parquet", "place"),
        ("aviation/weather/weather.csv.gz", "place"),
        ("aviation/weather/weather/p1.csv.zst", "place"),
        (".gitattributes", "name"),
        ("aviation/weather/.gitattributes", "name"),
        ("aviation/weather/.git/config", "name"),
        ("aviation/weather/git~1", "name"),
        ("aviation/weather/GIT~2/config", "name"),
        ("aviation/weather/.g\u200cit/config", "name"),
        ("aviation/weather/.git ", "name"),
        ("aviation/weather/..", "name"),
        ("aviation/weather/a\\b.csv", "name"),
        ("aviation/weather/a:b.txt", "name"),
        ("aviation/weather/con?.txt", "name"),
        ("aviation/weather/dot.", "name"),
        ("aviation/weather/blank ", "name"),
        ("aviation/weather/new\nline.txt", "name"),
        ("aviation/weather/bell\x07.txt", "name"),
        ("aviation/weather/\u202egpj.exe", "name"),
        ("aviation/weather/zero\u200bwidth.txt", "name"),
        ("aviation/weather/byte\udcff.txt", "name"),
        ("aviation/weather/" + "ä" * 128, "name"),
    ],
)
def test_refuses_everything_else(path, rule):
    fault = fault_of_path(path)
    assert fault is not None
    assert fault[0] == rule


@given(st.text())
def test_any_path_is_judged_and_the_message_can_be_shown(path):
    fault = fault_of_path(path)
    assert fault is None or fault[1].isprintable()


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("d/p/t.csv", "t"),
        ("d/p/t/part.csv", "t"),
        ("d/p/t/deep/part.csv", None),
        ("d/p/README.md", None),
        ("d/p/product.json", None),
        ("d/t.csv", None),
    ],
)
def test_knows_the_table_of_a_csv(path, table):
    assert table_of(path) == table


@pytest.mark.parametrize("name", ["t.tsv", "t.xlsx", "T.XLS", "t.tsv.gz", "a.2013.jsonl"])
def test_knows_data_that_is_not_read(name):
    assert is_unread_data(f"d/p/{name}")
    assert fault_of_path(f"d/p/{name}") is None


@pytest.mark.parametrize("name", ["t.csv", "notes.txt", "map.png", "t.json", "README.md", "about.ods.html.md", "tsv"])
def test_takes_nothing_else_for_data(name):
    assert not is_unread_data(f"d/p/{name}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.csv", "A.csv"),
        ("straße", "strasse"),
        (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")),
        ("K", "\u212a"),  # KELVIN SIGN
        ("ﬁle", "file"),
        ("Σ", "ς"),
    ],
)
def test_finds_names_that_some_systems_take_for_one(one, other):
    assert list(twins([one, other, "x"], [other])) == [tuple(sorted((one, other)))]


def test_twins_that_were_there_before_are_not_this_pushs_fault():
    assert list(twins(["a", "A", "b"], ["b"])) == []


@given(st.lists(st.text(st.characters(codec="ascii")), unique=True))
def test_plain_names_are_twins_by_letter_case_alone(names):
    count = len(names) - len({name.lower() for name in names})
    assert len(list(twins(names, names))) == count
