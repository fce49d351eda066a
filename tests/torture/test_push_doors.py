"""Attacks by refs, by credentials, by the time of a push, and by the file system beside the door."""

from __future__ import annotations

import base64
import json
import socket
import subprocess

import pytest

from tests.integration.git_mesh import git
from tests.integration.running import cli_json

from .besieged import FOR_MAIN, MAIN, descriptor
from .forging import NOWHERE, commands, pack

README = "south/own/README.md"
HOOKS_ONLY = "refused: this repository takes pushes over HTTP only"


def refuse(world, done, before, *said, ids=()):
    assert done.returncode != 0, done.stderr
    assert any(each in done.stderr for each in said), done.stderr
    assert "Something unexpected" not in done.stderr
    world.unharmed(before, *ids)


def own_change(world, text="# refs\n"):
    return world.edit({README: text})


def whole(world, commit):
    return pack(world.forge.objects(*world.forge.news(commit, world.tip())))


# Refs --------------------------------------------------------------------------------------------------------------

REFS = [
    "refs/heads/other",
    "refs/heads/main/sub",
    "refs/heads/MAIN",
    "refs/heads/mai\u006e\u200b",
    "refs/for/other",
    "refs/for/main/topic",
    "refs/for/main%topic=x",
    "refs/tags/v1",
    "refs/notes/commits",
    "refs/meta/config",
    "refs/changes/01/1/1",
    "refs/stash",
    "refs/remotes/origin/main",
    "refs/worktree/main",
    "refs/bisect/bad",
    "refs/hidden/main",
]


@pytest.mark.parametrize("ref", REFS, ids=ascii)
def test_no_other_ref_is_made(world, ref):
    commit, before = own_change(world), world.state()
    refuse(world, world.push("eve", f"{commit}:{ref}"), before, "cannot be pushed; this repository has", ids=[commit])


def test_no_object_is_replaced(world):
    commit, before = own_change(world), world.state()
    done = world.push("eve", f"{commit}:refs/replace/{before.main}")
    refuse(world, done, before, "cannot be pushed; this repository has", ids=[commit])


RAW_REFS = [
    b"HEAD",
    b"main",
    b"FETCH_HEAD",
    b"config",
    b"refs",
    b"refs/heads/../../config",
    b"refs/heads/..",
    b"refs/heads/.lock",
    b"refs/heads/main.lock",
    b"refs/heads//main",
    b"/refs/heads/main",
    b"refs/heads/main/",
    b"refs/heads/a b",
    b"refs/heads/a~1",
    b"refs/heads/a^{}",
    b"refs/heads/a:b",
    b"refs/heads/@{-1}",
    b"refs/heads/\x1b[2J",
    b"refs/heads/a\nrefs/heads/main",
    b"refs/heads/\xff\xfe",
    b"refs/heads/" + b"n" * 60_000,
    b"../../log.git/refs/heads/main",
]


@pytest.mark.parametrize("ref", RAW_REFS, ids=lambda ref: ascii(ref[:40]))
def test_no_odd_ref_is_made(world, ref):
    commit = own_change(world)
    before = world.state()
    _, reply = world.send(commands([(NOWHERE, commit, ref)]), whole(world, commit))
    assert b"ok " + ref not in reply.replace(b"unpack ok", b"")
    assert b"\x1b" not in reply.split(b"ng ")[0]
    world.unharmed(before, commit)


def before_main(world):
    """Give the commit that `main` was at before."""
    return world.forge.git("rev-parse", f"{world.tip()}~1").stdout.strip()


PUSHES = {
    "main-and-for": (lambda w, c: ([f"{c}:{MAIN}", f"{c}:{FOR_MAIN}"], ()), "One push goes to one ref"),
    "main-and-other": (lambda w, c: ([f"{c}:{MAIN}", f"{c}:refs/heads/x"], ()), "refs/heads/x cannot be pushed"),
    "atomic": (
        lambda w, c: ([f"{c}:{MAIN}", f"{c}:refs/tags/t"], ("--atomic",)),
        "does not support --atomic",
    ),
    "mirror": (lambda w, c: ([], ("--mirror",)), "cannot be"),
    "mirror-of-nothing": (lambda w, c: ([f":{MAIN}", ":refs/for/main"], ()), "cannot be deleted"),
    "all-tags": (lambda w, c: ([f"{c}:{FOR_MAIN}", f"{c}:refs/tags/t"], ()), "refs/tags/t cannot be pushed"),
    "deletion-of-main": (lambda w, c: ([f":{MAIN}"], ()), "cannot be deleted"),
    "deletion-of-the-target": (lambda w, c: ([f":{FOR_MAIN}"], ()), "cannot be deleted", "unable to delete"),
    "deletion-and-renewal": (
        lambda w, c: ([f":{MAIN}", f"{c}:{FOR_MAIN}"], ()),
        "cannot be deleted",
    ),
    "forced-back": (lambda w, c: ([f"+{before_main(w)}:{MAIN}"], ()), "would rewrite the history of main"),
    "forced-sideways": (
        lambda w, c: ([f"+{w.forge.edit(before_main(w), {README: 'side'})}:{MAIN}"], ("--force",)),
        "would rewrite the history of main",
    ),
    "forced-with-lease": (
        lambda w, c: ([f"{w.forge.commit(w.forge.tree_of(c))}:{MAIN}"], ("--force-with-lease=main:" + w.tip(),)),
        "has nothing in common with main",
    ),
    "options": (lambda w, c: ([f"{c}:{FOR_MAIN}"], ("--push-option=ci.skip",)), "does not support push options"),
    "signed": (lambda w, c: ([f"{c}:{FOR_MAIN}"], ("--signed=true",)), "does not support --signed"),
}


@pytest.mark.parametrize("name", PUSHES)
def test_no_way_to_push_goes_round_the_rules(world, name):
    make, *said = PUSHES[name]
    commit = own_change(world)
    refspecs, options = make(world, commit)
    before = world.state()
    world.forge.git("update-ref", "refs/heads/side", commit)
    try:
        done = world.push("eve", *refspecs, options=options)
    finally:
        world.forge.git("update-ref", "-d", "refs/heads/side")
    refuse(world, done, before, *said, ids=[commit])


def test_an_old_tip_that_never_was_is_refused(world):
    commit, before = own_change(world), world.state()
    for old in (NOWHERE, "1" * 40, before.main[:-1] + "0", commit):
        _, reply = world.send(commands([(old, commit, MAIN)]), whole(world, commit))
        assert b"ng refs/heads/main" in reply
        world.unharmed(before, commit)


def test_a_commit_that_main_has_moves_nothing_back(world):
    before = world.state()
    older = world.forge.git("rev-parse", f"{before.main}~1").stdout.strip()
    _, reply = world.send(commands([(before.main, older, MAIN)]), pack([]))
    assert b"ng refs/heads/main" in reply
    done = world.push("eve", f"{older}:{FOR_MAIN}")
    assert "Nothing new" in done.stderr
    world.unharmed(before)


# Credentials ---------------------------------------------------------------------------------------------------------


def claims_of(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def forged(head, claims, sign=lambda text: b""):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, claims)]
    text = b".".join(parts)
    return (text + b"." + base64.urlsafe_b64encode(sign(text)).rstrip(b"=")).decode()


def by_secret(secret):
    import hashlib
    import hmac

    return lambda text: hmac.new(secret, text, hashlib.sha256).digest()


def by_another_key(text):
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    return rsa.generate_private_key(65537, 2048).sign(text, padding.PKCS1v15(), SHA256())


def public_key(world):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    key = next(load_pem_private_key(path.read_bytes(), None) for path in (world.home / "keys").iterdir())
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def head_of(token):
    text = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


INVALID = "401", "Authentication failed", "not valid here", "could not read Password"
TOKENS = {
    "none-at-all": (lambda w, t: "", INVALID),
    "no-token": (lambda w, t: "secret", INVALID),
    "cut-off": (lambda w, t: t[:-10], INVALID),
    "no-signature": (lambda w, t: t.rpartition(".")[0] + ".", INVALID),
    "algorithm-none": (lambda w, t: forged({"alg": "none", "typ": "JWT"}, claims_of(t)), INVALID),
    "algorithm-None": (lambda w, t: forged({"alg": "None"}, claims_of(t), lambda text: b"x"), INVALID),
    "public-key-as-secret": (
        lambda w, t: forged({**head_of(t), "alg": "HS256"}, claims_of(t), by_secret(public_key(w))),
        INVALID,
    ),
    "another-key": (lambda w, t: forged(head_of(t), claims_of(t), by_another_key), INVALID),
    "another-key-by-its-name": (
        lambda w, t: forged({**head_of(t), "kid": "../../../../dev/null"}, claims_of(t), by_secret(b"")),
        INVALID,
    ),
    "key-brought-along": (
        lambda w, t: forged({**head_of(t), "jwk": {"kty": "oct", "k": ""}, "jku": w.url}, claims_of(t), by_another_key),
        INVALID,
    ),
    "claims-of-another": (
        lambda w, t: ".".join([t.split(".")[0], w.tokens["ada"].split(".")[1], t.split(".")[2]]),
        INVALID,
    ),
    "claims-widened": (
        lambda w, t: ".".join(
            [t.split(".")[0], forged({}, {**claims_of(t), "scope": "admin"}).split(".")[1], t.split(".")[2]]
        ),
        INVALID,
    ),
    "expired": (lambda w, t: w.tokens["eve_expired"], INVALID),
    "revoked": (lambda w, t: w.tokens["eve_revoked"], INVALID),
    "reading-only": (lambda w, t: w.tokens["eve_reads"], ("This token may only read", "403")),
    "publishing-only": (lambda w, t: w.tokens["eve_publishes"], ("refused: south/own: This token may only publish",)),
    "of-another-user": (lambda w, t: w.tokens["bob"], ("This token may only read", "403")),
}


@pytest.mark.parametrize("name", TOKENS)
def test_no_wrong_token_pushes(world, name):
    make, said = TOKENS[name]
    commit, before = own_change(world), world.state()
    token = make(world, world.tokens["eve"])
    url = f"http://eve:{token}@{world.host}/git/data.git"
    refuse(world, world.push("eve", f"{commit}:{FOR_MAIN}", url=url), before, *said, ids=[commit])


def test_a_publish_token_changes_no_descriptor_through_its_own_rows(world):
    text = descriptor("own", "south", owner="evil", access="request")
    commit = world.edit({"south/own/t.csv": "id,name\n2,b\n", "south/own/product.json": text})
    before = world.state()
    done = world.push("eve_publishes", f"{commit}:{FOR_MAIN}")
    refuse(world, done, before, "This token may only publish to own", ids=[commit])


@pytest.mark.parametrize("place", ["user", "query", "header", "cookie"])
def test_a_token_in_another_place_signs_nobody_in(world, place):
    token = world.tokens["eve"]
    path = "/git/data.git/info/refs?service=git-receive-pack"
    headers = {"Authorization": ""}
    if place == "user":
        headers = {"Authorization": "Basic " + base64.b64encode(f"{token}:".encode()).decode()}
    elif place == "query":
        path += f"&access_token={token}"
    elif place == "header":
        headers |= {"X-Authorization": f"Bearer {token}", "Remote-User": "ada", "Thinmesh-As": "ada"}
    else:
        headers |= {"Cookie": f"token={token}; thinmesh_owner=1"}
    status, _ = world.ask("GET", path, headers=headers)
    assert status == 401
    assert token not in (world.home / "run" / "stderr.log").read_text()


def test_no_token_of_a_failed_push_is_in_the_servers_log(world):
    url = f"http://eve:{world.tokens['eve_revoked']}@{world.host}/git/data.git"
    world.push("eve", f"{own_change(world)}:{FOR_MAIN}", url=url)
    told = (world.home / "run" / "stderr.log").read_text()
    assert not [name for name, token in world.tokens.items() if token in told or token.split(".")[2] in told]


# While a push goes on ------------------------------------------------------------------------------------------------


class SlowPush:
    """A push that waits in the middle of its pack."""

    def __init__(self, world, who_token, commit):
        old = world.tip()
        body = commands([(old, commit, MAIN)]) + whole(world, commit)
        host, _, port = world.host.partition(":")
        password = base64.b64encode(f"x:{who_token}".encode()).decode()
        self._rest = body[-25:]
        self._connection = socket.create_connection((host, int(port)), timeout=60)
        head = (
            f"POST /git/data.git/git-receive-pack HTTP/1.1\r\nHost: {world.host}\r\nConnection: close\r\n"
            f"Authorization: Basic {password}\r\nContent-Type: application/x-git-receive-pack-request\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._connection.sendall(head.encode() + body[:-25])
        world.unpacking()

    def finish(self):
        self._connection.sendall(self._rest)
        with self._connection, self._connection.makefile("rb") as reply:
            return reply.read()


def test_a_token_revoked_while_a_push_goes_on_lands_nothing(world):
    made = cli_json("token", "new", "eve", home=world.home)
    commit = own_change(world, "# revoked\n")
    before = world.state()
    push = SlowPush(world, made["token"], commit)
    cli_json("token", "revoke", made["id"], home=world.home)
    assert b"refused: The token was revoked." in push.finish()
    world.unharmed(before, commit)


def test_who_leaves_a_team_while_a_push_goes_on_lands_nothing(world):
    cli_json("user", "add", "leaver", "--team", "evil", home=world.home)
    made = cli_json("token", "new", "leaver", home=world.home)
    commit = own_change(world, "# left\n")
    before = world.state()
    push = SlowPush(world, made["token"], commit)
    cli_json("team", "remove-member", "evil", "leaver", home=world.home)
    assert b"refused: south/own: own belongs to the team evil; you are not in it." in push.finish()
    world.unharmed(before, commit)


def test_a_push_overtaken_by_another_is_told_to_fetch(world):
    commit = own_change(world, "# overtaken\n")
    push = SlowPush(world, world.tokens["eve"], commit)
    other = world.edit({"south/own_other/README.md": "# first\n"})
    assert world.push("eve", f"{other}:{FOR_MAIN}").returncode == 0
    before = world.state()
    assert b"refused: Somebody else pushed to main meanwhile." in push.finish()
    world.unharmed(before, commit)


# Beside the door ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", [MAIN, FOR_MAIN, "refs/heads/other"])
@pytest.mark.parametrize("way", ["plain", "no-verify", "forged-quarantine"])
def test_a_push_to_the_folder_is_refused(world, way, ref):
    env = {"GIT_QUARANTINE_PATH": str(world.data / "objects")} if way == "forged-quarantine" else {}
    options = ("--no-verify",) if way == "no-verify" else ()
    commit, before = own_change(world), world.state()
    done = world.push("eve", f"{commit}:{ref}", url=str(world.data), env=env, options=options)
    refuse(world, done, before, HOOKS_ONLY, ids=[commit])


@pytest.mark.parametrize("ref", [MAIN, FOR_MAIN])
@pytest.mark.parametrize("way", ["client", "environment"])
def test_a_push_to_the_folder_with_hooks_from_elsewhere_moves_nothing(world, way, ref):
    """Git takes no settings of the client's environment along; with other hooks named, it finds none for the ref."""
    commit = world.edit({"north/orders/README.md": f"# {way}\n"})
    before = world.state()
    options = ("--receive-pack=git -c core.hooksPath=/dev/null receive-pack",) if way == "client" else ()
    names = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": "/dev/null"}
    env = names if way == "environment" else {}
    done = world.push("eve", f"{commit}:{ref}", url=str(world.data), options=options, env=env)
    assert done.returncode != 0
    assert ("proc-receive" if way == "client" else HOOKS_ONLY) in done.stderr
    after = world.state()
    assert (after.main, after.log, after.refs) == (before.main, before.log, before.refs)


@pytest.mark.parametrize("hook", ["pre-receive", "proc-receive"])
def test_a_push_to_the_folder_with_a_hook_taken_away_moves_nothing(world, hook):
    path = world.home / "run" / "git" / "hooks" / hook
    commit, before = world.edit({"north/orders/README.md": "# taken away\n"}), world.state()
    aside = path.rename(path.with_name("aside"))
    try:
        done = world.push("eve", f"{commit}:{MAIN}", url=str(world.data))
    finally:
        aside.rename(path)
    assert done.returncode != 0
    after = world.state()
    assert (after.main, after.log, after.refs) == (before.main, before.log, before.refs)


@pytest.mark.parametrize("way", ["update-ref", "without-the-setting"])
def test_a_ref_moved_by_hand_is_found_by_doctor_and_healed_by_its_command(world, way):
    """No hook guards a file from whoever may write it: the ledger does not follow, and doctor says what heals."""
    commit = world.edit({"north/orders/README.md": f"# by hand, {way}\n"})
    before = world.state()
    if way == "update-ref":
        git(world.data, "fetch", "--quiet", str(world.forge.path), commit)
        git(world.data, "update-ref", MAIN, commit)
    else:
        settings = (world.data / "config").read_bytes()
        git(world.data, "config", "--unset-all", "receive.procReceiveRefs")
        try:
            pack = "--receive-pack=git -c core.hooksPath=/dev/null receive-pack"
            world.push("eve", f"{commit}:{MAIN}", url=str(world.data), options=(pack,))
        finally:
            (world.data / "config").write_bytes(settings)
    assert git(world.data, "rev-parse", "main").stdout.strip() == commit
    found = cli_json("doctor", home=world.home, code=1)
    fault = next(each for each in found["findings"] if each["invariant"] == "main_follows_log")
    subprocess.run(fault["heal"], shell=True, check=True, capture_output=True)
    assert cli_json("doctor", home=world.home)["ok"]
    after = world.state()
    assert (after.main, after.log, after.refs) == (before.main, before.log, before.refs)
    world.lively()


@pytest.mark.parametrize("fault", ["removed", "not-executable", "emptied"])
@pytest.mark.parametrize("hook", ["pre-receive", "proc-receive"])
def test_a_hook_out_of_force_shuts_the_door(world, hook, fault):
    path = world.home / "run" / "git" / "hooks" / hook
    content = path.read_bytes()
    commit, before = world.edit({"north/orders/README.md": "# no hook\n"}), world.state()
    try:
        if fault == "removed":
            path.unlink()
        elif fault == "not-executable":
            path.chmod(0o600)
        else:
            path.write_text("#!/bin/sh\nexit 0\n")
        for ref in (MAIN, FOR_MAIN):
            done = world.push("eve", f"{commit}:{ref}")
            assert done.returncode != 0, done.stderr
            assert git(world.data, "rev-parse", "main").stdout.strip() == before.main
    finally:
        path.write_bytes(content)
        path.chmod(0o700)
    assert world.state().log == before.log
    world.lively()


@pytest.mark.parametrize("setting", ["receive.procReceiveRefs", "core.hooksPath"])
def test_a_setting_taken_away_while_served_counts_for_nothing(world, setting):
    """Without them git itself would move `main`, and pass over the checks or the ledger."""
    before = world.state()
    foreign = world.edit({"north/orders/README.md": "# unset\n"})
    commit = own_change(world, f"# {setting}\n")
    path = world.data / "config"
    content = path.read_bytes()
    try:
        git(world.data, "config", "--unset-all", setting)
        refuse(world, world.push("eve", f"{foreign}:{MAIN}"), before, "refused: north/orders", ids=[foreign])
        done = world.push("eve", f"{commit}:{MAIN}")
    finally:
        path.write_bytes(content)
    assert done.returncode == 0, done.stderr
    assert world.newest_entry()["new"] == world.tip() == commit
