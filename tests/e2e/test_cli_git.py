"""`login` lets a stock git client sign in."""

import json
import stat
import subprocess

import pytest

from tests.integration.running import cli, cli_json, environment, make_home, register, up


@pytest.fixture
def person(tmp_path):
    """Give a person with a home folder of their own, and nothing in it."""
    (tmp_path / "person").mkdir()
    return {"HOME": str(tmp_path / "person"), "XDG_CONFIG_HOME": str(tmp_path / "person" / ".config")}


def git(*arguments, person, folder=None):
    return subprocess.run(
        ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**environment(**person), "GIT_TERMINAL_PROMPT": "0"},
        timeout=300,
        check=False,
    )


def test_after_login_git_clones_and_pushes_without_asking(tmp_path, person):
    home, _ = make_home(tmp_path)
    cli_json("team", "create", "meteo", "--domain", "aviation", home=home)
    cli_json("user", "add", "ann", "--team", "meteo", home=home)
    register(home, "weather")
    token = cli_json("token", "new", "ann", home=home)["token"]
    with up(home) as url:
        assert git("clone", f"{url}/git/data.git", str(tmp_path / "no"), person=person).returncode != 0
        done = cli("login", url, "--token-stdin", "--json", stdin=token + "\n", **person)
        assert json.loads(done.stdout)["user"] == "ann", done.stderr
        assert "git signs in" in done.stderr
        assert token not in done.stdout + done.stderr
        stored = tmp_path / "person" / ".config" / "thinmesh" / "credentials.json"
        assert stat.S_IMODE(stored.stat().st_mode) == 0o600
        assert cli_json("whoami", **person)["user"] == "ann"

        clone = tmp_path / "clone"
        cloned = git("clone", f"{url}/git/data.git", str(clone), person=person)
        assert cloned.returncode == 0, cloned.stderr
        (clone / "aviation" / "weather" / "weather.csv").write_text("origin,temp\nEWR,3.5\n")
        git("add", ".", person=person, folder=clone)
        git("commit", "-m", "Weather", person=person, folder=clone)
        pushed = git("push", "origin", "HEAD:refs/for/main", person=person, folder=clone)
        assert pushed.returncode == 0, pushed.stderr
        assert cli_json("query", "select temp from weather.weather", **person)["rows"] == [[3.5]]

        cli_json("token", "revoke", cli_json("token", "list", **person)["items"][0]["id"], **person)
        again = git("fetch", person=person, folder=clone)
        assert again.returncode != 0


def test_signing_in_twice_leaves_one_helper_and_no_git_none(tmp_path, person):
    home, token = make_home(tmp_path)
    with up(home) as url:
        assert cli("login", url, "--no-git", THINMESH_TOKEN=token, **person).returncode == 0
        assert not (tmp_path / "person" / ".gitconfig").exists()
        for _ in range(2):
            assert cli("login", url, THINMESH_TOKEN=token, **person).returncode == 0
        helpers = git("config", "--global", "--get-all", f"credential.{url}.helper", person=person).stdout.splitlines()
        assert helpers[0] == ""
        assert len(helpers) == 2
        assert helpers[1].endswith("git-credential")


def test_a_wrong_token_stores_nothing(tmp_path, person):
    home, _ = make_home(tmp_path)
    with up(home) as url:
        done = cli("login", url, "--token-stdin", stdin="wrong", **person)
        assert done.returncode == 3
        assert list((tmp_path / "person").iterdir()) == []


def test_the_helper_answers_git_s_questions_and_no_others(tmp_path, person):
    folder = tmp_path / "person" / ".config" / "thinmesh"
    folder.mkdir(parents=True)
    servers = {"https://mesh.example": {"token": "T"}}
    (folder / "credentials.json").write_text(json.dumps({"servers": servers}))

    def ask(action, host):
        return cli("git-credential", action, stdin=f"protocol=https\nhost={host}\n\n", **person).stdout

    assert ask("get", "mesh.example") == "username=thinmesh\npassword=T\n"
    assert ask("get", "other.example") == ""
    assert ask("store", "mesh.example") == ""
    assert ask("erase", "mesh.example") == ""
