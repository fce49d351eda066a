"""Who may call what: every address of every plane, for every scope of a token, and for tokens that are none.

`ALLOWED` is INTERFACE's table of scopes by hand; an address without an entry fails, so that a new one is judged too.
"""

import time
from dataclasses import dataclass

import httpx
import pytest
from fastapi.routing import APIRoute

from tests.integration.running import cli, cli_json, make_home, up
from thinmesh.interface.http.app import api_of
from thinmesh.kernel.tokens import Claims, Signer

# The bearers: one person, who leads the owner team and is an administrator, with a token of each scope (`publish` is
# for the product at hand, `elsewhere` for another one), and a stranger to all teams with a token of scope `write`.
BEARERS = ("read", "publish", "elsewhere", "write", "admin", "stranger")
PUBLIC = "public"
ANYBODY = "read publish elsewhere write admin stranger"
READERS = "read write admin stranger"
OWNERS = "write admin"
PEOPLE = "write admin stranger"
PUBLISHERS = "publish write admin"
ADMINISTRATORS = "admin"
NOBODY = ""  # over TCP; the home's own socket only

ALLOWED = {
    "GET /identity/v1/whoami": ANYBODY,
    "GET /identity/v1/teams": ANYBODY,
    "POST /identity/v1/teams": PEOPLE,
    "POST /identity/v1/teams/{team}/members/{user}": OWNERS,
    "DELETE /identity/v1/teams/{team}/members/{user}": OWNERS,
    "GET /identity/v1/users": ANYBODY,
    "POST /identity/v1/users": ADMINISTRATORS,
    "POST /identity/v1/users/{user}/links": ADMINISTRATORS,
    "GET /identity/v1/tokens": PEOPLE,
    "POST /identity/v1/tokens": PEOPLE,
    "DELETE /identity/v1/tokens/{id}": PEOPLE,
    "GET /identity/v1/jwks.json": PUBLIC,
    "POST /product/v1/products": OWNERS,
    "GET /product/v1/products": ANYBODY,
    "GET /product/v1/products/{product}": ANYBODY,
    "PUT /product/v1/products/{product}": OWNERS,
    "DELETE /product/v1/products/{product}": OWNERS,
    "POST /product/v1/products/{product}/accept": OWNERS,
    "GET /product/v1/products/{product}/history": ANYBODY,
    "GET /product/v1/products/{product}/contract": ANYBODY,
    "GET /product/v1/products/{product}/odps": ANYBODY,
    "GET /product/v1/products/{product}/tables/{table}": ANYBODY,
    "GET /product/v1/products/{product}/publications": ANYBODY,
    "POST /product/v1/products/{product}/publications": PUBLISHERS,
    "POST /product/v1/products/{product}/checks": PUBLISHERS,
    "GET /product/v1/search": ANYBODY,
    "GET /product/v1/catalog.jsonld": ANYBODY,
    "GET /product/v1/schemas/product.json": PUBLIC,
    "POST /query/v1/statements": READERS,
    "GET /query/v1/statements": READERS,
    "GET /query/v1/statements/{id}": READERS,
    "DELETE /query/v1/statements/{id}": READERS,
    "GET /query/v1/tables": ANYBODY,  # those that the token may read: none for one that only publishes
    # The product at hand is closed: whoever is in no team of its owner needs a grant.
    "GET /product/v1/products/{product}/tables/{table}/sample": "read write admin",
    "GET /product/v1/products/{product}/tables/{table}/profile": "read write admin",
    "GET /product/v1/products/{product}/tables/{table}/data": "read write admin",
    "POST /exchange/v1/requests": PEOPLE,
    "GET /exchange/v1/requests": ANYBODY,
    "POST /exchange/v1/requests/{id}/approve": OWNERS,
    "POST /exchange/v1/requests/{id}/deny": OWNERS,
    "GET /exchange/v1/grants": ANYBODY,
    "DELETE /exchange/v1/grants/{id}": OWNERS,
    "GET /exchange/v1/events": ANYBODY,
    "GET /operations/v1/health/live": PUBLIC,
    "GET /operations/v1/health/ready": PUBLIC,
    "GET /operations/v1/status": ANYBODY,
    "GET /operations/v1/metrics": ANYBODY,
    "GET /operations/v1/audit": ADMINISTRATORS,
    "GET /operations/v1/catalogs": ANYBODY,
    "POST /operations/v1/catalogs/retry": ADMINISTRATORS,
    "GET /operations/v1/doctor": ADMINISTRATORS,
    "POST /operations/v1/rebuild": ADMINISTRATORS,
    "POST /operations/v1/backups": NOBODY,
}
# No plane's, and so in no OpenAPI document.
BESIDE = {
    "GET /openapi.json": PUBLIC,
    "GET /git/data.git/info/refs?service=git-upload-pack": READERS,
    "GET /git/data.git/info/refs?service=git-receive-pack": "publish elsewhere write admin stranger",
    "POST /git/data.git/git-upload-pack": READERS,
    "POST /git/data.git/git-receive-pack": "publish elsewhere write admin stranger",
}
# What concerns a stranger in nothing is not there for them.
HIDDEN = {
    "POST /exchange/v1/requests/{id}/approve",
    "POST /exchange/v1/requests/{id}/deny",
    "DELETE /exchange/v1/grants/{id}",
}


@dataclass
class World:
    """A mesh with everything that a call may be about."""

    client: httpx.Client
    tokens: dict
    count: int = 0

    def ask(self, bearer, method, path, **more):
        signed = {"Authorization": f"Bearer {self.tokens[bearer]}"} if bearer else {}
        if path.startswith("/git/") and bearer:
            more["auth"], signed = ("x", self.tokens[bearer]), {}
        return self.client.request(method, path, headers={**signed, **more.pop("headers", {})}, **more)

    def made(self, path, bearer="admin", **more):
        reply = self.ask(bearer, "POST", path, **more)
        assert reply.status_code < 300, reply.text
        return reply.json()

    def new(self, what):
        self.count += 1
        return f"{what}{self.count}"

    def product(self):
        return self.made("/product/v1/products", json=described(self.new("made")))["product"]["name"]

    def request(self):
        name = self.product_closed()
        asked = {"product": name, "purpose": "Planning"}
        return self.made("/exchange/v1/requests", "asker", json=asked)["id"]

    def product_closed(self):
        wanted = {**described(self.new("shut")), "access": "request"}
        return self.made("/product/v1/products", json=wanted)["product"]["name"]

    def grant(self):
        id = self.request()
        return self.made(f"/exchange/v1/requests/{id}/approve")["id"]


def described(name):
    return {"name": name, "domain": "aviation", "description": "Made for one call"}


def statement(world, bearer):
    id = world.new("statement")
    ran = world.ask(bearer, "POST", "/query/v1/statements", json={"sql": "select 1", "id": id})
    assert ran.status_code == 200, ran.text
    return {"id": id}


def changed(world):
    name = world.product()
    return {"product": name}, {"json": described(name) | {"description": "Changed"}}


def git(service):
    return {"content": b"0000", "headers": {"Content-Type": f"application/x-{service}-request"}}


FILES = {"files": {"file": ("wages.csv", b"name,wage\nann,1\n")}}
# What a call needs to go well, but for the caller's rights: (what fills its path, what is sent). The second argument is
# whose token or statement it is to be about.
NEEDED = {
    "POST /identity/v1/teams": lambda world, _: ({}, {"json": {"name": world.new("team")}}),
    "DELETE /identity/v1/teams/{team}/members/{user}": lambda world, _: (
        {"user": world.made("/identity/v1/teams/meteo/members/ben") and "ben"},
        {},
    ),
    "POST /identity/v1/users": lambda world, _: ({}, {"json": {"name": world.new("user")}}),
    "POST /identity/v1/users/{user}/links": lambda world, _: (
        {},
        {"json": {"subject": "s-1", "issuer": "https://login.example.org"}},
    ),
    "POST /identity/v1/tokens": lambda world, _: ({}, {"json": {}}),
    "DELETE /identity/v1/tokens/{id}": lambda world, whose: (
        {"id": world.made("/identity/v1/tokens", whose, json={})["id"]},
        {},
    ),
    "POST /product/v1/products": lambda world, _: ({}, {"json": described(world.new("new")) | {"owner": "meteo"}}),
    "PUT /product/v1/products/{product}": lambda world, _: changed(world),
    "DELETE /product/v1/products/{product}": lambda world, _: ({"product": world.product()}, {}),
    "POST /product/v1/products/{product}/accept": lambda world, _: ({"product": world.product()}, {}),
    "POST /product/v1/products/{product}/publications": lambda world, _: ({}, FILES),
    "POST /product/v1/products/{product}/checks": lambda world, _: ({}, FILES),
    "GET /product/v1/search": lambda world, _: ({}, {"params": {"q": "wages"}}),
    "POST /query/v1/statements": lambda world, _: ({}, {"json": {"sql": "select 1"}}),
    "GET /query/v1/statements/{id}": lambda world, whose: (statement(world, whose), {}),
    "DELETE /query/v1/statements/{id}": lambda world, whose: (statement(world, whose), {}),
    "POST /exchange/v1/requests": lambda world, _: ({}, {"json": {"product": "payroll", "purpose": "Planning"}}),
    "POST /exchange/v1/requests/{id}/approve": lambda world, _: ({"id": world.request()}, {}),
    "POST /exchange/v1/requests/{id}/deny": lambda world, _: ({"id": world.request()}, {"json": {"why": "No"}}),
    "DELETE /exchange/v1/grants/{id}": lambda world, _: ({"id": world.grant()}, {}),
    "POST /git/data.git/git-upload-pack": lambda world, _: ({}, git("git-upload-pack")),
    "POST /git/data.git/git-receive-pack": lambda world, _: ({}, git("git-receive-pack")),
}
PLACES = {"team": "meteo", "user": "ben", "product": "wages", "table": "wages"}


def filled(world, address, bearer):
    """Give (method, path, what is sent) of a call that nothing but the caller's rights can keep from going well."""
    method, _, path = address.partition(" ")
    needed = NEEDED.get(address, lambda *_: ({}, {}))
    where, sent = needed(world, "stranger" if bearer == "stranger" else "admin")
    return method, path.format(**{**PLACES, **where}), dict(sent)


SCOPES = {"read": "read", "publish": "publish:wages", "elsewhere": "publish:other", "write": "write", "admin": "admin"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scopes")
    home, first = make_home(folder)
    with up(home) as url, httpx.Client(base_url=url, timeout=60) as client:
        world = World(client, {"first": first, "foreign": foreign(folder / "keys")})
        for name in ("ann", "ben", "eve", "kim"):
            world.made("/identity/v1/users", "first", json={"name": name, "admin": name == "ann"})

        def token(scope, user="ann", expires="P90D"):
            wanted = {"user": user, "scope": scope, "expires": expires}
            return world.made("/identity/v1/tokens", "first", json=wanted)

        revoked, expired = token("admin"), token("admin", expires="PT1S")
        world.client.delete(f"/identity/v1/tokens/{revoked['id']}", headers={"Authorization": f"Bearer {first}"})
        world.tokens |= {name: token(scope)["token"] for name, scope in SCOPES.items()}
        world.tokens |= {"stranger": token("write", "eve")["token"], "asker": token("write", "kim")["token"]}
        world.tokens |= {"revoked": revoked["token"], "expired": expired["token"]}
        world.made("/identity/v1/teams", json={"name": "meteo", "domains": ["aviation"]})
        world.made("/identity/v1/teams", "first", json={"name": "staff", "domains": ["people"]})
        closed = {"access": "request"}
        world.made("/product/v1/products", json=described("wages") | closed)
        world.made("/product/v1/products", json=described("other"))
        world.made("/product/v1/products", "first", json=described("payroll") | closed | {"domain": "people"})
        world.made("/product/v1/products/wages/publications", **FILES)
        until_refused(world, "expired")
        yield world


def until_refused(world, bearer):
    for _ in range(600):
        if world.ask(bearer, "GET", "/product/v1/products").status_code == 401:
            return
        time.sleep(0.05)
    raise AssertionError(f"the token {bearer} is taken for ever")


def foreign(folder):
    """Give a token that another mesh made for the user of the same name."""
    other, now = Signer(folder), int(time.time())
    other.create()
    return other.sign(Claims("abc", "ann", "admin", now, now + 3600))


def documented(world):
    paths = world.ask(None, "GET", "/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item}


def test_every_address_is_in_the_table_and_every_route_is_documented(world):
    assert documented(world) == set(ALLOWED)
    routes = {
        f"{method} {route.path}"
        for route in routes_of(api_of(None))
        for method in route.methods
        if not route.path.endswith("/openapi.json")
    }
    assert routes == set(ALLOWED)


def routes_of(app):
    """Give the routes of an app and of the routers in it."""
    found = []
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        found += routes_of(inner) if inner is not None else [route] if isinstance(route, APIRoute) else []
    return found


@pytest.mark.parametrize("bearer", BEARERS)
def test_a_token_may_do_what_its_scope_says_and_nothing_else(world, bearer, record_property):
    wrong = []
    table = {**ALLOWED, **BESIDE}
    for address, allowed in table.items():
        method, path, sent = filled(world, address, bearer)
        reply = world.ask(bearer, method, path, **sent)
        if allowed == PUBLIC or bearer in allowed.split():
            held = reply.status_code < 300
        else:
            held = reply.status_code == (404 if bearer == "stranger" and address in HIDDEN else 403)
        if not held:
            wrong.append(f"{address}: {reply.status_code} {reply.text[:200]}")
    record_property("held", ("token scopes", len(table), len(table) - len(wrong)))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("bearer", [None, "expired", "revoked", "foreign"])
def test_a_token_that_is_none_opens_what_is_public_and_nothing_else(world, bearer, record_property):
    wrong = []
    table = {**ALLOWED, **BESIDE}
    for address, allowed in table.items():
        method, path = address.split(" ")
        reply = world.ask(bearer, method, path.replace("{", "").replace("}", ""))
        if reply.status_code != (200 if allowed == PUBLIC else 401):
            wrong.append(f"{address}: {reply.status_code} {reply.text[:200]}")
    record_property("held", ("token scopes", len(table), len(table) - len(wrong)))
    assert not wrong, "\n".join(wrong)


def test_a_token_that_only_publishes_sees_no_rows_and_no_statements(world):
    for bearer in ("publish", "elsewhere"):
        assert world.ask(bearer, "GET", "/query/v1/tables").json()["items"] == []
        assert world.ask(bearer, "GET", "/query/v1/statements").status_code == 403


def test_a_token_never_makes_one_that_outlives_it(world):
    """Over HTTP, and with the command line that `show` gives to whoever is signed in with a short token."""
    short = world.made("/identity/v1/tokens", "first", json={"user": "eve", "expires": "PT1H"})
    bearer = {"Authorization": f"Bearer {short['token']}"}
    made = world.client.post("/identity/v1/tokens", headers=bearer, json={"expires": "P10Y"})
    assert made.status_code == 201
    assert (made.json()["expires"], made.json()["shortened"]) == (short["expires"], True)
    inside = world.client.post("/identity/v1/tokens", headers=bearer, json={"expires": "PT1M"}).json()
    assert inside["expires"] < short["expires"]
    assert not inside["shortened"]
    signed_in = {"THINMESH_URL": str(world.client.base_url), "THINMESH_TOKEN": made.json()["token"]}
    said = cli("token", "new", "--scope", "read", **signed_in)
    assert said.returncode == 0, said.stderr
    assert f"warning: it ends at {short['expires']}" in said.stderr
    assert cli_json("token", "new", "--scope", "read", **signed_in)["expires"] == short["expires"]
