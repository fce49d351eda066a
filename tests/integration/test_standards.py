"""Pairs of an ODPS product and its ODCS contract on a real home: taken, kept on main, and given back."""

from __future__ import annotations

import json

import pytest

from tests.integration.keeping import Kept
from tests.unit.kernel.test_odps import ODCS, ODPS
from thinmesh.bootstrap import init_home
from thinmesh.kernel.errors import Refused

FOLDER = "seller_co/customers"
CONTRACT = f"---\n{ODCS}"


@pytest.fixture
def kept(tmp_path):
    init_home(tmp_path / "home")
    kept = Kept(tmp_path / "home")
    kept.platform.identity.create_team(kept.admin, "crm", ["seller_co"])
    yield kept
    kept.platform.follow()
    assert kept.broken() == {}
    kept.close()


def register(kept, document, contract=None):
    beside = contract.encode() if contract is not None else None
    return kept.platform.products.register(kept.admin, document.encode(), beside)


def given_back(kept):
    products = kept.platform.products
    return products.odps(kept.admin, "customers").content, products.contract(kept.admin, "customers").content


def on_main(kept):
    data = kept.platform.data
    return {path.rpartition("/")[2]: data.read(file.id) for path, file in data.files(data.tip(), FOLDER).items()}


def test_a_pair_is_given_back_byte_for_byte_and_lies_in_git(kept):
    done = register(kept, ODPS + CONTRACT)
    assert (done.created, done.product["owner"], done.product["access"]) == (True, "crm", "request")
    assert "inputPorts[2].name: 'SAP R/3' is no product here; the port is kept" in done.notes
    assert given_back(kept) == (ODPS.encode(), CONTRACT.encode())
    files = on_main(kept)
    assert files.keys() == {"product.json", "contract.yaml", "product.odps.yaml"}
    assert files["product.odps.yaml"] + files["contract.yaml"] == (ODPS + CONTRACT).encode()
    assert json.loads(files["product.json"]) == {
        "name": "customers", "domain": "seller_co", "description": "Enterprise view of a customer."
    }  # fmt: skip
    assert not register(kept, ODPS + CONTRACT).changed
    assert register(kept, ODPS, ODCS).changed
    assert given_back(kept) == (ODPS.encode(), ODCS.encode())
    shown = kept.platform.products.show(kept.admin, "customers")
    assert shown.lineage["inputs"] == ["payments", "shop"]
    assert [table["name"] for table in shown.tables] == ["customers"]


def test_each_half_is_changed_alone(kept):
    register(kept, ODPS, ODCS)
    other = ODPS.replace("Enterprise view", "A view")
    assert register(kept, other).changed
    assert not register(kept, other).changed
    assert given_back(kept) == (other.encode(), ODCS.encode())
    (latest, *_) = kept.platform.products.history(kept.admin, "customers").items
    assert "the description is another one" in json.dumps(latest)
    assert "payments" not in json.dumps(latest)  # nothing else differs from the pair as it was
    wider = f"{ODCS}dataProduct: customers\ndescription: {{purpose: said here}}\n".replace(
        "schema:\n", "schema:\n- {name: more, properties: [{name: id, logicalType: integer}]}\n"
    )
    assert register(kept, wider).changed
    assert given_back(kept) == (other.encode(), wider.encode())
    found = kept.platform.products.show(kept.admin, "customers").product
    assert (found["description"], found["inputs"]) == ("A view of a customer.", ["payments", "shop"])
    with pytest.raises(Refused, match="no output port has the contractId"):
        register(kept, wider.replace("c2798941", "elsewhere"))
    bare = wider.replace("domain: other\n", "").replace("description: {purpose: said here}\n", "")
    assert register(kept, bare).changed
    assert given_back(kept) == (other.encode(), bare.encode())
    with pytest.raises(Refused, match="'domain' is missing"):
        register(kept, bare.replace("dataProduct: customers", "dataProduct: others"))


def test_a_product_alone_infers_its_tables_and_keeps_them_when_accepted(kept):
    register(kept, ODPS)
    kept.publish("customers", "id,name\n1,a\n", "people")
    assert kept.platform.products.accept(kept.admin, "customers").changed
    assert given_back(kept)[0] == ODPS.encode()
    assert json.loads(on_main(kept)["product.json"])["tables"].keys() == {"people"}
    assert b"contractId: c2798941" in given_back(kept)[0]
    other = ODPS.replace("Enterprise view", "A view")
    assert register(kept, other).changed
    assert json.loads(on_main(kept)["product.json"])["tables"].keys() == {"people"}
    assert list(kept.platform.products.show(kept.admin, "customers").product["tables"]) == ["people"]
    kept.publish("customers", "id,name\n2,b\n", "people", mode="append", file="people/more.csv")
    assert given_back(kept)[0] == other.encode()


def test_a_descriptor_takes_the_place_of_a_pair_and_a_product_that_of_a_descriptor(kept):
    register(kept, ODPS, ODCS)
    whole = {"name": "customers", "domain": "seller_co", "description": "All", "access": "request"}
    tables = {"customers": {"columns": [{"name": "id", "logicalType": "integer", "primaryKey": True}]}}
    register(kept, json.dumps({**whole, "tables": tables}))
    assert on_main(kept).keys() == {"product.json"}
    written = given_back(kept)[0].decode()
    assert "purpose: All" in written
    assert register(kept, written).changed
    assert given_back(kept)[0] == written.encode()
    assert list(kept.platform.products.show(kept.admin, "customers").product["tables"]) == ["customers"]


def test_a_rebuild_and_a_retirement_know_the_pair(kept):
    register(kept, ODPS, ODCS)
    kept.operations.rebuild(kept.admin, "index")
    assert given_back(kept) == (ODPS.encode(), ODCS.encode())
    kept.platform.products.retire(kept.admin, "customers")
    assert on_main(kept) == {}


def test_what_is_wrong_changes_nothing(kept):
    before = kept.platform.data.tip()
    with pytest.raises(Refused) as raised:
        register(kept, ODPS.replace("tags: [", "tags: [1, "), ODCS.replace("integer", "intger"))
    assert [(each.file, each.column) for each in raised.value.violations] == [
        ("product.json", "tags[0]"),
        ("contract.yaml", "schema[0].properties[0].logicalType"),
    ]
    with pytest.raises(Refused, match="'intger' is not one of"):
        register(kept, ODPS + CONTRACT.replace("integer", "intger"))
    assert kept.platform.data.tip() == before
