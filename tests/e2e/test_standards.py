"""A pair of an ODPS product and its ODCS contract through every door: command line, HTTP, Python and git."""

from __future__ import annotations

import json

import httpx
import pytest

import thinmesh
from tests.integration.git_mesh import Clone, git
from tests.integration.running import cli, cli_json, make_home, up
from tests.unit.kernel.test_odps import ODCS, ODPS

# Without a newline at its end, and with its own marker: each is kept as it is.
CONTRACT = f"---\n{ODCS.rstrip()}"


def named(name: str) -> tuple[str, str]:
    return ODPS.replace("name: customers\nversion", f"name: {name}\nversion"), CONTRACT


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standards")
    home, token = make_home(folder)
    cli_json("team", "create", "crm", "--domain", "seller_co", home=home)
    with up(home) as url:
        yield folder, home, url, token


def test_the_command_line_takes_a_pair_as_two_files_or_as_a_stream(served):
    folder, home, url, token = served
    product, contract = named("by_files")
    (folder / "by_files.odps.yaml").write_text(product)
    (folder / "contract.yaml").write_text(contract)
    remote = {"THINMESH_URL": url, "THINMESH_TOKEN": token}
    for name, arguments, stdin, where in (
        ("by_files", ("by_files.odps.yaml", "contract.yaml"), None, remote),
        ("by_stream", ("-",), "".join(f"{each}\n" for each in named("by_stream")), {"home": home}),
    ):
        assert cli_json("register", *arguments, stdin=stdin, folder=folder, **where)["created"]
        again = cli_json("register", *arguments, stdin=stdin, folder=folder, **where)
        assert (again["changed"], again["product"]["name"]) == (False, name)
        given = [cli("show", name, "--format", each, **where).stdout for each in ("odps", "odcs")]
        assert given == [product, contract] or "".join(given) == stdin
    assert cli_json("show", "by_files", "--format", "odps", **remote) == {"odps": product}


def test_what_is_wrong_is_told_by_the_author_s_names(served):
    folder, home, _, _ = served
    product, contract = named("wrong")
    (folder / "wrong.odps.yaml").write_text(product.replace("tags: [", "tags: [1, "))
    (folder / "wrong.odcs.yaml").write_text(contract.replace("integer", "intger"))
    done = cli("register", "wrong.odps.yaml", "wrong.odcs.yaml", home=home, folder=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "wrong.odps.yaml: tags[0]: an item of 'tags' must be a text, not 1 (ODPS)" in done.stderr
    assert "wrong.odcs.yaml: schema[0].properties[0].logicalType" in done.stderr
    assert "Traceback" not in done.stderr


def test_http_takes_a_pair_as_two_parts_and_gives_both_back(served):
    _, _, url, token = served
    product, contract = named("by_http")
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        parts = {"product": product.encode(), "contract": contract.encode()}
        done = client.post("/product/v1/products", files=parts, headers={"Idempotency-Key": "pair"})
        assert done.status_code == 201, done.text
        assert client.post("/product/v1/products", files=parts).status_code == 200
        put = client.put("/product/v1/products/by_http", files=parts)
        assert (put.status_code, put.json()["changed"]) == (200, False)
        for address, content in (("odps", product), ("contract", contract)):
            found = client.get(f"/product/v1/products/by_http/{address}")
            assert (found.content, found.headers["etag"]) == (content.encode(), done.headers["etag"])
            assert found.headers["content-type"] == "application/yaml"
        as_text = client.post("/product/v1/products", content=product, headers={"Content-Type": "application/yaml"})
        assert as_text.json()["changed"] is False
        assert client.get("/product/v1/products/nothing/odps").status_code == 404


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ({"contract": b"x"}, "The parts are not those of one product."),
        ({"product": b" "}, "The parts are not those of one product."),
        ({"product": b"x", "more": b"x"}, "The parts are not those of one product."),
        ([("product", b"x"), ("product", b"x")], "The parts are not those of one product."),
        ([("product", b"x")] * 3, "The parts of the body cannot be read."),
    ],
    ids="contract-alone blank stranger twice many".split(),
)
def test_other_parts_are_refused(served, parts, detail):
    _, _, url, token = served
    done = httpx.post(
        f"{url}/product/v1/products", files=parts, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )
    assert (done.status_code, done.json()["detail"]) == (400, detail)


def test_a_body_that_is_no_multipart_is_refused(served):
    _, _, url, token = served
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=b"}
    for body in (b"", b"--b", b"--b\r\nContent-Disposition: x\r\n\r\n\xff\r\n--b--\r\n", b"\0" * 1000):
        done = httpx.post(f"{url}/product/v1/products", content=body, headers=headers, timeout=60)
        assert (done.status_code, done.json()["code"]) == (400, "malformed")


def test_python_takes_and_gives_a_pair(served):
    _, _, url, token = served
    product, contract = named("by_python")
    with thinmesh.connect(url, token=token) as mesh:
        assert mesh.register(product, contract)["created"]
        assert (mesh.odps("by_python"), mesh.contract("by_python")) == (product.encode(), contract.encode())


def test_git_takes_a_pair_beside_the_descriptor_and_has_what_others_handed_in(served):
    folder, home, url, token = served
    git(folder, "clone", "--quiet", url.replace("http://", f"http://x:{token}@") + "/git/data.git", "clone")
    clone = Clone(folder / "clone")
    product, contract = named("by_git")
    least = json.dumps({"name": "by_git", "domain": "seller_co", "description": "By git"})
    clone.write("seller_co/by_git/product.json", least)
    clone.write("seller_co/by_git/product.odps.yaml", product).write(
        "seller_co/by_git/contract.yaml", contract
    ).commit()
    clone.push("origin", "HEAD:refs/for/main")
    shown = cli_json("show", "by_git", home=home)
    assert (shown["product"]["inputs"], shown["product"]["owner"]) == (["payments", "shop"], "crm")
    assert [table["name"] for table in shown["tables"]] == ["customers"]
    assert cli("show", "by_git", "--format", "odps", home=home).stdout == product
    bare, contract_alone = "seller_co/bare", "seller_co/alone"
    clone.write(f"{bare}/product.odps.yaml", named("bare")[0])
    clone.write(f"{contract_alone}/contract.yaml", contract).write(
        f"{contract_alone}/customers.csv", "id\nx\n"
    ).commit()
    said = clone.push("origin", "HEAD:refs/for/main", fails=True)
    assert f'refused: {contract_alone}/customers.csv:2:1 id: "x" is not an integer' in said
    assert f"refused: {bare}" not in said
    clone.write(f"{contract_alone}/customers.csv", "id\n1\n").commit()
    clone.push("origin", "HEAD:refs/for/main")
    shown = cli_json("show", "bare", home=home)["product"]
    assert (shown["description"], shown["access"]) == ("Enterprise view of a customer.", "request")
    assert cli("show", "bare", "--format", "odps", home=home).stdout == named("bare")[0]
    clone.git("pull", "--quiet", "--no-rebase", "origin", "main")
    clone.write(
        "seller_co/by_git/product.odps.yaml", product.replace("kind: DataProduct\n", "kind: DataProduct\nx: 1\n")
    )
    clone.commit()
    said = clone.push("origin", "HEAD:refs/for/main", fails=True)
    assert "refused: seller_co/by_git/product.odps.yaml:3:1 x: 'x' is no field of an ODPS product" in said
    clone.write("seller_co/by_git/odps.yaml", product).commit()
    said = clone.push("origin", "HEAD:refs/for/main", fails=True)
    assert "seller_co/by_git/odps.yaml: this name is not read; name it product.odps.yaml, an ODPS product" in said
