"""The Python interface, on a home and on a server."""

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import thinmesh
from tests.integration.running import cli_json, make_home, register, up, write_csv


@pytest.fixture(scope="module", params=["home", "server"])
def mesh(request, tmp_path_factory):
    """Give a mesh with a product that holds data, on a home and on a server."""
    folder = tmp_path_factory.mktemp("python")
    home, token = make_home(folder)
    cli_json("team", "create", "meteo", "--domain", "aviation", home=home)
    register(home, "airports")
    data = write_csv(folder, "airports.csv", [{"code": "EWR", "height": 5.5}])
    cli_json("publish", "airports", str(data), home=home)
    if request.param == "home":
        with thinmesh.connect(home) as found:
            yield found
        return
    with up(home) as url, thinmesh.connect(url, token=token) as found:
        yield found


def test_a_product_from_a_dictionary_to_a_frame(mesh, tmp_path):
    data = write_csv(tmp_path, "weather.csv", [{"origin": "EWR", "temp": 3.5}, {"origin": "JFK", "temp": 4.5}])
    mesh.register({"name": "weather", "domain": "aviation", "description": "Hourly wind and weather"})
    mesh.publish("weather", data)
    result = mesh.sql("select avg(temp) as mean from weather.weather")
    assert result.fetchall() == [(4.0,)]
    assert result.columns == ["mean"]
    assert result.arrow().num_rows == len(result) == 1
    assert isinstance(result.pandas(), pd.DataFrame)
    assert isinstance(result.polars(), pl.DataFrame)
    assert {"airports", "weather"} <= {item["name"] for item in mesh.products()}
    assert [item["name"] for item in mesh.search("wind")] == ["weather"]
    assert mesh.product("weather")["owner"] == "meteo"


def test_a_result_streams_to_parquet_and_others_are_not_disturbed(mesh, tmp_path):
    first, second = mesh.sql("select * from range(200000)"), mesh.sql("select 1 as one")
    assert second.fetchall() == [(1,)]
    assert mesh.whoami()["user"] == "admin"
    first.to_parquet(tmp_path / "x.parquet")
    assert pq.read_metadata(tmp_path / "x.parquet").num_rows == 200_000
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_frames_are_published_as_they_are(mesh):
    mesh.register({"name": "counts", "domain": "aviation", "description": "Counts"})
    mesh.publish("counts", pd.DataFrame({"origin": ["EWR"], "n": [3]}))
    assert mesh.sql("select origin, n from counts.counts").fetchall() == [("EWR", 3)]
    mesh.publish("counts", pl.DataFrame({"origin": ["JFK"], "n": [4]}), mode="append")
    assert mesh.sql("select sum(n) as n from counts.counts").fetchall() == [(7,)]
    mesh.publish("counts", pd.DataFrame({"origin": ["EWR"], "n": [3]}))


def test_errors_are_one_tree(mesh):
    with pytest.raises(thinmesh.NotFound) as refused:
        mesh.product("airprots")
    assert "airports" in refused.value.detail + refused.value.help
    assert "Did you mean airports?" in str(refused.value)
    with pytest.raises(thinmesh.MeshError):
        mesh.sql("selec 1").arrow()
    with pytest.raises(thinmesh.Malformed, match="takes no parameters"):
        mesh.sql("select ?", [1])


def test_a_check_tells_all_faults(mesh, tmp_path):
    bad = write_csv(tmp_path, "bad/airports.csv", [{"code": "EWR", "height": "high"}])
    mesh.accept("airports")
    found = mesh.check("airports", bad)
    assert found["ok"] is False
    assert found["violations"][0]["column"] == "height"
