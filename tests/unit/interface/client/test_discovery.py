import os
from pathlib import Path

import pytest

from thinmesh.interface.client.credentials import Credentials
from thinmesh.interface.client.discovery import discover
from thinmesh.kernel.errors import Malformed, NotFound, NotSignedIn


def a_home(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "thinmesh.toml").touch()
    return path


@pytest.fixture
def places(tmp_path):
    """Make one of everything that can be found: each is taken only where none before it is there."""
    homes = {name: a_home(tmp_path / name) for name in ("said", "environment", "around")}
    inside = homes["around"] / "deep" / "below"
    inside.mkdir(parents=True)
    config = tmp_path / "config"
    Credentials(config / "thinmesh" / "credentials.json").store("https://stored.example", "stored-token")
    return homes, inside, {"XDG_CONFIG_HOME": str(config)}


def test_what_was_said_comes_first(places):
    homes, inside, stored = places
    found = discover(
        home=str(homes["said"]), environment={**stored, "THINMESH_HOME": str(homes["environment"])}, folder=inside
    )
    assert found.home == homes["said"]


def test_then_the_environment(places):
    homes, inside, stored = places
    found = discover(environment={**stored, "THINMESH_HOME": str(homes["environment"])}, folder=inside)
    assert found.home == homes["environment"]
    found = discover(environment={**stored, "THINMESH_URL": "http://e:1/", "THINMESH_TOKEN": "t"}, folder=inside)
    assert (found.url, found.token) == ("http://e:1", "t")


def test_then_a_home_in_this_folder_or_above(places):
    homes, inside, stored = places
    assert discover(environment=stored, folder=inside).home == homes["around"]
    assert discover(environment=stored, folder=homes["around"]).home == homes["around"]


def test_then_what_login_stored(places, tmp_path):
    _, _, stored = places
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = discover(environment=stored, folder=elsewhere)
    assert (found.url, found.token) == ("https://stored.example", "stored-token")


def test_a_home_of_another_user_is_passed_over(places, tmp_path):
    if os.getuid():
        pytest.skip("only root can give files away")
    homes, inside, stored = places
    os.chown(homes["around"] / "thinmesh.toml", 12345, -1)
    assert discover(environment=stored, folder=inside).url == "https://stored.example"


def test_where_there_is_nothing_the_help_says_how_to_begin(tmp_path):
    with pytest.raises(NotFound) as refused:
        discover(environment={"HOME": str(tmp_path)}, folder=tmp_path)
    assert "thinmesh init" in refused.value.help
    assert "thinmesh login" in refused.value.help


def test_contradictions_are_refused(places):
    homes, inside, _ = places
    with pytest.raises(Malformed):
        discover(environment={"THINMESH_HOME": str(homes["said"]), "THINMESH_URL": "http://x"}, folder=inside)
    with pytest.raises(Malformed, match="home only"):
        discover(url="http://x", acting_as="ann", environment={}, folder=inside)


def test_a_folder_that_is_no_home_is_said(tmp_path):
    with pytest.raises(NotFound, match="no platform home"):
        discover(home=str(tmp_path), environment={}, folder=tmp_path)


def test_a_server_without_a_token_says_how_to_sign_in(tmp_path):
    found = discover(environment={"THINMESH_URL": "http://e:1", "HOME": str(tmp_path)}, folder=tmp_path)
    with pytest.raises(NotSignedIn) as refused:
        found.session()
    assert "thinmesh login http://e:1" in refused.value.help
