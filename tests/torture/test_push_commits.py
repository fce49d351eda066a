"""Attacks by what commits hold: rights, takings-over, names, kinds of entries. All pushed by a stock client."""

from __future__ import annotations

import unicodedata

import pytest

from .besieged import FOR_MAIN, MAIN, descriptor
from .forging import FILE, FOLDER, LINK, MODULE, pack

ROWS = "id,name\n1,EVIL\n"
NOT_HERS = r"refused: north/orders: orders belongs to the team alpha; you are not in it."


def refuse(world, commit, said, *, who="eve", ref=FOR_MAIN, left=()):
    """Push a commit that must be refused, by a line for each of `said`, and leave nothing."""
    before = world.state()
    done = world.push(who, f"{commit}:{ref}")
    assert done.returncode != 0, done.stderr
    for each in (said,) if isinstance(said, str) else said:
        assert each in done.stderr
    assert "Something unexpected" not in done.stderr
    world.unharmed(before, commit, *left)


def there_and_back(world, changes, **options):
    """Change paths in one commit, and undo it in the next."""
    first = world.edit(changes, **options)
    tip = world.tip()
    return world.forge.commit(world.forge.tree_of(tip), [first])


# Rights ---------------------------------------------------------------------------------------------------------

RIGHTS = {
    "foreign-file": lambda w: w.edit({"north/orders/t.csv": ROWS}),
    "foreign-readme": lambda w: w.edit({"north/orders/README.md": "Mine\n"}),
    "foreign-new-file": lambda w: w.edit({"north/orders/u.csv": ROWS}),
    "foreign-file-deleted": lambda w: w.edit({"north/orders/t.csv": None}),
    "foreign-descriptor-deleted": lambda w: w.edit({"north/orders/product.json": None}),
    "foreign-folder-deleted": lambda w: w.edit({"north/orders": None}),
    "foreign-domain-deleted": lambda w: w.edit({"north": None}),
    "everything-deleted": lambda w: w.forge.commit(w.forge.tree(()), [w.tip()]),
    "author-forged": lambda w: w.edit({"north/orders/t.csv": ROWS}, author=b"Ada <ada@example.org>"),
    "owner-taken": lambda w: w.edit({"north/orders/product.json": descriptor("orders", "north", owner="evil")}),
    "owner-taken-and-used": lambda w: w.forge.edit(
        w.edit({"north/orders/product.json": descriptor("orders", "north", owner="evil")}),
        {"north/orders/t.csv": ROWS},
    ),
    "contract-laid-beside": lambda w: w.edit({"north/orders/contract.yaml": "apiVersion: v3.0.2\n"}),
    "undone-in-the-same-push": lambda w: there_and_back(w, {"north/orders/t.csv": ROWS}),
    "undone-descriptor": lambda w: there_and_back(
        w, {"north/orders/product.json": descriptor("orders", "north", owner="evil")}
    ),
    "own-and-foreign-together": lambda w: w.edit({"own/README.md": "x", "north/orders/t.csv": ROWS}),
    "mode-of-foreign-file": lambda w: w.edit(
        {"north/orders/t.csv": ("100755", w.forge.at(w.tip(), "north/orders/t.csv")[1])}
    ),
    "foreign-file-swapped-for-link": lambda w: w.edit({"north/orders/t.csv": (LINK, w.forge.blob("/etc/passwd"))}),
    "foreign-folder-swapped-for-file": lambda w: w.edit({"north/orders": ROWS}),
    "foreign-folder-swapped-for-module": lambda w: w.edit({"north/orders": (MODULE, w.tip())}),
    "moved-out-of-foreign": lambda w: w.edit(
        {"north/orders/t.csv": None, "south/own/t.csv": (FILE, w.forge.at(w.tip(), "north/orders/t.csv")[1])}
    ),
    "moved-into-foreign": lambda w: w.edit(
        {"south/own/t.csv": None, "north/orders/u.csv": (FILE, w.forge.at(w.tip(), "south/own/t.csv")[1])}
    ),
    "folder-moved-to-own": lambda w: w.edit({"north/orders": None, "south/moved": w.forge.at(w.tip(), "north/orders")}),
    "merged-by-second-parent": lambda w: w.edit({}, w.edit({"north/orders/t.csv": ROWS})),
    "merged-by-first-parent": lambda w: w.forge.edit(w.edit({"north/orders/t.csv": ROWS}), {}, w.tip()),
    "octopus": lambda w: w.edit(
        {"south/own/README.md": "x\n"},
        w.edit({"south/own_other/README.md": "y\n"}),
        w.edit({"north/orders/t.csv": ROWS}),
    ),
    "evil-merge": lambda w: w.edit({"north/orders/t.csv": ROWS}, w.edit({"south/own/README.md": "x\n"})),
    "merged-tree-of-an-older-main": lambda w: w.forge.commit(
        w.forge.edited(w.forge.tree_of(w.tip()), {"north/orders/t.csv": None}),
        [w.tip(), older(w, "north/orders/t.csv")],
    ),
    "undone-behind-a-merge": lambda w: undone_behind_a_merge(w),
    "false-parent-after-the-committer": lambda w: false_parent(w, {"north/orders/t.csv": ROWS}),
    "commit-from-the-year-1970": lambda w: w.edit({"north/orders/t.csv": ROWS}, date=b"0 +0000"),
    "commit-from-the-far-future": lambda w: there_and_back(w, {"north/orders/t.csv": ROWS}, date=b"99999999999 +0000"),
}


def older(world, path):
    """Give a commit of `main` from before a path was there."""
    ids = world.forge.git("rev-list", "--first-parent", world.tip()).stdout.split()
    return next(id for id in ids if world.forge.git("cat-file", "-e", f"{id}:{path}", check=False).returncode)


def undone_behind_a_merge(world):
    """Bring a foreign change in by a side branch, and undo it in the merge itself."""
    side = world.edit({"north/orders/t.csv": ROWS})
    return world.edit({"south/own/README.md": "x\n"}, side)


def false_parent(world, changes):
    """Change and undo in commits that name a further parent where git reads none, so that they look like merges."""
    forge, tip = world.forge, world.tip()
    changed = forge.edited(forge.tree_of(tip), changes)
    likeness = forge.commit(changed, message=b"Never reached")
    first = forge.commit(changed, [tip], extra=b"parent " + likeness.encode() + b"\n")
    return forge.commit(forge.tree_of(tip), [first], extra=b"parent " + tip.encode() + b"\n")


@pytest.mark.parametrize("ref", [FOR_MAIN, MAIN], ids=["for", "main"])
@pytest.mark.parametrize("name", RIGHTS)
def test_nobody_changes_a_foreign_folder(world, name, ref):
    refuse(world, RIGHTS[name](world), "refused: north/orders", ref=ref)


def test_a_false_parent_in_the_same_pack_hides_no_foreign_change(world):
    """The likeness is sent along, though nothing that git reads leads to it."""
    before = world.state()
    commit = false_parent(world, {"north/orders/t.csv": ROWS, "north/patients/t.csv": "ssn\n1\n"})
    first = world.forge.read(commit)[53:93].decode()
    likeness = next(line[7:] for line in world.forge.read(first).decode().split("\n")[4:] if line.startswith("parent "))
    ids = [*world.forge.news(commit, before.main), likeness]
    for ref in (FOR_MAIN, MAIN):
        _, reply = world.send_commit(commit, pack(world.forge.objects(*ids)), ref)
        assert b"refused: north/orders" in reply
        assert b"refused: north/patients" in reply
        world.unharmed(before, *ids)


# Takings-over, closed data, the server's files --------------------------------------------------------------------

CLOSED_CSV = "ssn\n123-45-6789\n"
PLACES = {
    "foreign-name-in-own-domain": (
        lambda w: w.edit({"south/orders/product.json": descriptor("orders", "south")}),
        "refused: south/orders: there is a product orders in the domain north",
    ),
    "foreign-name-by-rows-alone": (
        lambda w: w.edit({"south/orders/t.csv": ROWS}),
        "refused: south/orders: there is a product orders in the domain north",
    ),
    "own-renamed-to-a-foreign-name": (
        lambda w: w.edit({"south/own/product.json": descriptor("orders", "south")}),
        'refused: south/own/product.json name: "name" is orders',
    ),
    "own-descriptor-of-a-foreign-domain": (
        lambda w: w.edit({"south/own/product.json": descriptor("own", "north")}),
        'refused: south/own/product.json domain: "domain" is north',
    ),
    "foreign-identity-in-a-contract": (
        lambda w: w.edit(
            {
                "south/own/contract.yaml": "apiVersion: v3.0.2\nkind: DataContract\nid: orders\nname: orders\n"
                "version: 1.0.0\nstatus: active\ndomain: north\n"
            }
        ),
        "refused: south/own/",
    ),
    "new-product-in-a-foreign-domain": (
        lambda w: w.edit({"north/squat/product.json": descriptor("squat", "north")}),
        "refused: north/squat/product.json: ",
    ),
    "new-product-by-rows-in-a-foreign-domain": (lambda w: w.edit({"north/squat/t.csv": ROWS}), "refused: north/squat"),
    "new-product-for-a-foreign-team": (
        lambda w: w.edit({"south/gift/product.json": descriptor("gift", "south", owner="alpha")}),
        "refused: south/gift/product.json: You are not in the team alpha.",
    ),
    "new-product-for-no-team": (
        lambda w: w.edit({"south/gift/product.json": descriptor("gift", "south", owner="nobody")}),
        "refused: south/gift/product.json: There is no team nobody.",
    ),
    "own-given-to-a-foreign-team": (
        lambda w: w.edit(
            {"south/own/product.json": descriptor("own", "south", owner="alpha", tables={"t": {"columns": {}}})}
        ),
        "refused: south/own/product.json",
    ),
    "retired-name-used-again": (
        lambda w: w.edit({"south/gone/product.json": descriptor("gone", "south")}),
        "refused: south/gone: gone was retired",
    ),
    "retired-name-in-another-domain": (
        lambda w: w.edit({"south2/gone/product.json": descriptor("gone", "south2")}),
        "refused: south2/gone: gone was retired",
    ),
    "own-folder-moved": (
        lambda w: w.edit({"south/own": None, "south/own2": w.forge.at(w.tip(), "south/own")}),
        "refused: south/own: a product does not move",
    ),
    "own-descriptor-deleted": (
        lambda w: w.edit({"south/own/product.json": None}),
        "refused: south/own/product.json: cannot be deleted",
    ),
    "own-folder-deleted": (lambda w: w.edit({"south/own": None}), "refused: south/own: a product's folder cannot be"),
    "own-table-deleted": (lambda w: w.edit({"south/own/t.csv": None}), "refused: south/own/t.csv: the table t cannot"),
    "closed-data": (lambda w: w.edit({"south/own_closed/t.csv": CLOSED_CSV}), "refused: south/own_closed/t.csv: "),
    "closed-data-undone": (
        lambda w: there_and_back(w, {"south/own_closed/t.csv": CLOSED_CSV}),
        "refused: south/own_closed/t.csv: a commit of this push holds data that never enters",
    ),
    "closed-data-undone-in-a-merge": (
        lambda w: w.edit({"south/own/README.md": "x\n"}, w.edit({"south/own_closed/t.csv": CLOSED_CSV})),
        "refused: south/own_closed/t.csv: ",
    ),
    "closed-data-by-another-name": (
        lambda w: w.edit({"south/own_closed/notes.txt": CLOSED_CSV}),
        "refused: south/own_closed/notes.txt: the folder of a closed product holds",
    ),
    "opened-for-one-commit": (
        lambda w: w.forge.edit(
            w.forge.edit(
                w.edit({"south/own_closed/product.json": descriptor("own_closed", "south")}),
                {"south/own_closed/t.csv": CLOSED_CSV},
            ),
            {
                "south/own_closed/t.csv": None,
                "south/own_closed/product.json": descriptor("own_closed", "south", access="request"),
            },
        ),
        "refused: south/own_closed/t.csv: a commit of this push holds data",
    ),
    "catalog-file-edited": (
        lambda w: w.edit({"data_catalog.csv": "name,domain,owner\norders,south,evil\n"}),
        "refused: data_catalog.csv: this file is written by the server",
    ),
    "catalog-file-deleted": (lambda w: w.edit({"data_catalog.csv": None}), "refused: data_catalog.csv: this file is"),
    "catalog-file-edited-and-undone": (
        lambda w: there_and_back(w, {"data_catalog.csv": "\u202eevil\n"}),
        "refused: data_catalog.csv: this file is",
    ),
    "catalog-file-swapped-for-link": (
        lambda w: w.edit({"data_catalog.csv": (LINK, w.forge.blob("/etc/passwd"))}),
        "refused: data_catalog.csv: symbolic links are not taken",
    ),
    "catalog-file-executable": (
        lambda w: w.edit({"data_catalog.csv": ("100755", w.forge.at(w.tip(), "data_catalog.csv")[1])}),
        "refused: data_catalog.csv: this file is",
    ),
    "front-page-edited": (lambda w: w.edit({"README.md": "# Evil\n"}), "refused: README.md: this file is written"),
    "front-page-deleted": (lambda w: w.edit({"README.md": None}), "refused: README.md: this file is written"),
    "file-at-the-root": (lambda w: w.edit({"t.csv": ROWS}), "refused: t.csv: files lie in a product's folder"),
    "file-in-a-domain": (lambda w: w.edit({"south/t.csv": ROWS}), "refused: south/t.csv: files lie in a product's"),
    "nothing-changed": (lambda w: w.edit({}), "refused: nothing to merge"),
    "orphan-root": (
        lambda w: w.forge.commit(w.forge.edited("", {"south/own/README.md": "x"})),
        "refused: The pushed history has nothing in common with main.",
    ),
    "orphan-root-joined": (
        lambda w: w.edit(
            {}, w.forge.commit(w.forge.edited(w.forge.tree_of(w.tip()), {"north/orders/README.md": "Joined\n"}))
        ),
        "refused: ",
    ),
}


@pytest.mark.parametrize("name", PLACES)
def test_nothing_is_taken_over(world, name):
    make, said = PLACES[name]
    refuse(world, make(world), said)


# Names and kinds of entries -----------------------------------------------------------------------------------------


def entry(mode, name, content=ROWS, folder="south/own"):
    return lambda w: w.edit({folder.encode() + b"/" + name: (mode, w.forge.blob(content))})


def inside(name, folder="south"):
    """Bring a folder of this name in, with a file in it."""
    return lambda w: w.edit({folder.encode() + b"/" + name + b"/t.csv": ROWS})


def named(text):
    return text.encode("utf-8")


NAMES = {
    # Refused by git itself (fsck), before anybody looks; of a blank or a colon git says nothing.
    "dot": (inside(b"."), "hasDot"),
    "dot-dot": (inside(b".."), "hasDotdot"),
    "dot-dot-file": (entry(FILE, b".."), "hasDotdot"),
    "git": (inside(b".git"), "hasDotgit"),
    "git-capital": (inside(b".GIT"), "hasDotgit"),
    "git-short": (inside(b"git~1"), "hasDotgit"),
    "git-short-capital": (inside(b"GIT~1"), "hasDotgit"),
    "git-blank": (inside(b".git "), "hasDotgit"),
    "git-dot": (inside(b".git."), "hasDotgit"),
    "git-zero-width": (inside(named(".g\u200cit")), "hasDotgit"),
    "git-stream": (inside(b".git::$INDEX_ALLOCATION"), "hasDotgit"),
    "slash": (
        lambda w: w.edit({"south/own": (FOLDER, w.forge.tree([(FILE, b"../x", w.forge.blob(ROWS))]))}),
        "fullPathname",
    ),
    "modules": (entry(FILE, b".gitmodules", '[submodule "x"]\n\tpath = x\n\turl = -u./evil\n'), "gitmodules"),
    # Refused by the mesh.
    "attributes": (entry(FILE, b".gitattributes", "*.csv filter=evil eol=crlf export-subst\n"), "begin with a dot"),
    "attributes-at-the-root": (
        lambda w: w.edit({".gitattributes": "* working-tree-encoding=UTF-16\n"}),
        "refused: .gitattributes: names that begin with a dot",
    ),
    "modules-harmless": (entry(FILE, b".gitmodules", ""), "begin with a dot"),
    "ignore": (entry(FILE, b".gitignore", "*\n"), "begin with a dot"),
    "ignore-at-the-root": (lambda w: w.edit({".gitignore": "*\n"}), "refused: .gitignore: names that begin"),
    "mailmap": (lambda w: w.edit({".mailmap": "Ada <ada@x> Eve <eve@x>\n"}), "refused: .mailmap: names that begin"),
    "git-long-short": (inside(b"git~12"), "git's own"),
    "backslash": (entry(FILE, b"x\\..\\t.csv"), "the name holds one of"),
    "drive": (entry(FILE, b"c:t.csv"), "the name holds one of"),
    "trailing-dot": (entry(FILE, b"notes."), "ends in a blank or a dot"),
    "trailing-blank": (entry(FILE, b"notes "), "ends in a blank or a dot"),
    "device-folder": (inside(b"aux"), "refused: south/aux"),
    "device-file": (entry(FILE, b"con.txt"), "refused: south/own/con.txt"),
    "device-table": (entry(FILE, b"nul.csv"), "refused: south/own/nul.csv"),
    "newline": (entry(FILE, b"a\nrefused: b.txt"), "invisible or unreadable"),
    "return": (entry(FILE, b"a\r.txt"), "invisible or unreadable"),
    "escape-sequence": (entry(FILE, b"\x1b[2J.txt"), "\\x1b[2J.txt: the name holds control"),
    "no-utf-8": (entry(FILE, b"caf\xe9.txt"), "caf\\xe9.txt: the name holds control"),
    "utf-8-too-long": (entry(FILE, b"\xc0\xae\xc0\xae.txt"), "invisible or unreadable"),
    "surrogate": (entry(FILE, b"\xed\xa0\x80.txt"), "invisible or unreadable"),
    "turned-round": (entry(FILE, named("t\u202evsc.txt")), "t\\u202evsc.txt: the name holds control"),
    "zero-width": (entry(FILE, named("no\u200btes.txt")), "invisible or unreadable"),
    "zero-width-folder": (inside(named("ow\u200dn")), "invisible or unreadable"),
    "confusable-domain": (lambda w: w.edit({named("s\u043euth/own3/t.csv"): ROWS}), "domain name"),
    "confusable-product": (inside(named("\u043ewn")), "product name"),
    "confusable-table": (entry(FILE, named("\u0442.csv")), "table name"),
    "full-width-product": (inside(named("\uff4f\uff57\uff4e")), "product name"),
    "twin-of-a-file": (entry(FILE, b"T.csv"), "refused: south/own/T.csv"),
    "twin-of-a-product": (inside(b"Own"), "refused: south/"),
    "twin-of-a-domain": (lambda w: w.edit({"South/own/t.csv": ROWS}), "refused: South/own/t.csv"),
    "twins-in-a-table": (
        lambda w: w.edit({"south/own/t.csv": None, "south/own/t/a.csv": ROWS, "south/own/t/A.csv": ROWS}),
        "some systems cannot tell this name",
    ),
    "twins-by-composition": (
        lambda w: w.edit({f"south/own/{unicodedata.normalize(form, 'é')}.txt": "x" for form in ("NFC", "NFD")}),
        "some systems cannot tell this name",
    ),
    "twins-by-ligature": (
        lambda w: w.edit({"south/own/\ufb01n.txt": "x", "south/own/fin.txt": "x"}),
        "some systems cannot tell this name",
    ),
    "twins-by-sharp-s": (
        lambda w: w.edit({"south/own/ma\u00df.txt": "x", "south/own/MASS.txt": "x"}),
        "some systems cannot tell this name",
    ),
    "name-too-long": (entry(FILE, b"n" * 256 + b".txt"), "longer than 255 bytes"),
    "name-far-too-long": (entry(FILE, b"n" * 60_000), "refused: south/own/nnnn"),
    "too-deep": (lambda w: w.edit({"south/own/t/x/y.csv": ROWS}), "no folders below"),
    "very-deep": (lambda w: w.edit({"south/own/t" + "/d" * 300 + "/y.csv": ROWS}), "no folders below"),
    # Kinds.
    "link": (entry(LINK, b"t2.csv", "/etc/passwd"), "refused: south/own/t2.csv: symbolic links are not taken"),
    "link-as-descriptor": (entry(LINK, b"product.json", "/etc/passwd"), "refused: south/own/product.json: symbolic"),
    "link-for-the-folder": (
        lambda w: w.edit({"south/own": (LINK, w.forge.blob("../north/orders"))}),
        "refused: south/own: symbolic links are not taken",
    ),
    "link-then-file-through-it": (
        lambda w: w.forge.edit(
            w.edit({"south/own/d": (LINK, w.forge.blob("../../north"))}),
            {"south/own/d": None, "south/own/d/x.csv": ROWS},
        ),
        "refused: south/own/d: symbolic links are not taken",
    ),
    "link-undone": (
        lambda w: there_and_back(w, {"south/own/README.md": (LINK, w.forge.blob("/etc/passwd"))}),
        "refused: south/own/README.md: symbolic links are not taken",
    ),
    "link-with-the-bytes-of-a-file-before": (
        lambda w: turned(w, LINK),
        "refused: south/own/README.md: symbolic links are not taken",
    ),
    "module-with-the-id-of-a-file-before": (
        lambda w: turned(w, MODULE),
        "refused: south/own/README.md: submodules are",
    ),
    "device-with-the-bytes-of-a-file-before": (lambda w: turned(w, "20644"), "refused: south/own/README.md: "),
    "module": (lambda w: w.edit({"south/own/sub": (MODULE, w.tip())}), "refused: south/own/sub: submodules are not"),
    "module-at-the-root": (lambda w: w.edit({"sub": (MODULE, w.tip())}), "refused: sub: submodules are not"),
    "mode-zero": (entry("0", b"t.csv"), "zeroPaddedFilemode"),
    "mode-device": (entry("20644", b"t.csv"), "refused: south/own/t.csv: "),
    "mode-socket": (entry("140644", b"t.csv"), "refused: south/own/t.csv: "),
    "mode-pipe": (entry("10644", b"t.csv"), "refused: south/own/t.csv: "),
    "mode-set-user": (entry("104755", b"t.csv"), "refused: south/own/t.csv: "),
    "mode-of-all": (entry("100777", b"t.csv"), "refused: south/own/t.csv: "),
    "mode-of-a-folder": (entry(FOLDER, b"t.csv"), "error: "),
    "folder-with-the-mode-of-a-file": (
        lambda w: w.edit({"south/own/t.csv": (FILE, w.forge.at(w.tip(), "south/own")[1])}),
        "error: ",
    ),
}


def turned(world, mode):
    """Commit a file that any may bring, and then the same bytes as something else."""
    file = world.forge.blob("/etc/passwd")
    path = "south/own/README.md"
    return world.forge.edit(world.edit({path: (FILE, file)}), {path: (mode, file)})


@pytest.mark.parametrize("name", NAMES)
def test_no_hostile_name_or_kind_comes_in(world, name):
    make, said = NAMES[name]
    refuse(world, make(world), said)


# What is harmless ---------------------------------------------------------------------------------------------------

HARMLESS = {
    "author-forged-in-own-folder": lambda w: w.edit(
        {"south/own_other/README.md": "1\n"}, author=b"Ada <ada@example.org>"
    ),
    "executable-file": lambda w: w.edit({"south/own_other/README.md": ("100755", w.forge.blob("2\n"))}),
    "mode-of-the-group": lambda w: w.edit({"south/own_other/README.md": ("100664", w.forge.blob("3\n"))}),
    "merge-of-an-older-main": lambda w: merge_of_an_older_main(w),
    "giant-message": lambda w: w.edit({"south/own_other/README.md": "5\n"}, message=b"m" * 900_000),
    "message-with-escape-sequences": lambda w: w.edit({"south/own_other/README.md": "6\n"}, message=b"\x1b[2J\x07 x"),
    "headers-injected-by-the-author": lambda w: w.edit(
        {"south/own_other/README.md": "7\n"}, extra=b"gpgsig -----BEGIN-----\n parent 0\n author x\n"
    ),
}


def merge_of_an_older_main(world):
    change = world.edit({"south/own_other/README.md": "4\n"})
    return world.forge.commit(
        world.forge.tree_of(change), [older(world, "south/own_other/product.json"), change], message=b"Merge"
    )


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_is_taken_and_told_of_who_signed_in(world, name):
    before, commit = world.state(), HARMLESS[name](world)
    done = world.push("eve", f"{commit}:{FOR_MAIN}")
    assert done.returncode == 0, done.stderr
    world.nothing_left()
    world.quiet(before)
    assert world.forge.git("merge-base", "--is-ancestor", commit, world.tip(), check=False).returncode == 0
    assert world.newest_entry()["actor"]["user"] == "eve"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("painted", "\x1b]0;owned\x07\x1b[2Jpainted"),
        ("turned", "a\u202eb\u2066c"),
        ("broken_up", "one\ntwo\u2028three\u0085four"),
    ],
)
def test_no_description_reaches_the_catalog_file_as_a_terminal_would_obey_it(world, name, text):
    commit = world.edit({f"south/{name}/product.json": descriptor(name, "south", description=text)})
    done = world.push("eve", f"{commit}:{FOR_MAIN}")
    assert done.returncode == 0, done.stderr
    catalog = world.catalog_with(name)
    assert all(line.isprintable() for line in catalog.split("\n")), catalog
    assert "\x1b" not in done.stderr
