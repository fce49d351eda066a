"""What a push says to a stock git client: what was done with every product, and the way out of a refusal."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.integration.running import cli_json, environment, make_home, up

PRODUCT = {"name": "orders", "domain": "sales", "description": "Orders"}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """Give the address of a mesh and two people: ann in one team, ben in two."""
    folder = tmp_path_factory.mktemp("reply")
    home, _ = make_home(folder)
    cli_json("team", "create", "shop", "--domain", "sales", home=home)
    cli_json("team", "create", "desk", "--domain", "sales", "--as", "admin", home=home)
    cli_json("user", "add", "ann", "--team", "shop", home=home)
    cli_json("user", "add", "ben", "--team", "shop", "--team", "desk", home=home)
    tokens = {name: cli_json("token", "new", name, home=home)["token"] for name in ("ann", "ben")}
    with up(home) as url:
        yield home, {name: url.replace("//", f"//{name}:{token}@") for name, token in tokens.items()}


class Clone:
    def __init__(self, url, path):
        self.path = path
        self.git("clone", "-q", "-c", "remote.origin.push=HEAD:refs/for/main", f"{url}/git/data.git", str(path))

    def git(self, *arguments, fails=False):
        who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        folder = self.path if self.path.exists() else None
        done = subprocess.run(
            ["git", *who, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stdout + done.stderr

    def push(self, files=None, *, fails=False):
        """Commit files and push; give the lines that the server said."""
        for path, content in (files or {}).items():
            target = self.path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content if isinstance(content, str) else json.dumps(content))
        if files:
            self.git("add", "--all")
            self.git("commit", "-q", "-m", "Change")
        said = self.git("push", fails=fails).splitlines()
        lines = [line.removeprefix("remote: ").rstrip() for line in said if line.startswith("remote: ")]
        # The catalog file follows in its own time: whether main went on meanwhile is not the test's to say.
        lines = [line.removesuffix(" Bring it in with: git pull") for line in lines]
        return [line for line in lines if line and not line.startswith(("checking ", "Merged with "))]


@pytest.fixture
def clone(mesh, tmp_path):
    return Clone(mesh[1]["ann"], tmp_path / "ann")


def test_a_push_says_what_was_registered_and_published(clone):
    said = clone.push(
        {
            "sales/orders/orders.csv": "Order ID,qty\n1,2\n2,3\n3,4\n",
            "sales/orders/old.xlsx": "x",
            "sales2/returns/product.json": {"name": "returns", "domain": "sales2", "description": "Returns"},
            "sales2/returns/README.md": "# Returns",
        }
    )
    assert said == [
        "registered sales/orders",
        "published orders p1: orders 3 rows",
        "sales2 is a new domain; it now belongs to the team shop",
        "registered sales2/returns",
        "note: sales/orders/old.xlsx is stored and not read; save it as old.csv and push that, or: "
        "thinmesh publish orders old.csv",
        "note: orders: order_id integer, qty integer",
        'note: orders: header "Order ID" -> order_id',
        "note: the columns of orders are inferred; to make them its contract: thinmesh accept orders",
    ]
    assert clone.push({"sales/orders/orders.csv": "Order ID,qty\na,2\n"}) == [
        "published orders p2: orders 1 row",
        "note: orders.order_id: integer became string",
        "note: the columns of orders are inferred; to make them its contract: thinmesh accept orders",
    ]
    assert clone.push({"sales2/returns/README.md": "# All returns"}) == ["changed sales2/returns"]


def test_a_push_of_many_products_is_told_in_few_lines(clone):
    said = clone.push({f"many/many{n}/t.csv": "a\n1\n" for n in range(30)})
    assert len(said) == 40
    assert said[:3] == [
        "many is a new domain; it now belongs to the team shop",
        "registered many/many0",
        "published many0 p1: t 1 row",
    ]
    assert said[-1] == "and 82 more lines like these"


def test_a_push_with_nothing_new_says_so_and_publishes_nothing(mesh, clone, tmp_path):
    other = Clone(mesh[1]["ann"], tmp_path / "other")
    files = {"sales/same/same.csv": "a\n1\n"}
    assert "published same p1: same 1 row" in clone.push(files)
    assert clone.push() == ["Nothing new: main has all of this already."]
    other.git("commit", "--allow-empty", "-q", "-m", "A commit that is not the first one's, also in the same second")
    assert other.push(files) == ["Nothing new: main has all of this already."]
    other.git("pull", "--ff-only")
    merge, subject = other.git("log", "--merges", "-1", "--format=%H %s").strip().split(" ", 1)
    assert subject == "Merge a push that changes nothing"
    assert other.git("diff", f"{merge}^1", merge) == ""
    assert cli_json("show", "same", home=mesh[0])["publication"] == "p1"


def test_a_folder_without_a_descriptor_asks_whose_it_is(mesh, tmp_path):
    clone = Clone(mesh[1]["ben"], tmp_path / "ben")
    line, *_ = clone.push({"sales/whose/whose.csv": "a\n1\n"}, fails=True)
    assert line.startswith("refused: sales/whose: Which team owns it: desk, shop? Say it in sales/whose/product.json")
    document = json.loads(line[line.index("{") :])
    assert document == {"name": "whose", "domain": "sales", "description": "Whose", "owner": "desk"}
    said = clone.push({"sales/whose/product.json": document})
    assert said[:2] == ["registered sales/whose", "published whose p1: whose 1 row"]


def test_a_renamed_header_has_a_way_out_before_and_after_accept(mesh, clone):
    renamed = {"sales/lines/lines.csv": "id,quantity\n1,2\n"}
    clone.push({"sales/lines/lines.csv": "id,qty\n1,2\n"})
    hint = (
        "refused: sales/lines/lines.csv:1 qty: the header lacks 'qty'; if it is 'quantity' now: renaming a column "
        'breaks consumers; keep qty and give it "physicalName": "quantity" in product.json%s, or publish a new table '
        'beside lines and mark lines "deprecated"'
    )
    assert clone.push(renamed, fails=True) == [
        hint % " (thinmesh accept writes the inferred columns there)",
        "Nothing was changed.",
    ]
    cli_json("accept", "lines", home=mesh[0])
    clone.git("pull", "--no-rebase", "--no-edit")
    assert clone.push(fails=True) == [
        hint % "",
        "refused: sales/lines/lines.csv:1:2 quantity: the header names 'quantity', which is no column of lines; add "
        '{"name": "quantity", "logicalType": "string"} to its columns',
        "Nothing was changed.",
    ]
    document = json.loads((clone.path / "sales/lines/product.json").read_text())
    column = document["tables"]["lines"]["columns"][1]
    kept = dict(column)
    column["name"] = "quantity"
    said = clone.push({"sales/lines/product.json": document}, fails=True)
    assert 'keep it and read it from a new header by "physicalName"' in said[0]
    column |= {**kept, "physicalName": "quantity"}
    assert clone.push({"sales/lines/product.json": document}) == [
        "changed sales/lines",
        "published lines p2: lines 1 row",
    ]
    assert cli_json("query", "select qty from lines.lines", home=mesh[0], THINMESH_TOKEN="")["rows"] == [[2]]


def test_every_refusal_begins_with_the_path_and_names_it_once(clone):
    tables = {
        "a": {"columns": {"a": "integer"}, "primaryKey": ["a"]},
        "b": {"columns": {"b": "integer"}, "references": [{"columns": ["b"], "table": "a", "to": ["a"]}]},
    }
    document = {"name": "pair", "domain": "sales", "description": "A pair", "tables": tables}
    good = {"sales/pair/a.csv": "a\n1\n2\n", "sales/pair/b.csv": "b\n1\n2\n"}
    clone.push({"sales/pair/product.json": document, **good})
    assert clone.push({"sales/pair/a.csv": "a\n1\n"}, fails=True)[0] == (
        'refused: sales/pair/b.csv b: "2" is named by b, and would be missing in a (a)'
    )
    assert clone.push({"sales/pair/a.csv": "a;b\n1;2\n", "sales/pair/b.csv": ""}, fails=True)[:2] == [
        "refused: sales/pair/a.csv: the file looks as if it were separated by a semicolon, not by commas; "
        "save it as CSV (comma separated, UTF-8)",
        "refused: sales/pair/b.csv: the file is empty: the first line must name the columns",
    ]
    assert clone.push({**good, "sales/pair/a.csv": "a\n1,2,3\n1\n2,3\n"}, fails=True)[:2] == [
        'refused: sales/pair/a.csv:2: "1,2,3" does not have as many fields as the header (1)',
        'refused: sales/pair/a.csv:4: "2,3" does not have as many fields as the header (1)',
    ]
