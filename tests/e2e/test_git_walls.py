"""What a stock git client cannot do, whatever its commits look like and whatever token it has."""

from __future__ import annotations

import json
import time

import pytest

from tests.integration.git_mesh import Clone, git
from tests.integration.keeping import Kept
from tests.integration.running import cli_json, make_home, up

CLASSIFIED = {"columns": [{"name": "ssn", "logicalType": "string", "classification": "personal"}]}
NESTED = {
    "columns": [
        {
            "name": "person",
            "logicalType": "array",
            "items": {
                "logicalType": "object",
                "properties": [
                    {"name": "ssn", "logicalType": "string", "classification": "personal"},
                ],
            },
        }
    ]
}
PRODUCTS = {
    "closed": {"access": "request"},
    "classified": {"tables": {"customers": CLASSIFIED}},
    "nested": {"tables": {"customers": NESTED}},
    **{name: {} for name in ("plain", "rewritten", "written", "published", "other")},
}
# By purpose: whose, for how long, and the scope.
TOKENS = {
    "ada": ("ada", "P1D", "write"),
    "ada_reads": ("ada", "P1D", "read"),
    "ada_publishes": ("ada", "P1D", "publish:published"),
    "ben": ("ben", "P1D", "write"),
    "ben_publishes": ("ben", "P1D", "publish:published"),
}
CSV = "ssn\n123-45-6789\n"


class World:
    """A served home with two people, ada in the team that owns everything, and a token for each purpose."""

    def __init__(self, folder, home, url, tokens):
        self.folder, self.home, self.url, self.tokens = folder, home, url, tokens
        self.clones = 0

    def address(self, who):
        return self.url.replace("http://", f"http://x:{self.tokens[who]}@") + "/git/data.git"

    def clone(self, who="ada"):
        """Clone for somebody, at a main that rests: the catalog file follows what earlier tests have changed."""
        self.settle()
        self.clones += 1
        target = self.folder / f"clone{self.clones}"
        git(self.folder, "clone", "--quiet", self.address("ada"), str(target))
        git(target, "remote", "set-url", "origin", self.address(who))
        return Clone(target)

    def settle(self):
        """Wait until the server has written to main whatever it still owes it."""
        deadline = time.monotonic() + 30
        while any(each["lag"] for each in cli_json("status", home=self.home)["projections"]):
            assert time.monotonic() < deadline, "the catalog file does not follow"

    def tip(self):
        return git(self.home / "data.git", "rev-parse", "main").stdout.strip()


def furnish(home):
    """Make the team, its products and the tokens; give the tokens by their purpose."""
    kept = Kept(home)
    identity = kept.platform.identity
    identity.create_team(kept.admin, "staff", ["people"])
    identity.add_user(kept.admin, "ada", ["staff"])
    identity.add_user(kept.admin, "ben")
    for name, more in PRODUCTS.items():
        kept.register(name, **{"domain": "people", "owner": "staff", **more})
    tokens = {who: identity.new_token(kept.admin, *wanted).token for who, wanted in TOKENS.items()}
    kept.close()
    return tokens


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walls")
    home, _ = make_home(folder)
    tokens = furnish(home)
    with up(home) as url:
        yield World(folder, home, url, tokens)


@pytest.fixture(autouse=True)
def unshared(world):
    """Require that nothing of what is never shared is in the history after a test."""
    yield
    assert git(world.home / "data.git", "log", "--all", "--format=%H", "-S123-45-6789").stdout == ""


def added_and_removed(clone, path):
    """Commit a file and its removal; give the first commit."""
    first = clone.write(path, CSV).commit()
    clone.git("rm", "--quiet", path)
    clone.commit()
    return first


@pytest.mark.parametrize("ref", ["refs/for/main", "main"])
@pytest.mark.parametrize("name", ["closed", "classified", "nested"])
def test_data_that_is_never_shared_does_not_pass_through_the_history(world, name, ref):
    clone = world.clone()
    tip = world.tip()
    first = added_and_removed(clone, f"people/{name}/customers.csv")
    said = clone.push("origin", f"HEAD:{ref}", fails=True)
    assert f"refused: people/{name}/customers.csv: a commit of this push holds data that never enters" in said
    assert first[:12] in said
    clone.write(f"people/{name}/README.md", "# About\n").commit()
    assert "a commit of this push holds data" in clone.push("origin", f"HEAD:{ref}", fails=True)
    assert world.tip() == tip


def test_data_of_nested_classified_properties_is_not_taken_and_not_committed(world):
    clone = world.clone()
    clone.write("people/nested/customers.csv", 'person\n"[{""ssn"": ""123-45-6789""}]"\n').commit()
    assert "classified columns" in clone.push("origin", "HEAD:refs/for/main", fails=True)
    file = world.folder / "customers.csv"
    file.write_text('person\n"[{""ssn"": ""123-45-6789""}]"\n')
    assert cli_json("publish", "nested", str(file), home=world.home)["changed"]


def test_a_csv_of_no_table_does_not_pass_through_so_that_closing_is_not_fooled(world):
    clone = world.clone()
    added_and_removed(clone, "people/plain/customers.csv")
    said = clone.push("origin", "HEAD:refs/for/main", fails=True)
    assert "adds data that a later one removes again; squash them" in said
    clone.write("people/plain/other.csv", "a\n1\n").commit()
    assert "squash them" in clone.push("origin", "HEAD:refs/for/main", fails=True)


def test_a_table_that_several_commits_rewrite_is_taken(world):
    clone = world.clone()
    clone.write("people/rewritten/t.csv", "a\n1\n").commit()
    clone.write("people/rewritten/t.csv", "a\n2\n").commit()
    clone.push("origin", "HEAD:refs/for/main")
    assert cli_json("query", "select a from rewritten.t", home=world.home)["rows"] == [[2]]
    clone.git("revert", "--no-edit", "HEAD")
    clone.git("revert", "--no-edit", "HEAD")
    clone.push("origin", "HEAD:refs/for/main")


@pytest.mark.parametrize("path", ["product.json/x", "contract.yaml/x", "README.md/x", "t.csv/z", "t"])
def test_nothing_lies_where_the_server_writes(world, path):
    clone = world.clone()
    clone.write(f"people/in_the_way/{path}", "x").commit()
    assert f"refused: people/in_the_way/{path}: " in clone.push("origin", "HEAD:refs/for/main", fails=True)


def empty(clone):
    clone.git("commit", "--quiet", "--allow-empty", "-m", "Nothing")
    return clone


@pytest.mark.parametrize("who", ["ada", "ada_publishes", "ben", "ben_publishes"])
@pytest.mark.parametrize("ref", ["refs/for/main", "main"])
def test_commits_that_change_nothing_are_not_merged(world, who, ref):
    clone = empty(world.clone(who))
    tip = world.tip()
    said = clone.push("origin", f"HEAD:{ref}", fails=True)
    assert "refused: nothing to merge: these commits change no product's folder" in said
    assert world.tip() == tip


def test_what_main_has_already_may_be_pushed_again(world):
    clone = world.clone()
    clone.push("origin", "HEAD:refs/for/main")
    clone.push("origin", "HEAD:main")


def test_a_read_token_clones_and_pushes_nothing(world):
    clone = world.clone("ada_reads")
    clone.git("fetch")
    clone.write("people/written/t.csv", "a\n1\n").commit()
    for ref in ("refs/for/main", "main"):
        assert "This token may only read." in clone.push("origin", f"HEAD:{ref}", fails=True)


def test_a_publish_token_pushes_the_data_of_its_product_and_nothing_else(world):
    for who, path in (
        ("ada_publishes", "people/published/README.md"),
        ("ada_publishes", "people/other/t.csv"),
        ("ada_publishes", "people/brand_new/t.csv"),
        ("ben_publishes", "people/published/t.csv"),
    ):
        clone = world.clone(who)
        clone.write(path, "a\n1\n").commit()
        assert "refused: " in clone.push("origin", "HEAD:refs/for/main", fails=True)
    clone = world.clone("ada_publishes")
    clone.write("people/published/t.csv", "a\n1\n").commit()
    clone.push("origin", "HEAD:refs/for/main")
    assert cli_json("query", "select a from published.t", home=world.home)["rows"] == [[1]]


@pytest.mark.parametrize("what", [("clone", "--quiet"), ("ls-remote",)])
def test_a_publish_token_reads_no_data_by_git(world, what):
    done = git(world.folder, *what, world.address("ada_publishes"), check=False)
    assert done.returncode != 0
    assert "This token may only publish to published." in done.stderr


def product(name, **more):
    return json.dumps({"name": name, "domain": "people", "description": "d", **more})


@pytest.mark.parametrize(
    ("name", "first", "then"),
    [
        ("once_closed", {"access": "request"}, {"access": "open"}),
        ("once_classified", {"tables": {"t": CLASSIFIED}}, {"tables": {"t": {"columns": {"ssn": "string"}}}}),
    ],
)
@pytest.mark.parametrize("ref", ["refs/for/main", "main"])
def test_a_commit_on_the_way_is_held_to_its_own_contract(world, name, first, then, ref):
    clone = world.clone()
    name = f"{name}_{ref[:4]}"
    folder = f"people/{name}"
    clone.write(f"{folder}/product.json", product(name, **first)).write(f"{folder}/t.csv", CSV).commit()
    clone.write(f"{folder}/product.json", product(name, **then)).write(f"{folder}/t.csv", "ssn\nnone\n").commit()
    said = clone.push("origin", f"HEAD:{ref}", fails=True)
    assert f"refused: {folder}/t.csv: a commit of this push holds data" in said


@pytest.mark.parametrize("file", ["product.odps.yaml", "contract.yaml"])
def test_a_commit_on_the_way_that_closes_by_a_document_of_a_standard_is_held_to_it(world, file):
    clone = world.clone()
    folder = f"people/once_{file.partition('.')[0]}"
    # Half of a pair: it says neither domain nor description.
    kind, version = ("DataProduct", "v1.1.0") if "odps" in file else ("DataContract", "v3.1.0")
    half = {"apiVersion": version, "kind": kind, "id": "x", "version": "1.0.0", "status": "active"}
    closing = {**half, "customProperties": [{"property": "access", "value": "request"}]}
    clone.write(f"{folder}/product.json", product(folder.rpartition("/")[2]))
    clone.write(f"{folder}/{file}", json.dumps(closing)).write(f"{folder}/t.csv", CSV).commit()
    clone.write(f"{folder}/{file}", json.dumps(half)).write(f"{folder}/t.csv", "ssn\nnone\n").commit()
    said = clone.push("origin", "HEAD:refs/for/main", fails=True)
    assert f"refused: {folder}/t.csv: a commit of this push holds data" in said


@pytest.mark.parametrize("file", ["t.tsv", "t.xlsx", "t.csv.txt", "notes.json", "t/a.txt"])
def test_a_closed_product_s_folder_holds_its_documents_alone(world, file):
    clone = world.clone()
    clone.write(f"people/closed/{file}", CSV).commit()
    said = clone.push("origin", "HEAD:refs/for/main", fails=True)
    assert f"refused: people/closed/{file}: the folder of a closed product holds" in said
    clone = world.clone()
    clone.write("people/closed/README.md", f"# Closed, and no {file}\n").commit()
    clone.push("origin", "HEAD:refs/for/main")


def test_a_publication_that_did_not_come_about_left_nothing_to_fetch(world, tmp_path):
    ruled = {
        "columns": {"ssn": "string"},
        "quality": [{"type": "sql", "query": "select count(*) from ${table}", "mustBe": 0}],
    }
    home = {"home": world.home}
    (tmp_path / "p.json").write_text(product("ruled", owner="staff", tables={"t": ruled}))
    (tmp_path / "t.csv").write_text("ssn\nREFUSED-ROW\n")
    cli_json("register", str(tmp_path / "p.json"), **home)
    cli_json("publish", "ruled", str(tmp_path / "t.csv"), code=1, **home)
    id = git(tmp_path, "hash-object", "t.csv").stdout.strip()
    clone = world.clone("ben")
    assert git(clone.path, "fetch", "--quiet", "origin", id, check=False).returncode != 0
    (tmp_path / "p.json").write_text(product("ruled", owner="staff", tables={"t": {**ruled, "quality": []}}))
    cli_json("register", str(tmp_path / "p.json"), **home)
    cli_json("publish", "ruled", str(tmp_path / "t.csv"), **home)
    git(clone.path, "fetch", "--quiet", "origin", id)
