import stat

import pytest

from thinmesh.interface.client.credentials import Credentials, address
from thinmesh.kernel.errors import Malformed


def test_tokens_are_kept_by_server_for_this_user_alone(tmp_path):
    stored = Credentials(tmp_path / "thinmesh" / "credentials.json")
    stored.store("https://a.example/", "one")
    stored.store("http://b.example:80/mesh/", "two")
    assert stored.token("https://A.example:443") == "one"
    assert stored.token("http://b.example/mesh") == "two"
    assert stored.token("http://b.example") is None
    assert stored.default == "http://b.example/mesh"
    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600
    assert [path.name for path in stored.path.parent.iterdir()] == ["credentials.json"]


def test_a_broken_file_is_said(tmp_path):
    path = tmp_path / "credentials.json"
    path.write_text("{")
    with pytest.raises(Malformed, match=r"credentials\.json cannot be read"):
        Credentials(path).token("http://x")


@pytest.mark.parametrize("url", ["mesh.example.org", "ftp://x", "https://", ""])
def test_what_is_no_url_is_said(url):
    with pytest.raises(Malformed, match="not the URL"):
        address(url)


def test_addresses_of_ipv6_keep_their_brackets():
    assert address("http://[::1]:8080") == "http://[::1]:8080"
