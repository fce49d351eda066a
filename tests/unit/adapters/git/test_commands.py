"""The head of a push, as clients send it and as nobody should: whole, in pieces, cut off, forged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinmesh.adapters.git.client import Unfit
from thinmesh.adapters.git.commands import MOST_LINES, Command, Head

OFFERED = frozenset({b"report-status", b"report-status-v2", b"side-band-64k", b"quiet", b"object-format", b"agent"})
OLD, NEW, NOWHERE = "a" * 40, "b" * 40, "0" * 40
MAIN = b"refs/heads/main"
ASKED = b"\0 report-status-v2 side-band-64k object-format=sha1 agent=git/2.39.5"
PACK = b"PACK\0\0\0\x02\0\0\0\0"


def packet(line):
    return b"%04x" % (len(line) + 4) + line


def command(ref=MAIN, old=OLD, new=NEW, asked=b""):
    return packet(f"{old} {new} ".encode() + ref + asked)


def read(data, step=0):
    """Read a head, in pieces of `step` bytes, and give it with what follows."""
    head, rest = Head(OFFERED), b""
    for start in range(0, len(data), step or max(len(data), 1)):
        piece = data[start : start + (step or len(data))]
        rest += piece if head.done else head.feed(piece)
    return head, rest


def outcome(data, step=0):
    """Give what a head holds, or why it is refused."""
    try:
        head, rest = read(data, step)
    except Unfit as refused:
        return str(refused)
    return head.done, head.commands, head.capabilities, rest


@pytest.mark.parametrize("step", [0, 1, 3, 4, 50])
def test_a_head_is_read_however_it_comes_in_pieces(step):
    head, rest = read(command(asked=ASKED) + b"0000" + PACK, step)
    assert head.done
    assert head.commands == [Command(OLD, NEW, MAIN)]
    assert head.capabilities >= {b"report-status-v2", b"side-band-64k"}
    assert not head.deletes
    assert rest == PACK


@pytest.mark.parametrize("line_end", [b"", b"\n"])
def test_a_line_may_end_in_a_line_end(line_end):
    head, _ = read(packet(f"{OLD} {NEW} ".encode() + MAIN + line_end) + b"0000")
    assert head.commands == [Command(OLD, NEW, MAIN)]


def test_upper_case_ids_are_the_same_ids():
    head, _ = read(command(old="A" * 40, new="B" * 40) + b"0000")
    assert head.commands == [Command(OLD, NEW, MAIN)]


def test_an_empty_push_is_done_and_asks_for_nothing():
    """Git sends one before a large push, to see whether it is signed in."""
    head, rest = read(b"0000")
    assert (head.done, head.commands, rest) == (True, [], b"")


def test_several_commands_and_the_ends_of_a_shallow_history():
    data = packet(b"shallow " + NEW.encode()) + command(asked=ASKED) + command(b"refs/tags/t", new=NOWHERE) + b"0000"
    head, _ = read(data)
    assert head.commands == [Command(OLD, NEW, MAIN), Command(OLD, NOWHERE, b"refs/tags/t")]
    assert not head.deletes


def test_deletions_alone_bring_no_pack():
    head, _ = read(command(new=NOWHERE, asked=ASKED) + command(b"refs/tags/t", new=NOWHERE) + b"0000")
    assert head.deletes


def test_one_ref_may_be_named_twice_and_in_any_bytes():
    odd = b"refs/heads/a\nb \xff\x1b"
    head, _ = read(command(odd, asked=ASKED) + command(odd) + b"0000")
    assert [each.ref for each in head.commands] == [odd, odd]


@pytest.mark.parametrize("cut", range(len(command(asked=ASKED)) + 3))
def test_a_head_that_is_cut_off_is_never_done(cut):
    head, rest = read((command(asked=ASKED) + b"0000")[:cut])
    assert (head.done, rest) == (False, b"")


MALFORMED = {
    "length-of-letters": b"wxyz",
    "length-with-a-sign": b"-001",
    "length-with-a-blank": b" 0a1",
    "length-of-nothing": b"0004",
    "delimiter": b"0001",
    "end-of-a-response": b"0002",
    "length-of-three": b"0003",
    "length-beyond-the-limit": b"fff1",
    "garbage": bytes(range(255, 200, -1)),
    "a-pack-without-a-head": PACK,
    "no-ids": packet(b"refs/heads/main"),
    "ids-too-short": packet(b"00 11 refs/heads/main"),
    "ids-of-letters": command(old="z" * 40),
    "ids-too-long": command(new="1" * 41),
    "ids-of-another-hash": command(old="1" * 64, new="2" * 64),
    "no-blank": packet(OLD.encode() + NEW.encode() + MAIN),
    "shallow-without-an-id": packet(b"shallow me"),
    "certificate": packet(b"push-cert\0report-status"),
    "nul-first": packet(b"\0" + MAIN),
    "not-offered": command(asked=b"\0report-status atomic"),
    "options": command(asked=b"\0push-options"),
    "another-hash": command(asked=b"\0object-format=sha256"),
    "hash-without-a-name": command(asked=b"\0object-format"),
    "two-nuls": command(asked=b"\0quiet\0atomic"),
    "capabilities-twice": command(asked=b"\0quiet") + command(asked=b"\0quiet"),
    "capabilities-late": command() + command(asked=b"\0quiet"),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("step", [0, 1])
def test_what_is_no_head_is_refused_in_words(name, step):
    with pytest.raises(Unfit) as refused:
        read(MALFORMED[name] + b"0000", step)
    assert str(refused.value).isprintable()


def test_a_thousand_lines_are_read_and_more_are_not():
    assert len(read(command() * MOST_LINES + b"0000")[0].commands) == MOST_LINES
    with pytest.raises(Unfit, match="One push goes to one ref"):
        read(command() * (MOST_LINES + 1) + b"0000")


def test_a_few_giant_lines_are_read_and_many_are_not():
    giant = command(b"n" * 65_000)
    assert len(read(giant * 10 + b"0000")[0].commands) == 10
    with pytest.raises(Unfit, match="One push goes to one ref"):
        read(giant * 20 + b"0000")


def test_a_line_beyond_what_a_head_may_hold_is_refused_before_it_has_come():
    with pytest.raises(Unfit, match="One push goes to one ref"):
        Head(OFFERED).feed(command(b"n" * 65_000) * 16 + b"fff0" + b"x" * 100)


@given(st.binary(max_size=400), st.integers(1, 60))
@settings(deadline=None, max_examples=300)
def test_random_bytes_are_a_head_refused_or_unended(data, step):
    found = outcome(data, step)
    if isinstance(found, str):
        assert found.isprintable()
    else:
        assert found[0] or not data.startswith(b"0000")


lines = st.one_of(
    st.binary(min_size=1, max_size=120).map(packet),
    st.sampled_from([command(), command(asked=ASKED), command(new=NOWHERE), packet(b"shallow " + OLD.encode())]),
    st.sampled_from([each for each in MALFORMED.values() if len(each) < 200]),
)


@given(st.lists(lines, max_size=8), st.booleans(), st.integers(1, 90))
@settings(deadline=None, max_examples=300)
def test_a_head_is_the_same_whole_and_in_pieces(parts, flush, step):
    data = b"".join(parts) + (b"0000" if flush else b"") + PACK
    assert outcome(data) == outcome(data, step)
