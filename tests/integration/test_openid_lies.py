"""A provider that is slow, down, or lies, over real HTTP: nobody comes in, and the next honest answer is taken."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.openid.liar import CLIENT, DISCOVERY, SECRET, liar, unpadded
from thinmesh.adapters.oidc import asking
from thinmesh.adapters.oidc.provider import OidcProvider
from thinmesh.kernel.errors import NotSignedIn, Temporary
from thinmesh.kernel.vouching import Asked

ASKED = Asked("the-state", "the-nonce", "v" * 43)
REDIRECT = "https://mesh.example.org/sign-in/oidc/callback"


class Monotonic:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def world(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    clock = Monotonic()
    with liar() as provider:
        provider.nonce = ASKED.nonce
        yield provider, OidcProvider(provider.issuer, CLIENT, secret, REDIRECT, monotonic=clock), clock


def answered(mesh, code="a-code", issuer=None):
    return asyncio.run(mesh.answer(ASKED, code, issuer))


def raw(header, claims, signature=""):
    return ".".join([*(unpadded(json.dumps(each).encode()) for each in (header, claims)), signature])


def test_the_question_names_all_that_ties_the_answer_to_it(world):
    provider, mesh, _ = world
    address = urlsplit(asyncio.run(mesh.question(ASKED)))
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{provider.issuer}/authorize"
    challenge = asked.pop("code_challenge")
    assert ASKED.verifier not in address.query
    assert len(challenge) == 43
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT,
        "scope": "openid profile email",
        "state": ASKED.state,
        "nonce": ASKED.nonce,
        "code_challenge_method": "S256",
    }


def test_a_person_is_taken_as_the_provider_knows_them(world):
    provider, mesh, _ = world
    provider.claims = {"preferred_username": "olga", "email": "o@example.org", "email_verified": True}
    found = answered(mesh)
    assert (found.issuer, found.subject, found.username, found.email) == (
        provider.issuer,
        "s-1",
        "olga",
        "o@example.org",
    )
    _, form, headers = next(each for each in provider.asked if each[0] == "/token")
    assert form["code_verifier"] == [ASKED.verifier]
    assert form["redirect_uri"] == [REDIRECT]
    pair = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    assert pair == "mesh:a+secret%3A+with+%25%2C+%2B+and+blanks"


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_is_not_verified_is_not_taken(world, verified):
    provider, mesh, _ = world
    provider.claims = {"email": "admin@example.org", "email_verified": verified}
    assert answered(mesh).email is None


def test_names_come_from_the_profile_where_the_token_has_none(world):
    provider, mesh, _ = world
    provider.claims = {"email": "mallory@example.org"}
    provider.profile = {"preferred_username": "olga", "email": "olga@example.org", "email_verified": True}
    found = answered(mesh)
    assert (found.username, found.email) == ("olga", "olga@example.org")
    provider.profile["sub"] = "s-2"
    with pytest.raises(NotSignedIn, match="somebody else's"):
        answered(mesh)


NOW = int(time.time())
CLAIMS = {
    "another issuer": {"iss": "https://evil.example"},
    "an issuer that differs by a slash": lambda provider: {"iss": provider.issuer + "/"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "other"},
    "no audience": {"aud": []},
    "an audience of a strange type": {"aud": {"mesh": 1}},
    "two audiences and nobody it is for": {"aud": [CLIENT, "other"]},
    "made for another party": {"aud": [CLIENT, "other"], "azp": "other"},
    "another party alone": {"azp": "other"},
    "expired": {"exp": NOW - 600},
    "never expires": {"exp": None},
    "expires at no time": {"exp": "tomorrow"},
    "not a number": {"exp": float("nan")},
    "of the future": {"iat": NOW + 3600, "exp": NOW + 7200},
    "not yet": {"nbf": NOW + 3600},
    "another nonce": {"nonce": "of-another-browser"},
    "no nonce": {"nonce": None},
    "an empty nonce": {"nonce": ""},
    "a nonce of a strange type": {"nonce": ["the-nonce"]},
    "of nobody": {"sub": ""},
    "of a strange type": {"sub": {"a": 1}},
    "of a name too long": {"sub": "s" * 256},
    "of a name with a line": {"sub": "s\n1"},
    "of another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("lie", CLAIMS)
def test_a_claim_that_does_not_hold_lets_nobody_in(world, lie):
    provider, mesh, _ = world
    changed = CLAIMS[lie]
    changed = changed(provider) if callable(changed) else changed
    honest = dict(provider.claims)
    provider.claims |= changed
    with pytest.raises(NotSignedIn, match="cannot be trusted"):
        answered(mesh)
    provider.claims = honest
    assert answered(mesh).subject == "s-1"


def test_a_clock_that_differs_a_little_is_no_lie(world):
    provider, mesh, _ = world
    now = int(time.time())
    provider.claims |= {"iat": now + 30, "exp": now - 30}
    assert answered(mesh).subject == "s-1"


SIGNATURES = {
    "none": lambda liar: lambda claims: raw({"alg": "none"}, claims),
    "None": lambda liar: lambda claims: raw({"alg": "None"}, claims),
    "no algorithm": lambda liar: lambda claims: raw({"typ": "JWT"}, claims, "AAAA"),
    "the public key as a secret": lambda liar: liar.by_shared_key,
    "a key of its own in the header": lambda liar: liar.by_own_key,
    "no signature": lambda liar: lambda claims: liar.signed(claims).rpartition(".")[0] + ".",
    "a key nobody knows": lambda liar: lambda claims: liar.signed(claims, by="of a stranger"),
    "other claims under a good signature": lambda liar: (
        lambda claims: raw(
            {"alg": "RS256", "kid": "first"}, claims | {"sub": "s-2"}, liar.signed(claims).rpartition(".")[2]
        )
    ),
    "a header that must be understood": lambda liar: (
        lambda claims: raw({"alg": "RS256", "crit": ["new"], "new": 1}, claims, liar.signed(claims).rpartition(".")[2])
    ),
    "no token": lambda liar: lambda claims: None,
    "a text": lambda liar: lambda claims: "a.b.c",
    "a list": lambda liar: lambda claims: [liar.signed(claims)],
    "five parts": lambda liar: lambda claims: liar.signed(claims) + ".a.b",
}


@pytest.mark.parametrize("lie", SIGNATURES)
def test_a_signature_that_does_not_hold_lets_nobody_in(world, lie):
    provider, mesh, _ = world
    provider.token = SIGNATURES[lie](provider)
    with pytest.raises(NotSignedIn, match="cannot be trusted"):
        answered(mesh)
    provider.token = provider.signed
    assert answered(mesh).subject == "s-1"


def test_a_renewed_key_is_taken_at_once_and_the_old_one_no_longer_than_it_is_kept(world):
    provider, mesh, clock = world
    answered(mesh)
    provider.keys, provider.signs = ["second"], "second"
    assert answered(mesh).subject == "s-1"
    provider.signs = "first"
    with pytest.raises(NotSignedIn):
        answered(mesh)
    provider.keys, provider.signs = ["first"], "first"
    clock.now += 3600
    assert answered(mesh).subject == "s-1"


def test_strange_keys_beside_the_right_one_do_no_harm(world):
    provider, mesh, _ = world

    def more(answer):
        strange = [
            None,
            7,
            {},
            {"kty": "RSA"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA", "n": 5, "e": []},
            {"kty": "oct", "k": "AAAA"},
            {"kty": ["RSA"]},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "AKP"},
        ]
        return replace(answer, body=json.dumps({"keys": [*strange, *json.loads(answer.body)["keys"]]}).encode())

    provider.change["/jwks"] = more
    assert answered(mesh).subject == "s-1"


def test_who_answers_for_another_provider_is_not_believed(world):
    provider, mesh, clock = world
    assert answered(mesh, issuer=provider.issuer).subject == "s-1"
    with pytest.raises(NotSignedIn, match="another provider's"):
        answered(mesh, issuer="https://evil.example")
    provider.change[DISCOVERY] = named(authorization_response_iss_parameter_supported=True)
    clock.now += 4000
    with pytest.raises(NotSignedIn, match="another provider's"):
        answered(mesh)


def test_a_code_that_is_not_taken_says_so(world):
    provider, mesh, _ = world
    provider.change["/token"] = lambda answer: replace(answer, status=400, body=b'{"error": "invalid_grant"}')
    with pytest.raises(NotSignedIn, match=r"not taken \(invalid_grant\)"):
        answered(mesh)
    provider.change["/token"] = lambda answer: replace(answer, status=400, body=b'{"error": "<script>"}')
    with pytest.raises(NotSignedIn, match=r"not taken \(no reason\)"):
        answered(mesh)


def named(**more):
    def changed(answer):
        return replace(answer, body=json.dumps(json.loads(answer.body) | more).encode())

    return changed


PATHS = (DISCOVERY, "/token", "/jwks")
BODIES = {
    "endless": lambda answer: replace(answer, body=b" " * 65536, pieces=1 << 20),
    "packed": lambda answer: replace(answer, headers={"Content-Encoding": "gzip"}),
    "elsewhere": lambda answer: replace(answer, status=302, headers={"Location": "/other"}),
    "no JSON": lambda answer: replace(answer, body=b"<html>"),
    "deep": lambda answer: replace(answer, body=b"[" * 100_000),
    "a list": lambda answer: replace(answer, body=b"[]"),
    "no text": lambda answer: replace(answer, body=b"\xff\xfe{"),
    "its own fault": lambda answer: replace(answer, status=500),
    "nothing": lambda answer: replace(answer, body=b""),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("lie", BODIES)
def test_an_answer_that_is_none_is_told_and_can_be_tried_again(world, path, lie):
    provider, mesh, clock = world
    provider.change[path] = BODIES[lie]
    with pytest.raises(Temporary, match="answers with"):
        answered(mesh)
    assert "/other" not in [each[0] for each in provider.asked]
    provider.change.clear()
    clock.now += 6
    assert answered(mesh).subject == "s-1"


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_that_drips_is_not_waited_for(world, path, monkeypatch):
    provider, mesh, clock = world
    monkeypatch.setattr(asking, "_SECONDS", 0.5)
    provider.change[path] = lambda answer: replace(answer, body=b" ", pieces=1 << 20, pause=0.1)
    with pytest.raises(Temporary, match="does not answer in time"):
        answered(mesh)
    monkeypatch.undo()  # an honest answer may take longer on a busy machine
    provider.change.clear()
    clock.now += 6
    assert answered(mesh).subject == "s-1"


def test_a_provider_that_has_failed_is_not_waited_for_by_the_next(world):
    provider, mesh, _ = world
    provider.change[DISCOVERY] = BODIES["its own fault"]

    async def crowd():
        return await asyncio.gather(*(mesh.question(ASKED) for _ in range(20)), return_exceptions=True)

    assert {type(each) for each in asyncio.run(crowd())} == {Temporary}
    assert len(provider.asked) == 1


@pytest.mark.parametrize("query", ["", "?realm=a"])
def test_signing_out_there_names_the_mesh_and_nobody(world, query):
    provider, mesh, _ = world
    provider.change[DISCOVERY] = named(end_session_endpoint=f"{provider.issuer}/end{query}")
    address = urlsplit(str(asyncio.run(mesh.farewell())))
    assert address.path == "/end"
    assert parse_qs(address.query) == {"client_id": [CLIENT], **({"realm": ["a"]} if query else {})}


def test_a_provider_without_a_way_out_has_none(world):
    _, mesh, _ = world
    assert asyncio.run(mesh.farewell()) is None


@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://evil.example/end", "//evil.example", 5, ["x"], ""])
def test_an_address_that_is_none_of_a_provider_is_not_offered(world, address):
    provider, mesh, _ = world
    provider.change[DISCOVERY] = named(end_session_endpoint=address)
    with pytest.raises(Temporary, match="names no address"):
        asyncio.run(mesh.farewell())


def test_nobody_at_home_is_told(tmp_path):
    with liar() as provider:
        gone = provider.issuer
    mesh = OidcProvider(gone, CLIENT, None, REDIRECT)
    with pytest.raises(Temporary, match="cannot be reached"):
        asyncio.run(mesh.question(ASKED))


@pytest.mark.parametrize("issuer", ["https://evil.example", None, 5])
def test_a_provider_of_another_name_is_not_the_one(world, issuer):
    provider, mesh, _ = world
    provider.change[DISCOVERY] = named(issuer=issuer)
    with pytest.raises(Temporary, match="another name"):
        answered(mesh)
    provider.change.clear()
    assert answered(mesh).subject == "s-1"


@pytest.mark.parametrize(
    "address",
    [
        "http://10.0.0.1/token",
        "http://169.254.169.254/latest/meta-data",
        "ftp://127.0.0.1/token",
        "file:///etc/passwd",
        "https://user@example.org/token",
        "https://example.org/token?x=1",
        "https://example.org/token#x",
        "https://exa mple.org/",
        "//example.org/token",
        "http://127.0.0.1:0/token",
        "http://127.0.0.1:99999/token",
        "",
        None,
        ["https://example.org"],
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
def test_an_endpoint_is_asked_over_https_or_on_this_machine_alone(world, name, address):
    provider, mesh, _ = world
    provider.change[DISCOVERY] = named(**{name: address})
    with pytest.raises(Temporary, match=f"to use as its {name}"):
        answered(mesh)


def test_a_provider_elsewhere_names_no_address_of_this_machine():
    mesh = OidcProvider("https://login.example.org", CLIENT, None, REDIRECT)
    with pytest.raises(Temporary, match="to use as its token_endpoint"):
        mesh._endpoint({"token_endpoint": "http://127.0.0.1/token"}, "token_endpoint")


def test_a_secret_that_cannot_be_read_is_told_and_a_renewed_one_counts_at_once(world, tmp_path):
    provider, mesh, _ = world
    file = tmp_path / "secret"
    file.unlink()
    with pytest.raises(Temporary, match="secret"):
        answered(mesh)
    file.write_text("another")
    answered(mesh)
    headers = [each[2] for each in provider.asked if each[0] == "/token"][-1]
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"mesh:another"


def test_a_public_client_shows_no_secret(world):
    provider, _, _ = world
    assert answered(OidcProvider(provider.issuer, CLIENT, None, REDIRECT)).subject == "s-1"
    _, form, headers = next(each for each in provider.asked if each[0] == "/token")
    assert form["client_id"] == [CLIENT]
    assert "Authorization" not in headers


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(world):
    provider, mesh, _ = world
    provider.change[DISCOVERY] = named(token_endpoint_auth_methods_supported=["client_secret_post"])
    answered(mesh)
    _, form, headers = next(each for each in provider.asked if each[0] == "/token")
    assert form["client_secret"] == [SECRET]
    assert "Authorization" not in headers


def test_times_are_those_of_the_mesh_s_clock(world):
    provider, _, _ = world
    later = OidcProvider(provider.issuer, CLIENT, None, REDIRECT, clock=lambda: datetime(2100, 1, 1, tzinfo=UTC))
    with pytest.raises(NotSignedIn):
        answered(later)
