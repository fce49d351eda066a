"""Settings: what wins, what is refused and where, and that everything written about them is true."""

import dataclasses
import tomllib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinmesh.kernel.errors import Malformed, Refused
from thinmesh.kernel.settings import (
    SECTIONS,
    Settings,
    Unfit,
    load_settings,
    reference,
    revealed,
    seconds,
    settings_file,
    size,
)

EVERY = [(section, each.name) for section, kind in SECTIONS.items() for each in dataclasses.fields(kind)]


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "thinmesh.toml"
        path.write_text(content)
        return path

    return write


def faults(error):
    return [
        (violation.examples[0].line if violation.examples else None, violation.message)
        for violation in error.value.violations
    ]


def test_an_option_wins_over_the_environment_and_that_over_the_file(file):
    path = file("[server]\nport = 1\nhost = 'a'\n[git]\nfsync = false\n")
    environ = {"THINMESH_SERVER__PORT": "2", "THINMESH_SERVER__HOST": "b", "THINMESH_HOME": "/x"}
    found = load_settings(path, environ, {("server", "port"): 3, ("server", "host"): None})
    assert (found.server.port, found.server.host, found.git.fsync) == (3, "b", False)


def test_the_file_that_init_writes_changes_nothing(file):
    assert load_settings(file(settings_file()), {}) == load_settings(None, {}) == Settings()


def test_the_file_that_init_writes_has_every_setting_at_its_default(file):
    uncommented = "\n".join(line.removeprefix("#") if " = " in line else line for line in settings_file().splitlines())
    assert {(section, key) for section, keys in tomllib.loads(uncommented).items() for key in keys} == set(EVERY)
    assert load_settings(file(uncommented), {}) == Settings()


def test_the_reference_names_every_setting():
    text = reference()
    for section, key in EVERY:
        assert f"`{key}`" in text
        assert f"`THINMESH_{section.upper()}__{key.upper()}`" in text


def test_everything_wrong_is_told_at_once_with_its_line_and_the_nearest_name(file):
    path = file(
        '# mine\n[server]\nprt = 1\nport = "many"\n\n[gti]\nfsync = true\n[query]\ntimeout = -1\nmemory = "1KB"\n'
    )
    with pytest.raises(Refused) as error:
        load_settings(path, {"THINMESH_GIT__FSINC": "true", "THINMESH_GIT__FSYNC": "maybe"})
    found = dict(faults(error))
    assert "did you mean port?" in found[3]
    assert "server.port must be a port from 0 to 65535, not 'many'" in found[4]
    assert "did you mean git?" in found[6]
    assert "query.timeout must be" in found[9]
    assert "query.memory must be" in found[10]
    said = [message for _, message in faults(error)]
    assert any("did you mean THINMESH_GIT__FSYNC?" in message for message in said)
    assert any("git.fsync must be true or false" in message for message in said)
    assert not [message for message in said if str(path) in message]
    assert error.value.violations[-1].file == "THINMESH_GIT__FSYNC"
    assert "did you mean port?" in error.value.detail
    assert not error.value.detail.endswith("?.")
    assert len(said) == 7


@pytest.mark.parametrize("content", ["server.prt = 1", "[server]\n'prt' = 1", "server = {prt = 1}"])
def test_a_wrong_key_is_found_in_every_way_to_write_it(file, content):
    with pytest.raises(Refused, match=r"server\.prt is no setting; did you mean port\?"):
        load_settings(file(content), {})


def test_a_value_in_the_place_of_a_section_is_refused(file):
    with pytest.raises(Refused, match=r"toml:1: server is a section"):
        load_settings(file("server = 1"), {})


def test_broken_toml_is_told_with_its_line(file):
    with pytest.raises(Malformed, match="line 2"):
        load_settings(file("[server]\nport = = 1\n"), {})


def test_a_file_that_is_no_text_or_not_there_is_an_error_of_ours(tmp_path):
    path = tmp_path / "thinmesh.toml"
    with pytest.raises(Malformed, match="cannot be read"):
        load_settings(path, {})
    path.write_bytes(b"\xff\xfe[")
    with pytest.raises(Malformed):
        load_settings(path, {})


@pytest.mark.parametrize(
    ("written", "bytes_"),
    [("50MB", 50_000_000), ("1.5 GiB", 3 << 29), ("512mib", 512 << 20), ("10B", 10), ("7", 7), (7, 7), ("0", 0)],
)
def test_sizes(written, bytes_):
    assert size(written) == bytes_


@pytest.mark.parametrize("written", ["", "MB", "-1MB", -1, True, 1.5, "1 PB", "1e3", "5M B", None, [], "٣"])
def test_what_is_no_size(written):
    with pytest.raises(Unfit):
        size(written)


@pytest.mark.parametrize(
    ("written", "span"),
    [("30s", 30), ("5m", 300), ("1h", 3600), ("250ms", 0.25), ("PT5M", 300), (2.5, 2.5), ("90", 90)],
)
def test_time_spans(written, span):
    assert seconds(written) == span


@pytest.mark.parametrize("written", ["", "0s", 0, -1, "nan", "inf", True, "1y", "P", "P5Y", None, "soon"])
def test_what_is_no_time_span(written):
    with pytest.raises(Unfit):
        seconds(written)


@given(st.sampled_from(EVERY), st.text())
def test_any_value_is_taken_or_refused(name, value):
    variable = f"THINMESH_{name[0].upper()}__{name[1].upper()}"
    with suppress(Refused):
        found = load_settings(None, {variable: value})
        assert type(getattr(getattr(found, name[0]), name[1])) is type(getattr(getattr(Settings(), name[0]), name[1]))


def test_a_secret_is_shown_nowhere_and_may_lie_in_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text("s3cr3t\n")
    found = load_settings(None, {"THINMESH_DATAHUB__TOKEN": "s3cr3t", "THINMESH_DATAHUB__URL": "http://hub:8080/"})
    assert "s3cr3t" not in repr(found)
    assert (found.datahub.token, found.datahub.url) == ("s3cr3t", "http://hub:8080")
    assert [revealed(value) for value in ("", "s3cr3t", str(file))] == ["", "s3cr3t", "s3cr3t"]
    with pytest.raises(Refused, match="cannot be read"):
        revealed(str(tmp_path / "none"))
    with pytest.raises(Refused) as error:
        load_settings(None, {"THINMESH_DATAHUB__TOKEN": "s3cr3t\x00"})
    assert "s3cr3t" not in str(error.value.problem())


@pytest.mark.parametrize(
    "url", ["hub:8080", "ftp://hub", "http://me:pw@hub", "http://", "http://hub?x=1", "http://a b"]
)
def test_the_address_of_a_catalog_is_a_plain_url(url):
    with pytest.raises(Refused):
        load_settings(None, {"THINMESH_DATAHUB__URL": url})


OIDC = {
    "THINMESH_OIDC__ISSUER": "https://login.example.org/realms/mesh",
    "THINMESH_OIDC__CLIENT_ID": "mesh",
    "THINMESH_SERVER__URL": "https://mesh.example.org",
}


def test_a_provider_needs_an_issuer_a_client_and_the_address_to_come_back_to():
    found = load_settings(None, OIDC)
    assert (found.oidc.issuer, found.oidc.client_secret_file) == (OIDC["THINMESH_OIDC__ISSUER"], "")
    for variable, told in (
        ("THINMESH_OIDC__CLIENT_ID", "oidc.client_id must be set"),
        ("THINMESH_SERVER__URL", "server.url must be set"),
    ):
        with pytest.raises(Refused, match=told):
            load_settings(None, {name: value for name, value in OIDC.items() if name != variable})
    with pytest.raises(Refused, match=r"server\.url must be an https address"):
        load_settings(None, OIDC | {"THINMESH_SERVER__URL": "http://mesh.example.org"})


@pytest.mark.parametrize(
    "issuer",
    [
        "http://login.example.org",
        "login.example.org",
        "ftp://127.0.0.1",
        "https://",
        "https://user:secret@login.example.org",
        "https://login.example.org/?tenant=1",
        "https://login.example.org/#x",
        "https://login.example.org:99999",
        "https://[::1",
        "https://lögin.example.org",
        "http://127.0.0.1.example.org",
        "http://localhost@example.org",
    ],
)
def test_what_is_no_issuer(issuer):
    with pytest.raises(Refused, match=r"oidc\.issuer must be an https address"):
        load_settings(None, OIDC | {"THINMESH_OIDC__ISSUER": issuer})


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:9000", "http://localhost:9000/realms/a", "http://[::1]:9000"])
def test_a_provider_on_this_machine_needs_no_tls(issuer):
    assert load_settings(None, OIDC | {"THINMESH_OIDC__ISSUER": issuer}).oidc.issuer == issuer
