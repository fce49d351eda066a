import pytest

from thinmesh.interface.client.files import parts_of
from thinmesh.kernel.errors import Malformed


@pytest.fixture
def folder(tmp_path):
    for name in ("data/weather.csv", "weather/p1.csv", "weather/p2.csv.gz", "weather/notes.txt", "flights/planes.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("a\n1\n")
    return tmp_path


def names(folder, product, *paths, tables=()):
    return [part.name for part in parts_of([folder / path for path in paths], product, tables)]


def test_a_file_is_its_table_wherever_it_lies(folder):
    assert names(folder, "weather", "data/weather.csv") == ["weather.csv"]
    assert names(folder, "meteo", "data/weather.csv", "flights/planes.csv") == ["weather.csv", "planes.csv"]


def test_files_in_the_folder_of_a_known_table_are_its_parts(folder):
    assert names(folder, "meteo", "weather/p1.csv", tables=["weather"]) == ["weather/p1.csv"]
    assert names(folder, "weather", "weather/p1.csv") == ["weather/p1.csv"]


def test_a_known_table_of_the_file_s_own_name_wins(folder):
    assert names(folder, "flights", "flights/planes.csv", tables=["flights", "planes"]) == ["planes.csv"]


def test_a_folder_is_one_table_of_its_data_files(folder):
    assert names(folder, "meteo", "weather") == ["weather/p1.csv", "weather/p2.csv.gz"]


def test_what_is_not_there_is_said(folder):
    with pytest.raises(Malformed, match="There is no file"):
        names(folder, "weather", "nothing.csv")
    (folder / "empty").mkdir()
    with pytest.raises(Malformed, match="holds no data file"):
        names(folder, "weather", "empty")
